import { type CorePort, NOT_NOW, SERVED_BY_MEMORY } from "../../src/cache/contract.js";
import { type CoreBase, createCore, PageTables, RunStatus } from "../../src/core/index.js";
import { type BlockTable, type CoreStream, type PageTable, SlotKind } from "../../src/loader/contract.js";
import { type DecodedTable, decodeBlocks } from "../../src/loader/decode/index.js";
import { type MachineInput, type MachineSpec, machineSchema } from "../../src/machine/spec.js";

const cache = {
  sizeKiB: 16,
  ways: 8,
  tagLatency: 1,
  dataLatency: 1,
  responseLatency: 2,
  mshrs: 4,
  targetsPerMshr: 16,
  writeBuffers: 32,
};

/** A machine with one level below the L1s; `core` overrides. */
export function testMachine(core: Partial<MachineInput["core"]> = {}): MachineSpec {
  return machineSchema.parse({
    name: "test",
    description: "test",
    clockGHz: 1,
    cores: 1,
    core: { itlb: { entries: 64, ways: 64 }, dtlb: { entries: 64, ways: 64 }, ...core },
    l1i: cache,
    l1d: cache,
    levels: [{ name: "llc", shared: true, cache }],
    memory: { model: "simple", sizeMiB: 64 },
  });
}

/** One access that reached the mock port and was done. */
export interface Access {
  kind: "fetch" | "load" | "store" | "walk" | "uncached";
  line: number;
  now: number;
}

/**
 * Stands for the memory system: L1 hits take `hit` cycles; lines in `missing` take `miss` the first time and
 * are shared accesses; walks take `walkCycles`. Checks what the contract promises of the core.
 */
export class MockPort implements CorePort {
  horizon = Number.POSITIVE_INFINITY;
  retryAt = 0;
  servedBy = 0;
  hit = 1;
  miss = 50;
  walkCycles = 0;
  missing = new Set<number>();
  readonly log: Access[] = [];
  private lastShared = 0;
  private lastData = 0;
  private lastFetch = 0;

  /** A hit that is asked for without its time. Not offered: the tests want to see the times. */
  fetchHit(): boolean {
    return false;
  }
  loadHit(): boolean {
    return false;
  }
  fetchReady(): boolean {
    return false;
  }
  dataReady(): boolean {
    return false;
  }
  storeHit(): boolean {
    return false;
  }

  get fetchHitLatency(): number {
    return this.hit;
  }
  get dataHitLatency(): number {
    return this.hit;
  }

  private line(kind: Access["kind"], line: number, now: number): number {
    if (!Number.isInteger(now)) throw new Error(`${kind} at ${now}`);
    let cycles = this.hit;
    this.servedBy = 0;
    if (this.missing.has(line)) {
      if (!this.shared(now)) return NOT_NOW;
      this.missing.delete(line);
      cycles = this.miss;
      this.servedBy = SERVED_BY_MEMORY;
    }
    if (kind === "fetch") {
      if (now < this.lastFetch) throw new Error(`fetch at ${now} after one at ${this.lastFetch}`);
      this.lastFetch = now;
    } else {
      if (now < this.lastData) throw new Error(`${kind} at ${now} after data at ${this.lastData}`);
      this.lastData = now;
    }
    this.log.push({ kind, line, now });
    return now + cycles;
  }

  private shared(now: number): boolean {
    if (now > this.horizon) {
      this.retryAt = now;
      return false;
    }
    if (now < this.lastShared) throw new Error(`shared access at ${now} after one at ${this.lastShared}`);
    this.lastShared = now;
    return true;
  }

