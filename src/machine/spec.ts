import { z } from "zod";

/**
 * Machines are data: this is the whole description of one, validated strictly (unknown keys are errors).
 * Latencies are cycles of the core clock unless a name says ns. Parameter names follow gem5.
 */

const count = (min: number, max: number) => z.int().min(min).max(max);
const cycles = count(0, 10_000);
const powerOfTwo = (min: number, max: number) =>
  count(min, max).refine((n) => (n & (n - 1)) === 0, { error: "must be a power of two" });

/** A crossbar between a level and the one below it. gem5: frontend_latency, forward_latency, response_latency, width. */
export const busSchema = z.strictObject({
  frontendLatency: cycles.default(1),
  forwardLatency: cycles.default(0),
  responseLatency: cycles.default(1),
  /** Bytes a cycle; 64 moves a line in one cycle. */
  width: powerOfTwo(1, 64).default(64),
  /** Look-up of the crossbar's snoop filter, which every request passes. gem5: 0 in L2XBar, 1 in SystemXBar. */
  snoopFilterLatency: cycles.default(0),
});

/** The crossbar above main memory; defaults are those of gem5's SystemXBar, but for the width. */
export const memoryBusSchema = z.strictObject({
  ...busSchema.shape,
  frontendLatency: cycles.default(3),
  forwardLatency: cycles.default(4),
  responseLatency: cycles.default(2),
  snoopFilterLatency: cycles.default(1),
});

/**
 * A prefetcher: "next-line", "stride", "stream", "best-offset", or a plug-in's. Its parameters stand beside these keys
 * and are checked by it (src/prefetch).
 */
export const prefetcherSchema = z.looseObject({
  name: z.string(),
  /** "l1i", "l1d" or a level's name. Default: the prefetcher's; else Jukebox's; else the last level. */
  level: z.string().optional(),
  /** The demands that it sees, and whose misses its coverage is measured by. Default: the prefetcher's; else all. */
  on: z.enum(["all", "instructions", "data"]).optional(),
  /** On every core, or on the function's alone. */
  cores: z.enum(["all", "function"]).default("all"),
});

/** One cache. gem5: size, assoc, tag_latency, data_latency, response_latency, mshrs, tgts_per_mshr, write_buffers. */
export const cacheSchema = z.strictObject({
  sizeKiB: z
    .number()
    .positive()
    .max(1 << 20),
  ways: count(1, 64),
  lineBytes: z.literal(64).default(64),
  tagLatency: cycles,
  dataLatency: cycles,
  responseLatency: cycles,
  mshrs: count(1, 1024),
  targetsPerMshr: count(1, 1024),
  writeBuffers: count(1, 1024),
  /** Replacement policy, by name. */
  replacement: z.string().default("lru"),
  /** Entries of the queue that prefetchers fill. */
  prefetchQueue: count(1, 4096).default(32),
  /** MSHRs that prefetches leave free for demands. */
  demandReservedMshrs: count(0, 1024).default(1),
  /** Never misses on a line it has held before, whatever its size (the paper's perfect I-cache; L1I only). */
  infinite: z.boolean().default(false),
});

/** A level below the L1s: private to each core or shared by all, with the bus that leads to it from above. */
export const levelSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9]*$/),
  shared: z.boolean(),
  /**
   * What it holds of the lines that the caches above hold. "non-inclusive" (the default; gem5: mostly_incl): it takes
   * all that passes and evicts on its own; "inclusive": a line that it evicts is taken from the caches above; "exclusive":
   * no line that a cache above holds; it takes their victims, clean ones too, and a hit moves the line up.
   */
  inclusion: z.enum(["inclusive", "exclusive", "non-inclusive"]).optional(),
  bus: busSchema.prefault({}),
  cache: cacheSchema,
});

const entriesSchema = z.strictObject({
  entries: count(1, 65536),
  /** Ways; equal to entries: fully associative. */
  ways: count(1, 65536),
});

export const tlbSchema = z.strictObject({
  ...entriesSchema.shape,
  /** A part of its own for 2 MB pages (`largeKernelPages`); absent: they share the entries. */
  large: entriesSchema.optional(),
});

