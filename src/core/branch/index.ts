import { InputError, suggestion } from "../../errors.js";
import {
  type BranchPredictorSpec,
  bimodalSchema,
  gshareSchema,
  loopSchema,
  ltageSchema,
  perceptronSchema,
  tageSchema,
} from "../../machine/spec.js";
import { BimodalDirection } from "./bimodal.js";
import type { BranchUnit } from "./contract.js";
import type { DirectionPredictor } from "./direction.js";
import { GshareDirection } from "./gshare.js";
import { LtageDirection } from "./ltage.js";
import { NoBranchUnit } from "./none.js";
import { PerceptronDirection } from "./perceptron.js";
import { AlwaysTaken, BackwardTaken } from "./static.js";
import { TageDirection } from "./tage.js";
import { TournamentDirection } from "./tournament.js";
import { PredictionUnit } from "./unit.js";

export { BRANCH_COUNTERS, BranchCount, type BranchUnit } from "./contract.js";

/** Makes the unit of one core. Throws InputError with what it expects. */
export type BranchUnitFactory = (spec: BranchPredictorSpec) => BranchUnit;

const withDirection =
  (make: (spec: BranchPredictorSpec) => DirectionPredictor): BranchUnitFactory =>
  (spec) =>
    new PredictionUnit(spec, () => make(spec));

/** Branch prediction units by name. A new one is an ordinary class and a line here, or a plug-in. */
const UNITS = new Map<string, BranchUnitFactory>([
  ["none", () => new NoBranchUnit()],
  ["always-taken", withDirection(() => new AlwaysTaken())],
  ["btfn", (spec) => new PredictionUnit(spec, (btb) => new BackwardTaken(btb))],
  ["bimodal", withDirection((spec) => new BimodalDirection(spec.bimodal ?? bimodalSchema.parse({})))],
  ["gshare", withDirection((spec) => new GshareDirection(spec.gshare ?? gshareSchema.parse({})))],
  ["tournament", withDirection((spec) => new TournamentDirection(spec))],
  [
    "perceptron",
    withDirection((spec) => new PerceptronDirection(spec.perceptron ?? perceptronSchema.parse({}))),
  ],
  ["tage", withDirection((spec) => new TageDirection(spec.tage ?? tageSchema.parse({})))],
  [
    "ltage",
    withDirection(
      (spec) => new LtageDirection(spec.ltage ?? ltageSchema.parse({}), spec.loop ?? loopSchema.parse({})),
    ),
  ],
]);

export function branchUnitNames(): string[] {
  return [...UNITS.keys()];
}

/** Adds a plug-in's unit. Throws InputError when the name is taken. */
export function registerBranchUnit(name: string, factory: BranchUnitFactory): void {
  if (UNITS.has(name)) throw new InputError(`branch predictor "${name}": the name is taken`);
  UNITS.set(name, factory);
}

/** Throws InputError with a suggestion when the name is unknown. */
export function createBranchUnit(spec: BranchPredictorSpec): BranchUnit {
  const make = UNITS.get(spec.name);
  if (make === undefined)
    throw new InputError(
      `core.branchPredictor.name: unknown branch predictor "${spec.name}".${suggestion(spec.name, branchUnitNames())}`,
    );
  return make(spec);
}
