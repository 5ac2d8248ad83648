/**
 * Makes small trace files for tests out of a terse description.
 *
 * ```ts
 * const t = new TraceBuilder({ cores: 2 });
 * const loop = t.block(0x401000, ["48 8b 07", "48 ff c7", "75 f8"], [[0, "load", 8]]);
 * t.begin(0);                       // WorkBegin in every core's stream
 * t.exec(0, loop, 0x7f0010);        // one virtual address for each slot
 * t.execs(0, loop, 100, (i) => [0x7f0000 + 8 * i]);
 * t.event(1, "Switch", 7, 1, 1);
 * t.end(0);
 * const trace = t.open();           // a file in a temporary directory, removed when the process ends
 * ```
 *
 * Addresses are virtual; pages come into being as they are touched, each virtual page on a physical page of
 * its own (the next free one, from 0x100 on), unless `map` said otherwise before. Bit 47 set = kernel half;
 * other pages are of address space `asid` (1 at first; assign the field to change it for what follows).
 * A Rep slot takes a list of segments instead of an address: `[[iterations, a], ...]`, for "repMove" and
 * "repCompare" `[[iterations, a, b], ...]`. The counts of invocations in the header follow from the calls
 * of `begin`, all of them measured unless `warmInvocations` is given.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createTraceWriter,
  EventKind,
  type ObjectDef,
  type OpenTrace,
  openTrace,
  type PageDef,
  SlotKind,
  type SymbolDef,
  type TraceHeaderInput,
  type TraceSink,
  type TraceWriterOptions,
} from "../../src/loader/index.js";

const KINDS = {
  load: SlotKind.Load,
  store: SlotKind.Store,
  repLoad: SlotKind.RepLoad,
  repStore: SlotKind.RepStore,
  repMove: SlotKind.RepMove,
  repCompare: SlotKind.RepCompare,
} as const;

/** Index of the instruction, kind, bytes, SlotFlag bits. */
export type SlotSpec = [instr: number, kind: keyof typeof KINDS, size: number, flags?: number];
/** A virtual address, or the segments of a Rep slot. */
export type AddressSpec = number | [iterations: number, a: number, b?: number][];

type Action = (sink: TraceSink) => void;

/** A complete header, to be changed where a test cares. */
export function testHeader(changes: Partial<TraceHeaderInput> = {}): TraceHeaderInput {
  return {
    function: "test",
    runtime: "none",
    clockGHz: 1,
    cores: 1,
    functionCore: (changes.cores ?? 1) - 1,
    clientCore: 0,
    warmInvocations: 0,
    measuredInvocations: 0,
    provenance: { command: "test", date: "2024-01-01T00:00:00Z", versions: {} },
    memoryMiB: 2048,
    containers: { "1": "function" },
    ...changes,
  };
}

export class TraceBuilder {
  /** Address space of the user pages that are made next. */
  asid = 1;
  readonly header: TraceHeaderInput;
  private readonly actions: Action[] = [];
  private readonly pages: PageDef[] = [];
  private readonly pageIds = new Map<string, number>();
  private blockCount = 0;
  private invocations = 0;
  private nextPpn = 0x100;
  private readonly fixedInvocations: boolean;

  constructor(header: Partial<TraceHeaderInput> = {}) {
    this.header = testHeader(header);
    this.fixedInvocations = header.measuredInvocations !== undefined;
  }

  /** Maps the virtual page of `address` to a physical page. @returns the page id */
  map(address: number, ppn: number, io = false): number {
    const vpn = Math.floor(address / 4096);
    const asid = vpn >= 2 ** 35 ? 0 : this.asid;
    const id = this.pages.length;
    this.pages.push({ asid, vpn, ppn, io });
    this.pageIds.set(`${asid},${vpn}`, id);
    this.actions.push((sink) => same(sink.page({ asid, vpn, ppn, io }), id, "page"));
    return id;
  }

