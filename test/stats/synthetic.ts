import { CacheCounterLayout } from "../../src/cache/counters.js";
import { createBranchUnit } from "../../src/core/branch/index.js";
import { CoreCounters } from "../../src/core/counters.js";
import type { InvocationResult, ProtocolSpec, RunResult } from "../../src/experiment/contract.js";
import { protocol } from "../../src/experiment/protocols.js";
import { jukeboxCounters } from "../../src/jukebox/counters.js";
import { loadMachine } from "../../src/machine/load.js";
import type { MachineSpec } from "../../src/machine/spec.js";
import { createMemory } from "../../src/memory/create.js";
import { type CounterDef, CounterSheet } from "../../src/stats/counters.js";

/** Counter values by full name; what is not named is 0. */
export type Values = Record<string, number>;

/** What makes a synthetic run. Its counters are those that the parts of the machine declare. */
export interface Synthetic {
  protocol: string | ProtocolSpec;
  machine?: MachineSpec;
  /** Measured invocations, after `warm` ones that are all 0. */
  invocations: Values[];
  warm?: number;
}

/** Commit slots a cycle of the synthetic machines. */
export const SLOTS_PER_CYCLE = 2;

/** Counters of a core that commits `kernel` of its `instructions` in the kernel, in active cycles by cause and idle ones. */
export function coreValues(
  core: number,
  did: { instructions: number; kernel?: number; cycles: Record<string, number>; idle?: number },
): Values {
  const cpu = `cpu${core}`;
  const causes = Object.entries(did.cycles);
  return {
    [`${cpu}.numInsts`]: did.instructions,
    [`${cpu}.kernelInsts`]: did.kernel ?? 0,
    [`${cpu}.numCycles`]: causes.reduce((sum, [, cycles]) => sum + cycles, 0),
    [`${cpu}.idleCycles`]: did.idle ?? 0,
    [`${cpu}.slots.idle`]: SLOTS_PER_CYCLE * (did.idle ?? 0),
    ...Object.fromEntries(
      causes.map(([cause, cycles]) => [`${cpu}.slots.${cause}`, SLOTS_PER_CYCLE * cycles]),
    ),
  };
}

/** Cycles between begin and end of each synthetic invocation. */
export const REGION = 10_000;

/** The sheet of a machine, as the parts of the machine declare their counters. */
export function sheetOf(machine: MachineSpec, jukebox: boolean): CounterSheet {
  const sheet = new CounterSheet();
  const group = (path: string, defs: readonly CounterDef[]) => ({
    path,
    defs,
    values: new Float64Array(defs.length),
  });
  const cores = Array.from({ length: machine.cores }, (_, core) => core);
  for (const core of cores) {
    const branch = createBranchUnit(machine.core.branchPredictor).counts;
    for (const g of new CoreCounters(core, machine, branch, SLOTS_PER_CYCLE, () => {}).groups) sheet.add(g);
    const own = ["l1i", "l1d", ...machine.levels.filter((l) => !l.shared).map((l) => l.name)];
    for (const name of own) sheet.add(group(`cpu${core}.${name}`, new CacheCounterLayout([core]).defs));
  }
  for (const level of machine.levels)
    if (level.shared) sheet.add(group(level.name, new CacheCounterLayout(cores).defs));
  sheet.add(createMemory(machine.memory, machine.clockGHz).counters);
  if (jukebox) sheet.add(jukeboxCounters(1));
  return sheet;
}

export function syntheticRun(synthetic: Synthetic): RunResult {
  const described = synthetic.machine ?? loadMachine("simple");
  const spec = typeof synthetic.protocol === "string" ? protocol(synthetic.protocol) : synthetic.protocol;
  // As a run gives it: with what the protocol changes.
  const machine =
    spec.jukebox && described.jukebox
      ? { ...described, jukebox: { ...described.jukebox, ...spec.jukebox } }
      : described;
  const sheet = sheetOf(machine, spec.jukebox !== undefined);
  const warm = synthetic.warm ?? 0;
  const all = [...Array.from({ length: warm }, (): Values => ({})), ...synthetic.invocations];
  const invocations = all.map((values, invocation): InvocationResult => {
    const counters = new Float64Array(sheet.length);
    for (const [name, value] of Object.entries(values)) counters[sheet.slot(name)] = value;
    const beginCycle = 1000 + invocation * 2 * REGION;
    return { invocation, measured: invocation >= warm, beginCycle, endCycle: beginCycle + REGION, counters };
  });
  return {
    protocol: spec,
    machine,
    trace: {
      path: "/somewhere/else/fib.trace",
      sha256: "ab".repeat(32),
      function: "fibonacci-go",
      runtime: "go",
      cores: 2,
      functionCore: 1,
      clientCore: 0,
    },
    seed: 1,
    schema: { groups: sheet.groups.map(({ path, defs }) => ({ path, defs })) },
    invocations,
    simulatedInstructions: 123_456,
    hostSeconds: Math.random(),
  };
}
