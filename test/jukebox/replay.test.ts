import { expect, test } from "vitest";
import { Outcome, Requester } from "../../src/cache/contract.js";
import { Jukebox } from "../../src/jukebox/jukebox.js";
import type { JukeboxSpec } from "../../src/machine/spec.js";
import { count, MockHost, makePages, random, runUntil, specOf } from "./support.js";
import { TwinRecorder, twinReplay } from "./twin.js";

const BASE = 70_000;
type HostOptions = ConstructorParameters<typeof MockHost>[1];

function setUp(overrides: Partial<JukeboxSpec> = {}, options: HostOptions = {}) {
  const spec = specOf(overrides);
  const host = new MockHost(makePages(8), options);
  const jukebox = new Jukebox(spec, host, BASE);
  /** One invocation of instance 1 that misses on these virtual lines. */
  const record = (virtualLines: number[]) => {
    jukebox.beginInvocation(1, 0);
    for (const v of virtualLines) jukebox.demand(Requester.Fetch, host.physical(v), v, Outcome.Miss, 1, 51);
    jukebox.endInvocation(1, 100);
  };
  return { spec, host, jukebox, record };
}

/** The first line of each of n regions of 1 kB. */
const regions = (n: number) => Array.from({ length: n }, (_, i) => i * 16);

test("the first invocation of an instance replays nothing", () => {
  const { host, jukebox } = setUp();
  jukebox.beginInvocation(1, 0);
  expect(jukebox.nextAction).toBe(Number.POSITIVE_INFINITY);
  expect(host.reads).toEqual([]);
});

test("the first entry is expanded when the first metadata line has arrived, then one a cycle", () => {
  const { host, jukebox, record } = setUp();
  record(regions(10));
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(host.reads).toEqual([
    { line: BASE + 256, now: 1000 },
    { line: BASE + 257, now: 1000 },
  ]);
  expect(host.target.enqueued.map((e) => e.now)).toEqual(Array.from({ length: 10 }, (_, i) => 1100 + i));
});

test("a third metadata line is read when the last whole entry of the first was taken", () => {
  const { host, jukebox, record } = setUp();
  record(regions(20));
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(host.reads[2]).toEqual({ line: BASE + 258, now: 1108 });
});

test("with one read in flight an entry that straddles lines waits for the second", () => {
  const { host, jukebox, record } = setUp({ metadataReadsInFlight: 1 });
  record(regions(10));
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(host.reads.map((r) => r.now)).toEqual([1000, 1108]);
  expect(host.target.enqueued.map((e) => e.now).slice(8)).toEqual([1108, 1208]);
});

test("lines are enqueued low bit first, whatever the order of the misses", () => {
  const { host, jukebox, record } = setUp();
  record([9, 2, 15, 0]);
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(host.target.enqueued.map((e) => e.virtualLine)).toEqual([0, 2, 9, 15]);
  expect(host.target.enqueued.map((e) => e.line)).toEqual([0, 2, 9, 15].map((v) => host.physical(v)));
});

test("a walk holds an entry back until the translation is known", () => {
  const { host, jukebox, record } = setUp({}, { walkLatency: 40 });
  record([3]);
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(host.translations).toEqual([{ asid: 0, vpn: 2 ** 35 + 7, now: 1100 }]);
  expect(host.target.enqueued[0].now).toBe(1140);
});

test("each touched page of a region is translated once", () => {
  const { host, jukebox, record } = setUp({ regionBytes: 8192 });
  record([(8 << 6) | 1, (8 << 6) | 60, (9 << 6) | 2, (9 << 6) | 3]);
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(host.translations.map((t) => t.vpn)).toEqual([1024, 1025]);
});

test("lines of a page that cannot be translated are dropped and counted", () => {
  const { host, jukebox, record } = setUp();
  record([1, 2, (8 << 6) | 1]);
  host.unmapped.add(0);
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(count(jukebox, "pfTranslationFail")).toBe(2);
  expect(host.target.enqueued.map((e) => e.virtualLine)).toEqual([(8 << 6) | 1]);
});

test("a present line is not enqueued", () => {
  const { host, jukebox, record } = setUp();
  record([1, 2]);
  host.target.present.add(host.physical(1));
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(count(jukebox, "pfHitInCache")).toBe(1);
  expect(count(jukebox, "pfInsertedInQueue")).toBe(1);
  expect(jukebox.outstandingLines).toBe(1);
});

