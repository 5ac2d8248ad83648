import { CLASS_FIELD, NO_REG, REGS, UOP_CLASSES, UopClass } from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import { Cause } from "./counters.js";

/**
 * srcRegsRelativeLats of gem5's default functional units: an instruction may issue this many cycles before
 * its sources are there.
 */
const RELATIVE_LATENCY = [2, 0, 0, 2, 2, 1, 0];

/** Where things are in `times` and `marks` of `Units`. */
export const Slot = {
  /** times: cycle at which each register's value is there. marks: whom to blame for waiting. */
  Register: 0,
  /** times: opLatency by class. marks: 1 where issue must look for a free unit. */
  Latency: REGS,
  /** times: how much earlier than its sources a class may issue. marks: index of the oldest entry of its ring of commits. */
  Relative: REGS + 8,
  /**
   * times: rings of the last commits of each class, as many as its pipelines hold. marks: index of the entry
   * that follows.
   */
  Hold: REGS + 16,
} as const;

/**
 * Timing of the functional units by class, the scoreboard, and the rings between fetch and execution: one
 * array of times and one of small numbers, so that the hot loop has few arrays to keep at hand.
 */
export class Units {
  readonly times: Float64Array;
  readonly marks: Int32Array;
  readonly issueLatency = new Float64Array(UOP_CLASSES);
  /** Units of class c: free[unitBase[c] .. unitBase[c + 1]). */
  readonly unitBase = new Int32Array(UOP_CLASSES + 1);
  readonly free: Float64Array;
  /** Two rings of `ring` entries in `times`: issue cycles by micro-op number, then cycles of leaving Fetch2 by instruction number, whose line segments are in `marks`. */
  readonly ringStart: number;

  /** @param ring entries of the rings between fetch and execution. */
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
      sizes.push(c === UopClass.Mem ? spec.lsqTransfersQueue : fu.count * fu.opLatency);
    }
    this.unitBase[UOP_CLASSES] = units;
    this.free = new Float64Array(units);
    this.ringStart = Slot.Hold + sizes.reduce((a, b) => a + b, 0);
    this.times = new Float64Array(this.ringStart + 2 * ring);
    this.marks = new Int32Array(this.ringStart + 2 * ring);
    const { times, marks } = this;
    marks.fill(Cause.Dependency, 0, REGS);
    times[NO_REG] = -1;
    times.fill(-1, this.ringStart, this.ringStart + ring);
    let at: number = Slot.Hold;
    for (let c = 0; c < UOP_CLASSES; c++) {
      const fu = spec.fu[CLASS_FIELD[c]];
      times[Slot.Latency + c] = fu.opLatency;
      times[Slot.Relative + c] = RELATIVE_LATENCY[c];
      this.issueLatency[c] = fu.issueLatency;
      const most = c === UopClass.Mem ? spec.executeMemoryIssueLimit : spec.executeIssueLimit;
      marks[Slot.Latency + c] =
        fu.issueLatency > 1 || fu.count < Math.min(most, spec.executeIssueLimit) ? 1 : 0;
      marks[Slot.Relative + c] = at;
      for (let i = 0; i < sizes[c]; i++) marks[at + i] = i + 1 < sizes[c] ? at + i + 1 : at;
      at += sizes[c];
    }
  }
}
