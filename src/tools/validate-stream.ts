import { type CoreStream, EventKind, SlotKind, type Trace } from "../loader/index.js";
import type { Check } from "./check.js";
import { hexAddress, type StaticCode } from "./code.js";
import { betweenBit, type ControlFlow, TRANSITION_NAMES, Transition } from "./control-flow.js";
import type { Symbolizer } from "./symbolizer.js";

/** Wake-up by another core: this one's position, the other core and how far it had got. */
export interface WakeUp {
  position: number;
  by: number;
  reached: number;
}

/** Checks that the streams of all cores share. */
export interface StreamChecks {
  flow: Check;
  pages: Check;
  spaces: Check;
  privilege: Check;
  counts: Check;
  accesses: Check;
  /** See StaticChecks. */
  delivers: Uint8Array;
  synthesised: boolean;
}

/** Goes through one core's stream. */
export class StreamValidator {
  readonly transitions = new Float64Array(TRANSITION_NAMES.length);
  readonly events = new Float64Array(8);
  readonly wakeUps: WakeUp[] = [];
  executions = 0;
  instructions = 0;
  kernelInstructions = 0;
  /** Interrupts and exceptions whose own accesses the block before has. */
  deliveries = 0;

  private before = -1;
  private between = 0;
  /** Address space of user addresses, or -1 before it is known. */
  private asid = -1;
  private workBegan = 0;
  private at = 0;

  constructor(
    private readonly trace: Trace,
    private readonly core: number,
    private readonly code: StaticCode,
    private readonly flow: ControlFlow,
    private readonly symbols: Symbolizer,
    private readonly checks: StreamChecks,
  ) {}

  /** Reads the stream. Throws TraceError at damage; what was found before it stands. */
  run(progress: (instructions: number) => void): void {
    const stream = this.trace.stream(this.core);
    while (stream.next()) {
      this.at = 0;
      let done = 0;
      for (let e = 0; e < stream.eventCount; e++) {
        this.executed(stream, done, stream.eventAt[e]);
        done = stream.eventAt[e];
        this.event(stream.eventKind[e], stream.eventA[e], stream.eventB[e], stream.eventC[e]);
      }
      this.executed(stream, done, stream.blockCount);
      progress(this.instructions);
    }
    this.compareCounts();
  }

  private compareCounts(): void {
    const { counts } = this.checks;
    const { blockExecutions, instructions, wakePositions } = this.trace.cores[this.core];
    this.same(counts, "block executions", this.executions, blockExecutions);
    this.same(counts, "instructions", this.instructions, instructions);
    for (let i = 0; i < wakePositions.length; i++) {
      counts.tested++;
      if (i > 0 && wakePositions[i] <= wakePositions[i - 1])
        counts.fail(() => `core ${this.core}: wake positions are not ascending at ${wakePositions[i]}`);
    }
  }

  private same(check: Check, what: string, found: number, said: number): void {
    check.tested++;
    if (found !== said)
      check.fail(() => `core ${this.core}: ${found} ${what} in the stream, ${said} in the index`);
  }

  private event(kind: number, a: number, b: number, c: number): void {
    this.events[kind]++;
    this.between |= betweenBit(kind);
    if (kind === EventKind.Switch && c > 0) this.asid = c;
    else if (kind === EventKind.IdleEnd && a >= 0)
      this.wakeUps.push({ position: this.executions, by: a, reached: b });
    else if (kind === EventKind.WorkBegin) {
      this.workBegan = this.instructions;
      this.same(
        this.checks.counts,
        `executions before invocation ${a}`,
        this.executions,
        this.trace.cores[this.core].invocations[a]?.begin,
      );
    } else if (kind === EventKind.WorkEnd) {
      const span = this.trace.cores[this.core].invocations[a];
      this.same(
        this.checks.counts,
        `instructions of invocation ${a}`,
        this.instructions - this.workBegan,
        span?.instructions,
      );
      this.same(
        this.checks.counts,
        `executions before the end of invocation ${a}`,
        this.executions,
        span?.end,
      );
    }
  }

  private executed(stream: CoreStream, from: number, to: number): void {
    const { flow, checks, transitions } = this;
    const { instrStart, page } = this.code.blocks;
    const { kernel, asid } = this.code.pages;
    const { blocks } = stream;
    for (let i = from; i < to; i++) {
      const block = blocks[i];
      if (this.before >= 0) {
        const why = flow.explain(this.before, block, this.between);
        transitions[why]++;
        checks.flow.tested++;
        if (why === Transition.Unexplained) this.unexplained(this.before, block);
        if (checks.delivers[this.before] === 1) this.delivered(why, this.before);
        if (why <= Transition.Call) {
          checks.pages.tested++;
          if (!flow.keepsPage(this.before, block, why)) this.movedPage(this.before, block);
        }
      }
      this.between = 0;
      this.before = block;
      const count = instrStart[block + 1] - instrStart[block];
      this.instructions += count;
      if (kernel[page[block]] === 1) this.kernelInstructions += count;
      else this.inSpace(asid[page[block]], block);
      this.touch(stream, block);
      this.executions++;
    }
  }

