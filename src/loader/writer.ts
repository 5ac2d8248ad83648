import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { brotliCompressSync, crc32, constants as zlib } from "node:zlib";
import { InputError } from "../errors.js";
import { BlockDictionary } from "./block-dictionary.js";
import type {
  BlockDef,
  EventKind,
  ObjectDef,
  PageDef,
  SymbolDef,
  TraceHeaderInput,
  TraceSink,
} from "./contract.js";
import {
  CHUNK_NAMES,
  ChunkKind,
  Codec,
  encodeChunkHeader,
  encodeFooter,
  encodePreamble,
  FOOTER_BYTES,
  MAX_CHUNK_BYTES,
  MAX_TABLE_EXPANSION,
} from "./format.js";
import { encodeHeader } from "./header.js";
import { PageDictionary } from "./page-dictionary.js";
import { StreamEncoder } from "./stream-encoder.js";
import { encodeSymbols } from "./symbols.js";
import { type ChunkEntry, encodeIndex } from "./trace-index.js";

/** How a trace is packed. Any choice gives a file that reads the same. */
export interface TraceWriterOptions {
  /** Brotli quality, 0..11. 6 packs while recording; 11 is for files that are kept (some 30 times slower). */
  quality?: number;
  /** Instructions of a stream chunk, about. */
  chunkInstructions?: number;
}

export const DEFAULT_QUALITY = 6;
export const DEFAULT_CHUNK_INSTRUCTIONS = 1 << 20;

/** A stream chunk is closed when it has so many bytes, however few instructions. */
const CHUNK_BYTES = 4 << 20;
/** Pages or blocks waiting for a chunk, bytes. */
const DICTIONARY_BYTES = 1 << 20;

/**
 * Makes a trace file. Throws InputError for a header that is not right, and each method for
 * what it is given that cannot be; after an error only `abort` is of use.
 */
export function createTraceWriter(
  path: string,
  header: TraceHeaderInput,
  options: TraceWriterOptions = {},
): TraceSink {
  return new TraceWriter(path, header, options);
}

class TraceWriter implements TraceSink {
  private readonly pages = new PageDictionary();
  private readonly blocks = new BlockDictionary();
  private readonly streams: StreamEncoder[];
  private readonly chunks: ChunkEntry[] = [];
  private readonly quality: number;
  private readonly chunkInstructions: number;
  private readonly temporary: string;
  private readonly invocations: number;
  private fd = -1;
  private offset = 0;
  private hasSymbols = false;

