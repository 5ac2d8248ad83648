import { TypedFastBitSet } from "typedfastbitset";
import { expect, test } from "vitest";
import { formatTraceInfo, openTrace, traceInfo } from "../../src/loader/index.js";
import { Random } from "../support/random.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";
import { writeRandomTrace } from "./random-trace.js";

const KERNEL = 0x8000_0000_0000;

test("counts, footprints and commonality of a trace that is counted by hand", () => {
  const t = new TraceBuilder({ function: "echo", warmInvocations: 1 });
  const user = t.block(0x401030, ["48 8b 07", "c3"], [[0, "load", 8], [1, "load", 8]]); // biome-ignore format: slots
  const across = t.block(0x401038, ["90 90 90 90 90 90 90 90 90 90"], []);
  const kernel = t.block(KERNEL + 0x2000, ["f3 a4", "90"], [[0, "repMove", 1]]);
  t.begin(0)
    .exec(0, user, 0x7f0000, 0x7f003c - 4)
    .execs(0, across, 3)
    .end(0);
  t.begin(1).exec(0, user, 0x7f0000, 0x7f1000).exec(0, kernel, [[100, 0x8000, 0x9000], [-65, 0xa040, 0xb7ff]]).end(1); // biome-ignore format: segments
  const trace = t.open();
  const info = traceInfo(trace);
  const [first, second] = info.cores[0].invocations;
  expect(first).toEqual({
    invocation: 0,
    isWarmUp: true,
    commonality: undefined,
    instructions: 5,
    userInstructions: 5,
    kernelInstructions: 0,
    blockExecutions: 4,
    loads: 2,
    stores: 0,
    instructionKB: 128 / 1024,
    dataKB: 64 / 1024,
  });
  // Line 0 of 0x401000 is common to both; the first also has line 1, the second the kernel's.
  expect(second.commonality).toBeCloseTo(1 / 3);
  expect(second).toMatchObject({ userInstructions: 2, kernelInstructions: 2, loads: 2 + 165, stores: 165 });
  // 0x7f0000, 0x7f1000; 0x8000 2 lines, 0x9000 2, 0xa000..0xa040 2, 0xb7bf..0xb7ff 2
  expect(second.dataKB).toBe((10 * 64) / 1024);
  expect(info.cores[0].total.instructions).toBe(9);
  expect(info.bytesPerInstruction).toBe(trace.fileBytes / 9);
});

test("two virtual pages on one physical page are one footprint", () => {
  const t = new TraceBuilder();
  t.map(0x5000, 0x77);
  t.map(0x6000, 0x77);
  const block = t.block(0x401000, ["48 8b 07"], [[0, "load", 8]]);
  t.begin(0).exec(0, block, 0x5000).exec(0, block, 0x6008).end(0);
  expect(traceInfo(t.open()).cores[0].total.dataKB).toBe(64 / 1024);
});

test("device registers are not in the footprint", () => {
  const t = new TraceBuilder();
  t.map(0x5000, 0x77, true);
  const block = t.block(0x401000, ["48 8b 07"], [[0, "load", 8]]);
  t.exec(0, block, 0x5000);
  expect(traceInfo(t.open()).cores[0].total).toMatchObject({ dataKB: 0, loads: 1 });
});

test("interrupts are counted by their vectors, and shown by who sends them", () => {
  const t = new TraceBuilder({ cores: 2 });
  const block = t.block(0x401000, ["90", "90", "90", "90", "90"], []);
  t.execs(1, block, 100_000);
  for (const vector of [0xec, 0xfd, 0xec, 0x31, 0xec, 0xfb, -1]) t.event(1, "Interrupt", vector);
  const info = traceInfo(t.open());
  expect(info.cores[0].interrupts).toEqual([]);
  expect(info.cores[1].interrupts).toEqual([
    { vector: 0xec, count: 3 },
    { vector: 0xfd, count: 1 },
    { vector: 0xfb, count: 1 },
    { vector: 0x31, count: 1 },
    { vector: -1, count: 1 },
  ]);
  const lines = formatTraceInfo(info).match(/interrupts in a million.*/g);
  expect(lines).toEqual([
    "interrupts in a million instructions: none",
    "interrupts in a million instructions: timer 6.0, another core 4.0, vector 0x31 2.0, unknown 2.0",
  ]);
});

test("invocations agree with the index on random traces", () => {
  for (let seed = 0; seed < 20; seed++) {
    const path = temporaryPath("info.trace");
    writeRandomTrace(path, seed, 300);
    const trace = openTrace(path);
    let last = 0;
    const info = traceInfo(trace, (done, all) => {
      expect(done).toBeGreaterThanOrEqual(last);
      expect(done).toBeLessThanOrEqual(all);
      last = done;
    });
    trace.cores.forEach((core, i) => {
      expect(info.cores[i].total.instructions).toBe(core.instructions);
      expect(info.cores[i].invocations.map(({ instructions }) => instructions)).toEqual(
        core.invocations.map(({ instructions }) => instructions),
      );
    });
    trace.close();
  }
});

test("the screen names everything with its unit and stays within 120 columns", () => {
  const t = new TraceBuilder({ cores: 2, warmInvocations: 1 });
  const block = t.block(0x401000, ["48 8b 07"], [[0, "load", 8]]);
  for (let n = 0; n < 3; n++)
    t.begin(n)
      .execs(1, block, 1000, (i) => [0x5000 + 8 * i])
      .end(n);
  const screen = formatTraceInfo(traceInfo(t.open()));
  for (const word of [
    "bytes an instruction",
    "kB",
    "user %",
    "kernel %",
    "invocation 0 (warm-up)",
    "whole stream",
  ]) {
    expect(screen).toContain(word);
  }
  const table = screen.split("\n").slice(1);
  expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(120);
});

test("the bit set functions that footprints rely on agree with Set", () => {
  const random = new Random(9);
  for (let round = 0; round < 200; round++) {
    const [a, b] = [new TypedFastBitSet(), new TypedFastBitSet()];
    const [p, q] = [new Set<number>(), new Set<number>()];
    const range = random.pick([10, 300, 100_000]);
    for (let i = random.int(200); i > 0; i--) {
      const [x, y] = [random.int(range), random.int(random.pick([64, range]))];
      a.add(x);
      p.add(x);
      b.add(y);
      q.add(y);
    }
    const both = [...p].filter((x) => q.has(x)).length;
    expect(a.size()).toBe(p.size);
    expect(a.intersection_size(b)).toBe(both);
    expect(a.union_size(b)).toBe(p.size + q.size - both);
    a.union(b);
    expect(a.size()).toBe(p.size + q.size - both);
  }
});
