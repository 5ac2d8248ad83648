import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openTrace, scan } from "../../src/loader/index.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";
import { readNaively } from "./naive-reader.js";
import { readCore, readDictionary, writeRandomTrace } from "./random-trace.js";

const seeds = fc.integer({ min: 0, max: 2 ** 31 });

test("a small trace comes back as it was described", () => {
  const t = new TraceBuilder({ cores: 2 });
  const loop = t.block(0x401000, ["48 8b 07", "48 ff c7", "75 f8"], [[0, "load", 8]]);
  const copy = t.block(0x401100, ["f3 a4"], [[0, "repMove", 1]]);
  t.begin(0);
  t.exec(0, loop, 0x7f0010).execs(0, loop, 10000, (i) => [0x7f0000 + 8 * i]);
  t.event(1, "Switch", 7, 1, 1).event(1, "IdleBegin").event(1, "IdleEnd", 0, 77, 1000);
  t.exec(1, copy, [[100, 0x1000, 0x2000], [-3, 0x1ff0, 0x5005]]).exec(1, copy, []); // biome-ignore format: segments
  t.end(0);
  const trace = t.open();
  expect(scan(trace, 0)).toMatchObject({ instructions: 30003, blocks: 10001, addresses: 10001 });
  expect(trace.cores[0].wakePositions).toEqual([77]);
  const stream = trace.stream(1);
  expect(stream.next()).toBe(true);
  expect([...stream.blocks.subarray(0, stream.blockCount)]).toEqual([1, 1]);
  expect(stream.addressCount).toBe(8);
  expect([...stream.eventKind.subarray(0, stream.eventCount)]).toEqual([1, 3, 4, 5, 2]);
  expect(stream.next()).toBe(false);
  expect(stream.next()).toBe(false);
});

test("random traces come back exactly, through the fast and the naive reader", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 400 }), (seed, steps) => {
      const path = temporaryPath("random.trace");
      const expected = writeRandomTrace(path, seed, steps);
      const trace = openTrace(path);
      expect(trace.header).toEqual({ ...expected.header, formatVersion: 1 });
      expect(readDictionary(trace)).toEqual({ pages: expected.pages, blocks: expected.blocks });
      expect(trace.symbols()).toEqual({ objects: expected.objects, symbols: expected.symbols });
      const naive = readNaively(path);
      expect(naive.pages).toEqual(expected.pages);
      expect(naive.symbols).toEqual(expected.symbols);
      expected.cores.forEach((core, i) => {
        const { start, ...own } = readCore(trace, i);
        expect(own).toEqual(core);
        expect(naive.cores[i]).toEqual(core);
        expect(trace.cores[i].blockExecutions).toBe(core.blocks.length);
        expect(trace.cores[i].instructions).toBe(core.instructions);
        expect(trace.cores[i].wakePositions).toEqual(naive.index.wakes[i]);
      });
      trace.close();
    }),
    { numRuns: 70, seed: 1 },
  );
});

test("batches join where a stream is longer than several of them", () => {
  const path = temporaryPath("long.trace");
  const expected = writeRandomTrace(path, 77, 9000);
  const trace = openTrace(path);
  expected.cores.forEach((core, i) => {
    const { start, ...own } = readCore(trace, i);
    expect(start).toBe(0);
    expect(own).toEqual(core);
  });
  trace.close();
});

test("a stream from a position starts at the chunk before it and loses no event", () => {
  fc.assert(
    fc.property(seeds, fc.double({ min: 0, max: 1, noNaN: true }), (seed, part) => {
      const path = temporaryPath("seek.trace");
      const expected = writeRandomTrace(path, seed, 150);
      const trace = openTrace(path);
      expected.cores.forEach((core, i) => {
        const from = Math.round(part * core.blocks.length);
        const found = readCore(trace, i, from);
        const start = Math.max(found.start, 0);
        expect(start).toBeLessThanOrEqual(from);
        expect(found.blocks).toEqual(core.blocks.slice(start));
        const needed = core.events.filter((event) => event.position >= from);
        expect(found.events.filter((event) => event.position >= from)).toEqual(needed);
      });
      trace.close();
    }),
    { numRuns: 60, seed: 2 },
  );
});

test("the same calls make the same bytes", () => {
  for (let seed = 0; seed < 10; seed++) {
    const [a, b] = [temporaryPath("a.trace"), temporaryPath("b.trace")];
    writeRandomTrace(a, seed, 300);
    writeRandomTrace(b, seed, 300);
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
  }
});

test("two streams of one trace do not disturb each other", () => {
  const path = temporaryPath("two.trace");
  const expected = writeRandomTrace(path, 5, 9000);
  const trace = openTrace(path);
  const ahead = trace.stream(0);
  ahead.next();
  const { start, ...own } = readCore(trace, 0);
  expect(own).toEqual(expected.cores[0]);
  expect([...ahead.blocks.subarray(0, ahead.blockCount)]).toEqual(
    expected.cores[0].blocks.slice(0, ahead.blockCount),
  );
  trace.close();
});
