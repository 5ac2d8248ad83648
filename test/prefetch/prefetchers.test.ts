import { describe, expect, it, test } from "vitest";
import { Outcome, Requester } from "../../src/cache/contract.js";
import { InputError } from "../../src/errors.js";
import { OFFSETS } from "../../src/prefetch/best-offset.js";
import { createPrefetcher, resolvePrefetcher } from "../../src/prefetch/index.js";
import { MockHost } from "../jukebox/support.js";
import { Random } from "../support/random.js";

/** Pages 0 to 19 at physical pages 100 to 119, virtual pages in a row. */
const PAGES = Array.from({ length: 20 }, (_, i) => ({ asid: 1, vpn: 500 + i, ppn: 100 + i }));
const PHYSICAL = 100 * 64;

function make(name: string, keys: object = {}) {
  const host = new MockHost(PAGES);
  const spec = { name, cores: "all" as const, ...keys };
  const prefetcher = createPrefetcher(resolvePrefetcher(spec, "prefetchers[0]", ["l1d"], "l1d"), host);
  /** A load of a virtual line. @returns the virtual lines that are asked for. */
  const load = (virtualLine: number, outcome: Outcome = Outcome.Miss, pc = 0x5000, now = 0, ready = now) => {
    const before = host.target.enqueued.length;
    prefetcher.demand(Requester.Load, PHYSICAL + virtualLine, virtualLine, outcome, now, ready, pc);
    return host.target.enqueued.slice(before).map((e) => e.virtualLine);
  };
  return { host, prefetcher, load };
}

describe("next-line", () => {
  it("asks for the next lines on a miss and on the first use of a prefetched line", () => {
    const { load } = make("next-line", { degree: 2 });
    expect(load(10)).toEqual([11, 12]);
    expect(load(11, Outcome.PrefetchHit)).toEqual([13]);
    expect(load(20, Outcome.PrefetchLate)).toEqual([21, 22]);
    expect(load(30, Outcome.Hit)).toEqual([]);
    expect(load(30, Outcome.Merge)).toEqual([]);
  });

  it("stops at the end of the page", () => {
    const { load } = make("next-line", { degree: 4 });
    expect(load(61)).toEqual([62, 63]);
    expect(load(63)).toEqual([]);
  });

  it("sees what it is told to see", () => {
    const { load, prefetcher, host } = make("next-line", { on: "instructions" });
    expect(load(1)).toEqual([]);
    prefetcher.demand(Requester.Fetch, PHYSICAL + 5, 5, Outcome.Miss, 0, 0, 5 << 6);
    expect(host.target.queue).toEqual([PHYSICAL + 6]);
    // Walks have no virtual line.
    prefetcher.demand(Requester.Walk, 7, -1, Outcome.Miss, 0, 0, 0);
    expect(host.target.queue.length).toBe(1);
  });
});

describe("stride", () => {
  it("follows an instruction's distance from its third repetition on, in both directions", () => {
    const { load } = make("stride", { degree: 2 });
    expect([0, 3, 6, 9].map((line) => load(line, Outcome.Hit))).toEqual([[], [], [], [12, 15]]);
    const down = make("stride", { degree: 1 });
    expect([40, 38, 36, 34].map((line) => down.load(line))).toEqual([[], [], [], [32]]);
  });

  it("keeps instructions apart and ignores accesses within a line", () => {
    const { load } = make("stride", { degree: 1 });
    const got: number[][] = [];
    for (const i of [0, 1, 2, 3]) {
      got.push(load(i * 2, Outcome.Hit, 0x5001), load(i * 2, Outcome.Hit, 0x5001));
      got.push(load(500 - i * 5, Outcome.Hit, 0x6002));
    }
    expect(got.flat()).toEqual([8, 480]);
  });

  it("takes a distance over the border of a page, and asks again on the new page", () => {
    const { load } = make("stride", { degree: 2 });
    expect([40, 50, 60].map((line) => load(line))).toEqual([[], [], []]);
    expect(load(70)).toEqual([80, 90]);
  });

  it("takes up a new distance when confidence in the old one is gone", () => {
    const { load } = make("stride", { degree: 1 });
    expect([0, 1, 2, 3].flatMap((line) => load(line))).toEqual([4]);
    // 5: confidence 1; 7: 0; 9: the distance is 2 now; 11 and 13 repeat it.
    expect([5, 7, 9, 11, 13].map((line) => load(line))).toEqual([[], [], [], [], [15]]);
  });
});

