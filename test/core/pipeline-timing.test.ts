import { describe, expect, it } from "vitest";
import { RunStatus } from "../../src/core/index.js";
import { EventKind } from "../../src/loader/contract.js";
import { REFETCH, ROW_WORDS } from "../../src/loader/decode/rows.js";
import { build, counter, Program, runAll, testMachine } from "./support.js";

/** `mov eax, 1` and the like: one IntAlu micro-op without sources, 5 bytes. */
const mov = (register: number): string => `${(0xb8 + register).toString(16)} 01 00 00 00`;
const ADD_EAX_ECX = "01 c8";
/** Lines behind a branch: wrong-path-lines.test.ts. */
const pipeline = { wrongPathLines: false };
const none = testMachine({ branchPredictor: { name: "none" }, pipeline });

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
function slope(
  make: (p: Program) => number,
  spec = testMachine({ pipeline }),
  operands: number[] = [],
): number {
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
    const narrow = testMachine({
      branchPredictor: { name: "none" },
      pipeline: { ...pipeline, decodeInputBuffer: 1 },
    });
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

  it("that misses lets dependent operations wait at the end of their units, and commit with its data", () => {
    expect(one(true, ADD_EAX_ECX)).toBe(55);
    // Six fit in the two units. The seventh issues when the first commits.
    expect(one(true, ...Array(5).fill(ADD_EAX_ECX))).toBe(57);
    expect(one(true, ...Array(7).fill(ADD_EAX_ECX))).toBe(58);
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
    // First store: issue 4, commit 5, leaves 6, done 56; then one every 50 cycles. The last commits when one is done.
    expect(time(6)).toBe(10);
    expect(time(5)).toBe(56);
    expect(time(4)).toBe(106);
  });
});

