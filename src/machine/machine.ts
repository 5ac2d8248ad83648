import type { Prefetcher } from "../cache/contract.js";
import { MemorySystem } from "../cache/system.js";
import { type CoreBase, createCore, PageTables } from "../core/index.js";
import { InputError } from "../errors.js";
import { Jukebox } from "../jukebox/index.js";
import type { Trace } from "../loader/contract.js";
import type { DecodedTable } from "../loader/decode/index.js";
import { createPrefetcher, type ResolvedPrefetcher } from "../prefetch/index.js";
import { CounterSheet } from "../stats/counters.js";
import { withPrefetcher } from "./load.js";
import { prefetcherGroup } from "./prefetcher-group.js";
import type { MachineSpec, PrefetcherInput } from "./spec.js";

/** What a run changes in a machine. */
export interface MachineOptions {
  /** Jukebox on the function's core, with these of the machine's parameters changed. Absent: none. */
  jukebox?: { replayDistance?: number; metadataBytes?: number };
  /** One prefetcher more, on the function's core. */
  prefetcher?: PrefetcherInput;
  /** L1 instruction caches that keep every line they have held. */
  perfectICache?: boolean;
  /** Seed of everything random. */
  seed: number;
}

/** What a flush throws away. */
export interface MachineFlush {
  caches: boolean;
  tlbs: boolean;
  predictors: boolean;
}

/** Container id of the traced function (see EventKind.Switch); also its Jukebox instance. */
const FUNCTION = 1;
const LINES_PER_MIB = 16384;

/**
 * One machine with one trace on it: cores, memory system, Jukebox and their counters, joined. The wiring,
 * and what begins and ends with an invocation.
 */
export class Machine {
  /** The description as it is run, with the options worked in. */
  readonly spec: MachineSpec;
  readonly cores: readonly CoreBase[];
  readonly sheet = new CounterSheet();
  readonly jukebox: Jukebox | undefined;
  private readonly memory: MemorySystem;
  private readonly functionCore: number;
  private readonly instructions: (() => number)[];
  /** Of the description; Jukebox is not among them. */
  private readonly prefetchers: { core: number; prefetcher: Prefetcher }[] = [];
  private invocationUnderWay = false;
  private replayStarted = false;

  /** Throws InputError when the trace does not fit the machine. */
  constructor(spec: MachineSpec, trace: Trace, decoded: DecodedTable, options: MachineOptions) {
    const { header, pages } = trace;
    this.spec = {
      ...(options.prefetcher === undefined ? spec : withPrefetcher(spec, options.prefetcher, "prefetcher")),
      cores: header.cores,
      l1i: { ...spec.l1i, infinite: spec.l1i.infinite || (options.perfectICache ?? false) },
    };
    if (options.jukebox !== undefined) {
      if (spec.jukebox === undefined) throw new InputError(`machine ${spec.name}: no "jukebox"`);
      this.spec.jukebox = { ...spec.jukebox, ...options.jukebox };
    }
    checkFit(this.spec, trace);
    this.functionCore = header.functionCore;
    this.memory = new MemorySystem(this.spec, { seed: options.seed, dirtyHandOver: spec.dirtyHandOver });
    this.memory.setPages(pages);
    const pageTables = new PageTables(pages, spec.memory.sizeMiB, spec.core.largeKernelPages);
    this.cores = Array.from({ length: header.cores }, (_, id) => {
      const core = createCore(id, {
        spec: this.spec,
        port: this.memory.port(id),
        pages,
        decoded,
        pageTables,
      });
      this.memory.setTranslator(id, core.translation);
      core.attach(trace.stream(id));
      for (const group of core.groups) this.sheet.add(group);
      return core;
    });
    for (const group of this.memory.counterGroups()) this.sheet.add(group);
    this.addPrefetchers();
    if (options.jukebox !== undefined) this.jukebox = this.addJukebox();
    this.cores[this.functionCore].onSwitch = (container, _task, _asid, now) => {
      if (container === FUNCTION) this.functionScheduled(now);
    };
    this.instructions = this.cores.map(({ id }) => this.sheet.reader(`cpu${id}.numInsts`));
  }

