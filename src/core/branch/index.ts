import { InputError, suggestion } from "../../errors.js";
import type { BranchPredictorSpec } from "../../machine/spec.js";
import type { BranchUnit } from "./contract.js";
import { NoBranchUnit } from "./none.js";
import { TournamentUnit } from "./tournament.js";

export { BRANCH_COUNTERS, BranchCount, type BranchUnit } from "./contract.js";

/** Branch prediction units by name. A new one is an ordinary class and a line here. */
const UNITS: Record<string, (spec: BranchPredictorSpec) => BranchUnit> = {
  none: () => new NoBranchUnit(),
  tournament: (spec) => new TournamentUnit(spec),
};

/** Throws InputError with a suggestion when the name is unknown. */
export function createBranchUnit(spec: BranchPredictorSpec): BranchUnit {
  const make = Object.hasOwn(UNITS, spec.name) ? UNITS[spec.name] : undefined;
  if (make === undefined)
    throw new InputError(
      `core.branchPredictor.name: unknown branch predictor "${spec.name}".${suggestion(spec.name, Object.keys(UNITS))}`,
    );
  return make(spec);
}
