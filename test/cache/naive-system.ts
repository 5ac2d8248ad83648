import {
  NOT_NOW,
  Outcome,
  type Prefetcher,
  type PrefetcherHost,
  Requester,
  SERVED_BY_MEMORY,
} from "../../src/cache/contract.js";
import type { BusSpec, MachineSpec } from "../../src/machine/spec.js";
import { cyclesOf, lineTransfer } from "../../src/memory/simple.js";
import {
  NaiveBus,
  NaiveCache,
  type NaiveLine,
  type NaiveMainMemory,
  NaiveMemory,
  type NaivePrefetcher,
  type NaiveState,
  SharedDram,
  Tally,
} from "./naive-parts.js";

type Kind = "inst" | "load" | "store" | "walk" | "prefetch";
const REQUESTER: Record<Kind, Requester> = {
  inst: Requester.Fetch,
  load: Requester.Load,
  store: Requester.Store,
  walk: Requester.Walk,
  prefetch: Requester.Prefetch,
};
const TRAFFIC: Record<Kind, string> = {
  inst: "fetch",
  load: "data",
  store: "data",
  walk: "walk",
  prefetch: "prefetch",
};

/** What a prefetcher translates with. */
export interface NaiveTranslation {
  pages: PrefetcherHost["pages"];
  translate(asid: number, vpn: number, now: number): { page: number; at: number };
}

/** What came back from below. */
interface Answer {
  back: number;
  granted: NaiveState;
  servedBy: number;
}

/** The memory system once more, with objects and lists: slow, and simple enough to be seen to be right. */
export class NaiveSystem {
  readonly tally = new Tally();
  readonly horizon: number[];
  retryAt = 0;
  servedBy = 0;
  private time = 0;
  private running = false;
  /** Who asked for what is under way, for the replacement policies. */
  private pc = 0;
  private readonly memory: NaiveMainMemory;
  private readonly memoryBus: NaiveBus;
  private readonly memoryPort: number[] = [];
  private readonly coherentBus: NaiveBus;
  private readonly caches: NaiveCache[] = [];
  private readonly l1i: NaiveCache[] = [];
  private readonly l1d: NaiveCache[] = [];
  private readonly levels: NaiveCache[][] = [];
  private readonly buses: NaiveBus[][] = [];
  private readonly walkPort: number[] = [];
  private readonly prefetchers: NaivePrefetcher[] = [];
  private readonly privateDepth: number;

  constructor(
    readonly spec: MachineSpec,
    seed: number,
    private readonly dirtyHandOver: boolean,
  ) {
    const cores = [...Array(spec.cores).keys()];
    this.horizon = cores.map(() => Infinity);
    this.memory = this.memoryOf(spec);
    const cache = (s: MachineSpec["l1i"], path: string, level: number, users: number[], own: boolean) => {
      const c = new NaiveCache(
        s,
        path,
        level,
        users,
        own,
        (seed * 1009 + this.caches.length) | 0,
        this.tally,
      );
      this.caches.push(c);
      return c;
    };
    for (const core of cores) {
      this.l1i.push(cache(spec.l1i, `cpu${core}.l1i`, 0, [core], true));
      this.l1d.push(cache(spec.l1d, `cpu${core}.l1d`, 0, [core], true));
    }
    const bus = (b: BusSpec) =>
      new NaiveBus(
        b.frontendLatency + b.forwardLatency + b.snoopFilterLatency,
        b.responseLatency,
        1 + Math.ceil(64 / b.width),
      );
    spec.levels.forEach((level, k) => {
      if (level.shared) {
        const c = cache(level.cache, level.name, k + 1, cores, false);
        this.levels.push(cores.map(() => c));
        const b = bus(level.bus);
        this.buses.push(cores.map(() => b));
      } else {
        this.levels.push(
          cores.map((core) => cache(level.cache, `cpu${core}.${level.name}`, k + 1, [core], true)),
        );
        this.buses.push(cores.map(() => bus(level.bus)));
      }
    });
    this.memoryBus = bus(spec.memoryBus);
    for (const c of this.caches) {
      const core = c.cores[0];
      const last = c.level === spec.levels.length;
      c.bus = last ? this.memoryBus : this.buses[c.level][core];
      c.below = last ? null : this.levels[c.level][core];
      c.port = c.bus.port();
      if (c.level > 0) c.inclusion = spec.levels[c.level - 1].inclusion ?? "non-inclusive";
      c.above = this.caches.filter((o) => o.level < c.level && o.cores.some((k) => c.cores.includes(k)));
    }
    for (const _core of cores) this.memoryPort.push(this.memoryBus.port());
    const firstShared = spec.levels.findIndex((level) => level.shared);
    this.privateDepth = firstShared < 0 ? spec.levels.length : firstShared;
    this.coherentBus = firstShared < 0 ? this.memoryBus : this.buses[firstShared][0];
    const walkLevel = spec.levels.findIndex((level) => level.name === spec.core.walker);
    if (walkLevel >= 0) for (const core of cores) this.walkPort.push(this.buses[walkLevel][core].port());
  }

