import type { Prefetcher } from "../../src/cache/contract.js";
import type { CacheSpec, DramMemorySpec } from "../../src/machine/spec.js";
import { Traffic } from "../../src/memory/contract.js";
import { DramMemory } from "../../src/memory/dram/dram.js";
import { type Entry, NAIVE_POLICIES, type NaivePolicy } from "./naive-replacement.js";

/** Counters by full name. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
}

/**
 * Disjoint intervals in the order in which they were made. A request gets the earliest time from `at` on at which it
 * fits between them.
 */
class Intervals<T extends number | bigint> {
  private from: T[] = [];
  private to: T[] = [];

  constructor(private readonly sum: (a: T, b: T) => T) {}

  reserve(at: T, length: T): T {
    let start = at;
    let end = this.sum(start, length);
    for (let i = 0; i < this.from.length; i++) {
      // Whoever begins before this one ends is in its way: it comes after that one, and looks at all again.
      if (this.from[i] < end && this.to[i] > start) {
        start = this.to[i];
        end = this.sum(start, length);
        i = -1;
      }
    }
    this.from.push(start);
    this.to.push(end);
    if (this.from.length > 1000) this.forget(at);
    return start;
  }

  clear(): void {
    this.from = [];
    this.to = [];
  }

  /** Only the intervals that end after `at` or were made last: the list does not grow for ever. */
  private forget(at: T): void {
    const keep = this.to.map((to, i) => to > at || i >= 700);
    this.from = this.from.filter((_, i) => keep[i]);
    this.to = this.to.filter((_, i) => keep[i]);
  }
}

/** A resource that does one thing at a time. */
export class NaiveResource {
  private readonly busy = new Intervals<number>((a, b) => a + b);

  reserve(at: number, length: number): number {
    return this.busy.reserve(at, length);
  }
}

export class NaiveBus {
  readonly request = new NaiveResource();
  readonly responses: NaiveResource[] = [];

  constructor(
    readonly down: number,
    readonly up: number,
    readonly dataCycles: number,
  ) {}

  port(): number {
    this.responses.push(new NaiveResource());
    return this.responses.length - 1;
  }

  respond(port: number, at: number, cycles: number): number {
    return this.responses[port].reserve(at, cycles) + this.up;
  }
}

/** Main memory, its traffic by kind as in the names of the counters. */
export interface NaiveMainMemory {
  read(line: number, kind: string, at: number): number;
  write(line: number, kind: string, at: number): void;
  flush(): void;
}

/** Memory of fixed latency; turns in exact fractions of a cycle, as big integers. */
export class NaiveMemory implements NaiveMainMemory {
  private readonly turns = new Intervals<bigint>((a, b) => a + b);

  constructor(
    private readonly latency: number,
    private readonly numerator: bigint,
    private readonly denominator: bigint,
    private readonly tally: Tally,
  ) {}

  read(_line: number, kind: string, at: number): number {
    const done = this.turn(at) + this.latency;
    this.tally.add(`memory.bytesRead.${kind}`, 64);
    this.tally.add("memory.reads");
    this.tally.add("memory.readLatency", done - at);
    return done;
  }

  write(_line: number, kind: string, at: number): void {
    this.turn(at);
    this.tally.add(`memory.bytesWritten.${kind}`, 64);
    this.tally.add("memory.writes");
  }

  flush(): void {
    this.turns.clear();
  }

  private turn(at: number): number {
    const start = this.turns.reserve(BigInt(at) * this.denominator, this.numerator);
    return Number((start + this.denominator - 1n) / this.denominator);
  }
}

const TRAFFIC: Record<string, [read: Traffic, write: Traffic]> = {
  fetch: [Traffic.Fetch, Traffic.Fetch],
  data: [Traffic.Data, Traffic.Data],
  walk: [Traffic.Walk, Traffic.Walk],
  prefetch: [Traffic.Prefetch, Traffic.Prefetch],
  writeback: [Traffic.Writeback, Traffic.Writeback],
  metadata: [Traffic.MetadataRead, Traffic.MetadataWrite],
  uncached: [Traffic.Uncached, Traffic.Uncached],
};

