import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { CoreSpec } from "../machine/spec.js";
import { WalkCount } from "./counters.js";
import { type PageTables, WALK_LEVELS } from "./page-tables.js";
import { createTlb, type PageTlb, Tlb } from "./tlb.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const LEVELS = WALK_LEVELS;
const CLOSED = NOT_NOW;
const COUNT = WalkCount;

/**
 * What a core's walks share: the second-level TLB and the page-walk caches, where the machine has them. The cache of
 * step s holds entries read at step s that are no leaves, under the node that they point to.
 */
export class Walker {
  private readonly l2: PageTlb | null;
  private readonly caches: (Tlb | null)[] = [null, null, null];
  /** Neither, and all pages are 4 kB: a walk reads all levels from the root, at once. */
  readonly plain: boolean;
  private readonly l2Latency: number;
  private readonly cacheLatency: number;
  /** After `begin`: cycles until the walk's first read, or until the translation where `firstStep` is behind the last. */
  latency = 0;

  constructor(
    spec: CoreSpec,
    readonly tables: PageTables,
    pages: { vpn: Float64Array; count: number },
    readonly port: CorePort,
    private readonly counts: Float64Array,
  ) {
    const { l2tlb, pageWalkCaches: caches } = spec;
    this.l2 = l2tlb === undefined ? null : createTlb(l2tlb, pages, tables, spec.largeKernelPages ?? false);
    this.l2Latency = l2tlb?.latency ?? 0;
    this.cacheLatency = caches?.latency ?? 0;
    if (caches !== undefined)
      this.caches = [caches.pml4e, caches.pdpte, caches.pde].map((cache) =>
        cache === undefined ? null : new Tlb(cache, tables.nodeIndex, tables.nodes),
      );
    this.plain = l2tlb === undefined && caches === undefined && !spec.largeKernelPages;
  }

  /** A page missed above. @returns the first step that has to be read; the number of steps: none. Sets `latency`. */
  begin(page: number): number {
    const { counts, tables, l2 } = this;
    const steps = tables.steps[page];
    if (l2 !== null) {
      counts[COUNT.L2Accesses]++;
      this.latency = this.l2Latency;
      if (l2.lookup(page)) return steps;
      counts[COUNT.L2Misses]++;
    }
    counts[COUNT.Walks]++;
    if (steps < LEVELS) counts[COUNT.LargeWalks]++;
    this.latency = this.l2Latency + this.cacheLatency;
    for (let step = steps - 2; step >= 0; step--) {
      if (this.caches[step]?.lookup(tables.nodeOf[page * LEVELS + step + 1])) {
        counts[COUNT.CacheHits + step]++;
        return step + 1;
      }
    }
    return 0;
  }

  /** The entry of a step has been read. */
  read(page: number, step: number): void {
    const { tables } = this;
    this.counts[COUNT.Reads]++;
    if (step + 1 === tables.steps[page]) {
      // Another walk of this core for the page may have ended before.
      if (this.l2 !== null && !this.l2.probe(page)) this.l2.fill(page);
      return;
    }
    const cache = this.caches[step];
    const node = tables.nodeOf[page * LEVELS + step + 1];
    if (cache !== null && !cache.probe(node)) cache.fill(node);
  }

  flush(): void {
    this.l2?.flush();
    for (const cache of this.caches) cache?.flush();
  }
}

/** The step of a walk before its first. */
const START = -1;

/** One walk at a time: of fetch, of loads and stores, or of a prefetcher. */
export class PageWalk {
  private page = 0;
  private step = 0;
  /** The translation is known; the TLB that missed is to be filled. */
  over = true;

  constructor(private readonly walker: Walker) {}

  /** The page is not in the first-level TLB. */
  begin(page: number): void {
    this.page = page;
    this.step = START;
    this.over = false;
  }

  /**
   * Does the next step at `now`: the look-ups before the walk, or one read. Its turn among shared accesses must have
   * come. @returns the cycle at which it is done, or NOT_NOW: nothing happened, the port says when to try again.
   */
  proceed(now: number): number {
    const { walker, page } = this;
    const { tables } = walker;
    if (this.step === START) {
      if (walker.plain) this.step = 0;
      else {
        this.step = walker.begin(page);
        if (this.step === tables.steps[page]) {
          tables.touched(page);
          this.over = true;
          return now + walker.latency;
        }
        if (walker.latency > 0) return now + walker.latency;
      }
    }
    const done = walker.port.walk(tables.lines[page * LEVELS + this.step], now);
    if (done === CLOSED) return CLOSED;
    if (!walker.plain) walker.read(page, this.step);
    if (++this.step === tables.steps[page]) {
      tables.touched(page);
      this.over = true;
    }
    return done;
  }
}