  private memoryOf({ memory, clockGHz }: MachineSpec): NaiveMainMemory {
    if (memory.model === "dram") return new SharedDram(memory, clockGHz, this.tally);
    const { numerator, denominator } = lineTransfer(memory.bandwidthGiBs, clockGHz);
    return new NaiveMemory(
      Math.max(1, cyclesOf(memory.latencyNs, clockGHz)),
      BigInt(numerator),
      BigInt(denominator),
      this.tally,
    );
  }

  /** @param translation what page ids mean, and a core's way to find them; by default there is none */
  attach(
    core: number,
    name: string,
    factory: (host: PrefetcherHost) => Prefetcher,
    translation?: NaiveTranslation,
  ): void {
    const cache =
      name === "l1i"
        ? this.l1i[core]
        : name === "l1d"
          ? this.l1d[core]
          : this.levels[this.spec.levels.findIndex((l) => l.name === name)][core];
    cache.hasPrefetcher = true;
    const p = { core, cache, lastAct: -1 } as NaivePrefetcher;
    const target = {
      get queueFree() {
        return cache.spec.prefetchQueue - cache.queue.length;
      },
      enqueue: (line: number, virtualLine: number, now: number) => {
        if (cache.queue.length === cache.spec.prefetchQueue) return false;
        cache.pf("pfRequested", core);
        if (cache.holds(line) || cache.queue.some((e) => e.line === line)) cache.pf("pfInCache", core);
        else cache.queue.push({ line, virtualLine, at: now, by: p });
        return true;
      },
      probe: (line: number) => cache.holds(line),
    };
    const bus = this.memoryBus;
    const host = {
      core,
      target,
      metadataLine: 0,
      readMetadata: (line: number, now: number) => {
        const at = bus.request.reserve(now, 1) + bus.down;
        return bus.respond(this.memoryPort[core], this.memory.read(line, "metadata", at), bus.dataCycles);
      },
      writeMetadata: (line: number, now: number) =>
        this.memory.write(line, "metadata", bus.request.reserve(now, bus.dataCycles) + bus.down),
      translate: (asid: number, vpn: number, now: number) => {
        const { page, at } = translation!.translate(asid, vpn, now);
        host.translatedPage = page;
        return at;
      },
      translatedPage: -1,
      pages: translation?.pages ?? {
        asid: new Int32Array(0),
        vpn: new Float64Array(0),
        ppn: new Int32Array(0),
      },
    };
    p.prefetcher = factory(host);
    this.prefetchers.push(p);
    this.prefetchers.sort((a, b) => a.core - b.core);
  }

  fetch(core: number, line: number, virtualLine: number, now: number): number {
    // An instruction line is its own instruction.
    return this.access(this.l1i[core], core, "inst", line, virtualLine, now, virtualLine << 6);
  }