/** The simulator's own banked DRAM: its twin (test/memory) has to know the whole future. */
export class SharedDram implements NaiveMainMemory {
  private readonly dram: DramMemory;

  constructor(
    spec: DramMemorySpec,
    clockGHz: number,
    private readonly tally: Tally,
  ) {
    this.dram = new DramMemory(spec, clockGHz);
  }

  read(line: number, kind: string, at: number): number {
    return this.counted(() => this.dram.read(line, TRAFFIC[kind][0], at));
  }

  write(line: number, kind: string, at: number): void {
    this.counted(() => this.dram.write(line, TRAFFIC[kind][1], at));
  }

  flush(): void {
    this.counted(() => this.dram.flush());
  }

  private counted<Result>(act: () => Result): Result {
    const result = act();
    const { path, defs, values } = this.dram.counters;
    defs.forEach((def, i) => {
      this.tally.counts.set(`${path}.${def.name}`, values[i]);
    });
    return result;
  }
}

export type NaiveState = "S" | "E" | "M";

export interface NaiveLine extends Entry {
  state: NaiveState;
  readyAt: number;
  /** All of it is in the data array. */
  wholeAt: number;
  targets: number;
  prefetchedBy: NaivePrefetcher | null;
}

export interface NaiveQueueEntry {
  line: number;
  virtualLine: number;
  at: number;
  by: NaivePrefetcher;
}

export interface NaivePrefetcher {
  core: number;
  cache: NaiveCache;
  prefetcher: Prefetcher;
  lastAct: number;
}

/** One cache: sets of ways, each a line or null. */
export class NaiveCache {
  readonly sets: (NaiveLine | null)[][];
  /** Cycle from which each MSHR is free. */
  readonly mshrs: number[];
  readonly writeBuffer: number[] = [];
  readonly queue: NaiveQueueEntry[] = [];
  lastIssue = -1;
  blockedUntil = 0;
  hasPrefetcher = false;
  held: Map<number, number> | null;
  below: NaiveCache | null = null;
  inclusion: "inclusive" | "exclusive" | "non-inclusive" = "non-inclusive";
  above: NaiveCache[] = [];
  bus!: NaiveBus;
  port = 0;
  private clock = 0;
  private readonly policy: NaivePolicy;

  constructor(
    readonly spec: CacheSpec,
    readonly path: string,
    readonly level: number,
    readonly cores: number[],
    readonly isPrivate: boolean,
    seed: number,
    readonly tally: Tally,
  ) {
    const sets = (spec.sizeKiB * 1024) / 64 / spec.ways;
    this.sets = Array.from({ length: sets }, () => new Array<NaiveLine | null>(spec.ways).fill(null));
    this.policy = NAIVE_POLICIES[spec.replacement](sets, spec.ways, seed);
    this.held = spec.infinite ? new Map() : null;
    this.mshrs = new Array(spec.mshrs).fill(0);
  }

  get hitLatency(): number {
    return Math.max(this.spec.tagLatency, this.spec.dataLatency);
  }

  /** How long an access at `now` takes, `latency` if all of the line is there; gem5: calculateAccessLatency. */
  accessLatency(line: NaiveLine, now: number, latency: number): number {
    const wait = line.wholeAt - now;
    return wait > latency ? latency + wait : latency;
  }

  count(metric: string, core: number, requester: string, by = 1): void {
    this.tally.add(`${this.path}.${metric}.cpu${core}.${requester}`, by);
  }

  single(name: string): void {
    this.tally.add(`${this.path}.${name}`);
  }

  pf(name: string, core: number): void {
    this.tally.add(`${this.path}.${name}.cpu${core}`);
  }

  find(line: number): NaiveLine | null {
    return this.sets[line % this.sets.length].find((l) => l?.line === line) ?? null;
  }

  holds(line: number): boolean {
    return this.held !== null ? this.held.has(line) : this.find(line) !== null;
  }

  touch(line: NaiveLine): void {
    line.used = ++this.clock;
    this.policy.touch(line, line.line % this.sets.length);
  }

