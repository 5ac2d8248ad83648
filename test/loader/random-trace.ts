import {
  type BlockDef,
  createTraceWriter,
  EventKind,
  type ObjectDef,
  type OpenTrace,
  type PageDef,
  SlotFlag,
  SlotKind,
  type SymbolDef,
  type TraceHeaderInput,
  type TraceSink,
} from "../../src/loader/index.js";
import { Random } from "../support/random.js";
import { testHeader } from "../support/trace-builder.js";

export interface PlainEvent {
  position: number;
  kind: number;
  a: number;
  b: number;
  c: number;
}

export interface PlainCore {
  blocks: number[];
  addresses: number[];
  events: PlainEvent[];
  instructions: number;
}

/** A random trace, as it was given to the writer. */
export interface RandomTrace {
  header: TraceHeaderInput;
  pages: PageDef[];
  blocks: BlockDef[];
  cores: PlainCore[];
  objects: ObjectDef[];
  symbols: SymbolDef[];
}

/** Writes a random trace with about `steps` block executions on each of its 1..3 cores. */
export function writeRandomTrace(path: string, seed: number, steps: number): RandomTrace {
  const random = new Random(seed);
  const cores = 1 + random.int(3);
  const invocations = random.int(4);
  const warmInvocations = random.int(invocations + 1);
  const measuredInvocations = invocations - warmInvocations;
  const header = testHeader({ cores, warmInvocations, measuredInvocations });
  const sink = createTraceWriter(path, header, {
    quality: random.int(6),
    chunkInstructions: random.pick([1, 20, 300, 1 << 20]),
  });
  return new Maker(random, sink, header, steps).make();
}

class Maker {
  private readonly trace: RandomTrace;
  private readonly idle: boolean[];
  private readonly everIdle: boolean[];

  constructor(
    private readonly random: Random,
    private readonly sink: TraceSink,
    header: TraceHeaderInput,
    private readonly steps: number,
  ) {
    const cores = Array.from({ length: header.cores }, () => ({
      blocks: [],
      addresses: [],
      events: [],
      instructions: 0,
    }));
    this.trace = { header, pages: [], blocks: [], cores, objects: [], symbols: [] };
    this.idle = cores.map(() => false);
    this.everIdle = cores.map(() => false);
  }

  make(): RandomTrace {
    const { random, trace, sink } = this;
    const { header } = trace;
    const invocations = header.warmInvocations + header.measuredInvocations;
    for (let i = 0; i < 3; i++) this.newPage();
    for (let i = 0; i < 3; i++) this.newBlock();
    for (let invocation = 0; invocation <= invocations; invocation++) {
      this.work(Math.ceil(this.steps / (invocations + 1) / 2));
      if (invocation === invocations) break;
      this.everywhere(EventKind.WorkBegin, invocation);
      this.work(Math.ceil(this.steps / (invocations + 1) / 2));
      this.everywhere(EventKind.WorkEnd, invocation);
    }
    if (random.chance(0.7)) this.symbols();
    sink.close();
    return trace;
  }

  private everywhere(kind: EventKind, invocation: number): void {
    for (let core = 0; core < this.trace.header.cores; core++) this.event(core, kind, invocation, 0, 0);
  }

  private work(steps: number): void {
    const { random, trace } = this;
    for (let i = 0; i < steps * trace.header.cores; i++) {
      const core = random.int(trace.header.cores);
      if (random.chance(0.02)) this.newPage();
      if (random.chance(0.05)) this.newBlock();
      if (random.chance(0.05)) this.randomEvent(core);
      if (!this.idle[core]) this.exec(core);
    }
  }

  private newPage(): void {
    const { random, trace, sink } = this;
    const kernel = random.chance(0.4);
    const vpn = random.int(2 ** 35) + (kernel ? 2 ** 35 : 0);
    const def = {
      asid: kernel ? 0 : 1 + random.int(5),
      vpn,
      ppn: random.int(2 ** 31),
      io: random.chance(0.1),
    };
    const id = sink.page(def);
    if (id !== trace.pages.length) throw new Error("page id");
    trace.pages.push(def);
    if (sink.page({ ...random.pick(trace.pages) }) > id) throw new Error("a page came twice");
  }

