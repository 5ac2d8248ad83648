import { expect, it } from "vitest";
import { MemorySystem } from "../../src/cache/system.js";
import { Calm } from "./calm.js";
import { counter, machine, stateOf } from "./machines.js";

type Inclusion = "inclusive" | "exclusive" | "non-inclusive";

/** Machine simple with an LLC of two sets of two ways under L1s of four lines; lines of even number share a set. */
function small(inclusion?: Inclusion) {
  const spec = machine("simple", (m) => {
    for (const c of [m.l1i, m.l1d]) Object.assign(c, { sizeKiB: 0.25, ways: 4 });
    Object.assign(m.levels[0].cache, { sizeKiB: 0.25, ways: 2 });
    if (inclusion !== undefined) m.levels[0].inclusion = inclusion;
  });
  const system = new MemorySystem(spec);
  const count = (name: string) => counter(system, name);
  return {
    system,
    calm: new Calm(system),
    count,
    state: (path: string, line: number) => stateOf(system, path, line),
  };
}

const MEMORY = 114;
const LLC = 17;

it.each([undefined, "non-inclusive"] as const)("a level that is %s evicts on its own", (inclusion) => {
  const { calm, state } = small(inclusion);
  for (const line of [2, 4, 6]) expect(calm.load(0, line)).toBe(MEMORY);
  expect([2, 4, 6].map((line) => state("llc", line))).toEqual(["I", "E", "E"]);
  expect([2, 4, 6].map((line) => state("cpu0.l1d", line))).toEqual(["E", "E", "E"]);
});

it("an inclusive level takes the line that it evicts from all caches above, and their newer data with it", () => {
  const { calm, state, count } = small("inclusive");
  calm.store(0, 2);
  calm.load(0, 4);
  calm.load(0, 6);
  expect([2, 4, 6].map((line) => state("cpu0.l1d", line))).toEqual(["I", "E", "E"]);
  expect(count("cpu0.l1d.recalled")).toBe(1);
  // The LLC's copy was clean: what goes to memory is the L1's.
  expect(count("llc.writebacks")).toBe(1);
  expect(count("cpu0.l1d.writebacks")).toBe(0);
  expect(count("memory.bytesWritten.writeback")).toBe(64);
  expect(calm.load(0, 2)).toBe(MEMORY);
});

it("an exclusive level takes no line that goes to a cache above, and takes its victim, clean or dirty", () => {
  const { calm, state, count } = small("exclusive");
  calm.store(0, 1);
  for (const line of [2, 4, 6]) calm.load(0, line);
  expect([1, 2, 4, 6].map((line) => state("llc", line))).toEqual(["I", "I", "I", "I"]);
  expect(count("llc.passed")).toBe(4);
  for (const line of [8, 10]) calm.load(0, line);
  expect([1, 2].map((line) => state("llc", line))).toEqual(["M", "E"]);
  expect(count("cpu0.l1d.writebacks")).toBe(1);
  expect(count("memory.bytesWritten.writeback")).toBe(0);
});

it("a hit of an exclusive level moves the line up, and with it the duty to write it back", () => {
  const { calm, state, count } = small("exclusive");
  calm.store(0, 1);
  for (const line of [2, 4, 6, 8]) calm.load(0, line);
  expect(state("llc", 1)).toBe("M");
  expect(calm.load(0, 1)).toBe(LLC);
  expect([state("llc", 1), state("cpu0.l1d", 1)]).toEqual(["I", "M"]);
  expect(count("llc.movedUp")).toBe(1);
});

it("an L1I that takes a dirty line from an exclusive level leaves the data to the level below", () => {
  const { calm, state, count } = small("exclusive");
  calm.store(0, 1);
  for (const line of [2, 4, 6, 8]) calm.load(0, line);
  expect(calm.fetch(0, 1)).toBe(LLC);
  expect([state("llc", 1), state("cpu0.l1i", 1)]).toEqual(["I", "S"]);
  expect(count("memory.bytesWritten.writeback")).toBe(64);
});

it("above an exclusive level, who has a line clean supplies it", () => {
  const { calm, state, count } = small("exclusive");
  calm.load(0, 2);
  // Tag and response of the reader, the bus there and back, the hit of the other.
  expect(calm.load(1, 2)).toBe(1 + 1 + 1 + 1 + 2);
  expect([state("cpu0.l1d", 2), state("cpu1.l1d", 2), state("llc", 2)]).toEqual(["S", "S", "I"]);
  expect(count("cpu0.l1d.supplied")).toBe(1);
  expect(count("memory.reads")).toBe(1);
});

it("a clean victim that another cache above still holds does not enter an exclusive level", () => {
  const { calm, state } = small("exclusive");
  calm.load(0, 2);
  calm.load(1, 2);
  for (const line of [4, 6, 8, 10]) calm.load(0, line);
  expect([state("cpu0.l1d", 2), state("cpu1.l1d", 2), state("llc", 2)]).toEqual(["I", "S", "I"]);
});

it("a flush of an inclusive level is one of the caches above, too", () => {
  const { system, calm, state } = small("inclusive");
  calm.load(0, 2);
  system.flush({ l1i: false, l1d: false, levels: ["llc"] });
  expect(state("cpu0.l1d", 2)).toBe("I");
  expect(system.checkIdentities()).toEqual([]);
});
