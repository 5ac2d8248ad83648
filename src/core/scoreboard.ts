import { CLASS_FIELD, REGS, UOP_CLASSES, UopClass } from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import { Cause } from "./counters.js";

/**
 * Times inside the pipeline are stamps: int32, `CYCLE` to a cycle, counted from a base that moves on. The low five bits
 * are free to say whom to blame (Cause) when somebody has to wait for the stamp. The larger of two stamps is then the
 * later time together with its blame; of several that bind alike the cause with the highest number is blamed.
 */
export const CYCLE_SHIFT = 5;
export const CYCLE = 1 << CYCLE_SHIFT;
/** Takes the blame off a stamp. */
export const TIME = -CYCLE;
/** The blame of a stamp. */
export const BLAME = CYCLE - 1;
/** Stands for "the front end" until the slots are blamed on what the front end waited for. Larger than any Cause. */
export const FRONT = BLAME;

/** Stamps are at least this: everything so long ago is over. */
export const LONG_AGO = -(1 << 25);
/** When a stamp gets this large the base moves on. Twice this plus 2^25 must fit an int32. */
export const REBASE_AT = 1 << 29;
/** A stamp that does not come. */
export const NEVER = 2 ** 30;
/** Cycles from the base to what is later than all that is known. */
const FAR_OFF = (NEVER >> CYCLE_SHIFT) - 1;
// An exported constant is looked up at each use, also in its own module; these are folded into the code.
const SHIFT = CYCLE_SHIFT;
const ONE = CYCLE;
const WHOLE = TIME;
const PART = BLAME;
const PAST = LONG_AGO;

/** Fixed places in `words` of the scoreboard. */
export const At = {
  /** By register: stamp at which its value is there. */
  Register: 0,
  /** By class: opLatency, as a stamp's difference. */
  Latency: REGS,
  /** By class: how much earlier than its sources it may issue. */
  Early: REGS + 8,
  /** By class: index of the oldest entry of its ring. */
  Oldest: REGS + 16,
  /** By class: where it has one unit that may have to be waited for, the stamp at which that is free again, and how long an issue makes it busy. */
  Free: REGS + 24,
  Busy: REGS + 32,
  /** By Cause (and FRONT): slots lost that have not been told to the counters yet. */
  Lost: REGS + 40,
  /** By register: from when a memory micro-op may use what its last writer leaves, which has committed then. */
  Seen: REGS + 72,
  /** Index of the oldest entry of the ring of memory micro-ops in the transfers queue: when each commits; and of the requests queue: when each leaves it. */
  Transfers: 2 * REGS + 72,
  Requests: 2 * REGS + 73,
  /** When the last store commits. Here and in Transfers, lowest bit set: seen in the next cycle only. */
  LastStore: 2 * REGS + 74,
  /** Rings: when the last micro-ops of each class left its pipelines, as many as they hold; the two queues. `nextOffset` on: index of the entry that follows. */
  Ring: 2 * REGS + 75,
} as const;

/**
 * srcRegsRelativeLats of gem5's default functional units: an instruction may issue this many cycles before
 * its sources are there.
 */
const RELATIVE_LATENCY = [2, 0, 0, 2, 2, 1, 0];

/**
 * What issue and commit look at for each micro-op: registers, functional units, the ring between fetch and
 * execution, in one array, so that the hot loop has one array to keep at hand.
 */
export class Scoreboard {
  /** Cycle that stamps are counted from. */
  base = -0;
  readonly words: Int32Array;
  /** Offset from an entry of `Ring` to the index of the entry that follows it. */
  readonly nextOffset: number;
  /** First of `ring` stamps: issue by micro-op number. */
  readonly issuedAt: number;
  /** Classes, a bit each, with one unit that may have to be waited for; with several units that must be looked through. */
  readonly scarce: number;
  readonly several: number;
  /** Units of class c: free[unitBase[c] .. unitBase[c + 1]), stamps. */
  private readonly unitBase = new Int32Array(UOP_CLASSES + 1);
  readonly free: Int32Array;
  readonly issueLatency = new Int32Array(UOP_CLASSES);

