import { describe, expect, it } from "vitest";
import { build, counter, Program, runAll, testMachine } from "./support.js";

const MOV = "b8 01 00 00 00";
const unpredicted = { branchPredictor: { name: "none" } } as const;
const none = testMachine(unpredicted);

/** Lines asked for, in order: [line, cycle]. */
function asked(p: Program, spec = none, prepare?: (port: ReturnType<typeof build>["port"]) => void) {
  const built = build(p, spec);
  prepare?.(built.port);
  runAll(built);
  const fetches = built.port.log.filter(({ kind }) => kind === "fetch");
  return { built, lines: fetches.map(({ line, now }) => [line, now]) };
}

/** A jump to itself at 0x1000, executed twice, with instructions of 5 bytes behind it. */
function jump(behind = MOV): Program {
  const p = new Program();
  const block = p.block(0x1000, ["eb fe"]);
  p.block(0x1002, Array(20).fill(behind));
  return p.exec(block).exec(block);
}

describe("behind a branch Fetch1", () => {
  it("asks for line after line as Fetch2's buffer has room, until the branch has committed", () => {
    const { built, lines } = asked(jump());
    // It leaves Fetch2 at 2 and commits at 8: fetch is told at 9. The second line takes the other place of the buffer; for
    // the third there is room at 8, when Fetch2 reads the beginning of the 13th instruction behind the jump. It is back at 9.
    expect(lines).toEqual([
      [0x40, 0],
      [0x41, 2],
      [0x42, 8],
      [0x40, 10],
    ]);
    expect(counter(built, "fetchLines")).toBe(4);
    expect(counter(built, "fetchWrongPathLines")).toBe(2);
    expect(counter(built, "fetchWrongPathMisses")).toBe(0);
  });

  it("asks for nothing where that is switched off", () => {
    const { lines } = asked(jump(), testMachine({ ...unpredicted, pipeline: { wrongPathLines: false } }));
    expect(lines).toEqual([
      [0x40, 0],
      [0x40, 9],
    ]);
  });

  it("waits for what it asked for last, however long that takes", () => {
    const { built, lines } = asked(jump(), none, (port) => port.missing.add(0x41));
    expect(lines).toEqual([
      [0x40, 0],
      [0x41, 2],
      [0x40, 53],
    ]);
    expect(counter(built, "fetchWrongPathMisses")).toBe(1);
    expect(built.core.checkIdentities()).toEqual([]);
  });

  it("need not wait for it where more lines may be under way", () => {
    const spec = testMachine({ ...unpredicted, pipeline: { fetchLimit: 3, fetch2InputBuffer: 3 } });
    const { lines } = asked(jump("01 c8"), spec, (port) => port.missing.add(0x41));
    expect(lines).toEqual([
      [0x40, 0],
      [0x41, 1],
      [0x42, 2],
      [0x40, 9],
    ]);
  });

  it("goes on when the branch is predicted taken, too, until Fetch2 has told it", () => {
    const p = new Program();
    const block = p.block(0x1000, ["eb fe"]);
    for (let i = 0; i < 200; i++) p.exec(block);
    const { lines } = asked(p, testMachine());
    // It leaves Fetch2 two cycles after its line was asked for, fetch is told a cycle later, when the line behind it comes back.
    expect(lines.slice(-4).map(([line, now]) => [line, now - lines[lines.length - 4][1]])).toEqual([
      [0x41, 0],
      [0x40, 2],
      [0x41, 4],
      [0x40, 6],
    ]);
  });

  it("asks for all lines before a load that misses before the branch, and no more than are certain", () => {
    const p = new Program();
    // The jump has to wait for the load, which is asked for at 5.
    const block = p.block(0x1000, ["8b 03", "ff e0"], [[0, "load", 4]]);
    p.block(0x1004, Array(40).fill(MOV));
    p.exec(block, 0x8000).exec(block, 0x8000);
    const { built } = asked(p, none, (port) =>
      port.missing
        .add(0x8000 / 64)
        .add(0x41)
        .add(0x43),
    );
    // The mock port sees to it that what misses comes in order of time.
    expect(built.port.log.filter(({ kind }) => kind !== "walk").slice(0, 3)).toEqual([
      { kind: "fetch", line: 0x40, now: 0 },
      { kind: "fetch", line: 0x41, now: 2 },
      { kind: "load", line: 0x200, now: 5 },
    ]);
  });
});

describe("at the end of a page", () => {
  const last = (page: number): Program => {
    const p = new Program();
    const block = p.block(page * 4096 + 0xfc0, ["eb fe"]);
    return p.exec(block).exec(block);
  };

  it("the next page is asked for, if the trace has it", () => {
    const { lines } = asked(last(1));
    expect(lines).toEqual([
      [0x7f, 0],
      [0x80, 2],
      [0x7f, 9],
    ]);
    expect(asked(last(63)).lines).toEqual([
      [0xfff, 0],
      [0xfff, 9],
    ]);
  });

  it("the next page is walked for, and its line not asked for where that takes too long", () => {
    const walk = (cycles: number) => asked(last(1), none, (port) => (port.walkCycles = cycles)).lines;
    expect(walk(1)).toEqual([
      [0x7f, 4],
      [0x80, 10],
      [0x7f, 13],
    ]);
    // The walk is from 22 to 42, fetch is told at 29.
    expect(walk(5)).toEqual([
      [0x7f, 20],
      [0x7f, 43],
    ]);
  });

  it("a device's page is not asked for", () => {
    const p = last(1);
    p.io.add(2);
    expect(asked(p).lines.length).toBe(2);
  });
});
