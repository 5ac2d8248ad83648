import { EventKind, SlotKind, type TraceSink } from "../loader/contract.js";
import { RepRun } from "../loader/rep-run.js";
import { Accesses, slotDef } from "./accesses.js";
import type { ConvertReport } from "./convert.js";
import { EntryKind, type KernelEntry, TIMER_VECTOR } from "./kernel-entries.js";
import type { PageMap } from "./pages.js";
import { type Entry, Flow, type PlacedBlock, type StaticBlock } from "./static-block.js";

/** Offset of the interrupt command register: a store there sends an interrupt to another core. */
const APIC_ICR = 0x300;
const MAX_EXAMPLES = 8;

/** Kind and operands; see EventKind. */
type Event = [EventKind, number, number, number];

/** What the cores of a conversion share. */
export interface Shared {
  /** Guest time in ns, and number of inter-processor interrupts so far. */
  now: number;
  interrupts: number;
  readonly cores: CoreConverter[];
  readonly sink: TraceSink;
  readonly pages: PageMap;
  readonly entries: ReadonlyMap<number, KernelEntry>;
  /** The recording is of a program without a kernel. */
  readonly alone: boolean;
  readonly report: ConvertReport;
}

/**
 * One core's stream. The block under execution is held back until the next one on this core begins:
 * only then is it known how far it got and what came of its last instruction.
 */
export class CoreConverter {
  /** Address space of user addresses; a kernel thread goes on in the one it finds. */
  asid = 0;
  private nextAsid = 0;
  apicPage = -1;

  private block: StaticBlock | undefined;
  /** Instructions of it that were begun, and time and interrupts when it was left. */
  private done = 0;
  private leftAt = 0;
  private leftInterrupts = 0;
  private readonly accesses: Accesses;

  /** A repeated string instruction at the end of an execution: it may go on in the next one. */
  private repBlock: StaticBlock | undefined;
  private repInstructions = 0;
  private repAsid = 0;
  private readonly rep = new RepRun();
  private repAddresses = new Int32Array(1024);

  private readonly events: Event[] = [];
  /** The last switch to a task. */
  private task: Event | undefined;
  private idleSince = -1;
  private idleInterrupts = 0;
  /** Position and number of the last inter-processor interrupt from this core. */
  private sentPosition = -1;
  private sentNumber = 0;

  constructor(
    readonly core: number,
    private readonly shared: Shared,
  ) {
    this.accesses = new Accesses(shared.pages);
  }

  /** An execution of `next` begins. */
  begin(next: StaticBlock): void {
    const { shared } = this;
    const entry = shared.entries.get(next.raw.address);
    this.settle(next.raw.address, entry);
    if (this.idleSince >= 0) this.wake(entry);
    if (entry?.kind === EntryKind.Interrupt) {
      shared.report.interrupts++;
      this.flushRep();
      shared.sink.event(this.core, EventKind.Interrupt, entry.vector, 0, 0);
    }
    this.block = next;
    this.done = 0;
    this.accesses.count = 0;
  }

  /** The execution was left after this many instructions had begun. */
  leave(done: number): void {
    this.done = done;
    this.leftAt = this.shared.now;
    this.leftInterrupts = this.shared.interrupts;
  }

  access(index: number, store: boolean, size: number, vpn: number, offset: number): void {
    if (this.block === undefined) return;
    const { shared } = this;
    const page = shared.pages.id(this.asid, vpn);
    if (page < 0) {
      shared.report.unmapped++;
      return;
    }
    if (page === this.apicPage && store && offset === APIC_ICR) {
      this.sentPosition = shared.sink.position(this.core) + (this.repBlock === undefined ? 1 : 2);
      this.sentNumber = ++shared.interrupts;
    }
    this.accesses.add(index, store, size, vpn, (page << 12) | offset);
  }

  /** User addresses are in another address space from the end of the block under execution on. */
  enter(asid: number): void {
    this.nextAsid = asid;
    if (this.block === undefined) this.asid = asid;
  }

  /** An event that stands after the block under execution. */
  queue(kind: EventKind, a: number, b: number, c: number): void {
    const event: Event = [kind, a, b, c];
    this.events.push(event);
    if (kind === EventKind.Switch) this.task = event;
  }

  finish(): void {
    this.settle(-1, undefined);
    this.flushRep();
    if (this.idleSince >= 0) this.wake(undefined);
  }

