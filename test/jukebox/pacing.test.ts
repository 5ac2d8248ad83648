import { expect, test } from "vitest";
import { Outcome, Requester } from "../../src/cache/contract.js";
import { Jukebox } from "../../src/jukebox/jukebox.js";
import { SWEEP_CYCLES } from "../../src/jukebox/replayer.js";
import { count, MockHost, makePages, random, runUntil, specOf } from "./support.js";

function setUp(distance: number, lines: number, queue = 32) {
  const host = new MockHost(makePages(16), { queue });
  const jukebox = new Jukebox(specOf({ replayDistance: distance }), host, 70_000);
  jukebox.beginInvocation(1, 0);
  for (let v = 0; v < lines; v++) jukebox.demand(Requester.Fetch, host.physical(v), v, Outcome.Miss, 1, 51);
  jukebox.endInvocation(1, 100);
  jukebox.beginInvocation(1, 1000);
  const fetch = (line: number, outcome: Outcome, now: number) =>
    jukebox.demand(Requester.Fetch, line, 0, outcome, now, now + 50);
  return { host, jukebox, fetch };
}

test("the replay stops at exactly the distance", () => {
  const { host, jukebox } = setUp(5, 40);
  runUntil(jukebox, 1500);
  expect(host.target.enqueued.length).toBe(5);
  expect(jukebox.outstandingLines).toBe(5);
});

test("a first use lets one more line go, in the next cycle", () => {
  const { host, jukebox, fetch } = setUp(5, 40);
  runUntil(jukebox, 1500);
  const line = host.target.queue.shift() as number;
  host.target.present.add(line);
  fetch(line, Outcome.PrefetchHit, 1600);
  expect(jukebox.nextAction).toBe(1601);
  runUntil(jukebox, 1601);
  expect(host.target.enqueued.map((e) => e.now)).toEqual([1100, 1100, 1100, 1100, 1100, 1601]);
});

test("an unused eviction lets one more line go", () => {
  const { host, jukebox } = setUp(5, 40);
  runUntil(jukebox, 1500);
  jukebox.evictedUnused(host.target.queue.shift() as number, 1600);
  runUntil(jukebox, 1601);
  expect(host.target.enqueued.length).toBe(6);
  expect(count(jukebox, "pfUnused")).toBe(1);
});

test("a demand that squashes a queued prefetch lets one more line go", () => {
  const { host, jukebox, fetch } = setUp(5, 40);
  runUntil(jukebox, 1500);
  fetch(host.target.queue.shift() as number, Outcome.Miss, 1600);
  runUntil(jukebox, 1601);
  expect(host.target.enqueued.length).toBe(6);
  expect(count(jukebox, "pfSquashed")).toBe(1);
});

test("a line retired by the cache lets one more line go", () => {
  const { host, jukebox } = setUp(5, 40);
  runUntil(jukebox, 1500);
  jukebox.retired(host.target.queue.shift() as number, 1600);
  runUntil(jukebox, 1601);
  expect(host.target.enqueued.length).toBe(6);
  expect(count(jukebox, "pfLost")).toBe(1);
});

test("a use of a line that was not prefetched changes nothing", () => {
  const { jukebox, fetch } = setUp(5, 40);
  runUntil(jukebox, 1500);
  const before = jukebox.nextAction;
  fetch(123_456, Outcome.PrefetchHit, 1600);
  expect(jukebox.nextAction).toBe(before);
  expect(count(jukebox, "pfUseful")).toBe(0);
});

test("present lines do not count as outstanding", () => {
  const { host, jukebox } = setUp(5, 40);
  for (let v = 0; v < 38; v++) host.target.present.add(host.physical(v));
  runUntil(jukebox, 3000);
  expect(jukebox.replaying).toBe(false);
  expect(jukebox.outstandingLines).toBe(2);
});

test("lines that vanish without a report are found by the sweep", () => {
  const { host, jukebox } = setUp(5, 12);
  runUntil(jukebox, 1500);
  host.target.queue.length = 0;
  runUntil(jukebox, 1100 + SWEEP_CYCLES - 1);
  expect(host.target.enqueued.length).toBe(5);
  runUntil(jukebox, 1100 + SWEEP_CYCLES);
  expect(host.target.enqueued.length).toBe(10);
  expect(count(jukebox, "pfLost")).toBe(5);
});

test("a distance of 0 prefetches nothing", () => {
  const { host, jukebox } = setUp(0, 40);
  runUntil(jukebox, 50_000);
  expect(host.target.enqueued).toEqual([]);
});

test("prefetches left from the invocation before do not hold the next one back", () => {
  const { host, jukebox } = setUp(5, 40);
  runUntil(jukebox, 1500);
  for (const line of host.target.queue.splice(0)) host.target.present.add(line);
  for (let v = 100; v < 140; v++) {
    jukebox.demand(Requester.Fetch, host.physical(v), v, Outcome.Miss, 1600, 1650);
  }
  jukebox.beginInvocation(1, 2000);
  runUntil(jukebox, 2500);
  expect(jukebox.outstandingLines).toBe(5);
  expect(jukebox.pendingLines).toBe(10);
});