  /** Does a cache above hold the line? */
  heldAbove(line: number): boolean {
    return this.above.some((c) => c.holds(line));
  }

  /**
   * @param signature of who brings the line
   * @returns the line that had to go, if it was dirty, here or above, or if the level below takes clean ones, too.
   */
  install(line: number, state: NaiveState, readyAt: number, now: number, signature = 0): NaiveLine | null {
    const index = line % this.sets.length;
    const set = this.sets[index];
    let way = set.indexOf(null);
    let out: NaiveLine | null = null;
    if (way < 0) {
      way = this.policy.victim(set as NaiveLine[], index).way;
      const victim = set[way]!;
      this.policy.gone?.(victim, true, index);
      this.single("replacements");
      this.noteUnused(victim, now);
      if (this.inclusion === "inclusive") {
        for (const c of this.above) {
          const copy = c.find(victim.line);
          if (copy === null) continue;
          c.single("recalled");
          if (copy.state === "M") {
            victim.state = "M";
            victim.readyAt = Math.max(victim.readyAt, copy.readyAt);
          }
          c.remove(victim.line, now);
        }
      }
      if (victim.state === "M") this.single("writebacks");
      if (victim.state === "M" || this.below?.inclusion === "exclusive") out = victim;
    }
    const used = ++this.clock;
    const entry = { line, way, signature, arrived: used, used, distance: 0, reused: false };
    const installed = { ...entry, state, readyAt, wholeAt: readyAt, targets: 1, prefetchedBy: null };
    set[way] = installed;
    this.policy.fill(installed, index);
    this.single("fills");
    return out;
  }

  remove(line: number, now: number): void {
    const index = line % this.sets.length;
    const set = this.sets[index];
    const way = set.findIndex((l) => l?.line === line);
    this.noteUnused(set[way]!, now);
    this.policy.gone?.(set[way]!, false, index);
    set[way] = null;
  }

  flush(now: number): void {
    for (const set of this.sets) {
      set.forEach((l) => {
        if (l === null) return;
        this.single("flushed");
        this.remove(l.line, now);
      });
    }
    this.mshrs.fill(0);
    this.writeBuffer.length = 0;
    if (this.held !== null) for (const line of this.held.keys()) this.held.set(line, 0);
    for (const { by, line } of this.queue.splice(0)) {
      this.pf("pfDropped", by.core);
      by.prefetcher.retired?.(line, now);
    }
    this.blockedUntil = 0;
  }

  /** The first demand, by core `core`, for a line that a prefetcher brought. */
  use(line: NaiveLine, late: boolean, core: number, now: number): void {
    const by = line.prefetchedBy!;
    this.pf("pfUseful", by.core);
    if (late) this.pf("pfLate", by.core);
    line.prefetchedBy = null;
    if (by.core !== core) by.prefetcher.retired?.(line.line, now);
  }

  squash(line: number): void {
    const i = this.queue.findIndex((e) => e.line === line);
    if (i < 0) return;
    this.pf("pfSquashed", this.queue[i].by.core);
    this.queue.splice(i, 1);
  }

  /** First cycle at or after `at` at which an MSHR is free. */
  mshrFreeAt(at: number): number {
    return Math.max(at, Math.min(...this.mshrs));
  }

  /** Takes the MSHR that became free last before `start`. */
  takeMshr(start: number, until: number): void {
    const last = Math.max(...this.mshrs.filter((freeAt) => freeAt <= start));
    this.mshrs[this.mshrs.indexOf(last)] = until;
  }

  /** First cycle at which an entry of the write buffer is free. */
  writeBufferFreeAt(): number {
    const n = this.writeBuffer.length;
    return n < this.spec.writeBuffers ? 0 : this.writeBuffer[n - this.spec.writeBuffers];
  }

  takeWriteBuffer(until: number): void {
    this.writeBuffer.push(Math.max(until, this.writeBuffer.at(-1) ?? 0));
  }

  private noteUnused(line: NaiveLine, now: number): void {
    if (line.prefetchedBy === null) return;
    this.pf("pfUnused", line.prefetchedBy.core);
    line.prefetchedBy.prefetcher.evictedUnused(line.line, now);
  }
}
