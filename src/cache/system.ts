import { InputError, suggestion } from "../errors.js";
import type { CacheSpec, MachineSpec } from "../machine/spec.js";
import { Traffic } from "../memory/contract.js";
import { type CountedMemory, createMemory } from "../memory/create.js";
import type { CounterGroup } from "../stats/counters.js";
import { Agents } from "./agents.js";
import { Bus } from "./bus.js";
import { Cache } from "./cache.js";
import type { PrivateCaches } from "./coherence.js";
import type { CorePort, Prefetcher, PrefetcherHost } from "./contract.js";
import { Hierarchy } from "./hierarchy.js";
import { Port, type WalkEntrance } from "./port.js";
import { AttachedPrefetcher, PrefetchQueue, type Translator } from "./prefetch.js";

/** At most so many: a line bears the number of the one that brought it in a byte. */
const MAX_PREFETCHERS = 255;

const LINES_PER_MIB = 16384;
/** Of main memory, of each prefetcher. */
const METADATA_LINES = 1 << 20;

/** What a flush throws away; main memory's open rows go with `levels: "all"`. */
export interface CacheFlush {
  l1i: boolean;
  l1d: boolean;
  /** Names of levels. */
  levels: readonly string[] | "all";
}

export interface MemoryOptions {
  /** Seed of everything that is random: replacement. */
  seed?: number;
  /** A shared level hands the duty to write a line back up to its only reader, as gem5 does. */
  dirtyHandOver?: boolean;
}

const NO_PAGES: PrefetcherHost["pages"] = {
  asid: new Int32Array(0),
  vpn: new Float64Array(0),
  ppn: new Int32Array(0),
};

/** The memory system of one machine: caches, buses, main memory, prefetchers. The wiring; no behaviour. */
export class MemorySystem {
  readonly memory: CountedMemory;
  private readonly hierarchy: Hierarchy;
  private readonly agents: Agents;
  private readonly ports: Port[] = [];
  private readonly l1i: Cache[] = [];
  private readonly l1d: Cache[] = [];
  /** levels[k][core]: the cache of that level that the core uses. */
  private readonly levels: Cache[][] = [];
  /** Each cache once, from the L1s down. */
  private readonly caches: Cache[] = [];
  private readonly buses: Bus[] = [];
  private readonly memoryBus: Bus;
  /** Port of each core on the memory bus: walks, device accesses, metadata. */
  private readonly memoryPorts: number[] = [];
  /** All prefetchers, in the order of attachment, and by core. */
  private readonly attached: AttachedPrefetcher[] = [];
  private readonly attachedByCore: AttachedPrefetcher[][];
  private readonly translators: (Translator | null)[];
  private pages = NO_PAGES;
  /** Is any level inclusive or exclusive? */
  private readonly inclusion: boolean;

  constructor(
    private readonly spec: MachineSpec,
    options: MemoryOptions = {},
  ) {
    const seed = options.seed ?? 1;
    this.inclusion = spec.levels.some(({ inclusion }) => (inclusion ?? "non-inclusive") !== "non-inclusive");
    const cores = Array.from({ length: spec.cores }, (_, core) => core);
    this.attachedByCore = cores.map(() => []);
    this.translators = cores.map(() => null);
    this.memory = createMemory(spec.memory, spec.clockGHz);
    this.checkLevels();

    for (const core of cores) {
      this.l1i.push(this.addCache(spec.l1i, `cpu${core}.l1i`, "l1i", 0, [core], true, seed));
      this.l1d.push(this.addCache(spec.l1d, `cpu${core}.l1d`, "l1d", 0, [core], true, seed));
    }
    spec.levels.forEach((level, k) => {
      const key = `levels[${k}].cache`;
      if (level.cache.infinite) throw new InputError(`${key}.infinite: only l1i can be infinite`);
      if (level.shared) {
        const cache = this.addCache(level.cache, level.name, key, k + 1, cores, false, seed);
        this.levels.push(cores.map(() => cache));
      } else {
        this.levels.push(
          cores.map((core) =>
            this.addCache(level.cache, `cpu${core}.${level.name}`, key, k + 1, [core], true, seed),
          ),
        );
      }
    });
    if (spec.l1d.infinite) throw new InputError("l1d.infinite: only l1i can be infinite");

    this.memoryBus = new Bus(spec.memoryBus, spec.memoryBus.snoopFilterLatency);
    const levelBuses = this.connect(cores);
    for (const _ of cores) this.memoryPorts.push(this.memoryBus.addPort());
    const firstShared = spec.levels.findIndex((level) => level.shared);
    const coherentBus = firstShared < 0 ? this.memoryBus : levelBuses[firstShared][0];
    const privates = cores.map((core) => this.privatesOf(core, firstShared, levelBuses));
    this.hierarchy = new Hierarchy(
      this.memory,
      this.memoryBus,
      privates,
      coherentBus,
      this.attachedByCore,
      options.dirtyHandOver ?? false,
    );
    this.agents = new Agents(this.hierarchy);
    for (const core of cores) {
      const walker = this.walkEntrance(core, levelBuses);
      this.ports.push(
        new Port(
          core,
          this.l1i[core],
          this.l1d[core],
          walker,
          this.memoryPorts[core],
          this.hierarchy,
          this.agents,
          spec.levels.some(({ inclusion }) => inclusion === "inclusive"),
        ),
      );
    }
  }

