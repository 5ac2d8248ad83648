/**
 * Writes a long trace shaped like real code, for measuring: some 20 000 blocks of 5 instructions on average in
 * functions that call each other, loops and branches with a bias, 0.4 accesses an instruction (stack, the
 * object at hand, tables), a function's hot part run again and again. The same seed gives the same file.
 */
import {
  createTraceWriter,
  SlotKind,
  type TraceSink,
  type TraceWriterOptions,
} from "../../src/loader/index.js";
import { Random } from "./random.js";
import { testHeader } from "./trace-builder.js";

export interface SyntheticSpec {
  /** Instructions, about. */
  instructions: number;
  blocks?: number;
  seed?: number;
}

/** A function: its blocks stand in order; `calls[i]` is the function that block i calls, or -1. */
interface Routine {
  first: number;
  length: number;
  calls: number[];
  /** Block i jumps back this far with some chance, 0: not at all. */
  back: number[];
}

const enum Area {
  Stack,
  Object,
  Table,
}

export function writeSyntheticTrace(
  path: string,
  spec: SyntheticSpec,
  options: TraceWriterOptions = {},
): void {
  const sink = createTraceWriter(path, testHeader(), options);
  new Synthesizer(sink, new Random(spec.seed ?? 1), spec.blocks ?? 20_000).run(spec.instructions);
  sink.close();
}

class Synthesizer {
  private readonly areas: Area[][] = [];
  private readonly places: number[][] = [];
  private readonly routines: Routine[] = [];
  private readonly instructions: number[] = [];
  private readonly values = new Int32Array(64);
  private readonly stack: number;
  private readonly heap: number;
  private done = 0;

  constructor(
    private readonly sink: TraceSink,
    private readonly random: Random,
    blockCount: number,
  ) {
    const page = (vpn: number) => sink.page({ asid: 1, vpn, ppn: vpn % 500_000, io: false });
    const codePages = Math.ceil(blockCount / 150);
    for (let i = 0; i < codePages; i++) page(0x400 + i);
    this.stack = codePages;
    for (let i = 0; i < 8; i++) page(0x7fff00 + i);
    this.heap = codePages + 8;
    for (let i = 0; i < 256; i++) page(0x100000 + i);
    while (this.areas.length < blockCount) this.addRoutine(2 + random.int(14));
  }

  private addRoutine(length: number): void {
    const { random, routines } = this;
    const routine: Routine = { first: this.areas.length, length, calls: [], back: [] };
    for (let i = 0; i < length; i++) {
      this.addBlock();
      const callee = Math.floor(routines.length * random.next() ** 2);
      routine.calls.push(routines.length > 0 && random.chance(0.2) ? callee : -1);
      routine.back.push(random.chance(0.12) ? random.int(i + 1) : 0);
    }
    routines.push(routine);
  }

  private addBlock(): void {
    const { random, sink, areas, places } = this;
    const id = areas.length;
    const count = 1 + random.int(9);
    const slots = [];
    const area: Area[] = [];
    for (let instr = 0; instr < count; instr++) {
      if (!random.chance(0.4)) continue;
      const kind = random.chance(0.65) ? SlotKind.Load : SlotKind.Store;
      slots.push({ instr, kind, size: random.pick([8, 8, 8, 4]), flags: 0 });
      const dice = random.next();
      area.push(dice < 0.55 ? Area.Stack : dice < 0.85 ? Area.Object : Area.Table);
    }
    const lengths = Uint8Array.from({ length: count }, () => 2 + random.int(4));
    const bytes = Uint8Array.from({ length: lengths.reduce((a, b) => a + b, 0) }, () => random.int(256));
    sink.block({ page: Math.floor(id / 150), offset: (id % 150) * 27, page2: -1, lengths, bytes, slots });
    areas.push(area);
    places.push(area.map(() => random.int(16) * 8));
    this.instructions.push(count);
  }

  run(instructions: number): void {
    const { random, routines } = this;
    let object = 0;
    while (this.done < instructions) {
      if (random.chance(0.3)) object = random.int(4000);
      const top = routines.length - 1 - Math.floor(200 * random.next() ** 3);
      this.call(top, 0, object, instructions);
    }
  }

  private call(index: number, depth: number, object: number, limit: number): void {
    const { random } = this;
    const { first, length, calls, back } = this.routines[index];
    const frame = 30_000 - depth * 192;
    for (let i = 0; i < length && this.done < limit; ) {
      this.exec(first + i, frame, object);
      if (calls[i] >= 0 && depth < 24)
        this.call(calls[i], depth + 1, random.chance(0.8) ? object : object + 1, limit);
      if (back[i] > 0 && random.chance(0.8)) i -= back[i];
      else i += i + 2 < length && random.chance(((first + i) % 7) / 40) ? 2 : 1;
    }
  }

  private exec(block: number, frame: number, object: number): void {
    const { values, random } = this;
    const area = this.areas[block];
    const place = this.places[block];
    for (let i = 0; i < area.length; i++) {
      if (area[i] === Area.Stack) values[i] = (this.stack << 12) + frame + place[i];
      else if (area[i] === Area.Object) values[i] = (this.heap << 12) + object * 128 + place[i];
      else values[i] = ((this.heap + 128) << 12) + (((block * 64 + random.int(8) * 8) % 500_000) & ~7);
    }
    this.sink.exec(0, block, values, area.length);
    this.done += this.instructions[block];
  }
}
