import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { PipelineSpec } from "../machine/spec.js";
import { powerOfTwo } from "../numbers.js";
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

/** Words of an entry of the store buffer. Second: line of the second half, or -1; Span: offset in the line << 8 | bytes. */
const ENTRY_SHIFT = 3;
const Entry = {
  Committed: 0,
  Done: 1,
  Line: 2,
  VirtualLine: 3,
  Pc: 4,
  Second: 5,
  SecondVirtual: 6,
  Span: 7,
} as const;
const { Done: DONE, Line: LINE, VirtualLine: VIRTUAL, Pc: PC } = Entry;
const { Second: SECOND, SecondVirtual: SECOND_VIRTUAL, Span: SPAN } = Entry;
/** Bits of Span. */
const DEVICE_FIRST = 1 << 16;
const DEVICE_SECOND = 1 << 17;
/** Lines between a load and a store that may overlap, at most: an access has at most 255 bytes. */
const NEAR = 4;

/** What the store buffer has of a load's bytes: nothing, all, a part; or a store has to wait for its turn first. */
export const Covers = { Nothing: 0, All: 1, Part: 2, Pending: 3 } as const;
const { Nothing: NOTHING, All: ALL, Part: PART, Pending: PENDING } = Covers;
/** Instead of a stamp at which there is room: a store has to wait for its turn first. */
export const Room = { NotYet: -NEVER } as const;
const { NotYet: NOT_YET } = Room;
const ANY = 1 << 30;

/**
 * Committed stores on their way to the L1D, in order. A store may leave the cycle after it committed, after
 * or together with the store before it (`storesPerCycle`), and when fewer than `maxAccessesInMemory` accesses
 * are out; the second half of one that touches two lines a cycle after the first. Its entry is free when the store is
 * done. Stores leave lazily: when a younger access of the data side at the same or a later cycle needs to know, in order
 * of time. Times are stamps.
 */
