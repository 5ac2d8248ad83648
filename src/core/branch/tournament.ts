import { BranchKind } from "../../loader/decode/rows.js";
import type { BranchPredictorSpec } from "../../machine/spec.js";
import { Btb, INST_SHIFT } from "./btb.js";
import { BRANCH_COUNTERS, BranchCount, type BranchUnit } from "./contract.js";
import { IndirectPredictor } from "./indirect.js";
import { ReturnStack } from "./ras.js";

/**
 * gem5's TournamentBP: a local predictor (a table of branch histories that index two-bit counters), a
 * global one (two-bit counters indexed by the global history) and a chooser indexed by the global history.
 * All counters begin at 0 (not taken; local chosen). Two-bit counters, threshold 2.
 */
export class TournamentDirection {
  private readonly localHistory: Int32Array;
  private readonly localCounters: Uint8Array;
  private readonly globalCounters: Uint8Array;
  private readonly choiceCounters: Uint8Array;
  private readonly localMask: number;
  private readonly globalMask: number;
  private readonly choiceMask: number;
  private readonly historyMask: number;
  private history = 0;

  constructor(spec: BranchPredictorSpec) {
    this.localHistory = new Int32Array(spec.localEntries);
    this.localCounters = new Uint8Array(spec.localEntries);
    this.globalCounters = new Uint8Array(spec.globalEntries);
    this.choiceCounters = new Uint8Array(spec.choiceEntries);
    this.localMask = spec.localEntries - 1;
    this.globalMask = spec.globalEntries - 1;
    this.choiceMask = spec.choiceEntries - 1;
    this.historyMask = Math.max(spec.globalEntries, spec.choiceEntries) - 1;
  }

  /** @returns the predicted direction, having learnt the outcome. */
  predict(pc: number, taken: boolean): boolean {
    const at = (pc >>> INST_SHIFT) & this.localMask;
    const local = this.localHistory[at];
    const global = this.history & this.globalMask;
    const choice = this.history & this.choiceMask;
    const localTaken = this.localCounters[local] >= 2;
    const globalTaken = this.globalCounters[global] >= 2;
    const predicted = this.choiceCounters[choice] >= 2 ? globalTaken : localTaken;
    if (localTaken !== globalTaken) bump(this.choiceCounters, choice, globalTaken === taken);
    bump(this.globalCounters, global, taken);
    bump(this.localCounters, local, taken);
    this.localHistory[at] = ((local << 1) | (taken ? 1 : 0)) & this.localMask;
    this.always(taken);
    return predicted;
  }

  /** Takes an outcome into the global history alone (unconditional branches are taken). */
  always(taken: boolean): void {
    this.history = ((this.history << 1) | (taken ? 1 : 0)) & this.historyMask;
  }

  flush(): void {
    this.localHistory.fill(0);
    this.localCounters.fill(0);
    this.globalCounters.fill(0);
    this.choiceCounters.fill(0);
    this.history = 0;
  }
}

function bump(counters: Uint8Array, i: number, up: boolean): void {
  const value = counters[i];
  if (up) {
    if (value < 3) counters[i] = value + 1;
  } else if (value > 0) counters[i] = value - 1;
}

/** Tournament direction predictor, BTB for direct targets, return address stack, indirect predictor. */
export class TournamentUnit implements BranchUnit {
  readonly counts = new Float64Array(BRANCH_COUNTERS.length);
  private readonly direction: TournamentDirection;
  private readonly btb: Btb;
  private readonly ras: ReturnStack;
  private readonly indirect: IndirectPredictor;

  constructor(spec: BranchPredictorSpec) {
    this.direction = new TournamentDirection(spec);
    this.btb = new Btb(spec.btbEntries, spec.btbTagBits);
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
        this.direction.always(true);
        return this.direct(pc, target, true);
      case BranchKind.DirectJump:
        this.direction.always(true);
        return this.direct(pc, target, true);
      case BranchKind.Return: {
        this.direction.always(true);
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
    this.direction.always(true);
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
