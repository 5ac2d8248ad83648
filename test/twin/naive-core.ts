import { NOT_NOW } from "../../src/cache/contract.js";
import { EventKind, type PageTable } from "../../src/loader/contract.js";
import type { DecodedTable } from "../../src/loader/decode/rows.js";
import type { MachineSpec } from "../../src/machine/spec.js";
import type { Tally } from "../cache/naive-parts.js";
import type { NaiveSystem } from "../cache/naive-system.js";
import { type NaiveUnit, naiveUnit } from "../core/naive-branch.js";
import type { Clockwork, Process } from "./clockwork.js";
import { NaiveControl, type Step } from "./control.js";
import { NaiveSlots } from "./slots.js";
import type { StreamEvent, Stretch } from "./stretches.js";
import { type KnownPages, type MappedPage, NaiveTlb, NaiveWalker } from "./translation.js";

/** What the machine gives a core. */
export interface NaiveParts {
  spec: MachineSpec;
  memory: NaiveSystem;
  tally: Tally;
  clockwork: Clockwork;
  pages: PageTable;
  decoded: DecodedTable;
  /** By page. */
  pageTables: MappedPage[];
  known: KnownPages;
  /** A container goes on running on the core, at the cycle of its last commit. */
  switched: (core: NaiveCore, container: number) => void;
  /** An event that the system handles: waits for it. */
  event: (core: NaiveCore, event: StreamEvent) => Process;
}

/** One access that was answered. */
export interface Answer {
  /** When it went, and when its data is there. */
  at: number;
  done: number;
  servedBy: number;
  device: boolean;
}

export type AccessKind = "fetch" | "load" | "store";

/** What both models share: the stream's stretches, translation, accesses, counts of what is committed. */
export abstract class NaiveCore {
  readonly slots: NaiveSlots;
  readonly itlb: NaiveTlb;
  readonly dtlb: NaiveTlb;
  private readonly walker: NaiveWalker;
  unit: NaiveUnit | undefined;
  readonly path: string;
  ended = false;
  container = 0;
  /** By position: cycle by which all block executions before were committed. */
  readonly reached = new Map<number, number>();
  protected readonly control: NaiveControl;

  constructor(
    readonly id: number,
    protected readonly parts: NaiveParts,
    slotsPerCycle: number,
  ) {
    const { spec, tally, decoded } = parts;
    this.path = `cpu${id}`;
    this.slots = new NaiveSlots(slotsPerCycle, tally, this.path);
    this.itlb = new NaiveTlb(spec.core.itlb);
    this.dtlb = new NaiveTlb(spec.core.dtlb);
    this.walker = new NaiveWalker(spec.core, (name) => this.count(`mmu.${name}`));
    this.unit = naiveUnit(spec.core.branchPredictor);
    this.control = new NaiveControl(decoded, this.unit, tally, this.path);
  }

  /** The whole stream. */
  *run(stretches: Stretch[]): Process {
    for (const stretch of stretches) {
      yield* this.stretch(this.control.steps(stretch), stretch);
      if (stretch.barrier === undefined) break;
      yield* this.parts.event(this, stretch.barrier);
    }
    this.ended = true;
  }

  /** Executes block executions up to the next event; then all is committed and all stores have left. */
  protected abstract stretch(steps: Step[], stretch: Stretch): Process;

  flush(tlb: boolean, predictor: boolean): void {
    if (tlb) for (const part of [this.itlb, this.dtlb, this.walker]) part.flush();
    if (predictor) this.unit?.flush();
  }

  /** Counters that follow from others, or from where the core is. */
  settled(): [string, number][] {
    return this.slots.settled();
  }

  protected count(name: string, by = 1): void {
    this.parts.tally.add(`${this.path}.${name}`, by);
  }

  protected reach(position: number): void {
    if (!this.reached.has(position)) this.reached.set(position, this.slots.cycle);
  }

  protected countBlock({ block }: Step): void {
    this.count("numBlocks");
    this.count("numInsts", block.instructions.length);
    if (block.kernel) this.count("kernelInsts", block.instructions.length);
    this.count("numLoads", block.loads);
    this.count("numStores", block.stores);
  }

  /** Is the page translated? Then it is the most recently used. */
  protected translated(which: "itlb" | "dtlb", page: number): boolean {
    const mapped = this.parts.pageTables[page];
    if (this[which].lookup(mapped)) return true;
    if (this.parts.spec.core.walker !== "none") return false;
    this.count(`${which}.misses`);
    this[which].fill(mapped);
    return true;
  }

  /** A page that its TLB does not hold, from cycle `at` on. @returns when it is translated. */
  protected *walk(which: "itlb" | "dtlb", page: number, at: number): Process<number> {
    const { memory, pageTables } = this.parts;
    const mapped = pageTables[page];
    this.count(`${which}.misses`);
    let now = at;
    yield { turn: () => now };
    const { latency, reads } = this.walker.begin(mapped);
    now += latency;
    for (const read of reads) {
      yield { turn: () => now };
      now = memory.walk(this.id, read.line, now);
      this.walker.read(mapped, read);
    }
    this.parts.known.translated(page);
    this[which].fill(mapped);
    this.count(`${which}.walkCycles`, now - at);
    return now;
  }

  /** What a prefetcher asks, and has at once: a page's translation by the I-TLB and the walker. */
  translateFor(asid: number, vpn: number, now: number): { page: number; at: number } {
    const { memory, pageTables, known } = this.parts;
    const page = known.find(asid, vpn);
    if (page === undefined) return { page: -1, at: now };
    const mapped = pageTables[page];
    if (this.itlb.lookup(mapped)) return { page, at: now };
    const { latency, reads } = this.walker.begin(mapped);
    let at = now + latency;
    for (const read of reads) {
      at = memory.walk(this.id, read.line, at);
      this.walker.read(mapped, read);
    }
    known.translated(page);
    this.itlb.fill(mapped);
    this.count("itlb.prefetchWalks");
    return { page, at };
  }

  /** Events in passing: which container runs is all that matters. */
  protected pass(events: StreamEvent[]): void {
    for (const { kind, b } of events) {
      if (kind !== EventKind.Switch) continue;
      this.container = b;
      this.parts.switched(this, b);
    }
  }

  /** One access, when its turn at `at()` has come and the memory system takes it. */
  protected *access(
    kind: AccessKind,
    page: number,
    offset: number,
    pc: number,
    at: () => number,
  ): Process<Answer> {
    const { memory, pages } = this.parts;
    const inPage = Math.floor(offset / 64);
    const line = pages.ppn[page] * 64 + inPage;
    const virtualLine = page * 64 + inPage;
    const device = pages.io[page] !== 0;
    let notBefore = 0;
    for (;;) {
      yield { turn: () => Math.max(at(), notBefore) };
      const now = Math.max(at(), notBefore);
      const done = device
        ? memory.uncached(this.id, line, kind === "store", now)
        : memory[kind](this.id, line, virtualLine, now, pc);
      if (done !== NOT_NOW) {
        if (device) this.count("uncachedAccesses");
        return { at: now, done, servedBy: memory.servedBy, device };
      }
      notBefore = memory.retryAt;
    }
  }
}
