import { Converter, type ConvertReport } from "../../src/capture/convert.js";
import type { KernelEntry } from "../../src/capture/kernel-entries.js";
import type { PhaseFinder } from "../../src/capture/phases.js";
import {
  Marker,
  parseRaw,
  RAW_LAST_INSN,
  RAW_UNKNOWN_PAGE,
  RawControl,
  type RawHandler,
} from "../../src/capture/raw.js";
import type { BlockDef, EventKind, PageDef, TraceSink } from "../../src/loader/contract.js";

/** Writes the recorder's records, as capture/plugin/raw.h describes them, without its magic. */
export class RawBuilder {
  private readonly words: bigint[] = [];
  private blocks = 0;
  private done = 0;

  /** Describes a block. @param code one hexadecimal string an instruction @returns its number */
  block(address: number, code: readonly string[], ppn: number, ppn2 = RAW_UNKNOWN_PAGE): number {
    const instructions = code.map((hex) => Buffer.from(hex.replaceAll(" ", ""), "hex"));
    const text = Buffer.concat([Buffer.from(instructions.map((bytes) => bytes.length)), ...instructions]);
    const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8);
    text.copy(padded);
    this.control(RawControl.Block, 0, this.blocks);
    this.words.push(BigInt.asUintN(64, BigInt.asIntN(48, BigInt(address))));
    this.words.push((BigInt(ppn2) << 32n) | BigInt(ppn));
    this.words.push((BigInt(text.length - code.length) << 32n) | BigInt(code.length));
    for (let i = 0; i < padded.length; i += 8) this.words.push(padded.readBigUInt64LE(i));
    return this.blocks++;
  }

  /** An execution that begins `count` instructions. */
  exec(vcpu: number, block: number, count: number): this {
    this.words.push((BigInt(vcpu) << 56n) | (BigInt(this.done) << 40n) | BigInt(block));
    this.done = count;
    return this;
  }

  load(instr: number, size: number, address: number): this {
    return this.mem(instr, size, address, false);
  }

  store(instr: number, size: number, address: number): this {
    return this.mem(instr, size, address, true);
  }

  storeOfLast(size: number, address: number): this {
    return this.mem(RAW_LAST_INSN, size, address, true);
  }

  private mem(instr: number, size: number, address: number, store: boolean): this {
    const head =
      (1n << 62n) | (BigInt(instr) << 52n) | (BigInt(store) << 51n) | (BigInt(Math.log2(size)) << 48n);
    this.words.push(head | BigInt(address));
    return this;
  }

  map(vcpu: number, vpn: number, ppn: number, io = false): this {
    this.control(RawControl.Map, vcpu, vpn);
    this.words.push((BigInt(io) << 63n) | BigInt(ppn));
    return this;
  }

  switch(vcpu: number, mm: number, pid: number, tgid: number, comm = "task"): this {
    this.control(RawControl.Switch, vcpu, 0x8880_0000_0000 + pid * 4096);
    const name = Buffer.alloc(16);
    name.write(comm);
    this.words.push(
      BigInt(mm),
      (BigInt(tgid) << 32n) | BigInt(pid),
      name.readBigUInt64LE(0),
      name.readBigUInt64LE(8),
    );
    return this;
  }

  mark(vcpu: number, operation: keyof typeof Marker): this {
    this.control(RawControl.Mark, vcpu, Marker[operation]);
    return this;
  }

  end(): this {
    this.control(RawControl.End, 0, 0);
    this.words.push(BigInt(this.done));
    return this;
  }

  private control(kind: number, vcpu: number, value: number): void {
    this.words.push((2n << 62n) | (BigInt(kind) << 58n) | (BigInt(vcpu) << 48n) | BigInt(value));
  }

  bytes(): Uint8Array {
    return new Uint8Array(BigUint64Array.from(this.words).buffer);
  }

  feed(handler: RawHandler): void {
    parseRaw(this.bytes(), true, handler);
  }
}

/** One line of a core's stream as the sink was given it. */
export type Line =
  | { block: number; addresses: number[] }
  | { event: EventKind; a: number; b: number; c: number };

/** Remembers what it is given. */
export class MemorySink implements TraceSink {
  readonly pages: PageDef[] = [];
  readonly blocks: BlockDef[] = [];
  readonly lines: Line[][] = [[], []];

  page(def: PageDef): number {
    return intern(this.pages, def);
  }

  block(def: BlockDef): number {
    return intern(this.blocks, {
      ...def,
      lengths: Uint8Array.from(def.lengths),
      bytes: Uint8Array.from(def.bytes),
    });
  }

  exec(core: number, block: number, addresses: Int32Array, count: number): void {
    this.lines[core].push({ block, addresses: Array.from(addresses.subarray(0, count)) });
  }

  event(core: number, kind: EventKind, a: number, b: number, c: number): void {
    this.lines[core].push({ event: kind, a, b, c });
  }

  position(core: number): number {
    return this.executions(core).length;
  }

  executions(core: number): { block: number; addresses: number[] }[] {
    return this.lines[core].filter((line) => "block" in line);
  }

  events(core: number): { event: EventKind; a: number; b: number; c: number }[] {
    return this.lines[core].filter((line) => "event" in line);
  }

  symbols(): void {}
  close(): void {}
  abort(): void {}
}

function intern<T>(list: T[], def: T): number {
  const key = JSON.stringify(def);
  const known = list.findIndex((other) => JSON.stringify(other) === key);
  return known >= 0 ? known : list.push(def) - 1;
}

export interface ConvertInput {
  entries?: Map<number, KernelEntry>;
  pages?: Map<number, number>;
  containerOf?: (tgid: number) => number;
  phases?: PhaseFinder;
  /** Of a program without a kernel. */
  alone?: boolean;
}

/** Converts what `fill` records on a machine of two cores; on both a process with asid 1 runs. */
export function convert(
  fill: (raw: RawBuilder) => void,
  input: ConvertInput = {},
): { sink: MemorySink; report: ConvertReport } {
  const sink = new MemorySink();
  const converter = new Converter(sink, {
    cores: 2,
    nsPerInstruction: 2,
    memoryMiB: 2048,
    entries: input.entries ?? new Map(),
    pages: input.pages ?? new Map(),
    containerOf: input.containerOf ?? (() => 0),
    phases: input.phases,
    firstTouch: input.alone,
  });
  const start = new RawBuilder();
  for (const vcpu of [0, 1]) start.switch(vcpu, 0x1000, 10 + vcpu, 10);
  start.feed(converter);
  sink.lines[0].length = 0;
  sink.lines[1].length = 0;
  const raw = new RawBuilder();
  fill(raw);
  raw.end();
  raw.feed(converter);
  const report = converter.finish();
  for (const lines of sink.lines) {
    // The two tasks that were there from the start.
    const first = lines.findIndex((line) => "event" in line && line.event === 3);
    if (first >= 0) lines.splice(first, 1);
  }
  return { sink, report };
}
