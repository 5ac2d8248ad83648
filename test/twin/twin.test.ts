import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { decodeBlocks } from "../../src/loader/decode/index.js";
import { openTrace, type Trace } from "../../src/loader/index.js";
import { loadMachine, machineNames } from "../../src/machine/load.js";
import type { MachineSpec } from "../../src/machine/spec.js";
import { sliceInvocations } from "../../src/tools/slice.js";
import { Random } from "../support/random.js";
import { temporaryPath } from "../support/trace-builder.js";
import { NaiveMachine } from "./naive-machine.js";
import { type RunOptions, simulated } from "./outcome.js";
import { randomMachine } from "./random-machine.js";
import { randomTrace } from "./random-trace.js";

// README.md says what these do.
const RUNS = Number(process.env.TWIN_RUNS ?? 36);
const FIRST = Number(process.env.TWIN_SEED ?? 1);
const CORES = process.env.TWIN_CORES === undefined ? [1, 2, 3] : [Number(process.env.TWIN_CORES)];
/** Invocations of a shipped trace; with more than one Jukebox, as the paper has it, has something to replay. */
const LAST = Number(process.env.TWIN_INVOCATIONS ?? 1) - 1;
const JUKEBOX = LAST > 0 ? { replayDistance: -1 } : undefined;
const ALL_TRACES = process.env.TWIN_TRACES !== undefined;

function agree(spec: MachineSpec, trace: Trace, options: RunOptions, again: string): void {
  const decoded = decodeBlocks(trace.blocks, trace.pages);
  const got = simulated(spec, trace, decoded, options);
  const expected = new NaiveMachine(spec, trace, decoded, options).run();
  trace.close();
  expect(got, again).toEqual(expected);
}

describe("a random machine and its naive twin agree on every counter of a random program", () => {
  for (const cores of CORES) {
    it(`with ${cores} cores`, { timeout: 24 * 3600 * 1000 }, () => {
      for (let seed = FIRST; seed < FIRST + Math.ceil(RUNS / CORES.length); seed++) {
        const random = new Random(seed);
        const trace = randomTrace(random, { cores, executions: 30 + random.int(400) });
        const spec = randomMachine(random, cores);
        const flush = {
          caches: random.chance(0.3),
          tlbs: random.chance(0.3),
          predictors: random.chance(0.3),
        };
        const { cache } = spec.levels.find(({ name }) => name === spec.jukebox!.level)!;
        const jukebox = random.chance(0.4) && cache.mshrs > cache.demandReservedMshrs ? {} : undefined;
        if (jukebox !== undefined) flush.caches = true;
        agree(spec, trace, { seed, flush, jukebox }, `TWIN_SEED=${seed} TWIN_CORES=${cores} TWIN_RUNS=1`);
      }
    });
  }
});

describe("a machine and its naive twin agree on every counter of the first invocation of a trace", () => {
  const cases = ALL_TRACES
    ? ["fibonacci-go", "fibonacci-python", "fibonacci-nodejs"].flatMap((name) =>
        machineNames().flatMap((machine) => ["pipeline", "timing"].map((model) => [name, machine, model])),
      )
    : [["fibonacci-go", "simple", "pipeline"]];
  it.each(cases)("%s, on %s, %s", { timeout: 3600 * 1000 }, (name, machine, model) => {
    const whole = openTrace(fileURLToPath(new URL(`../../traces/${name}.trace`, import.meta.url)));
    const path = temporaryPath("first.trace");
    sliceInvocations(whole, path, [0, LAST], 0);
    whole.close();
    const trace = openTrace(path);
    const spec = loadMachine(machine, [
      { path: "core.model", value: model },
      { path: "cores", value: trace.header.cores },
    ]);
    const flush = { caches: true, tlbs: true, predictors: true };
    const jukebox = spec.jukebox === undefined ? undefined : JUKEBOX;
    agree(spec, trace, { seed: 1, flush, jukebox }, `${name} on ${machine}, ${model}`);
  });
});
