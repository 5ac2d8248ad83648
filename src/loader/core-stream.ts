import { InputError } from "../errors.js";
import {
  type BlockTable,
  type CoreStream,
  type CoreSummary,
  EventKind,
  type TraceHeader,
} from "./contract.js";
import { ChunkError, TraceError } from "./errors.js";
import { EventRules, eventName } from "./events.js";
import { StreamDecoder } from "./stream-decoder.js";
import type { DecodeTables } from "./tables.js";
import type { ChunkReader, TraceFile } from "./trace-file.js";
import type { ChunkEntry } from "./trace-index.js";

/** A stream chunk and its place in the file's order. */
export interface StreamChunk extends ChunkEntry {
  sequence: number;
}

/** Sees every event, in order. @returns what is wrong with it, or "" */
export interface EventObserver {
  /**
   * @param position block executions before the event
   * @param instructions instructions before it; only known for WorkBegin and WorkEnd, else 0
   */
  event(kind: EventKind, a: number, b: number, position: number, instructions: number): string;
}

/** What all streams of an open trace share. */
export interface StreamSource {
  file: TraceFile;
  header: TraceHeader;
  blocks: BlockTable;
  decode: DecodeTables;
  /** Where a salvaged trace breaks off. */
  damage: TraceError | undefined;
}

/** Reads one core's chunks one after the other; see CoreStream. */
export class ChunkedCoreStream implements CoreStream {
  position = 0;

  private readonly decoder: StreamDecoder;
  private readonly rules: EventRules;
  private chunk: StreamChunk | undefined;
  private instructionsBefore = 0;
  private failed: unknown;

  /**
   * @param chunks all stream chunks of the core, in order
   * @param next index of the chunk to start with
   */
  constructor(
    private readonly source: StreamSource,
    readonly core: number,
    private readonly chunks: readonly StreamChunk[],
    private next_: number,
    private readonly reader: ChunkReader,
    private readonly observer: EventObserver,
  ) {
    const { header } = source;
    this.decoder = new StreamDecoder(source.decode, source.blocks);
    this.rules = new EventRules(core, header.cores, header.warmInvocations + header.measuredInvocations);
  }

  get blocks(): Int32Array {
    return this.decoder.blocks;
  }
  get blockCount(): number {
    return this.decoder.blockCount;
  }
  get addresses(): Int32Array {
    return this.decoder.addresses;
  }
  get addressCount(): number {
    return this.decoder.addressCount;
  }
  get eventCount(): number {
    return this.decoder.eventCount;
  }
  get eventAt(): Int32Array {
    return this.decoder.eventAt;
  }
  get eventKind(): Int32Array {
    return this.decoder.eventKind;
  }
  get eventA(): Float64Array {
    return this.decoder.eventA;
  }
  get eventB(): Float64Array {
    return this.decoder.eventB;
  }
  get eventC(): Float64Array {
    return this.decoder.eventC;
  }

  next(): boolean {
    if (this.failed !== undefined) throw this.failed;
    try {
      return this.advance();
    } catch (error) {
      this.failed = error;
      throw error;
    }
  }

  private advance(): boolean {
    const { decoder, source } = this;
    if (!source.file.isOpen) throw new InputError(`${source.file.path}: the trace was closed`);
    if (this.chunk !== undefined) {
      this.position += decoder.blockCount;
      this.instructionsBefore += decoder.instructions;
    }
    while (decoder.isDone) {
      if (this.next_ === this.chunks.length) {
        if (source.damage !== undefined) throw source.damage;
        this.checkEnd();
        this.clear();
        return false;
      }
      this.open(this.chunks[this.next_++]);
    }
    source.file.at((this.chunk as StreamChunk).offset, () => {
      decoder.decode();
      this.checkEvents();
    });
    return true;
  }

  private checkEnd(): void {
    const { rules, source, chunks } = this;
    if (this.chunk === undefined && chunks.length > 0) return;
    if (rules.next === rules.invocations && rules.open < 0) return;
    throw new TraceError(
      source.file.path,
      chunks.at(-1)?.offset ?? source.file.size,
      `core ${this.core}'s stream ends after ${rules.next} of ${rules.invocations} invocations`,
    );
  }

  private clear(): void {
    this.chunk = undefined;
    this.decoder.blockCount = 0;
    this.decoder.addressCount = 0;
    this.decoder.eventCount = 0;
    this.decoder.instructions = 0;
  }

  private open(chunk: StreamChunk): void {
    const { decoder, rules } = this;
    const isFirst = this.chunk === undefined;
    this.chunk = chunk;
    const content = this.reader.content(chunk);
    this.source.file.at(chunk.offset, () => {
      decoder.load(content);
      const isSame =
        decoder.chunkPosition === chunk.position &&
        decoder.chunkExecutions === chunk.executions &&
        decoder.chunkInstructions === chunk.instructions;
      if (!isSame) throw new ChunkError("the chunk and the index do not agree on what is in it");
      const { chunkNext, chunkFlags } = decoder;
      if (!isFirst && (chunkNext !== rules.next || chunkFlags !== rules.flags)) {
        throw new ChunkError("the chunk does not go on where the one before ended");
      }
      if (!rules.restore(chunkNext, chunkFlags))
        throw new ChunkError("the chunk starts in an impossible state");
    });
    this.position = chunk.position;
    this.instructionsBefore = chunk.firstInstruction;
  }

  private checkEvents(): void {
    const { decoder, rules, source, position } = this;
    const { blocks, eventAt, eventKind, eventA, eventB, eventC } = decoder;
    const { instructions } = source.decode;
    let counted = 0;
    let sum = this.instructionsBefore;
    for (let i = 0; i < decoder.eventCount; i++) {
      const kind = eventKind[i] as EventKind;
      const problem = rules.take(kind, eventA[i], eventB[i], eventC[i]);
      if (problem !== "")
        throw new ChunkError(`${eventName(kind)} before execution ${position + eventAt[i]}: ${problem}`);
      const isWork = kind === EventKind.WorkBegin || kind === EventKind.WorkEnd;
      if (isWork) for (; counted < eventAt[i]; counted++) sum += instructions[blocks[counted]];
      const mismatch = this.observer.event(
        kind,
        eventA[i],
        eventB[i],
        position + eventAt[i],
        isWork ? sum : 0,
      );
      if (mismatch !== "") throw new ChunkError(mismatch);
    }
  }
}

/** Compares a core's events with what the index says of them. */
export class IndexChecker implements EventObserver {
  private begunAt = -1;

  constructor(
    private readonly core: number,
    private readonly cores: readonly CoreSummary[],
  ) {}

  event(kind: EventKind, a: number, b: number, position: number, instructions: number): string {
    const span = this.cores[this.core].invocations[a];
    switch (kind) {
      case EventKind.WorkBegin:
        this.begunAt = instructions;
        return span?.begin === position
          ? ""
          : `invocation ${a} begins at ${position}, the index says ${span?.begin}`;
      case EventKind.WorkEnd: {
        if (span?.end !== position) return `invocation ${a} ends at ${position}, the index says ${span?.end}`;
        const length = instructions - this.begunAt;
        if (this.begunAt < 0 || length === span.instructions) return "";
        return `invocation ${a} has ${length} instructions, the index says ${span.instructions}`;
      }
      case EventKind.IdleEnd:
        return a < 0 || includes(this.cores[a].wakePositions, b)
          ? ""
          : `the index does not have the wake-up that core ${a} sent at ${b}`;
      default:
        return "";
    }
  }
}

/** Binary search in an ascending array. */
function includes(sorted: readonly number[], value: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}
