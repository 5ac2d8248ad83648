import { ByteReader, ByteWriter } from "./bytes.js";
import type { CoreSummary, InvocationSpan } from "./contract.js";
import { ChunkError } from "./errors.js";
import {
  CHUNK_HEADER_BYTES,
  ChunkKind,
  MAX_CHUNK_BYTES,
  MAX_CHUNK_INSTRUCTIONS,
  PREAMBLE_BYTES,
} from "./format.js";

/** One chunk as the index lists it. */
export interface ChunkEntry {
  kind: ChunkKind;
  /** Offset of the chunk's header in the file. */
  offset: number;
  /** Bytes of the content as it stands in the file. */
  storedBytes: number;
  /** CRC-32 of the content as it stands in the file. */
  crc: number;
  core: number;
  /** Of a stream chunk: block executions and instructions of its core before it, and in it. */
  position: number;
  firstInstruction: number;
  executions: number;
  instructions: number;
}

/** What the index chunk says. */
export interface TraceIndex {
  pages: number;
  blocks: number;
  chunks: ChunkEntry[];
  cores: CoreSummary[];
}

export function encodeIndex(index: TraceIndex): Uint8Array {
  const out = new ByteWriter(1 << 12);
  out.uvarint(index.pages);
  out.uvarint(index.blocks);
  out.uvarint(index.chunks.length);
  for (const chunk of index.chunks) {
    out.u8(chunk.kind);
    out.uvarint(chunk.storedBytes);
    out.u32(chunk.crc);
    if (chunk.kind !== ChunkKind.Stream) continue;
    out.uvarint(chunk.core);
    out.uvarint(chunk.executions);
    out.uvarint(chunk.instructions);
  }
  for (const core of index.cores) {
    out.uvarint(core.invocations.length);
    let position = 0;
    for (const span of core.invocations) {
      out.uvarint53(span.begin - position);
      out.uvarint53(span.end - span.begin);
      out.uvarint53(span.instructions);
      position = span.end;
    }
    out.uvarint(core.wakePositions.length);
    position = 0;
    for (const wake of core.wakePositions) {
      out.uvarint53(wake - position);
      position = wake;
    }
  }
  return out.view();
}

/**
 * @param end offset of the index chunk: the chunks fill the file up to there
 * Throws ChunkError.
 */
export function decodeIndex(
  content: Uint8Array,
  cores: number,
  invocations: number,
  end: number,
): TraceIndex {
  const input = new ByteReader(content);
  const pages = input.uvarint("the number of pages");
  const blocks = input.uvarint("the number of blocks");
  const chunkCount = input.uvarint("the number of chunks", input.left);
  const chunks: ChunkEntry[] = [];
  const totals = Array.from({ length: cores }, () => ({ executions: 0, instructions: 0 }));
  let offset = PREAMBLE_BYTES;
  for (let i = 0; i < chunkCount; i++) {
    const chunk = decodeEntry(input, offset, totals);
    if ((chunk.kind === ChunkKind.Header) !== (i === 0)) {
      throw new ChunkError("the header chunk comes first, and once");
    }
    chunks.push(chunk);
    offset += CHUNK_HEADER_BYTES + chunk.storedBytes;
  }
  if (offset !== end) throw new ChunkError(`the chunks end at byte ${offset}, the index begins at ${end}`);
  const summaries = totals.map(({ executions, instructions }, core) => ({
    blockExecutions: executions,
    instructions,
    invocations: decodeSpans(input, core, executions, instructions, invocations),
    wakePositions: decodeWakes(input, core, executions),
  }));
  input.finish("the index");
  return { pages, blocks, chunks, cores: summaries };
}

function decodeEntry(
  input: ByteReader,
  offset: number,
  totals: { executions: number; instructions: number }[],
): ChunkEntry {
  const kind = input.u8() as ChunkKind;
  if (kind < ChunkKind.Header || kind >= ChunkKind.Index)
    throw new ChunkError(`chunk kind ${kind} in the index`);
  const storedBytes = input.uvarint("a chunk's size", MAX_CHUNK_BYTES);
  const crc = input.u32();
  const entry = {
    kind,
    offset,
    storedBytes,
    crc,
    core: 0,
    position: 0,
    firstInstruction: 0,
    executions: 0,
    instructions: 0,
  };
  if (kind !== ChunkKind.Stream) return entry;
  entry.core = input.uvarint("a core", totals.length - 1);
  const total = totals[entry.core];
  entry.executions = input.uvarint("a chunk's block executions", MAX_CHUNK_INSTRUCTIONS);
  entry.instructions = input.uvarint("a chunk's instructions", MAX_CHUNK_INSTRUCTIONS);
  entry.position = total.executions;
  entry.firstInstruction = total.instructions;
  total.executions += entry.executions;
  total.instructions += entry.instructions;
  return entry;
}

function decodeSpans(
  input: ByteReader,
  core: number,
  executions: number,
  instructions: number,
  invocations: number,
): InvocationSpan[] {
  const count = input.uvarint("the number of invocation spans");
  if (count !== invocations) {
    throw new ChunkError(`core ${core} has ${count} invocations, the header ${invocations}`);
  }
  if (count > input.left) throw new ChunkError("the content ends too early");
  const spans: InvocationSpan[] = [];
  let position = 0;
  for (let invocation = 0; invocation < count; invocation++) {
    const begin = position + input.uvarint53("an invocation's begin");
    position = begin + input.uvarint53("an invocation's length");
    const span = {
      invocation,
      begin,
      end: position,
      instructions: input.uvarint53("an invocation's instructions"),
    };
    if (span.end > executions || span.instructions > instructions) {
      throw new ChunkError(`invocation ${invocation} runs over the end of core ${core}'s stream`);
    }
    spans.push(span);
  }
  return spans;
}

function decodeWakes(input: ByteReader, core: number, executions: number): number[] {
  const count = input.uvarint("the number of wake positions", input.left);
  const wakes: number[] = [];
  let position = 0;
  for (let i = 0; i < count; i++) {
    const step = input.uvarint53("a wake position");
    position += step;
    if ((step === 0 && i > 0) || position > executions) {
      throw new ChunkError(`wake position ${position} of core ${core} is not possible`);
    }
    wakes.push(position);
  }
  return wakes;
}
