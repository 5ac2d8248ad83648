import { ByteReader } from "./bytes.js";
import { type CoreSummary, EventKind, type InvocationSpan, type TraceHeader } from "./contract.js";
import { ChunkedCoreStream, type EventObserver, type StreamChunk } from "./core-stream.js";
import { TraceError } from "./errors.js";
import { CHUNK_HEADER_BYTES, ChunkKind, PREAMBLE_BYTES } from "./format.js";
import type { ChunkReader, TraceFile } from "./trace-file.js";
import { readTables, type TraceTables } from "./trace-tables.js";

/** What is left of a damaged trace. */
export interface Salvage {
  chunks: StreamChunk[];
  cores: CoreSummary[];
  tables: TraceTables;
  damage: TraceError;
}

/**
 * Rebuilds the index from the chunks before the first damage, by reading all of them.
 * @param indexDamage why the trace cannot be opened; stands when the chunks themselves are whole
 */
export function salvage(
  file: TraceFile,
  reader: ChunkReader,
  header: TraceHeader,
  indexDamage: TraceError,
): Salvage {
  let { chunks, damage } = scanChunks(file, reader, header, indexDamage);
  for (;;) {
    try {
      return { ...readChunks(file, reader, header, chunks, damage), chunks, damage };
    } catch (error) {
      // Checksums are right, yet the content is not: the damage begins there.
      if (!(error instanceof TraceError) || error === damage) throw error;
      const { offset } = error;
      damage = error;
      chunks = chunks.filter((chunk) => chunk.offset < offset);
      if (chunks.length === 0) throw error;
    }
  }
}

function scanChunks(
  file: TraceFile,
  reader: ChunkReader,
  header: TraceHeader,
  indexDamage: TraceError,
): { chunks: StreamChunk[]; damage: TraceError } {
  const chunks: StreamChunk[] = [];
  let offset = PREAMBLE_BYTES;
  try {
    for (;;) {
      const { kind, core, sequence, storedBytes, crc } = reader.header(offset);
      const chunk = { kind, core, sequence, storedBytes, crc, offset };
      if (sequence !== chunks.length) {
        throw new TraceError(
          file.path,
          offset,
          `chunk ${sequence} stands where ${chunks.length} was expected`,
        );
      }
      if ((kind === ChunkKind.Header) !== (sequence === 0) || core >= header.cores) {
        throw new TraceError(
          file.path,
          offset,
          `a chunk of kind ${kind} and core ${core} is not possible here`,
        );
      }
      if (kind === ChunkKind.Index) return { chunks, damage: indexDamage };
      const content = reader.content(chunk);
      const prelude = kind === ChunkKind.Stream ? file.at(offset, () => readPrelude(content)) : NO_PRELUDE;
      chunks.push({ ...chunk, ...prelude });
      offset += CHUNK_HEADER_BYTES + storedBytes;
    }
  } catch (error) {
    if (error instanceof TraceError) return { chunks, damage: error };
    throw error;
  }
}

const NO_PRELUDE = { position: 0, executions: 0, instructions: 0, firstInstruction: 0 };

function readPrelude(content: Uint8Array): typeof NO_PRELUDE {
  const input = new ByteReader(content);
  return {
    position: input.uvarint53("the position"),
    executions: input.uvarint("block executions"),
    instructions: input.uvarint("instructions"),
    firstInstruction: 0,
  };
}

function readChunks(
  file: TraceFile,
  reader: ChunkReader,
  header: TraceHeader,
  chunks: readonly StreamChunk[],
  damage: TraceError,
): { cores: CoreSummary[]; tables: TraceTables } {
  const tables = readTables(file, reader, chunks);
  const source = { file, header, blocks: tables.blocks, decode: tables.decode, damage };
  const wakes = Array.from({ length: header.cores }, () => new Set<number>());
  const cores = wakes.map((_, core) => {
    const own = chunks.filter((chunk) => chunk.kind === ChunkKind.Stream && chunk.core === core);
    const total = joinChunks(file, own);
    const collector = new Collector(wakes);
    const stream = new ChunkedCoreStream(source, core, own, 0, reader, collector);
    try {
      while (stream.next());
    } catch (error) {
      if (error !== damage) throw error;
    }
    return { ...total, invocations: collector.spans };
  });
  const ascending = (positions: Set<number>) => [...positions].sort((a, b) => a - b);
  return { cores: cores.map((core, i) => ({ ...core, wakePositions: ascending(wakes[i]) })), tables };
}

/** Fills in the instructions before each chunk of a core; checks that the chunks join. */
function joinChunks(
  file: TraceFile,
  chunks: StreamChunk[],
): { blockExecutions: number; instructions: number } {
  let blockExecutions = 0;
  let instructions = 0;
  for (const chunk of chunks) {
    if (chunk.position !== blockExecutions) {
      const problem = `the chunk starts at position ${chunk.position}, ${blockExecutions} was expected`;
      throw new TraceError(file.path, chunk.offset, problem);
    }
    chunk.firstInstruction = instructions;
    blockExecutions += chunk.executions;
    instructions += chunk.instructions;
  }
  return { blockExecutions, instructions };
}

/** Gathers what the index would have said. */
class Collector implements EventObserver {
  readonly spans: InvocationSpan[] = [];
  private begin = 0;
  private begunAt = 0;

  constructor(private readonly wakes: Set<number>[]) {}

  event(kind: EventKind, a: number, b: number, position: number, instructions: number): string {
    if (kind === EventKind.WorkBegin) {
      this.begin = position;
      this.begunAt = instructions;
    } else if (kind === EventKind.WorkEnd) {
      const span = {
        invocation: a,
        begin: this.begin,
        end: position,
        instructions: instructions - this.begunAt,
      };
      this.spans.push(span);
    } else if (kind === EventKind.IdleEnd && a >= 0) {
      this.wakes[a].add(b);
    }
    return "";
  }
}