  port(core: number): CorePort {
    return this.ports[core];
  }

  /**
   * Attaches a prefetcher of a core to a cache: `l1i`, `l1d` or a level's name. Several may work at one
   * cache; they share its queue.
   */
  attachPrefetcher(
    core: number,
    levelName: string,
    factory: (host: PrefetcherHost) => Prefetcher,
  ): AttachedPrefetcher {
    const cache = this.cacheOf(core, levelName, "prefetcher");
    if (cache.held !== null)
      throw new InputError(`${cache.key}.infinite: an infinite cache takes no prefetcher`);
    if (cache.spec.demandReservedMshrs >= cache.spec.mshrs)
      throw new InputError(
        `${cache.key}.demandReservedMshrs: expected less than mshrs (${cache.spec.mshrs}), or no prefetch could ever be issued; got ${cache.spec.demandReservedMshrs}`,
      );
    if (this.attached.length === MAX_PREFETCHERS)
      throw new InputError(`at most ${MAX_PREFETCHERS} prefetchers can be attached to a machine`);
    cache.queue ??= new PrefetchQueue(cache.spec.prefetchQueue, cache, this.attached);
    const index = this.attached.length;
    // Just above the machine's memory lies Jukebox's (src/machine).
    const metadata = this.spec.memory.sizeMiB * LINES_PER_MIB + (index + 1) * METADATA_LINES;
    const host = new AttachedPrefetcher(index, core, cache, cache.queue, this, this.pages, metadata);
    host.translator = this.translators[core];
    this.attached.push(host);
    this.attachedByCore[core].push(host);
    host.prefetcher = factory(host);
    this.agents.add(host);
    this.ports[core].prefetcherAttached();
    return host;
  }

  /** Says how the prefetchers of a core translate. */
  setTranslator(core: number, translator: Translator): void {
    this.translators[core] = translator;
    for (const host of this.attachedByCore[core]) host.translator = translator;
  }

  /** Says what page ids mean: the trace's page table, borrowed. */
  setPages(pages: PrefetcherHost["pages"]): void {
    this.pages = pages;
    for (const host of this.attached) host.pages = pages;
  }

  readMetadata(core: number, line: number, now: number): number {
    const bus = this.memoryBus;
    const at = bus.arrival(bus.grantRequest(now));
    return bus.respond(this.memoryPorts[core], this.memory.read(line, Traffic.MetadataRead, at));
  }

  writeMetadata(_core: number, line: number, now: number): void {
    const bus = this.memoryBus;
    this.memory.write(line, Traffic.MetadataWrite, bus.arrival(bus.grantData(now)));
  }

  /** Throws contents of all cores' caches away. Takes no time; lines on their way are forgotten too. */
  flush(what: CacheFlush): void {
    const now = this.hierarchy.time;
    if (what.l1i) for (const cache of this.l1i) cache.flush(now);
    if (what.l1d) for (const cache of this.l1d) cache.flush(now);
    if (what.levels !== "all") for (const name of what.levels) this.levelIndex(name, "flush");
    this.spec.levels.forEach((level, k) => {
      if (what.levels !== "all" && !what.levels.includes(level.name)) return;
      for (const cache of new Set(this.levels[k])) {
        cache.flush(now);
        // What an inclusive level no longer holds, no cache above does.
        if (cache.inclusive) for (const above of cache.above) above.flush(now);
      }
    });
    if (what.levels === "all") this.memory.flush();
  }

  /** Counters of each cache, from the L1s down, and of main memory. */
  counterGroups(): CounterGroup[] {
    return [...this.caches.map((cache) => cache.counters), this.memory.counters];
  }

