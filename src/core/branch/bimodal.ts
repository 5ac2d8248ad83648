import type { BimodalSpec } from "../../machine/spec.js";
import { INST_SHIFT } from "./btb.js";
import { bump, type DirectionPredictor } from "./direction.js";

/**
 * A table of two-bit counters indexed by the branch address (Smith, _A Study of Branch Prediction Strategies_, ISCA
 * 1981, strategy 7; gem5: LocalBP). All begin at 0: not taken.
 */
export class BimodalDirection implements DirectionPredictor {
  private readonly counters: Uint8Array;
  private readonly mask: number;

  constructor(spec: BimodalSpec) {
    this.counters = new Uint8Array(spec.entries);
    this.mask = spec.entries - 1;
  }

  predict(pc: number, taken: boolean): boolean {
    const at = (pc >>> INST_SHIFT) & this.mask;
    const predicted = this.counters[at] >= 2;
    bump(this.counters, at, taken);
    return predicted;
  }

  always(_pc: number): void {}

  flush(): void {
    this.counters.fill(0);
  }
}