  fetch(line: number, _virtualLine: number, now: number): number {
    return this.line("fetch", line, now);
  }
  load(line: number, _virtualLine: number, _pc: number, now: number): number {
    return this.line("load", line, now);
  }
  store(line: number, _virtualLine: number, _pc: number, now: number): number {
    return this.line("store", line, now);
  }
  walk(line: number, now: number): number {
    if (!this.shared(now)) return NOT_NOW;
    this.log.push({ kind: "walk", line, now });
    return now + this.walkCycles;
  }
  uncached(line: number, _write: boolean, now: number): number {
    if (!this.shared(now)) return NOT_NOW;
    this.log.push({ kind: "uncached", line, now });
    return now + this.miss;
  }
}

const KINDS = {
  load: SlotKind.Load,
  store: SlotKind.Store,
  repLoad: SlotKind.RepLoad,
  repStore: SlotKind.RepStore,
  repMove: SlotKind.RepMove,
  repCompare: SlotKind.RepCompare,
} as const;
type Slot = [instr: number, kind: keyof typeof KINDS, size: number, flags?: number];

/** A program in memory: blocks, executions and events, without a file. Page p is virtual and physical page p. */
export class Program {
  private readonly defs: { address: number; instructions: number[][]; slots: Slot[] }[] = [];
  readonly executions: number[] = [];
  readonly operands: number[] = [];
  readonly events: [at: number, kind: number, a: number, b: number, c: number][] = [];
  readonly io = new Set<number>();
  pages = 64;

  /** @param instructions hexadecimal bytes of each. @returns the block's id */
  block(address: number, instructions: string[], slots: Slot[] = []): number {
    const parsed = instructions.map((text) => [...Buffer.from(text.replace(/\s/g, ""), "hex")]);
    this.defs.push({ address, instructions: parsed, slots });
    return this.defs.length - 1;
  }

  exec(block: number, ...operands: number[]): this {
    this.executions.push(block);
    this.operands.push(...operands);
    return this;
  }

  event(kind: number, a = 0, b = 0, c = 0): this {
    this.events.push([this.executions.length, kind, a, b, c]);
    return this;
  }

  pageTable(): PageTable {
    const { pages } = this;
    return {
      count: pages,
      asid: new Int32Array(pages).fill(1),
      vpn: Float64Array.from({ length: pages }, (_, i) => i),
      ppn: Int32Array.from({ length: pages }, (_, i) => i),
      io: Uint8Array.from({ length: pages }, (_, i) => (this.io.has(i) ? 1 : 0)),
      kernel: new Uint8Array(pages),
    };
  }

  blockTable(): BlockTable {
    const { defs } = this;
    const instrStart = [0];
    const byteStart = [0];
    const bytes: number[] = [];
    const slotStart = [0];
    const slots: Slot[] = [];
    for (const def of defs) {
      for (const instruction of def.instructions) {
        bytes.push(...instruction);
        byteStart.push(bytes.length);
      }
      instrStart.push(byteStart.length - 1);
      slots.push(...def.slots);
      slotStart.push(slots.length);
    }
    const length = (d: (typeof defs)[0]): number => d.instructions.reduce((n, i) => n + i.length, 0);
    return {
      count: defs.length,
      page: Int32Array.from(defs, (d) => d.address >> 12),
      offset: Int32Array.from(defs, (d) => d.address & 4095),
      page2: Int32Array.from(defs, (d) =>
        (d.address & 4095) + length(d) > 4096 ? (d.address >> 12) + 1 : -1,
      ),
      instrStart: Int32Array.from(instrStart),
      byteStart: Int32Array.from(byteStart),
      bytes: Uint8Array.from(bytes),
      slotStart: Int32Array.from(slotStart),
      slotInstr: Uint16Array.from(slots, (s) => s[0]),
      slotKind: Uint8Array.from(slots, (s) => KINDS[s[1]]),
      slotSize: Uint8Array.from(slots, (s) => s[2]),
      slotFlags: Uint8Array.from(slots, (s) => s[3] ?? 0),
    };
  }

  /** @param batch block executions in a batch. */
  stream(decoded: DecodedTable, table: BlockTable, batch = Number.POSITIVE_INFINITY): CoreStream {
    return new ArrayStream(this, table, decoded, batch);
  }
}

