import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { PipelineSpec } from "../machine/spec.js";
import { Count } from "./counters.js";
import { CYCLE, LONG_AGO, NEVER, rebased, rebaseStamps, type Scoreboard } from "./scoreboard.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const ONE = CYCLE;
const NONE = NEVER;
const PUT_OFF = NOT_NOW;
const UNCACHED = Count.Uncached;

/** Accesses of the data side that are in the memory system: at most `maxAccessesInMemory`. */
export class Outstanding {
  /** Stamp at which each of the slots is free. */
  readonly free: Int32Array;

  constructor(limit: number) {
    this.free = new Int32Array(limit).fill(LONG_AGO);
  }

  /** Slot that is free first. */
  first(): number {
    const { free } = this;
    let best = 0;
    for (let i = 1; i < free.length; i++) if (free[i] < free[best]) best = i;
    return best;
  }
}

/** Words of an entry of the store buffer. */
const ENTRY_SHIFT = 3;
const Entry = { Committed: 0, Done: 1, Line: 2, VirtualLine: 3, Pc: 4, Device: 5 } as const;
const { Committed: COMMITTED, Done: DONE, Line: LINE, VirtualLine: VIRTUAL, Pc: PC, Device: DEVICE } = Entry;

/**
 * Committed stores on their way to the L1D, in order. A store may leave the cycle after it committed, after
 * or together with the store before it (`storesPerCycle`), and when fewer than `maxAccessesInMemory` accesses
 * are out. Its entry is free when the store is done. Stores leave lazily: when a younger access of the data
 * side at the same or a later cycle needs to know, in order of time. Times are stamps.
 */
export class StoreBuffer {
  /** Stores taken in, and stores that have left, since the start. */
  taken = 0;
  left = 0;
  /** When the oldest store inside may leave; NEVER: there is none. */
  next = NEVER;
  /** No store leaves before: a bound of `next` that holds without `schedule`. */
  earliest = NEVER;
  /** By store number & mask. */
  private readonly entries: Int32Array;
  private readonly mask: number;
  private last = LONG_AGO;
  private inCycle = 0;
  /** The port put the oldest store off until then. */
  private notBefore = LONG_AGO;
  readonly size: number;
  private readonly perCycle: number;
  private readonly hitLatency: number;

  constructor(
    spec: PipelineSpec,
    private readonly port: CorePort,
    private readonly outstanding: Outstanding,
    private readonly board: Scoreboard,
    private readonly values: Float64Array,
  ) {
    this.size = spec.lsqStoreBuffer;
    this.perCycle = spec.storesPerCycle;
    this.hitLatency = port.dataHitLatency * CYCLE;
    const ring = 2 ** Math.ceil(Math.log2(2 * this.size + 4));
    this.mask = ring - 1;
    this.entries = new Int32Array(ring << ENTRY_SHIFT);
    for (let e = 0; e < ring; e++)
      this.entries[(e << ENTRY_SHIFT) | DONE] = this.entries[(e << ENTRY_SHIFT) | COMMITTED] = LONG_AGO;
  }

  /** Whether `more` entries can be told to be free: only stores whose end is known still hold theirs. */
  known(more: number): boolean {
    return this.taken + more - this.size <= this.left;
  }

  /** After `known`: from when `more` entries are free. */
  freeAt(more: number): number {
    let free = LONG_AGO;
    for (let i = 0; i < more; i++) {
      // A buffer of one entry cannot hold both halves of a store: the second does with what the first needs.
      const entry = Math.min(this.taken + i - this.size, this.taken - 1);
      const done = entry < 0 ? LONG_AGO : this.entries[((entry & this.mask) << ENTRY_SHIFT) | DONE];
      if (done > free) free = done;
    }
    return free;
  }

  /** By when all that have left are done. */
  doneAt(): number {
    let latest = LONG_AGO;
    for (let e = Math.max(0, this.left - this.mask - 1); e < this.left; e++) {
      const done = this.entries[((e & this.mask) << ENTRY_SHIFT) | DONE];
      if (done > latest) latest = done;
    }
    return latest;
  }

  push(line: number, virtualLine: number, pc: number, device: number, commit: number): void {
    const { entries } = this;
    const e = (this.taken & this.mask) << ENTRY_SHIFT;
    entries[e] = commit;
    entries[e | LINE] = line;
    entries[e | VIRTUAL] = virtualLine;
    entries[e | PC] = pc;
    entries[e | DEVICE] = device;
    if (this.taken++ === this.left) {
      this.earliest = commit + ONE;
      this.schedule();
    }
  }

  /** Finds `next`. To be called when what it depends on may have changed. */
  schedule(): void {
    if (this.left === this.taken) {
      this.next = NONE;
      return;
    }
    let at = this.entries[(this.left & this.mask) << ENTRY_SHIFT] + ONE;
    const earliest = this.inCycle < this.perCycle ? this.last : this.last + ONE;
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
    const { entries, port } = this;
    const e = (this.left & this.mask) << ENTRY_SHIFT;
    const now = this.next;
    const line = entries[e | LINE];
    let done: number;
    if (entries[e | DEVICE] === 0 && port.storeHit(line)) done = now + this.hitLatency;
    else {
      const cycle = this.board.cycle(now);
      let end: number = PUT_OFF;
      if (entries[e | DEVICE] === 0) end = port.store(line, entries[e | VIRTUAL], entries[e | PC], cycle);
      else if (cycle <= port.horizon) end = port.uncached(line, true, cycle);
      if (end === PUT_OFF) return false;
      if (entries[e | DEVICE] !== 0) this.values[UNCACHED]++;
      done = this.board.stamp(end);
    }
    entries[e | DONE] = done;
    this.outstanding.free[this.outstanding.first()] = done;
    if (now === this.last) this.inCycle++;
    else {
      this.last = now;
      this.inCycle = 1;
    }
    this.notBefore = LONG_AGO;
    this.left++;
    this.earliest = this.left === this.taken ? NONE : entries[(this.left & this.mask) << ENTRY_SHIFT] + ONE;
    this.schedule();
    return true;
  }

  /** The port put the oldest store off until `stamp`. */
  putOff(stamp: number): void {
    this.notBefore = stamp;
    this.schedule();
  }

  /**
   * Lets stores leave up to `now`, and as many as it takes to have at most `keep` inside.
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

  /** The base of stamps moves on. */
  rebase(cycles: number): void {
    const { entries } = this;
    for (let e = 0; e < entries.length; e += 1 << ENTRY_SHIFT) {
      rebaseStamps(entries, e, e + 2, cycles);
    }
    const { free } = this.outstanding;
    rebaseStamps(free, 0, free.length, cycles);
    this.last = rebased(this.last, cycles);
    this.notBefore = rebased(this.notBefore, cycles);
    if (this.earliest !== NEVER) this.earliest = rebased(this.earliest, cycles);
    if (this.next !== NEVER) this.next = rebased(this.next, cycles);
  }
}
