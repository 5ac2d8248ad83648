import { Traffic } from "../memory/contract.js";
import type { Agents } from "./agents.js";
import type { Bus } from "./bus.js";
import { type Cache, HINT_MASK, LineFlag, LineState } from "./cache.js";
import { type CorePort, NOT_NOW, Outcome, Requester, SERVED_BY_MEMORY } from "./contract.js";
import { Metric, Single } from "./counters.js";
import type { Hierarchy } from "./hierarchy.js";
import type { ReplacementPolicy } from "./replacement/index.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const MASK = HINT_MASK;
const EXCLUSIVE = LineState.Exclusive;
const MODIFIED = LineState.Modified;
const { Fetch: FETCH, Load: LOAD, Store: STORE } = Requester;
const {
  Accesses: ACCESSES,
  Hits: HITS,
  Misses: MISSES,
  MshrMerges: MSHR_MERGES,
  MissLatency: MISS_LATENCY,
} = Metric;
const { InFlight: IN_FLIGHT, Prefetched: PREFETCHED, Arriving: ARRIVING } = LineFlag;
const ON_ITS_WAY = IN_FLIGHT | ARRIVING;
const CLOSED = NOT_NOW;
const FROM_MEMORY = SERVED_BY_MEMORY;
const { Hit: HIT, Miss: MISS, Merge: MERGE } = Outcome;

/** Where a core's page-table reads enter: a bus, a port of it, and the cache below it (null: memory, uncached). */
export interface WalkEntrance {
  readonly bus: Bus;
  readonly port: number;
  readonly cache: Cache | null;
}

/**
 * One core's entrance. Hits are found here without a call where possible: a hint says in which slot the
 * line was last seen; a slot whose flags are clear needs nothing but to be counted and touched.
 */
export class Port implements CorePort {
  horizon = Infinity;
  retryAt = -0;
  servedBy = 0;

  private readonly iTags: Int32Array;
  private readonly iFlags: Uint8Array;
  private readonly iHint: Int32Array;
  readonly fetchHitLatency: number;
  private readonly iPolicy: ReplacementPolicy;
  /** May hits in the L1I be settled here? Not when a prefetcher wants to see them. */
  private iShort = true;
  /** Hits settled here and not yet told to the cache's counters. */
  private iHits = 0;
  private readonly dTags: Int32Array;
  private readonly dFlags: Uint8Array;
  private readonly dState: Uint8Array;
  private readonly dHint: Int32Array;
  readonly dataHitLatency: number;
  private readonly dPolicy: ReplacementPolicy;
  private dShort = true;
  private loadHits = 0;
  private storeHits = 0;

  constructor(
    private readonly core: number,
    private readonly l1i: Cache,
    private readonly l1d: Cache,
    private readonly walker: WalkEntrance,
    private readonly memoryPort: number,
    private readonly hierarchy: Hierarchy,
    private readonly agents: Agents,
    /**
     * Hits wait for their turn, too: below an inclusive level a miss of any core may take any line away, so what is in
     * an L1 is known only when all that comes before has happened.
     */
    private readonly ordered = false,
  ) {
    if (ordered) this.iShort = this.dShort = false;
    this.iTags = l1i.array.tags;
    this.iFlags = l1i.flags;
    this.iHint = l1i.hint;
    this.fetchHitLatency = l1i.hitLatency;
    this.iPolicy = l1i.array.policy;
    this.dTags = l1d.array.tags;
    this.dFlags = l1d.flags;
    this.dState = l1d.state;
    this.dHint = l1d.hint;
    this.dataHitLatency = l1d.hitLatency;
    this.dPolicy = l1d.array.policy;
    l1i.beforeRead = () => {
      this.tell(l1i, FETCH, this.iHits);
      this.iHits = 0;
    };
    l1d.beforeRead = () => {
      this.tell(l1d, LOAD, this.loadHits);
      this.tell(l1d, STORE, this.storeHits);
      this.loadHits = 0;
      this.storeHits = 0;
    };
  }

  /** A prefetcher was attached to one of the L1s: it wants to see every access. */
  prefetcherAttached(): void {
    this.iShort = this.l1i.queue === null && !this.ordered;
    this.dShort = this.l1d.queue === null && !this.ordered;
  }

  fetchHit(line: number): boolean {
    const slot = this.iHint[line & MASK];
    if (this.iTags[slot] !== line || this.iFlags[slot] !== 0 || !this.iShort) return false;
    this.iHits++;
    this.iPolicy.touch(slot);
    return true;
  }