/** Second-level TLB of a core, for instructions and data and all page sizes. */
export const l2tlbSchema = z.strictObject({
  ...tlbSchema.shape,
  /** From a miss above to the translation, or to the begin of the walk. */
  latency: cycles,
});

/** Caches of page-table entries that are no leaves; a hit in the deepest saves the reads above it. Intel's names. */
export const pageWalkCachesSchema = z.strictObject({
  pml4e: entriesSchema.optional(),
  pdpte: entriesSchema.optional(),
  pde: entriesSchema.optional(),
  /** Before the first read of a walk. */
  latency: cycles.default(1),
});

/** gem5: LocalBP, localPredictorSize. */
export const bimodalSchema = z.strictObject({ entries: powerOfTwo(2, 1 << 24).default(2048) });

/** Counters; as many bits of history as index them. gem5: GshareBP, global_predictor_size. */
export const gshareSchema = z.strictObject({ entries: powerOfTwo(2, 1 << 24).default(16384) });

/** HPCA 2001's 4 kB point is near 128 perceptrons of 28 bits of history; this is four times that. */
export const perceptronSchema = z.strictObject({
  entries: powerOfTwo(1, 1 << 20).default(512),
  historyLength: count(1, 128).default(28),
});

const tage = (sizeBits: number[], tagBits: number[], min: number, max: number, reset: number) =>
  z
    .strictObject({
      /** Log2 of the entries: of the bimodal table, then of each tagged table, shortest history first. gem5: logTagTableSizes. */
      sizeBits: z.array(count(1, 24)).min(3).max(33).default(sizeBits),
      /** Width of each tagged table's tags. gem5: tagTableTagWidths. */
      tagBits: z.array(count(2, 24)).min(2).max(32).default(tagBits),
      minHistory: count(1, 4096).default(min),
      maxHistory: count(2, 4096).default(max),
      /** Log2 of the branches after which useful counters are halved. gem5: logUResetPeriod. */
      usefulResetBits: count(1, 30).default(reset),
    })
    .refine((t) => t.sizeBits.length === t.tagBits.length + 1, {
      error: "sizeBits must have one entry more than tagBits (the bimodal table's, first)",
    })
    .refine((t) => t.maxHistory > t.minHistory, { error: "maxHistory must be more than minHistory" });

/** Defaults: gem5's TAGE, the 8-component predictor of the JILP paper. */
export const tageSchema = tage([13, 9, 9, 9, 9, 9, 9, 9], [9, 9, 10, 10, 11, 11, 12], 5, 130, 18);

/** Defaults: gem5's LTAGE, the 256 kbit predictor of the JILP paper. */
export const ltageSchema = tage(
  [14, 10, 10, 11, 11, 11, 11, 10, 10, 10, 10, 9, 9],
  [7, 7, 8, 8, 9, 10, 11, 12, 12, 13, 14, 15],
  4,
  640,
  19,
);

/** gem5: LoopPredictor. */
export const loopSchema = z
  .strictObject({
    entries: powerOfTwo(1, 1 << 16).default(256),
    ways: powerOfTwo(1, 64).default(4),
    tagBits: count(1, 24).default(14),
    /** Width of the count of executions. gem5: loopTableIterBits. */
    tripBits: count(2, 24).default(14),
  })
  .refine((l) => l.ways <= l.entries, { error: "ways must be at most entries" });

