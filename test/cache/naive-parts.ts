import type { Prefetcher } from "../../src/cache/contract.js";
import type { CacheSpec } from "../../src/machine/spec.js";

/** Counters by full name. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
}

/** Now and then, only the intervals that end after `at` or were made last: the list does not grow for ever. */
function recent<T extends number | bigint>(intervals: [T, T][], at: T): [T, T][] {
  if (intervals.length < 600) return intervals;
  return intervals.filter(([, end], i) => end > at || i >= intervals.length - 300);
}

/** A resource as a plain list of busy intervals: a request gets the earliest time at which it fits. */
export class NaiveResource {
  private busy: [start: number, end: number][] = [];

  reserve(at: number, length: number): number {
    this.busy = recent(this.busy, at);
    const busy = this.busy.filter(([, end]) => end > at);
    const starts = [at, ...busy.map(([, end]) => end)].sort((a, b) => a - b);
    for (const start of starts) {
      if (busy.every(([s, e]) => e <= start || s >= start + length)) {
        this.busy.push([start, start + length]);
        return start;
      }
    }
    throw new Error("the end of the last interval always fits");
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

/** Memory of fixed latency; turns in exact fractions of a cycle, as big integers. */
export class NaiveMemory {
  private turns: [start: bigint, end: bigint][] = [];

  constructor(
    private readonly latency: number,
    private readonly numerator: bigint,
    private readonly denominator: bigint,
    private readonly tally: Tally,
  ) {}

  read(kind: string, at: number): number {
    const done = this.turn(at) + this.latency;
    this.tally.add(`memory.bytesRead.${kind}`, 64);
    this.tally.add("memory.reads");
    this.tally.add("memory.readLatency", done - at);
    return done;
  }

  write(kind: string, at: number): void {
    this.turn(at);
    this.tally.add(`memory.bytesWritten.${kind}`, 64);
    this.tally.add("memory.writes");
  }

  private turn(at: number): number {
    const from = BigInt(at) * this.denominator;
    this.turns = recent(this.turns, from);
    const turns = this.turns.filter(([, end]) => end > from);
    const starts = [from, ...turns.map(([, end]) => end)];
    starts.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const start = starts.find((t) => turns.every(([s, e]) => e <= t || s >= t + this.numerator))!;
    this.turns.push([start, start + this.numerator]);
    return Number((start + this.denominator - 1n) / this.denominator);
  }
}

export type NaiveState = "S" | "E" | "M";

export interface NaiveLine {
  line: number;
  state: NaiveState;
  readyAt: number;
  targets: number;
  usedAt: number;
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
  private random: number;

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
    this.random = Math.imul(seed + 1, 0x9e3779b1) | 1;
    this.held = spec.infinite ? new Map() : null;
    this.mshrs = new Array(spec.mshrs).fill(0);
  }

  get hitLatency(): number {
    return Math.max(this.spec.tagLatency, this.spec.dataLatency);
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
    line.usedAt = ++this.clock;
  }

  /** Does a cache above hold the line? */
  heldAbove(line: number): boolean {
    return this.above.some((c) => c.holds(line));
  }

  /** @returns the line that had to go, if it was dirty, here or above, or if the level below takes clean ones, too. */
  install(line: number, state: NaiveState, readyAt: number, now: number): NaiveLine | null {
    const set = this.sets[line % this.sets.length];
    let way = set.indexOf(null);
    let out: NaiveLine | null = null;
    if (way < 0) {
      way = this.victim(set as NaiveLine[]);
      const victim = set[way]!;
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
    set[way] = { line, state, readyAt, targets: 1, usedAt: ++this.clock, prefetchedBy: null };
    this.single("fills");
    return out;
  }

  remove(line: number, now: number): void {
    const set = this.sets[line % this.sets.length];
    const way = set.findIndex((l) => l?.line === line);
    this.noteUnused(set[way]!, now);
    set[way] = null;
  }

  flush(now: number): void {
    for (const set of this.sets) {
      set.forEach((l, way) => {
        if (l === null) return;
        this.single("flushed");
        this.noteUnused(l, now);
        set[way] = null;
      });
    }
    this.mshrs.fill(0);
    this.writeBuffer.length = 0;
    if (this.held !== null) for (const line of this.held.keys()) this.held.set(line, 0);
    for (const entry of this.queue) this.pf("pfDropped", entry.by.core);
    this.queue.length = 0;
    this.blockedUntil = 0;
  }

  use(line: NaiveLine, late: boolean): void {
    this.pf("pfUseful", line.prefetchedBy!.core);
    if (late) this.pf("pfLate", line.prefetchedBy!.core);
    line.prefetchedBy = null;
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

  private victim(set: NaiveLine[]): number {
    if (this.spec.replacement === "lru") {
      const least = Math.min(...set.map((l) => l.usedAt));
      return set.findIndex((l) => l.usedAt === least);
    }
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return (x >>> 0) % set.length;
  }
}