  /** The page address of a virtual address. */
  address(virtual: number): number {
    const vpn = Math.floor(virtual / 4096);
    const key = `${vpn >= 2 ** 35 ? 0 : this.asid},${vpn}`;
    const id = this.pageIds.get(key) ?? this.map(virtual, this.nextPpn++);
    return (id << 12) | (virtual % 4096);
  }

  /** @param instructions bytes of each, in hexadecimal ("48 8b 07") or as numbers. @returns the block's id */
  block(address: number, instructions: (string | number[])[], slots: SlotSpec[] = []): number {
    const parsed = instructions.map((text) =>
      typeof text === "string" ? [...Buffer.from(text.replace(/\s/g, ""), "hex")] : text,
    );
    const bytes = Uint8Array.from(parsed.flat());
    const offset = address % 4096;
    const page = this.address(address) >>> 12;
    const page2 = offset + bytes.length > 4096 ? this.address(address - offset + 4096) >>> 12 : -1;
    const lengths = Uint8Array.from(parsed, (one) => one.length);
    const defs = slots.map(([instr, kind, size, flags = 0]) => ({ instr, kind: KINDS[kind], size, flags }));
    const id = this.blockCount++;
    this.actions.push((sink) => {
      same(sink.block({ page, offset, page2, lengths, bytes, slots: defs }), id, "block");
    });
    return id;
  }

  /** One execution of a block, with what each of its slots takes. */
  exec(core: number, block: number, ...addresses: AddressSpec[]): this {
    const values: number[] = [];
    for (const spec of addresses) {
      if (typeof spec === "number") {
        values.push(this.address(spec));
        continue;
      }
      values.push(spec.length);
      for (const [iterations, ...operands] of spec) {
        values.push(iterations, ...operands.map((operand) => this.address(operand as number)));
      }
    }
    const array = Int32Array.from(values);
    this.actions.push((sink) => sink.exec(core, block, array, array.length));
    return this;
  }

  /** `count` executions of a block. @param addresses what the slots of execution i take; none by default */
  execs(
    core: number,
    block: number,
    count: number,
    addresses: (i: number) => AddressSpec[] = () => [],
  ): this {
    for (let i = 0; i < count; i++) this.exec(core, block, ...addresses(i));
    return this;
  }

  event(core: number, kind: keyof typeof EventKind, a = 0, b = 0, c = 0): this {
    this.actions.push((sink) => sink.event(core, EventKind[kind], a, b, c));
    return this;
  }

  /** An invocation begins, in every core's stream. */
  begin(invocation: number): this {
    this.invocations = Math.max(this.invocations, invocation + 1);
    for (let core = 0; core < this.header.cores; core++) this.event(core, "WorkBegin", invocation);
    return this;
  }

  /** An invocation ends, in every core's stream. */
  end(invocation: number): this {
    for (let core = 0; core < this.header.cores; core++) this.event(core, "WorkEnd", invocation);
    return this;
  }

  symbols(objects: ObjectDef[], symbols: SymbolDef[]): this {
    this.actions.push((sink) => sink.symbols(objects, symbols));
    return this;
  }

  /** Writes the file. */
  write(path: string, options: TraceWriterOptions = {}): string {
    const { header } = this;
    const measured = this.fixedInvocations
      ? header.measuredInvocations
      : this.invocations - header.warmInvocations;
    const sink = createTraceWriter(path, { ...header, measuredInvocations: measured }, options);
    try {
      for (const action of this.actions) action(sink);
    } catch (error) {
      sink.abort();
      throw error;
    }
    sink.close();
    return path;
  }

  /** Writes the file to a temporary directory and opens it. */
  open(options: TraceWriterOptions = {}): OpenTrace {
    return openTrace(this.write(temporaryPath("test.trace"), options));
  }
}

function same(id: number, expected: number, what: string): void {
  if (id !== expected) throw new Error(`${what} ${expected} is the same as ${what} ${id}: describe it once`);
}

let directory: string | undefined;
let files = 0;

/** A path that no other call of this process gives, in a directory that goes when the process ends. */
export function temporaryPath(name: string): string {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), "muswarm-test-"));
    directory = made;
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
  }
  return join(directory, `${files++}-${name}`);
}