export const branchPredictorSchema = z.strictObject({
  /**
   * "none" (every taken branch redirects when it is executed), "always-taken", "btfn", "bimodal", "gshare",
   * "tournament", "perceptron", "tage", "ltage", or a plug-in's.
   */
  name: z.string().default("tournament"),
  /** Sizes of the predictor of that name; absent: its defaults. "ltage" reads `ltage` and `loop`. */
  bimodal: bimodalSchema.optional(),
  gshare: gshareSchema.optional(),
  perceptron: perceptronSchema.optional(),
  tage: tageSchema.optional(),
  ltage: ltageSchema.optional(),
  loop: loopSchema.optional(),
  /** What a plug-in reads. */
  parameters: z.record(z.string(), z.json()).optional(),
  /** Of "tournament". */
  localEntries: powerOfTwo(2, 1 << 20).default(2048),
  globalEntries: powerOfTwo(2, 1 << 20).default(8192),
  choiceEntries: powerOfTwo(2, 1 << 20).default(8192),
  btbEntries: powerOfTwo(2, 1 << 20).default(4096),
  btbTagBits: count(1, 30).default(16),
  rasEntries: count(1, 1024).default(16),
  indirectSets: powerOfTwo(1, 1 << 16).default(256),
  indirectWays: count(1, 16).default(2),
  indirectTagBits: count(1, 30).default(16),
});

const fuSchema = (opLatency: number, issueLatency = 1, number = 1) =>
  z
    .strictObject({
      count: count(1, 16).default(number),
      opLatency: count(1, 1000).default(opLatency),
      issueLatency: count(1, 1000).default(issueLatency),
    })
    .prefault({});

/** The in-order pipeline; defaults are gem5's MinorCPU. */
export const pipelineSchema = z.strictObject({
  fetch1ToFetch2Delay: count(1, 32).default(1),
  fetch2ToDecodeDelay: count(1, 32).default(1),
  decodeToExecuteDelay: count(1, 32).default(1),
  /** Cycles from a branch's outcome (or Fetch2's prediction) to Fetch1. */
  branchFeedbackDelay: count(1, 32).default(1),
  fetchLimit: count(1, 16).default(1),
  /** Lines. */
  fetch2InputBuffer: count(1, 64).default(2),
  /** Fetch1 goes on past a branch, line after line, until it is redirected. Off, only lines of the right path are fetched. */
  wrongPathLines: z.boolean().default(true),
  decodeInputBuffer: count(1, 64).default(3),
  executeInputBuffer: count(1, 64).default(7),
  decodeWidth: count(1, 16).default(2),
  executeIssueLimit: count(1, 16).default(2),
  executeCommitLimit: count(1, 16).default(2),
  executeMemoryIssueLimit: count(1, 16).default(1),
  executeMemoryCommitLimit: count(1, 16).default(1),
  /** Loads, and stores that leave the store buffer, whose answer is out. gem5: executeMaxAccessesInMemory. */
  maxAccessesInMemory: count(1, 64).default(2),
  /** Memory micro-ops that wait for their page walk or for the transfers queue. gem5: executeLSQRequestsQueueSize. */
  lsqRequestsQueue: count(1, 64).default(1),
  /** Loads asked for, and stores, that have not committed. gem5: executeLSQTransfersQueueSize. */
  lsqTransfersQueue: count(1, 64).default(2),
  /** Stores that have committed and are not done. gem5: executeLSQStoreBufferSize. */
  lsqStoreBuffer: count(1, 64).default(5),
  /** Stores that leave the store buffer in a cycle. gem5: executeLSQMaxStoreBufferStoresPerCycle. */
  storesPerCycle: count(1, 64).default(2),
  fu: z
    .strictObject({
      intAlu: fuSchema(3, 1, 2),
      intMul: fuSchema(3),
      intDiv: fuSchema(9, 9),
      floatSimd: fuSchema(6),
      predicate: fuSchema(3),
      mem: fuSchema(1),
      misc: fuSchema(1),
    })
    .prefault({}),
  /** What needs a load issues as if its data came so many cycles after `fu.mem.opLatency`. gem5: extraAssumedLat. */
  memExtraAssumedLatency: cycles.default(2),
});