  load(core: number, line: number, virtualLine: number, now: number, pc = 0): number {
    return this.access(this.l1d[core], core, "load", line, virtualLine, now, pc);
  }

  store(core: number, line: number, virtualLine: number, now: number, pc = 0): number {
    return this.access(this.l1d[core], core, "store", line, virtualLine, now, pc);
  }

  walk(core: number, line: number, now: number): number {
    if (!this.mayLeave(core, now)) return NOT_NOW;
    const k = this.spec.levels.findIndex((level) => level.name === this.spec.core.walker);
    if (k < 0) return this.straight(core, line, "walk", now);
    this.pc = 0;
    const bus = this.buses[k][core];
    const c = this.levels[k][core];
    const above = this.privates(core).filter((p) => p.level < c.level && p.held === null);
    const owner = this.downgrade(above, line);
    const answer =
      owner === null
        ? this.request(bus, this.walkPort[core], c, core, "walk", line, -1, false, false, "E", null, now)
        : this.supply(owner.cache, owner.line, core, bus, this.walkPort[core], c, now);
    this.servedBy = answer.servedBy;
    return answer.back;
  }

  uncached(core: number, line: number, write: boolean, now: number): number {
    if (!this.mayLeave(core, now)) return NOT_NOW;
    if (!write) return this.straight(core, line, "uncached", now);
    const bus = this.memoryBus;
    const at = bus.request.reserve(now, bus.dataCycles) + bus.down;
    this.memory.write(line, "uncached", at);
    this.servedBy = SERVED_BY_MEMORY;
    return bus.respond(this.memoryPort[core], at, 1);
  }

  /** @param names of levels; "all": of main memory too. */
  flush(l1i: boolean, l1d: boolean, names: string[] | "all"): void {
    if (names === "all") this.memory.flush();
    for (const c of this.caches) {
      const name = c.path.split(".").at(-1)!;
      if (!(name === "l1i" ? l1i : name === "l1d" ? l1d : names === "all" || names.includes(name))) continue;
      c.flush(this.time);
      if (c.inclusion === "inclusive") for (const above of c.above) above.flush(this.time);
    }
  }

  private straight(core: number, line: number, kind: string, now: number): number {
    const bus = this.memoryBus;
    const at = bus.request.reserve(now, 1) + bus.down;
    this.servedBy = SERVED_BY_MEMORY;
    return bus.respond(this.memoryPort[core], this.memory.read(line, kind, at), bus.dataCycles);
  }

  /** In the order of a snoop: L1D, private levels, L1I. */
  private privates(core: number): NaiveCache[] {
    return [
      this.l1d[core],
      ...this.levels.slice(0, this.privateDepth).map((level) => level[core]),
      this.l1i[core],
    ];
  }

  private mayLeave(core: number, now: number): boolean {
    if (this.running) return true;
    if (now > this.horizon[core]) {
      this.retryAt = now;
      return false;
    }
    this.runAgents(now);
    this.time = Math.max(this.time, now);
    return true;
  }

