import { type MainMemory, Traffic } from "../memory/contract.js";
import type { Bus } from "./bus.js";
import { type Cache, LineFlag, LineState } from "./cache.js";
import { Coherence, type PrivateCaches } from "./coherence.js";
import { Outcome, REQUESTERS, Requester, SERVED_BY_MEMORY } from "./contract.js";
import { Metric, Single } from "./counters.js";
import type { AttachedPrefetcher } from "./prefetch.js";
import { Victims } from "./victims.js";

// Constants of this module are folded into the code; those of another module are looked up at each use.
const { Shared: SHARED, Exclusive: EXCLUSIVE, Modified: MODIFIED } = LineState;
const { Fetch: FETCH, Store: STORE, Prefetch: PREFETCH } = Requester;
const {
  Accesses: ACCESSES,
  Hits: HITS,
  Misses: MISSES,
  MshrMerges: MSHR_MERGES,
  MissLatency: MISS_LATENCY,
} = Metric;
const { Upgrades: UPGRADES, Supplied: SUPPLIED, Passed: PASSED } = Single;
const { Hit: HIT, Miss: MISS, Merge: MERGE } = Outcome;
const FROM_MEMORY = SERVED_BY_MEMORY;
const { Prefetched: PREFETCHED, Arriving: ARRIVING } = LineFlag;

/** What a read of main memory is for, by the requester of the miss. */
const TRAFFIC = new Array<Traffic>(REQUESTERS).fill(Traffic.Data);
TRAFFIC[Requester.Fetch] = Traffic.Fetch;
TRAFFIC[Requester.Walk] = Traffic.Walk;
TRAFFIC[Requester.Prefetch] = Traffic.Prefetch;

/**
 * The way of a request through the caches down and of its line up: what each level does and what it costs. See README.md for the
 * rules; every function charges the resources on its way and returns a cycle.
 */
export class Hierarchy {
  /** Latest cycle at which anything left an L1 or an agent acted. */
  time = -0;
  /** State that the requester of the last request may take the line in. */
  granted: number = LineState.Invalid;
  /** Level that served the last request. */
  servedBy = 0;
  /** Instruction of the request under way (page id << 12 | offset); 0: nobody's. */
  pc = 0;
  /** Cache above that takes the line of the request under way; null: a walker, which holds none. Exclusive levels ask. */
  private taker: Cache | null = null;
  /** Does the requester's own L1I hold the line? Then a read does not get ownership. */
  private ownShared = false;
  readonly coherence: Coherence;
  private readonly victims: Victims;

  /**
   * @param privates by core
   * @param coherentBus the bus on which the private caches of different cores meet
   * @param attached prefetchers by core, whatever their cache
   * @param dirtyHandOver a shared level that serves a read, nobody else holding the line, hands the duty to write
   *   it back up to the reader, as gem5's classic caches do
   */
  constructor(
    readonly memory: MainMemory,
    readonly memoryBus: Bus,
    private readonly privates: readonly PrivateCaches[],
    private readonly coherentBus: Bus,
    private readonly attached: readonly AttachedPrefetcher[][],
    private readonly dirtyHandOver: boolean,
  ) {
    this.coherence = new Coherence(privates);
    this.victims = new Victims(memory);
  }

  /**
   * Brings a line that is missing into cache `c`: MSHR `m` is held, the request leaves at `leave`, the line
   * is installed at once. A dirty victim follows it down.
   * @returns the cycle at which the line is there.
   */
  fill(
    c: Cache,
    core: number,
    requester: Requester,
    line: number,
    virtualLine: number,
    write: boolean,
    leave: number,
    m: number,
  ): number {
    const own = this.privates[core];
    const instruction = c === own.l1i;
    let ownShared = false;
    let back: number;
    this.taker = c;
    if (c.level === 0) {
      ownShared = !instruction && this.coherence.ownInstruction(own.l1i, line, write, this.time);
      this.ownShared = ownShared;
      const supplier = instruction ? this.coherence.downgradeOwn(own.l1d, line) : -1;
      back =
        supplier >= 0
          ? this.supplyOwn(own.l1d, supplier, core, line, c.bus, c.port, c.below, leave)
          : this.request(c.bus, c.port, c.below, core, requester, line, virtualLine, write, leave);
    } else {
      back = this.request(c.bus, c.port, c.below, core, requester, line, virtualLine, write, leave);
    }
    const ready = back + c.responseLatency;
    c.mshrs.hold(m, ready);
    if (c.held !== null) {
      c.hold(line, ready);
      return ready;
    }
    c.install(line, this.fillState(c, instruction, ownShared, write), ready, this.time, this.pc);
    this.victims.leave(c, core, back, this.time);
    return ready;
  }