export const coreSchema = z.strictObject({
  /** "pipeline" (in-order, two-wide) or "timing" (one access outstanding, nothing overlapped). */
  model: z.enum(["pipeline", "timing"]).default("pipeline"),
  pipeline: pipelineSchema.prefault({}),
  /** Bytes that the timing model fetches at a time. */
  timingFetchBytes: powerOfTwo(1, 64).default(8),
  branchPredictor: branchPredictorSchema.prefault({}),
  itlb: tlbSchema,
  dtlb: tlbSchema,
  /** Absent: none. */
  l2tlb: l2tlbSchema.optional(),
  /** Absent: none; every walk reads each level. */
  pageWalkCaches: pageWalkCachesSchema.optional(),
  /**
   * Kernel pages whose 2 MB region is, as far as the trace knows, mapped to 2 MB of memory in one piece and aligned
   * are translated as one page of 2 MB: Linux maps its text and all of memory so. Absent: all pages are 4 kB.
   */
  largeKernelPages: z.boolean().optional(),
  /**
   * Where page-table reads enter the memory system: "memory" (uncached) or a level's name. "none": there are none, a page
   * that its TLB does not hold is translated at once, as in gem5's system-call emulation.
   */
  walker: z.string().default("memory"),
});

const nanoseconds = z.number().min(0).max(1e6);

/** Main memory of fixed latency and limited bandwidth. gem5: SimpleMemory, latency and bandwidth. */
export const simpleMemorySchema = z.strictObject({
  model: z.literal("simple"),
  sizeMiB: count(16, 1 << 20).default(2048),
  latencyNs: z.number().positive().max(10_000).default(30),
  bandwidthGiBs: z.number().positive().max(10_000).default(12.8),
});

/** Timing constraints of a DRAM device, in ns, by their names in JEDEC's standards and in gem5's DRAMInterface. */
export const dramTimingSchema = z.strictObject({
  tCK: nanoseconds.optional(),
  tBURST: nanoseconds.optional(),
  tRCD: nanoseconds.optional(),
  /** ACT to write; default tRCD. */
  tRCD_WR: nanoseconds.optional(),
  tCL: nanoseconds.optional(),
  /** Write latency; default tCL. */
  tCWL: nanoseconds.optional(),
  tRP: nanoseconds.optional(),
  tRAS: nanoseconds.optional(),
  tRRD: nanoseconds.optional(),
  tRRD_L: nanoseconds.optional(),
  tXAW: nanoseconds.optional(),
  tCCD_L: nanoseconds.optional(),
  tWR: nanoseconds.optional(),
  tWTR: nanoseconds.optional(),
  tRTP: nanoseconds.optional(),
  tRTW: nanoseconds.optional(),
  tCS: nanoseconds.optional(),
  tRFC: nanoseconds.optional(),
  tREFI: nanoseconds.optional(),
});

/** Banked DRAM behind a controller. gem5: MemCtrl and DRAMInterface; defaults are theirs. */
export const dramMemorySchema = z.strictObject({
  model: z.literal("dram"),
  sizeMiB: count(16, 1 << 20).default(2048),
  /** Device by name; what it says of geometry and timing can be changed by the keys below. */
  device: z.string().default("DDR4_2400_8x8"),
  /** Channels, each with a controller of its own; lines go round them. */
  channels: powerOfTwo(1, 16).default(1),
  ranks: powerOfTwo(1, 8).optional(),
  /** Banks of a rank. */
  banks: powerOfTwo(1, 32).optional(),
  /** Bank groups of a rank; 0: the device has none. */
  bankGroups: count(0, 32).optional(),
  /** Bytes of a row, over all devices of the rank. */
  rowBytes: powerOfTwo(64, 1 << 16).optional(),
  timing: dramTimingSchema.prefault({}),
  /** Lines of the controller's queues. gem5: read_buffer_size, write_buffer_size. */
  readQueue: count(1, 256).optional(),
  writeQueue: count(1, 256).optional(),
  /** From the lowest bits up, read from the right: Row, Rank, Bank, Column, Channel. gem5: addr_mapping. */
  addressMapping: z.enum(["RoRaBaCoCh", "RoRaBaChCo", "RoCoRaBaCh"]).default("RoRaBaCoCh"),
  pagePolicy: z.enum(["open", "open_adaptive", "close", "close_adaptive"]).default("open_adaptive"),
  /** A row is closed after so many accesses; 0: never. */
  maxAccessesPerRow: count(0, 65536).default(16),
  /** "frfcfs": row hits first, then first come first served. */
  scheduling: z.enum(["frfcfs", "fcfs"]).default("frfcfs"),
  frontendLatencyNs: nanoseconds.default(10),
  backendLatencyNs: nanoseconds.default(10),
  /** Percentage of the write queue above which writes are forced, and above which they go when no read waits. */
  writeHighThreshold: count(1, 100).default(85),
  writeLowThreshold: count(0, 99).default(50),
  /** Bursts before the bus is turned around while others wait. */
  minReadsPerSwitch: count(1, 1024).default(16),
  minWritesPerSwitch: count(1, 1024).default(16),
});

