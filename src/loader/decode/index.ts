export { decodeBlocks } from "./decode.js";
export * from "./rows.js";
