/**
 * A branch prediction unit: direction, target and return address. The core calls `predict` once for each
 * executed branch, in program order, when its block is fetched, and tells it at once what came of it: the
 * trace knows. So histories hold right-path outcomes only.
 *
 * `pc` is the low 31 bits of the branch's virtual address, `next` those of the instruction behind it,
 * `target` those of where the branch really went.
 */
export interface BranchUnit {
  /**
   * @returns true when fetch went the right way by itself: predicted not taken and it was not, or
   * predicted taken to the right target. Then it learns the outcome.
   */
  predict(kind: number, pc: number, next: number, taken: boolean, target: number): boolean;
  /** Back to the initial state. Counters go on. */
  flush(): void;
  /** Counts of BRANCH_COUNTERS, in that order; owned by the unit. */
  readonly counts: Float64Array;
}

/** What every unit counts (0 where it has no such part). */
export const BRANCH_COUNTERS = [
  ["lookups", "branches offered to the predictor"],
  ["condPredicted", "conditional branches predicted"],
  ["condIncorrect", "conditional branches whose direction was predicted wrongly"],
  ["BTBLookups", "lookups of the branch target buffer"],
  ["BTBHits", "of them, hits"],
  ["RASUsed", "returns predicted by the return address stack"],
  ["RASIncorrect", "of them, wrong"],
  ["indirectLookups", "lookups of the indirect predictor"],
  ["indirectHits", "of them, hits with any target"],
  ["indirectMispredicted", "of them, hits with a wrong target"],
] as const;
export const BranchCount = {
  Lookups: 0,
  CondPredicted: 1,
  CondIncorrect: 2,
  BtbLookups: 3,
  BtbHits: 4,
  RasUsed: 5,
  RasIncorrect: 6,
  IndirectLookups: 7,
  IndirectHits: 8,
  IndirectMispredicted: 9,
} as const;
