import { BRANCH_COUNTERS, type BranchUnit } from "./contract.js";

/** No prediction: fetch always goes on behind a branch, so each taken one redirects when it is executed. */
export class NoBranchUnit implements BranchUnit {
  readonly counts = new Float64Array(BRANCH_COUNTERS.length);

  predict(_kind: number, _pc: number, _next: number, taken: boolean, _target: number): boolean {
    return !taken;
  }

  flush(): void {}
}
