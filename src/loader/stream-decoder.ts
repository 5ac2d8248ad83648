import { grow } from "./block-dictionary.js";
import { ByteReader } from "./bytes.js";
import { type BlockTable, SlotKind } from "./contract.js";
import { ChunkError } from "./errors.js";
import { MAX_CHUNK_INSTRUCTIONS } from "./format.js";
import { segmentProblem } from "./stream-encoder.js";
import type { DecodeTables } from "./tables.js";

/** Block executions of a batch: with some 2 addresses each, blocks and addresses stay in the host's L1 and L2. */
export const BATCH_EXECUTIONS = 4096;

/**
 * Decodes the content of one core's stream chunks into batches. Every number it hands out is in range:
 * blocks and pages exist, accesses and segments stay on their pages. Throws ChunkError.
 */
export class StreamDecoder {
  /** The batch: see CoreStream. */
  readonly blocks = new Int32Array(BATCH_EXECUTIONS);
  blockCount = 0;
  addresses: Int32Array = new Int32Array(BATCH_EXECUTIONS * 4);
  addressCount = 0;
  eventCount = 0;
  eventAt = new Int32Array(16);
  eventKind = new Int32Array(16);
  eventA = new Float64Array(16);
  eventB = new Float64Array(16);
  eventC = new Float64Array(16);
  /** Instructions of the batch. */
  instructions = 0;

  /** What the chunk says of itself. */
  chunkPosition = 0;
  chunkExecutions = 0;
  chunkInstructions = 0;
  /** State of the event rules at its start. */
  chunkNext = 0;
  chunkFlags = 0;

  private executionsLeft = 0;
  private instructionsLeft = 0;
  private eventsLeft = 0;
  private eventsAhead = 0;

  private bytes: Uint8Array = new Uint8Array(0);
  private runAt = 0;
  private runEnd = 0;
  private targetAt = 0;
  private targetEnd = 0;
  private addressAt = 0;
  private addressEnd = 0;
  private readonly reps = new ByteReader(new Uint8Array(0));
  private readonly events = new ByteReader(new Uint8Array(0));

  private run = 0;
  private block = 0;
  /** Last and second last successor of each block; one element more: a block that does not exist. */
  private readonly successor: Int32Array;
  private readonly alternate: Int32Array;
  private readonly freshSuccessor: Int32Array;
  private readonly freshAlternate: Int32Array;
  private readonly last: Int32Array;

  constructor(
    private readonly tables: DecodeTables,
    private readonly table: BlockTable,
  ) {
    const count = tables.blockCount;
    this.freshSuccessor = Int32Array.from({ length: count + 1 }, (_, b) => Math.min(b + 1, count));
    this.freshAlternate = Int32Array.from({ length: count + 1 }, (_, b) => b);
    this.successor = this.freshSuccessor.slice();
    this.alternate = this.freshAlternate.slice();
    this.last = tables.initial.slice();
  }

  /** True when the whole chunk was decoded, or none was loaded. */
  get isDone(): boolean {
    return this.executionsLeft === 0 && this.eventsLeft === 0;
  }

  /** @param content borrowed until the chunk is done */
  load(content: Uint8Array): void {
    const input = new ByteReader(content);
    this.chunkPosition = input.uvarint53("the position");
    this.chunkExecutions = input.uvarint("block executions", MAX_CHUNK_INSTRUCTIONS);
    this.chunkInstructions = input.uvarint("instructions", MAX_CHUNK_INSTRUCTIONS);
    this.eventsLeft = input.uvarint("events", input.left);
    this.chunkNext = input.uvarint("the next invocation");
    this.chunkFlags = input.u8();
    const sizes = Array.from({ length: 5 }, () => input.uvarint("the size of a part", input.left));
    let at = input.at;
    const [runs, targets, addresses, reps, events] = sizes.map((size) => {
      const part = { at, end: at + size };
      at += size;
      return part;
    });
    if (at !== content.length) throw new ChunkError(`the parts take ${at} bytes of ${content.length}`);
    this.bytes = content;
    this.runAt = runs.at;
    this.runEnd = runs.end;
    this.targetAt = targets.at;
    this.targetEnd = targets.end;
    this.addressAt = addresses.at;
    this.addressEnd = addresses.end;
    this.reps.reset(content, reps.at, reps.end);
    this.events.reset(content, events.at, events.end);
    this.executionsLeft = this.chunkExecutions;
    this.instructionsLeft = this.chunkInstructions;
    this.block = 0;
    this.successor.set(this.freshSuccessor);
    this.alternate.set(this.freshAlternate);
    this.last.set(this.tables.initial);
    this.run = this.readRun();
    this.eventsAhead = this.eventsLeft > 0 ? this.events.uvarint("an event's place") : 0;
  }

