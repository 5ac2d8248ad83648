import { describe, expect, it } from "vitest";
import { build, counter, Program, runAll, testMachine } from "./support.js";

const timing = testMachine({ model: "timing" });

function cycles(program: Program, change: (built: ReturnType<typeof build>) => void = () => {}): number {
  const built = build(program, timing);
  change(built);
  const end = runAll(built);
  expect(built.core.checkIdentities()).toEqual([]);
  return end;
}

describe("the timing core", () => {
  it("takes one L1I access for each instruction in one 8-byte chunk", () => {
    const p = new Program();
    p.exec(p.block(0x1000, ["90", "90", "90"]));
    expect(cycles(p)).toBe(3);
  });

  it("takes two for an instruction that lies in two chunks", () => {
    const p = new Program();
    p.exec(p.block(0x1005, ["90", "b8 01 00 00 00"]));
    expect(cycles(p)).toBe(1 + 2);
  });

  it("waits for each load and store", () => {
    const p = new Program();
    p.exec(
      p.block(
        0x1000,
        ["01 03"],
        [
          [0, "load", 4],
          [0, "store", 4],
        ],
      ),
      0x8000,
      0x8000,
    );
    expect(cycles(p)).toBe(3);
  });

  it("does an access of two lines as two", () => {
    const p = new Program();
    p.exec(p.block(0x1000, ["8b 03"], [[0, "load", 4]]), 0x803e);
    expect(cycles(p)).toBe(3);
  });

  it.each([
    [0x8000, 2],
    [0x8038, 2],
    [0x803c, 3],
  ])("accesses a vector of 16 bytes at %d in pieces of 8: %d accesses", (address, accesses) => {
    for (const [bytes, kind] of [
      ["0f 10 03", "load"],
      ["0f 11 03", "store"],
    ] as const) {
      const p = new Program();
      p.exec(p.block(0x1000, [bytes], [[0, kind, 16]]), address);
      expect(cycles(p)).toBe(1 + accesses);
    }
  });

  it("waits for a miss and blames its level", () => {
    const p = new Program();
    p.exec(p.block(0x1000, ["8b 03"], [[0, "load", 4]]), 0x8000);
    const built = build(p, timing);
    built.port.missing.add(0x8000 / 64);
    expect(runAll(built)).toBe(1 + 50);
    expect(counter(built, "slots.load.memory")).toBe(50);
  });

  it("walks four levels for a page that its TLB does not hold", () => {
    const p = new Program();
    p.exec(p.block(0x1000, ["8b 03"], [[0, "load", 4]]), 0x8000);
    expect(
      cycles(p, (b) => {
        b.port.walkCycles = 10;
      }),
    ).toBe(40 + 1 + 40 + 1);
  });

  it("does each element of a repeated move as a load and a store", () => {
    const p = new Program();
    p.exec(p.block(0x1000, ["f3 48 a5"], [[0, "repMove", 8]]), 1, 10, 0x8000, 0x9000);
    expect(cycles(p)).toBe(1 + 20);
  });

  it("counts the micro-ops of the microcode's loop", () => {
    const ops = (elements: number): number => {
      const p = new Program();
      const block = p.block(0x1000, ["f3 48 a5"], [[0, "repMove", 8]]);
      if (elements > 0) p.exec(block, 1, elements, 0x8000, 0x9000);
      else p.exec(block, 0);
      const built = build(p, timing);
      runAll(built);
      return counter(built, "numOps");
    };
    expect([0, 1, 10].map(ops)).toEqual([3, 7 + 6, 7 + 60]);
  });
});
