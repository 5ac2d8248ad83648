/**
 * A slow reader of trace files, written from docs/trace-format.md alone: the fast reader's twin.
 * It trusts the file except for checksums.
 */
import { readFileSync } from "node:fs";
import { brotliDecompressSync, crc32 } from "node:zlib";

export interface NaiveSlot {
  instr: number;
  kind: number;
  size: number;
  flags: number;
}

export interface NaiveBlock {
  page: number;
  offset: number;
  page2: number;
  lengths: number[];
  bytes: number[];
  slots: NaiveSlot[];
  initial: number[];
}

export interface NaiveEvent {
  position: number;
  kind: number;
  a: number;
  b: number;
  c: number;
}

export interface NaiveCore {
  blocks: number[];
  addresses: number[];
  events: NaiveEvent[];
  instructions: number;
}

export interface NaiveTrace {
  header: Record<string, unknown>;
  pages: { asid: number; vpn: number; ppn: number; io: boolean }[];
  blocks: NaiveBlock[];
  cores: NaiveCore[];
  objects: { path: string; buildId: string }[];
  symbols: { asid: number; address: number; size: number; object: number; name: string }[];
  index: {
    pages: number;
    blocks: number;
    spans: { begin: number; end: number; instructions: number }[][];
    wakes: number[][];
  };
  /** Content of each chunk, for showing. */
  chunks: { kind: number; content: Buffer }[];
}