  loadHit(line: number): boolean {
    const slot = this.dHint[line & MASK];
    if (this.dTags[slot] !== line || this.dFlags[slot] !== 0 || !this.dShort) return false;
    this.loadHits++;
    this.dPolicy.touch(slot);
    return true;
  }

  storeHit(line: number): boolean {
    const slot = this.dHint[line & MASK];
    if (this.dTags[slot] !== line || this.dFlags[slot] !== 0 || this.dState[slot] < EXCLUSIVE || !this.dShort)
      return false;
    this.storeHits++;
    this.dState[slot] = MODIFIED;
    this.dPolicy.touch(slot);
    return true;
  }

  fetchReady(line: number): boolean {
    const slot = this.iHint[line & MASK];
    return this.iTags[slot] === line && this.iFlags[slot] === 0 && this.iShort;
  }

  dataReady(line: number, write: boolean): boolean {
    const slot = this.dHint[line & MASK];
    return (
      this.dTags[slot] === line &&
      this.dFlags[slot] === 0 &&
      (!write || this.dState[slot] >= EXCLUSIVE) &&
      this.dShort
    );
  }

  fetch(line: number, virtualLine: number, now: number): number {
    if (!this.fetchHit(line)) return this.access(this.l1i, FETCH, line, virtualLine, virtualLine << 6, now);
    this.servedBy = 0;
    return now + this.fetchHitLatency;
  }

  load(line: number, virtualLine: number, pc: number, now: number): number {
    if (!this.loadHit(line)) return this.access(this.l1d, LOAD, line, virtualLine, pc, now);
    this.servedBy = 0;
    return now + this.dataHitLatency;
  }

  store(line: number, virtualLine: number, pc: number, now: number): number {
    if (!this.storeHit(line)) return this.access(this.l1d, STORE, line, virtualLine, pc, now);
    this.servedBy = 0;
    return now + this.dataHitLatency;
  }

  walk(line: number, now: number): number {
    if (!this.mayLeave(now)) return CLOSED;
    const { bus, port, cache } = this.walker;
    const hierarchy = this.hierarchy;
    if (cache === null) {
      const at = bus.arrival(bus.grantRequest(now));
      this.servedBy = FROM_MEMORY;
      return bus.respond(port, hierarchy.memory.read(line, Traffic.Walk, at));
    }
    const done = hierarchy.readPast(bus, port, cache, this.core, Requester.Walk, line, now);
    this.servedBy = hierarchy.servedBy;
    return done;
  }

  uncached(line: number, write: boolean, now: number): number {
    if (!this.mayLeave(now)) return CLOSED;
    const bus = this.hierarchy.memoryBus;
    const memory = this.hierarchy.memory;
    this.servedBy = FROM_MEMORY;
    if (write) {
      const at = bus.arrival(bus.grantData(now));
      memory.write(line, Traffic.Uncached, at);
      return bus.acknowledge(this.memoryPort, at);
    }
    const at = bus.arrival(bus.grantRequest(now));
    return bus.respond(this.memoryPort, memory.read(line, Traffic.Uncached, at));
  }

  /** May anything leave the L1s at `now`? If so, all that comes before has happened on return. */
  private mayLeave(now: number): boolean {
    const agents = this.agents;
    if (agents.running) return true;
    if (now > this.horizon) {
      this.retryAt = now;
      return false;
    }
    if (!agents.none) agents.run(now);
    if (now > this.hierarchy.time) this.hierarchy.time = now;
    return true;
  }

  /** An access that the short way did not settle. */
  private access(
    c: Cache,
    requester: Requester,
    line: number,
    virtualLine: number,
    pc: number,
    now: number,
  ): number {
    const write = requester === STORE;
    if (this.ordered && !this.mayLeave(now)) return CLOSED;
    let slot = this.lookup(c, line, write);
    if (slot >= 0) return this.hit(c, slot, requester, line, virtualLine, pc, now);
    if (c.held?.has(line)) return this.hitHeld(c, line, virtualLine, now);
    if (!this.mayLeave(now)) return CLOSED;
    if (!this.agents.none) {
      // A prefetch may have brought or driven out the line in the meantime.
      slot = this.lookup(c, line, write);
      if (slot >= 0) return this.hit(c, slot, requester, line, virtualLine, pc, now);
    }
    const m = c.mshrs.find(now);
    if (m < 0) {
      this.retryAt = c.mshrs.earliest;
      return CLOSED;
    }
    if (c.writeBuffer.availableAt > now) {
      this.retryAt = c.writeBuffer.availableAt;
      return CLOSED;
    }
    const hierarchy = this.hierarchy;
    c.count(ACCESSES, this.core, requester);
    c.count(MISSES, this.core, requester);
    hierarchy.pc = pc;
    slot = write ? c.find(line) : -1;
    let done: number;
    let outcome: Outcome = MISS;
    if (slot >= 0) {
      done = this.upgrade(slot, line, now, m);
      outcome = HIT;
      if ((c.flags[slot] & PREFETCHED) !== 0) {
        c.notePrefetchUse(slot, false, this.core, now);
        outcome = Outcome.PrefetchHit;
      }
    } else {
      if (c.queue !== null) c.queue.squash(line);
      done = hierarchy.fill(c, this.core, requester, line, virtualLine, write, now + c.tagLatency, m);
    }
    c.count(MISS_LATENCY, this.core, requester, done - now);
    this.servedBy = hierarchy.servedBy;
    if (c.queue !== null) hierarchy.notify(c, this.core, requester, line, virtualLine, outcome, now, done);
    return done;
  }