  /** Decodes the next batch. Not to be called when `isDone`. */
  decode(): void {
    const count = Math.min(BATCH_EXECUTIONS, this.executionsLeft);
    this.decodeBlocks(count);
    this.decodeAddresses(count);
    this.executionsLeft -= count;
    this.instructionsLeft -= this.instructions;
    this.decodeEvents();
    if (this.isDone) this.finish();
  }

  private decodeBlocks(count: number): void {
    const { bytes, blocks, successor, alternate } = this;
    const blockCount = this.tables.blockCount;
    let { run, block, targetAt } = this;
    let i = 0;
    while (i < count) {
      if (run > 0) {
        const end = run < count - i ? i + run : count;
        run -= end - i;
        while (i < end) {
          block = successor[block];
          blocks[i++] = block;
        }
        // The block that does not exist is its own successor.
        if (block === blockCount) throw new ChunkError(`the successor of the last block is executed`);
        continue;
      }
      let target = bytes[targetAt++];
      if (target > 127) {
        const second = bytes[targetAt++];
        target = (target & 127) | ((second & 127) << 7);
        if (second > 127) {
          const third = bytes[targetAt++];
          target |= (third & 127) << 14;
          if (third > 127) target |= bytes[targetAt++] << 21;
        }
      }
      const next = target === 0 ? alternate[block] : target - 1;
      if (!(next < blockCount)) throw new ChunkError(`block ${next} of ${blockCount} is executed`);
      alternate[block] = successor[block];
      successor[block] = next;
      block = next;
      blocks[i++] = block;
      run = this.readRun();
    }
    if (targetAt > this.targetEnd) throw new ChunkError("the block transitions end too early");
    this.run = run;
    this.block = block;
    this.targetAt = targetAt;
    this.blockCount = count;
  }

  private readRun(): number {
    const { bytes } = this;
    let at = this.runAt;
    if (at >= this.runEnd) throw new ChunkError("the run lengths end too early");
    let run = bytes[at++];
    if (run > 127) {
      run &= 127;
      let shift = 7;
      let byte: number;
      do {
        byte = bytes[at++];
        run |= (byte & 127) << shift;
        shift += 7;
      } while (byte > 127 && shift < 28);
      if (byte > 127) throw new ChunkError("a run length is too long");
    }
    this.runAt = at;
    return run;
  }

  private decodeAddresses(count: number): void {
    const { bytes, blocks, last } = this;
    const { instructions, cellStart, hasRep, limit } = this.tables;
    const lastPage = this.tables.pageCount - 1;
    let addresses = this.addresses;
    let at = this.addressAt;
    let out = 0;
    let sum = 0;
    // Negative as soon as one page does not exist or one access leaves its page.
    let bad = 0;
    for (let i = 0; i < count; i++) {
      const block = blocks[i];
      const end = cellStart[block + 1];
      let cell = cellStart[block];
      sum += instructions[block];
      if (out + end - cell > addresses.length) addresses = this.growAddresses(out + end - cell);
      if (hasRep[block] !== 0) {
        this.addressAt = at;
        out = this.decodeRep(block, out);
        addresses = this.addresses;
        at = this.addressAt;
        continue;
      }
      while (cell < end) {
        let delta = bytes[at++];
        if (delta > 127) {
          let byte = bytes[at++];
          delta = (delta & 127) | ((byte & 127) << 7);
          if (byte > 127) {
            byte = bytes[at++];
            delta |= (byte & 127) << 14;
            if (byte > 127) {
              byte = bytes[at++];
              delta |= (byte & 127) << 21;
              if (byte > 127) delta |= bytes[at++] << 28;
            }
          }
        }
        const address = (last[cell] + ((delta >>> 1) ^ -(delta & 1))) | 0;
        last[cell] = address;
        addresses[out++] = address;
        bad |= (lastPage - (address >>> 12)) | (limit[cell] - (address & 4095));
        cell++;
      }
    }
    if (at > this.addressEnd) throw new ChunkError("the addresses end too early");
    if (bad < 0) throw new ChunkError("an access is to a page that does not exist, or leaves its page");
    this.addressAt = at;
    this.addressCount = out;
    this.instructions = sum;
  }

