import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { PROTOCOLS } from "../../src/experiment/protocols.js";
import { runProtocol } from "../../src/experiment/run.js";
import { decodeBlocks } from "../../src/loader/decode/index.js";
import { loadMachine, machineNames, parseMachine } from "../../src/machine/load.js";
import { prefetcherNames } from "../../src/prefetch/index.js";
import { Random } from "../support/random.js";
import { randomMachine } from "../twin/random-machine.js";
import { randomTrace } from "../twin/random-trace.js";
import { plausible, randomPlace, wrong } from "./random-description.js";

const RUNS = Number(process.env.FUZZ_RUNS ?? 150);
const FIRST = Number(process.env.FUZZ_SEED ?? 1);
const TIME = { timeout: 24 * 3600 * 1000 };

/** A description to begin with: a shipped machine or a random one, with Jukebox and other prefetchers. */
function description(random: Random, cores: number): Record<string, unknown> {
  const machine = random.chance(0.4)
    ? loadMachine(random.pick(machineNames()))
    : randomMachine(random, cores);
  const levels = ["l1i", "l1d", ...machine.levels.map(({ name }) => name)];
  const data = {
    ...machine,
    cores,
    jukebox: { level: random.pick(levels.slice(2)), ...machine.jukebox },
    prefetchers: random.chance(0.5)
      ? []
      : [{ name: random.pick(prefetcherNames()), level: random.pick(levels) }],
  };
  return JSON.parse(JSON.stringify(data)) as Record<string, unknown>;
}

/** InputError is what a user may see; anything else is a defect. @returns whether it went well */
function accepted(act: () => void, what: () => string): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw new Error(`${what()}: ${(error as Error).stack}`);
  }
}

describe("random descriptions of machines", () => {
  it("run to their end and keep their identities, or are refused as bad input", TIME, () => {
    let ran = 0;
    for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
      const random = new Random(seed);
      const cores = 1 + random.int(2);
      const trace = randomTrace(random, { cores, executions: 20 + random.int(150), racing: true });
      const decoded = decodeBlocks(trace.blocks, trace.pages);
      const data = description(random, cores);
      for (let n = random.int(6); n > 0; n--) {
        const place = randomPlace(random, data, true);
        const value = plausible(random, place);
        if (value !== undefined) place.holder[place.key] = value;
      }
      const protocol = random.pick(PROTOCOLS);
      const well = accepted(
        () => runProtocol(trace, decoded, parseMachine(data, "fuzz"), protocol, seed),
        () => `FUZZ_SEED=${seed} FUZZ_RUNS=1 (${protocol.name}): ${JSON.stringify(data)}`,
      );
      if (well) ran++;
      trace.close();
    }
    expect(ran).toBeGreaterThan(RUNS * 0.3);
  });

  it("with one wrong value are refused with the key's name", TIME, () => {
    for (let seed = FIRST; seed < FIRST + 4 * RUNS; seed++) {
      const random = new Random(seed);
      const data = description(random, 1);
      const place = randomPlace(random, data, false);
      const value = wrong(random, place);
      if (value === undefined) continue;
      place.holder[place.key] = value;
      let message = "nothing";
      const taken = accepted(
        () => {
          try {
            parseMachine(data, "fuzz");
          } catch (error) {
            message = (error as Error).message;
            throw error;
          }
        },
        () => `FUZZ_SEED=${seed}: ${place.path} = ${JSON.stringify(value)}`,
      );
      expect({ seed, taken, message }).toEqual({
        seed,
        taken: false,
        message: expect.stringContaining(place.key),
      });
      expect(message).not.toContain("\n");
    }
  });

  it("with an unknown key are refused with its name", TIME, () => {
    for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
      const random = new Random(seed);
      const data = description(random, 1);
      const { holder, key } = randomPlace(random, data, false);
      const unknown = `${key}${random.pick(["s", "X", "_", "2"])}`;
      if (unknown in holder) continue;
      holder[unknown] = 1;
      expect(() => parseMachine(data, "fuzz"), `FUZZ_SEED=${seed}`).toThrow(InputError);
      expect(() => parseMachine(data, "fuzz"), `FUZZ_SEED=${seed}`).toThrow(unknown);
    }
  });

  it("changed by random keys on the command line are taken or refused as bad input", TIME, () => {
    const words = [
      "core",
      "levels",
      "0",
      "[0]",
      "cache",
      "l1i",
      "pipeline",
      "fu",
      "x",
      "",
      "memory",
      "sizeKiB",
    ];
    const values = [1, -1, "x", null, {}, [], true, 1e300];
    for (let seed = FIRST; seed < FIRST + 2 * RUNS; seed++) {
      const random = new Random(seed);
      const path = Array.from({ length: 1 + random.int(4) }, () => random.pick(words)).join(".");
      const override = { path, value: random.pick(values) };
      accepted(
        () => loadMachine(random.pick(machineNames()), [override]),
        () => `FUZZ_SEED=${seed}: ${JSON.stringify(override)}`,
      );
    }
  });
});