  /** Halted, or about to be: the instruction was executed and nothing came after it yet. */
  get isIdle(): boolean {
    if (this.idleSince >= 0) return true;
    const { block, done } = this;
    return block !== undefined && done === block.count && block.flow[done - 1] === Flow.Halt;
  }

  /** Writes the held-back execution, now that its successor is known, and the events that follow it. */
  private settle(next: number, entry: KernelEntry | undefined): void {
    const { block, done } = this;
    const { report, sink } = this.shared;
    let halted = false;
    if (block !== undefined && done > 0) {
      if (done > block.count) report.overrun++;
      const begun = Math.min(done, block.count);
      if (entry !== undefined && this.accesses.dropDelivery()) report.deliveries++;
      this.accesses.settle(begun);
      const signal = this.shared.alone && next >= 0 && this.isSignal(block, begun, next);
      const mayFault = signal || entry?.kind === EntryKind.Fault;
      const kept = mayFault && this.faulted(block, begun) ? begun - 1 : begun;
      report.faulted += begun - kept;
      if (next >= 0 && entry === undefined && !signal) this.checkSuccessor(block, kept, next);
      // That a signal's handler begins or ends is told as a switch from the task to itself.
      if (signal) {
        report.signals++;
        if (this.task !== undefined) this.events.push(this.task);
      }
      this.write(block, kept);
      halted = block.flow[kept - 1] === Flow.Halt;
    }
    this.block = undefined;
    this.asid = this.nextAsid;
    if (this.events.length > 0 || halted) this.flushRep();
    for (const [kind, a, b, c] of this.events) sink.event(this.core, kind, a, b, c);
    this.events.length = 0;
    if (halted) {
      sink.event(this.core, EventKind.IdleBegin, 0, 0, 0);
      this.idleSince = this.leftAt;
      this.idleInterrupts = this.leftInterrupts;
    }
  }

  /** @param entry where the core comes to */
  private wake(entry: KernelEntry | undefined): void {
    const { shared } = this;
    if (shared.cores.every((core) => core === this || core.isIdle)) shared.report.allIdle++;
    let by = -1;
    let position = 0;
    let latest = this.idleInterrupts;
    // Of three cores, the interrupt that another sent need not have been for this one.
    const others = entry?.vector === TIMER_VECTOR ? [] : shared.cores;
    for (const other of others) {
      if (other === this || other.sentNumber <= latest) continue;
      latest = other.sentNumber;
      by = other.core;
      position = other.sentPosition;
    }
    shared.sink.event(
      this.core,
      EventKind.IdleEnd,
      by,
      position,
      Math.max(0, Math.round(shared.now - this.idleSince)),
    );
    this.idleSince = -1;
  }

  /**
   * A fault handler follows: did the last instruction that was begun fault, or was it completed and
   * fetching the next one faulted?
   */
  private faulted(block: StaticBlock, begun: number): boolean {
    const last = begun - 1;
    const expected = block.rep[last] !== 0 ? operands(block.rep[last]) : block.accesses[last];
    if (this.accesses.of(last) < expected) return true;
    if (begun === block.count) return false;
    return block.flow[begun] !== Flow.Invalid;
  }

  /** Of a program alone: the successor is where a signal is handled, or where its handler returns. */
  private isSignal(block: StaticBlock, begun: number, next: number): boolean {
    const last = begun - 1;
    if (block.flow[last] === Flow.SystemCall) return next !== block.starts[begun];
    // Behind a branch that can go anywhere it is told by the handler's frame, which the branch seems to store.
    const anywhere = block.flow[last] === Flow.Anywhere;
    if (!anywhere && canFollow(block, begun, next)) return false;
    const hasFrame = block.rep[last] === 0 && this.accesses.limit(last, block.accesses[last]);
    return !anywhere || hasFrame;
  }

  private checkSuccessor(block: StaticBlock, kept: number, next: number): void {
    if (canFollow(block, kept, next)) return;
    const { report } = this.shared;
    report.unexplained++;
    if (report.unexplainedExamples.length < MAX_EXAMPLES) {
      report.unexplainedExamples.push(
        `core ${this.core}: ${next.toString(16)} after ${kept} of ${block.count} instructions at ${block.raw.address.toString(16)}`,
      );
    }
  }

