import { expect, test } from "vitest";
import { loadMachine } from "../../src/machine/load.js";
import { gem5Stats, parseGem5Stats } from "../../src/stats/gem5.js";
import { coreValues, REGION, syntheticRun, type Values } from "./synthetic.js";

const values = (more: Values = {}): Values => ({
  ...coreValues(0, { instructions: 10, cycles: { base: 20 } }),
  ...coreValues(1, { instructions: 1000, kernel: 400, cycles: { base: 2000 } }),
  "cpu1.numOps": 1300,
  "llc.accesses.cpu1.load": 7,
  "llc.accesses.cpu1.store": 3,
  "llc.misses.cpu1.load": 5,
  "llc.mshrMerges.cpu1.load": 1,
  "llc.missLatency.cpu1.load": 100,
  "llc.accesses.cpu0.inst": 10,
  "memory.bytesRead.data": 256,
  ...more,
});

const dumps = (...args: Parameters<typeof syntheticRun>) => parseGem5Stats(gem5Stats(syntheticRun(...args)));

test("there is one block for each measured invocation", () => {
  const blocks = dumps({ protocol: "lukewarm", warm: 3, invocations: [values(), values(), values()] });
  expect(blocks).toHaveLength(3);
  expect(blocks.map((b) => b.values.get("simTicks"))).toEqual(Array(3).fill(REGION * 400));
  expect(blocks[1].values.get("finalTick")).toBe((1000 + 4 * 2 * REGION + REGION) * 400);
});

test("values stand under gem5's names", () => {
  const [{ values: v }] = dumps({ protocol: "lukewarm", invocations: [values()] });
  const expected = {
    simFreq: 1e12,
    simInsts: 1010,
    simOps: 1300,
    "system.cpu1.numCycles": 2000,
    "system.cpu1.ipc": 0.5,
    "system.cpu1.cpi": 2,
    "system.cpu1.commitStats0.numInsts": 1000,
    "system.llc.demandAccesses::cpu0.inst": 10,
    "system.llc.demandAccesses::cpu1.data": 10,
    "system.llc.demandAccesses::total": 20,
    "system.llc.demandMisses::cpu1.data": 5,
    "system.llc.demandMshrMisses::cpu1.data": 4,
    "system.llc.overallMshrHits::total": 1,
    "system.llc.demandMissRate::total": 0.25,
    "system.llc.demandMissLatency::total": 40_000,
    "system.llc.demandAvgMissLatency::cpu1.data": 8000,
    "system.mem_ctrls.bytesRead::total": 256,
    "system.cpu1.icache.demandMisses::cpu1.inst": 0,
    "system.cpu1.dcache.writebacks::total": 0,
  };
  expect(Object.fromEntries(Object.keys(expected).map((name) => [name, v.get(name)]))).toEqual(expected);
});

test("an instruction cache has no data row, and a data cache no instruction row", () => {
  const [{ values: v }] = dumps({ protocol: "lukewarm", invocations: [values()] });
  expect(v.has("system.cpu1.icache.demandHits::cpu1.data")).toBe(false);
  expect(v.has("system.cpu1.dcache.demandHits::cpu1.inst")).toBe(false);
});

test("a private level is the core's cache, and prefetch requests count as overall only", () => {
  const machine = loadMachine("skylake-like");
  const more = { "cpu1.l2.accesses.cpu1.inst": 4, "llc.accesses.cpu1.prefetch": 6 };
  const [{ values: v }] = dumps({ protocol: "lukewarm", machine, invocations: [values(more)] });
  expect(v.get("system.cpu1.l2cache.demandAccesses::total")).toBe(4);
  expect(v.get("system.llc.demandAccesses::total")).toBe(20);
  expect(v.get("system.llc.overallAccesses::total")).toBe(26);
  expect(v.get("system.llc.overallAccesses::cpu1.prefetcher")).toBe(6);
});

test("prefetcher rows are there with Jukebox only", () => {
  const more = { "llc.pfIssued.cpu1": 8, "llc.pfUseful.cpu1": 6, "llc.misses.cpu1.inst": 2 };
  const [{ values: v }] = dumps({ protocol: "jukebox", invocations: [values(more)] });
  expect(v.get("system.llc.prefetcher.pfIssued")).toBe(8);
  expect(v.get("system.llc.prefetcher.accuracy")).toBe(0.75);
  expect(v.get("system.llc.prefetcher.coverage")).toBe(0.75);
  const [{ values: without }] = dumps({ protocol: "lukewarm", invocations: [values(more)] });
  expect([...without.keys()].filter((name) => name.includes("prefetcher."))).toEqual([]);
});

test("a single core has no number", () => {
  const machine = loadMachine("simple", [{ path: "cores", value: 1 }]);
  const counts = coreValues(0, { instructions: 10, cycles: { base: 20 } });
  const [{ values: v }] = dumps({ protocol: "lukewarm", machine, invocations: [counts] });
  expect(v.get("system.cpu.numCycles")).toBe(20);
  expect(v.get("system.llc.demandHits::cpu.inst")).toBe(0);
  expect([...v.keys()].filter((name) => /cpu\d/.test(name))).toEqual([]);
});

test("nothing of the host is written", () => {
  expect(gem5Stats(syntheticRun({ protocol: "lukewarm", invocations: [values()] }))).not.toMatch(/^host/m);
});
