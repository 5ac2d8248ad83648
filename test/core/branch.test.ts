import { describe, expect, it } from "vitest";
import { BranchCount, createBranchUnit } from "../../src/core/branch/index.js";
import { InputError } from "../../src/errors.js";
import { BranchKind } from "../../src/loader/decode/index.js";
import { type BranchPredictorSpec, branchPredictorSchema } from "../../src/machine/spec.js";
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

/** Naive twin of the tournament unit: Maps, arrays and strings of outcomes. */
class NaiveUnit {
  private local = new Map<number, boolean[]>();
  private readonly counters = {
    local: new Map<number, number>(),
    global: new Map<number, number>(),
    choice: new Map<number, number>(),
  };
  private history: boolean[] = [];
  private btb = new Map<number, { tag: number; target: number }>();
  private ras: number[] = [];
  private sets = new Map<number, { tag: number; target: number }[]>();
  private path: number[] = [0, 0, 0];
  constructor(private readonly s: BranchPredictorSpec) {}

  private value(bits: boolean[], entries: number): number {
    return bits.slice(-Math.log2(entries)).reduce((n, b) => n * 2 + (b ? 1 : 0), 0);
  }
  private train(map: Map<number, number>, at: number, up: boolean): void {
    map.set(at, Math.max(0, Math.min(3, (map.get(at) ?? 0) + (up ? 1 : -1))));
  }

  predict(kind: number, pc: number, next: number, taken: boolean, target: number): boolean {
    const word = Math.floor(pc / 4);
    if (kind === BranchKind.Conditional) {
      const predicted = this.direction(word, taken);
      if (!predicted) {
        if (taken) this.learn(word, target);
        return !taken;
      }
      const found = this.find(word);
      if (!taken) return found === undefined;
      if (found === target) return true;
      this.learn(word, target);
      return false;
    }
    this.history.push(true);
    if (kind === BranchKind.DirectCall || kind === BranchKind.IndirectCall) {
      this.ras.push(next);
      if (this.ras.length > this.s.rasEntries) this.ras.shift();
    }
    if (kind === BranchKind.Return) return this.ras.pop() === target;
    if (kind === BranchKind.DirectJump || kind === BranchKind.DirectCall) {
      if (this.find(word) === target) return true;
      this.learn(word, target);
      return false;
    }
    let hash = word;
    this.path.forEach((t, i) => {
      hash ^= Math.floor(t / 4 ** (i + 1));
    });
    const index = hash % this.s.indirectSets;
    const set = this.sets.get(index) ?? [];
    this.sets.set(index, set);
    const tag = word % 2 ** this.s.indirectTagBits;
    const at = set.findIndex((e) => e.tag === tag);
    const found = at < 0 ? undefined : set.splice(at, 1)[0].target;
    set.unshift({ tag, target });
    if (set.length > this.s.indirectWays) set.pop();
    this.path = [target, ...this.path.slice(0, 2)];
    return found === target;
  }

  private direction(word: number, taken: boolean): boolean {
    const { counters, s } = this;
    const slot = word % s.localEntries;
    const bits = this.local.get(slot) ?? [];
    const l = this.value(bits, s.localEntries);
    const g = this.value(this.history, s.globalEntries);
    const c = this.value(this.history, s.choiceEntries);
    const localTaken = (counters.local.get(l) ?? 0) > 1;
    const globalTaken = (counters.global.get(g) ?? 0) > 1;
    const predicted = (counters.choice.get(c) ?? 0) > 1 ? globalTaken : localTaken;
    if (localTaken !== globalTaken) this.train(counters.choice, c, globalTaken === taken);
    this.train(counters.global, g, taken);
    this.train(counters.local, l, taken);
    this.local.set(slot, [...bits, taken].slice(-20));
    this.history = [...this.history, taken].slice(-20);
    return predicted;
  }
  private key(word: number): [number, number] {
    return [word % this.s.btbEntries, Math.floor(word / this.s.btbEntries) % 2 ** this.s.btbTagBits];
  }
  private find(word: number): number | undefined {
    const [at, tag] = this.key(word);
    const entry = this.btb.get(at);
    return entry?.tag === tag ? entry.target : undefined;
  }
  private learn(word: number, target: number): void {
    const [at, tag] = this.key(word);
    this.btb.set(at, { tag, target });
  }
}

describe("branch prediction", () => {
  it("of the tournament unit equals that of a naive twin on random branches, also after flushes", () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = seeded(seed);
      const spec = branchPredictorSchema.parse(seed & 1 ? SMALL : {});
      const unit = createBranchUnit(spec);
      let twin = new NaiveUnit(spec);
      const sites = Array.from({ length: 40 }, () => random(2 ** 31 - 64));
      for (let i = 0; i < 8000; i++) {
        const pc = sites[random(40)];
        const kind = 1 + random(6);
        const taken = kind !== BranchKind.Conditional || (pc & 8 ? random(8) > 0 : i % 3 === 0);
        const target =
          kind === BranchKind.Return && random(2) ? sites[random(3)] + 5 : sites[random(random(2) ? 2 : 40)];
        expect(unit.predict(kind, pc, pc + 5, taken, target), `seed ${seed} branch ${i}`).toBe(
          twin.predict(kind, pc, pc + 5, taken, target),
        );
        if (random(3000) === 0) {
          unit.flush();
          twin = new NaiveUnit(spec);
        }
      }
    }
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
