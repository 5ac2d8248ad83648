import * as record from "../loader/decode/records.js";
import { BranchKind, type DecodedTable } from "../loader/decode/rows.js";
import type { BranchUnit } from "./branch/index.js";
import { Count } from "./counters.js";
import { Mark, type StreamBuffer } from "./stream-buffer.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { RECORD_SHIFT, KIND_SHIFT, KIND_MASK, NO_TARGET } = record;
const {
  Shape: SHAPE,
  FirstLine: FIRST_LINE,
  LastLine: LAST_LINE,
  Start: START_NUMBER,
  End: END_NUMBER,
  Target: TARGET,
  LowStart: LOW_START,
  LowEnd: LOW_END,
  LowLast: LOW_LAST,
} = record.R;
const { None: NO_BRANCH, Conditional: CONDITIONAL, System: SYSTEM } = BranchKind;
const { Interrupts: INTERRUPTS, Branches: BRANCHES, Mispredicts: MISPREDICTS } = Count;
const { Barrier: BARRIER, Interrupt: INTERRUPT } = Mark;

/** How fetch gets from one block to the next. */
export const Way = {
  /** Straight on. */
  Next: 0,
  /** A branch that is predicted taken, rightly: redirected by Fetch2. */
  Predicted: 1,
  /** A branch predicted wrongly: redirected when it commits. */
  Mispredict: 2,
  /** An interrupt, an exception, the return of one: redirected when what is before has committed. */
  Interrupt: 3,
  /** Fetch begins at a time that the core is told (start, after an event). */
  Start: 4,
  /** A system call or return, a far transfer: as Interrupt. */
  System: 5,
} as const;
export const WAY_MASK = 7;
/** By way: 1 where fetch is redirected at a commit, and Fetch2 has gone on on a wrong path until then. */
export const WRONG_PATH = Uint8Array.of(0, 0, 1, 1, 0, 1, 0, 0);
const {
  Next: NEXT,
  Predicted: PREDICTED,
  Mispredict: MISPREDICTED,
  Interrupt: INTERRUPTED,
  Start: START,
  System: SYSTEM_WAY,
} = Way;
/** Added to a way: a line must be fetched for the block's first byte. */
export const NEW_LINE = 8;

/** Finds out how each block is left, from the block that follows it, and asks the branch predictor. */
export class ControlFlow {
  private readonly records: Int32Array;

  constructor(
    decoded: DecodedTable,
    private readonly unit: BranchUnit,
    private readonly values: Float64Array,
  ) {
    this.records = decoded.records;
  }

  /**
   * Classifies the way into block executions [from, to) of `buffer`, in order.
   * @param previous block id before `from`, or -1 where the way into `from` is Start.
   * @returns one past the last done: stops in front of a barrier.
   */
  prepare(buffer: StreamBuffer, from: number, to: number, previous: number): number {
    const { blocks, marks, how } = buffer;
    const { records } = this;
    let last = previous < 0 ? -1 : previous << RECORD_SHIFT;
    for (let i = from; i < to; i++) {
      const mark = marks[i];
      if ((mark & BARRIER) !== 0) return i;
      const block = blocks[i] << RECORD_SHIFT;
      const interrupted = (mark & INTERRUPT) !== 0;
      let way: number = START;
      if (last >= 0) way = this.way(last, block, interrupted);
      else if (interrupted) this.values[INTERRUPTS]++;
      how[i] =
        way === NEXT && records[last | LAST_LINE] === records[block | FIRST_LINE] ? NEXT : way | NEW_LINE;
      last = block;
    }
    return to;
  }

  /** From the block whose record is at `last` to that at `block`. */
  private way(last: number, block: number, interrupted: boolean): number {
    const { records, values } = this;
    const kind = (records[last | SHAPE] >> KIND_SHIFT) & KIND_MASK;
    const straight = records[block | START_NUMBER] === records[last | END_NUMBER];
    if (kind === NO_BRANCH) {
      if (straight && !interrupted) return NEXT;
      values[INTERRUPTS]++;
      return INTERRUPTED;
    }
    values[BRANCHES + kind]++;
    const notTaken = straight && kind === CONDITIONAL;
    const target = records[last | TARGET];
    if (interrupted || (target !== NO_TARGET && !notTaken && target !== records[block | START_NUMBER])) {
      // Where the branch would have gone is not known: the predictor is not asked.
      values[INTERRUPTS]++;
      return INTERRUPTED;
    }
    if (kind === SYSTEM) return SYSTEM_WAY;
    const right = this.unit.predict(
      kind,
      records[last | LOW_LAST],
      records[last | LOW_END],
      !notTaken,
      records[block | LOW_START],
    );
    if (!right) {
      values[MISPREDICTS + kind]++;
      return MISPREDICTED;
    }
    return notTaken ? NEXT : PREDICTED;
  }
}
