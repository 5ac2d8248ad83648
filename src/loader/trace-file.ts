import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { brotliDecompressSync, crc32 } from "node:zlib";
import { ChunkError, TraceError } from "./errors.js";
import { CHUNK_HEADER_BYTES, type ChunkHeader, Codec, decodeChunkHeader } from "./format.js";

/** What is known of a chunk before it is read. */
export interface ChunkPlace {
  kind: number;
  core: number;
  sequence: number;
  offset: number;
  storedBytes: number;
  crc: number;
}

/** An open file: reads exactly what is asked for, or throws TraceError. */
export class TraceFile {
  readonly size: number;
  private fd: number;

  constructor(readonly path: string) {
    try {
      this.fd = openSync(path, "r");
    } catch (error) {
      throw new TraceError(path, -1, openProblem(error as NodeJS.ErrnoException));
    }
    const stat = fstatSync(this.fd);
    this.size = stat.size;
    if (stat.isFile() && this.size > 0) return;
    this.close();
    throw new TraceError(
      path,
      -1,
      stat.isFile()
        ? "the file is empty"
        : stat.isDirectory()
          ? "is a directory, not a trace"
          : "is not a file",
    );
  }

  get isOpen(): boolean {
    return this.fd >= 0;
  }

  /** Fills `into` from `offset` on. */
  read(offset: number, into: Uint8Array): void {
    if (this.fd < 0) throw new TraceError(this.path, -1, "the trace was closed");
    let done = 0;
    while (done < into.length) {
      const got = readSync(this.fd, into, done, into.length - done, offset + done);
      if (got === 0) {
        throw new TraceError(
          this.path,
          offset + done,
          `the file ends, ${into.length - done} bytes more were expected`,
        );
      }
      done += got;
    }
  }

  /** SHA-256 of the whole file, hexadecimal. */
  sha256(): string {
    const hash = createHash("sha256");
    const buffer = new Uint8Array(1 << 20);
    for (let offset = 0; offset < this.size; offset += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, this.size - offset));
      this.read(offset, part);
      hash.update(part);
    }
    return hash.digest("hex");
  }

  close(): void {
    if (this.fd < 0) return;
    closeSync(this.fd);
    this.fd = -1;
  }

  /** Runs `work`; a ChunkError in it becomes a TraceError at `offset`. */
  at<T>(offset: number, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof ChunkError) throw new TraceError(this.path, offset, error.message);
      throw error;
    }
  }
}

/** Reads chunks of one file into a buffer of its own. */
export class ChunkReader {
  private buffer = new Uint8Array(1 << 16);
  private readonly head = new Uint8Array(CHUNK_HEADER_BYTES);

  constructor(private readonly file: TraceFile) {}

  /** The header of the chunk at `offset`. Throws TraceError. */
  header(offset: number): ChunkHeader {
    this.file.read(offset, this.head);
    return this.file.at(offset, () => decodeChunkHeader(this.head));
  }

  /**
   * The content of a chunk that the index lists. Borrowed: valid until the next call.
   * Throws TraceError, also when the chunk is not the one expected.
   */
  content(place: ChunkPlace): Uint8Array {
    const { file } = this;
    const { offset, storedBytes } = place;
    const all = this.take(CHUNK_HEADER_BYTES + storedBytes);
    file.read(offset, all);
    return file.at(offset, () => {
      const header = decodeChunkHeader(all);
      const differs = (["kind", "core", "sequence", "storedBytes", "crc"] as const).find(
        (key) => header[key] !== place[key],
      );
      if (differs !== undefined) {
        throw new ChunkError(
          `not the chunk expected: ${differs} is ${header[differs]} instead of ${place[differs]}`,
        );
      }
      return unpack(header, all.subarray(CHUNK_HEADER_BYTES));
    });
  }

  /** Only checks that the content has its checksum. Throws TraceError. */
  verify(offset: number, header: ChunkHeader): void {
    const stored = this.take(header.storedBytes);
    this.file.read(offset + CHUNK_HEADER_BYTES, stored);
    this.file.at(offset, () => checkSum(header, stored));
  }

  private take(length: number): Uint8Array {
    if (length > this.buffer.length) this.buffer = new Uint8Array(Math.max(length, this.buffer.length * 2));
    return this.buffer.subarray(0, length);
  }
}

function unpack(header: ChunkHeader, stored: Uint8Array): Uint8Array {
  checkSum(header, stored);
  if (header.codec === Codec.Stored) return stored;
  const { rawBytes } = header;
  let content: Uint8Array;
  try {
    content = brotliDecompressSync(stored, { maxOutputLength: rawBytes, chunkSize: rawBytes + 64 });
  } catch (error) {
    throw new ChunkError(`the chunk's content cannot be decompressed (${(error as Error).message})`);
  }
  if (content.length !== rawBytes) {
    throw new ChunkError(`the chunk's content has ${content.length} bytes instead of ${rawBytes}`);
  }
  return content;
}

function checkSum(header: ChunkHeader, stored: Uint8Array): void {
  if (crc32(stored) !== header.crc) throw new ChunkError("the checksum of the chunk's content is wrong");
}

function openProblem(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return "no such file";
  if (error.code === "EACCES") return "no permission to read it";
  return `cannot be opened (${error.code ?? error.message})`;
}