  private newBlock(): void {
    const { random, trace, sink } = this;
    const lengths = Uint8Array.from(
      { length: 1 + random.int(random.chance(0.1) ? 100 : 8) },
      () => 1 + random.int(15),
    );
    const total = lengths.reduce((a, b) => a + b, 0);
    const offset = random.chance(0.2) ? 4096 - Math.min(total, 1 + random.int(60)) : random.int(4096);
    const page = random.int(trace.pages.length);
    const page2 = offset + total > 4096 ? random.int(trace.pages.length) : -1;
    const bytes = Uint8Array.from({ length: total }, () => random.int(256));
    const slots: BlockDef["slots"][number][] = [];
    for (let instr = 0; instr < lengths.length; instr++) {
      if (random.chance(0.4)) this.addSlots(slots, instr);
    }
    const def = { page, offset, page2, lengths, bytes, slots };
    const id = sink.block(def);
    if (id !== trace.blocks.length) throw new Error("block id");
    trace.blocks.push(def);
    if (sink.block(random.pick(trace.blocks)) > id) throw new Error("a block came twice");
  }

  private addSlots(slots: BlockDef["slots"][number][], instr: number): void {
    const { random } = this;
    if (random.chance(0.2)) {
      const kind = random.pick([SlotKind.RepLoad, SlotKind.RepStore, SlotKind.RepMove, SlotKind.RepCompare]);
      slots.push({ instr, kind, size: random.pick([1, 2, 4, 8]), flags: 0 });
      return;
    }
    const kind = random.pick([SlotKind.Load, SlotKind.Store]);
    const flags = random.chance(0.1) ? SlotFlag.Locked : 0;
    slots.push({ instr, kind, size: random.pick([1, 2, 4, 8, 16, 255]), flags });
    if (random.chance(0.1))
      slots.push({ instr, kind, size: 1 + random.int(8), flags: flags | SlotFlag.Split });
  }

  private exec(core: number): void {
    const { random, trace, sink } = this;
    const own = trace.cores[core];
    const before = own.blocks.at(-1) ?? 0;
    const block = random.chance(0.6) ? (before + 1) % trace.blocks.length : random.int(trace.blocks.length);
    const values: number[] = [];
    const { slots } = trace.blocks[block];
    slots.forEach((slot, i) => {
      const followed = i + 1 < slots.length && (slots[i + 1].flags & SlotFlag.Split) !== 0;
      if (slot.kind >= SlotKind.RepLoad) this.segments(values, slot.kind, slot.size);
      else if ((slot.flags & SlotFlag.Split) !== 0) values.push(this.address(0));
      else values.push(this.address(followed ? 4096 - slot.size : random.int(4097 - slot.size)));
    });
    const array = new Int32Array(values.length + 2);
    array.set(values);
    if (sink.position(core) !== own.blocks.length) throw new Error("position");
    sink.exec(core, block, array, values.length);
    own.blocks.push(block);
    own.addresses.push(...values);
    own.instructions += trace.blocks[block].lengths.length;
  }

  private segments(values: number[], kind: number, size: number): void {
    const { random } = this;
    const count = random.int(4);
    values.push(count);
    for (let s = 0; s < count; s++) {
      const length = 1 + random.int(Math.floor(4096 / size));
      const down = random.chance(0.3);
      values.push(down ? -length : length);
      for (let o = 0; o < (kind >= SlotKind.RepMove ? 2 : 1); o++) {
        const slack = random.int(4097 - length * size);
        const low = length === 1 ? random.int(4096) : slack;
        values.push(this.address(down && length > 1 ? low + (length - 1) * size : low));
      }
    }
  }

  private address(offset: number): number {
    return (this.random.int(this.trace.pages.length) << 12) | offset;
  }

