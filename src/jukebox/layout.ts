import type { JukeboxSpec } from "../machine/spec.js";

/** A metadata line and a cache line: 64 bytes. */
export const LINE_BITS = 512;
export const LINE_BYTES = 64;
export const LINES_PER_PAGE = 64;

/** What follows from a spec: how regions, entries and buffers are laid out (ISCA 2022, section 3.2). */
export interface Layout {
  /** Lines of a region: bits of an access vector. */
  readonly linesPerRegion: number;
  /** 32-bit words that hold one access vector here. */
  readonly words: number;
  /** Bits of one packed entry: region pointer and access vector. */
  readonly entryBits: number;
  /** Entries that fit one buffer (record or replay); they are packed without padding. */
  readonly capacity: number;
  /** 64-byte lines of one buffer. */
  readonly linesPerBuffer: number;
}

export function layoutOf(spec: JukeboxSpec): Layout {
  const linesPerRegion = spec.regionBytes / LINE_BYTES;
  const entryBits = spec.regionPointerBits + linesPerRegion;
  return {
    linesPerRegion,
    words: Math.ceil(linesPerRegion / 32),
    entryBits,
    capacity: Math.floor((spec.metadataBytes * 8) / entryBits),
    linesPerBuffer: Math.ceil(spec.metadataBytes / LINE_BYTES),
  };
}

/** Physical lines that one function instance's metadata takes: a record and a replay buffer. */
export function metadataLinesPerInstance(spec: JukeboxSpec): number {
  return 2 * layoutOf(spec).linesPerBuffer;
}

/** Bits that a 48-bit virtual address needs to name a region: 38 for 1 kB, the paper's. For sweeps over region sizes. */
export function regionPointerBitsFor(regionBytes: number): number {
  return 48 - Math.log2(regionBytes);
}

/** Number of ones in 32 bits. */
export function popcount(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
