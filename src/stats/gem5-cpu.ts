import type { MachineSpec } from "../machine/spec.js";
import type { Gem5Row } from "./gem5-format.js";
import { cycleParts, instructions } from "./names.js";
import type { CounterView } from "./view.js";

/** Counters of a core's branch predictor that gem5 has under the same names. */
const BRANCH_PREDICTOR: readonly (readonly [name: string, description: string])[] = [
  ["lookups", "Branches offered to the predictor"],
  ["condPredicted", "Conditional branches predicted"],
  ["condIncorrect", "Conditional branches whose direction was predicted wrongly"],
  ["BTBLookups", "Look-ups of the branch target buffer"],
  ["BTBHits", "Hits of the branch target buffer"],
  ["RASUsed", "Returns predicted by the return address stack"],
  ["RASIncorrect", "Returns predicted wrongly by it"],
  ["indirectLookups", "Look-ups of the indirect predictor"],
  ["indirectHits", "Hits of the indirect predictor"],
  ["indirectMispredicted", "Hits of the indirect predictor with a wrong target"],
];

/** Rows of one core: system.cpuN. */
export function cpuRows(view: CounterView, machine: MachineSpec, core: number): Gem5Row[] {
  const { user, kernel } = instructions(view, core);
  const committed = user + kernel;
  const { active, idle } = cycleParts(view, machine, core);
  const rows: Gem5Row[] = [];
  const row = (stat: string, value: number, description: string, unit = "Count", sixDecimals = false) =>
    rows.push({ name: `system.cpu${core}.${stat}`, value, description, unit, sixDecimals });
  row("numCycles", active, "Active cycles", "Cycle");
  row("idleCycles", idle, "Cycles halted, or waiting for the order between cores", "Cycle");
  for (const scope of ["", "commitStats0."]) {
    row(`${scope}cpi`, active / committed, "Active cycles per instruction", "(Cycle/Count)", true);
    row(`${scope}ipc`, committed / active, "Instructions per active cycle", "(Count/Cycle)", true);
  }
  row("commitStats0.numInsts", committed, "Instructions committed");
  row("commitStats0.numOps", view.get(`cpu${core}.numOps`), "Micro-ops committed");
  for (const [name, description] of BRANCH_PREDICTOR) {
    row(`branchPred.${name}`, view.get(`cpu${core}.branchPred.${name}`), description);
  }
  // gem5 counts instruction fetches as write accesses of the instruction TLB: scripts look for them there.
  row("mmu.itb.rdAccesses", 0, "None: fetches are counted as writes, as gem5 does");
  row("mmu.itb.wrAccesses", view.get(`cpu${core}.itlb.accesses`), "Look-ups for fetches");
  row("mmu.itb.rdMisses", 0, "None: fetches are counted as writes, as gem5 does");
  row("mmu.itb.wrMisses", view.get(`cpu${core}.itlb.misses`), "Misses of fetches");
  row("mmu.dtb.accesses", view.get(`cpu${core}.dtlb.accesses`), "Look-ups for loads and stores");
  row("mmu.dtb.misses", view.get(`cpu${core}.dtlb.misses`), "Misses of loads and stores");
  for (const stat of view.under(`cpu${core}.mmu.`))
    row(`mmu.${stat}`, view.get(`cpu${core}.mmu.${stat}`), "As in stats.json");
  return rows;
}
