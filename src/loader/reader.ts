import { InputError } from "../errors.js";
import { ByteReader } from "./bytes.js";
import type { BlockTable, CoreStream, CoreSummary, PageTable, Trace, TraceHeader } from "./contract.js";
import {
  ChunkedCoreStream,
  type EventObserver,
  IndexChecker,
  type StreamChunk,
  type StreamSource,
} from "./core-stream.js";
import { ChunkError, TraceError } from "./errors.js";
import {
  CHUNK_HEADER_BYTES,
  ChunkKind,
  checkPreamble,
  decodeFooter,
  FOOTER_BYTES,
  FORMAT_VERSION,
  MAGIC,
  PREAMBLE_BYTES,
} from "./format.js";
import { decodeHeader } from "./header.js";
import { salvage } from "./salvage.js";
import { describeForeign } from "./sniff.js";
import { checkObjects, decodeSymbols, type SymbolTable } from "./symbols.js";
import { ChunkReader, TraceFile } from "./trace-file.js";
import { type ChunkEntry, decodeIndex, type TraceIndex } from "./trace-index.js";
import { readTables, type TraceTables } from "./trace-tables.js";

/** How a trace is opened. */
export interface OpenTraceOptions {
  /**
   * Take what a truncated or damaged file still has: everything before the first damage. The streams then
   * end with the TraceError that says where it is. Slow: reads the whole file.
   */
  salvage?: boolean;
}

/** A trace opened by `openTrace`. */
export interface OpenTrace extends Trace {
  /** Where a salvaged trace breaks off; undefined for a whole one. */
  readonly damage: TraceError | undefined;
}

/**
 * Opens a trace file; reads its header, index and dictionary, not its streams.
 * Throws TraceError when the file is missing, no trace, truncated or damaged there.
 */
export function openTrace(path: string, options: OpenTraceOptions = {}): OpenTrace {
  const file = new TraceFile(path);
  try {
    const reader = new ChunkReader(file);
    const header = readHeader(file, reader);
    try {
      return openWhole(file, reader, header);
    } catch (error) {
      if (options.salvage !== true || !(error instanceof TraceError)) throw error;
      return new FileTrace(file, header, salvage(file, reader, header, error));
    }
  } catch (error) {
    file.close();
    throw error;
  }
}

function openWhole(file: TraceFile, reader: ChunkReader, header: TraceHeader): OpenTrace {
  const index = readIndex(file, reader, header);
  const tables = readAllTables(file, reader, index);
  return new FileTrace(file, header, { chunks: numbered(index.chunks), cores: index.cores, tables });
}

function readHeader(file: TraceFile, reader: ChunkReader): TraceHeader {
  const head = new Uint8Array(Math.min(file.size, 512));
  file.read(0, head);
  if (!MAGIC.every((byte, i) => head[i] === byte)) {
    if (MAGIC.subarray(0, head.length).every((byte, i) => head[i] === byte)) throw truncated(file);
    throw new TraceError(file.path, 0, `not a muswarm trace: this looks like ${describeForeign(head)}`);
  }
  if (file.size < PREAMBLE_BYTES + CHUNK_HEADER_BYTES) throw truncated(file);
  file.at(0, () => checkPreamble(head.subarray(0, PREAMBLE_BYTES)));
  const { kind, core, sequence, storedBytes, crc } = reader.header(PREAMBLE_BYTES);
  const place = { kind, core, sequence, storedBytes, crc, offset: PREAMBLE_BYTES };
  if (kind !== ChunkKind.Header || sequence !== 0) {
    throw new TraceError(file.path, PREAMBLE_BYTES, "the header chunk was expected");
  }
  const content = reader.content(place);
  const input = file.at(PREAMBLE_BYTES, () => decodeHeader(content));
  return { ...input, formatVersion: FORMAT_VERSION };
}

function readIndex(file: TraceFile, reader: ChunkReader, header: TraceHeader): TraceIndex {
  const start = file.size - FOOTER_BYTES;
  if (start < PREAMBLE_BYTES + CHUNK_HEADER_BYTES * 2) throw truncated(file);
  const bytes = new Uint8Array(FOOTER_BYTES);
  file.read(start, bytes);
  let footer: ReturnType<typeof decodeFooter>;
  try {
    footer = decodeFooter(bytes);
  } catch (error) {
    if (error instanceof ChunkError) throw truncated(file, error.message);
    throw error;
  }
  const { indexOffset, fileBytes } = footer;
  if (fileBytes !== file.size) {
    throw new TraceError(
      file.path,
      start,
      `the end mark is of a file of ${fileBytes} bytes, this has ${file.size}`,
    );
  }
  if (indexOffset < PREAMBLE_BYTES + CHUNK_HEADER_BYTES || indexOffset > start - CHUNK_HEADER_BYTES) {
    throw new TraceError(file.path, start, `the end mark says that the index is at byte ${indexOffset}`);
  }
  const { kind, core, sequence, storedBytes, crc } = reader.header(indexOffset);
  if (kind !== ChunkKind.Index || indexOffset + CHUNK_HEADER_BYTES + storedBytes !== start) {
    throw new TraceError(file.path, indexOffset, "the index chunk was expected, up to the end mark");
  }
  const content = reader.content({ kind, core, sequence, storedBytes, crc, offset: indexOffset });
  const invocations = header.warmInvocations + header.measuredInvocations;
  const index = file.at(indexOffset, () => decodeIndex(content, header.cores, invocations, indexOffset));
  if (sequence !== index.chunks.length) {
    throw new TraceError(
      file.path,
      indexOffset,
      `the index is chunk ${sequence}, it lists ${index.chunks.length}`,
    );
  }
  return index;
}

