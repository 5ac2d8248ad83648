import { createHash, type Hash } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { type Extract, extract, type Header } from "tar-stream";
import { InputError } from "../../errors.js";
import { start } from "../host.js";
import type { LayerEntry } from "./layer-tree.js";

export type Compression = "none" | "gzip" | "zstd";

/** By a file's first bytes: what media types say is often wrong. Throws InputError for others than gzip and zstd. */
export function compressionOf(file: string, what: string): Compression {
  const head = Buffer.alloc(6);
  const fd = openSync(file, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  if (head.readUInt16BE(0) === 0x1f8b) return "gzip";
  if (head.readUInt32LE(0) === 0xfd2f_b528) return "zstd";
  const other =
    head.readUIntBE(0, 6) === 0xfd37_7a58_5a00
      ? "xz"
      : head.toString("latin1", 0, 3) === "BZh"
        ? "bzip2"
        : "";
  if (other !== "")
    throw new InputError(`${what} is compressed with ${other}; gzip, zstd or none is understood`);
  return "none";
}

/** The uncompressed bytes of a file. Damage is an error of the stream. */
function uncompressed(file: string, compression: Compression, signal?: AbortSignal): Readable {
  const bytes = createReadStream(file, { highWaterMark: 1 << 18, signal });
  if (compression === "none") return bytes;
  const through = compression === "gzip" ? createGunzip({ chunkSize: 1 << 18 }) : undefined;
  if (through !== undefined) {
    pipeline(bytes, through).catch((error) => through.destroy(error));
    return through;
  }
  // This Node.js knows no zstd: Debian's program does it.
  const child = start("zstd", ["-dcq"], { signal });
  let errors = "";
  child.stderr?.on("data", (data: Buffer) => {
    errors += data.toString("utf8");
  });
  const out = new Readable({ read: () => child.stdout?.resume() });
  child.stdout?.on("data", (data: Buffer) => {
    if (!out.push(data)) child.stdout?.pause();
  });
  child.on("error", (error) => out.destroy(error));
  child.on("close", (code) => {
    if (code === 0) out.push(null);
    else out.destroy(new Error(`zstd: ${errors.trim() || `ended with ${code}`}`));
  });
  if (child.stdin !== null) pipeline(bytes, child.stdin).catch((error) => out.destroy(error));
  return out;
}

export interface Archive {
  file: string;
  compression: Compression;
  /** For messages: "layer 2 of x.tar". */
  what: string;
}

/**
 * Calls `each` with every entry of a tar archive and waits for it; it may read the entry's bytes.
 * @returns SHA-256 of the uncompressed archive. Throws InputError where it is damaged.
 */
export async function readArchive(
  { file, compression, what }: Archive,
  each: (entry: LayerEntry, index: number, bytes: AsyncIterable<Uint8Array>) => Promise<void> | void,
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  const parser = extract();
  const source = uncompressed(file, compression, signal);
  const fed = feed(source, parser, hash);
  let damage: Error | undefined;
  fed.catch((error) => {
    damage = error;
    parser.destroy(error);
  });
  let problem: unknown;
  let index = 0;
  try {
    for await (const stream of parser) {
      const entry = entryOf(stream.header);
      try {
        if (entry !== undefined) await each(entry, index, stream as AsyncIterable<Uint8Array>);
      } catch (error) {
        problem = error;
        throw error;
      }
      index++;
      stream.resume();
    }
    await fed;
  } catch (error) {
    source.destroy();
    if (problem instanceof InputError) throw new InputError(`${what}: ${problem.message}`);
    if (signal?.aborted || (problem !== undefined && damage === undefined)) throw problem ?? error;
    throw new InputError(`${what} is damaged: ${(damage ?? (error as Error)).message}`);
  }
  return hash.digest("hex");
}

async function feed(source: Readable, parser: Extract, hash: Hash): Promise<void> {
  for await (const data of source) {
    hash.update(data);
    await pour(data, parser);
  }
  parser.end(undefined);
}

/** What the tar library's streams to write to have in common. */
interface Sink {
  write(data: Uint8Array): boolean;
  on(event: "drain" | "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
}

/** Writes to a stream of the tar library and waits where it is full. */
export async function pour(data: Uint8Array, into: Sink): Promise<void> {
  if (into.write(data)) return;
  await new Promise<void>((resolve, reject) => {
    const done = () => {
      into.off("drain", done);
      into.off("close", closed);
      resolve();
    };
    const closed = () => reject(new Error("the archive was closed early"));
    into.on("drain", done);
    into.on("close", closed);
  });
}

const TYPES: Record<string, LayerEntry["type"] | undefined> = {
  file: "file",
  "contiguous-file": "file",
  link: "link",
  symlink: "symlink",
  directory: "directory",
  "character-device": "character-device",
  "block-device": "block-device",
  fifo: "fifo",
};

function entryOf(header: Header): LayerEntry | undefined {
  const type = TYPES[header.type];
  if (type === undefined) return undefined;
  const { name, mode, uid, gid, devmajor, devminor } = header;
  const mtime = Math.floor(header.mtime.getTime() / 1000);
  // Hard links of some archivers bear a size, but no bytes follow.
  const size = type === "file" ? header.size : 0;
  return { name, type, mode, uid, gid, mtime, size, linkname: header.linkname ?? "", devmajor, devminor };
}

/** SHA-256 of a file as it is. */
export async function digestOf(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const data of createReadStream(file, { highWaterMark: 1 << 20, signal })) hash.update(data);
  return hash.digest("hex");
}
