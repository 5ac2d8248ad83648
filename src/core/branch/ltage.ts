import type { LoopSpec, TageSpec } from "../../machine/spec.js";
import type { DirectionPredictor } from "./direction.js";
import { LoopPredictor } from "./loop.js";
import { TageDirection } from "./tage.js";

/** L-TAGE (Seznec, _A 256 Kbits L-TAGE Branch Predictor_, JILP 9, 2007; gem5: LTAGE): TAGE and a loop predictor. */
export class LtageDirection implements DirectionPredictor {
  private readonly tage: TageDirection;
  private readonly loops: LoopPredictor;

  constructor(tage: TageSpec, loop: LoopSpec) {
    this.tage = new TageDirection(tage);
    this.loops = new LoopPredictor(loop);
  }

  predict(pc: number, taken: boolean): boolean {
    const other = this.tage.predict(pc, taken);
    const chosen = this.loops.choose(pc, other);
    this.loops.learn(taken, other, chosen);
    return chosen;
  }

  always(pc: number): void {
    this.tage.always(pc);
  }

  flush(): void {
    this.tage.flush();
    this.loops.flush();
  }
}
