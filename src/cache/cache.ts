import type { CacheSpec } from "../machine/spec.js";
import type { CounterGroup } from "../stats/counters.js";
import type { Bus } from "./bus.js";
import { REQUESTERS } from "./contract.js";
import { CacheCounterLayout, Metric, PfMetric, Single } from "./counters.js";
import { geometryOf } from "./geometry.js";
import { HeldLines } from "./held.js";
import { MshrFile, WriteBuffer } from "./mshr.js";
import type { AttachedPrefetcher, PrefetchQueue } from "./prefetch.js";
import { createReplacement } from "./replacement/index.js";
import { NO_LINE, TagArray } from "./tag-array.js";

/**
 * State of a line. Private caches: MESI. Caches below the private ones: Exclusive = clean, Modified = dirty.
 * Ordered by rights: >= Exclusive may be written.
 */
export const LineState = { Invalid: 0, Shared: 1, Exclusive: 2, Modified: 3 } as const;

/** Flags of a line. None set: an access needs nothing but the data. */
export const LineFlag = {
  /** The line may still be on its way: compare `readyAt`. Cleared by the first look at it afterwards. */
  InFlight: 1,
  /** Brought by a prefetcher (`broughtBy`) and not demanded since. */
  Prefetched: 2,
  /** Behind its first word the rest of the line may still be coming: until `readyAt` + `transferTail`. */
  Arriving: 4,
} as const;

// A constant of this module is folded into the code; one of another module, or exported, is looked up at each use.
const NONE = NO_LINE;
const { Invalid: INVALID, Modified: MODIFIED } = LineState;
const { InFlight: IN_FLIGHT, Prefetched: PREFETCHED, Arriving: ARRIVING } = LineFlag;
const { Replacements: REPLACEMENTS, Writebacks: WRITEBACKS, Fills: FILLS } = Single;

/**
 * Zero that V8 takes for a double: a field that holds times has one representation from the start, so that
 * all objects of its class keep one shape.
 */
export const DOUBLE = -0;

/** Slots from which L1 look-ups start: the slot in which a line with the same low bits was last seen. */
const HINTS = 1024;
export const HINT_MASK = HINTS - 1;

/**
 * One cache: what it holds and what it counts. How requests travel between caches is in hierarchy.ts.
 * Line state is a structure of arrays indexed by slot = `set * ways + way`.
 */
export class Cache {
  readonly array: TagArray;
  readonly state: Uint8Array;
  readonly flags: Uint8Array;
  /** Number (from 1) of the attached prefetcher that brought the line. */
  readonly broughtBy: Uint8Array;
  /** Cycle from which the line is there. */
  readonly readyAt: Float64Array;
  /** Requests that wait for the line: MSHR targets. */
  readonly targets: Uint16Array;
  readonly hint = new Int32Array(HINTS);
  readonly mshrs: MshrFile;
  readonly writeBuffer: WriteBuffer;
  /** Lines held without limit, or null: a cache of the given geometry. */
  readonly held: HeldLines | null;

  readonly tagLatency: number;
  /** max(tag, data): gem5 with parallel access. */
  readonly hitLatency: number;
  readonly responseLatency: number;
  readonly targetsPerMshr: number;

  readonly layout: CacheCounterLayout;
  readonly values: Float64Array;
  readonly counters: CounterGroup;
  /** How `layout.metric` finds a slot, without the call. */
  private readonly metricStride: number;
  private readonly coreStride: number;
  private readonly singleBase: number;

  /** Hits that the port has counted by itself and not told yet: called before the counters are read. */
  beforeRead: (() => void) | null = null;

  /** Wiring: the level below (null: main memory), the bus that leads there and this cache's port on it. */
  below: Cache | null = null;
  bus!: Bus;
  port = 0;
  /** Is it one core's own: do the states of its lines take part in coherence? */
  readonly isPrivate: boolean;
  /** Queue of the prefetchers that work at this cache; null: none. */
  queue: PrefetchQueue | null = null;
  /** Caches between the cores and this one. */
  above: readonly Cache[] = [];
  /** Latency from a snoop that arrives on the coherent bus to the data, when this cache supplies it. */
  supplyLatency = 0;
  /**
   * From the cycle at which whoever missed has its data to the one at which the whole line is in the data array; 0 where no
   * access is held up by it. An access that comes before takes so much longer, if that is more than its own latency
   * (gem5: BaseCache::handleFill, calculateAccessLatency).
   */
  transferTail = 0;

