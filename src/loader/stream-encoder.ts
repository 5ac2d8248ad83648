import { InputError } from "../errors.js";
import { type BlockDictionary, grow } from "./block-dictionary.js";
import { ByteWriter } from "./bytes.js";
import { EventKind, type InvocationSpan, SlotFlag, SlotKind } from "./contract.js";
import { EventRules, eventName } from "./events.js";
import { MAX_EXEC_ADDRESSES } from "./format.js";

/** What the index says of one stream chunk. */
export interface StreamChunkSummary {
  executions: number;
  instructions: number;
}

/** One core's stream on its way into chunks. */
export class StreamEncoder {
  /** Block executions and instructions so far. */
  position = 0;
  instructions = 0;
  readonly spans: InvocationSpan[] = [];
  /** For each core that woke this one: the positions that it was said to have reached. */
  readonly wakers = new Map<number, Set<number>>();
  readonly rules: EventRules;

  private chunkPosition = 0;
  private chunkNext = 0;
  private chunkFlags = 0;
  private chunkInstructions = 0;
  /** Number of the chunk, from 1: in which one the successors and the cells of block b were last made fresh. */
  private chunk = 1;
  private freshSuccessor = new Int32Array(1024);
  private freshCells = new Int32Array(1024);
  private successor = new Int32Array(1024);
  private alternate = new Int32Array(1024);
  private last = new Int32Array(1024);
  private block = 0;
  private run = 0;
  private eventPosition = 0;
  private eventCount = 0;

  private readonly runs = new ByteWriter(1 << 16);
  private readonly targets = new ByteWriter(1 << 16);
  private readonly addresses = new ByteWriter(1 << 20);
  private readonly reps = new ByteWriter(1 << 12);
  private readonly events = new ByteWriter(1 << 12);

  constructor(
    readonly core: number,
    cores: number,
    invocations: number,
    private readonly blocks: BlockDictionary,
  ) {
    this.rules = new EventRules(core, cores, invocations);
  }

  get chunkExecutions(): number {
    return this.position - this.chunkPosition;
  }

  get pendingInstructions(): number {
    return this.instructions - this.chunkInstructions;
  }

  /** Bytes of the chunk so far. */
  get pendingBytes(): number {
    return (
      this.runs.length + this.targets.length + this.addresses.length + this.reps.length + this.events.length
    );
  }

  get isEmpty(): boolean {
    return this.chunkExecutions === 0 && this.eventCount === 0;
  }

  /** See TraceSink.exec. */
  exec(block: number, values: Int32Array, count: number, pageCount: number): void {
    const { blocks } = this;
    if (!(block >= 0 && block < blocks.count)) {
      throw this.bad(`block ${block} is not defined (${blocks.count} are)`);
    }
    if (this.rules.idle) throw this.bad(`block ${block} is executed between IdleBegin and IdleEnd`);
    if (count > values.length) throw this.bad(`${count} addresses claimed, the array holds ${values.length}`);
    const hasRep = blocks.hasRep[block] === 1;
    const slots = blocks.slotStart[block + 1] - blocks.slotStart[block];
    if (!hasRep && count !== slots) {
      throw this.bad(`block ${block} has ${slots} slots, ${count} addresses were given`);
    }
    if (hasRep) this.checkRep(block, values, count, pageCount);
    else this.checkPlain(block, values, count, pageCount);

    if (blocks.hasInitial[block] === 0) this.learnInitial(block, values);
    if (block >= this.freshCells.length || this.freshCells[block] !== this.chunk) this.refreshCells(block);
    this.transition(block);
    if (hasRep) this.encodeRep(block, values);
    else this.encodePlain(block, values, count);
    this.position++;
    this.instructions += blocks.instructions[block];
  }

  private checkPlain(block: number, values: Int32Array, count: number, pageCount: number): void {
    const { slotStart, slotSize, slotFlags } = this.blocks;
    const slot = slotStart[block];
    for (let i = 0; i < count; i++) {
      const address = values[i];
      if (address >>> 12 >= pageCount) throw this.badPage(block, i, address, pageCount);
      this.checkAccess(block, i, address, slotSize[slot + i]);
      if ((slotFlags[slot + i] & SlotFlag.Split) !== 0) {
        this.checkSplit(block, i, values[i - 1], slotSize[slot + i - 1], address);
      }
    }
  }

