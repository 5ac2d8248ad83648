import { expect, test } from "vitest";
import { METRICS, metricDef, metricsOf } from "../../src/stats/metrics.js";
import { CounterView } from "../../src/stats/view.js";
import { coreValues, REGION, syntheticRun, type Values } from "./synthetic.js";

/** 1000 instructions of core 1 in `cycles` active cycles. */
const work = (cycles: number, more: Values = {}): Values => ({
  ...coreValues(1, {
    instructions: 1000,
    kernel: 400,
    cycles: { base: cycles - 100, "fetch.memory": 100 },
    idle: 77,
  }),
  ...more,
});

test("a ratio over several invocations is a ratio of sums", () => {
  const [{ total }] = metricsOf([
    syntheticRun({ protocol: "lukewarm", invocations: [work(1000), work(4000)] }),
  ]);
  expect(total.get("ipc")).toBe(2000 / 5000);
  expect(total.get("kernelShare")).toBe(0.4);
  expect(total.get("cycles")).toBe(5000);
});

test("warm-up invocations count for nothing", () => {
  const [{ total, invocations }] = metricsOf([
    syntheticRun({ protocol: "lukewarm", warm: 2, invocations: [work(1000)] }),
  ]);
  expect(total.get("invocations")).toBe(1);
  expect(invocations.map((i) => i.invocation)).toEqual([2]);
});

test("idle cycles are no active cycles, and latency has both", () => {
  const run = syntheticRun({ protocol: "lukewarm", invocations: [work(1000, { "cpu1.syncCycles": 23 })] });
  const [{ total }] = metricsOf([run]);
  expect(total.get("cycles")).toBe(1000);
  expect(total.get("cycles.idle")).toBe(100);
  expect(total.get("latency")).toBe(REGION);
  expect(total.get("latency.time")).toBe(4); // 10,000 cycles at 2.5 GHz
});

test("the causes of the CPI stack sum to the CPI", () => {
  const [{ total }] = metricsOf([syntheticRun({ protocol: "lukewarm", invocations: [work(1700)] })]);
  const causes = [...total].filter(([name]) => name.startsWith("cpi."));
  expect(causes.reduce((sum, [, value]) => sum + value, 0)).toBeCloseTo(1.7, 12);
});

test("causes that do not sum to the cycles are an error", () => {
  const run = syntheticRun({ protocol: "lukewarm", invocations: [work(1700, { "cpu1.slots.store": 1 })] });
  expect(() => metricsOf([run])).toThrow(
    /cpu1: the causes sum to 3401 commit slots, 1700 active cycles have 3400/,
  );
});

test("misses per 1000 instructions leave merges, walks, prefetches and the other core out", () => {
  const misses = work(1000, {
    "cpu1.l1i.misses.cpu1.inst": 50,
    "cpu1.l1i.mshrMerges.cpu1.inst": 10,
    "llc.misses.cpu1.inst": 30,
    "llc.misses.cpu1.load": 5,
    "llc.misses.cpu1.store": 4,
    "llc.mshrMerges.cpu1.store": 1,
    "llc.misses.cpu1.walk": 100,
    "llc.misses.cpu1.prefetch": 100,
    "llc.misses.cpu0.inst": 100,
  });
  const [{ total }] = metricsOf([syntheticRun({ protocol: "lukewarm", invocations: [misses] })]);
  expect(total.get("mpki.l1i.inst")).toBe(40);
  expect(total.get("mpki.llc.inst")).toBe(30);
  expect(total.get("mpki.llc.data")).toBe(8);
});

test("speedup, overprediction and traffic compare with the lukewarm run", () => {
  const lukewarm = syntheticRun({
    protocol: "lukewarm",
    invocations: [work(3000, { "llc.misses.cpu1.inst": 400, "memory.bytesRead.fetch": 1000 })],
  });
  const jukebox = syntheticRun({
    protocol: "jukebox",
    invocations: [
      work(2400, {
        "llc.misses.cpu1.inst": 160,
        "llc.mshrMerges.cpu1.inst": 60,
        "llc.pfIssued.cpu1": 400,
        "llc.pfUseful.cpu1": 300,
        "llc.pfLate.cpu1": 60,
        "cpu1.jukebox.pfInsertedInQueue": 500,
        "cpu1.jukebox.bytesRead": 128,
        "cpu1.jukebox.bytesWritten": 64,
        "memory.bytesRead.prefetch": 900,
        "memory.bytesWritten.writeback": 350,
      }),
    ],
  });
  // The order of the runs does not matter.
  const [{ total }] = metricsOf([jukebox, lukewarm]);
  expect(total.get("speedup")).toBe(1.25);
  expect(total.get("coverage")).toBe(300 / (300 + 100));
  expect(total.get("accuracy")).toBe(0.75);
  expect(total.get("accuracy.inserted")).toBe(0.6);
  expect(total.get("overprediction")).toBe((400 - 300) / 400);
  expect(total.get("metadata.read")).toBe(128);
  expect(total.get("traffic")).toBe(1250);
  expect(total.get("traffic.change")).toBe(0.25);
});

test("without a lukewarm run there is nothing to compare with, and without Jukebox no coverage", () => {
  const [{ total }] = metricsOf([syntheticRun({ protocol: "reference", invocations: [work(1000)] })]);
  for (const name of ["speedup", "overprediction", "traffic.change", "coverage", "metadata.read"]) {
    expect(total.has(name), name).toBe(false);
  }
});

test("the spread of cycles is over single invocations", () => {
  const invocations = [1300, 1000, 1200, 5000].map((cycles) => work(cycles));
  const [{ cycleSpread }] = metricsOf([syntheticRun({ protocol: "lukewarm", invocations })]);
  expect(cycleSpread).toEqual({ median: 1250, min: 1000, max: 5000 });
});

test("every value has a definition", () => {
  const runs = ["lukewarm", "jukebox"].map((protocol) =>
    syntheticRun({ protocol, invocations: [work(1000)] }),
  );
  const names = metricsOf(runs).flatMap(({ total }) => [...total.keys()]);
  const defined = new Set(names.map((name) => metricDef(name).name));
  expect([...defined].sort()).toEqual(METRICS.map((m) => m.name).sort());
});

test("a counter that a run lacks is an error, not 0", () => {
  const run = syntheticRun({ protocol: "lukewarm", invocations: [work(1000)] });
  const view = CounterView.of(run.schema, run.invocations[0].counters);
  expect(() => view.get("cpu1.l1i.mises.cpu1.inst")).toThrow(/no counter "cpu1\.l1i\.mises\.cpu1\.inst"/);
  const groups = run.schema.groups.filter((g) => g.path !== "memory");
  const size = groups.reduce((sum, g) => sum + g.defs.length, 0);
  const invocations = run.invocations.map((i) => ({ ...i, counters: i.counters.slice(0, size) }));
  const without = { ...run, schema: { groups }, invocations };
  expect(() => metricsOf([without])).toThrow(/memory\.bytesRead/);
});

test("runs of different machines are not compared", () => {
  const a = syntheticRun({ protocol: "lukewarm", invocations: [work(1000)] });
  const b = { ...a, machine: { ...a.machine, name: "other" } };
  expect(() => metricsOf([a, b])).toThrow(/cannot be compared/);
});
