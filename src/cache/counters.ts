import type { CounterDef, Unit } from "../stats/counters.js";
import { REQUESTERS } from "./contract.js";

/**
 * Counters of one cache. First, for each metric, core and requester, `{metric}.{cpuN}.{requester}`;
 * then, for each core, `{metric}.{cpuN}` of prefetches that the core's prefetchers asked for;
 * then those of the cache as a whole.
 */
export const REQUESTER_NAMES: readonly string[] = ["inst", "load", "store", "walk", "prefetch", "writeback"];

export const Metric = { Accesses: 0, Hits: 1, Misses: 2, MshrMerges: 3, MissLatency: 4 } as const;
const METRICS: readonly [name: string, unit: Unit, description: string][] = [
  ["accesses", "Count", "accesses"],
  ["hits", "Count", "accesses that found the line, there and with the rights asked for"],
  ["misses", "Count", "accesses that did not; mshrMerges and upgrades are among them"],
  ["mshrMerges", "Count", "misses for a line that was on its way already (gem5: overallMshrHits)"],
  ["missLatency", "Cycle", "total time from a miss to its data"],
];

export const PfMetric = {
  Requested: 0,
  InCache: 1,
  Squashed: 2,
  Dropped: 3,
  Issued: 4,
  Useful: 5,
  Late: 6,
  Unused: 7,
} as const;
const PF_METRICS: readonly [name: string, description: string][] = [
  ["pfRequested", "lines that prefetchers asked for and the queue took or had no need of"],
  ["pfInCache", "of these: dropped, since present, on the way or queued already"],
  ["pfSquashed", "of these: taken out of the queue because a demand miss asked for the line"],
  ["pfDropped", "of these: in the queue when it was flushed"],
  ["pfIssued", "of these: sent below"],
  ["pfUseful", "prefetched lines that were demanded"],
  ["pfLate", "of these: demanded before they had arrived"],
  ["pfUnused", "prefetched lines that left the cache without having been demanded"],
];

/** What is counted of each prefetcher by itself: PfMetric, and its metadata. */
export const PrefetcherMetric = { ...PfMetric, MetadataRead: 8, MetadataWritten: 9 } as const;
export const PREFETCHER_COUNTERS: readonly CounterDef[] = [
  ...PF_METRICS.map(([name, description]) => ({ name, unit: "Count" as const, description })),
  { name: "metadataRead", unit: "Byte", description: "metadata read from main memory" },
  { name: "metadataWritten", unit: "Byte", description: "metadata written to main memory" },
];

export const Single = {
  Fills: 0,
  Replacements: 1,
  Writebacks: 2,
  Upgrades: 3,
  Invalidations: 4,
  Downgrades: 5,
  Supplied: 6,
  Flushed: 7,
  // Only on machines with an inclusive or exclusive level.
  Recalled: 8,
  Passed: 9,
  MovedUp: 10,
} as const;
const SINGLES: readonly [name: string, description: string][] = [
  ["fills", "lines put into the cache"],
  ["replacements", "lines put out to make room"],
  ["writebacks", "dirty lines sent to the level below"],
  ["upgrades", "writes that found the line without the right to write it"],
  ["invalidations", "lines taken away because somebody else writes them"],
  ["downgrades", "lines that lost the right to be written because somebody else reads them"],
  ["supplied", "modified lines sent to another cache: cache-to-cache transfers"],
  ["flushed", "lines thrown away by a flush"],
];

const INCLUSION_SINGLES: readonly [name: string, description: string][] = [
  ["recalled", "lines taken away because an inclusive level below evicted them"],
  [
    "passed",
    "misses whose line an exclusive level did not take: it went on to the caches above, or was there",
  ],
  ["movedUp", "hits of an exclusive level, whose line went to the cache above"],
];

/** Slots of one cache's counters. */
export class CacheCounterLayout {
  private readonly pfBase: number;
  private readonly singleBase: number;
  readonly defs: readonly CounterDef[];

  /** @param cores the cores that use the cache, in ascending order. */
  constructor(
    readonly cores: readonly number[],
    /** Does the machine have an inclusive or exclusive level? */
    inclusion = false,
  ) {
    const n = cores.length;
    const defs: CounterDef[] = [];
    for (const [name, unit, description] of METRICS)
      for (const core of cores)
        for (const requester of REQUESTER_NAMES)
          defs.push({ name: `${name}.cpu${core}.${requester}`, unit, description });
    this.pfBase = defs.length;
    for (const [name, description] of PF_METRICS)
      for (const core of cores) defs.push({ name: `${name}.cpu${core}`, unit: "Count", description });
    this.singleBase = this.pfBase + PF_METRICS.length * n;
    const singles = inclusion ? [...SINGLES, ...INCLUSION_SINGLES] : SINGLES;
    for (const [name, description] of singles) defs.push({ name, unit: "Count", description });
    this.defs = defs;
  }

  /** Slot of a metric for the k-th core that uses the cache and requester 0; the others follow. */
  metric(metric: number, k: number): number {
    return (metric * this.cores.length + k) * REQUESTERS;
  }

  pf(metric: number, k: number): number {
    return this.pfBase + metric * this.cores.length + k;
  }

  single(metric: number): number {
    return this.singleBase + metric;
  }
}
