import { describe, expect, it } from "vitest";
import { randomProgram } from "./random-program.js";
import { build, counter, runAll, testMachine } from "./support.js";

const MODELS = ["pipeline", "timing"] as const;
const SEEDS = 60;

function outcome(model: "pipeline" | "timing", seed: number, step: number, batch?: number) {
  const { program, lines } = randomProgram(seed, 300);
  const spec = testMachine({
    model,
    itlb: { entries: 2, ways: 2 },
    dtlb: { entries: 4, ways: seed & 1 ? 4 : 1 },
    branchPredictor: { name: seed & 2 ? "tournament" : "none" },
    pipeline:
      seed & 4
        ? {
            fetch2InputBuffer: 1 + (seed & 1),
            maxAccessesInMemory: 1 + (seed % 3),
            lsqStoreBuffer: 1 + (seed % 5),
          }
        : {},
  });
  const built = build(program, spec, batch);
  for (const line of lines) built.port.missing.add(line);
  built.port.walkCycles = 7;
  const end = runAll(built, step);
  const shared = built.port.log.filter((a) => a.kind === "walk" || a.kind === "uncached");
  return {
    built,
    end,
    values: [...built.core.groups.flatMap((g) => [...g.values])],
    shared,
    log: built.port.log,
    program,
  };
}

for (const model of MODELS) {
  describe(`the ${model} core on random programs`, () => {
    it("gives every slot of every cycle exactly one cause", () => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const { built } = outcome(model, seed, 0);
        expect(built.core.checkIdentities(), `seed ${seed}`).toEqual([]);
      }
    });

    it("commits the trace's instructions", () => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const { built, program } = outcome(model, seed, 0);
        let expected = 0;
        for (const b of program.executions)
          expected += built.decoded.instrStart[b + 1] - built.decoded.instrStart[b];
        expect(counter(built, "numInsts"), `seed ${seed}`).toBe(expected);
        expect(built.core.position).toBe(program.executions.length);
      }
    });

    it("does not depend on where batches end", () => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const whole = outcome(model, seed, 0);
        for (const batch of [1, 7]) {
          const parts = outcome(model, seed, 0, batch);
          expect(parts.end, `seed ${seed}`).toBe(whole.end);
          expect(parts.values).toEqual(whole.values);
        }
      }
    });

    it("does not depend on how far the horizon moves at a time", () => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const free = outcome(model, seed, 0);
        for (const step of [1, 13]) {
          const bound = outcome(model, seed, step);
          expect(bound.end, `seed ${seed} step ${step}`).toBe(free.end);
          expect(bound.values).toEqual(free.values);
          expect(bound.shared).toEqual(free.shared);
        }
      }
    });
  });
}