export class StoreBuffer {
  /** Stores taken in, and stores that have left, since the start. */
  taken = 0;
  left = 0;
  /** When the oldest store inside may leave; NEVER: there is none. */
  next = NEVER;
  /** From this stamp on the buffer is empty; NEVER: not known yet. */
  empty = LONG_AGO;
  partDone = LONG_AGO;
  readonly size: number;
  /** By store number & mask. */
  private readonly entries: Int32Array;
  private readonly mask: number;
  /** All stores before are done. */
  private head = 0;
  private latest = LONG_AGO;
  private last = LONG_AGO;
  private inCycle = 0;
  /** The first half of the oldest store has left: when it is done. */
  private half = LONG_AGO;
  private halfLeft = false;
  /** The port put the oldest store off until then. */
  private notBefore = LONG_AGO;
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
    const ring = powerOfTwo(4 * this.size + 4);
    this.mask = ring - 1;
    this.entries = new Int32Array(ring << ENTRY_SHIFT);
  }

  /** Is there certainly room for one more? */
  get roomy(): boolean {
    return this.taken - this.head < this.size;
  }

  /**
   * When there is room for one more: `now`, where fewer than all entries are taken then; else from `commit` on, when the
   * micro-op before commits.
   */
  room(now: number, commit: number): number {
    if (!this.drain(now, ANY)) return NOT_YET;
    if (this.inside(now) < this.size) return now;
    let at = commit > now ? commit : now;
    for (;;) {
      if (!this.drain(at, ANY)) return NOT_YET;
      if (this.inside(at) < this.size) return at;
      // The first that is done, or the next that leaves.
      const { entries } = this;
      let next = this.next;
      for (let i = this.head; i < this.left; i++) {
        const done = entries[((i & this.mask) << ENTRY_SHIFT) | DONE];
        if (done > at && done < next) next = done;
      }
      at = next;
    }
  }

  /** Stores that are not done at `now`. */
  private inside(now: number): number {
    const { entries, mask } = this;
    this.forget(now);
    let count = this.taken - this.left;
    for (let i = this.head; i < this.left; i++)
      if (entries[((i & mask) << ENTRY_SHIFT) | DONE] > now) count++;
    return count;
  }

  private forget(now: number): void {
    const { entries, mask } = this;
    while (this.head < this.left && entries[((this.head & mask) << ENTRY_SHIFT) | DONE] <= now) this.head++;
  }

  /**
   * What the youngest store that overlaps the bytes from `offset` in `line` on has of them at `now`, no store being younger
   * than the load; a part at most where it is not to be forwarded. Part: `partDone` is when that store is done.
   */
  covers(now: number, line: number, offset: number, bytes: number, forward: boolean): number {
    if (!this.drain(now, ANY)) return PENDING;
    this.forget(now);
    const { entries, mask } = this;
    for (let i = this.taken - 1; i >= this.head; i--) {
      const e = (i & mask) << ENTRY_SHIFT;
      if (i < this.left && entries[e | DONE] <= now) continue;
      const lines = line - entries[e | LINE];
      if (lines > NEAR || lines < -NEAR) continue;
      const span = entries[e | SPAN];
      if (span >= DEVICE_FIRST) continue;
      // Of the load in the store.
      const from = lines * 64 + offset - (span >> 8);
      const size = span & 255;
      if (from >= size || from + bytes <= 0) continue;
      if (forward && from >= 0 && from + bytes <= size) return ALL;
      if (i >= this.left && !this.drain(now, this.taken - i - 1)) return PENDING;
      this.partDone = entries[e | DONE];
      return PART;
    }
    return NOTHING;
  }

  /** From when the buffer is empty, all stores having left. */
  doneAt(): number {
    return this.latest;
  }

  /** A store of `bytes` from `offset` in its line on commits. */
  push(line: number, virtualLine: number, pc: number, commit: number, offset: number, bytes: number): void {
    if (this.taken - this.head > this.mask) this.compact(commit);
    const { entries } = this;
    const e = (this.taken & this.mask) << ENTRY_SHIFT;
    entries[e] = commit;
    entries[e | DONE] = NONE;
    entries[e | LINE] = line;
    entries[e | VIRTUAL] = virtualLine;
    entries[e | PC] = pc;
    entries[e | SECOND] = -1;
    entries[e | SPAN] = (offset << 8) | bytes;
    this.empty = NONE;
    if (this.taken++ === this.left) this.schedule();
  }

  /** What is odd of the store pushed last: a second line, or -1; halves that are a device's. */
  odd(second: number, secondVirtual: number, device: boolean, secondDevice: boolean): void {
    const { entries } = this;
    const e = ((this.taken - 1) & this.mask) << ENTRY_SHIFT;
    entries[e | SECOND] = second;
    entries[e | SECOND_VIRTUAL] = secondVirtual;
    if (device) entries[e | SPAN] |= DEVICE_FIRST;
    if (secondDevice) entries[e | SPAN] |= DEVICE_SECOND;
  }

  /** Drops stores that are done by `now` from between others. */
  private compact(now: number): void {
    const { entries, mask } = this;
    let to = this.left;
    for (let i = this.left - 1; i >= this.head; i--) {
      const e = (i & mask) << ENTRY_SHIFT;
      if (entries[e | DONE] <= now) continue;
      to--;
      entries.copyWithin((to & mask) << ENTRY_SHIFT, e, e + (1 << ENTRY_SHIFT));
    }
    this.head = to;
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

  /** The oldest store, or a half of it, leaves at `next`. @returns false when the port put it off. */
  leave(): boolean {
    const { entries, port } = this;
    const e = (this.left & this.mask) << ENTRY_SHIFT;
    const now = this.next;
    const second = this.halfLeft;
    const line = entries[second ? e | SECOND : e | LINE];
    const device = (entries[e | SPAN] & (second ? DEVICE_SECOND : DEVICE_FIRST)) !== 0;
    let done: number;
    if (!device && port.storeHit(line)) done = now + this.hitLatency;
    else {
      const cycle = this.board.cycle(now);
      let end: number = PUT_OFF;
      if (!device)
        end = port.store(line, entries[second ? e | SECOND_VIRTUAL : e | VIRTUAL], entries[e | PC], cycle);
      else if (cycle <= port.horizon) end = port.uncached(line, true, cycle);
      if (end === PUT_OFF) return false;
      if (device) this.values[UNCACHED]++;
      done = this.board.stamp(end);
    }
    this.outstanding.free[this.outstanding.first()] = done;
    this.notBefore = LONG_AGO;
    if (!second && entries[e | SECOND] !== -1) {
      // Nothing else leaves in its cycle.
      this.halfLeft = true;
      this.half = done;
      this.last = now;
      this.inCycle = this.perCycle;
      this.schedule();
      return true;
    }
    if (second && this.half > done) done = this.half;
    this.halfLeft = false;
    entries[e | DONE] = done;
    if (now === this.last) this.inCycle++;
    else {
      this.last = now;
      this.inCycle = 1;
    }
    if (done > this.latest) this.latest = done;
    this.left++;
    if (this.left === this.taken) this.empty = this.latest;
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
      entries[e] = rebased(entries[e], cycles);
      if (entries[e | DONE] !== NEVER) entries[e | DONE] = rebased(entries[e | DONE], cycles);
    }
    const { free } = this.outstanding;
    rebaseStamps(free, 0, free.length, cycles);
    this.last = rebased(this.last, cycles);
    this.notBefore = rebased(this.notBefore, cycles);
    this.latest = rebased(this.latest, cycles);
    this.half = rebased(this.half, cycles);
    if (this.empty !== NEVER) this.empty = rebased(this.empty, cycles);
    if (this.next !== NEVER) this.next = rebased(this.next, cycles);
  }
}
