import { expect, test } from "vitest";
import { Outcome, Requester } from "../../src/cache/contract.js";
import { Jukebox } from "../../src/jukebox/jukebox.js";
import type { MetadataBuffer } from "../../src/jukebox/metadata.js";
import type { JukeboxSpec } from "../../src/machine/spec.js";
import { count, MockHost, makePages, random, specOf } from "./support.js";
import { type Entry, TwinRecorder } from "./twin.js";

const BASE = 70_000;

function setUp(overrides: Partial<JukeboxSpec> = {}, perSpace = 8) {
  const spec = specOf(overrides);
  const host = new MockHost(makePages(perSpace));
  const jukebox = new Jukebox(spec, host, BASE);
  const demand = (virtualLine: number, outcome: Outcome, now = 0, requester: Requester = Requester.Fetch) =>
    jukebox.demand(requester, host.physical(virtualLine), virtualLine, outcome, now, now + 50);
  return { spec, host, jukebox, demand };
}

function entriesOf(buffer: MetadataBuffer): Entry[] {
  const { words, linesPerRegion } = buffer.layout;
  return Array.from({ length: buffer.entries }, (_, i) => {
    const lines: number[] = [];
    for (let l = 0; l < linesPerRegion; l++) {
      if ((buffer.vector[i * words + (l >> 5)] >>> (l & 31)) & 1) lines.push(l);
    }
    return { asid: buffer.asid[i], region: buffer.region[i], lines };
  });
}

test.each([
  ["a miss", Outcome.Miss, 1],
  ["the first demand of a prefetched line", Outcome.PrefetchHit, 1],
  ["the first demand of a late prefetch", Outcome.PrefetchLate, 1],
  ["a hit", Outcome.Hit, 0],
  ["a merge with a demand", Outcome.Merge, 0],
])("%s is recorded or not as the paper says", (_, outcome, recorded) => {
  const { jukebox, demand } = setUp();
  jukebox.beginInvocation(1, 0);
  demand(5, outcome);
  expect(count(jukebox, "crrbMisses")).toBe(recorded);
});

test("data misses are not recorded", () => {
  const { jukebox, demand } = setUp();
  jukebox.beginInvocation(1, 0);
  for (const requester of [Requester.Load, Requester.Store, Requester.Walk])
    demand(5, Outcome.Miss, 0, requester);
  expect(count(jukebox, "crrbMisses")).toBe(0);
});

test("misses outside an invocation are not recorded", () => {
  const { jukebox, demand } = setUp();
  demand(5, Outcome.Miss);
  jukebox.beginInvocation(1, 0);
  jukebox.endInvocation(1, 10);
  demand(5, Outcome.Miss);
  expect(count(jukebox, "crrbMisses")).toBe(0);
});

test("misses of one 1 kB region make one entry", () => {
  const { jukebox, demand } = setUp();
  jukebox.beginInvocation(1, 0);
  demand(0, Outcome.Miss);
  demand(15, Outcome.Miss);
  demand(16, Outcome.Miss);
  jukebox.endInvocation(1, 10);
  expect(entriesOf(jukebox.store.instance(1).record)).toEqual([
    { asid: 0, region: (2 ** 35 + 7) * 4, lines: [0, 15] },
    { asid: 0, region: (2 ** 35 + 7) * 4 + 1, lines: [0] },
  ]);
});

test("a region of 8 kB spans two pages", () => {
  const { jukebox, demand } = setUp({ regionBytes: 8192 });
  const first = 8; // page 8: address space 1, virtual page 1024, even
  jukebox.beginInvocation(1, 0);
  demand((first << 6) | 3, Outcome.Miss);
  demand(((first + 1) << 6) | 63, Outcome.Miss);
  jukebox.endInvocation(1, 10);
  expect(entriesOf(jukebox.store.instance(1).record)).toEqual([{ asid: 1, region: 512, lines: [3, 127] }]);
});

test("a region evicted from the CRRB may appear again", () => {
  const { jukebox, demand } = setUp({ crrbEntries: 1 });
  jukebox.beginInvocation(1, 0);
  demand(0, Outcome.Miss);
  demand(16, Outcome.Miss);
  demand(1, Outcome.Miss);
  jukebox.endInvocation(1, 10);
  expect(entriesOf(jukebox.store.instance(1).record).map((e) => e.lines)).toEqual([[0], [0], [1]]);
});

