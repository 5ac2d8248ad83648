import { LINE_BYTES } from "./geometry.js";
import { LruPolicy } from "./replacement/index.js";
import { TagArray } from "./tag-array.js";

/** A cache of the functional hierarchy; LRU, 64-byte lines. */
export interface FunctionalCacheSpec {
  readonly bytes: number;
  readonly ways: number;
}

/** What one kind of access counts, in cachegrind's names: Ir I1mr ILmr, Dr D1mr DLmr, Dw D1mw DLmw. */
export interface FunctionalCounts {
  accesses: number;
  l1Misses: number;
  llMisses: number;
}

/** Addresses of one region of 2^20 bytes have consecutive line numbers; regions are numbered as they come. */
const REGION_BYTES = 2 ** 20;
const LINES_PER_REGION = REGION_BYTES / LINE_BYTES;

/**
 * Caches without time, under cachegrind's rules (cg_sim.c): an access that straddles two lines looks both
 * up and counts at most one miss; LL is looked up, whole access again, when the first level missed; a
 * modify counts as a read; stores allocate; nothing is written back. For comparing the tag arrays, not for
 * simulation. Addresses are any integers below 2^53.
 */
export class FunctionalHierarchy {
  readonly instructions: FunctionalCounts = { accesses: 0, l1Misses: 0, llMisses: 0 };
  readonly reads: FunctionalCounts = { accesses: 0, l1Misses: 0, llMisses: 0 };
  readonly writes: FunctionalCounts = { accesses: 0, l1Misses: 0, llMisses: 0 };
  private readonly i1: TagArray;
  private readonly d1: TagArray;
  private readonly ll: TagArray;
  private readonly regions = new Map<number, number>();
  private lastRegion = -1;
  private lastBase = 0;

  constructor(i1: FunctionalCacheSpec, d1: FunctionalCacheSpec, ll: FunctionalCacheSpec) {
    this.i1 = arrayOf(i1);
    this.d1 = arrayOf(d1);
    this.ll = arrayOf(ll);
  }

  fetch(address: number, bytes: number): void {
    this.access(this.i1, this.instructions, address, bytes);
  }

  load(address: number, bytes: number): void {
    this.access(this.d1, this.reads, address, bytes);
  }

  store(address: number, bytes: number): void {
    this.access(this.d1, this.writes, address, bytes);
  }

  /** A read-modify-write of one place: a read. */
  modify(address: number, bytes: number): void {
    this.access(this.d1, this.reads, address, bytes);
  }

  private access(l1: TagArray, counts: FunctionalCounts, address: number, bytes: number): void {
    // cachegrind truncates data accesses to a line; both lines that the access touches matter, no third.
    const last = address + Math.min(bytes, LINE_BYTES) - 1;
    const first = this.lineOf(address);
    const second =
      Math.floor(address / LINE_BYTES) === Math.floor(last / LINE_BYTES) ? first : this.lineOf(last);
    counts.accesses++;
    if (!missesEither(l1, first, second)) return;
    counts.l1Misses++;
    if (missesEither(this.ll, first, second)) counts.llMisses++;
  }

  /** A number below 2^31 for the line of an address; its low bits are the address's. */
  private lineOf(address: number): number {
    const region = Math.floor(address / REGION_BYTES);
    if (region !== this.lastRegion) {
      let base = this.regions.get(region);
      if (base === undefined) {
        base = this.regions.size * LINES_PER_REGION;
        this.regions.set(region, base);
      }
      this.lastRegion = region;
      this.lastBase = base;
    }
    return this.lastBase + Math.floor((address - region * REGION_BYTES) / LINE_BYTES);
  }
}

function arrayOf(spec: FunctionalCacheSpec): TagArray {
  const sets = spec.bytes / LINE_BYTES / spec.ways;
  return new TagArray({ sets, ways: spec.ways }, new LruPolicy(sets, spec.ways));
}

/** Looks both lines up, bringing in what is missing. */
function missesEither(array: TagArray, first: number, second: number): boolean {
  const missed = misses(array, first);
  return (second !== first && misses(array, second)) || missed;
}

function misses(array: TagArray, line: number): boolean {
  const slot = array.find(line);
  if (slot >= 0) {
    array.policy.touch(slot);
    return false;
  }
  array.put(array.choose(line), line);
  return true;
}
