import { powerOfTwo } from "../numbers.js";
import type { Geometry } from "./geometry.js";
import type { ReplacementPolicy } from "./replacement/index.js";

/** Tag of a slot that holds no line. */
export const NO_LINE = -1;

const EMPTY = NO_LINE;

/** Buckets of the filter for each line that the array can hold. */
const BUCKETS_PER_LINE = 8;

/**
 * Which line is where: tags as a structure of arrays indexed by slot = `set * ways + way`, and the
 * replacement policy that chooses victims. Knows nothing of time or states.
 *
 * Most look-ups, those of snoops first of all, find nothing. So a filter counts the lines present by their
 * low bits; a bucket that counts zero settles the look-up. (All lines of a bucket are of one set, so a
 * count is at most `ways`.)
 */
export class TagArray {
  readonly tags: Int32Array;
  readonly sets: number;
  readonly ways: number;
  private readonly setMask: number;
  private readonly filter: Uint8Array;
  private readonly filterMask: number;
  /** Lines in each set. */
  private readonly filled: Uint8Array;

  constructor(
    geometry: Geometry,
    readonly policy: ReplacementPolicy,
  ) {
    const { sets, ways } = geometry;
    this.sets = sets;
    this.ways = ways;
    this.setMask = sets - 1;
    this.tags = new Int32Array(sets * ways).fill(EMPTY);
    const buckets = powerOfTwo(sets * ways * BUCKETS_PER_LINE);
    this.filter = new Uint8Array(buckets);
    this.filterMask = buckets - 1;
    this.filled = new Uint8Array(sets);
  }

  /** Slot of a line, or -1. No side effect. */
  find(line: number): number {
    if (this.filter[line & this.filterMask] === 0) return -1;
    const tags = this.tags;
    const ways = this.ways;
    let slot = (line & this.setMask) * ways;
    for (const end = slot + ways; slot < end; slot++) if (tags[slot] === line) return slot;
    return -1;
  }

  /** The slot that a line which is not there would be put into: the lowest free way, else the policy's victim. Call once per fill. */
  choose(line: number): number {
    const set = line & this.setMask;
    const ways = this.ways;
    if (this.filled[set] === ways) return this.policy.victim(set);
    const tags = this.tags;
    let slot = set * ways;
    while (tags[slot] !== EMPTY) slot++;
    return slot;
  }

  /** Puts a line into the slot chosen for it, in place of what was there. @param signature see ReplacementPolicy */
  put(slot: number, line: number, signature = 0): void {
    const tags = this.tags;
    const filter = this.filter;
    const mask = this.filterMask;
    const old = tags[slot];
    if (old === EMPTY) this.filled[line & this.setMask]++;
    else filter[old & mask]--;
    filter[line & mask]++;
    tags[slot] = line;
    this.policy.fill(slot, signature);
  }

  /** Takes the line out of a slot. */
  remove(slot: number): void {
    const line = this.tags[slot];
    this.filter[line & this.filterMask]--;
    this.filled[line & this.setMask]--;
    this.tags[slot] = EMPTY;
    this.policy.invalidate(slot);
  }
}
