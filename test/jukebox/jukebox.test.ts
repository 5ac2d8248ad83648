import { expect, test } from "vitest";
import { Outcome, Requester } from "../../src/cache/contract.js";
import { Jukebox } from "../../src/jukebox/jukebox.js";
import { MetadataStore } from "../../src/jukebox/metadata.js";
import type { JukeboxSpec } from "../../src/machine/spec.js";
import { count, MockHost, makePages, runUntil, specOf } from "./support.js";

const BASE = 70_000;

function setUp(overrides: Partial<JukeboxSpec> = {}) {
  const host = new MockHost(makePages(8));
  const jukebox = new Jukebox(specOf(overrides), host, BASE);
  let now = 0;
  /** One invocation that misses on `lines`. @returns virtual lines that it prefetched. */
  const invoke = (instance: number, lines: number[]): number[] => {
    now += 100_000;
    const before = host.target.enqueued.length;
    jukebox.beginInvocation(instance, now);
    runUntil(jukebox, now + 50_000);
    for (const v of lines)
      jukebox.demand(Requester.Fetch, host.physical(v), v, Outcome.Miss, now + 60_000, now + 60_050);
    jukebox.endInvocation(instance, now + 70_000);
    host.target.queue.length = 0;
    return host.target.enqueued.slice(before).map((e) => e.virtualLine);
  };
  return { host, jukebox, invoke };
}

test("invocation k replays what k - 1 recorded, not what k - 2 did", () => {
  const { invoke } = setUp();
  expect(invoke(1, [1, 2])).toEqual([]);
  expect(invoke(1, [5])).toEqual([1, 2]);
  expect(invoke(1, [])).toEqual([5]);
  expect(invoke(1, [])).toEqual([]);
});

test("record and replay use different memory, exchanged each invocation", () => {
  const { host, invoke } = setUp();
  invoke(1, [1]);
  invoke(1, [2]);
  invoke(1, [3]);
  const [a, b] = [BASE + 256, BASE];
  expect(host.writes.map((w) => w.line)).toEqual([a, b, a]);
  expect(host.reads.map((r) => r.line)).toEqual([a, b]);
});

test("instances that alternate replay their own metadata", () => {
  const { invoke } = setUp();
  invoke(7, [1, 2]);
  invoke(3, [40]);
  expect(invoke(7, [9])).toEqual([1, 2]);
  expect(invoke(3, [41])).toEqual([40]);
  expect(invoke(7, [])).toEqual([9]);
});

test("a prefetched line that is used is recorded again, so that metadata does not alternate", () => {
  const { host, jukebox, invoke } = setUp();
  invoke(1, [1, 2]);
  jukebox.beginInvocation(1, 900_000);
  runUntil(jukebox, 950_000);
  for (const v of [1, 2]) {
    jukebox.demand(Requester.Fetch, host.physical(v), v, Outcome.PrefetchHit, 960_000, 960_000);
  }
  jukebox.endInvocation(1, 970_000);
  host.target.queue.length = 0;
  jukebox.beginInvocation(1, 1_000_000);
  const before = host.target.enqueued.length;
  runUntil(jukebox, 1_050_000);
  expect(host.target.enqueued.slice(before).map((e) => e.virtualLine)).toEqual([1, 2]);
  expect(count(jukebox, "pfUseful")).toBe(2);
});

test("an invocation that begins before the last one ended ends it", () => {
  const { host, jukebox } = setUp();
  jukebox.beginInvocation(1, 0);
  jukebox.demand(Requester.Fetch, host.physical(4), 4, Outcome.Miss, 1, 51);
  jukebox.beginInvocation(2, 10);
  expect(count(jukebox, "recordings")).toBe(1);
  expect(host.writes).toEqual([{ line: BASE + 256, now: 10 }]);
  expect(jukebox.store.instance(1).record.entries).toBe(1);
});

test("an end without a begin does nothing", () => {
  const { host, jukebox } = setUp();
  jukebox.endInvocation(1, 10);
  expect(count(jukebox, "recordings")).toBe(0);
  expect(host.writes).toEqual([]);
});

test("without metadata nothing happens at all", () => {
  const { host, jukebox, invoke } = setUp({ metadataBytes: 0 });
  invoke(1, [1, 2, 3]);
  invoke(1, [1, 2, 3]);
  expect(
    host.reads.length + host.writes.length + host.translations.length + host.target.enqueued.length,
  ).toBe(0);
  expect(jukebox.nextAction).toBe(Number.POSITIVE_INFINITY);
  expect(jukebox.group.values.every((v) => v === 0)).toBe(true);
});

test("metadata too small for an entry is none", () => {
  const { host, invoke } = setUp({ metadataBytes: 6 });
  invoke(1, [1]);
  invoke(1, [1]);
  expect(host.writes.length + host.reads.length).toBe(0);
});

test("an instance's metadata moves with it between cores that share a store", () => {
  const spec = specOf();
  const store = new MetadataStore(spec, BASE);
  const hosts = [new MockHost(makePages(8)), new MockHost(makePages(8))];
  const [first, second] = hosts.map((host) => new Jukebox(spec, host, store));
  first.beginInvocation(1, 0);
  first.demand(Requester.Fetch, hosts[0].physical(4), 4, Outcome.Miss, 1, 51);
  first.endInvocation(1, 100);
  second.beginInvocation(1, 200);
  runUntil(second, 1000);
  expect(hosts[1].target.enqueued.map((e) => e.virtualLine)).toEqual([4]);
});

test("a prefetch used in a later invocation is useful still", () => {
  const { host, jukebox, invoke } = setUp();
  invoke(1, [1]);
  jukebox.beginInvocation(1, 500_000);
  runUntil(jukebox, 501_000);
  host.target.present.add(host.target.queue.shift() as number);
  jukebox.endInvocation(1, 502_000);
  jukebox.beginInvocation(1, 600_000);
  jukebox.demand(Requester.Fetch, host.physical(1), 1, Outcome.PrefetchHit, 600_100, 600_100);
  expect(count(jukebox, "pfUseful")).toBe(1);
  expect(jukebox.outstandingLines).toBe(0);
});