describe("the load/store unit", () => {
  const STORE_ECX = "89 0b"; // mov [rbx], ecx
  const STORE_RCX = "48 89 0b";
  const LOAD_EDX = "8b 16"; // mov edx, [rsi]
  const LOAD_RDX = "48 8b 16";
  const bytes = (code: string) => (code.startsWith("48") ? 8 : 4);
  /** Runs one block of which some instructions access memory: `[code, address]`. */
  const run = (code: (string | [string, number])[], missing: number[] = [], pipeline = {}) => {
    const p = new Program();
    const text = code.map((c) => (typeof c === "string" ? c : c[0]));
    const access = code.flatMap((c, i) => (typeof c === "string" ? [] : [{ i, code: c[0], address: c[1] }]));
    const block = p.block(
      0x1000,
      text,
      access.map(({ i, code }) => [i, /8b/.test(code) ? "load" : "store", bytes(code)]),
    );
    p.exec(block, ...access.map(({ address }) => address));
    const built = build(p, testMachine({ branchPredictor: { name: "none" }, pipeline }));
    for (const line of missing) built.port.missing.add(line);
    const end = runAll(built);
    expect(built.core.checkIdentities()).toEqual([]);
    const times = (kind: string) => built.port.log.filter((a) => a.kind === kind).map((a) => a.now);
    return { built, end, loads: times("load"), stores: times("store") };
  };

  it("commits a store when it is asked for, and lets it leave a cycle later", () => {
    // Issue 4, asked for at 5.
    const { end, stores } = run([[STORE_ECX, 0x8000]]);
    expect([end, stores]).toEqual([5, [6]]);
  });

  it("asks for a load in the cycle after all stores before it have committed", () => {
    // The store commits at 5 and the load leaves its unit at 6.
    expect(
      run([
        [STORE_ECX, 0x8000],
        [LOAD_EDX, 0x8040],
      ]).loads,
    ).toEqual([6]);
    // mov issues with the store at 4 and commits at 7, the store behind it: the load sees that at 8.
    expect(run([mov(0), [STORE_ECX, 0x8000], [LOAD_EDX, 0x8040]]).loads).toEqual([8]);
    expect(run([mov(0), [LOAD_EDX, 0x8040]]).loads).toEqual([5]);
  });

  it("takes a load's data from the store buffer in the cycle in which it would be asked for", () => {
    // Committed at 5, the store leaves at 6 and is done at 7, or 56: the load finds it at 6.
    for (const missing of [[], [0x200]]) {
      const { built, end, loads } = run(
        [
          [STORE_RCX, 0x8000],
          [LOAD_EDX, 0x8004],
        ],
        missing,
      );
      expect([end, loads]).toEqual([6, []]);
      expect(counter(built, "forwardedLoads")).toBe(1);
      expect(counter(built, "partlyCoveredLoads")).toBe(0);
    }
  });

  it("forwards from a store of two lines", () => {
    const { end, loads } = run([
      [STORE_RCX, 0x803c],
      [LOAD_EDX, 0x8040],
    ]);
    expect([end, loads]).toEqual([6, []]);
  });

  it("makes a load wait until a store that has a part of its data is done", () => {
    const part = (missing: number[]) =>
      run(
        [
          [STORE_ECX, 0x8000],
          [LOAD_RDX, 0x7ffe],
        ],
        missing,
      );
    // The load's two lines are asked for at 7 and 8, or when the store that misses is done.
    expect(part([]).loads).toEqual([7, 8]);
    const { built, loads, end } = part([0x200]);
    expect([end, loads]).toEqual([58, [56, 57]]);
    expect(counter(built, "partlyCoveredLoads")).toBe(1);
    expect(counter(built, "slots.store")).toBe(2 * (58 - 5) - 1);
  });

  it("goes by the youngest store that has any of the data", () => {
    const stores: [string, number][] = [
      [STORE_RCX, 0x8000],
      [STORE_ECX, 0x8004],
    ];
    // Both commit by 6, leave at 6 and 7, and are done at 7 and 8; the load leaves its unit at 7.
    expect(run([...stores, [LOAD_EDX, 0x8004]]).loads).toEqual([]);
    expect(run([...stores, [LOAD_EDX, 0x8000]]).loads).toEqual([7]);
    expect(run([...stores, [LOAD_RDX, 0x8000]]).loads).toEqual([8]);
  });

  it("lets the second half of a store leave a cycle after the first, and the next store with it", () => {
    expect(
      run([
        [STORE_RCX, 0x803c],
        [STORE_ECX, 0x8080],
      ]).stores,
    ).toEqual([6, 7, 7]);
  });

  it("asks for nothing before what the address needs has committed", () => {
    // The load that misses is there at 55; add commits in its second slot, and the load behind sees that at 56.
    const add = "01 d6"; // add esi, edx
    const miss: [string, number] = ["8b 03", 0x8000];
    expect(run([miss, add, [LOAD_EDX, 0x8040]], [0x200]).loads).toEqual([5, 56]);
    expect(run([miss, mov(0), [LOAD_EDX, 0x8040]], [0x200]).loads).toEqual([5, 6]);
  });

  it("holds in its requests queue what finds no room in the transfers queue", () => {
    const loads = [0x8000, 0x8040, 0x8080, 0x80c0, 0x8100].map((a): [string, number] => ["8b 03", a]);
    const end = (lsqRequestsQueue: number) =>
      run([...loads, mov(1)], [0x200, 0x201], { lsqRequestsQueue }).end;
    // The first two are there at 55 and 56. The third waits in the queue until 56; if that is full then, the fourth waits in
    // the unit until 56, too, the fifth issues at 56, mov at 57.
    expect(end(1)).toBe(60);
    // Else all have issued by 9, one leaves the queue each cycle, and the fifth is there at 59.
    expect(end(2)).toBe(59);
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

describe("a vector", () => {
  const run = (bytes: string, kind: "load" | "store", address: number) => {
    const p = new Program();
    p.exec(p.block(0x1000, [bytes], [[0, kind, 16]]), address);
    const built = build(p, none);
    const end = runAll(built);
    expect(built.core.checkIdentities()).toEqual([]);
    return { built, end };
  };

  it.each([
    [0x8000, 0],
    [0x8038, 0],
    [0x803c, 1],
  ])("is accessed 8 bytes at a time: at %d it has %d pieces in two lines", (address, splits) => {
    for (const [bytes, kind, counted] of [
      ["0f 10 03", "load", "numLoads"],
      ["0f 11 03", "store", "numStores"],
    ] as const) {
      const { built } = run(bytes, kind, address);
      expect(counter(built, counted)).toBe(2);
      expect(counter(built, "splitAccesses")).toBe(splits);
    }
  });

  it("is asked for its second piece when the first has committed: two cycles more", () => {
    const p = new Program();
    p.exec(p.block(0x1000, ["8b 03"], [[0, "load", 4]]), 0x8000);
    expect(run("0f 10 03", "load", 0x8000).end).toBe(runAll(build(p, none)) + 2);
  });
});
