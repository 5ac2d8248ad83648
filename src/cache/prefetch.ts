import type { Cache } from "./cache.js";
import type { Prefetcher, PrefetcherHost, PrefetchTarget } from "./contract.js";
import { PfMetric, PREFETCHER_COUNTERS, PrefetcherMetric } from "./counters.js";

const LINE_BYTES = 64;

/** Turns virtual pages into page ids through a core's I-TLB and page walker. Given by the wiring. */
export interface Translator {
  /** @returns cycle when known; `translatedPage` is then the page id, or -1 when there is none. */
  translate(asid: number, vpn: number, now: number): number;
  readonly translatedPage: number;
}

/** What prefetchers need of the memory system beside their cache. */
export interface MetadataPath {
  readMetadata(core: number, line: number, now: number): number;
  writeMetadata(core: number, line: number, now: number): void;
}

/**
 * Bounded queue of the lines that a cache's prefetchers want, first in, first out. The cache issues one a
 * cycle; see agents.ts.
 */
export class PrefetchQueue {
  private readonly line: Int32Array;
  private readonly virtualLine: Int32Array;
  /** Index of the prefetcher among all of the machine. */
  private readonly by: Uint8Array;
  /** Cycle at which it was put in. */
  private readonly at: Float64Array;
  private head = 0;
  private count = 0;
  private lastIssue = -1;
  /** No issue before: all MSHRs that prefetches may use are busy. */
  private blockedUntil = 0;

  constructor(
    readonly capacity: number,
    private readonly cache: Cache,
    private readonly prefetchers: readonly AttachedPrefetcher[],
  ) {
    this.line = new Int32Array(capacity);
    this.virtualLine = new Int32Array(capacity);
    this.by = new Uint8Array(capacity);
    this.at = new Float64Array(capacity);
  }

  get free(): number {
    return this.capacity - this.count;
  }

  /** Earliest cycle at which the head may be issued; Infinity: empty. */
  get nextIssue(): number {
    if (this.count === 0) return Infinity;
    return Math.max(this.at[this.head], this.lastIssue + 1, this.blockedUntil);
  }

  get headLine(): number {
    return this.line[this.head];
  }

  get headVirtualLine(): number {
    return this.virtualLine[this.head];
  }

  get headPrefetcher(): AttachedPrefetcher {
    return this.prefetchers[this.by[this.head]];
  }

  contains(line: number): boolean {
    return this.indexOf(line) >= 0;
  }

  /** The queue is not full. */
  push(line: number, virtualLine: number, by: number, now: number): void {
    const i = (this.head + this.count++) % this.capacity;
    this.line[i] = line;
    this.virtualLine[i] = virtualLine;
    this.by[i] = by;
    this.at[i] = now;
  }

  /** Takes the head out; it was sent below at `now`. */
  issued(now: number): void {
    this.lastIssue = now;
    this.pop();
  }

  /** Takes the head out. */
  pop(): void {
    if (++this.head === this.capacity) this.head = 0;
    this.count--;
  }

  block(until: number): void {
    this.blockedUntil = until;
  }

  /** A demand miss asks for the line: takes it out of the queue. */
  squash(line: number): void {
    if (this.count === 0) return;
    const k = this.indexOf(line);
    if (k < 0) return;
    const capacity = this.capacity;
    let i = (this.head + k) % capacity;
    this.cache.countPrefetch(PfMetric.Squashed, this.prefetchers[this.by[i]]);
    for (let left = this.count - k - 1; left > 0; left--) {
      const next = (i + 1) % capacity;
      this.line[i] = this.line[next];
      this.virtualLine[i] = this.virtualLine[next];
      this.by[i] = this.by[next];
      this.at[i] = this.at[next];
      i = next;
    }
    this.count--;
  }

  /** Queued entries of a core's prefetchers. */
  queuedBy(core: number): number {
    let n = 0;
    for (let k = 0; k < this.count; k++)
      if (this.prefetchers[this.by[(this.head + k) % this.capacity]].core === core) n++;
    return n;
  }

  /** Throws all entries away, counted as dropped. */
  clear(now: number): void {
    while (this.count > 0) {
      const by = this.headPrefetcher;
      const line = this.headLine;
      this.cache.countPrefetch(PfMetric.Dropped, by);
      this.pop();
      by.prefetcher.retired?.(line, now);
    }
    this.blockedUntil = 0;
  }

  private indexOf(line: number): number {
    let i = this.head;
    for (let k = 0; k < this.count; k++) {
      if (this.line[i] === line) return k;
      if (++i === this.capacity) i = 0;
    }
    return -1;
  }
}

/** A prefetcher at its place: one core's, at one cache. It is its own host and target. */
export class AttachedPrefetcher implements PrefetcherHost, PrefetchTarget {
  readonly target: PrefetchTarget = this;
  prefetcher!: Prefetcher;
  translator: Translator | null = null;
  translatedPage = -1;
  /** PREFETCHER_COUNTERS of this prefetcher alone; its cache counts all of a core together. */
  readonly counts = new Float64Array(PREFETCHER_COUNTERS.length);
  /** `act` is called once a cycle at most. */
  private lastAct = -1;

  /** @param index among all attached prefetchers of the machine; lines that it brings bear index + 1. */
  constructor(
    readonly index: number,
    readonly core: number,
    readonly cache: Cache,
    private readonly queue: PrefetchQueue,
    private readonly metadata: MetadataPath,
    public pages: PrefetcherHost["pages"],
    readonly metadataLine: number,
  ) {}

  /** Earliest cycle at which `act` is due; Infinity: never. */
  get nextAct(): number {
    return Math.max(this.prefetcher.nextAction, this.lastAct + 1);
  }

  act(now: number): void {
    this.lastAct = now;
    this.prefetcher.act(now);
  }

  get queueFree(): number {
    return this.queue.free;
  }

  enqueue(line: number, virtualLine: number, now: number): boolean {
    if (this.queue.free === 0) return false;
    this.cache.countPrefetch(PfMetric.Requested, this);
    if (this.cache.holds(line) || this.queue.contains(line)) this.cache.countPrefetch(PfMetric.InCache, this);
    else this.queue.push(line, virtualLine, this.index, now);
    return true;
  }

  probe(line: number): boolean {
    return this.cache.holds(line);
  }

  readMetadata(line: number, now: number): number {
    this.counts[PrefetcherMetric.MetadataRead] += LINE_BYTES;
    return this.metadata.readMetadata(this.core, line, now);
  }

  writeMetadata(line: number, now: number): void {
    this.counts[PrefetcherMetric.MetadataWritten] += LINE_BYTES;
    this.metadata.writeMetadata(this.core, line, now);
  }

  translate(asid: number, vpn: number, now: number): number {
    const translator = this.translator;
    if (translator === null) throw new Error(`core ${this.core} has no translator: call setTranslator first`);
    const known = translator.translate(asid, vpn, now);
    this.translatedPage = translator.translatedPage;
    return known;
  }
}