class ArrayStream implements CoreStream {
  core = 0;
  position = 0;
  blocks = new Int32Array(0);
  blockCount = 0;
  addresses = new Int32Array(0);
  addressCount = 0;
  eventCount = 0;
  eventAt = new Int32Array(0);
  eventKind = new Int32Array(0);
  eventA = new Float64Array(0);
  eventB = new Float64Array(0);
  eventC = new Float64Array(0);
  private at = 0;
  private operandAt = 0;
  private done = false;

  constructor(
    private readonly program: Program,
    private readonly table: BlockTable,
    _decoded: DecodedTable,
    private readonly batch: number,
  ) {}

  next(): boolean {
    if (this.done) return false;
    const { program, table } = this;
    const from = this.at;
    const to = Math.min(program.executions.length, from + this.batch);
    let operand = this.operandAt;
    for (let i = from; i < to; i++) {
      const block = program.executions[i];
      for (let slot = table.slotStart[block]; slot < table.slotStart[block + 1]; slot++) {
        const kind = table.slotKind[slot];
        if (kind < SlotKind.RepLoad) operand++;
        else operand += 1 + program.operands[operand] * (kind >= SlotKind.RepMove ? 3 : 2);
      }
    }
    this.position = from;
    this.blocks = Int32Array.from(program.executions.slice(from, to));
    this.blockCount = to - from;
    this.addresses = Int32Array.from(program.operands.slice(this.operandAt, operand));
    this.addressCount = operand - this.operandAt;
    this.done = to === program.executions.length;
    const events = program.events.filter(([at]) => at >= from && (at < to || (this.done && at === to)));
    this.eventCount = events.length;
    this.eventAt = Int32Array.from(events, (e) => e[0] - from);
    this.eventKind = Int32Array.from(events, (e) => e[1]);
    this.eventA = Float64Array.from(events, (e) => e[2]);
    this.eventB = Float64Array.from(events, (e) => e[3]);
    this.eventC = Float64Array.from(events, (e) => e[4]);
    this.at = to;
    this.operandAt = operand;
    return this.blockCount > 0 || this.eventCount > 0;
  }
}

export interface Built {
  core: CoreBase;
  port: MockPort;
  decoded: DecodedTable;
  blocks: BlockTable;
}

export function build(program: Program, spec: MachineSpec = testMachine(), batch?: number): Built {
  const pages = program.pageTable();
  const blocks = program.blockTable();
  const decoded = decodeBlocks(blocks, pages);
  const port = new MockPort();
  const pageTables = new PageTables(pages, spec.memory.sizeMiB, spec.core.largeKernelPages);
  const core = createCore(0, { spec, port, pages, decoded, pageTables });
  core.attach(program.stream(decoded, blocks, batch));
  return { core, port, decoded, blocks };
}

/** Runs to the end. `step`: horizon moves on by so many cycles at a time; 0: no horizon. Events are taken at once. */
export function runAll(built: Built, step = 0): number {
  const { core, port } = built;
  if (step > 0) port.horizon = 0;
  for (let turns = 0; turns < 10_000_000; turns++) {
    const status = core.run();
    if (status === RunStatus.End) return core.time;
    if (status === RunStatus.Event) core.takeEvent(core.time, false);
    else if (status === RunStatus.Blocked) {
      if (step === 0) throw new Error(`blocked at ${core.time} without a horizon`);
      if (core.time <= port.horizon) throw new Error(`blocked at ${core.time}, horizon ${port.horizon}`);
      port.horizon = core.time + step - 1;
    } else throw new Error(`status ${status}`);
  }
  throw new Error("no end");
}

/** Value of a counter of the core by its name in `cpu0`. */
export function counter(built: Built, name: string): number {
  const group = built.core.groups[0];
  const i = group.defs.findIndex((d) => d.name === name);
  if (i < 0) throw new Error(`no counter ${name}`);
  return group.values[i];
}
