import { expect, test } from "vitest";
import { hardwareBits, hardwareBitsBreakdown } from "../../src/jukebox/cost.js";
import { JUKEBOX_COUNTERS, jukeboxCounters } from "../../src/jukebox/counters.js";
import {
  accuracy,
  averageReadLatency,
  avgNumPrefetchesPerEntry,
  coverage,
  overprediction,
} from "../../src/jukebox/derived.js";
import { CounterSheet } from "../../src/stats/counters.js";
import { specOf } from "./support.js";

test("the default Jukebox costs 2144 bits", () => {
  expect(hardwareBits(specOf())).toBe(2144);
});

test("the cost is made of registers, CRRB, counters and line buffers", () => {
  const bits = hardwareBitsBreakdown(specOf());
  expect(bits).toEqual({ registers: 192, crrb: 864, counters: 64, lineBuffers: 1024, total: 2144 });
});

test("twice the CRRB costs 864 bits more", () => {
  expect(hardwareBits(specOf({ crrbEntries: 32 }))).toBe(2144 + 864);
});

test("accuracy is useful over inserted", () => {
  expect(accuracy(30, 40)).toBe(0.75);
});

test("coverage is useful over useful and missed", () => {
  expect(coverage(30, 10)).toBe(0.75);
});

test("overprediction is issued less useful over the misses without Jukebox", () => {
  expect(overprediction(40, 30, 100)).toBe(0.1);
});

test("lines an entry and latency a read are plain means", () => {
  expect(avgNumPrefetchesPerEntry(40, 8, 2)).toBe(4);
  expect(averageReadLatency(300, 3)).toBe(100);
});

test("a ratio without a denominator is no number", () => {
  expect(accuracy(0, 0)).toBeNaN();
});

test("every counter has a description, and the sheet takes them", () => {
  const sheet = new CounterSheet();
  sheet.add(jukeboxCounters(1));
  expect(sheet.has("cpu1.jukebox.crrbHits")).toBe(true);
  expect(JUKEBOX_COUNTERS.every((def) => def.description.length > 10)).toBe(true);
});