  /**
   * A read or a write miss leaves a port of a bus at `leave`.
   * @returns the cycle at which the data is back at the port; `granted` and `servedBy` say more.
   */
  request(
    bus: Bus,
    port: number,
    below: Cache | null,
    core: number,
    requester: Requester,
    line: number,
    virtualLine: number,
    write: boolean,
    leave: number,
  ): number {
    const grant = bus.grantRequest(leave);
    const at = bus.arrival(grant);
    if (bus === this.coherentBus) {
      // An exclusive level does not have what the caches above have: they supply clean lines, too.
      const cleanToo = below?.exclusive ?? false;
      const supplied = this.coherence.snoopOthers(core, line, write, at, this.time, cleanToo);
      this.granted = write ? MODIFIED : this.coherence.sharedElsewhere ? SHARED : EXCLUSIVE;
      if (supplied >= 0) {
        this.servedBy = below === null ? FROM_MEMORY : below.level;
        const back = bus.respond(port, supplied);
        // On a write the new owner has the duty to write the line back; on a read nobody has, so it goes below.
        if (!write && this.coherence.suppliedDirty)
          this.victims.writeInto(
            below,
            this.coherence.supplierCore,
            line,
            bus.arrival(bus.grantData(supplied)),
            this.time,
          );
        return back;
      }
    }
    if (below === null) {
      this.servedBy = FROM_MEMORY;
      return bus.respond(port, this.memory.read(line, TRAFFIC[requester], at));
    }
    return bus.respond(port, this.access(below, core, requester, line, virtualLine, write, grant, at));
  }

  /**
   * Asks for the right to write a line that `c` holds Shared; leaves `c` at `leave`.
   * @returns the cycle at which the acknowledgement is back at `c`.
   */
  upgrade(c: Cache, core: number, line: number, leave: number): number {
    const bus = c.bus;
    const below = c.below;
    const grant = bus.grantRequest(leave);
    const at = bus.arrival(grant);
    if (bus === this.coherentBus) {
      this.coherence.snoopOthers(core, line, true, at, this.time);
      this.servedBy = below === null ? FROM_MEMORY : below.level;
      return bus.acknowledge(c.port, below === null ? at : at + below.tagLatency);
    }
    // A private level: the core may own the line here.
    const level = below!;
    const slot = level.find(line);
    level.count(ACCESSES, core, STORE);
    let done: number;
    if (slot >= 0 && level.state[slot] >= EXCLUSIVE) {
      level.count(HITS, core, STORE);
      level.array.policy.touch(slot);
      this.servedBy = level.level;
      done = Math.max(at, level.readyAt[slot]) + level.tagLatency;
    } else {
      level.count(MISSES, core, STORE);
      level.countSingle(UPGRADES);
      done = this.upgrade(level, core, line, at + level.tagLatency) + level.responseLatency;
      level.count(MISS_LATENCY, core, STORE, done - grant);
      if (slot >= 0) {
        level.state[slot] = EXCLUSIVE;
        level.array.policy.touch(slot);
      }
    }
    return bus.acknowledge(c.port, done);
  }

  /** A prefetch of a cache's own, at `now`: a fill that begins at this cache. @returns the cycle at which the line is there. */
  prefetch(c: Cache, core: number, line: number, virtualLine: number, now: number, m: number): number {
    this.ownShared = false;
    this.granted = EXCLUSIVE;
    this.pc = 0;
    return this.fill(c, core, PREFETCH, line, virtualLine, false, now, m);
  }