  private access(
    c: NaiveCache,
    core: number,
    kind: Kind,
    line: number,
    vline: number,
    now: number,
    pc: number,
  ): number {
    const write = kind === "store";
    const usable = () => {
      const l = c.find(line);
      return l !== null && (!write || l.state !== "S") ? l : null;
    };
    // Below an inclusive level any miss may take any line away: hits wait for their turn, too.
    const ordered = this.spec.levels.some((level) => level.inclusion === "inclusive");
    if (ordered && !this.mayLeave(core, now)) return NOT_NOW;
    const early = usable();
    if (early !== null) return this.l1Hit(c, early, core, kind, vline, now);
    if (c.held?.has(line)) return this.heldHit(c, core, line, now);
    if (!this.mayLeave(core, now)) return NOT_NOW;
    const late = usable();
    if (late !== null) return this.l1Hit(c, late, core, kind, vline, now);
    const free = Math.max(c.mshrFreeAt(now), 0);
    if (free > now) {
      this.retryAt = free;
      return NOT_NOW;
    }
    if (c.writeBufferFreeAt() > now) {
      this.retryAt = c.writeBufferFreeAt();
      return NOT_NOW;
    }
    c.count("accesses", core, kind);
    c.count("misses", core, kind);
    this.pc = pc;
    const shared = c.find(line);
    let done: number;
    let outcome: Outcome = Outcome.Miss;
    if (shared !== null) {
      c.single("upgrades");
      this.invalidate(this.l1i[core], line);
      const start = Math.max(now, shared.readyAt);
      done = this.upgrade(c, core, line, start + c.spec.tagLatency) + c.spec.responseLatency;
      c.takeMshr(now, done);
      Object.assign(shared, { state: "M", readyAt: done, wholeAt: done, targets: 1 });
      c.touch(shared);
      outcome = Outcome.Hit;
      if (shared.prefetchedBy !== null) {
        c.use(shared, false, core, now);
        outcome = Outcome.PrefetchHit;
      }
    } else {
      c.squash(line);
      done = this.fill(c, core, kind, line, vline, write, false, "E", now, now + c.spec.tagLatency).back;
    }
    c.count("missLatency", core, kind, done - now);
    this.notify(c, core, kind, line, vline, outcome, now, done);
    return done;
  }

  private l1Hit(c: NaiveCache, l: NaiveLine, core: number, kind: Kind, vline: number, now: number): number {
    const late = l.readyAt > now;
    if (late && l.targets >= c.spec.targetsPerMshr) {
      this.retryAt = l.readyAt;
      return NOT_NOW;
    }
    let done = now + c.hitLatency;
    let outcome: Outcome = Outcome.Hit;
    c.count("accesses", core, kind);
    if (late) {
      l.targets++;
      done = Math.max(done, l.readyAt);
      c.count("misses", core, kind);
      c.count("mshrMerges", core, kind);
      c.count("missLatency", core, kind, done - now);
      outcome = Outcome.Merge;
    } else {
      c.count("hits", core, kind);
      done = now + c.accessLatency(l, now, c.hitLatency);
    }
    if (kind === "store") l.state = "M";
    c.touch(l);
    if (l.prefetchedBy !== null) {
      c.use(l, late, core, now);
      outcome = late ? Outcome.PrefetchLate : Outcome.PrefetchHit;
    }
    this.servedBy = 0;
    this.notify(c, core, kind, l.line, vline, outcome, now, done);
    return done;
  }

  private heldHit(c: NaiveCache, core: number, line: number, now: number): number {
    const ready = c.held!.get(line)!;
    const done = Math.max(now + c.hitLatency, ready);
    c.count("accesses", core, "inst");
    if (ready > now) {
      c.count("misses", core, "inst");
      c.count("mshrMerges", core, "inst");
      c.count("missLatency", core, "inst", done - now);
    } else c.count("hits", core, "inst");
    this.servedBy = 0;
    return done;
  }