type State = "inflight" | "unused";

/** A cache that loses prefetches in every way there is, with reports and without. */
function torment(seed: number, distance: number, silent: boolean) {
  const below = random(seed);
  const { host, jukebox, fetch } = setUp(distance, 900, 1 + below(32));
  const { queue, present } = host.target;
  const state = new Map<number, State>();
  let most = 0;
  let now = 1000;
  let enqueued = 0;
  let enqueuedAt = now;
  let longestPause = 0;
  const gone = (line: number, here: boolean) => {
    state.delete(line);
    if (!here) present.delete(line);
  };
  for (; jukebox.replaying && now < 500_000; now++) {
    runUntil(jukebox, now);
    if (host.target.enqueued.length > enqueued) {
      enqueued = host.target.enqueued.length;
      enqueuedAt = now;
    }
    longestPause = Math.max(longestPause, now - enqueuedAt);
    most = Math.max(most, queue.length + state.size);
    if (queue.length > 0 && below(3) === 0) {
      const line = queue.shift() as number;
      const fate = below(silent ? 6 : 4);
      if (fate === 0) {
        // The demand came first and squashed it.
        fetch(line, Outcome.Miss, now);
        present.add(line);
      } else if (fate > 3) {
        // Dropped at issue: present by another core's demand, or thrown away.
        if (fate === 4) present.add(line);
      } else {
        present.add(line);
        state.set(line, "inflight");
      }
    }
    if (state.size > 0 && below(4) === 0) {
      const lines = [...state.keys()];
      const line = lines[below(lines.length)];
      const choice = below(silent ? 10 : 6);
      if (state.get(line) === "inflight") {
        if (choice === 0) {
          fetch(line, Outcome.PrefetchLate, now);
          gone(line, true);
        } else {
          state.set(line, "unused");
        }
      } else if (choice < 3) {
        fetch(line, Outcome.PrefetchHit, now);
        gone(line, true);
      } else if (choice < 5) {
        gone(line, false);
        jukebox.evictedUnused(line, now);
      } else if (choice === 6) {
        gone(line, true); // first used by another core, unreported
      } else if (choice === 7) {
        gone(line, false); // invalidated, unreported
      }
    }
    if (below(200) === 0 && present.size > 0) {
      // A line that has been used is evicted: nothing is reported.
      const used = [...present].filter((line) => !state.has(line));
      if (used.length > 0) present.delete(used[below(used.length)]);
    }
    if (silent && below(5000) === 0) {
      // Flush of cache and queue, reported to nobody.
      queue.length = 0;
      state.clear();
      present.clear();
    }
    if (below(50) === 0) {
      // A demand for any line at all.
      const line = host.physical(below(900));
      const queued = queue.indexOf(line);
      if (queued >= 0) queue.splice(queued, 1);
      const prefetched = state.get(line);
      if (prefetched === "unused") fetch(line, Outcome.PrefetchHit, now);
      else if (prefetched === "inflight") fetch(line, Outcome.PrefetchLate, now);
      else fetch(line, present.has(line) ? Outcome.Hit : Outcome.Miss, now);
      state.delete(line);
      present.add(line);
    }
  }
  return { jukebox, most, longestPause };
}

test("with every fate reported, never more than the distance is outstanding and the replay ends", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const distance = [1, 2, 7, 64][seed % 4];
    const { jukebox, most } = torment(seed, distance, false);
    expect(most).toBeLessThanOrEqual(distance);
    expect(jukebox.replaying).toBe(false);
  }
});

test("whatever is lost without a report, never more than the distance is outstanding and the replay goes on", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const distance = [1, 2, 7, 64][seed % 4];
    const { most, longestPause } = torment(seed, distance, true);
    expect(most).toBeLessThanOrEqual(distance);
    // A line that another core used stands until it leaves the cache: the mock flushes every 5000 cycles or so.
    expect(longestPause).toBeLessThan(60_000);
  }
});

test("every generated line and every inserted line has one fate", () => {
  for (let seed = 20; seed < 32; seed++) {
    const { jukebox } = torment(seed, [-1, 9, 40][seed % 3], true);
    const c = (name: string) => count(jukebox, name);
    expect(c("pfGenerated")).toBe(900);
    expect(c("pfInsertedInQueue") + c("pfHitInCache") + c("pfAlreadyPending") + c("pfTranslationFail")).toBe(
      900,
    );
    const ended = c("pfUseful") + c("pfUnused") + c("pfSquashed") + c("pfLost");
    expect(ended + jukebox.pendingLines).toBe(c("pfInsertedInQueue"));
  }
});
