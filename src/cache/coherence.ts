import { type Cache, LineState } from "./cache.js";
import { Single } from "./counters.js";

const { Shared: SHARED, Exclusive: EXCLUSIVE, Modified: MODIFIED } = LineState;
const { Invalidations: INVALIDATIONS, Downgrades: DOWNGRADES, Supplied: SUPPLIED } = Single;

/** One core's own caches. */
export interface PrivateCaches {
  readonly l1i: Cache;
  readonly l1d: Cache;
  /** The private levels, from the L1s down. */
  readonly levels: readonly Cache[];
  /** All of these, in the order in which a snoop looks at them. */
  readonly all: readonly Cache[];
}

/** What snoops do to the states of lines in private caches: MESI. Charges nothing. */
export class Coherence {
  /** After a snoop: does another core hold the line? */
  sharedElsewhere = false;
  /** After a snoop that found a supplier: the core that has the line, and was it Modified? */
  supplierCore = 0;
  suppliedDirty = false;

  /** @param privates by core */
  constructor(private readonly privates: readonly PrivateCaches[]) {}

  /** A write by the core takes the line from its own L1I; a read finds out whether it is there. */
  ownInstruction(l1i: Cache, line: number, write: boolean, now: number): boolean {
    if (!write) return l1i.holds(line);
    this.invalidate(l1i, line, now);
    return false;
  }

  /**
   * A read or write of `core` passes the other cores' private caches at `at`.
   * @param cleanToo who has the line clean may supply it as well; one that has it Modified goes first
   * @returns the cycle at which one of them has put the line on the bus, or -1.
   */
  snoopOthers(core: number, line: number, write: boolean, at: number, now: number, cleanToo = false): number {
    this.sharedElsewhere = false;
    this.suppliedDirty = false;
    let clean: Cache | null = null;
    let cleanReady = 0;
    let supplied = -1;
    const privates = this.privates;
    for (let other = 0; other < privates.length; other++) {
      if (other === core) continue;
      const caches = privates[other].all;
      for (let i = 0; i < caches.length; i++) {
        const c = caches[i];
        if (c.held !== null) {
          if (c.held.has(line)) {
            this.sharedElsewhere = true;
            if (write) this.invalidate(c, line, now);
          }
          continue;
        }
        const slot = c.find(line);
        if (slot < 0) continue;
        this.sharedElsewhere = true;
        const state = c.state[slot];
        if (cleanToo && clean === null && state !== MODIFIED) {
          clean = c;
          cleanReady = c.readyAt[slot];
          this.supplierCore = other;
        }
        if (state === MODIFIED && supplied < 0) {
          this.suppliedDirty = true;
          supplied = Math.max(at, c.readyAt[slot]) + c.supplyLatency;
          this.supplierCore = other;
          c.countSingle(SUPPLIED);
        }
        if (write) {
          c.countSingle(INVALIDATIONS);
          c.drop(slot, now);
        } else if (state >= EXCLUSIVE) {
          c.countSingle(DOWNGRADES);
          c.state[slot] = SHARED;
        }
      }
    }
    if (supplied < 0 && clean !== null) {
      supplied = Math.max(at, cleanReady) + clean.supplyLatency;
      clean.countSingle(SUPPLIED);
    }
    return supplied;
  }

  /** The core reads, past cache `c` of its own, a line that `c` may own. @returns its slot if it was Modified, else -1. */
  downgradeOwn(c: Cache, line: number): number {
    const slot = c.find(line);
    if (slot < 0) return -1;
    const state = c.state[slot];
    if (state < EXCLUSIVE) return -1;
    c.countSingle(DOWNGRADES);
    c.state[slot] = SHARED;
    return state === MODIFIED ? slot : -1;
  }

  /** Takes a line out of an L1I. */
  private invalidate(l1i: Cache, line: number, now: number): void {
    if (l1i.held !== null) {
      if (!l1i.held.has(line)) return;
      l1i.held.remove(line);
    } else {
      const slot = l1i.find(line);
      if (slot < 0) return;
      l1i.drop(slot, now);
    }
    l1i.countSingle(INVALIDATIONS);
  }
}