  /** @returns the identities between counters that do not hold, as sentences; empty: all is well. */
  checkIdentities(): string[] {
    return [...this.caches.flatMap((cache) => cache.checkIdentities()), ...this.memory.checkIdentities()];
  }

  /** Each cache once, from the L1s down: for tests and dumps. */
  allCaches(): readonly Cache[] {
    return this.caches;
  }

  private checkLevels(): void {
    const { levels, cores } = this.spec;
    const names = new Set(["l1i", "l1d", "memory"]);
    levels.forEach((level, k) => {
      if (names.has(level.name))
        throw new InputError(`levels[${k}].name: expected a name not yet taken; got "${level.name}"`);
      names.add(level.name);
      if (k > 0 && !level.shared && levels[k - 1].shared && cores > 1)
        throw new InputError(`levels[${k}].shared: a private level cannot stand below a shared one`);
    });
  }

  private addCache(
    spec: CacheSpec,
    path: string,
    key: string,
    level: number,
    cores: readonly number[],
    isPrivate: boolean,
    seed: number,
  ): Cache {
    // Each cache has random numbers of its own.
    const ownSeed = (seed * 1009 + this.caches.length) | 0;
    const cache = new Cache(spec, path, key, level, cores, isPrivate, ownSeed, this.attached, this.inclusion);
    this.caches.push(cache);
    return cache;
  }

  /** Makes the buses and joins each cache to the one below it. @returns [level][core] the bus that leads to the level. */
  private connect(cores: readonly number[]): Bus[][] {
    const buses: Bus[][] = [];
    this.spec.levels.forEach((level, k) => {
      const shared = level.shared ? new Bus(level.bus, level.bus.snoopFilterLatency) : null;
      buses.push(cores.map(() => shared ?? new Bus(level.bus, level.bus.snoopFilterLatency)));
      this.buses.push(...new Set(buses[k]));
    });
    this.buses.push(this.memoryBus);
    this.spec.levels.forEach(({ inclusion }, k) => {
      for (const cache of this.levels[k]) {
        cache.inclusive = inclusion === "inclusive";
        cache.exclusive = inclusion === "exclusive";
      }
    });
    const upper: Cache[][] = [this.l1i, this.l1d, ...this.levels];
    for (const caches of upper) {
      for (const cache of new Set(caches)) {
        const core = cache.cores[0];
        const k = cache.level;
        const last = k === this.spec.levels.length;
        cache.connect(
          last ? this.memoryBus : buses[k][core],
          k === 0 ? 0 : buses[k - 1][core].requestLatency,
        );
        cache.below = last ? null : this.levels[k][core];
        cache.spills = cache.below?.exclusive ?? false;
        cache.above = this.caches.filter(
          (other) => other.level < k && other.cores.some((c) => cache.cores.includes(c)),
        );
      }
    }
    return buses;
  }

  /** A core's own caches; sets how long each takes to supply a line to the coherent bus. */
  private privatesOf(core: number, firstShared: number, buses: Bus[][]): PrivateCaches {
    const depth = firstShared < 0 ? this.spec.levels.length : firstShared;
    const levels = this.levels.slice(0, depth).map((level) => level[core]);
    const l1i = this.l1i[core];
    const l1d = this.l1d[core];
    const all = [l1d, ...levels, l1i];
    for (const cache of all) {
      cache.supplyLatency = cache.hitLatency;
      for (let k = cache.level; k < depth; k++) cache.supplyLatency += buses[k][core].roundTrip;
    }
    return { l1i, l1d, levels, all };
  }

  private walkEntrance(core: number, buses: Bus[][]): WalkEntrance {
    const name = this.spec.core.walker;
    if (name === "memory" || name === "none")
      return { bus: this.memoryBus, port: this.memoryPorts[core], cache: null };
    const k = this.levelIndex(name, "core.walker", ["memory"]);
    const bus = buses[k][core];
    return { bus, port: bus.addPort(), cache: this.levels[k][core] };
  }

  private cacheOf(core: number, name: string, where: string): Cache {
    if (name === "l1i") return this.l1i[core];
    if (name === "l1d") return this.l1d[core];
    return this.levels[this.levelIndex(name, where, ["l1i", "l1d"])][core];
  }

  private levelIndex(name: string, where: string, more: readonly string[] = []): number {
    const names = this.spec.levels.map((level) => level.name);
    const k = names.indexOf(name);
    if (k < 0)
      throw new InputError(`${where}: no cache level "${name}".${suggestion(name, [...more, ...names])}`);
    return k;
  }
}