function readAllTables(file: TraceFile, reader: ChunkReader, index: TraceIndex): TraceTables {
  const tables = readTables(file, reader, numbered(index.chunks));
  const { pages, blocks } = tables;
  if (pages.count === index.pages && blocks.count === index.blocks) return tables;
  const problem = `the index says ${index.pages} pages and ${index.blocks} blocks, there are ${pages.count} and ${blocks.count}`;
  throw new TraceError(file.path, file.size - FOOTER_BYTES, problem);
}

function numbered(chunks: readonly ChunkEntry[]): StreamChunk[] {
  return chunks.map((chunk, sequence) => ({ ...chunk, sequence }));
}

function truncated(file: TraceFile, found = "the file is too short"): TraceError {
  return new TraceError(
    file.path,
    file.size,
    `truncated or damaged: ${found}; a whole trace ends with its index and an end mark of ${FOOTER_BYTES} bytes`,
  );
}

interface TraceParts {
  chunks: readonly StreamChunk[];
  cores: readonly CoreSummary[];
  tables: TraceTables;
  damage?: TraceError;
}

class FileTrace implements OpenTrace {
  readonly path: string;
  readonly fileBytes: number;
  readonly pages: PageTable;
  readonly blocks: BlockTable;
  readonly cores: readonly CoreSummary[];
  readonly damage: TraceError | undefined;
  private hash: string | undefined;
  private symbolTable: SymbolTable | undefined;
  private readonly source: StreamSource;
  private readonly chunks: readonly StreamChunk[];
  private readonly streams: readonly (readonly StreamChunk[])[];

  constructor(
    private readonly file: TraceFile,
    readonly header: TraceHeader,
    parts: TraceParts,
  ) {
    const { tables, damage } = parts;
    this.path = file.path;
    this.fileBytes = file.size;
    this.pages = tables.pages;
    this.blocks = tables.blocks;
    this.cores = parts.cores;
    this.chunks = parts.chunks;
    this.damage = damage;
    this.source = { file, header, blocks: tables.blocks, decode: tables.decode, damage };
    this.streams = this.cores.map((_, core) =>
      this.chunks.filter((chunk) => chunk.kind === ChunkKind.Stream && chunk.core === core),
    );
  }

  get sha256(): string {
    this.hash ??= this.file.sha256();
    return this.hash;
  }

  stream(core: number, from = 0): CoreStream {
    const chunks = this.streams[core];
    if (chunks === undefined) {
      throw new InputError(`${this.path}: no core ${core}, the trace has ${this.streams.length}`);
    }
    const { blockExecutions } = this.cores[core];
    if (!(Number.isInteger(from) && from >= 0 && from <= blockExecutions)) {
      throw new InputError(
        `${this.path}: core ${core} has no position ${from}, its last is ${blockExecutions}`,
      );
    }
    const observer = this.damage === undefined ? new IndexChecker(core, this.cores) : UNCHECKED;
    const reader = new ChunkReader(this.file);
    return new ChunkedCoreStream(this.source, core, chunks, startChunk(chunks, from), reader, observer);
  }

  symbols(): SymbolTable {
    if (this.symbolTable === undefined) this.symbolTable = this.readSymbols();
    return this.symbolTable;
  }

  private readSymbols(): SymbolTable {
    const table: SymbolTable = { objects: [], symbols: [] };
    const reader = new ChunkReader(this.file);
    const chunks = this.chunks.filter((chunk) => chunk.kind === ChunkKind.Symbols);
    for (const chunk of chunks) {
      const content = reader.content(chunk);
      this.file.at(chunk.offset, () => decodeSymbols(new ByteReader(content), table));
    }
    if (this.damage === undefined) this.file.at(chunks[0]?.offset ?? 0, () => checkObjects(table));
    else table.symbols = table.symbols.filter(({ object }) => object < table.objects.length);
    return table;
  }

  close(): void {
    this.file.close();
  }
}

/** The events of a salvaged trace have been checked when it was opened. */
const UNCHECKED: EventObserver = { event: () => "" };

/** Index of the chunk that position `from` lies in; where chunks begin there, the first of them. */
function startChunk(chunks: readonly StreamChunk[], from: number): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunks[middle].position < from) low = middle + 1;
    else high = middle;
  }
  return chunks[low]?.position === from ? low : Math.max(0, low - 1);
}
