import { describe, expect, it } from "vitest";
import { RunStatus } from "../../src/core/contract.js";
import { TlbCount } from "../../src/core/counters.js";
import { SlotFlag } from "../../src/loader/contract.js";
import { build, Program, runAll, testMachine } from "./support.js";

describe("a repeated string instruction that goes down", () => {
  for (const model of ["pipeline", "timing"] as const) {
    it(`begins at the address that the trace gives, in the ${model} core`, () => {
      const p = new Program();
      p.exec(p.block(0x1000, ["f3 48 ab"], [[0, "repStore", 8]]), 1, -3, 0x8048);
      const built = build(p, testMachine({ model }));
      runAll(built);
      const stores = built.port.log.filter((a) => a.kind === "store").map((a) => a.line);
      // 0x8048, 0x8040 in one line, 0x8038 in the line before it.
      expect([...new Set(stores)]).toEqual([0x201, 0x200]);
    });
  }
});

describe("Fetch1", () => {
  it("asks for no line of the new path before the branch is known to be wrong, however many may be under way", () => {
    const p = new Program();
    // A division, a branch that depends on it, then code of three lines.
    const branch = p.block(0x1000, ["f7 f1", "85 c0", "0f 85 f6 0f 00 00"]);
    const path = p.block(
      0x2000,
      Array.from({ length: 14 }, () => "48 b8 01 02 03 04 05 06 07 08"),
    );
    p.exec(branch).exec(path);
    const built = build(
      p,
      testMachine({
        branchPredictor: { name: "none" },
        pipeline: { fetchLimit: 4, fetch2InputBuffer: 4, wrongPathLines: false },
      }),
    );
    runAll(built);
    const times = built.port.log.filter((a) => a.kind === "fetch").map((a) => a.now);
    expect(times.length).toBe(4);
    expect(times[2]).toBe(times[1] + 1);
    expect(times[3]).toBe(times[2] + 1);
  });

  it("asks for the line behind one that waits for its page walk after that one", () => {
    const p = new Program();
    const line = Array.from({ length: 14 }, () => "48 b8 01 02 03 04 05 06 07 08");
    p.exec(p.block(0x1000, line));
    const built = build(p, testMachine({ pipeline: { fetchLimit: 3, fetch2InputBuffer: 3 } }));
    built.port.walkCycles = 10;
    runAll(built);
    expect(built.port.log.filter((a) => a.kind === "fetch").map((a) => a.now)).toEqual([40, 41, 42]);
  });
});

describe("an access of two pages", () => {
  it("walks for each page once, where the TLB holds one", () => {
    const p = new Program();
    const load = p.block(0x1000, ["8b 03"], [[0, "load", 4]]);
    const split = p.block(
      0x1002,
      ["48 8b 03"],
      [
        [0, "load", 3],
        [0, "load", 5, SlotFlag.Split],
      ],
    );
    p.exec(load, 0x8000).exec(split, 0x8ffd, 0x9000);
    const built = build(p, testMachine({ dtlb: { entries: 1, ways: 1 } }));
    runAll(built);
    expect(built.core.counters.dtlb[TlbCount.Misses]).toBe(2);
  });

  it("misses for each page once, where nobody walks and the access has to wait", () => {
    const p = new Program();
    const store = p.block(0x1000, ["89 0b"], [[0, "store", 4]]);
    const split = p.block(
      0x1002,
      ["48 8b 03"],
      [
        [0, "load", 3],
        [0, "load", 5, SlotFlag.Split],
      ],
    );
    p.exec(store, 0xa000).exec(split, 0x8ffd, 0x9000);
    const built = build(p, testMachine({ dtlb: { entries: 1, ways: 1 }, walker: "none" }));
    built.port.missing
      .add(0xa000 / 64)
      .add(0x8fc0 / 64)
      .add(0x9000 / 64);
    runAll(built);
    expect(built.core.counters.dtlb[TlbCount.Misses]).toBe(3);
  });
});

describe("a store of two lines", () => {
  it("keeps its entry of the store buffer until both halves are done", () => {
    const p = new Program();
    const store = p.block(
      0x1000,
      ["48 89 03", "89 0b"],
      [
        [0, "store", 8],
        [1, "store", 4],
      ],
    );
    p.exec(store, 0x813c, 0x8000);
    const built = build(p, testMachine({ pipeline: { lsqStoreBuffer: 1 } }));
    built.port.missing.add(0x8140 / 64);
    const end = runAll(built);
    const [first, second, third] = built.port.log.filter((a) => a.kind === "store");
    expect([first.line, second.line]).toEqual([0x204, 0x205]);
    expect(second.now).toBe(first.now + 1);
    // The next commits when the second is done, and leaves a cycle later.
    expect(end).toBe(second.now + 50);
    expect(third.now).toBe(end + 1);
  });
});

describe("a core that stops at a position", () => {
  it("tells the time of what it has still to do, and by when it had committed", () => {
    const p = new Program();
    const store = p.block(0x1000, ["89 03", "f7 f1", "f7 f1"], [[0, "store", 4]]);
    p.exec(store, 0x8000).exec(p.block(0x1006, ["90"]));
    const { core, port } = build(p);
    port.missing.add(0x8000 / 64);
    core.stopPosition = 1;
    expect(core.run()).toBe(RunStatus.Position);
    const { time, committedAt } = core;
    core.stopPosition = Number.POSITIVE_INFINITY;
    expect(core.run()).toBe(RunStatus.End);
    const [left] = port.log.filter((a) => a.kind === "store");
    expect(time).toBeLessThanOrEqual(left.now);
    expect(committedAt).toBeGreaterThan(left.now + 10);
  });
});
