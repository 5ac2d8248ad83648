import { describe, expect, it } from "vitest";
import { RunStatus } from "../../src/core/index.js";
import { EventKind } from "../../src/loader/contract.js";
import { build, counter, Program, runAll, testMachine } from "./support.js";

/** `mov eax, 1` and the like: one IntAlu micro-op without sources, 5 bytes. */
const mov = (register: number): string => `${(0xb8 + register).toString(16)} 01 00 00 00`;
const ADD_EAX_ECX = "01 c8";
const none = testMachine({ branchPredictor: { name: "none" } });

describe("the pipeline", () => {
  it("commits a first micro-op after L1I 1, three stages 1 each and IntAlu 3", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [mov(0)]));
    const built = build(p, none);
    expect(runAll(built)).toBe(7);
  });

  it("commits two independent micro-ops in one cycle", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [mov(0), mov(1)]));
    expect(runAll(build(p, none))).toBe(7);
  });

  it("commits a third one a cycle later", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [mov(0), mov(1), mov(2)]));
    expect(runAll(build(p, none))).toBe(8);
  });

  it("issues dependent single-cycle operations one a cycle", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [ADD_EAX_ECX, ADD_EAX_ECX, ADD_EAX_ECX, ADD_EAX_ECX]));
    expect(runAll(build(p, none))).toBe(10);
  });

  it("accounts every slot of every cycle", () => {
    const p = new Program();
    const block = p.block(0x1000, [mov(0), ADD_EAX_ECX, ADD_EAX_ECX]);
    p.exec(block);
    const built = build(p, none);
    runAll(built);
    expect(built.core.checkIdentities()).toEqual([]);
    expect(counter(built, "slots.base")).toBe(3);
  });
});

/** Cycles that one more execution of `block` takes, in the long run. */
function slope(make: (p: Program) => number, spec = testMachine(), operands: number[] = []): number {
  const at = (n: number): number => {
    const p = new Program();
    const block = make(p);
    for (let i = 0; i < n; i++) p.exec(block, ...operands);
    const built = build(p, spec);
    const end = runAll(built);
    expect(built.core.checkIdentities()).toEqual([]);
    return end;
  };
  return (at(300) - at(200)) / 100;
}

describe("a taken branch", () => {
  const loop = (p: Program): number => p.block(0x1000, ["eb fe"]);

  it("that is predicted costs the way back to Fetch1, the L1I and the way to Fetch2", () => {
    expect(slope(loop)).toBe(3);
  });

  it("that is not predicted costs 9 cycles: two dependent micro-ops, commit, and the whole front end", () => {
    expect(slope(loop, none)).toBe(9);
  });
});

describe("a load", () => {
  const one = (miss: boolean, ...after: string[]): number => {
    const p = new Program();
    p.exec(p.block(0x1000, ["8b 03", ...after], [[0, "load", 4]]), 0x8000);
    const built = build(p, none);
    if (miss) built.port.missing.add(0x8000 / 64);
    const end = runAll(built);
    expect(built.core.checkIdentities()).toEqual([]);
    return end;
  };

  it("that hits commits when its data is there, two cycles after issue", () => {
    expect(one(false)).toBe(6);
  });

  it("lets a dependent operation issue in the next cycle, its data being there when it is used", () => {
    expect(one(false, ADD_EAX_ECX)).toBe(8);
  });

  it("that misses holds the commit of all behind it", () => {
    expect(one(true)).toBe(55);
    expect(one(true, mov(3))).toBe(55);
  });

  it("that misses lets a dependent operation commit a cycle after its data", () => {
    expect(one(true, ADD_EAX_ECX)).toBe(56);
  });

  it("waits for its page walk", () => {
    const p = new Program();
    p.exec(p.block(0x1000, ["8b 03"], [[0, "load", 4]]), 0x8000);
    const built = build(p, none);
    built.port.walkCycles = 10;
    // Fetch waits 40, then issue at 44, access at 45 + 40, data a cycle later.
    expect(runAll(built)).toBe(40 + 6 + 40);
    expect(counter(built, "slots.dtlb")).toBe(80);
  });
});

describe("memory micro-ops", () => {
  it("issue one a cycle", () => {
    const load = (p: Program): number =>
      p.block(
        0x1000,
        ["8b 03", "8b 0b", "8b 13", "8b 33", "eb f6"],
        [
          [0, "load", 4],
          [1, "load", 4],
          [2, "load", 4],
          [3, "load", 4],
        ],
      );
    const p = new Program();
    p.exec(load(p), 0x8000, 0x8000, 0x8000, 0x8000);
    expect(slope(load, none, [0x8000, 0x8000, 0x8000, 0x8000])).toBe(9 + 4);
  });

  it("of stores that miss stall issue when the store buffer is full", () => {
    const time = (entries: number): number => {
      const p = new Program();
      p.exec(
        p.block(
          0x1000,
          Array(6).fill("89 03"),
          [0, 1, 2, 3, 4, 5].map((i) => [i, "store", 4]),
        ),
        0x8000,
        0x8040,
        0x8080,
        0x80c0,
        0x8100,
        0x8140,
      );
      const built = build(p, testMachine({ pipeline: { lsqStoreBuffer: entries, maxAccessesInMemory: 1 } }));
      for (let i = 0; i < 6; i++) built.port.missing.add(0x8000 / 64 + i);
      return runAll(built);
    };
    // First store: issue 4, commit 6, leaves 7, done 57; then one every 50 cycles.
    expect(time(6)).toBe(11);
    expect(time(5)).toBe(57 + 2);
    expect(time(4)).toBe(107 + 2);
  });
});

describe("time that is long", () => {
  it("is exact for a string instruction of 60 million cycles, and goes on behind it", () => {
    const make = (pages: number): Program => {
      const p = new Program();
      // rep stosb: each page of it is a segment, each element two cycles.
      const block = p.block(0x1000, ["f3 aa", mov(0)], [[0, "repStore", 1]]);
      const operands = [pages];
      for (let i = 0; i < pages; i++) operands.push(4096, 0x8000);
      p.exec(block, ...operands).exec(block, ...operands);
      return p;
    };
    const short = build(make(2), none);
    const long = build(make(7502), none);
    const cycles = runAll(long) - runAll(short);
    // Two executions, 7500 pages more each.
    expect(cycles).toBe(2 * 7500 * 4096 * 2);
    expect(long.core.checkIdentities()).toEqual([]);
    expect(counter(long, "slots.microcode") - counter(short, "slots.microcode")).toBe(2 * cycles);
  });

  it("is exact over idle periods of hours", () => {
    const p = new Program();
    const block = p.block(0x1000, [mov(0), ADD_EAX_ECX]);
    p.exec(block).event(EventKind.IdleBegin).exec(block);
    const built = build(p, none);
    expect(built.core.run()).toBe(RunStatus.Event);
    const before = built.core.time;
    built.core.takeEvent(before + 2 ** 45, true);
    expect(built.core.run()).toBe(RunStatus.End);
    expect(built.core.time - before - 2 ** 45).toBeLessThan(20);
    expect(counter(built, "idleCycles")).toBe(2 ** 45);
    expect(built.core.checkIdentities()).toEqual([]);
  });
});