class Input {
  at = 0;
  constructor(readonly bytes: Buffer) {}
  u8(): number {
    if (this.at >= this.bytes.length) throw new Error("end of content");
    return this.bytes[this.at++];
  }
  u32(): number {
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }
  u(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  }
  s(): number {
    const value = this.u();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  text(): string {
    return this.take(this.u()).toString("utf8");
  }
  take(length: number): Buffer {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  list<T>(count: number, read: () => T): T[] {
    const out: T[] = [];
    for (let i = 0; i < count; i++) out.push(read());
    return out;
  }
}

export function readNaively(path: string): NaiveTrace {
  const file = readFileSync(path);
  if (file.toString("hex", 0, 8) !== "896d7573770d0a1a" || file.readUInt32LE(8) !== 1)
    throw new Error("foreign");
  check(file.subarray(0, 12), file.readUInt32LE(12));
  const footer = file.subarray(file.length - 32);
  check(footer.subarray(0, 28), footer.readUInt32LE(28));
  const trace: NaiveTrace = {
    header: {},
    pages: [],
    blocks: [],
    cores: [],
    objects: [],
    symbols: [],
    index: { pages: 0, blocks: 0, spans: [], wakes: [] },
    chunks: [],
  };
  let at = 16;
  while (at < file.length - 32) at = readChunk(file, at, trace);
  if (at !== file.length - 32) throw new Error("gap before the footer");
  return trace;
}

function check(bytes: Buffer, crc: number): void {
  if (crc32(bytes) !== crc) throw new Error("checksum");
}

function readChunk(file: Buffer, at: number, trace: NaiveTrace): number {
  check(file.subarray(at, at + 28), file.readUInt32LE(at + 28));
  const kind = file[at + 4];
  const core = file.readUInt16LE(at + 6);
  if (file.readUInt32LE(at + 8) !== trace.chunks.length) throw new Error("sequence");
  const stored = file.subarray(at + 32, at + 32 + file.readUInt32LE(at + 16));
  check(stored, file.readUInt32LE(at + 20));
  const content = file[at + 5] === 1 ? brotliDecompressSync(stored) : stored;
  if (content.length !== file.readUInt32LE(at + 12)) throw new Error("content length");
  trace.chunks.push({ kind, content });
  const input = new Input(content);
  if (kind === 1) {
    trace.header = JSON.parse(input.take(content.length).toString("utf8"));
    for (let i = 0; i < (trace.header.cores as number); i++) {
      trace.cores.push({ blocks: [], addresses: [], events: [], instructions: 0 });
    }
  } else if (kind === 2) readPages(input, trace);
  else if (kind === 3) readBlocks(input, trace);
  else if (kind === 4) readStream(input, trace, trace.cores[core]);
  else if (kind === 5) readSymbols(input, trace);
  else readIndex(input, trace);
  if (input.at !== content.length) throw new Error("content left over");
  return at + 32 + stored.length;
}

function readPages(input: Input, { pages }: NaiveTrace): void {
  if (input.u() !== pages.length) throw new Error("first page");
  const count = input.u();
  let asid = 0;
  let vpn = 0;
  let ppn = 0;
  for (let i = 0; i < count; i++) {
    const word = input.u();
    const zigzag = Math.floor(word / 2);
    asid += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    vpn += input.s();
    ppn += input.s();
    pages.push({ asid, vpn, ppn, io: word % 2 === 1 });
  }
}

function cellsOf(slot: NaiveSlot): number {
  return slot.kind === 4 || slot.kind === 5 ? 2 : 1;
}

function readBlocks(input: Input, { blocks }: NaiveTrace): void {
  if (input.u() !== blocks.length) throw new Error("first block");
  const count = input.u();
  let address = 0;
  for (let i = 0; i < count; i++) {
    const [page, offset, page2, instrs, slotCount] = input.list(5, () => input.u());
    const lengths = [...input.take(instrs)];
    const bytes = [...input.take(lengths.reduce((a, b) => a + b, 0))];
    let instr = 0;
    const slots = input.list(slotCount, () => {
      instr += input.u();
      const word = input.u8();
      return { instr, kind: word % 16, size: input.u8(), flags: word >> 4 };
    });
    const cells = slots.reduce((sum, slot) => sum + cellsOf(slot), 0);
    const initial = input.list(cells, () => {
      address = (address + input.s()) | 0;
      return address;
    });
    blocks.push({ page, offset, page2: page2 - 1, lengths, bytes, slots, initial });
  }
}

function readStream(input: Input, { blocks }: NaiveTrace, core: NaiveCore): void {
  const position = input.u();
  if (position !== core.blocks.length) throw new Error("position");
  const [executions, instructions, eventCount] = input.list(3, () => input.u());
  input.u();
  input.u8();
  const sizes = input.list(5, () => input.u());
  const [runs, targets, addresses, segments, events] = sizes.map((size) => new Input(input.take(size)));

  const successor = new Map<number, number>();
  const alternate = new Map<number, number>();
  const executed: number[] = [];
  let current = 0;
  for (;;) {
    for (let n = runs.u(); n > 0; n--) {
      current = successor.get(current) ?? current + 1;
      executed.push(current);
    }
    if (executed.length === executions) break;
    const target = targets.u();
    const next = target === 0 ? (alternate.get(current) ?? current) : target - 1;
    alternate.set(current, successor.get(current) ?? current + 1);
    successor.set(current, next);
    current = next;
    executed.push(current);
  }

  const cells = blocks.map((block) => [...block.initial]);
  let sum = 0;
  for (const id of executed) {
    core.blocks.push(id);
    sum += blocks[id].lengths.length;
    let cell = 0;
    const own = cells[id];
    for (const slot of blocks[id].slots) {
      if (slot.kind < 2) {
        own[cell] = (own[cell] + addresses.s()) | 0;
        core.addresses.push(own[cell++]);
        continue;
      }
      const count = segments.u();
      core.addresses.push(count);
      for (let s = 0; s < count; s++) {
        core.addresses.push(segments.s());
        for (let o = 0; o < cellsOf(slot); o++) {
          own[cell + o] = (own[cell + o] + segments.s()) | 0;
          core.addresses.push(own[cell + o]);
        }
      }
      cell += cellsOf(slot);
    }
  }
  if (sum !== instructions) throw new Error("instructions");
  core.instructions += sum;

  let place = position;
  for (let i = 0; i < eventCount; i++) {
    place += events.u();
    core.events.push({
      position: place,
      kind: events.u8(),
      a: events.u() - 1,
      b: events.u() - 1,
      c: events.u() - 1,
    });
  }
  for (const part of [runs, targets, addresses, segments, events]) {
    if (part.at !== part.bytes.length) throw new Error("part left over");
  }
}

function readSymbols(input: Input, { objects, symbols }: NaiveTrace): void {
  const objectCount = input.u();
  const symbolCount = input.u();
  objects.push(...input.list(objectCount, () => ({ path: input.text(), buildId: input.text() })));
  let address = 0;
  for (let i = 0; i < symbolCount; i++) {
    const asid = input.u();
    address += input.s();
    symbols.push({ asid, address, size: input.u(), object: input.u(), name: input.text() });
  }
}

function readIndex(input: Input, { index, cores }: NaiveTrace): void {
  index.pages = input.u();
  index.blocks = input.u();
  for (let chunks = input.u(); chunks > 0; chunks--) {
    const kind = input.u8();
    input.u();
    input.u32();
    if (kind === 4) input.list(3, () => input.u());
  }
  for (const _ of cores) {
    let position = 0;
    index.spans.push(
      input.list(input.u(), () => {
        const begin = position + input.u();
        position = begin + input.u();
        return { begin, end: position, instructions: input.u() };
      }),
    );
    let wake = 0;
    index.wakes.push(
      input.list(input.u(), () => {
        wake += input.u();
        return wake;
      }),
    );
  }
}
