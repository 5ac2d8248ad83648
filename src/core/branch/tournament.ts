import type { BranchPredictorSpec } from "../../machine/spec.js";
import { INST_SHIFT } from "./btb.js";
import { bump, type DirectionPredictor } from "./direction.js";

/**
 * gem5's TournamentBP, after the Alpha 21264 (Kessler, _The Alpha 21264 Microprocessor_, IEEE Micro 1999): a local predictor (a table of branch histories that index two-bit counters), a
 * global one (two-bit counters indexed by the global history) and a chooser indexed by the global history.
 * All counters begin at 0 (not taken; local chosen). Two-bit counters, threshold 2.
 */
export class TournamentDirection implements DirectionPredictor {
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
    this.history = ((this.history << 1) | (taken ? 1 : 0)) & this.historyMask;
    return predicted;
  }

  /** Into the global history alone. */
  always(_pc: number): void {
    this.history = ((this.history << 1) | 1) & this.historyMask;
  }

  flush(): void {
    this.localHistory.fill(0);
    this.localCounters.fill(0);
    this.globalCounters.fill(0);
    this.choiceCounters.fill(0);
    this.history = 0;
  }
}
