import { describe, expect, test } from "vitest";
import { SlotKind } from "../../src/loader/contract.js";
import { RepRun } from "../../src/loader/rep-run.js";

function segments(kind: SlotKind, size: number, iterations: readonly [number, number][]): number[] {
  const run = new RepRun();
  run.start(kind, size);
  for (const [a, b] of iterations) run.add(a, b);
  const out: number[] = [];
  run.append(out);
  return out;
}

describe("segments of a repeated string instruction", () => {
  test("no iteration is no segment", () => {
    expect(segments(SlotKind.RepStore, 8, [])).toEqual([0]);
  });

  test("neighbouring elements are one segment", () => {
    expect(
      segments(SlotKind.RepStore, 8, [
        [0x1000, 0],
        [0x1008, 0],
        [0x1010, 0],
      ]),
    ).toEqual([1, 3, 0x1000]);
  });

  test("a segment ends where either operand leaves its page", () => {
    const copy: [number, number][] = [0, 1, 2, 3].map((i) => [0x1ff8 + 4 * i, 0x5ffc + 4 * i]);
    expect(segments(SlotKind.RepMove, 4, copy)).toEqual([
      3, 1, 0x1ff8, 0x5ffc, 1, 0x1ffc, 0x6000, 2, 0x2000, 0x6004,
    ]);
  });

  test("iterations are negative where addresses go down", () => {
    expect(
      segments(SlotKind.RepStore, 2, [
        [0x1006, 0],
        [0x1004, 0],
        [0x1002, 0],
      ]),
    ).toEqual([1, -3, 0x1006]);
  });

  test("an element that straddles two pages is a segment of its own", () => {
    const iterations: [number, number][] = [0x1ff4, 0x1ffc, 0x2004].map((a) => [a, 0]);
    expect(segments(SlotKind.RepStore, 8, iterations)).toEqual([3, 1, 0x1ff4, 1, 0x1ffc, 1, 0x2004]);
  });

  test("pages with negative addresses are pages like others", () => {
    const first = 0x80_000 << 12;
    expect(
      segments(SlotKind.RepStore, 8, [
        [first, 0],
        [first + 8, 0],
      ]),
    ).toEqual([1, 2, first]);
  });
});
