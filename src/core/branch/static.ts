import type { Btb } from "./btb.js";
import type { DirectionPredictor } from "./direction.js";

/** Every conditional branch is taken (Smith, _A Study of Branch Prediction Strategies_, ISCA 1981, strategy 1). */
export class AlwaysTaken implements DirectionPredictor {
  predict(_pc: number, _taken: boolean): boolean {
    return true;
  }
  always(_pc: number): void {}
  flush(): void {}
}

/**
 * Backward taken, forward not (Smith, ISCA 1981, strategy 3). Fetch knows a target from the BTB alone: a branch
 * that is not held there is not taken.
 */
export class BackwardTaken implements DirectionPredictor {
  constructor(private readonly btb: Btb) {}

  predict(pc: number, _taken: boolean): boolean {
    const target = this.btb.lookup(pc);
    return target >= 0 && target <= pc;
  }
  always(_pc: number): void {}
  flush(): void {}
}