  /** Slot of a line with the rights asked for, or -1; the hint will find it next time. */
  private lookup(c: Cache, line: number, write: boolean): number {
    const slot = c.find(line);
    if (slot < 0 || (write && c.state[slot] < EXCLUSIVE)) return -1;
    c.hint[line & MASK] = slot;
    return slot;
  }

  /** The line is in the L1 or on its way there, with the rights asked for. */
  private hit(
    c: Cache,
    slot: number,
    requester: Requester,
    line: number,
    virtualLine: number,
    pc: number,
    now: number,
  ): number {
    const ready = c.readyAt[slot];
    const late = (c.flags[slot] & IN_FLIGHT) !== 0 && ready > now;
    if (late && c.targets[slot] >= c.targetsPerMshr) {
      this.retryAt = ready;
      return CLOSED;
    }
    let done = now + c.hitLatency;
    let outcome: Outcome = HIT;
    c.count(ACCESSES, this.core, requester);
    if (late) {
      c.targets[slot]++;
      c.count(MISSES, this.core, requester);
      c.count(MSHR_MERGES, this.core, requester);
      if (ready > done) done = ready;
      c.count(MISS_LATENCY, this.core, requester, done - now);
      outcome = MERGE;
    } else {
      const more = (c.flags[slot] & ARRIVING) === 0 ? 0 : c.heldUp(slot, now, c.hitLatency);
      if (more === 0) c.flags[slot] &= ~ON_ITS_WAY;
      done += more;
      c.count(HITS, this.core, requester);
    }
    if (requester === STORE) c.state[slot] = MODIFIED;
    c.array.policy.touch(slot);
    if ((c.flags[slot] & PREFETCHED) !== 0) {
      c.notePrefetchUse(slot, late, this.core, now);
      outcome = late ? Outcome.PrefetchLate : Outcome.PrefetchHit;
    }
    this.servedBy = 0;
    if (c.queue !== null) {
      this.hierarchy.pc = pc;
      this.hierarchy.notify(c, this.core, requester, line, virtualLine, outcome, now, done);
    }
    return done;
  }

  /** The infinite L1I holds the line. */
  private hitHeld(c: Cache, line: number, _virtualLine: number, now: number): number {
    const ready = c.held!.arrival(line, now);
    let done = now + c.hitLatency;
    c.count(ACCESSES, this.core, FETCH);
    this.servedBy = 0;
    if (ready > now) {
      c.count(MISSES, this.core, FETCH);
      c.count(MSHR_MERGES, this.core, FETCH);
      if (ready > done) done = ready;
      c.count(MISS_LATENCY, this.core, FETCH, done - now);
    } else {
      c.count(HITS, this.core, FETCH);
    }
    return done;
  }

  private tell(c: Cache, requester: Requester, hits: number): void {
    c.count(ACCESSES, this.core, requester, hits);
    c.count(HITS, this.core, requester, hits);
  }

  /** A store found its line Shared: it waits for the line, then for the right to write it. */
  private upgrade(slot: number, line: number, now: number, m: number): number {
    const c = this.l1d;
    const hierarchy = this.hierarchy;
    c.countSingle(Single.Upgrades);
    hierarchy.coherence.ownInstruction(this.l1i, line, true, hierarchy.time);
    const start = Math.max(now, c.readyAt[slot]);
    const done = hierarchy.upgrade(c, this.core, line, start + c.tagLatency) + c.responseLatency;
    c.mshrs.hold(m, done);
    c.state[slot] = MODIFIED;
    c.flags[slot] = (c.flags[slot] & ~ARRIVING) | IN_FLIGHT;
    c.readyAt[slot] = done;
    c.targets[slot] = 1;
    c.array.policy.touch(slot);
    return done;
  }
}