  private fill(
    c: NaiveCache,
    core: number,
    kind: Kind,
    line: number,
    vline: number,
    write: boolean,
    inherited: boolean,
    grantedAbove: NaiveState,
    start: number,
    leave: number,
  ): Answer {
    const l1 = c.level === 0;
    const instruction = c === this.l1i[core];
    let ownShared = inherited;
    let owner: { cache: NaiveCache; line: NaiveLine } | null = null;
    if (l1) {
      ownShared = !instruction && !write && this.l1i[core].holds(line);
      if (write) this.invalidate(this.l1i[core], line);
      if (instruction) owner = this.downgrade([this.l1d[core]], line);
    }
    const answer =
      owner !== null
        ? this.supply(owner.cache, owner.line, core, c.bus, c.port, c.below, leave)
        : this.request(
            c.bus,
            c.port,
            c.below,
            core,
            kind,
            line,
            vline,
            write,
            ownShared,
            grantedAbove,
            c,
            leave,
          );
    const ready = answer.back + c.spec.responseLatency;
    c.takeMshr(start, ready);
    this.servedBy = answer.servedBy;
    if (c.held !== null) {
      c.held.set(line, ready);
      c.single("fills");
      return { ...answer, back: ready };
    }
    let state: NaiveState = answer.granted;
    if (instruction) state = "S";
    else if (!c.isPrivate) state = !write && state === "M" ? "M" : "E";
    else if (l1 && state === "E" && ownShared) state = "S";
    else if (!l1 && write) state = "E";
    const victim = c.install(line, state, ready, this.time, this.pc);
    c.find(line)!.wholeAt = answer.back + c.spec.dataLatency + c.bus.dataCycles - 1;
    if (victim !== null)
      this.victimLeaves(c, core, victim, Math.max(answer.back, victim.readyAt) + c.spec.tagLatency);
    return { ...answer, back: ready };
  }

  private request(
    bus: NaiveBus,
    port: number,
    below: NaiveCache | null,
    core: number,
    kind: Kind,
    line: number,
    vline: number,
    write: boolean,
    ownShared: boolean,
    grantedAbove: NaiveState,
    taker: NaiveCache | null,
    leave: number,
  ): Answer {
    const grant = bus.request.reserve(leave, 1);
    const at = grant + bus.down;
    let granted: NaiveState = grantedAbove;
    if (bus === this.coherentBus) {
      granted = write ? "M" : "E";
      const snoop = this.snoop(core, line, write, at, below?.inclusion === "exclusive");
      if (!write && snoop.shared) granted = "S";
      if (snoop.supplied !== null) {
        const back = bus.respond(port, snoop.supplied, bus.dataCycles);
        if (!write && snoop.dirty) {
          const sent = bus.request.reserve(snoop.supplied, bus.dataCycles);
          this.writeInto(below, snoop.core, line, sent + bus.down);
        }
        return { back, granted, servedBy: below === null ? SERVED_BY_MEMORY : below.level };
      }
    }
    if (below === null) {
      const back = bus.respond(port, this.memory.read(line, TRAFFIC[kind], at), bus.dataCycles);
      return { back, granted, servedBy: SERVED_BY_MEMORY };
    }
    const answer = this.lookup(below, core, kind, line, vline, write, ownShared, granted, taker, grant, at);
    return { ...answer, back: bus.respond(port, answer.back, bus.dataCycles) };
  }