  /** Snoops the core's own caches above level `level` for a read that enters below them, and reads. */
  readPast(
    bus: Bus,
    port: number,
    c: Cache,
    core: number,
    requester: Requester,
    line: number,
    now: number,
  ): number {
    const own = this.privates[core].all;
    this.ownShared = false;
    this.granted = EXCLUSIVE;
    this.pc = 0;
    this.taker = null;
    let supplier = -1;
    let from: Cache = c;
    for (let i = 0; i < own.length; i++) {
      const above = own[i];
      if (above.level >= c.level || above.held !== null) continue;
      const slot = this.coherence.downgradeOwn(above, line);
      if (slot >= 0 && supplier < 0) {
        supplier = slot;
        from = above;
      }
    }
    if (supplier >= 0) return this.supplyOwn(from, supplier, core, line, bus, port, c, now);
    return this.request(bus, port, c, core, requester, line, -1, false, now);
  }

  /** Tells the core's prefetchers at `c`, which has some, of a demand access. They may translate, which asks the hierarchy anew. */
  notify(
    c: Cache,
    core: number,
    requester: Requester,
    line: number,
    virtualLine: number,
    outcome: Outcome,
    now: number,
    ready: number,
  ): void {
    if (requester === PREFETCH) return;
    const granted = this.granted;
    const servedBy = this.servedBy;
    const pc = this.pc;
    const attached = this.attached[core];
    for (let i = 0; i < attached.length; i++)
      if (attached[i].cache === c)
        attached[i].prefetcher.demand(requester, line, virtualLine, outcome, now, ready, pc);
    this.granted = granted;
    this.servedBy = servedBy;
    this.pc = pc;
  }

  /** A level below the L1s is asked at `at`; the request got the bus at `grant`. @returns when the data leaves it. */
  private access(
    c: Cache,
    core: number,
    requester: Requester,
    line: number,
    virtualLine: number,
    write: boolean,
    grant: number,
    at: number,
  ): number {
    c.count(ACCESSES, core, requester);
    const slot = c.find(line);
    if (slot >= 0) return this.found(c, slot, core, requester, line, virtualLine, write, grant, at);

    c.count(MISSES, core, requester);
    if (c.queue !== null) c.queue.squash(line);
    let start = Math.max(at, c.writeBuffer.availableAt);
    let m = c.mshrs.find(start);
    if (m < 0) {
      start = c.mshrs.earliest;
      m = c.mshrs.find(start);
    }
    const leave = start + c.tagLatency;
    const passes = c.exclusive && (this.taker !== null || c.heldAbove(line));
    const ready = passes
      ? this.pass(c, core, requester, line, virtualLine, write, leave, m)
      : this.fill(c, core, requester, line, virtualLine, write, leave, m);
    c.count(MISS_LATENCY, core, requester, ready - grant);
    // A dirty line handed over stays here, and may be handed on by a later hit.
    if (!passes && !write && this.granted === MODIFIED) this.granted = EXCLUSIVE;
    if (c.queue !== null) this.notify(c, core, requester, line, virtualLine, MISS, this.time, ready);
    return ready;
  }

  /** An exclusive level's miss: the line goes past it to the cache above. @returns the cycle at which it has come this far. */
  private pass(
    c: Cache,
    core: number,
    requester: Requester,
    line: number,
    virtualLine: number,
    write: boolean,
    leave: number,
    m: number,
  ): number {
    const back = this.request(c.bus, c.port, c.below, core, requester, line, virtualLine, write, leave);
    const ready = back + c.responseLatency;
    c.mshrs.hold(m, ready);
    c.countSingle(PASSED);
    return ready;
  }

  /** A line found in an exclusive level leaves it for the taker, and with it the duty to write it back; an L1I cannot have that. */
  private moveUp(c: Cache, slot: number, core: number, line: number, write: boolean, data: number): void {
    const dirty = c.state[slot] === MODIFIED;
    c.moveUp(slot);
    if (!dirty || write) return;
    if (this.granted === EXCLUSIVE && this.taker !== this.privates[core].l1i) this.granted = MODIFIED;
    else this.victims.passOn(c, core, line, data, this.time);
  }