  private inSpace(space: number, block: number): void {
    const { spaces } = this.checks;
    spaces.tested++;
    if (this.asid < 0) this.asid = space;
    if (space === this.asid) return;
    const current = this.asid;
    spaces.fail(
      () =>
        `${this.here()}: code at ${hexAddress(this.flow.start[block])} is of address space ${space}, the core is in ${current}`,
    );
    this.asid = space;
  }

  private touch(stream: CoreStream, block: number): void {
    const { slotStart, slotKind } = this.code.blocks;
    const { addresses } = stream;
    const end = slotStart[block + 1];
    for (let slot = slotStart[block]; slot < end; slot++) {
      const kind = slotKind[slot];
      if (kind < SlotKind.RepLoad) {
        this.page(addresses[this.at++] >>> 12, block, slot);
        continue;
      }
      const operands = kind >= SlotKind.RepMove ? 2 : 1;
      for (let left = addresses[this.at++]; left > 0; left--) {
        this.at++;
        for (let o = 0; o < operands; o++) this.page(addresses[this.at++] >>> 12, block, slot);
      }
    }
  }

  private page(page: number, block: number, slot: number): void {
    const { pages } = this.code;
    const { spaces, privilege } = this.checks;
    if (pages.kernel[page] === 0) {
      spaces.tested++;
      if (pages.asid[page] === this.asid || this.asid < 0) return;
      const current = this.asid;
      spaces.fail(
        () =>
          `${this.here()}: ${this.instructionOf(block, slot)} accesses page ${pages.vpn[page].toString(16)} of address space ${pages.asid[page]}, the core is in ${current}`,
      );
      return;
    }
    if (pages.kernel[this.code.blocks.page[block]] === 1 || this.checks.synthesised) return;
    privilege.tested++;
    const i = this.code.blocks.instrStart[block] + this.code.blocks.slotInstr[slot];
    if (this.checks.delivers[block] === 1 && i + 1 === this.code.blocks.instrStart[block + 1]) return;
    // Loading a segment register or its limit reads the kernel's descriptor tables.
    if (this.code.facts(i).access.anyLoads) return;
    privilege.fail(
      () => `${this.here()}: user code, ${this.instructionOf(block, slot)}, accesses a page of the kernel`,
    );
  }

  /** After a block that has an interrupt's own accesses, an interrupt must come. */
  private delivered(why: Transition, block: number): void {
    this.deliveries++;
    if (why === Transition.Interrupt || why === Transition.Exception || why === Transition.SoftwareInterrupt)
      return;
    this.checks.accesses.fail(
      () => `${this.here()}: block ${block} has the accesses of an interrupt's delivery, but none follows`,
    );
  }

  private unexplained(before: number, next: number): void {
    const { code, flow } = this;
    this.checks.flow.fail(() => {
      const i = code.blocks.instrStart[before + 1] - 1;
      const from = `${this.place(before, code.instructionAddress(before, i))} ${code.text(before, i)}`;
      const to = `${this.place(next, flow.start[next])} ${code.text(next, code.blocks.instrStart[next])}`;
      return `${this.here()}: after ${from} comes ${to}`;
    });
  }

  private movedPage(before: number, next: number): void {
    const { blocks, pages } = this.code;
    this.checks.pages.fail(() => {
      const physical = (page: number) => pages.ppn[page].toString(16);
      const last = blocks.page2[before] >= 0 ? blocks.page2[before] : blocks.page[before];
      return `${this.here()}: code goes on at ${hexAddress(this.flow.start[next])}, from physical page ${physical(last)} to ${physical(blocks.page[next])}`;
    });
  }

  private instructionOf(block: number, slot: number): string {
    const i = this.code.blocks.instrStart[block] + this.code.blocks.slotInstr[slot];
    return `${hexAddress(this.code.instructionAddress(block, i))} ${this.code.text(block, i)}`;
  }

  private place(block: number, address: number): string {
    const { pages, blocks } = this.code;
    const name = this.symbols.text(pages.asid[blocks.page[block]], address);
    return name === "" ? hexAddress(address) : `${hexAddress(address)} <${name}>`;
  }

  private here(): string {
    return `core ${this.core}, position ${this.executions}`;
  }
}