  /** Instructions committed by all cores since the beginning. */
  committedInstructions(): number {
    return this.instructions.reduce((sum, read) => sum + read(), 0);
  }

  /** Throws state away; takes no time, and nothing is written back. */
  flush(what: MachineFlush): void {
    if (what.caches) this.memory.flush({ l1i: true, l1d: true, levels: "all" });
    for (const core of this.cores) core.flush({ tlb: what.tlbs, predictor: what.predictors });
    if (what.predictors) for (const { prefetcher } of this.prefetchers) prefetcher.flush?.();
  }

  /** An invocation begins at cycle `now`, on all cores. */
  beginInvocation(now: number): void {
    this.invocationUnderWay = true;
    this.replayStarted = false;
    const running = this.cores[this.functionCore].container === FUNCTION;
    if (this.spec.jukebox?.start === "invocation" || running) this.functionScheduled(now);
  }

  endInvocation(now: number): void {
    this.jukebox?.endInvocation(FUNCTION, now);
    for (const { core, prefetcher } of this.prefetchers)
      if (core === this.functionCore) prefetcher.endInvocation(FUNCTION, now);
    this.invocationUnderWay = false;
  }

  /** @returns the identities between counters that do not hold, as sentences. */
  checkIdentities(): string[] {
    return [...this.cores.flatMap((core) => core.checkIdentities()), ...this.memory.checkIdentities()];
  }

  private functionScheduled(now: number): void {
    if (!this.invocationUnderWay || this.replayStarted) return;
    this.replayStarted = true;
    this.jukebox?.beginInvocation(FUNCTION, now);
    for (const { core, prefetcher } of this.prefetchers)
      if (core === this.functionCore) prefetcher.beginInvocation(FUNCTION, now);
  }

  /** Those of the description, core by core, and their counters. */
  private addPrefetchers(): void {
    for (const entry of (this.spec.prefetchers ?? []) as ResolvedPrefetcher[]) {
      // A cache that keeps every line has no use for one.
      if (entry.level === "l1i" && this.spec.l1i.infinite) continue;
      for (const { id } of this.cores) {
        if (entry.cores === "function" && id !== this.functionCore) continue;
        const attached = this.memory.attachPrefetcher(id, entry.level, (host) =>
          createPrefetcher(entry, host),
        );
        this.prefetchers.push({ core: id, prefetcher: attached.prefetcher });
        this.sheet.add(prefetcherGroup(attached, entry.level, entry.name));
      }
    }
  }

  private addJukebox(): Jukebox {
    const spec = this.spec.jukebox!;
    let jukebox: Jukebox | undefined;
    const attached = this.memory.attachPrefetcher(this.functionCore, spec.level, (host): Prefetcher => {
      // Just above the machine's memory, where no page of the trace can be.
      jukebox = new Jukebox(spec, host, this.spec.memory.sizeMiB * LINES_PER_MIB);
      return jukebox;
    });
    this.sheet.add(jukebox!.group);
    // Alone, its counters are its cache's.
    if (this.spec.prefetchers !== undefined) this.sheet.add(prefetcherGroup(attached, spec.level, "jukebox"));
    return jukebox!;
  }
}

function checkFit(spec: MachineSpec, trace: Trace): void {
  const frames = spec.memory.sizeMiB * 256;
  const { ppn, io, count } = trace.pages;
  for (let page = 0; page < count; page++) {
    if (io[page] === 0 && ppn[page] >= frames) {
      throw new InputError(
        `${trace.path}: uses physical address ${(ppn[page] * 4096).toString(16)} hex, machine ${spec.name} has memory.sizeMiB = ${spec.memory.sizeMiB}`,
      );
    }
  }
}