  constructor(
    private readonly path: string,
    header: TraceHeaderInput,
    options: TraceWriterOptions,
  ) {
    const content = encodeHeader(header);
    this.quality = options.quality ?? DEFAULT_QUALITY;
    this.chunkInstructions = options.chunkInstructions ?? DEFAULT_CHUNK_INSTRUCTIONS;
    if (!(this.quality >= 0 && this.quality <= 11))
      throw new InputError(`trace writer: quality ${this.quality}`);
    if (!(this.chunkInstructions >= 1 && this.chunkInstructions <= 1 << 22)) {
      throw new InputError(`trace writer: chunkInstructions ${this.chunkInstructions} is not 1..${1 << 22}`);
    }
    this.invocations = header.warmInvocations + header.measuredInvocations;
    this.streams = Array.from(
      { length: header.cores },
      (_, core) => new StreamEncoder(core, header.cores, this.invocations, this.blocks),
    );
    this.temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.fd = openSync(this.temporary, "w");
    } catch (error) {
      throw new InputError(`${path}: cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
    this.write(encodePreamble());
    this.chunk(ChunkKind.Header, content, false);
  }

  page(def: PageDef): number {
    const id = this.pages.add(def);
    if (this.pages.pendingBytes > DICTIONARY_BYTES) this.flushPages();
    return id;
  }

  block(def: BlockDef): number {
    return this.blocks.add(def, this.pages.count);
  }

  exec(core: number, block: number, addresses: Int32Array, count: number): void {
    const stream = this.stream(core);
    stream.exec(block, addresses, count, this.pages.count);
    if (stream.pendingInstructions >= this.chunkInstructions || stream.pendingBytes >= CHUNK_BYTES) {
      this.flushStream(stream);
    }
  }

  event(core: number, kind: EventKind, a: number, b: number, c: number): void {
    const stream = this.stream(core);
    stream.event(kind, a, b, c);
    if (stream.pendingBytes >= CHUNK_BYTES) this.flushStream(stream);
  }

  symbols(objects: readonly ObjectDef[], symbols: readonly SymbolDef[]): void {
    if (this.hasSymbols) throw new InputError("trace writer: symbols were given already");
    this.hasSymbols = true;
    for (const content of encodeSymbols(objects, symbols)) this.chunk(ChunkKind.Symbols, content, true);
  }

  position(core: number): number {
    return this.stream(core).position;
  }

  close(): void {
    try {
      this.finish();
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  abort(): void {
    if (this.fd < 0) return;
    closeSync(this.fd);
    this.fd = -1;
    rmSync(this.temporary, { force: true });
  }

  private finish(): void {
    for (const stream of this.streams) this.checkEnd(stream);
    for (const stream of this.streams) if (!stream.isEmpty) this.flushStream(stream);
    this.flushPages();
    this.flushBlocks();
    const indexOffset = this.offset;
    const cores = this.streams.map(({ core, position, instructions, spans }) => ({
      blockExecutions: position,
      instructions,
      invocations: spans,
      wakePositions: this.wakePositions(core),
    }));
    const { chunks } = this;
    const index = { pages: this.pages.count, blocks: this.blocks.count, chunks: [...chunks], cores };
    this.chunk(ChunkKind.Index, encodeIndex(index), true);
    this.write(encodeFooter({ indexOffset, fileBytes: this.offset + FOOTER_BYTES }));
    closeSync(this.fd);
    this.fd = -1;
    renameSync(this.temporary, this.path);
  }

  private checkEnd(stream: StreamEncoder): void {
    const { core, rules, spans, wakers } = stream;
    if (rules.open >= 0)
      throw new InputError(`trace writer: core ${core}: invocation ${rules.open} has no WorkEnd`);
    if (spans.length !== this.invocations) {
      throw new InputError(
        `trace writer: core ${core} has ${spans.length} invocations, the header says ${this.invocations}`,
      );
    }
    for (const [waker, positions] of wakers) {
      const position = [...positions].reduce((a, b) => Math.max(a, b));
      const reached = this.streams[waker].position;
      if (position > reached) {
        throw new InputError(
          `trace writer: core ${core}: an IdleEnd says that core ${waker} had done ${position} block executions ` +
            `when it sent the wake-up; it does ${reached} in all`,
        );
      }
    }
  }

  private wakePositions(core: number): number[] {
    const all = new Set<number>();
    for (const { wakers } of this.streams) for (const position of wakers.get(core) ?? []) all.add(position);
    return [...all].sort((a, b) => a - b);
  }

  private stream(core: number): StreamEncoder {
    if (this.fd < 0) throw new InputError("trace writer: the trace is closed");
    const stream = this.streams[core];
    if (stream === undefined) {
      throw new InputError(`trace writer: core ${core}, the header has ${this.streams.length} cores`);
    }
    return stream;
  }

  private flushPages(): void {
    const content = this.pages.flush();
    if (content !== undefined) this.chunk(ChunkKind.Pages, content, true);
  }

  private flushBlocks(): void {
    for (;;) {
      const content = this.blocks.flush(DICTIONARY_BYTES);
      if (content === undefined) return;
      this.chunk(ChunkKind.Blocks, content, true);
    }
  }

  private flushStream(stream: StreamEncoder): void {
    this.flushPages();
    this.flushBlocks();
    const position = stream.position - stream.chunkExecutions;
    const firstInstruction = stream.instructions - stream.pendingInstructions;
    const { content, summary } = stream.flush();
    const entry = this.chunk(ChunkKind.Stream, content, true, stream.core);
    Object.assign(entry, summary, { position, firstInstruction });
  }

  private chunk(kind: ChunkKind, content: Uint8Array, compress: boolean, core = 0): ChunkEntry {
    let stored = content;
    let codec: Codec = Codec.Stored;
    if (compress) {
      const packed = brotliCompressSync(content, {
        params: {
          [zlib.BROTLI_PARAM_QUALITY]: this.quality,
          [zlib.BROTLI_PARAM_LGWIN]: 22,
          [zlib.BROTLI_PARAM_SIZE_HINT]: content.length,
        },
      });
      const limit = kind === ChunkKind.Stream ? Number.POSITIVE_INFINITY : MAX_TABLE_EXPANSION;
      if (packed.length < content.length && content.length <= packed.length * limit) {
        stored = packed;
        codec = Codec.Brotli;
      }
    }
    if (content.length > MAX_CHUNK_BYTES) {
      throw new InputError(
        `trace writer: a ${CHUNK_NAMES[kind]} chunk of ${content.length} bytes is too long`,
      );
    }
    const sequence = this.chunks.length;
    const sizes = { rawBytes: content.length, storedBytes: stored.length };
    const crc = crc32(stored);
    const entry: ChunkEntry = {
      kind,
      offset: this.offset,
      storedBytes: stored.length,
      crc,
      core,
      position: 0,
      firstInstruction: 0,
      executions: 0,
      instructions: 0,
    };
    this.chunks.push(entry);
    this.write(encodeChunkHeader({ kind, codec, core, sequence, ...sizes, crc }));
    this.write(stored);
    return entry;
  }

  private write(bytes: Uint8Array): void {
    if (this.fd < 0) throw new InputError("trace writer: the trace is closed");
    let done = 0;
    while (done < bytes.length) done += writeSync(this.fd, bytes, done);
    this.offset += bytes.length;
  }
}
