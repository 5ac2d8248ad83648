import { EventKind, type TraceSink } from "../loader/contract.js";
import { CoreConverter, type Shared } from "./core-converter.js";
import type { KernelEntry } from "./kernel-entries.js";
import { AddressSpaces, APIC_PPN, FirstTouchPages, PageMap } from "./pages.js";
import type { PhaseFinder } from "./phases.js";
import { Marker, RAW_LAST_INSN, type RawBlock, type RawHandler, type RawTask } from "./raw.js";
import { StaticBlock } from "./static-block.js";
import type { ExecutedRange } from "./symbols.js";

export interface ConvertOptions {
  cores: number;
  /** Guest nanoseconds that an instruction takes in the emulator. */
  nsPerInstruction: number;
  memoryMiB: number;
  /** Kernel addresses that the processor enters by itself; see kernelEntries(). */
  entries: ReadonlyMap<number, KernelEntry>;
  /** Physical pages by pageKey, as `prescan` found them. */
  pages: ReadonlyMap<number, number>;
  /** The recording is of a program without a kernel: physical pages are given out as they are touched. */
  firstTouch?: boolean;
  /** The recording begins before the function starts: marks its phases. */
  phases?: PhaseFinder;
  /** Container id of a process; see EventKind.Switch. */
  containerOf(tgid: number): number;
}

/** What the conversion found; all that is not a plain count ought to be 0. */
export interface ConvertReport {
  instructions: number[];
  blockExecutions: number[];
  /** Instructions that the emulator began and that faulted: not in the trace. */
  faulted: number;
  interrupts: number;
  /** Interrupts and faults whose own accesses (gate, descriptor, stack) the emulator reported; left out. */
  deliveries: number;
  switches: number;
  /** Repeated string instructions, and their iterations. */
  repeats: number;
  iterations: number;
  accesses: number;
  invocations: number;
  /** Times that all cores were idle at once: the guest's clock then jumps to its next timer, and the idle
   * durations do not have that jump in them. */
  allIdle: number;
  /** Successors that neither the instruction nor an interrupt or fault explains. */
  unexplained: number;
  unexplainedExamples: string[];
  /** Beginnings and ends of the handlers of signals, of a program alone. */
  signals: number;
  /** Counts of executed instructions that are more than the block has. */
  overrun: number;
  /** Second halves of page-straddling accesses whose physical page had to be guessed. */
  guessedPages: number;
  misplacedPages: number;
  /** Accesses to pages that the recorder never said the place of. */
  unmapped: number;
}

/**
 * Turns the recorder's records into a trace. Use as the handler of readRaw, then call `finish`.
 * One pass; memory is that of the dictionaries.
 */
export class Converter implements RawHandler {
  readonly report: ConvertReport;
  readonly tasks = new Map<number, string>();
  private readonly pages: PageMap;
  private readonly cores: CoreConverter[];
  private readonly shared: Shared;
  private readonly blocks: (RawBlock | StaticBlock | undefined)[] = [];
  private readonly distinct = new Map<string, StaticBlock>();
  private readonly spaces = new AddressSpaces();
  /** Process of each address space, by asid. */
  readonly processes = new Map<number, number>();
  private current: CoreConverter;
  /** Core whose last execution the next record's instruction count is of. */
  private last: CoreConverter | undefined;
  private invocation = -1;
  /** Process of each core. */
  private readonly running: number[] = [];
  private readonly phases: PhaseFinder | undefined;
  private ended = false;

  constructor(
    private readonly sink: TraceSink,
    private readonly options: ConvertOptions,
  ) {
    this.report = emptyReport(options.cores);
    this.phases = options.phases;
    const memoryPages = options.memoryMiB * 256;
    this.pages = options.firstTouch
      ? new FirstTouchPages(sink, memoryPages)
      : new PageMap(sink, memoryPages, options.pages);
    this.shared = {
      now: 0,
      interrupts: 0,
      cores: [],
      sink,
      pages: this.pages,
      entries: options.entries,
      alone: options.firstTouch ?? false,
      report: this.report,
    };
    this.cores = Array.from({ length: options.cores }, (_, core) => new CoreConverter(core, this.shared));
    this.shared.cores.push(...this.cores);
    this.current = this.cores[0];
  }

  block(block: RawBlock): void {
    this.blocks[block.id] = block;
  }

  exec(vcpu: number, block: number, doneBefore: number): void {
    this.countLast(doneBefore);
    const core = this.core(vcpu);
    const next = this.staticBlock(block);
    if (this.phases !== undefined)
      this.beginPhase(this.phases.executed(next.raw.address, this.running[vcpu] ?? 0));
    core.begin(next);
    this.last = core;
  }

