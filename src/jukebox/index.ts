export { type HardwareBits, hardwareBits, hardwareBitsBreakdown } from "./cost.js";
export { JUKEBOX_COUNTERS } from "./counters.js";
export {
  accuracy,
  averageReadLatency,
  avgNumPrefetchesPerEntry,
  coverage,
  overprediction,
} from "./derived.js";
export { Jukebox } from "./jukebox.js";
export { type Layout, layoutOf, metadataLinesPerInstance, regionPointerBitsFor } from "./layout.js";
export { MetadataStore } from "./metadata.js";