  /** @param ring entries of the ring between fetch and execution. */
  constructor(
    spec: PipelineSpec,
    readonly ring: number,
  ) {
    let units = 0;
    const sizes: number[] = [];
    for (let c = 0; c < UOP_CLASSES; c++) {
      const fu = spec.fu[CLASS_FIELD[c]];
      this.unitBase[c] = units;
      units += fu.count;
      sizes.push(fu.count * fu.opLatency);
    }
    sizes.push(spec.lsqTransfersQueue, spec.lsqRequestsQueue);
    this.unitBase[UOP_CLASSES] = units;
    this.free = new Int32Array(units).fill(LONG_AGO);
    this.nextOffset = sizes.reduce((a, b) => a + b, 0);
    this.issuedAt = At.Ring + 2 * this.nextOffset;
    const words = new Int32Array(this.issuedAt + ring);
    this.words = words;
    words.fill(LONG_AGO, At.Register, At.Register + REGS);
    words.fill(LONG_AGO, At.Free, At.Free + UOP_CLASSES);
    words.fill(LONG_AGO, At.Seen, At.Seen + REGS);
    words[At.LastStore] = LONG_AGO;
    words.fill(LONG_AGO, At.Ring, At.Ring + this.nextOffset);
    words.fill(LONG_AGO, this.issuedAt);
    let at: number = At.Ring;
    for (const [i, size] of sizes.entries()) {
      words[i < UOP_CLASSES ? At.Oldest + i : At.Transfers + i - UOP_CLASSES] = at;
      for (let k = 0; k < size; k++) words[at + this.nextOffset + k] = k + 1 < size ? at + k + 1 : at;
      at += size;
    }
    let scarce = 0;
    let several = 0;
    for (let c = 0; c < UOP_CLASSES; c++) {
      const fu = spec.fu[CLASS_FIELD[c]];
      words[At.Latency + c] = fu.opLatency * CYCLE;
      words[At.Early + c] = RELATIVE_LATENCY[c] * CYCLE;
      this.issueLatency[c] = fu.issueLatency * CYCLE;
      const most = c === UopClass.Mem ? spec.executeMemoryIssueLimit : spec.executeIssueLimit;
      if (fu.issueLatency > 1 || fu.count < Math.min(most, spec.executeIssueLimit)) {
        if (fu.count === 1) {
          words[At.Busy + c] = this.issueLatency[c] + Cause.Structural;
          scarce |= 1 << c;
        } else several |= 1 << c;
      }
    }
    this.scarce = scarce;
    this.several = several;
  }

  /** Cycle of a stamp. */
  cycle(stamp: number): number {
    return this.base + (stamp >> SHIFT);
  }

  /** Stamp, without blame, of a cycle. */
  stamp(cycle: number): number {
    return ((cycle - this.base) * ONE) | 0;
  }

  /** Stamp of a cycle that may be as far off as it likes: below NEVER. */
  limit(cycle: number): number {
    const cycles = cycle - this.base;
    return ((cycles < FAR_OFF ? cycles : FAR_OFF) * ONE) | 0;
  }

  /** Unit of a class with several that is free first. */
  firstFree(klass: number): number {
    const { unitBase, free } = this;
    let best = unitBase[klass];
    for (let i = best + 1; i < unitBase[klass + 1]; i++) if (free[i] < free[best]) best = i;
    return best;
  }

  /** Moves the base on by whole cycles. The owners of other stamps move theirs by as much (`rebaseStamps`). */
  rebase(cycles: number): void {
    const { words, free } = this;
    this.base += cycles;
    rebaseStamps(words, At.Register, At.Register + REGS, cycles);
    rebaseStamps(words, At.Free, At.Free + UOP_CLASSES, cycles);
    rebaseStamps(words, At.Seen, At.Seen + REGS, cycles);
    rebaseStamps(words, At.LastStore, At.LastStore + 1, cycles);
    rebaseStamps(words, At.Ring, At.Ring + this.nextOffset, cycles);
    rebaseStamps(words, this.issuedAt, words.length, cycles);
    rebaseStamps(free, 0, free.length, cycles);
  }
}

/** The place behind a place, of which a cycle has `width`: the cycle's stamp plus 1, 2, ... */
export function nextPlace(place: number, width: number): number {
  return (place & PART) < width ? place + 1 : (place & WHOLE) + ONE + 1;
}

/** A stamp after the base has moved on by `cycles`: with its blame, never before LONG_AGO. */
export function rebased(stamp: number, cycles: number): number {
  // `| 0`: a field that once held a double holds doubles for ever, in every object of its class.
  const moved = stamp - cycles * ONE;
  return moved < PAST ? PAST | (stamp & PART) : moved | 0;
}

export function rebaseStamps(words: Int32Array, from: number, to: number, cycles: number): void {
  for (let i = from; i < to; i++) words[i] = rebased(words[i], cycles);
}
