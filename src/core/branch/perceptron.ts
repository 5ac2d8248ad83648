import type { PerceptronSpec } from "../../machine/spec.js";
import { INST_SHIFT } from "./btb.js";
import type { DirectionPredictor } from "./direction.js";

const WEIGHT_MAX = 127;
const WEIGHT_MIN = -128;

/**
 * Perceptrons (Jimenez and Lin, _Dynamic Branch Prediction with Perceptrons_, HPCA 2001): each has a bias and a
 * weight of eight bits for each outcome of the global history, which count as 1 and -1. It is trained when it was
 * wrong, or its output not beyond the threshold 1.93 h + 14. The history is that of conditional branches.
 */
export class PerceptronDirection implements DirectionPredictor {
  /** Bias first, then the weights, latest outcome first. */
  private readonly weights: Int8Array;
  /** Outcomes as 1 and -1, a ring; the latest is at `head`. */
  private readonly history: Int8Array;
  private head = 0;
  private readonly length: number;
  private readonly mask: number;
  private readonly threshold: number;

  constructor(spec: PerceptronSpec) {
    this.length = spec.historyLength;
    this.weights = new Int8Array(spec.entries * (this.length + 1));
    this.history = new Int8Array(this.length).fill(-1);
    this.mask = spec.entries - 1;
    this.threshold = Math.floor(1.93 * this.length + 14);
  }

  predict(pc: number, taken: boolean): boolean {
    const { weights, history, length } = this;
    const base = ((pc >>> INST_SHIFT) & this.mask) * (length + 1);
    let sum = weights[base];
    let h = this.head;
    for (let i = 1; i <= length; i++) {
      sum += weights[base + i] * history[h];
      if (++h === length) h = 0;
    }
    const predicted = sum >= 0;
    const outcome = taken ? 1 : -1;
    if (predicted !== taken || Math.abs(sum) <= this.threshold) {
      weights[base] = clamp(weights[base] + outcome);
      h = this.head;
      for (let i = 1; i <= length; i++) {
        weights[base + i] = clamp(weights[base + i] + outcome * history[h]);
        if (++h === length) h = 0;
      }
    }
    this.head = this.head === 0 ? length - 1 : this.head - 1;
    history[this.head] = outcome;
    return predicted;
  }

  always(_pc: number): void {}

  flush(): void {
    this.weights.fill(0);
    this.history.fill(-1);
    this.head = 0;
  }
}

function clamp(weight: number): number {
  return weight > WEIGHT_MAX ? WEIGHT_MAX : weight < WEIGHT_MIN ? WEIGHT_MIN : weight;
}