  private lookup(
    c: NaiveCache,
    core: number,
    kind: Kind,
    line: number,
    vline: number,
    write: boolean,
    ownShared: boolean,
    granted: NaiveState,
    taker: NaiveCache | null,
    grant: number,
    at: number,
  ): Answer {
    c.count("accesses", core, kind);
    const l = c.find(line);
    if (l === null) {
      c.count("misses", core, kind);
      c.squash(line);
      const start = c.mshrFreeAt(Math.max(at, c.writeBufferFreeAt()));
      if (c.inclusion === "exclusive" && (taker !== null || c.heldAbove(line))) {
        // Past this level: nothing is put in.
        const leave = start + c.spec.tagLatency;
        const args = [core, kind, line, vline, write, ownShared, granted, taker, leave] as const;
        const answer = this.request(c.bus, c.port, c.below, ...args);
        const back = answer.back + c.spec.responseLatency;
        c.takeMshr(start, back);
        c.single("passed");
        c.count("missLatency", core, kind, back - grant);
        this.notify(c, core, kind, line, vline, Outcome.Miss, this.time, back);
        return { ...answer, back };
      }
      const answer = this.fill(
        c,
        core,
        kind,
        line,
        vline,
        write,
        ownShared,
        granted,
        start,
        start + c.spec.tagLatency,
      );
      c.count("missLatency", core, kind, answer.back - grant);
      let state = answer.granted;
      // A dirty line handed over stays here.
      if (!write && state === "M") state = "E";
      this.notify(c, core, kind, line, vline, Outcome.Miss, this.time, answer.back);
      return { ...answer, granted: state };
    }
    const late = l.readyAt > at;
    let outcome: Outcome = Outcome.Hit;
    let data: number;
    let servedBy = c.level;
    c.touch(l);
    if (write && c.isPrivate && l.state === "S") {
      const start = Math.max(at, l.readyAt);
      c.count("misses", core, kind);
      c.single("upgrades");
      const ack = this.upgrade(c, core, line, start + c.spec.tagLatency);
      servedBy = this.servedBy;
      data = Math.max(ack + c.spec.responseLatency, start + c.hitLatency);
      c.count("missLatency", core, kind, data - grant);
      l.state = "E";
    } else if (!late) {
      c.count("hits", core, kind);
      data = grant + c.accessLatency(l, at, at - grant + c.hitLatency);
    } else if (l.targets < c.spec.targetsPerMshr) {
      l.targets++;
      c.count("misses", core, kind);
      c.count("mshrMerges", core, kind);
      data = Math.max(l.readyAt, at + c.hitLatency);
      c.count("missLatency", core, kind, data - grant);
      outcome = Outcome.Merge;
    } else {
      c.count("hits", core, kind);
      data = l.readyAt + c.hitLatency;
      outcome = Outcome.Merge;
    }
    let state = granted;
    if (c.isPrivate) state = write ? "M" : l.state === "S" ? "S" : "E";
    else if (this.dirtyHandOver && l.state === "M" && kind !== "inst" && taker !== this.l1i[core]) {
      if (write) l.state = "E";
      else if (granted === "E" && !ownShared) {
        l.state = "E";
        state = "M";
      }
    }
    if (l.prefetchedBy !== null) {
      c.use(l, late, core, this.time);
      outcome = late ? Outcome.PrefetchLate : Outcome.PrefetchHit;
    }
    if (c.inclusion === "exclusive" && taker !== null) {
      c.single("movedUp");
      c.remove(line, this.time);
      if (l.state === "M" && !write) {
        // Only a cache that may hold it dirty, and alone, takes over the duty to write it back.
        if (state === "E" && taker !== this.l1i[core]) state = "M";
        else this.writeBack(c, core, line, data, true);
      }
    }
    this.notify(c, core, kind, line, vline, outcome, this.time, data);
    return { back: data, granted: state, servedBy };
  }

  private upgrade(c: NaiveCache, core: number, line: number, leave: number): number {
    const bus = c.bus;
    const below = c.below;
    const grant = bus.request.reserve(leave, 1);
    const at = grant + bus.down;
    if (bus === this.coherentBus) {
      this.snoop(core, line, true, at);
      this.servedBy = below === null ? SERVED_BY_MEMORY : below.level;
      return bus.respond(c.port, at + (below?.spec.tagLatency ?? 0), 1);
    }
    const level = below!;
    const l = level.find(line);
    level.count("accesses", core, "store");
    let done: number;
    if (l !== null && l.state !== "S") {
      level.count("hits", core, "store");
      level.touch(l);
      this.servedBy = level.level;
      done = Math.max(at, l.readyAt) + level.spec.tagLatency;
    } else {
      level.count("misses", core, "store");
      level.single("upgrades");
      done = this.upgrade(level, core, line, at + level.spec.tagLatency) + level.spec.responseLatency;
      level.count("missLatency", core, "store", done - grant);
      if (l !== null) {
        l.state = "E";
        level.touch(l);
      }
    }
    return bus.respond(c.port, done, 1);
  }

