import { describe, expect, it } from "vitest";
import { NOT_NOW, type Outcome, type Prefetcher, type PrefetcherHost } from "../../src/cache/contract.js";
import { MemorySystem } from "../../src/cache/system.js";
import { NO_LINE } from "../../src/cache/tag-array.js";
import type { CacheSpec, MachineInput, MachineSpec } from "../../src/machine/spec.js";
import { machine } from "./machines.js";
import { NaiveSystem } from "./naive-system.js";
import { Random } from "./random.js";

/** Prefetches at random, and writes down all it is told. */
class RandomPrefetcher implements Prefetcher {
  nextAction: number;
  readonly log: string[] = [];
  private readonly random: Random;

  constructor(
    private readonly host: PrefetcherHost,
    seed: number,
    private readonly lines: number,
  ) {
    this.random = new Random(seed);
    this.nextAction = this.random.below(100);
  }

  act(now: number): void {
    this.log.push(`act ${now}`);
    const random = this.random;
    for (let n = random.below(4); n > 0; n--) this.ask(random.below(this.lines), now);
    if (random.chance(20)) this.log.push(`read ${this.host.readMetadata(7, now)}`);
    if (random.chance(20)) this.host.writeMetadata(9, now);
    this.nextAction = random.chance(10) ? Infinity : now + random.below(200);
  }

  demand(requester: number, line: number, vline: number, outcome: Outcome, now: number, ready: number): void {
    this.log.push(`demand ${requester} ${line} ${vline} ${outcome} ${now} ${ready}`);
    const random = this.random;
    for (let n = random.below(3); n > 0; n--) this.ask((line + 1 + n) % this.lines, now);
    if (this.nextAction === Infinity && random.chance(30)) this.nextAction = now + random.below(50);
  }

  evictedUnused(line: number, now: number): void {
    this.log.push(`unused ${line} ${now}`);
  }

  beginInvocation(): void {}
  endInvocation(): void {}

  private ask(line: number, now: number): void {
    const target = this.host.target;
    const free = target.queueFree;
    const there = target.probe(line);
    const taken = target.enqueue(line, line + 1000, now);
    this.log.push(`ask ${line} ${free} ${there} ${taken}`);
  }
}

function randomCache(random: Random, kiB: readonly number[]): Partial<CacheSpec> {
  const ways = random.pick([1, 2, 4, 8]);
  return {
    sizeKiB: Math.max(random.pick(kiB), ways / 16),
    ways,
    tagLatency: random.below(5),
    dataLatency: random.below(5),
    responseLatency: random.below(5),
    mshrs: 1 + random.below(5),
    targetsPerMshr: 1 + random.below(4),
    writeBuffers: 1 + random.below(6),
    replacement: random.chance(75) ? "lru" : "random",
    prefetchQueue: 1 + random.below(6),
  };
}

function randomBus(random: Random) {
  return {
    frontendLatency: random.below(4),
    forwardLatency: random.below(3),
    responseLatency: random.below(4),
    width: random.pick([8, 16, 32, 64]),
  };
}

function randomMachine(random: Random, inclusion: boolean): MachineSpec {
  return machine("simple", (m: MachineInput) => {
    m.cores = 1 + random.below(3);
    m.l1i = { ...m.l1i, ...randomCache(random, [0.25, 0.5, 1]), infinite: random.chance(15) };
    m.l1d = { ...m.l1d, ...randomCache(random, [0.25, 0.5, 1]) };
    const depth = 1 + random.below(3);
    const sharedFrom = random.below(depth + 1);
    m.levels = Array.from({ length: depth }, (_, k) => ({
      name: `l${k + 2}`,
      shared: k >= sharedFrom,
      ...(inclusion ? { inclusion: random.pick(["inclusive", "exclusive", "non-inclusive"] as const) } : {}),
      bus: randomBus(random),
      cache: { ...m.l1d, ...randomCache(random, [0.5, 1, 2, 4]) },
    }));
    m.core.walker = random.pick(["memory", ...m.levels.map((level) => level.name)]);
    m.memoryBus = randomBus(random);
    m.memory = {
      model: "simple",
      latencyNs: random.pick([3, 10, 30]),
      bandwidthGiBs: random.pick([0.7, 12.8, 17.9, 100]),
    };
  });
}

/** What the words promise, of the lines that the caches hold now. */
function checkInclusion(system: MemorySystem, spec: MachineSpec, seed: number, step: number): void {
  for (const cache of system.allCaches()) {
    const policy = cache.level === 0 ? undefined : spec.levels[cache.level - 1].inclusion;
    for (const above of policy === undefined || policy === "non-inclusive" ? [] : cache.above) {
      // An L1I without limit is beyond all rules.
      if (above.held !== null) continue;
      for (const line of above.array.tags)
        if (line !== NO_LINE && cache.holds(line) !== (policy === "inclusive"))
          expect(`seed ${seed} step ${step}: ${above.path} holds ${line}`).toBe(`${cache.path} is ${policy}`);
    }
  }
}

