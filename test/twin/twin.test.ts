import { describe, expect, it } from "vitest";
import { decodeBlocks } from "../../src/loader/decode/index.js";
import { Random } from "../support/random.js";
import { NaiveMachine } from "./naive-machine.js";
import { simulated } from "./outcome.js";
import { randomMachine } from "./random-machine.js";
import { randomTrace } from "./random-trace.js";

const RUNS = Number(process.env.TWIN_RUNS ?? 36);
const FIRST = Number(process.env.TWIN_SEED ?? 1);
const CORES = process.env.TWIN_CORES;

/** Runs a random program on a random machine and on its twin. */
function compare(seed: number, cores: number): void {
  const random = new Random(seed);
  const trace = randomTrace(random, { cores, executions: 30 + random.int(400), racing: false });
  const decoded = decodeBlocks(trace.blocks, trace.pages);
  const spec = randomMachine(random, cores);
  const options = {
    seed,
    flush: { caches: random.chance(0.3), tlbs: random.chance(0.3), predictors: random.chance(0.3) },
  };
  const got = simulated(spec, trace, decoded, options);
  const { late: _, ...expected } = new NaiveMachine(spec, trace, decoded, options).run();
  trace.close();
  expect(got, `TWIN_SEED=${seed} TWIN_CORES=${cores}`).toEqual(expected);
}

describe("the machine and its naive twin agree on every counter", () => {
  for (const cores of CORES === undefined ? [1, 2, 3] : [Number(CORES)]) {
    it(`with ${cores} cores`, () => {
      for (let seed = FIRST; seed < FIRST + RUNS / 3; seed++) compare(seed, cores);
    });
  }
});