  private checkRep(block: number, values: Int32Array, count: number, pageCount: number): void {
    if (count > MAX_EXEC_ADDRESSES) throw this.bad(`${count} addresses of one execution are too many`);
    const { slotStart, slotKind, slotSize, slotFlags } = this.blocks;
    const first = slotStart[block];
    const slots = slotStart[block + 1] - first;
    const short = () => this.bad(`block ${block}: ${count} addresses end within its ${slots} slots`);
    let at = 0;
    for (let i = 0; i < slots; i++) {
      const kind = slotKind[first + i];
      const size = slotSize[first + i];
      if (at >= count) throw short();
      if (kind < SlotKind.RepLoad) {
        const address = values[at++];
        if (address >>> 12 >= pageCount) throw this.badPage(block, i, address, pageCount);
        this.checkAccess(block, i, address, size);
        if ((slotFlags[first + i] & SlotFlag.Split) !== 0) {
          this.checkSplit(block, i, values[at - 2], slotSize[first + i - 1], address);
        }
        continue;
      }
      const operands = kind >= SlotKind.RepMove ? 2 : 1;
      const segments = values[at++];
      if (segments < 0 || segments * (operands + 1) > count - at) throw short();
      for (let s = 0; s < segments; s++) {
        const iterations = values[at++];
        for (let o = 0; o < operands; o++) {
          const address = values[at++];
          if (address >>> 12 >= pageCount) throw this.badPage(block, i, address, pageCount);
          const problem = segmentProblem(iterations, size, address & 4095);
          if (problem !== "") throw this.bad(`block ${block} slot ${i} segment ${s}: ${problem}`);
        }
      }
    }
    if (at !== count) throw this.bad(`block ${block}: its ${slots} slots take ${at} addresses, got ${count}`);
  }

  private checkAccess(block: number, slot: number, address: number, size: number): void {
    const offset = address & 4095;
    if (offset + size > 4096) {
      throw this.bad(
        `block ${block} slot ${slot}: ${size} bytes at page offset ${offset} straddle two pages; use a Split slot`,
      );
    }
  }

  private checkSplit(block: number, slot: number, before: number, size: number, address: number): void {
    if ((address & 4095) !== 0 || (before & 4095) + size !== 4096) {
      throw this.bad(
        `block ${block} slot ${slot}: a Split slot starts its page (offset ${address & 4095}) where the slot ` +
          `before ends its own (offset ${before & 4095}, ${size} bytes)`,
      );
    }
  }

  /** The first execution in the whole trace fixes the initial addresses, unless the block is in the file already. */
  private learnInitial(block: number, values: Int32Array): void {
    const { blocks } = this;
    blocks.hasInitial[block] = 1;
    if (block < blocks.written) return;
    let at = 0;
    let cell = blocks.cellStart[block];
    for (let slot = blocks.slotStart[block]; slot < blocks.slotStart[block + 1]; slot++) {
      const kind = blocks.slotKind[slot];
      if (kind < SlotKind.RepLoad) {
        blocks.initial[cell++] = values[at++];
        continue;
      }
      const operands = kind >= SlotKind.RepMove ? 2 : 1;
      const segments = values[at++];
      for (let o = 0; o < operands; o++) blocks.initial[cell++] = segments > 0 ? values[at + 1 + o] : 0;
      at += segments * (operands + 1);
    }
  }

  /** The predictors of a block start afresh in each chunk. */
  private refreshCells(block: number): void {
    const { blocks } = this;
    this.freshCells = grow(this.freshCells, block + 1);
    this.freshCells[block] = this.chunk;
    const end = blocks.cellStart[block + 1];
    this.last = grow(this.last, end);
    for (let cell = blocks.cellStart[block]; cell < end; cell++) this.last[cell] = blocks.initial[cell];
  }

  private refreshSuccessor(block: number): void {
    this.freshSuccessor = grow(this.freshSuccessor, block + 1);
    this.successor = grow(this.successor, block + 1);
    this.alternate = grow(this.alternate, block + 1);
    this.freshSuccessor[block] = this.chunk;
    this.successor[block] = block + 1;
    this.alternate[block] = block;
  }

  private transition(block: number): void {
    const before = this.block;
    this.block = block;
    if (before >= this.freshSuccessor.length || this.freshSuccessor[before] !== this.chunk) {
      this.refreshSuccessor(before);
    }
    const predicted = this.successor[before];
    if (predicted === block) {
      this.run++;
      return;
    }
    this.runs.uvarint(this.run);
    this.run = 0;
    if (this.alternate[before] === block) this.targets.u8(0);
    else this.targets.uvarint(block + 1);
    this.alternate[before] = predicted;
    this.successor[before] = block;
  }

