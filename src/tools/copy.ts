import {
  type CoreStream,
  EventKind,
  type PageDef,
  type SlotDef,
  type SlotKind,
  SlotKind as Slots,
  type Trace,
  type TraceSink,
} from "../loader/index.js";

/** What a core was doing at some point of its stream. */
export interface CoreState {
  /** Operands of the last Switch, if there was one. */
  task: readonly [task: number, container: number, asid: number] | undefined;
  phase: number | undefined;
  idle: boolean;
}

/** Copies blocks and pages of one trace into another, those that are used only. */
export class DictionaryCopier {
  private readonly pages: Int32Array;
  private readonly blocks: Int32Array;
  /** Address spaces of the pages that were copied. */
  readonly spaces = new Set<number>();

  constructor(
    private readonly trace: Trace,
    private readonly sink: TraceSink,
  ) {
    this.pages = new Int32Array(trace.pages.count).fill(-1);
    this.blocks = new Int32Array(trace.blocks.count).fill(-1);
  }

  page(id: number): number {
    const known = this.pages[id];
    if (known >= 0) return known;
    const { asid, vpn, ppn, io } = this.trace.pages;
    const def: PageDef = { asid: asid[id], vpn: vpn[id], ppn: ppn[id], io: io[id] === 1 };
    this.spaces.add(def.asid);
    this.pages[id] = this.sink.page(def);
    return this.pages[id];
  }

  address(address: number): number {
    return (this.page(address >>> 12) << 12) | (address & 4095);
  }

  block(id: number): number {
    const known = this.blocks[id];
    if (known >= 0) return known;
    const { page, offset, page2, instrStart, byteStart, bytes, slotStart } = this.trace.blocks;
    const { slotInstr, slotKind, slotSize, slotFlags } = this.trace.blocks;
    const first = instrStart[id];
    const end = instrStart[id + 1];
    const lengths = new Uint8Array(end - first);
    for (let i = first; i < end; i++) lengths[i - first] = byteStart[i + 1] - byteStart[i];
    const slots: SlotDef[] = [];
    for (let slot = slotStart[id]; slot < slotStart[id + 1]; slot++) {
      slots.push({
        instr: slotInstr[slot],
        kind: slotKind[slot] as SlotKind,
        size: slotSize[slot],
        flags: slotFlags[slot],
      });
    }
    this.blocks[id] = this.sink.block({
      page: this.page(page[id]),
      offset: offset[id],
      page2: page2[id] < 0 ? -1 : this.page(page2[id]),
      lengths,
      bytes: bytes.slice(byteStart[first], byteStart[end]),
      slots,
    });
    return this.blocks[id];
  }
}

/** What of a stream is copied, and how. */
export interface CopyPlan {
  /**
   * Whether an event is copied, and as what; called for all events in order, `state` being that before it.
   * Undefined: left out.
   */
  event(
    kind: EventKind,
    a: number,
    b: number,
    c: number,
    position: number,
    state: CoreState,
  ): readonly [kind: EventKind, a: number, b: number, c: number] | undefined;
  /** Whether the block execution at a position is copied. */
  copies(position: number): boolean;
  /** Called before the first execution that is copied. */
  begin?(state: CoreState, block: number): void;
  /** Position from which on nothing more can be copied. */
  readonly end: number;
}

/** Goes through one core's stream from its start. @returns its state at the end of what was copied */
export function copyStream(
  trace: Trace,
  core: number,
  sink: TraceSink,
  dictionary: DictionaryCopier,
  plan: CopyPlan,
  progress: (position: number) => void,
): CoreState {
  const stream = trace.stream(core);
  const state: CoreState = { task: undefined, phase: undefined, idle: false };
  const values = new AddressCopier(trace, dictionary);
  let begun = false;
  while (stream.next()) {
    values.start(stream);
    let event = 0;
    for (let i = 0; i <= stream.blockCount; i++) {
      const position = stream.position + i;
      for (; event < stream.eventCount && stream.eventAt[event] === i; event++) {
        const kind = stream.eventKind[event] as EventKind;
        const a = stream.eventA[event];
        const b = stream.eventB[event];
        const c = stream.eventC[event];
        const as = plan.event(kind, a, b, c, position, state);
        if (as !== undefined) sink.event(core, ...as);
        follow(state, kind, a, b, c);
      }
      if (i === stream.blockCount || position >= plan.end) break;
      const block = stream.blocks[i];
      const copies = plan.copies(position);
      const count = values.next(block, copies);
      if (!copies) continue;
      if (!begun) plan.begin?.(state, block);
      begun = true;
      sink.exec(core, dictionary.block(block), values.values, count);
    }
    progress(stream.position + stream.blockCount);
    if (stream.position + stream.blockCount > plan.end) break;
  }
  return state;
}

function follow(state: CoreState, kind: EventKind, a: number, b: number, c: number): void {
  if (kind === EventKind.Switch) state.task = [a, b, c];
  else if (kind === EventKind.Phase) state.phase = a;
  else if (kind === EventKind.IdleBegin) state.idle = true;
  else if (kind === EventKind.IdleEnd) state.idle = false;
}

/** Translates the addresses of a batch. */
class AddressCopier {
  values = new Int32Array(64);
  private stream: CoreStream | undefined;
  private at = 0;

  constructor(
    private readonly trace: Trace,
    private readonly dictionary: DictionaryCopier,
  ) {}

  start(stream: CoreStream): void {
    this.stream = stream;
    this.at = 0;
  }

  /** Takes the addresses of the next execution. @returns how many numbers stand in `values` */
  next(block: number, copies: boolean): number {
    const { slotStart, slotKind } = this.trace.blocks;
    const addresses = (this.stream as CoreStream).addresses;
    const from = this.at;
    for (let slot = slotStart[block]; slot < slotStart[block + 1]; slot++) {
      if (slotKind[slot] < Slots.RepLoad) this.at++;
      else this.at += 1 + addresses[this.at] * (slotKind[slot] >= Slots.RepMove ? 3 : 2);
    }
    const count = this.at - from;
    if (!copies) return count;
    if (this.values.length < count) this.values = new Int32Array(count * 2);
    const { values, dictionary } = this;
    let at = 0;
    for (let slot = slotStart[block]; slot < slotStart[block + 1]; slot++) {
      if (slotKind[slot] < Slots.RepLoad) {
        values[at] = dictionary.address(addresses[from + at]);
        at++;
        continue;
      }
      const operands = slotKind[slot] >= Slots.RepMove ? 2 : 1;
      let left = addresses[from + at];
      values[at++] = left;
      for (; left > 0; left--) {
        values[at] = addresses[from + at];
        at++;
        for (let o = 0; o < operands; o++, at++) values[at] = dictionary.address(addresses[from + at]);
      }
    }
    return count;
  }
}

/** The symbols of a trace that some of its address spaces need; the kernel's always. */
export function symbolsOf(trace: Trace, spaces: ReadonlySet<number>) {
  const { objects, symbols } = trace.symbols();
  return { objects, symbols: symbols.filter(({ asid }) => asid === 0 || spaces.has(asid)) };
}
