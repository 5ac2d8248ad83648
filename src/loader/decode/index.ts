export { decodeBlocks } from "./decode.js";
export * from "./records.js";
export * from "./rows.js";
