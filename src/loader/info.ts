import { type CoreStream, EventKind, SlotKind, type Trace, type TraceHeader } from "./contract.js";
import { type BlockCounts, countBlocks, LineSet, PhysicalLines } from "./footprint.js";

/** Counts over a part of one core's stream. */
export interface PartInfo {
  instructions: number;
  userInstructions: number;
  kernelInstructions: number;
  blockExecutions: number;
  /** Accesses; an iteration of a string instruction counts as one (two for a load and a store). */
  loads: number;
  stores: number;
  /** Distinct 64-byte physical lines, in kB of 1024 bytes; device registers are not counted. */
  instructionKB: number;
  dataKB: number;
}

export interface InvocationInfo extends PartInfo {
  invocation: number;
  isWarmUp: boolean;
  /** Jaccard index of the instruction lines with those of the invocation before, 0..1; undefined for the first. */
  commonality: number | undefined;
}

/** Interrupts with one vector (-1: unknown), in a whole stream. */
export interface InterruptInfo {
  vector: number;
  count: number;
}

export interface CoreInfo {
  core: number;
  total: PartInfo;
  /** By falling count. */
  interrupts: InterruptInfo[];
  invocations: InvocationInfo[];
}

/** What `traceInfo` finds in a trace. */
export interface TraceInfo {
  path: string;
  header: TraceHeader;
  fileBytes: number;
  /** Over all cores. */
  instructions: number;
  blockExecutions: number;
  /** Bytes of the file for each instruction executed; NaN without instructions. */
  bytesPerInstruction: number;
  pages: number;
  blocks: number;
  staticInstructions: number;
  objects: number;
  symbols: number;
  cores: CoreInfo[];
}

/** Called now and then with the number of instructions read so far and of all. */
export type InfoProgress = (done: number, all: number) => void;

/** Reads a whole trace and counts. Throws TraceError at damage. */
export function traceInfo(trace: Trace, progress?: InfoProgress): TraceInfo {
  const { header, blocks, pages } = trace;
  const counts = countBlocks(blocks, pages);
  const lines = new PhysicalLines(pages);
  const instructions = trace.cores.reduce((sum, core) => sum + core.instructions, 0);
  let before = 0;
  const cores = trace.cores.map((summary, core) => {
    const counter = new CoreCounter(trace, core, counts, lines);
    const info = counter.run((done) => progress?.(before + done, instructions));
    before += summary.instructions;
    return info;
  });
  const table = trace.symbols();
  return {
    path: trace.path,
    header,
    fileBytes: trace.fileBytes,
    instructions,
    blockExecutions: trace.cores.reduce((sum, core) => sum + core.blockExecutions, 0),
    bytesPerInstruction: trace.fileBytes / instructions,
    pages: pages.count,
    blocks: blocks.count,
    staticInstructions: blocks.instrStart[blocks.count],
    objects: table.objects.length,
    symbols: table.symbols.length,
    cores,
  };
}

/** Counts of a part that is being read. */
class Part {
  user = 0;
  kernel = 0;
  blockExecutions = 0;
  loads = 0;
  stores = 0;
  readonly code = new LineSet();
  readonly data = new LineSet();
  /** 1 for a block whose code lines are in `code`. */
  readonly seen: Uint8Array;

  constructor(blockCount: number) {
    this.seen = new Uint8Array(blockCount);
  }

  add(part: Part): void {
    this.user += part.user;
    this.kernel += part.kernel;
    this.blockExecutions += part.blockExecutions;
    this.loads += part.loads;
    this.stores += part.stores;
    this.code.addAll(part.code);
    this.data.addAll(part.data);
  }

  info(): PartInfo {
    return {
      instructions: this.user + this.kernel,
      userInstructions: this.user,
      kernelInstructions: this.kernel,
      blockExecutions: this.blockExecutions,
      loads: this.loads,
      stores: this.stores,
      instructionKB: this.code.kB,
      dataKB: this.data.kB,
    };
  }
}

/** Goes through one core's stream; every block execution belongs to an invocation or lies between two. */
class CoreCounter {
  private readonly total: Part;
  private readonly invocations: InvocationInfo[] = [];
  private part: Part;
  private before: LineSet | undefined;
  private at = 0;
  private readonly interrupts = new Map<number, number>();