describe("stream", () => {
  it("follows misses in one direction, up to its distance ahead", () => {
    const { load } = make("stream", { degree: 2, distance: 5 });
    expect([10, 11, 12].map((line) => load(line))).toEqual([[], [], [13, 14]]);
    expect(load(12, Outcome.Hit)).toEqual([]);
    expect(load(13, Outcome.PrefetchHit)).toEqual([15, 16]);
    expect(load(14, Outcome.PrefetchHit)).toEqual([17, 18]);
    expect(load(15, Outcome.PrefetchHit)).toEqual([19, 20]);
    expect(load(16, Outcome.PrefetchHit)).toEqual([21]);
  });

  it("goes downwards too, and turns when the misses do", () => {
    const { load } = make("stream", { degree: 1 });
    expect([30, 29, 28].map((line) => load(line))).toEqual([[], [], [27]]);
    expect(load(29)).toEqual([]);
    expect(load(31)).toEqual([32]);
  });

  it("tracks several pages, and forgets the one used longest ago", () => {
    const { load } = make("stream", { degree: 1, streams: 2 });
    for (const page of [1, 2]) for (const line of [0, 1]) load(page * 64 + line);
    expect(load(64 + 2)).toEqual([64 + 3]);
    expect(load(128 + 2)).toEqual([128 + 3]);
    load(3 * 64);
    // Page 1 made room.
    expect(load(64 + 3)).toEqual([]);
    expect(load(3 * 64 + 1)).toEqual([]);
  });
});

describe("best-offset", () => {
  it("has the offsets of the paper that fit a page", () => {
    expect(OFFSETS).toEqual([
      1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24, 25, 27, 30, 32, 36, 40, 45, 48, 50, 54, 60,
    ]);
  });

  /** Misses walk through pages by `step`, one every 10 cycles; lines take `latency`. @returns the last offset asked for. */
  function learn(step: number, latency: number, accesses: number): number {
    const { host, prefetcher } = make("best-offset");
    const random = new Random(1);
    let offset = 0;
    let line = 0;
    for (let i = 0; i < accesses; i++) {
      const now = i * 10;
      const before = host.target.enqueued.length;
      const known = host.target.present.has(PHYSICAL + line);
      const outcome = known ? Outcome.PrefetchHit : Outcome.Miss;
      prefetcher.demand(Requester.Load, PHYSICAL + line, line, outcome, now, now + latency, 0x5000);
      const asked = host.target.enqueued.slice(before);
      for (const { line: wanted, virtualLine } of asked) {
        offset = virtualLine - line;
        prefetcher.issued?.(wanted, now, now + latency);
      }
      host.target.queue.length = 0;
      // On to the next page, in an order that repeats nothing soon.
      line += step;
      if (line >> 6 !== (line - step) >> 6) line = random.int(20) * 64 + random.int(step);
    }
    return offset;
  }

  it("learns a multiple of the step", () => {
    for (const step of [3, 4, 5]) expect(learn(step, 5, 6000) % step, `step ${step}`).toBe(0);
  });

  it("learns an offset that is timely: the longer lines take, the larger", () => {
    // A line takes four accesses to arrive.
    expect(learn(1, 5, 6000)).toBeLessThan(learn(1, 80, 6000));
    expect(learn(1, 80, 6000)).toBeGreaterThanOrEqual(8);
  });

  it("turns itself off where nothing repeats", () => {
    const { prefetcher, host } = make("best-offset", { roundMax: 10 });
    const random = new Random(2);
    // A page is never seen again.
    for (let i = 0; i < 2000; i++) {
      if (i === 1000) host.target.enqueued.length = 0;
      const line = ((i * 7) << 6) | random.int(64);
      prefetcher.demand(Requester.Load, line, random.int(64), Outcome.Miss, i * 1000, i * 1000 + 100, 0x5000);
    }
    expect(host.target.enqueued).toEqual([]);
  });
});

describe("parameters", () => {
  test.each([
    [{ name: "strid" }, 'prefetchers[0].name: no prefetcher "strid". Did you mean "stride"?'],
    [{ name: "stride", degre: 2 }, 'prefetchers[0].degre: unknown key. Did you mean "degree"?'],
    [
      { name: "stride", entries: 48 },
      "prefetchers[0].entries: expected a whole number from 1 to 65536, a power of two; got 48",
    ],
    [
      { name: "next-line", degree: -1 },
      "prefetchers[0].degree: expected a whole number from 0 to 63; got -1",
    ],
    [{ name: "next-line", level: "l1" }, 'prefetchers[0].level: no level "l1". Did you mean "l1d"?'],
  ])("%j is refused in one clear line", (keys, message) => {
    const run = () => make(keys.name, keys);
    expect(run).toThrow(InputError);
    expect(run).toThrow(message);
  });
});