  private encodePlain(block: number, values: Int32Array, count: number): void {
    const { last, addresses } = this;
    addresses.reserve(count * 5);
    const bytes = addresses.bytes;
    let at = addresses.length;
    let cell = this.blocks.cellStart[block];
    for (let i = 0; i < count; i++) {
      const delta = (values[i] - last[cell]) | 0;
      last[cell++] = values[i];
      let rest = ((delta << 1) ^ (delta >> 31)) >>> 0;
      while (rest > 127) {
        bytes[at++] = (rest & 127) | 128;
        rest >>>= 7;
      }
      bytes[at++] = rest;
    }
    addresses.length = at;
  }

  private encodeRep(block: number, values: Int32Array): void {
    const { slotStart, slotKind, cellStart } = this.blocks;
    const { last, addresses, reps } = this;
    let at = 0;
    let cell = cellStart[block];
    for (let slot = slotStart[block]; slot < slotStart[block + 1]; slot++) {
      const kind = slotKind[slot];
      if (kind < SlotKind.RepLoad) {
        addresses.svarint(values[at] - last[cell]);
        last[cell++] = values[at++];
        continue;
      }
      const operands = kind >= SlotKind.RepMove ? 2 : 1;
      const segments = values[at++];
      reps.uvarint(segments);
      for (let s = 0; s < segments; s++) {
        reps.svarint(values[at++]);
        for (let o = 0; o < operands; o++) {
          reps.svarint(values[at] - last[cell + o]);
          last[cell + o] = values[at++];
        }
      }
      cell += operands;
    }
  }

  /** See TraceSink.event. */
  event(kind: EventKind, a: number, b: number, c: number): void {
    const problem = this.rules.take(kind, a, b, c);
    if (problem !== "") throw this.bad(`${eventName(kind)}: ${problem}`);
    if (kind === EventKind.WorkBegin) {
      this.spans.push({ invocation: a, begin: this.position, end: -1, instructions: this.instructions });
    } else if (kind === EventKind.WorkEnd) {
      const span = this.spans[a];
      span.end = this.position;
      span.instructions = this.instructions - span.instructions;
    } else if (kind === EventKind.IdleEnd && a >= 0) {
      const positions = this.wakers.get(a) ?? new Set();
      this.wakers.set(a, positions.add(b));
    }
    const { events } = this;
    events.uvarint(this.position - this.eventPosition);
    this.eventPosition = this.position;
    events.u8(kind);
    events.uvarint53(a + 1);
    events.uvarint53(b + 1);
    events.uvarint53(c + 1);
    this.eventCount++;
  }

  /** Content of a stream chunk with everything since the last one; starts the next. */
  flush(): { content: Uint8Array; summary: StreamChunkSummary } {
    this.runs.uvarint(this.run);
    const parts = [this.runs, this.targets, this.addresses, this.reps, this.events];
    const summary = { executions: this.chunkExecutions, instructions: this.pendingInstructions };
    const out = new ByteWriter(this.pendingBytes + 64);
    out.uvarint53(this.chunkPosition);
    out.uvarint(summary.executions);
    out.uvarint(summary.instructions);
    out.uvarint(this.eventCount);
    out.uvarint(this.chunkNext);
    out.u8(this.chunkFlags);
    for (const part of parts) out.uvarint(part.length);
    for (const part of parts) {
      out.raw(part.view());
      part.clear();
    }
    this.chunkPosition = this.position;
    this.chunkNext = this.rules.next;
    this.chunkFlags = this.rules.flags;
    this.eventPosition = this.position;
    this.chunkInstructions = this.instructions;
    this.eventCount = 0;
    this.block = 0;
    this.run = 0;
    this.chunk++;
    return { content: out.view(), summary };
  }

  private badPage(block: number, slot: number, address: number, pageCount: number): InputError {
    return this.bad(
      `block ${block} slot ${slot}: page ${address >>> 12} of address ${address} is not defined (${pageCount} are)`,
    );
  }

  private bad(problem: string): InputError {
    return new InputError(`trace writer: core ${this.core}, execution ${this.position}: ${problem}`);
  }
}

/**
 * What is impossible about one segment of a Rep slot, or "".
 * @param iterations negative when addresses go down
 * @param size bytes of an element
 * @param offset page offset of the lowest-numbered iteration's element
 */
export function segmentProblem(iterations: number, size: number, offset: number): string {
  if (iterations === 0) return "a segment has at least one iteration";
  if (iterations === 1 || iterations === -1) return "";
  const low = iterations > 0 ? offset : offset + (iterations + 1) * size;
  const high = iterations > 0 ? offset + iterations * size : offset + size;
  if (low >= 0 && high <= 4096) return "";
  return `${iterations} iterations of ${size} bytes from page offset ${offset} leave the page`;
}
