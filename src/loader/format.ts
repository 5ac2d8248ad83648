import { crc32 } from "node:zlib";
import { ChunkError } from "./errors.js";

/** Layout of the file, in numbers; docs/trace-format.md says the same in words. */

export const FORMAT_VERSION = 1;

export const MAGIC = Uint8Array.of(0x89, 0x6d, 0x75, 0x73, 0x77, 0x0d, 0x0a, 0x1a); // \x89 m u s w \r \n \x1a
export const CHUNK_MAGIC = 0x4b4e_4843; // "CHNK"
export const FOOTER_MAGIC = 0x444e_4554; // "TEND"

export const PREAMBLE_BYTES = 16;
export const CHUNK_HEADER_BYTES = 32;
export const FOOTER_BYTES = 32;

export const ChunkKind = { Header: 1, Pages: 2, Blocks: 3, Stream: 4, Symbols: 5, Index: 6 } as const;
export type ChunkKind = (typeof ChunkKind)[keyof typeof ChunkKind];

export const CHUNK_NAMES = ["?", "header", "pages", "blocks", "stream", "symbols", "index"];

export const Codec = { Stored: 0, Brotli: 1 } as const;
export type Codec = (typeof Codec)[keyof typeof Codec];

/** Bytes of one chunk's content before compression, at most. */
export const MAX_CHUNK_BYTES = 16 << 20;
/** The header, pages, blocks, symbols and index chunks expand at most this many times; else they are stored. */
export const MAX_TABLE_EXPANSION = 64;

/** Instructions of one stream chunk, and so its block executions, at most. */
export const MAX_CHUNK_INSTRUCTIONS = 1 << 23;

export const MAX_CORES = 64;
export const MAX_BLOCKS = 1 << 23;
export const MAX_BLOCK_SLOTS = 4096;
/** Numbers (`count` of TraceSink.exec) that go with one block execution, at most. */
export const MAX_EXEC_ADDRESSES = 1 << 21;
export const MAX_INVOCATIONS = 1 << 20;
export const MAX_SYMBOLS = 1 << 23;
/** Instructions, address cells and bytes of all blocks together, each. */
export const MAX_STATIC = 1 << 30;

/** What stands in front of every chunk's content. */
export interface ChunkHeader {
  kind: ChunkKind;
  codec: Codec;
  /** Core of a stream chunk, else 0. */
  core: number;
  /** Place of the chunk in the file: 0, 1, 2... */
  sequence: number;
  /** Bytes of the content, and as it stands in the file. */
  rawBytes: number;
  storedBytes: number;
  /** CRC-32 of the content as it stands in the file. */
  crc: number;
}

export function encodePreamble(): Uint8Array {
  const out = new Uint8Array(PREAMBLE_BYTES);
  const view = new DataView(out.buffer);
  out.set(MAGIC);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, crc32(out.subarray(0, 12)), true);
  return out;
}

export function encodeChunkHeader(header: ChunkHeader): Uint8Array {
  const out = new Uint8Array(CHUNK_HEADER_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, CHUNK_MAGIC, true);
  out[4] = header.kind;
  out[5] = header.codec;
  view.setUint16(6, header.core, true);
  view.setUint32(8, header.sequence, true);
  view.setUint32(12, header.rawBytes, true);
  view.setUint32(16, header.storedBytes, true);
  view.setUint32(20, header.crc, true);
  view.setUint32(28, crc32(out.subarray(0, 28)), true);
  return out;
}

/** @param bytes PREAMBLE_BYTES of them, the magic known to be right. Throws ChunkError. */
export function checkPreamble(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(12, true) !== crc32(bytes.subarray(0, 12))) {
    throw new ChunkError("the checksum of the file's first bytes is wrong");
  }
  const version = view.getUint32(8, true);
  if (version !== FORMAT_VERSION) {
    throw new ChunkError(`trace format version ${version}; this program reads version ${FORMAT_VERSION}`);
  }
}

/** @param bytes CHUNK_HEADER_BYTES of them. Throws ChunkError. */
export function decodeChunkHeader(bytes: Uint8Array): ChunkHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== CHUNK_MAGIC) throw new ChunkError("no chunk begins here");
  if (view.getUint32(28, true) !== crc32(bytes.subarray(0, 28))) {
    throw new ChunkError("the checksum of the chunk's header is wrong");
  }
  const header: ChunkHeader = {
    kind: bytes[4] as ChunkKind,
    codec: bytes[5] as Codec,
    core: view.getUint16(6, true),
    sequence: view.getUint32(8, true),
    rawBytes: view.getUint32(12, true),
    storedBytes: view.getUint32(16, true),
    crc: view.getUint32(20, true),
  };
  checkChunkHeader(header);
  if (view.getUint32(24, true) !== 0) throw new ChunkError("the chunk's header has a reserved field set");
  return header;
}

function checkChunkHeader(header: ChunkHeader): void {
  const { kind, codec, core, rawBytes, storedBytes } = header;
  if (kind < ChunkKind.Header || kind > ChunkKind.Index)
    throw new ChunkError(`chunk kind ${kind} is unknown`);
  if (codec > Codec.Brotli) throw new ChunkError(`chunk codec ${codec} is unknown`);
  if (kind === ChunkKind.Stream ? core >= MAX_CORES : core !== 0) {
    throw new ChunkError(`core ${core} is not possible in a ${CHUNK_NAMES[kind]} chunk`);
  }
  if (rawBytes > MAX_CHUNK_BYTES) {
    throw new ChunkError(`the chunk claims ${rawBytes} bytes of content, ${MAX_CHUNK_BYTES} is the most`);
  }
  if (codec === Codec.Stored ? rawBytes !== storedBytes : storedBytes >= rawBytes) {
    throw new ChunkError(`the chunk claims ${storedBytes} bytes in the file for ${rawBytes} of content`);
  }
  if (kind !== ChunkKind.Stream && rawBytes > storedBytes * MAX_TABLE_EXPANSION) {
    throw new ChunkError(`a ${CHUNK_NAMES[kind]} chunk claims ${rawBytes} bytes out of ${storedBytes}`);
  }
}

/** The end of the file. */
export interface Footer {
  /** Offset of the index chunk's header. */
  indexOffset: number;
  /** Length of the whole file. */
  fileBytes: number;
}

export function encodeFooter(footer: Footer): Uint8Array {
  const out = new Uint8Array(FOOTER_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, FOOTER_MAGIC, true);
  setUint64(view, 8, footer.indexOffset);
  setUint64(view, 16, footer.fileBytes);
  view.setUint32(28, crc32(out.subarray(0, 28)), true);
  return out;
}

/** @param bytes FOOTER_BYTES of them. Throws ChunkError. */
export function decodeFooter(bytes: Uint8Array): Footer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== FOOTER_MAGIC) throw new ChunkError("the end mark is missing");
  if (view.getUint32(28, true) !== crc32(bytes.subarray(0, 28))) {
    throw new ChunkError("the checksum of the end mark is wrong");
  }
  if (view.getUint32(4, true) !== 0 || view.getUint32(24, true) !== 0) {
    throw new ChunkError("the end mark has a reserved field set");
  }
  return { indexOffset: getUint64(view, 8), fileBytes: getUint64(view, 16) };
}

function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