  private randomEvent(core: number): void {
    const { random, trace } = this;
    if (this.idle[core] || (!this.everIdle[core] && random.chance(0.1))) {
      const others = trace.cores.map((_, i) => i).filter((i) => i !== core);
      const waker = random.chance(0.5) && others.length > 0 ? random.pick(others) : -1;
      const at = waker < 0 ? 0 : random.int(trace.cores[waker].blocks.length + 1);
      this.event(core, EventKind.IdleEnd, waker, at, random.int(2 ** 40));
      this.idle[core] = false;
      this.everIdle[core] = true;
    } else if (random.chance(0.3)) {
      this.event(core, EventKind.IdleBegin, 0, 0, 0);
      this.idle[core] = true;
      this.everIdle[core] = true;
    } else if (random.chance(0.5)) {
      this.event(core, EventKind.Switch, random.int(2 ** 53), random.int(4), random.int(6));
    } else {
      this.event(core, EventKind.Interrupt, random.int(257) - 1, 2 ** 53 - 1, -1);
    }
  }

  private event(core: number, kind: EventKind, a: number, b: number, c: number): void {
    this.sink.event(core, kind, a, b, c);
    const own = this.trace.cores[core];
    own.events.push({ position: own.blocks.length, kind, a, b, c });
  }

  private symbols(): void {
    const { random, trace, sink } = this;
    trace.objects = [
      { path: "kernel", buildId: "" },
      { path: "/usr/bin/größe", buildId: "ab12" },
    ];
    for (let i = random.int(200); i > 0; i--) {
      const address = random.int(2 ** 48);
      trace.symbols.push({
        asid: random.int(4),
        address,
        size: random.int(9999),
        name: `fn_${i}`,
        object: random.int(2),
      });
    }
    sink.symbols(trace.objects, trace.symbols);
  }
}

/** Everything that a stream gives from one position on. */
export function readCore(trace: OpenTrace, core: number, from = 0): PlainCore & { start: number } {
  const stream = trace.stream(core, from);
  const out = {
    blocks: [] as number[],
    addresses: [] as number[],
    events: [] as PlainEvent[],
    instructions: 0,
    start: -1,
  };
  const { instrStart } = trace.blocks;
  while (stream.next()) {
    if (out.start < 0) out.start = stream.position;
    if (stream.position !== out.start + out.blocks.length) throw new Error("position");
    for (let i = 0; i < stream.blockCount; i++) {
      const id = stream.blocks[i];
      out.blocks.push(id);
      out.instructions += instrStart[id + 1] - instrStart[id];
    }
    for (let i = 0; i < stream.addressCount; i++) out.addresses.push(stream.addresses[i]);
    for (let i = 0; i < stream.eventCount; i++) {
      out.events.push({
        position: stream.position + stream.eventAt[i],
        kind: stream.eventKind[i],
        a: stream.eventA[i],
        b: stream.eventB[i],
        c: stream.eventC[i],
      });
    }
  }
  return out;
}

/** The dictionary of an open trace as definitions. */
export function readDictionary({ pages, blocks }: OpenTrace): { pages: PageDef[]; blocks: BlockDef[] } {
  return {
    pages: Array.from({ length: pages.count }, (_, id) => ({
      asid: pages.asid[id],
      vpn: pages.vpn[id],
      ppn: pages.ppn[id],
      io: pages.io[id] === 1,
    })),
    blocks: Array.from({ length: blocks.count }, (_, id) => {
      const [first, end] = [blocks.instrStart[id], blocks.instrStart[id + 1]];
      const slots = [];
      for (let slot = blocks.slotStart[id]; slot < blocks.slotStart[id + 1]; slot++) {
        slots.push({
          instr: blocks.slotInstr[slot],
          kind: blocks.slotKind[slot] as BlockDef["slots"][number]["kind"],
          size: blocks.slotSize[slot],
          flags: blocks.slotFlags[slot],
        });
      }
      return {
        page: blocks.page[id],
        offset: blocks.offset[id],
        page2: blocks.page2[id],
        lengths: Uint8Array.from(
          { length: end - first },
          (_, i) => blocks.byteStart[first + i + 1] - blocks.byteStart[first + i],
        ),
        bytes: blocks.bytes.slice(blocks.byteStart[first], blocks.byteStart[end]),
        slots,
      };
    }),
  };
}
