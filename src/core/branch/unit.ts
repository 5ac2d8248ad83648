import { BranchKind } from "../../loader/decode/rows.js";
import type { BranchPredictorSpec } from "../../machine/spec.js";
import { Btb } from "./btb.js";
import { BRANCH_COUNTERS, BranchCount, type BranchUnit } from "./contract.js";
import type { DirectionPredictor } from "./direction.js";
import { IndirectPredictor } from "./indirect.js";
import { ReturnStack } from "./ras.js";

/**
 * A direction predictor with what all units share: BTB for direct targets, return address stack, indirect
 * predictor (gem5: BPredUnit).
 */
export class PredictionUnit implements BranchUnit {
  readonly counts = new Float64Array(BRANCH_COUNTERS.length);
  private readonly direction: DirectionPredictor;
  private readonly btb: Btb;
  private readonly ras: ReturnStack;
  private readonly indirect: IndirectPredictor;

  /** @param direction makes the direction predictor; the BTB that it shares with the unit is given to it */
  constructor(spec: BranchPredictorSpec, direction: (btb: Btb) => DirectionPredictor) {
    this.btb = new Btb(spec.btbEntries, spec.btbTagBits);
    this.direction = direction(this.btb);
    this.ras = new ReturnStack(spec.rasEntries);
    this.indirect = new IndirectPredictor(spec.indirectSets, spec.indirectWays, spec.indirectTagBits);
  }

  predict(kind: number, pc: number, next: number, taken: boolean, target: number): boolean {
    const counts = this.counts;
    counts[BranchCount.Lookups]++;
    switch (kind) {
      case BranchKind.Conditional: {
        counts[BranchCount.CondPredicted]++;
        const predicted = this.direction.predict(pc, taken);
        if (predicted !== taken) counts[BranchCount.CondIncorrect]++;
        if (!predicted) {
          // A wrong not-taken branch is entered when it is executed.
          if (taken) this.btb.update(pc, target);
          return !taken;
        }
        return this.direct(pc, target, taken);
      }
      case BranchKind.DirectCall:
        this.ras.push(next);
        this.direction.always(pc);
        return this.direct(pc, target, true);
      case BranchKind.DirectJump:
        this.direction.always(pc);
        return this.direct(pc, target, true);
      case BranchKind.Return: {
        this.direction.always(pc);
        const predicted = this.ras.pop();
        if (predicted < 0) return false;
        counts[BranchCount.RasUsed]++;
        if (predicted === target) return true;
        counts[BranchCount.RasIncorrect]++;
        return false;
      }
      case BranchKind.IndirectCall:
        this.ras.push(next);
        return this.indirectTarget(pc, target);
      case BranchKind.IndirectJump:
        return this.indirectTarget(pc, target);
      default:
        return false;
    }
  }

  /** Predicted taken: right when the BTB has the target. A miss goes on as not taken, as in gem5. */
  private direct(pc: number, target: number, taken: boolean): boolean {
    const counts = this.counts;
    counts[BranchCount.BtbLookups]++;
    const found = this.btb.lookup(pc);
    if (found >= 0) counts[BranchCount.BtbHits]++;
    if (!taken) return found < 0;
    if (found === target) return true;
    this.btb.update(pc, target);
    return false;
  }

  private indirectTarget(pc: number, target: number): boolean {
    const counts = this.counts;
    this.direction.always(pc);
    counts[BranchCount.IndirectLookups]++;
    const found = this.indirect.lookup(pc);
    this.indirect.update(pc, target);
    if (found < 0) return false;
    counts[BranchCount.IndirectHits]++;
    if (found === target) return true;
    counts[BranchCount.IndirectMispredicted]++;
    return false;
  }

  flush(): void {
    this.direction.flush();
    this.btb.flush();
    this.ras.flush();
    this.indirect.flush();
  }
}