  private snoop(
    core: number,
    line: number,
    write: boolean,
    at: number,
    cleanToo = false,
  ): { shared: boolean; supplied: number | null; dirty: boolean; core: number } {
    const out = { shared: false, supplied: null as number | null, dirty: false, core: -1 };
    const latency = (c: NaiveCache, other: number) => {
      let cycles = c.hitLatency;
      for (let k = c.level; k < this.privateDepth; k++)
        cycles += this.buses[k][other].down + this.buses[k][other].up;
      return cycles;
    };
    const clean: { c: NaiveCache; supplied: number }[] = [];
    for (let other = 0; other < this.spec.cores; other++) {
      if (other === core) continue;
      for (const c of this.privates(other)) {
        if (!c.holds(line)) continue;
        out.shared = true;
        const l = c.find(line);
        if (l !== null && l.state !== "M")
          clean.push({ c, supplied: Math.max(at, l.readyAt) + latency(c, other) });
        if (l?.state === "M" && out.supplied === null) {
          out.supplied = Math.max(at, l.readyAt) + latency(c, other);
          out.core = other;
          out.dirty = true;
          c.single("supplied");
        }
        if (write) this.invalidate(c, line);
        else if (l !== null && l.state !== "S") {
          c.single("downgrades");
          l.state = "S";
        }
      }
    }
    if (cleanToo && out.supplied === null && clean.length > 0) {
      out.supplied = clean[0].supplied;
      clean[0].c.single("supplied");
    }
    return out;
  }

  private invalidate(c: NaiveCache, line: number): void {
    if (!c.holds(line)) return;
    c.single("invalidations");
    if (c.held !== null) c.held.delete(line);
    else c.remove(line, this.time);
  }

  /** Caches of one core lose ownership; the first that was Modified supplies. */
  private downgrade(caches: NaiveCache[], line: number): { cache: NaiveCache; line: NaiveLine } | null {
    let owner: { cache: NaiveCache; line: NaiveLine } | null = null;
    for (const cache of caches) {
      const l = cache.find(line);
      if (l === null || l.state === "S") continue;
      cache.single("downgrades");
      if (l.state === "M") owner ??= { cache, line: l };
      l.state = "S";
    }
    return owner;
  }

  private supply(
    from: NaiveCache,
    l: NaiveLine,
    core: number,
    bus: NaiveBus,
    port: number,
    below: NaiveCache | null,
    leave: number,
  ): Answer {
    const at = bus.request.reserve(leave, 1) + bus.down;
    const supplied = Math.max(at, l.readyAt) + from.hitLatency;
    from.single("supplied");
    const back = bus.respond(port, supplied, bus.dataCycles);
    this.writeInto(below, core, l.line, bus.request.reserve(supplied, bus.dataCycles) + bus.down);
    return { back, granted: "S", servedBy: below === null ? SERVED_BY_MEMORY : below.level };
  }

  /** A victim goes to the level below: dirty, or clean to an exclusive one where no other cache above that holds it. */
  private victimLeaves(c: NaiveCache, core: number, victim: NaiveLine, leave: number): void {
    if (victim.state === "M") {
      this.writeBack(c, core, victim.line, leave);
      return;
    }
    const below = c.below!;
    if (below.heldAbove(victim.line)) return;
    const grant = c.bus.request.reserve(Math.max(leave, c.writeBufferFreeAt()), c.bus.dataCycles);
    c.takeWriteBuffer(grant);
    const at = grant + c.bus.down;
    below.count("accesses", core, "writeback");
    if (below.holds(victim.line)) throw new Error("a line above an exclusive level is in it, too");
    below.count("misses", core, "writeback");
    const next = below.install(victim.line, below.isPrivate ? victim.state : "E", at, this.time);
    if (next !== null)
      this.victimLeaves(below, core, next, Math.max(at, next.readyAt) + below.spec.tagLatency);
  }

  /** @param moving the line goes to a cache above at the same time */
  private writeBack(c: NaiveCache, core: number, line: number, leave: number, moving = false): void {
    const grant = c.bus.request.reserve(Math.max(leave, c.writeBufferFreeAt()), c.bus.dataCycles);
    c.takeWriteBuffer(grant);
    this.writeInto(c.below, core, line, grant + c.bus.down, moving);
  }

