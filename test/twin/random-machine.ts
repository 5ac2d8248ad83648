import { type MachineInput, type MachineSpec, machineSchema } from "../../src/machine/spec.js";
import type { Random } from "../support/random.js";

const POLICIES = ["lru", "lru", "fifo", "random", "tree-plru", "nru", "srrip", "brrip", "drrip", "ship"];
const PREDICTORS = [
  "none",
  "always-taken",
  "btfn",
  "bimodal",
  "gshare",
  "tournament",
  "tournament",
  "perceptron",
  "tage",
  "ltage",
];

function cache(random: Random, kiB: readonly number[]): MachineInput["l1d"] {
  const ways = random.pick([1, 2, 4, 8]);
  return {
    sizeKiB: Math.max(random.pick(kiB), ways / 16),
    ways,
    tagLatency: random.int(5),
    dataLatency: random.int(5),
    responseLatency: random.int(5),
    mshrs: 1 + random.int(5),
    targetsPerMshr: 1 + random.int(5),
    writeBuffers: 1 + random.int(6),
    replacement: random.pick(POLICIES),
  };
}

const bus = (random: Random) => ({
  frontendLatency: random.int(4),
  forwardLatency: random.int(5),
  responseLatency: random.int(4),
  width: random.pick([8, 16, 32, 64]),
  snoopFilterLatency: random.int(3),
});

function unit(random: Random, latency: number) {
  if (random.chance(0.5)) return {};
  return {
    count: 1 + random.int(3),
    opLatency: 1 + random.int(latency),
    issueLatency: random.chance(0.6) ? 1 : 1 + random.int(latency),
  };
}

/** A pipeline near the defaults, or anything. */
function pipeline(random: Random): MachineInput["core"]["pipeline"] {
  if (random.chance(0.2)) return {};
  const some = <Value extends object>(value: Value) => (random.chance(0.5) ? value : {});
  const up = (n: number) => 1 + random.int(n);
  return {
    ...some({ fetch1ToFetch2Delay: up(3), fetch2ToDecodeDelay: up(3), decodeToExecuteDelay: up(3) }),
    ...some({ branchFeedbackDelay: up(4) }),
    ...some({ fetchLimit: up(3) }),
    ...some({ fetch2InputBuffer: up(4) }),
    wrongPathLines: random.chance(0.9),
    ...some({ decodeInputBuffer: up(4), executeInputBuffer: up(8) }),
    ...some({ decodeWidth: up(4), executeIssueLimit: up(4), executeCommitLimit: up(4) }),
    ...some({ executeMemoryIssueLimit: up(3), executeMemoryCommitLimit: up(3) }),
    ...some({ maxAccessesInMemory: up(4), lsqTransfersQueue: up(4) }),
    ...some({ lsqRequestsQueue: up(3), lsqStoreBuffer: up(6), storesPerCycle: up(3) }),
    ...some({ memExtraAssumedLatency: random.int(4) }),
    fu: {
      intAlu: unit(random, 4),
      intMul: unit(random, 5),
      intDiv: unit(random, 12),
      floatSimd: unit(random, 8),
      predicate: unit(random, 4),
      mem: unit(random, 3),
      misc: unit(random, 3),
    },
  };
}

const entries = (random: Random) => {
  const ways = random.pick([1, 2, 4, 3]);
  return { entries: ways * random.pick([1, 1, 2, 4, 16]), ways };
};

/** TLBs, and of second-level TLB, page-walk caches and 2 MB pages some, or none. */
function translation(
  random: Random,
): Pick<MachineInput["core"], "itlb" | "dtlb"> & Partial<MachineInput["core"]> {
  if (random.chance(0.4)) return { itlb: entries(random), dtlb: entries(random) };
  const largeKernelPages = random.chance(0.6);
  const tlb = () => ({
    ...entries(random),
    ...(largeKernelPages && random.chance(0.5) ? { large: entries(random) } : {}),
  });
  const maybe = () => (random.chance(0.6) ? entries(random) : undefined);
  return {
    itlb: tlb(),
    dtlb: tlb(),
    l2tlb: random.chance(0.6) ? { ...tlb(), latency: random.int(8) } : undefined,
    pageWalkCaches: random.chance(0.6)
      ? { pml4e: maybe(), pdpte: maybe(), pde: maybe(), latency: random.int(3) }
      : undefined,
    largeKernelPages,
  };
}

function jukebox(random: Random, levels: MachineInput["levels"]): MachineInput["jukebox"] {
  // Where prefetches may be issued at all.
  const level = levels.find(({ cache }) => cache.mshrs > 1);
  return {
    level: level?.name ?? levels[0].name,
    regionBytes: random.pick([256, 1024, 4096]),
    crrbEntries: 1 + random.int(8),
    metadataBytes: random.pick([32, 256, 16384]),
    replayDistance: random.pick([-1, 0, 2, 64]),
    metadataReadsInFlight: 1 + random.int(3),
    start: random.pick(["scheduled", "invocation"]),
  };
}

/** A random machine for `cores` cores. */
export function randomMachine(random: Random, cores: number): MachineSpec {
  const depth = 1 + random.int(3);
  const sharedFrom = cores > 1 ? random.int(depth) : random.int(depth + 1);
  const levels = Array.from({ length: depth }, (_, k) => ({
    name: `l${k + 2}`,
    shared: k >= sharedFrom,
    inclusion: random.chance(0.5) ? random.pick(["inclusive", "exclusive"] as const) : undefined,
    bus: bus(random),
    cache: cache(random, [0.5, 1, 2, 4, 16]),
  }));
  return machineSchema.parse({
    name: "random",
    description: "random",
    clockGHz: random.pick([1, 2, 2.5, 3.3]),
    cores,
    core: {
      model: random.chance(0.8) ? "pipeline" : "timing",
      pipeline: pipeline(random),
      timingFetchBytes: random.pick([4, 8, 16, 64]),
      branchPredictor: { name: random.pick(PREDICTORS), rasEntries: 1 + random.int(16) },
      ...translation(random),
      walker: random.pick(["memory", "memory", "none", ...levels.map((level) => level.name)]),
    },
    l1i: { ...cache(random, [0.5, 1, 2, 4]), infinite: random.chance(0.1) },
    l1d: cache(random, [0.5, 1, 4, 16]),
    levels,
    jukebox: jukebox(random, levels),
    dirtyHandOver: random.chance(0.3),
    memoryBus: bus(random),
    memory: random.chance(0.7)
      ? {
          model: "simple",
          sizeMiB: 128,
          latencyNs: random.pick([3, 10, 30, 60]),
          bandwidthGiBs: random.pick([0.7, 6, 12.8, 100]),
        }
      : { model: "dram", sizeMiB: 128 },
  } satisfies MachineInput);
}