export const memorySchema = z.discriminatedUnion("model", [simpleMemorySchema, dramMemorySchema]);

/** Jukebox (ISCA 2022). */
export const jukeboxSchema = z.strictObject({
  /** Level it works at. */
  level: z.string(),
  regionBytes: powerOfTwo(64, 8192).default(1024),
  crrbEntries: count(1, 4096).default(16),
  /** Metadata store of each half (record, replay); 0 = none. */
  metadataBytes: count(0, 1 << 26).default(16384),
  /** Bits of a region pointer in an entry. */
  regionPointerBits: count(1, 64).default(38),
  /**
   * Prefetched lines that may be unused before a paced replay waits; -1: no limit. The protocol `jukebox`
   * (the paper's, not paced) overrides it with -1.
   */
  replayDistance: count(-1, 1 << 20).default(64),
  /** Metadata lines that may be on their way to the replayer. */
  metadataReadsInFlight: count(1, 64).default(2),
  /** Replay starts when the function is first scheduled in an invocation, or when the invocation begins. */
  start: z.enum(["scheduled", "invocation"]).default("scheduled"),
});

export const machineSchema = z.strictObject({
  name: z.string(),
  description: z.string(),
  clockGHz: z.number().positive().max(100),
  cores: count(1, 16),
  core: coreSchema,
  l1i: cacheSchema,
  l1d: cacheSchema,
  /** From the L1s down. */
  levels: z.array(levelSchema).min(1).max(4),
  /** A shared level hands the duty to write a dirty line back up to its only reader, as gem5's caches do. */
  dirtyHandOver: z.boolean().default(false),
  memoryBus: memoryBusSchema.prefault({}),
  memory: memorySchema,
  /** Beside Jukebox. Several at one cache share its queue; a name stands at a cache once. */
  prefetchers: z.array(prefetcherSchema).max(15).optional(),
  jukebox: jukeboxSchema.optional(),
});

export type MachineSpec = z.output<typeof machineSchema>;
export type MachineInput = z.input<typeof machineSchema>;
export type CacheSpec = z.output<typeof cacheSchema>;
export type LevelSpec = z.output<typeof levelSchema>;
export type BusSpec = z.output<typeof busSchema>;
export type TlbSpec = z.output<typeof tlbSchema>;
export type EntriesSpec = z.output<typeof entriesSchema>;
export type L2TlbSpec = z.output<typeof l2tlbSchema>;
export type PageWalkCachesSpec = z.output<typeof pageWalkCachesSchema>;
export type CoreSpec = z.output<typeof coreSchema>;
export type PipelineSpec = z.output<typeof pipelineSchema>;
export type BranchPredictorSpec = z.output<typeof branchPredictorSchema>;
export type BimodalSpec = z.output<typeof bimodalSchema>;
export type GshareSpec = z.output<typeof gshareSchema>;
export type PerceptronSpec = z.output<typeof perceptronSchema>;
export type TageSpec = z.output<typeof tageSchema>;
export type LoopSpec = z.output<typeof loopSchema>;
export type MemorySpec = z.output<typeof memorySchema>;
export type SimpleMemorySpec = z.output<typeof simpleMemorySchema>;
export type DramMemorySpec = z.output<typeof dramMemorySchema>;
export type PrefetcherSpec = z.output<typeof prefetcherSchema>;
export type PrefetcherInput = z.input<typeof prefetcherSchema>;
export type JukeboxSpec = z.output<typeof jukeboxSchema>;
