import { describe, expect, it } from "vitest";
import { RunStatus } from "../../src/core/index.js";
import { EventKind } from "../../src/loader/contract.js";
import { REFETCH, ROW_WORDS } from "../../src/loader/decode/rows.js";
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

  // jmp: three micro-ops, the last needs the first two. It leaves Fetch2 at 0; they are decoded at 1, 1, 2, issue at 2,
  // 2, 3; it commits at 6; fetch is told at 7; what comes next leaves Fetch2 at 9 and is decoded from 10 on, or when
  // Decode is done with what was behind the branch: of that, micro-op n (from 0) is decoded at 2 + ceil(n / 2).
  /** Cycles that its second execution takes, where at 0x1002 begins what `behind` says. */
  const second = (behind: string[], gap = 0, spec = none): number => {
    const at = (n: number): number => {
      const p = new Program();
      const block = loop(p);
      if (behind.length > 0) p.block(0x1002 + gap, behind);
      for (let i = 0; i < n; i++) p.exec(block);
      return runAll(build(p, spec));
    };
    return at(2) - at(1);
  };
  const ADD_EAX_1 = "83 c0 01";

  it("that is not predicted costs 9 cycles: two dependent micro-ops, commit, and the whole front end", () => {
    // Behind it leave 13 instructions, 1 at 0 and 2 a cycle up to 6, decoded by 8.
    expect(second(Array(20).fill(mov(0)))).toBe(9);
  });

  it("waits for Decode to work off what Fetch2 handed out behind it", () => {
    // Of instructions of two micro-ops one leaves at 0, two at 1, 2, 3 (the first is decoded), 5 (the third is); the next
    // two would at 7. The last is decoded at 11, the branch in the rest of that cycle and at 12: its last issues at 14.
    expect(second(Array(20).fill(ADD_EAX_1))).toBe(11);
    // With room for one group instead of three, one leaves at 0, two at 3, two at 5: decoded by 7.
    const narrow = testMachine({ branchPredictor: { name: "none" }, pipeline: { decodeInputBuffer: 1 } });
    expect(second(Array(20).fill(ADD_EAX_1), 0, narrow)).toBe(9);
  });

  it("has padding behind it where a gap is small, and usual code where nothing is known", () => {
    // One instruction of one micro-op, then ten of two: decoded by 12, the branch at 13, 13, 14.
    expect(second(Array(20).fill(ADD_EAX_1), 10)).toBe(12);
    // Instructions of one and two micro-ops in turn: eleven until told, decoded by 10; the branch at 10, 11, 11.
    expect(second([])).toBe(10);
    expect(second([mov(0)], 256)).toBe(10);
  });

  it("has nothing behind it that costs when it is predicted", () => {
    expect(
      slope((p) => {
        const block = loop(p);
        p.block(0x1002, Array(20).fill(ADD_EAX_1));
        return block;
      }),
    ).toBe(3);
  });
});

describe("a taken branch of the microcode", () => {
  // div ecx: two iterations of four steps of 9 cycles, each of which needs the one before; the branch between is taken.
  const div = (name: string): number => {
    const p = new Program();
    p.exec(p.block(0x1000, ["f7 f1", mov(0)]));
    const built = build(p, testMachine({ branchPredictor: { name } }));
    const { rows } = built.decoded;
    let taken = 0;
    for (let row = 2; row < rows.length; row += ROW_WORDS) if ((rows[row] & REFETCH) !== 0) taken++;
    expect(taken).toBe(1);
    return runAll(built);
  };

  it("has the rest of the instruction fetched anew when nothing is predicted", () => {
    // Behind the last step of the first iteration, issued at 0, the branch issues at 7 and commits at 10. Fetch is told at
    // 11, the instruction leaves Fetch2 again at 13, its next step is decoded at 14 and issues at 15: else at 9.
    expect(div("none") - div("tournament")).toBe(15 - 9);
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
  it("has each element's branch redirect fetch where nothing is predicted, as gem5's microcode does", () => {
    const cycles = (elements: number): number => {
      const p = new Program();
      p.exec(p.block(0x1000, ["f3 aa", mov(0)], [[0, "repStore", 1]]), 1, elements, 0x8000);
      return runAll(build(p, none));
    };
    // The store issues at 0, the branch at 1, commits at 4; fetch is told at 5, it leaves Fetch2 at 7, would be decoded at
    // 8 but for a cycle of what was behind it, and issues at 10.
    expect(cycles(33) - cycles(1)).toBe(32 * 10);
  });

  it("counts the micro-ops of a string instruction's loop", () => {
    const ops = (
      bytes: string,
      kind: "repLoad" | "repStore" | "repMove" | "repCompare",
      elements: number,
    ) => {
      const p = new Program();
      const block = p.block(0x1000, [bytes, mov(0)], [[0, kind, 1]]);
      const operands = kind === "repMove" || kind === "repCompare" ? [0x8000, 0x9000] : [0x8000];
      if (elements > 0) p.exec(block, 1, elements, ...operands);
      else p.exec(block, 0);
      const built = build(p, none);
      runAll(built);
      return counter(built, "numOps") - 1;
    };
    expect([0, 1, 100].map((n) => ops("f3 aa", "repStore", n))).toEqual([3, 7 + 4, 7 + 400]);
    expect(ops("f3 a4", "repMove", 100)).toBe(7 + 600);
    expect(ops("f2 ae", "repLoad", 100)).toBe(7 + 500);
    expect(ops("f3 a6", "repCompare", 100)).toBe(7 + 700);
  });

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
    const short = build(make(2), testMachine());
    const long = build(make(7502), testMachine());
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