  private write(block: StaticBlock, kept: number): void {
    const { accesses } = this;
    if (this.repBlock !== undefined) {
      const goesOn =
        block.raw.address === this.repBlock.starts[this.repInstructions - 1] && block.count === 1;
      if (goesOn && this.asid === this.repAsid) {
        if (kept === 1) this.iterate(0);
        return;
      }
      this.flushRep();
    }
    if (kept === 0) return;
    const last = kept - 1;
    if (block.rep[last] === 0) {
      accesses.build(block, kept, this.asid);
      this.emit(block, kept, this.asid, accesses.addresses, accesses.slots);
      return;
    }
    accesses.build(block, last, this.asid);
    this.repBlock = block;
    this.repInstructions = kept;
    this.repAsid = this.asid;
    this.rep.start(block.rep[last], block.element[last]);
    this.iterate(last);
  }

  private iterate(instr: number): void {
    const { accesses } = this;
    if (accesses.of(instr) === 0) return;
    this.rep.add(accesses.nthOf(instr, 0), accesses.nthOf(instr, 1));
  }

  private flushRep(): void {
    const { repBlock: block, rep, accesses } = this;
    if (block === undefined) return;
    this.repBlock = undefined;
    const last = this.repInstructions - 1;
    const plain = accesses.slots;
    const numbers: number[] = [];
    rep.append(numbers);
    const count = plain + numbers.length;
    if (this.repAddresses.length < count) this.repAddresses = new Int32Array(count * 2);
    this.repAddresses.set(accesses.addresses.subarray(0, plain));
    this.repAddresses.set(numbers, plain);
    accesses.pushRep(last, block.rep[last] as SlotKind, block.element[last]);
    this.shared.report.repeats++;
    this.shared.report.iterations += rep.iterations;
    this.emit(block, this.repInstructions, this.repAsid, this.repAddresses, count);
  }

  private emit(
    block: StaticBlock,
    instructions: number,
    asid: number,
    addresses: Int32Array,
    count: number,
  ): void {
    const { report, sink } = this.shared;
    const space = block.kernel ? 0 : asid;
    block.placed[space] ??= this.place(block, space);
    const placed = block.placed[space];
    const entry = this.findEntry(placed, instructions) ?? this.addEntry(block, placed, space, instructions);
    sink.exec(this.core, entry.id, addresses, count);
    report.instructions[this.core] += instructions;
    report.accesses += this.accesses.slots;
  }

  private place(block: StaticBlock, space: number): PlacedBlock {
    const vpn = Math.floor(block.raw.address / 4096);
    return { page: this.shared.pages.code(space, vpn, block.raw.ppn), page2: -1, entries: [] };
  }

  private findEntry(placed: PlacedBlock, instructions: number): Entry | undefined {
    const { slots, signature } = this.accesses;
    const { entries } = placed;
    for (let e = 0; e < entries.length; e++) {
      const entry = entries[e];
      if (entry.instructions !== instructions || entry.signature.length !== slots) continue;
      let i = 0;
      while (i < slots && entry.signature[i] === signature[i]) i++;
      if (i === slots) return entry;
    }
    return undefined;
  }

  private addEntry(block: StaticBlock, placed: PlacedBlock, space: number, instructions: number): Entry {
    const { pages, sink } = this.shared;
    const offset = block.raw.address % 4096;
    const size = block.starts[instructions] - block.raw.address;
    let page2 = -1;
    if (offset + size > 4096) {
      const vpn = Math.floor(block.raw.address / 4096);
      if (placed.page2 < 0) placed.page2 = pages.code(space, vpn + 1, block.raw.ppn2);
      page2 = placed.page2;
    }
    const signature = this.accesses.signature.slice(0, this.accesses.slots);
    const id = sink.block({
      page: placed.page,
      offset,
      page2,
      lengths: block.raw.lengths.subarray(0, instructions),
      bytes: block.raw.bytes.subarray(0, size),
      slots: Array.from(signature, slotDef),
    });
    const entry = { instructions, signature, id };
    placed.entries.push(entry);
    return entry;
  }
}

/** Whether code at `next` can follow the first instructions of a block, as its last one says. */
function canFollow(block: StaticBlock, kept: number, next: number): boolean {
  const last = kept - 1;
  const flow = block.flow[last];
  if (flow === Flow.Anywhere || flow === Flow.SystemCall || flow === Flow.Halt) return true;
  if (next === block.starts[kept] && flow !== Flow.Jump) return true;
  if (next === block.target[last] && (flow === Flow.Jump || flow === Flow.Conditional)) return true;
  return next === block.starts[last] && block.rep[last] !== 0;
}

function operands(kind: number): number {
  return kind >= SlotKind.RepMove ? 2 : 1;
}