  constructor(
    private readonly trace: Trace,
    private readonly core: number,
    private readonly counts: BlockCounts,
    private readonly lines: PhysicalLines,
  ) {
    this.total = new Part(trace.blocks.count);
    this.part = new Part(trace.blocks.count);
  }

  run(progress: (done: number) => void): CoreInfo {
    const stream = this.trace.stream(this.core);
    while (stream.next()) {
      this.at = 0;
      let done = 0;
      for (let i = 0; i < stream.eventCount; i++) {
        const kind = stream.eventKind[i];
        if (kind === EventKind.Interrupt) this.countInterrupt(stream.eventA[i]);
        if (kind !== EventKind.WorkBegin && kind !== EventKind.WorkEnd) continue;
        this.count(stream, done, stream.eventAt[i]);
        done = stream.eventAt[i];
        this.finishPart(kind === EventKind.WorkEnd ? stream.eventA[i] : -1);
      }
      this.count(stream, done, stream.blockCount);
      progress(this.total.user + this.total.kernel + this.part.user + this.part.kernel);
    }
    this.finishPart(-1);
    const interrupts = [...this.interrupts].map(([vector, count]) => ({ vector, count }));
    interrupts.sort((a, b) => b.count - a.count || b.vector - a.vector);
    return { core: this.core, total: this.total.info(), interrupts, invocations: this.invocations };
  }

  private countInterrupt(vector: number): void {
    this.interrupts.set(vector, (this.interrupts.get(vector) ?? 0) + 1);
  }

  /** @param invocation the one that ends here, or -1 between two */
  private finishPart(invocation: number): void {
    const { part } = this;
    this.total.add(part);
    if (invocation >= 0) {
      const isWarmUp = invocation < this.trace.header.warmInvocations;
      const commonality = this.before === undefined ? undefined : part.code.jaccard(this.before);
      this.invocations.push({ invocation, isWarmUp, commonality, ...part.info() });
      this.before = part.code;
    }
    this.part = new Part(this.trace.blocks.count);
  }

  private count(stream: CoreStream, from: number, to: number): void {
    const { part, counts, lines, trace } = this;
    const { slotStart, slotSize } = trace.blocks;
    const { instructions, kernel, loads, stores, hasRep } = counts;
    const { blocks: ids, addresses } = stream;
    const { io } = trace.pages;
    for (let i = from; i < to; i++) {
      const id = ids[i];
      if (kernel[id] === 1) part.kernel += instructions[id];
      else part.user += instructions[id];
      part.loads += loads[id];
      part.stores += stores[id];
      if (part.seen[id] === 0) {
        part.seen[id] = 1;
        lines.addBlock(part.code, trace.blocks, id);
      }
      if (hasRep[id] === 1) {
        this.countRep(id, addresses);
        continue;
      }
      for (let slot = slotStart[id]; slot < slotStart[id + 1]; slot++) {
        const address = addresses[this.at++];
        if (io[address >>> 12] === 0) lines.add(part.data, address, slotSize[slot]);
      }
    }
    part.blockExecutions += to - from;
  }

  private countRep(id: number, addresses: Int32Array): void {
    const { slotStart, slotKind, slotSize } = this.trace.blocks;
    for (let slot = slotStart[id]; slot < slotStart[id + 1]; slot++) {
      const kind = slotKind[slot];
      if (kind < SlotKind.RepLoad) {
        this.touch(addresses[this.at++], slotSize[slot]);
        continue;
      }
      for (let left = addresses[this.at++]; left > 0; left--) {
        const iterations = addresses[this.at++];
        this.countSegment(kind, iterations);
        for (let o = kind >= SlotKind.RepMove ? 2 : 1; o > 0; o--) {
          const address = addresses[this.at++];
          const down = iterations < 0 ? (iterations + 1) * slotSize[slot] : 0;
          this.touch(address + down, Math.abs(iterations) * slotSize[slot]);
        }
      }
    }
  }

  private countSegment(kind: number, iterations: number): void {
    const count = Math.abs(iterations);
    if (kind !== SlotKind.RepStore) this.part.loads += kind === SlotKind.RepCompare ? 2 * count : count;
    if (kind === SlotKind.RepStore || kind === SlotKind.RepMove) this.part.stores += count;
  }

  private touch(address: number, bytes: number): void {
    if (this.trace.pages.io[address >>> 12] === 0) this.lines.add(this.part.data, address, bytes);
  }
}
