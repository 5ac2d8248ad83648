import type { PipelineSpec } from "../machine/spec.js";
import { CLASS_FIELD, NO_REG, REGS, UOP_CLASSES, UopClass } from "../loader/decode/rows.js";
import { Cause } from "./counters.js";

/**
 * srcRegsRelativeLats of gem5's default functional units: an instruction may issue this many cycles before
 * its sources are there.
 */
const RELATIVE_LATENCY = [2, 0, 0, 2, 2, 1, 0];

/** Timing of the functional units as tables by class, and the scoreboard. */
export class Units {
  readonly latency = new Float64Array(UOP_CLASSES);
  readonly relative = new Float64Array(UOP_CLASSES);
  /** 1 where issue must look for a free unit. */
  readonly limited = new Uint8Array(UOP_CLASSES);
  readonly issueLatency = new Float64Array(UOP_CLASSES);
  /** Units of class c: free[unitBase[c] .. unitBase[c + 1]). */
  readonly unitBase = new Int32Array(UOP_CLASSES + 1);
  readonly free: Float64Array;
  /**
   * Rings of the last commits of each class, as many as its pipelines hold: the oldest of class c is at
   * holdAt[c], the one after entry i at holdNext[i].
   */
  readonly holdAt = new Int32Array(UOP_CLASSES);
  readonly holdNext: Int32Array;
  readonly hold: Float64Array;
  /** Cycle at which each register's value is there, and whom to blame for waiting. */
  readonly ready = new Float64Array(REGS);
  readonly blame = new Uint8Array(REGS).fill(Cause.Dependency);

  constructor(spec: PipelineSpec) {
    let units = 0;
    const next: number[] = [];
    for (let c = 0; c < UOP_CLASSES; c++) {
      const fu = spec.fu[CLASS_FIELD[c]];
      this.latency[c] = fu.opLatency;
      this.relative[c] = RELATIVE_LATENCY[c];
      this.issueLatency[c] = fu.issueLatency;
      this.limited[c] = fu.issueLatency > 1 || fu.count < spec.executeIssueLimit ? 1 : 0;
      this.unitBase[c] = units;
      units += fu.count;
      const size = c === UopClass.Mem ? spec.lsqTransfersQueue : fu.count * fu.opLatency;
      this.holdAt[c] = next.length;
      for (let i = 1; i <= size; i++) next.push(i < size ? next.length + 1 : next.length + 1 - size);
    }
    this.unitBase[UOP_CLASSES] = units;
    this.free = new Float64Array(units);
    this.hold = new Float64Array(next.length);
    this.holdNext = Int32Array.from(next);
    this.ready[NO_REG] = -1;
  }
}