  private writeInto(below: NaiveCache | null, core: number, line: number, at: number, moving = false): void {
    if (below === null) {
      this.memory.write(line, "writeback", at);
      return;
    }
    below.count("accesses", core, "writeback");
    if (below.inclusion === "exclusive" && (moving || below.heldAbove(line))) {
      below.count("misses", core, "writeback");
      below.single("passed");
      this.writeBack(below, core, line, at + below.spec.tagLatency, moving);
      return;
    }
    const l = below.find(line);
    if (l !== null) {
      below.count("hits", core, "writeback");
      l.state = "M";
      below.touch(l);
      return;
    }
    below.count("misses", core, "writeback");
    const victim = below.install(line, "M", at, this.time);
    if (victim !== null)
      this.victimLeaves(below, core, victim, Math.max(at, victim.readyAt) + below.spec.tagLatency);
  }

  private notify(
    c: NaiveCache,
    core: number,
    kind: Kind,
    line: number,
    vline: number,
    outcome: Outcome,
    now: number,
    ready: number,
  ): void {
    if (kind === "prefetch") return;
    for (const p of this.prefetchers)
      if (p.core === core && p.cache === c)
        p.prefetcher.demand(REQUESTER[kind], line, vline, outcome, now, ready, 0);
  }

  private runAgents(until: number): void {
    this.running = true;
    for (;;) {
      // All that is due: when, for which core, acting (0) before issuing (1).
      const due: { at: number; core: number; order: number; run: (now: number) => void }[] = [];
      for (const p of this.prefetchers) {
        due.push({
          at: Math.max(p.prefetcher.nextAction, p.lastAct + 1, this.time),
          core: p.core,
          order: 0,
          run: (now) => {
            p.lastAct = now;
            p.prefetcher.act(now);
          },
        });
      }
      for (const c of new Set(this.prefetchers.map((p) => p.cache))) {
        const head = c.queue[0];
        if (head === undefined) continue;
        due.push({
          at: Math.max(head.at, c.lastIssue + 1, c.blockedUntil, this.time),
          core: head.by.core,
          order: 1,
          run: (now) => this.issue(c, now),
        });
      }
      due.sort((a, b) => a.at - b.at || a.core - b.core || a.order - b.order);
      const next = due[0];
      if (next === undefined || next.at > until || next.at === Infinity) break;
      this.time = next.at;
      next.run(next.at);
    }
    this.running = false;
  }

  private issue(c: NaiveCache, now: number): void {
    const { line, virtualLine, by } = c.queue[0];
    const above = this.caches.filter(
      (o) => o.level < c.level && o.cores.some((core) => c.cores.includes(core)),
    );
    if (c.holds(line) || above.some((o) => o.holds(line))) {
      c.pf("pfInCache", by.core);
      c.queue.shift();
      by.prefetcher.retired?.(line, now);
      return;
    }
    const busy = c.mshrs.filter((until) => until > now);
    if (c.spec.mshrs - busy.length <= c.spec.demandReservedMshrs) {
      c.blockedUntil = Math.min(...busy);
      return;
    }
    if (c.writeBufferFreeAt() > now) {
      c.blockedUntil = c.writeBufferFreeAt();
      return;
    }
    c.queue.shift();
    c.lastIssue = now;
    c.pf("pfIssued", by.core);
    c.count("accesses", by.core, "prefetch");
    c.count("misses", by.core, "prefetch");
    const servedBy = this.servedBy;
    this.pc = 0;
    const { back } = this.fill(c, by.core, "prefetch", line, virtualLine, false, false, "E", now, now);
    this.servedBy = servedBy;
    c.count("missLatency", by.core, "prefetch", back - now);
    c.find(line)!.prefetchedBy = by;
    by.prefetcher.issued?.(line, now, back);
  }
}
