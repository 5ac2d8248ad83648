import { describe, expect, it, test } from "vitest";
import {
  BRANCH_COUNTERS,
  BranchCount,
  branchUnitNames,
  createBranchUnit,
} from "../../src/core/branch/index.js";
import { InputError } from "../../src/errors.js";
import { BranchKind } from "../../src/loader/decode/index.js";
import { type BranchPredictorSpec, branchPredictorSchema } from "../../src/machine/spec.js";
import { NAIVE_DIRECTIONS, naiveUnit } from "./naive-branch.js";
import { seeded } from "./random-program.js";

const SMALL: Partial<BranchPredictorSpec> = {
  localEntries: 16,
  globalEntries: 32,
  choiceEntries: 64,
  btbEntries: 16,
  btbTagBits: 3,
  rasEntries: 3,
  indirectSets: 4,
  indirectWays: 2,
  indirectTagBits: 4,
};

/** Small tables, so that branches collide. */
const SMALL_TAGE = {
  sizeBits: [5, 4, 5, 4, 3],
  tagBits: [4, 5, 6, 7],
  minHistory: 3,
  maxHistory: 40,
  usefulResetBits: 8,
};
const SMALL_LOOP = { entries: 8, ways: 2, tagBits: 3, tripBits: 4 };

/** Small sizes by name. */
const SMALL_OF: Record<string, object> = {
  bimodal: { bimodal: { entries: 16 } },
  gshare: { gshare: { entries: 32 } },
  perceptron: { perceptron: { entries: 8, historyLength: 5 } },
  tage: { tage: SMALL_TAGE },
  ltage: { ltage: SMALL_TAGE, loop: SMALL_LOOP },
};