  /** The line is there or on its way. */
  private found(
    c: Cache,
    slot: number,
    core: number,
    requester: Requester,
    line: number,
    virtualLine: number,
    write: boolean,
    grant: number,
    at: number,
  ): number {
    const there = c.readyAt[slot];
    const late = there > at;
    let outcome: Outcome = HIT;
    let data: number;
    c.array.policy.touch(slot);
    if (write && c.isPrivate && c.state[slot] === SHARED) {
      const start = Math.max(at, there);
      c.count(MISSES, core, requester);
      c.countSingle(UPGRADES);
      data = this.upgrade(c, core, line, start + c.tagLatency) + c.responseLatency;
      if (data < start + c.hitLatency) data = start + c.hitLatency;
      c.count(MISS_LATENCY, core, requester, data - grant);
      c.state[slot] = EXCLUSIVE;
    } else {
      this.servedBy = c.level;
      if (!late) {
        c.count(HITS, core, requester);
        data = at + c.hitLatency;
        if ((c.flags[slot] & ARRIVING) !== 0) data += c.heldUp(slot, at, c.hitLatency + at - grant);
      } else if (c.targets[slot] < c.targetsPerMshr) {
        c.targets[slot]++;
        c.count(MISSES, core, requester);
        c.count(MSHR_MERGES, core, requester);
        data = Math.max(there, at + c.hitLatency);
        c.count(MISS_LATENCY, core, requester, data - grant);
        outcome = MERGE;
      } else {
        // No target free: waits for the line, then hits.
        c.count(HITS, core, requester);
        data = there + c.hitLatency;
        outcome = MERGE;
      }
    }
    if (c.isPrivate) {
      this.granted = write ? MODIFIED : c.state[slot] >= EXCLUSIVE ? EXCLUSIVE : SHARED;
    } else if (
      this.dirtyHandOver &&
      c.state[slot] === MODIFIED &&
      requester !== FETCH &&
      this.taker !== this.privates[core].l1i
    ) {
      if (write) {
        c.state[slot] = EXCLUSIVE;
      } else if (this.granted === EXCLUSIVE && !this.ownShared) {
        c.state[slot] = EXCLUSIVE;
        this.granted = MODIFIED;
      }
    }
    if ((c.flags[slot] & PREFETCHED) !== 0) {
      c.notePrefetchUse(slot, late, core, this.time);
      outcome = late ? Outcome.PrefetchLate : Outcome.PrefetchHit;
    }
    if (c.exclusive && this.taker !== null) this.moveUp(c, slot, core, line, write, data);
    if (c.queue !== null) this.notify(c, core, requester, line, virtualLine, outcome, this.time, data);
    return data;
  }

  /** State in which a cache takes a line that was granted to its request. */
  private fillState(c: Cache, instruction: boolean, ownShared: boolean, write: boolean): number {
    if (instruction) return SHARED;
    if (!c.isPrivate) return write ? EXCLUSIVE : this.granted === MODIFIED ? MODIFIED : EXCLUSIVE;
    if (c.level === 0) return this.granted === EXCLUSIVE && ownShared ? SHARED : this.granted;
    // Below an L1 that writes, a private level owns the line; the L1 has the newer data.
    return write ? EXCLUSIVE : this.granted;
  }

  /** A modified line of the core's own goes to a port of the bus above `below`, and to `below`. */
  private supplyOwn(
    from: Cache,
    slot: number,
    core: number,
    line: number,
    bus: Bus,
    port: number,
    below: Cache | null,
    leave: number,
  ): number {
    const at = bus.arrival(bus.grantRequest(leave));
    const supplied = Math.max(at, from.readyAt[slot]) + from.hitLatency;
    from.countSingle(SUPPLIED);
    this.servedBy = below === null ? FROM_MEMORY : below.level;
    const back = bus.respond(port, supplied);
    this.victims.writeInto(below, core, line, bus.arrival(bus.grantData(supplied)), this.time);
    return back;
  }
}
