import { ChunkError } from "./errors.js";

/** Largest value of `uvarint`. */
export const MAX_U32 = 0xffff_ffff;

/** A growing byte buffer. Nothing is allocated per value once it has its size. */
export class ByteWriter {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `more` bytes after the present end. */
  reserve(more: number): void {
    const need = this.length + more;
    if (need <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(need, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  u8(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    const { bytes, length } = this;
    bytes[length] = value;
    bytes[length + 1] = value >>> 8;
    bytes[length + 2] = value >>> 16;
    bytes[length + 3] = value >>> 24;
    this.length = length + 4;
  }

  /** LEB128 of an integer 0..2^32 - 1; an int32 is taken as its two's complement. */
  uvarint(value: number): void {
    this.reserve(5);
    const bytes = this.bytes;
    let at = this.length;
    let rest = value >>> 0;
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.length = at;
  }

  /** Zigzag LEB128 of an int32. */
  svarint(value: number): void {
    this.uvarint((value << 1) ^ (value >> 31));
  }

  /** LEB128 of an integer 0..2^53. */
  uvarint53(value: number): void {
    let rest = value;
    while (rest > MAX_U32) {
      this.u8((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    this.uvarint(rest);
  }

  raw(data: Uint8Array): void {
    this.reserve(data.length);
    this.bytes.set(data, this.length);
    this.length += data.length;
  }

  /** What was written so far. Borrowed: changes with the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }
}

/** Reads what ByteWriter wrote; checks every bound. Throws ChunkError. Not for the hot path. */
export class ByteReader {
  constructor(
    public bytes: Uint8Array,
    public at = 0,
    public end = bytes.length,
  ) {}

  /** Goes on with other bytes. */
  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  u8(): number {
    if (this.at >= this.end) throw new ChunkError("the content ends too early");
    return this.bytes[this.at++];
  }

  u32(): number {
    return (this.u8() | (this.u8() << 8) | (this.u8() << 16) | (this.u8() << 24)) >>> 0;
  }

  /** @param max largest value allowed, at most 2^32 - 1 */
  uvarint(what: string, max = MAX_U32): number {
    const value = this.uvarint53(what);
    if (value > max) throw new ChunkError(`${what} is ${value}, at most ${max} is possible`);
    return value;
  }

  /** An int32. */
  svarint(what: string): number {
    const value = this.uvarint(what);
    return (value >>> 1) ^ -(value & 1);
  }

  /** An integer 0..2^53. */
  uvarint53(what: string): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > 2 ** 53) break;
        return value;
      }
      scale *= 128;
    }
    throw new ChunkError(`${what} is a number longer than 53 bits`);
  }

  /** Borrowed view of the next `length` bytes. */
  take(length: number, what: string): Uint8Array {
    if (length > this.left) throw new ChunkError(`${what} takes ${length} bytes, ${this.left} are left`);
    const view = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return view;
  }

  finish(what: string): void {
    if (this.at !== this.end) throw new ChunkError(`${this.left} bytes too many after ${what}`);
  }
}
