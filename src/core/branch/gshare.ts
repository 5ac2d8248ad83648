import type { GshareSpec } from "../../machine/spec.js";
import { INST_SHIFT } from "./btb.js";
import { bump, type DirectionPredictor } from "./direction.js";

/**
 * A table of two-bit counters indexed by the branch address exclusive-or the global history of all branches
 * (McFarling, _Combining Branch Predictors_, DEC WRL TN-36, 1993; gem5: GshareBP). All begin at 0.
 */
export class GshareDirection implements DirectionPredictor {
  private readonly counters: Uint8Array;
  private readonly mask: number;
  private history = 0;

  constructor(spec: GshareSpec) {
    this.counters = new Uint8Array(spec.entries);
    this.mask = spec.entries - 1;
  }

  predict(pc: number, taken: boolean): boolean {
    const at = ((pc >>> INST_SHIFT) ^ this.history) & this.mask;
    const predicted = this.counters[at] >= 2;
    bump(this.counters, at, taken);
    this.history = ((this.history << 1) | (taken ? 1 : 0)) & this.mask;
    return predicted;
  }

  always(_pc: number): void {
    this.history = ((this.history << 1) | 1) & this.mask;
  }

  flush(): void {
    this.counters.fill(0);
    this.history = 0;
  }
}