  /** One execution of a block with Rep slots. @returns the new end of the addresses */
  private decodeRep(block: number, start: number): number {
    const { reps, last } = this;
    const { slotStart, slotKind, slotSize } = this.table;
    const input = new ByteReader(this.bytes, this.addressAt, this.addressEnd);
    let out = start;
    let cell = this.tables.cellStart[block];
    for (let slot = slotStart[block]; slot < slotStart[block + 1]; slot++) {
      const kind = slotKind[slot];
      if (kind < SlotKind.RepLoad) {
        last[cell] = this.checked(last[cell] + input.svarint("an address"));
        if ((last[cell] & 4095) > this.tables.limit[cell]) throw new ChunkError("an access leaves its page");
        this.addresses[out++] = last[cell++];
        continue;
      }
      const operands = kind >= SlotKind.RepMove ? 2 : 1;
      const segments = reps.uvarint("segments", Math.floor(reps.left / (operands + 1)));
      // Room for this slot's numbers and for the plain ones of the slots to come.
      const need = out + 1 + segments * (operands + 1) + this.tables.cellStart[block + 1] - cell;
      if (need > this.addresses.length) this.growAddresses(need);
      const { addresses } = this;
      addresses[out++] = segments;
      for (let s = 0; s < segments; s++) {
        const iterations = reps.svarint("iterations");
        addresses[out++] = iterations;
        for (let o = 0; o < operands; o++) {
          const address = this.checked(last[cell + o] + reps.svarint("an address"));
          const problem = segmentProblem(iterations, slotSize[slot], address & 4095);
          if (problem !== "") throw new ChunkError(problem);
          last[cell + o] = address;
          addresses[out++] = address;
        }
      }
      cell += operands;
    }
    this.addressAt = input.at;
    return out;
  }

  private checked(sum: number): number {
    const address = sum | 0;
    if (address >>> 12 >= this.tables.pageCount) {
      throw new ChunkError(`an access to page ${address >>> 12} of ${this.tables.pageCount}`);
    }
    return address;
  }

  private growAddresses(need: number): Int32Array {
    this.addresses = grow(this.addresses, need);
    return this.addresses;
  }

  /** Takes the events up to the end of the batch; those at its end only with the chunk's last batch. */
  private decodeEvents(): void {
    let place = 0;
    let count = 0;
    const isLast = this.executionsLeft === 0;
    while (this.eventsLeft > 0) {
      const at = place + this.eventsAhead;
      if (at > this.blockCount || (at === this.blockCount && !isLast)) break;
      place = at;
      this.addEvent(count++, at);
      this.eventsLeft--;
      this.eventsAhead = this.eventsLeft > 0 ? this.events.uvarint("an event's place") : 0;
    }
    this.eventsAhead -= this.blockCount - place;
    this.eventCount = count;
    if (isLast && this.eventsLeft > 0) throw new ChunkError("an event stands after the end of its chunk");
  }

  private addEvent(i: number, at: number): void {
    if (i === this.eventAt.length) {
      this.eventAt = grow(this.eventAt, i + 1);
      this.eventKind = grow(this.eventKind, i + 1);
      this.eventA = grow(this.eventA, i + 1);
      this.eventB = grow(this.eventB, i + 1);
      this.eventC = grow(this.eventC, i + 1);
    }
    const { events } = this;
    this.eventAt[i] = at;
    this.eventKind[i] = events.u8();
    this.eventA[i] = events.uvarint53("an operand") - 1;
    this.eventB[i] = events.uvarint53("an operand") - 1;
    this.eventC[i] = events.uvarint53("an operand") - 1;
  }

  private finish(): void {
    if (this.run !== 0) throw new ChunkError("a run goes over the end of its chunk");
    if (this.instructionsLeft !== 0) {
      throw new ChunkError(
        `the chunk says ${this.chunkInstructions} instructions, its blocks have ${this.chunkInstructions - this.instructionsLeft}`,
      );
    }
    const isUsed = this.runAt === this.runEnd && this.targetAt === this.targetEnd;
    if (!isUsed || this.addressAt !== this.addressEnd)
      throw new ChunkError("a part of the chunk is longer than used");
    this.reps.finish("the segments");
    this.events.finish("the events");
  }
}