describe("branch prediction", () => {
  it("has a twin for every unit but the one that predicts nothing", () => {
    expect(["none", ...Object.keys(NAIVE_DIRECTIONS)].sort()).toEqual(branchUnitNames().sort());
  });

  test.each(Object.keys(NAIVE_DIRECTIONS))(
    "of the %s unit equals that of a naive twin on random branches, also after flushes",
    (name) => {
      for (let seed = 1; seed <= 4; seed++) {
        const random = seeded(seed);
        const spec = branchPredictorSchema.parse(seed & 1 ? { ...SMALL, ...SMALL_OF[name], name } : { name });
        const unit = createBranchUnit(spec);
        const twin = naiveUnit(spec)!;
        const sites = Array.from({ length: 40 }, () => random(2 ** 31 - 64));
        const executions = new Map<number, number>();
        for (let i = 0; i < 5000; i++) {
          const pc = sites[random(3) ? i % 5 : random(40)];
          const kind = random(4) ? BranchKind.Conditional : 1 + random(6);
          const nth = executions.get(pc) ?? 0;
          executions.set(pc, nth + 1);
          // A loop of 4 to 7 trips, mostly taken, or every third.
          const pattern = pc & 16 ? nth % (4 + (pc & 3)) > 0 : pc & 8 ? random(8) > 0 : i % 3 === 0;
          const taken = kind !== BranchKind.Conditional || pattern;
          const target =
            kind === BranchKind.Return && random(2)
              ? sites[random(3)] + 5
              : sites[random(random(2) ? 2 : 40)];
          const got = unit.predict(kind, pc, pc + 5, taken, target);
          const expected = twin.predict(kind, pc, pc + 5, taken, target);
          if (got !== expected) expect({ seed, i, got }).toEqual({ seed, i, got: expected });
          if (random(3000) === 0) {
            unit.flush();
            twin.flush();
          }
        }
        expect(unit.counts[BranchCount.CondPredicted]).toBeGreaterThan(2000);
        const counts = BRANCH_COUNTERS.map(([counter], i) => [counter, unit.counts[i]]);
        expect(counts).toEqual(BRANCH_COUNTERS.map(([counter]) => [counter, twin.counts.get(counter) ?? 0]));
      }
    },
  );

  /** Directions that a unit predicts for a branch at one place; a run of "T" and "N". */
  const directions = (name: string, outcomes: string, keys: object = {}) => {
    const unit = createBranchUnit(branchPredictorSchema.parse({ name, ...keys }));
    return [...outcomes]
      .map((outcome) => {
        const before = unit.counts[BranchCount.CondIncorrect];
        unit.predict(
          BranchKind.Conditional,
          0x4000,
          0x4004,
          outcome === "T",
          outcome === "T" ? 0x3000 : 0x4004,
        );
        const wrong = unit.counts[BranchCount.CondIncorrect] > before;
        return wrong ? (outcome === "T" ? "N" : "T") : outcome;
      })
      .join("");
  };

  test.each([
    ["always-taken", "TNTN", "TTTT", {}],
    // Taken once, the target is held and lies behind.
    ["btfn", "NTNT", "NNTT", {}],
    // A counter from 0: taken from its second step on, through one not taken.
    ["bimodal", "TTTTNTNNT", "NNTTTTTTN", {}],
    // Two bits of history, so one counter each for behind TT, NT, TN, NN; alternation is learnt in two rounds.
    ["gshare", "TNTNTNTNTN", "NNNNNNTNTN", { gshare: { entries: 4 } }],
    // Bias and weight 0 0 (output 0 is taken), -1 1, -2 2, -1 1 behind a taken branch: 0 again.
    ["perceptron", "NNTT", "TNNT", { perceptron: { entries: 1, historyLength: 1 } }],
  ])("%s predicts %s as %s", (name, outcomes, predicted, keys) => {
    expect(directions(name, outcomes, keys)).toBe(predicted);
  });

  it("of tage and ltage learns what needs a longer history than gshare's, ltage also long loops", () => {
    const wrong = (name: string, outcomes: string) => {
      const tail = outcomes.slice(outcomes.length / 2);
      return [...directions(name, outcomes).slice(outcomes.length / 2)].filter((d, i) => d !== tail[i])
        .length;
    };
    const every30th = `${"T".repeat(29)}N`.repeat(200);
    expect(wrong("tournament", every30th)).toBeGreaterThan(50);
    expect(wrong("tage", every30th)).toBeLessThan(10);
    const every900th = `${"T".repeat(899)}N`.repeat(20);
    expect(wrong("tage", every900th)).toBe(10);
    expect(wrong("ltage", every900th)).toBe(0);
  });

  it("predicts a branch that is always taken after 14 executions, and not the first time", () => {
    const unit = createBranchUnit(branchPredictorSchema.parse({}));
    const right = Array.from({ length: 16 }, () =>
      unit.predict(BranchKind.Conditional, 0x1000, 0x1002, true, 0xf00),
    );
    expect(right.slice(-2)).toEqual([true, true]);
    expect(right[0]).toBe(false);
  });

  it("predicts a return to behind the call", () => {
    const unit = createBranchUnit(branchPredictorSchema.parse({}));
    unit.predict(BranchKind.DirectCall, 0x1000, 0x1005, true, 0x2000);
    expect(unit.predict(BranchKind.Return, 0x2010, 0x2011, true, 0x1005)).toBe(true);
  });

  it("named none is right exactly when a branch is not taken", () => {
    const unit = createBranchUnit(branchPredictorSchema.parse({ name: "none" }));
    expect(unit.predict(BranchKind.Conditional, 0, 2, false, 9)).toBe(true);
    expect(unit.predict(BranchKind.DirectJump, 0, 2, true, 9)).toBe(false);
    expect(unit.counts[BranchCount.Lookups]).toBe(0);
  });

  it("of an unknown name is an error that names the nearest", () => {
    const make = () => createBranchUnit(branchPredictorSchema.parse({ name: "tournamet" }));
    expect(make).toThrow(InputError);
    expect(make).toThrow('Did you mean "tournament"?');
  });
});