  /** Wiring: how it stands to the caches above, see levelSchema; neither: non-inclusive. */
  inclusive = false;
  exclusive = false;
  /** The level below is exclusive: clean victims go there too. */
  spills = false;

  /** After `install`: the dirty line that must go below, or NO_LINE, and the cycle from which it is there. */
  dirtyVictim = NO_LINE;
  dirtyVictimReady = DOUBLE;
  /** Where `spills`: the clean victim, or NO_LINE, and its state. */
  cleanVictim = NO_LINE;
  cleanVictimState: number = LineState.Invalid;

  /**
   * @param path of the counters: `cpu0.l1i`, `llc`
   * @param key of the cache in the machine description, for messages: `levels[0].cache`
   * @param level 0 = L1, k = k-th level below
   * @param cores that use it, ascending
   */
  constructor(
    readonly spec: CacheSpec,
    readonly path: string,
    readonly key: string,
    readonly level: number,
    readonly cores: readonly number[],
    isPrivate: boolean,
    seed: number,
    /** All attached prefetchers of the machine; the k-th has number k + 1. */
    private readonly prefetchers: readonly AttachedPrefetcher[],
    /** Does the machine have an inclusive or exclusive level? */
    private readonly inclusion = false,
  ) {
    this.isPrivate = isPrivate;
    const geometry = geometryOf(spec, key);
    const policy = createReplacement(
      spec.replacement,
      geometry.sets,
      geometry.ways,
      seed,
      `${key}.replacement`,
    );
    this.array = new TagArray(geometry, policy);
    const slots = geometry.sets * geometry.ways;
    this.state = new Uint8Array(slots);
    this.flags = new Uint8Array(slots);
    this.broughtBy = new Uint8Array(slots);
    this.readyAt = new Float64Array(slots);
    this.targets = new Uint16Array(slots);
    this.mshrs = new MshrFile(spec.mshrs);
    this.writeBuffer = new WriteBuffer(spec.writeBuffers);
    this.held = spec.infinite ? new HeldLines() : null;
    this.tagLatency = spec.tagLatency;
    this.hitLatency = Math.max(spec.tagLatency, spec.dataLatency);
    this.responseLatency = spec.responseLatency;
    this.targetsPerMshr = spec.targetsPerMshr;
    this.layout = new CacheCounterLayout(cores, inclusion);
    this.values = new Float64Array(this.layout.defs.length);
    this.metricStride = cores.length * REQUESTERS;
    this.coreStride = cores.length === 1 ? 0 : REQUESTERS;
    this.singleBase = this.layout.single(0);
    const self = this;
    this.counters = {
      path,
      defs: this.layout.defs,
      get values() {
        self.beforeRead?.();
        return self.values;
      },
    };
  }

  /** Wiring: lines come over `bus`; requests take `requestLatency` to this cache. */
  connect(bus: Bus, requestLatency: number): void {
    this.bus = bus;
    this.port = bus.addPort();
    const tail = this.spec.dataLatency + bus.transferCycles - this.spec.responseLatency;
    this.transferTail = tail > requestLatency + this.hitLatency ? tail : 0;
  }

  /** Slot of a line, or -1. No side effect. */
  find(line: number): number {
    return this.array.find(line);
  }

  /** Is the line here or on its way? No side effect. */
  holds(line: number): boolean {
    return this.held !== null ? this.held.has(line) : this.array.find(line) >= 0;
  }

  count(metric: number, core: number, requester: number, by = 1): void {
    this.values[metric * this.metricStride + core * this.coreStride + requester] += by;
  }

  countSingle(metric: number): void {
    this.values[this.singleBase + metric]++;
  }

