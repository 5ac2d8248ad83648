import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { crc32, createInflateRaw } from "node:zlib";
import { Input } from "./input.js";

const END_BYTES = 22;
const END_MAGIC = 0x0605_4b50;
const CENTRAL_BYTES = 46;
const CENTRAL_MAGIC = 0x0201_4b50;
const LOCAL_BYTES = 30;
const LOCAL_MAGIC = 0x0403_4b50;
const STORED = 0;
const DEFLATED = 8;
/** A size or offset that stands in a zip64 extra field instead. */
const ELSEWHERE = 0xffff_ffff;

export interface ZipEntry {
  name: string;
  method: number;
  crc: number;
  packedBytes: number;
  bytes: number;
  /** Of its local header. */
  offset: number;
}

/** A zip archive of stored and deflated files. Errors name the offset in the archive. */
export class ZipFile {
  readonly entries: readonly ZipEntry[];
  private readonly input: Input;

  constructor(path: string) {
    this.input = new Input(path);
    const fd = openSync(path, "r");
    try {
      this.entries = this.directory(fd);
    } finally {
      closeSync(fd);
    }
  }

  get path(): string {
    return this.input.path;
  }

  get size(): number {
    return this.input.size;
  }

  /** The content of one file, unpacked; its length and checksum are tested at the end. */
  async *read(entry: ZipEntry): AsyncGenerator<Uint8Array> {
    const { input } = this;
    const start = this.contentOffset(entry);
    let bytes = 0;
    let crc = 0;
    if (entry.packedBytes > 0) {
      const file = createReadStream(this.path, { start, end: start + entry.packedBytes - 1 });
      const unpacker = entry.method === DEFLATED ? createInflateRaw() : undefined;
      if (unpacker !== undefined) file.on("error", (error) => unpacker.destroy(error));
      try {
        for await (const chunk of (unpacker === undefined
          ? file
          : file.pipe(unpacker)) as AsyncIterable<Buffer>) {
          bytes += chunk.length;
          if (bytes > entry.bytes) break;
          crc = crc32(chunk, crc);
          yield chunk;
        }
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        throw input.damage(start, `${entry.name} cannot be unpacked (${code ?? message})`);
      } finally {
        file.destroy();
        unpacker?.destroy();
      }
    }
    if (bytes !== entry.bytes)
      throw input.damage(
        start,
        `${entry.name} has ${bytes > entry.bytes ? "more than " : ""}${Math.min(bytes, entry.bytes)} of ${entry.bytes} bytes`,
      );
    if (crc !== entry.crc) throw input.damage(start, `the checksum of ${entry.name} is wrong`);
  }

  private contentOffset(entry: ZipEntry): number {
    const fd = openSync(this.path, "r");
    try {
      const head = this.bytes(fd, entry.offset, LOCAL_BYTES);
      if (head.readUInt32LE(0) !== LOCAL_MAGIC)
        throw this.input.damage(entry.offset, "no file of the archive begins here");
      const start = entry.offset + LOCAL_BYTES + head.readUInt16LE(26) + head.readUInt16LE(28);
      if (start + entry.packedBytes > this.size)
        throw this.input.damage(entry.offset, `${entry.name} runs over the end of the archive`);
      return start;
    } finally {
      closeSync(fd);
    }
  }

  private bytes(fd: number, offset: number, length: number): Buffer {
    if (!(offset >= 0 && offset + length <= this.size))
      throw this.input.damage(Math.min(offset, this.size), "the archive ends too early");
    const out = Buffer.alloc(length);
    readSync(fd, out, 0, length, offset);
    return out;
  }

  private directory(fd: number): ZipEntry[] {
    const { input, size } = this;
    const tail = this.bytes(fd, Math.max(0, size - END_BYTES - 65535), Math.min(size, END_BYTES + 65535));
    let end = tail.length - END_BYTES;
    while (end >= 0 && tail.readUInt32LE(end) !== END_MAGIC) end--;
    if (end < 0) throw input.damage(size, "the end of the archive's directory is missing");
    const count = tail.readUInt16LE(end + 10);
    const bytes = tail.readUInt32LE(end + 12);
    const offset = tail.readUInt32LE(end + 16);
    if (count === 0xffff || offset === ELSEWHERE)
      throw input.damage(
        size - tail.length + end,
        "archives of more than 65534 files or 4 GB are not supported",
      );
    const directory = this.bytes(fd, offset, bytes);
    const entries: ZipEntry[] = [];
    let at = 0;
    for (let i = 0; i < count; i++) {
      const here = offset + at;
      if (at + CENTRAL_BYTES > bytes || directory.readUInt32LE(at) !== CENTRAL_MAGIC)
        throw input.damage(here, "an entry of the archive's directory was expected");
      const nameBytes = directory.readUInt16LE(at + 28);
      const next =
        at + CENTRAL_BYTES + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
      if (next > bytes) throw input.damage(here, "an entry of the archive's directory is not complete");
      const entry = {
        name: directory
          .toString("utf8", at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameBytes)
          .replaceAll(/[^ -~]/g, "?"),
        method: directory.readUInt16LE(at + 10),
        crc: directory.readUInt32LE(at + 16),
        packedBytes: directory.readUInt32LE(at + 20),
        bytes: directory.readUInt32LE(at + 24),
        offset: directory.readUInt32LE(at + 42),
      };
      if (entry.packedBytes === ELSEWHERE || entry.bytes === ELSEWHERE || entry.offset === ELSEWHERE)
        throw input.damage(here, `${entry.name}: files of more than 4 GB are not supported`);
      if (entry.method !== STORED && entry.method !== DEFLATED)
        throw input.damage(
          here,
          `${entry.name} is packed by method ${entry.method}; stored and deflate are supported`,
        );
      if ((directory.readUInt16LE(at + 8) & 1) !== 0) throw input.damage(here, `${entry.name} is encrypted`);
      entries.push(entry);
      at = next;
    }
    return entries;
  }
}