test("a full queue is tried again after half its capacity", () => {
  const { host, jukebox, record } = setUp({}, { queue: 4 });
  record([0, 1, 2, 3, 4, 5]);
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 1100);
  expect(host.target.enqueued.length).toBe(4);
  expect(jukebox.nextAction).toBe(1102);
  host.target.queue.length = 0;
  runUntil(jukebox, 5000);
  expect(host.target.enqueued.map((e) => e.now)).toEqual([1100, 1100, 1100, 1100, 1102, 1102]);
  expect(count(jukebox, "stallCycles.queue")).toBe(2);
});

test("a queue that gives up one line a cycle never runs dry before the replay comes back", () => {
  const { host, jukebox, record } = setUp({}, { queue: 32 });
  record(Array.from({ length: 500 }, (_, i) => i));
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 1100);
  for (let now = 1101; jukebox.replaying; now++) {
    expect(host.target.queue.length).toBeGreaterThan(0);
    host.target.queue.shift();
    runUntil(jukebox, now);
  }
  expect(host.target.enqueued.length).toBe(500);
});

test("every replay cycle has one cause", () => {
  const { host, jukebox, record } = setUp({ replayDistance: 20 }, { queue: 8, walkLatency: 13 });
  record(Array.from({ length: 200 }, (_, i) => i * 3));
  jukebox.beginInvocation(1, 1000);
  for (let now = 1000; jukebox.replaying; now++) {
    runUntil(jukebox, now);
    const line = now % 5 === 0 ? host.target.queue.shift() : undefined;
    if (line !== undefined) jukebox.demand(Requester.Fetch, line, 0, Outcome.PrefetchLate, now, now);
  }
  const causes = [
    "busyCycles",
    "stallCycles.metadata",
    "stallCycles.translation",
    "stallCycles.queue",
    "stallCycles.pacing",
  ];
  const sum = causes.reduce((s, name) => s + count(jukebox, name), 0);
  expect(sum).toBe(count(jukebox, "replayCycles"));
  expect(count(jukebox, "stallCycles.translation")).toBeGreaterThan(0);
  expect(count(jukebox, "stallCycles.queue")).toBeGreaterThan(0);
});

test("the end of an invocation stops the replay and counts what is left", () => {
  const { host, jukebox, record } = setUp({}, { queue: 3 });
  record([0, 1, 2, 3, 4, 16, 17, 32]);
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 1100);
  jukebox.endInvocation(1, 1101);
  expect(count(jukebox, "linesLeft")).toBe(5);
  expect(count(jukebox, "entriesLeft")).toBe(2);
  expect(jukebox.nextAction).toBe(Number.POSITIVE_INFINITY);
  expect(host.target.enqueued.length).toBe(3);
});

test("latency and bytes of metadata reads are counted", () => {
  const { jukebox, record } = setUp({}, { metadataLatency: 77 });
  record(regions(10));
  jukebox.beginInvocation(1, 1000);
  runUntil(jukebox, 5000);
  expect(count(jukebox, "reads")).toBe(2);
  expect(count(jukebox, "bytesRead")).toBe(128);
  expect(count(jukebox, "totalReadLatency")).toBe(154);
});

test.each([64, 1024, 8192])(
  "regions of %i bytes: lines and their order equal those of the plain model",
  (regionBytes) => {
    for (let seed = 1; seed <= 8; seed++) {
      const below = random(seed);
      const { spec, host, jukebox } = setUp(
        { regionBytes, crrbEntries: 1 + below(16), metadataReadsInFlight: 1 + below(4) },
        { queue: 1 + below(40), metadataLatency: 1 + below(200), walkLatency: below(30) },
      );
      const twin = new TwinRecorder(spec, host);
      jukebox.beginInvocation(1, 0);
      for (let i = 0; i < 800; i++) {
        const v = below(24 * 64);
        jukebox.demand(Requester.Fetch, host.physical(v), v, Outcome.Miss, i, i + 50);
        twin.record(v);
      }
      const expected = twinReplay(twin.end(), spec, host);
      jukebox.beginInvocation(1, 10_000);
      const drained: number[] = [];
      for (let now = 10_000; jukebox.replaying; now++) {
        runUntil(jukebox, now);
        // Lines that have left the queue are in the cache: later copies of them are dropped.
        const line = below(3) === 0 ? host.target.queue.shift() : undefined;
        if (line !== undefined) {
          drained.push(line);
          host.target.present.add(line);
        }
      }
      expect([...drained, ...host.target.queue]).toEqual(expected);
      expect(count(jukebox, "pfInsertedInQueue")).toBe(expected.length);
      expect(count(jukebox, "replaysFinished")).toBe(1);
    }
  },
);