  countPrefetch(metric: number, by: AttachedPrefetcher): void {
    this.values[this.layout.pf(metric, this.cores.length === 1 ? 0 : by.core)]++;
    by.counts[metric]++;
  }

  /**
   * Puts a line in at `now`, to be there at `ready`. A dirty line that it replaces is left in
   * `dirtyVictim`. @param signature of the instruction that asked, see ReplacementPolicy. @returns the slot.
   */
  install(line: number, state: number, ready: number, now: number, signature = 0): number {
    const array = this.array;
    const slot = array.choose(line);
    const victim = array.tags[slot];
    this.dirtyVictim = NONE;
    this.cleanVictim = NONE;
    if (victim !== NONE) {
      this.countSingle(REPLACEMENTS);
      this.noteUnused(slot, now);
      if (this.state[slot] === MODIFIED) {
        this.dirtyVictim = victim;
        this.dirtyVictimReady = this.readyAt[slot];
      }
      if (this.inclusive) this.recall(victim, slot, now);
      if (this.dirtyVictim !== NONE) this.countSingle(WRITEBACKS);
      else if (this.spills) {
        this.cleanVictim = victim;
        this.cleanVictimState = this.state[slot];
        this.dirtyVictimReady = this.readyAt[slot];
      }
    }
    array.put(slot, line, signature);
    this.state[slot] = state;
    this.flags[slot] = this.transferTail === 0 ? IN_FLIGHT : IN_FLIGHT | ARRIVING;
    this.readyAt[slot] = ready;
    this.targets[slot] = 1;
    this.countSingle(FILLS);
    return slot;
  }

  /** Cycles longer that an access at `now` takes, `latency` otherwise, while the line is arriving. */
  heldUp(slot: number, now: number, latency: number): number {
    const more = this.readyAt[slot] + this.transferTail - now;
    return more > latency ? more : 0;
  }

  /** Takes a line just fetched into the unlimited store. */
  hold(line: number, ready: number): void {
    this.held!.add(line, ready);
    this.countSingle(FILLS);
  }

  /** Marks a line just installed as brought by a prefetcher. */
  markPrefetched(slot: number, number: number): void {
    this.flags[slot] |= PREFETCHED;
    this.broughtBy[slot] = number;
  }

  /** The first demand, by core `core`, for a line whose Prefetched flag is set. */
  notePrefetchUse(slot: number, late: boolean, core: number, now: number): void {
    this.flags[slot] &= ~PREFETCHED;
    const by = this.prefetchers[this.broughtBy[slot] - 1];
    this.countPrefetch(PfMetric.Useful, by);
    if (late) this.countPrefetch(PfMetric.Late, by);
    // Its own core's demand is reported to the prefetcher as such.
    if (by.core !== core) by.prefetcher.retired?.(this.array.tags[slot], now);
  }

  /** Does a cache above hold the line? No side effect. */
  heldAbove(line: number): boolean {
    const above = this.above;
    for (let i = 0; i < above.length; i++) if (above[i].holds(line)) return true;
    return false;
  }

  /** Takes the victim in `slot` from the caches above, but for those without limit; theirs may be the newer data. */
  private recall(victim: number, slot: number, now: number): void {
    for (const c of this.above) {
      if (c.held !== null) continue;
      const found = c.find(victim);
      if (found < 0) continue;
      if (c.state[found] === MODIFIED) {
        const ready = this.dirtyVictim === NONE ? this.readyAt[slot] : this.dirtyVictimReady;
        this.dirtyVictim = victim;
        this.dirtyVictimReady = Math.max(ready, c.readyAt[found]);
      }
      c.countSingle(Single.Recalled);
      c.drop(found, now);
    }
  }

  /** Takes a line that moves up out of a slot; its use has been noted. */
  moveUp(slot: number): void {
    this.countSingle(Single.MovedUp);
    this.array.remove(slot);
    this.state[slot] = INVALID;
    this.flags[slot] = 0;
  }

