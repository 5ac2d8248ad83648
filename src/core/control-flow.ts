import { BranchKind, type DecodedTable, LOW_WORDS } from "../loader/decode/rows.js";
import type { BranchUnit } from "./branch/index.js";
import { Count } from "./counters.js";
import { Mark, type StreamBuffer } from "./stream-buffer.js";

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
/** Added to a way: a line must be fetched for the block's first byte. */
export const NEW_LINE = 8;

/** Finds out how each block is left, from the block that follows it, and asks the branch predictor. */
export class ControlFlow {
  constructor(
    private readonly decoded: DecodedTable,
    private readonly unit: BranchUnit,
    private readonly values: Float64Array,
  ) {}

  /**
   * Classifies the way into block executions [from, to) of `buffer`, in order.
   * @param previous block id before `from`, or -1 where the way into `from` is Start.
   * @returns one past the last done: stops in front of a barrier.
   */
  prepare(buffer: StreamBuffer, from: number, to: number, previous: number): number {
    const { blocks, marks, how } = buffer;
    const { page, firstLine, lastLine } = this.decoded;
    let last = previous;
    for (let i = from; i < to; i++) {
      if (marks[i] & Mark.Barrier) return i;
      const block = blocks[i];
      const way = last < 0 ? Way.Start : this.way(last, block, (marks[i] & Mark.Interrupt) !== 0);
      if (last < 0 && marks[i] & Mark.Interrupt) this.values[Count.Interrupts]++;
      how[i] =
        way !== Way.Next
          ? way | NEW_LINE
          : lastLine[last] === ((page[block] << 6) | firstLine[block])
            ? Way.Next
            : Way.Next | NEW_LINE;
      last = block;
    }
    return to;
  }

  private way(last: number, block: number, interrupted: boolean): number {
    const { branch, start, end, target, low } = this.decoded;
    const { values } = this;
    const kind = branch[last];
    const to = start[block];
    if (kind === BranchKind.None) {
      if (to === end[last] && !interrupted) return Way.Next;
      values[Count.Interrupts]++;
      return Way.Interrupt;
    }
    values[Count.Branches + kind]++;
    const conditional = kind === BranchKind.Conditional;
    const known = target[last] >= 0;
    if (interrupted || (known && to !== target[last] && !(conditional && to === end[last]))) {
      // Where the branch would have gone is not known: the predictor is not asked.
      values[Count.Interrupts]++;
      return Way.Interrupt;
    }
    if (kind === BranchKind.System) return Way.System;
    const taken = !conditional || to !== end[last];
    const right = this.unit.predict(
      kind,
      low[last * LOW_WORDS + 2],
      low[last * LOW_WORDS + 1],
      taken,
      low[block * LOW_WORDS],
    );
    if (!right) {
      values[Count.Mispredicts + kind]++;
      return Way.Mispredict;
    }
    return taken ? Way.Predicted : Way.Next;
  }
}