/** Runs the same random accesses on both systems. */
function compare(seed: number, steps: number, inclusion = false): void {
  const random = new Random(seed);
  const spec = randomMachine(random, inclusion);
  const dirtyHandOver = random.chance(50);
  const lines = random.pick([24, 60, 200]);
  const system = new MemorySystem(spec, { seed, dirtyHandOver });
  const naive = new NaiveSystem(spec, seed, dirtyHandOver);
  const logs: [string[], string[]][] = [];
  const places = ["l1i", "l1d", ...spec.levels.map((level) => level.name)];
  for (let n = random.below(4); n > 0; n--) {
    const place = random.pick(places);
    const core = random.below(spec.cores);
    const cache =
      place === "l1i"
        ? spec.l1i
        : place === "l1d"
          ? spec.l1d
          : spec.levels.find((l) => l.name === place)!.cache;
    if (cache.infinite || cache.mshrs <= cache.demandReservedMshrs) continue;
    const made: RandomPrefetcher[] = [];
    const factory = (host: PrefetcherHost) => {
      const p = new RandomPrefetcher(host, seed + n, lines);
      made.push(p);
      return p;
    };
    system.attachPrefetcher(core, place, factory);
    naive.attach(core, place, factory);
    logs.push([made[0].log, made[1].log]);
  }

  // Each core has a time; the earliest goes next, up to the time of the second earliest.
  const time = Array.from({ length: spec.cores }, () => 0);
  for (let step = 0; step < steps; step++) {
    const core = time.indexOf(Math.min(...time));
    const horizon = Math.min(...time.filter((_, c) => c !== core), 1e9);
    const port = system.port(core);
    port.horizon = horizon;
    naive.horizon[core] = horizon;
    let now = time[core];
    if (random.chance(3)) now += random.below(300);
    const line = random.chance(50) ? random.below(lines) : random.below(8);
    const vline = line + 500;
    const what = random.below(20);
    let got: number;
    let want: number;
    if (what < 7) {
      got = port.fetch(line, vline, now);
      want = naive.fetch(core, line, vline, now);
    } else if (what < 12) {
      got = port.load(line, vline, 0, now);
      want = naive.load(core, line, vline, now);
    } else if (what < 18) {
      got = port.store(line, vline, 0, now);
      want = naive.store(core, line, vline, now);
    } else if (what < 19) {
      got = port.walk(line, now);
      want = naive.walk(core, line, now);
    } else {
      const write = random.chance(50);
      got = port.uncached(line, write, now);
      want = naive.uncached(core, line, write, now);
    }
    if (got !== want) expect({ step, got }, `seed ${seed}`).toEqual({ step, got: want });
    if (got === NOT_NOW) {
      if (port.retryAt !== naive.retryAt)
        expect({ step, at: port.retryAt }, `seed ${seed}`).toEqual({ step, at: naive.retryAt });
      time[core] = Math.max(now, port.retryAt);
    } else {
      if (port.servedBy !== naive.servedBy)
        expect({ step, by: port.servedBy }, `seed ${seed}`).toEqual({ step, by: naive.servedBy });
      // Sometimes it waits for the answer, sometimes the next access overlaps.
      time[core] = random.chance(50) ? got : now + random.below(3);
    }
    if (random.below(400) === 0) {
      const names = spec.levels.map((level) => level.name).filter(() => random.chance(50));
      const l1i = random.chance(50);
      const l1d = random.chance(50);
      system.flush({ l1i, l1d, levels: names });
      naive.flush(l1i, l1d, names);
    }
    if (inclusion && step % 7 === 0) checkInclusion(system, spec, seed, step);
  }

  for (const [mine, theirs] of logs) expect(mine, `seed ${seed}`).toEqual(theirs);
  const counts: Record<string, number> = {};
  for (const group of system.counterGroups()) {
    const values = group.values;
    group.defs.forEach((def, i) => {
      if (values[i] !== 0) counts[`${group.path}.${def.name}`] = values[i];
    });
  }
  const expected = Object.fromEntries([...naive.tally.counts].filter(([, n]) => n !== 0));
  expect(counts, `seed ${seed}`).toEqual(expected);
  expect(system.checkIdentities(), `seed ${seed}`).toEqual([]);
}

describe("the memory system and its naive twin", () => {
  for (let block = 0; block < 6; block++) {
    it(`agree on every cycle and every counter (machines ${block * 6} to ${block * 6 + 5})`, () => {
      for (let seed = block * 6; seed < block * 6 + 6; seed++) compare(seed, 1000);
    });
  }

  for (let block = 0; block < 10; block++) {
    const first = 1000 + block * 10;
    it(`agree with inclusive and exclusive levels, which keep what they promise (machines ${first} to ${first + 9})`, () => {
      for (let seed = first; seed < first + 10; seed++) compare(seed, 700, true);
    });
  }
});
