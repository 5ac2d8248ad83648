import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { PipelineSpec } from "../machine/spec.js";

/** Accesses of the data side that are in the memory system: at most `maxAccessesInMemory`. */
export class Outstanding {
  /** Cycle at which each of the slots is free. */
  readonly free: Float64Array;

  constructor(limit: number) {
    this.free = new Float64Array(limit);
  }

  /** Slot that is free first. */
  first(): number {
    const { free } = this;
    let best = 0;
    for (let i = 1; i < free.length; i++) if (free[i] < free[best]) best = i;
    return best;
  }
}

/**
 * Committed stores on their way to the L1D, in order. A store may leave the cycle after it committed, after
 * or together with the store before it (`storesPerCycle`), and when fewer than `maxAccessesInMemory` accesses
 * are out. Its entry is free when the store is done. Stores leave lazily: when a younger access of the data
 * side at the same or a later cycle needs to know, in order of time.
 */
export class StoreBuffer {
  /** Stores taken in, and stores that have left, since the start. */
  taken = 0;
  left = 0;
  /** Cycle at which the oldest store inside may leave. */
  next = Number.POSITIVE_INFINITY;
  /** No store leaves before this cycle: a bound of `next` that holds without `schedule`. */
  earliest = Number.POSITIVE_INFINITY;
  /** By store number & mask. */
  private readonly committed: Float64Array;
  private readonly done: Float64Array;
  private readonly line: Int32Array;
  private readonly virtualLine: Int32Array;
  private readonly pc: Int32Array;
  private readonly device: Uint8Array;
  private readonly mask: number;
  private last = Number.NaN;
  private inCycle = 0;
  /** The port put the oldest store off until this cycle. */
  private notBefore = -0;
  readonly size: number;
  private readonly perCycle: number;

  constructor(
    spec: PipelineSpec,
    private readonly port: CorePort,
    private readonly outstanding: Outstanding,
  ) {
    this.size = spec.lsqStoreBuffer;
    this.perCycle = spec.storesPerCycle;
    const ring = 2 ** Math.ceil(Math.log2(2 * this.size + 4));
    this.mask = ring - 1;
    this.committed = new Float64Array(ring);
    this.done = new Float64Array(ring);
    this.line = new Int32Array(ring);
    this.virtualLine = new Int32Array(ring);
    this.pc = new Int32Array(ring);
    this.device = new Uint8Array(ring);
    this.last = -1;
  }

  /** Whether `more` entries can be told to be free: only stores whose end is known still hold theirs. */
  known(more: number): boolean {
    return this.taken + more - this.size <= this.left;
  }

  /** After `known`: cycle from which `more` entries are free. */
  freeAt(more: number): number {
    const entry = this.taken + more - 1 - this.size;
    return entry < 0 ? 0 : this.done[entry & this.mask];
  }

  /** Cycle by which all that have left are done. */
  doneAt(): number {
    let latest = 0;
    for (let e = Math.max(0, this.left - this.mask - 1); e < this.left; e++) {
      if (this.done[e & this.mask] > latest) latest = this.done[e & this.mask];
    }
    return latest;
  }

  push(line: number, virtualLine: number, pc: number, device: boolean, commit: number): void {
    const e = this.taken++ & this.mask;
    this.line[e] = line;
    this.virtualLine[e] = virtualLine;
    this.pc[e] = pc;
    this.device[e] = device ? 1 : 0;
    this.committed[e] = commit;
    if (this.taken - this.left === 1) {
      this.earliest = commit + 1;
      this.schedule();
    }
  }

  /** Finds `next`. To be called when what it depends on may have changed. */
  schedule(): void {
    if (this.left === this.taken) {
      this.next = Number.POSITIVE_INFINITY;
      return;
    }
    let at = this.committed[this.left & this.mask] + 1;
    const earliest = this.inCycle < this.perCycle ? this.last : this.last + 1;
    if (earliest > at) at = earliest;
    const { free } = this.outstanding;
    let slot = free[0];
    for (let i = 1; i < free.length; i++) if (free[i] < slot) slot = free[i];
    if (slot > at) at = slot;
    if (this.notBefore > at) at = this.notBefore;
    this.next = at;
  }

  /** The oldest store leaves at `next`. @returns false when the port put it off. */
  leave(): boolean {
    const e = this.left & this.mask;
    const now = this.next;
    const { port } = this;
    let done: number = NOT_NOW;
    if (this.device[e] === 0) done = port.store(this.line[e], this.virtualLine[e], this.pc[e], now);
    else if (now <= port.horizon) done = port.uncached(this.line[e], true, now);
    if (done === NOT_NOW) return false;
    this.done[e] = done;
    const { free } = this.outstanding;
    free[this.outstanding.first()] = done;
    if (now === this.last) this.inCycle++;
    else {
      this.last = now;
      this.inCycle = 1;
    }
    this.notBefore = 0;
    this.left++;
    this.earliest =
      this.left === this.taken ? Number.POSITIVE_INFINITY : this.committed[this.left & this.mask] + 1;
    this.schedule();
    return true;
  }

  /** The port put the oldest store off until `cycle`. */
  putOff(cycle: number): void {
    this.notBefore = cycle;
    this.schedule();
  }

  /**
   * Lets stores leave up to cycle `now`, and as many as it takes to have at most `keep` inside.
   * @returns false when one of them has to wait for its turn.
   */
  drain(now: number, keep: number): boolean {
    this.schedule();
    while (this.next <= now || this.taken - this.left > keep) {
      if (this.left === this.taken) return true;
      if (!this.leave()) return false;
    }
    return true;
  }
}