  /** Takes the line out of a slot. Its data is lost. */
  drop(slot: number, now: number): void {
    this.noteUnused(slot, now);
    this.array.remove(slot);
    this.state[slot] = INVALID;
    this.flags[slot] = 0;
  }

  /** Throws all contents away; time goes on. Lines held without limit stay. */
  flush(now: number): void {
    const tags = this.array.tags;
    const flushed = this.layout.single(Single.Flushed);
    for (let slot = 0; slot < tags.length; slot++) {
      if (tags[slot] === NONE) continue;
      this.values[flushed]++;
      this.drop(slot, now);
    }
    this.mshrs.clear();
    this.writeBuffer.clear();
    this.held?.settle();
    this.queue?.clear(now);
  }

  /** @returns the identities between counters that do not hold. */
  checkIdentities(): string[] {
    const out: string[] = [];
    const v = this.counters.values;
    const layout = this.layout;
    const check = (what: string, left: number, right: number) => {
      if (left !== right) out.push(`${this.path}: ${what}: ${left} != ${right}`);
    };
    let misses = 0;
    let merges = 0;
    for (let k = 0; k < this.cores.length; k++) {
      for (let r = 0; r < REQUESTERS; r++) {
        const at = (metric: number) => v[layout.metric(metric, k) + r];
        const who = `cpu${this.cores[k]}, requester ${r}`;
        check(`hits + misses = accesses (${who})`, at(Metric.Hits) + at(Metric.Misses), at(Metric.Accesses));
        if (at(Metric.MshrMerges) > at(Metric.Misses)) out.push(`${this.path}: mshrMerges > misses (${who})`);
        misses += at(Metric.Misses);
        merges += at(Metric.MshrMerges);
      }
      const pf = (metric: number) => v[layout.pf(metric, k)];
      const who = `cpu${this.cores[k]}`;
      const queued = this.queue === null ? 0 : this.queue.queuedBy(this.cores[k]);
      check(
        `pfInCache + pfSquashed + pfDropped + pfIssued + queued = pfRequested (${who})`,
        pf(PfMetric.InCache) + pf(PfMetric.Squashed) + pf(PfMetric.Dropped) + pf(PfMetric.Issued) + queued,
        pf(PfMetric.Requested),
      );
      check(
        `pfUseful + pfUnused + unused lines here = pfIssued (${who})`,
        pf(PfMetric.Useful) + pf(PfMetric.Unused) + this.prefetchedBy(this.cores[k]),
        pf(PfMetric.Issued),
      );
      if (pf(PfMetric.Late) > pf(PfMetric.Useful)) out.push(`${this.path}: pfLate > pfUseful (${who})`);
    }
    const single = (metric: number) => v[layout.single(metric)];
    const more = (metric: number) => (this.inclusion ? single(metric) : 0);
    check(
      "fills = misses - mshrMerges - upgrades - passed",
      single(Single.Fills),
      misses - merges - single(Single.Upgrades) - more(Single.Passed),
    );
    if (this.held === null) {
      let present = 0;
      for (const tag of this.array.tags) if (tag !== NO_LINE) present++;
      check(
        "fills = replacements + invalidations + flushed + recalled + movedUp + present",
        single(Single.Fills),
        single(Single.Replacements) +
          single(Single.Invalidations) +
          single(Single.Flushed) +
          more(Single.Recalled) +
          more(Single.MovedUp) +
          present,
      );
    }
    return out;
  }

  private noteUnused(slot: number, now: number): void {
    if ((this.flags[slot] & PREFETCHED) === 0) return;
    const by = this.prefetchers[this.broughtBy[slot] - 1];
    this.countPrefetch(PfMetric.Unused, by);
    by.prefetcher.evictedUnused(this.array.tags[slot], now);
  }

  /** Lines here that a core's prefetchers brought and nobody has demanded. */
  private prefetchedBy(core: number): number {
    let n = 0;
    for (let slot = 0; slot < this.flags.length; slot++)
      if ((this.flags[slot] & PREFETCHED) !== 0 && this.prefetchers[this.broughtBy[slot] - 1].core === core)
        n++;
    return n;
  }
}