test("a metadata line is written when its last bit is, and the rest at the end", () => {
  const { host, jukebox, demand } = setUp({ crrbEntries: 1 });
  jukebox.beginInvocation(1, 0);
  // Each new region evicts the one before: the entry i is written at time i + 1. Entry 9 holds bit 511.
  for (let i = 0; i < 12; i++) demand(i * 16, Outcome.Miss, i);
  expect(host.writes).toEqual([{ line: BASE + 256, now: 10 }]);
  jukebox.endInvocation(1, 50);
  expect(host.writes).toEqual([
    { line: BASE + 256, now: 10 },
    { line: BASE + 257, now: 50 },
  ]);
  expect(count(jukebox, "bytesWritten")).toBe(128);
});

test("a last line that is exactly full is not written twice", () => {
  // 64-bit entries: eight a line.
  const { host, jukebox, demand } = setUp({ crrbEntries: 1, regionPointerBits: 48 });
  jukebox.beginInvocation(1, 0);
  for (let i = 0; i < 8; i++) demand(i * 16, Outcome.Miss, i);
  jukebox.endInvocation(1, 50);
  expect(host.writes).toEqual([{ line: BASE + 256, now: 50 }]);
});

test("entries that find the buffer full are dropped and counted", () => {
  const { host, jukebox, demand } = setUp({ crrbEntries: 2, metadataBytes: 64 });
  jukebox.beginInvocation(1, 0);
  for (let i = 0; i < 30; i++) demand(i * 16, Outcome.Miss, i);
  jukebox.endInvocation(1, 50);
  expect(count(jukebox, "entryWrites")).toBe(9);
  expect(count(jukebox, "entryOverflows")).toBe(21);
  expect(count(jukebox, "linesOverflowed")).toBe(21);
  expect(host.writes.length).toBe(1);
  expect(entriesOf(jukebox.store.instance(1).record)[0].region).toBe((2 ** 35 + 7) * 4);
});

test("metadata bytes used are the packed bits, rounded up", () => {
  const { jukebox, demand } = setUp();
  jukebox.beginInvocation(1, 0);
  for (let i = 0; i < 3; i++) demand(i * 16, Outcome.Miss, i);
  jukebox.endInvocation(1, 50);
  expect(count(jukebox, "metadataBytesUsed")).toBe(Math.ceil((3 * 54) / 8));
});

test.each([64, 128, 1024, 4096, 8192])(
  "regions of %i bytes: entries equal those of the plain model",
  (regionBytes) => {
    for (let seed = 1; seed <= 6; seed++) {
      const below = random(seed * 1000 + regionBytes);
      const crrbEntries = [1, 2, 8, 16][below(4)];
      const metadataBytes = [40, 300, 16384][below(3)];
      const { spec, host, jukebox, demand } = setUp({ regionBytes, crrbEntries, metadataBytes });
      for (let invocation = 0; invocation < 3; invocation++) {
        const twin = new TwinRecorder(spec, host);
        const before = [
          count(jukebox, "crrbHits"),
          count(jukebox, "crrbMisses"),
          count(jukebox, "entryOverflows"),
        ];
        const writesBefore = host.writes.length;
        jukebox.beginInvocation(4, invocation * 10_000);
        let at = below(24 * 64);
        for (let i = 0; i < 1500; i++) {
          at = below(5) === 0 ? below(24 * 64) : (at + 1 + below(3)) % (24 * 64);
          const outcome = below(5) as Outcome;
          demand(at, outcome, invocation * 10_000 + i);
          if (outcome !== Outcome.Hit && outcome !== Outcome.Merge) twin.record(at);
        }
        jukebox.endInvocation(4, invocation * 10_000 + 9000);
        const expected = twin.end();
        const buffer = jukebox.store.instance(4).record;
        expect(entriesOf(buffer)).toEqual(expected);
        expect(count(jukebox, "crrbHits") - before[0]).toBe(twin.hits);
        expect(count(jukebox, "crrbMisses") - before[1]).toBe(twin.misses);
        expect(count(jukebox, "entryOverflows") - before[2]).toBe(twin.overflows);
        const lines = Math.ceil((expected.length * (38 + regionBytes / 64)) / 512);
        expect(host.writes.slice(writesBefore).map((w) => w.line - buffer.baseLine)).toEqual(
          Array.from({ length: lines }, (_, i) => i),
        );
      }
    }
  },
);
