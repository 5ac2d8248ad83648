import type { JukeboxSpec } from "../machine/spec.js";
import { LINE_BITS, layoutOf } from "./layout.js";

/** What Jukebox adds to a core, in bits (ISCA 2022, section 3.5). Metadata itself lies in main memory. */
export interface HardwareBits {
  /** Base and limit of the record and the replay buffer, four 48-bit physical addresses. */
  readonly registers: number;
  readonly crrb: number;
  /** Fronts of the record and the replay buffer. */
  readonly counters: number;
  /** A line of metadata being filled, a line being taken apart. */
  readonly lineBuffers: number;
  readonly total: number;
}

/**
 * The paper's accounting: 2144 bits for 16 entries of 1 kB regions. It counts one line buffer each way,
 * however many metadata reads are in flight.
 */
export function hardwareBitsBreakdown(spec: JukeboxSpec): HardwareBits {
  const registers = 4 * 48;
  const crrb = spec.crrbEntries * layoutOf(spec).entryBits;
  const counters = 2 * 32;
  const lineBuffers = 2 * LINE_BITS;
  return { registers, crrb, counters, lineBuffers, total: registers + crrb + counters + lineBuffers };
}

export function hardwareBits(spec: JukeboxSpec): number {
  return hardwareBitsBreakdown(spec).total;
}
