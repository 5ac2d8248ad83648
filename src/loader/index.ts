export * from "./contract.js";
export { TraceError } from "./errors.js";
export {
  type CoreInfo,
  type InfoProgress,
  type InvocationInfo,
  type PartInfo,
  type TraceInfo,
  traceInfo,
} from "./info.js";
export { formatTraceInfo } from "./info-format.js";
export { type OpenTrace, type OpenTraceOptions, openTrace } from "./reader.js";
export { type ScanResult, scan } from "./scan.js";
export { createTraceWriter, type TraceWriterOptions } from "./writer.js";
