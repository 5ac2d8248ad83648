import type { CounterDef } from "../stats/counters.js";

/**
 * The memory system as cores and prefetchers see it.
 *
 * Time is an integer number of core-clock cycles. Lines are physical line numbers (physical address / 64),
 * int32. A virtual line is `pageId << 6 | line in page` (see PageAddress): dense, int32, one to one with
 * (address space, virtual line).
 *
 * Ordering. Hits in a private L1 are private. Everything else (a miss, an upgrade, a walk, an uncached
 * access, a prefetch) happens in global time order: a port goes beyond its L1 only at times <= `horizon`,
 * which the scheduler sets to the earliest time at which any other core could do so. State changes take
 * place in order of the time at which a request leaves its L1; latencies are then found by charging
 * every port, bus, MSHR and bank on the way.
 */

/** Returned instead of a cycle: nothing has happened; call again with `now = retryAt` when the scheduler lets the core run. */
export const NOT_NOW = -1;

/** Who asks. Counters are split by it. */
export const Requester = { Fetch: 0, Load: 1, Store: 2, Walk: 3, Prefetch: 4, Writeback: 5 } as const;
export type Requester = (typeof Requester)[keyof typeof Requester];
export const REQUESTERS = 6;

/** Level that served an access: 0 = L1, k = k-th level below, `MEMORY` = main memory. */
export const SERVED_BY_MEMORY = 15;

/**
 * One core's entrance to the memory system. Called by src/core. Within one core, calls of fetch come in
 * non-decreasing time, calls of load/store/walk likewise, and calls that miss come in non-decreasing time
 * over all of them.
 */
export interface CorePort {
  /** Latest cycle at which this core may leave its private L1s. Written by the scheduler. */
  horizon: number;
  /** After NOT_NOW: the cycle to call again with; it may equal `now` (only the horizon stood in the way) or be later (no MSHR free until then). */
  readonly retryAt: number;
  /** After an access that was done: who served it. 0 also for a merge into a prefetch or MSHR of the same level. */
  readonly servedBy: number;
  /** Cycles of a hit in the L1I, and in the L1D. */
  readonly fetchHitLatency: number;
  readonly dataHitLatency: number;
  /**
   * The short way for the common case: is the line in the L1 with the rights asked for, with nothing to wait for and
   * nobody to be told? Then the access has been done and takes the hit latency, whatever the time. Else nothing has
   * happened: ask with `fetch`, `load` or `store`. `servedBy` stays what it was.
   */
  fetchHit(line: number): boolean;
  loadHit(line: number): boolean;
  storeHit(line: number): boolean;
  /** Would `fetchHit`, or `loadHit` or `storeHit`, be true? No side effect. */
  fetchReady(line: number): boolean;
  dataReady(line: number, write: boolean): boolean;
  /** Fetches an instruction line. @returns cycle at which it is at the core, or NOT_NOW. An L1I hit at cycle t returns t + L1I latency. */
  fetch(line: number, virtualLine: number, now: number): number;
  /** Reads a line. @returns cycle at which the data is at the core, or NOT_NOW. `pc` is a PageAddress. */
  load(line: number, virtualLine: number, pc: number, now: number): number;
  /** Writes a line (write-allocate, needs ownership). @returns cycle at which the store is done, or NOT_NOW. */
  store(line: number, virtualLine: number, pc: number, now: number): number;
  /** One page-table read, where the machine's walkers read (memory, or a cache level). */
  walk(line: number, now: number): number;
  /** Device access: uncached, ordered. */
  uncached(line: number, write: boolean, now: number): number;
}

/** What a prefetcher may ask of the cache it is attached to. Never re-enters the cache. */
export interface PrefetchTarget {
  /** Free entries of the bounded prefetch queue. */
  readonly queueFree: number;
  /**
   * Puts a line into the prefetch queue. A line that is present, in an MSHR or queued already is dropped
   * and counted (pfInCache). The cache issues the queue's head, one a cycle, when an MSHR is free.
   * @returns false when the queue is full: nothing happened.
   */
  enqueue(line: number, virtualLine: number, now: number): boolean;
  /** No side effect: is the line present or in an MSHR? */
  probe(line: number): boolean;
}

/** What a prefetcher gets from the machine when it is attached. */
export interface PrefetcherHost {
  readonly core: number;
  readonly target: PrefetchTarget;
  /** First of 2^20 lines of main memory, beyond what the trace uses, that are this prefetcher's own. */
  readonly metadataLine: number;
  /** Reads 64 bytes of the prefetcher's metadata from main memory, past the caches. @returns cycle when they are there. */
  readMetadata(line: number, now: number): number;
  writeMetadata(line: number, now: number): void;
  /**
   * Translates a virtual page through the core's I-TLB and page walker (filling the TLB). A page is named by
   * (asid, vpn), so that regions may cross pages. @returns cycle when known; `translatedPage` is then the page id, or -1.
   */
  translate(asid: number, vpn: number, now: number): number;
  readonly translatedPage: number;
  /** Borrowed page table of the trace (see loader). */
  readonly pages: {
    readonly asid: Int32Array;
    readonly vpn: Float64Array;
    readonly ppn: Int32Array;
  };
}

/** Outcome of a demand access at the cache that a prefetcher is attached to. */
export const Outcome = {
  /** Present, brought by a demand or used before. */
  Hit: 0,
  /** Present, and the first demand for a prefetched line, which had arrived. */
  PrefetchHit: 1,
  /** In an MSHR of a prefetch: late. The first demand for that line. */
  PrefetchLate: 2,
  /** In an MSHR of a demand. */
  Merge: 3,
  Miss: 4,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Counters of a prefetcher's own: `values[i]` counts `defs[i]`. Values only grow. */
export interface PrefetcherCounters {
  readonly defs: readonly CounterDef[];
  readonly values: Float64Array;
}

/**
 * A prefetcher. The memory system calls it in time order: `act` at `nextAction`, before any access
 * of a later or equal time; `demand` right after each demand access of its core that reached its cache.
 */
export interface Prefetcher {
  /** Next cycle at which `act` wants to be called; Infinity: never, until something changes it. */
  nextAction: number;
  act(now: number): void;
  /**
   * @param virtualLine page id << 6 | line in page; -1 where it is not known (walks)
   * @param ready cycle at which the line is there
   * @param pc the instruction that asks, page id << 12 | offset; of a fetch the line's own address; 0: not known
   */
  demand(
    requester: Requester,
    line: number,
    virtualLine: number,
    outcome: Outcome,
    now: number,
    ready: number,
    pc: number,
  ): void;
  /** A line that this prefetcher brought leaves the cache without having been demanded. */
  evictedUnused(line: number, now: number): void;
  /**
   * A line that this prefetcher put into the queue will not be reported in any other way: it was found
   * present when its turn came, it was thrown out of the queue by a flush, or another core demanded it first.
   */
  retired?(line: number, now: number): void;
  /** A line that this prefetcher put into the queue was sent for at `now` and will be there at `ready`. */
  issued?(line: number, now: number, ready: number): void;
  /** Forgets what it has learnt, but for metadata in main memory: the machine's predictors are flushed. */
  flush?(): void;
  /** What it counts beside what is counted of every prefetcher; shown as `cpu0.l2.<its name>.<counter>`. */
  readonly ownCounters?: PrefetcherCounters;
  /** An invocation of function instance `instance` begins (is scheduled) or ends on this core. */
  beginInvocation(instance: number, now: number): void;
  endInvocation(instance: number, now: number): void;
}
