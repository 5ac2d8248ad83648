import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { PageTable } from "../loader/contract.js";
import type { CoreSpec } from "../machine/spec.js";
import { TlbCount } from "./counters.js";
import type { PageTables } from "./page-tables.js";
import { createTlb, type PageTlb, WalklessTlb } from "./tlb.js";
import { PageWalk, Walker } from "./walker.js";

/** One core's translation: its two TLBs and the page walker, and the service it does for prefetchers. */
export class Translation {
  readonly itlb: PageTlb;
  readonly dtlb: PageTlb;
  /** Walks for fetches, for loads and stores, and for prefetchers. */
  readonly fetchWalk: PageWalk;
  readonly dataWalk: PageWalk;
  private readonly prefetchWalk: PageWalk;
  private readonly walker: Walker;
  /** After `translate`: the page id, or -1. */
  translatedPage = -1;
  /** Page of the last instruction fetch and data access, the most recent in their TLBs; -1: not known. */
  lastIPage = -1;
  lastDPage = -1;

  constructor(
    spec: CoreSpec,
    readonly pages: PageTable,
    readonly tables: PageTables,
    private readonly port: CorePort,
    private readonly itlbCounts: Float64Array,
    dtlbCounts: Float64Array,
    walkCounts: Float64Array,
  ) {
    const large = spec.largeKernelPages ?? false;
    this.itlb = createTlb(spec.itlb, pages, tables, large);
    this.dtlb = createTlb(spec.dtlb, pages, tables, large);
    if (spec.walker === "none") {
      this.itlb = new WalklessTlb(this.itlb, itlbCounts);
      this.dtlb = new WalklessTlb(this.dtlb, dtlbCounts);
    }
    this.walker = new Walker(spec, tables, pages, port, walkCounts);
    this.fetchWalk = new PageWalk(this.walker);
    this.dataWalk = new PageWalk(this.walker);
    this.prefetchWalk = new PageWalk(this.walker);
  }

  /** Is the page in the I-TLB? Then it is the last fetched from. */
  findInstruction(page: number): boolean {
    if (!this.itlb.lookup(page)) return false;
    this.lastIPage = page;
    return true;
  }

  /** Is the page in the D-TLB? Then it is the last accessed. */
  findData(page: number): boolean {
    if (!this.dtlb.lookup(page)) return false;
    this.lastDPage = page;
    return true;
  }

  /**
   * A prefetcher's question (PrefetcherHost.translate). Called by the memory system in time order, so the
   * walk's reads are let through whatever the core's horizon says.
   */
  translate(asid: number, vpn: number, now: number): number {
    const page = this.tables.current(asid, vpn);
    this.translatedPage = page;
    if (page < 0) return now;
    this.lastIPage = -1;
    if (this.itlb.lookup(page)) return now;
    const { port, prefetchWalk: walk } = this;
    const horizon = port.horizon;
    port.horizon = Number.POSITIVE_INFINITY;
    let time = now;
    walk.begin(page);
    while (!walk.over) {
      const done = walk.proceed(time);
      if (done !== NOT_NOW) time = done;
      else if (port.retryAt > time) time = port.retryAt;
      else {
        this.translatedPage = -1;
        port.horizon = horizon;
        return now;
      }
    }
    port.horizon = horizon;
    this.itlb.fill(page);
    this.itlbCounts[TlbCount.Prefetches]++;
    return time;
  }

  flush(): void {
    this.itlb.flush();
    this.dtlb.flush();
    this.walker.flush();
    this.lastIPage = -1;
    this.lastDPage = -1;
  }
}