  mem(index: number, store: boolean, size: number, vpn: number, offset: number): void {
    // A program alone has no devices: what belongs to no instruction is how the emulator prepares a signal's handler.
    if (index === RAW_LAST_INSN && this.options.firstTouch) return;
    this.current.access(index, store, size, vpn, offset);
  }

  map(vcpu: number, vpn: number, ppn: number, io: boolean): void {
    const core = this.core(vcpu);
    const id = this.pages.map(core.asid, vpn, ppn, io);
    if (io && ppn === APIC_PPN) for (const each of this.cores) each.apicPage = id;
  }

  switch(vcpu: number, task: RawTask): void {
    const core = this.core(vcpu);
    let asid = 0;
    if (task.mm !== 0) {
      asid = this.spaces.of(task.mm);
      // Who shares it for a moment (vfork) is followed by whose it is.
      this.processes.set(asid, task.tgid);
      core.enter(asid);
    }
    this.running[vcpu] = task.tgid;
    // Each core has an idle task of its own, and all have pid 0.
    const id = task.pid;
    this.tasks.set(id, task.comm);
    core.queue(EventKind.Switch, id, task.pid === 0 ? 0 : this.options.containerOf(task.tgid), asid);
    this.report.switches++;
    if (task.mm !== 0 && this.phases !== undefined) this.beginPhase(this.phases.switched(task.tgid, asid));
  }

  mark(vcpu: number, operation: number): void {
    if (operation === Marker.Start) this.beginPhase(this.phases?.start() ?? -1);
    if (operation === Marker.Named) this.beginPhase(this.phases?.named(this.running[vcpu] ?? 0) ?? -1);
    if (operation !== Marker.Begin && operation !== Marker.End) return;
    if (operation === Marker.Begin) this.invocation++;
    const kind = operation === Marker.Begin ? EventKind.WorkBegin : EventKind.WorkEnd;
    this.core(vcpu);
    for (const core of this.cores) core.queue(kind, this.invocation, 0, 0);
    this.report.invocations = this.invocation + 1;
  }

  core(vcpu: number): CoreConverter {
    const core = this.cores[vcpu];
    if (core === undefined) throw new Error(`the recorder's file names core ${vcpu} of ${this.cores.length}`);
    this.current = core;
    return core;
  }

  /** The recording came to its end. */
  get hasEnded(): boolean {
    return this.ended;
  }

  end(doneBefore: number): void {
    this.countLast(doneBefore);
    this.ended = true;
  }

  /** Writes what is held back. Throws Error when the recording did not come to its end. */
  finish(): ConvertReport {
    if (!this.ended)
      throw new Error(
        "the recorder's file has no end: the emulator was stopped before the client had finished",
      );
    for (const core of this.cores) core.finish();
    const { report } = this;
    report.guessedPages = this.pages.guessed;
    report.misplacedPages = this.pages.misplaced;
    report.blockExecutions = this.cores.map((core) => this.sink.position(core.core));
    return report;
  }

  /** Where code was executed: the first address of each block, by address space. */
  *executed(): Iterable<ExecutedRange> {
    for (const block of this.distinct.values()) {
      for (let asid = 0; asid < block.placed.length; asid++) {
        if (block.placed[asid] !== undefined) yield { asid, address: block.raw.address };
      }
    }
  }

  private beginPhase(phase: number): void {
    if (phase < 0) return;
    for (const core of this.cores) core.queue(EventKind.Phase, phase, 0, 0);
  }

  private countLast(done: number): void {
    if (this.last === undefined) return;
    this.shared.now += done * this.options.nsPerInstruction;
    this.last.leave(done);
    this.last = undefined;
  }

  private staticBlock(id: number): StaticBlock {
    const known = this.blocks[id];
    if (known instanceof StaticBlock) return known;
    if (known === undefined)
      throw new Error(`the recorder's file executes block ${id}, which it never described`);
    // The code is touched before what it accesses.
    if (this.options.firstTouch) this.pages.id(this.current.asid, Math.floor(known.address / 4096));
    const key = `${known.address},${known.ppn},${known.ppn2},${Buffer.from(known.lengths).toString("latin1")},${Buffer.from(known.bytes).toString("latin1")}`;
    let block = this.distinct.get(key);
    if (block === undefined) {
      block = new StaticBlock(known);
      this.distinct.set(key, block);
    }
    this.blocks[id] = block;
    return block;
  }
}

function emptyReport(cores: number): ConvertReport {
  return {
    instructions: new Array(cores).fill(0),
    blockExecutions: new Array(cores).fill(0),
    faulted: 0,
    interrupts: 0,
    deliveries: 0,
    switches: 0,
    repeats: 0,
    iterations: 0,
    accesses: 0,
    invocations: 0,
    allIdle: 0,
    unexplained: 0,
    unexplainedExamples: [],
    signals: 0,
    overrun: 0,
    guessedPages: 0,
    misplacedPages: 0,
    unmapped: 0,
  };
}
