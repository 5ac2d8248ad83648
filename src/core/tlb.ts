import type { EntriesSpec, TlbSpec } from "../machine/spec.js";
import { TlbCount } from "./counters.js";
import { type PageTables, WALK_LEVELS } from "./page-tables.js";

/** What translates pages: a TLB of one page size, or of two. */
export interface PageTlb {
  /** No side effect. */
  probe(page: number): boolean;
  /** @returns whether the page is held; makes it the most recently used. */
  lookup(page: number): boolean;
  /** Puts a page in that is not held. @returns the entry that had to leave, or -1. */
  fill(page: number): number;
  flush(): void;
}

/** The TLB that a spec describes, over pages of one size or of two. */
export function createTlb(
  spec: TlbSpec,
  pages: { vpn: Float64Array; count: number },
  tables: PageTables,
  large: boolean,
): PageTlb {
  return large ? new SizedTlb(spec, tables) : new Tlb(spec, pages.vpn, pages.count);
}

/** A TLB that nobody walks for: it has every page it is asked for, and counts those that it did not hold. */
export class WalklessTlb implements PageTlb {
  constructor(
    private readonly tlb: PageTlb,
    private readonly counts: Float64Array,
  ) {}

  probe(page: number): boolean {
    return this.tlb.probe(page);
  }

  lookup(page: number): boolean {
    if (!this.tlb.lookup(page)) {
      this.counts[TlbCount.Misses]++;
      this.tlb.fill(page);
    }
    return true;
  }

  fill(page: number): number {
    return this.tlb.fill(page);
  }

  flush(): void {
    this.tlb.flush();
  }
}

/**
 * One TLB: which pages it holds, in true least-recently-used order in each set. Entries are tagged by page
 * id, which stands for (address space, virtual page, physical page): address spaces never alias, and a
 * changed mapping is another entry. The set is chosen by the low bits of the virtual page.
 *
 * A page's slot is found by a direct index (page ids are dense), the order is a doubly linked ring in each
 * set, so hit, fill and eviction take constant time at any associativity.
 */
export class Tlb implements PageTlb {
  private readonly slotOf: Int32Array;
  private readonly pageIn: Int32Array;
  private readonly next: Int32Array;
  private readonly prev: Int32Array;
  /** Most recently used slot of each set; its `prev` is the least recent. */
  private readonly head: Int32Array;
  private readonly setMask: number;
  readonly entries: number;
  readonly ways: number;

  /** @param vpn virtual page by page id (borrowed). */
  constructor(
    spec: EntriesSpec,
    private readonly vpn: Float64Array,
    pages: number,
  ) {
    this.entries = spec.entries;
    this.ways = Math.min(spec.ways, spec.entries);
    const sets = this.entries / this.ways;
    if (!Number.isInteger(sets) || (sets & (sets - 1)) !== 0)
      throw new Error(`TLB of ${spec.entries} entries, ${spec.ways} ways: sets are no power of two`);
    this.setMask = sets - 1;
    this.slotOf = new Int32Array(Math.max(1, pages)).fill(-1);
    this.pageIn = new Int32Array(this.entries).fill(-1);
    this.next = new Int32Array(this.entries);
    this.prev = new Int32Array(this.entries);
    this.head = new Int32Array(sets);
    this.reset();
  }

  private reset(): void {
    const { ways } = this;
    this.pageIn.fill(-1);
    for (let set = 0; set <= this.setMask; set++) {
      const base = set * ways;
      this.head[set] = base;
      for (let way = 0; way < ways; way++) {
        this.next[base + way] = base + ((way + 1) % ways);
        this.prev[base + way] = base + ((way + ways - 1) % ways);
      }
    }
  }

  /** No side effect. */
  probe(page: number): boolean {
    return this.slotOf[page] >= 0;
  }

  /** @returns whether the page is held; makes it the most recently used. */
  lookup(page: number): boolean {
    const slot = this.slotOf[page];
    if (slot < 0) return false;
    const set = (slot / this.ways) | 0;
    const head = this.head[set];
    if (slot !== head) this.toFront(set, head, slot);
    return true;
  }

  private toFront(set: number, head: number, slot: number): void {
    const { next, prev } = this;
    const tail = prev[head];
    if (slot !== tail) {
      next[prev[slot]] = next[slot];
      prev[next[slot]] = prev[slot];
      next[slot] = head;
      prev[slot] = tail;
      next[tail] = slot;
      prev[head] = slot;
    }
    // In a ring, the tail becomes the head by moving the mark.
    this.head[set] = slot;
  }

  /** Puts a page in that is not held. @returns the page that had to leave, or -1. */
  fill(page: number): number {
    const set = (this.vpn[page] % 2147483648) & this.setMask;
    const slot = this.prev[this.head[set]];
    const victim = this.pageIn[slot];
    if (victim >= 0) this.slotOf[victim] = -1;
    this.pageIn[slot] = page;
    this.slotOf[page] = slot;
    this.head[set] = slot;
    return victim;
  }

  flush(): void {
    for (const page of this.pageIn) if (page >= 0) this.slotOf[page] = -1;
    this.reset();
  }
}

/** A TLB over pages of 4 kB and 2 MB, in entries that they share or in two parts. */
export class SizedTlb implements PageTlb {
  private readonly small: Tlb;
  private readonly large: Tlb;
  private readonly entryOf: Int32Array;
  private readonly steps: Uint8Array;

  constructor(spec: TlbSpec, tables: PageTables) {
    const { entryIndex, entryOf, steps } = tables;
    this.entryOf = entryOf;
    this.steps = steps;
    this.small = new Tlb(spec, entryIndex, entryIndex.length);
    this.large = spec.large === undefined ? this.small : new Tlb(spec.large, entryIndex, entryIndex.length);
  }

  private part(page: number): Tlb {
    return this.steps[page] === WALK_LEVELS ? this.small : this.large;
  }

  probe(page: number): boolean {
    return this.part(page).probe(this.entryOf[page]);
  }

  lookup(page: number): boolean {
    return this.part(page).lookup(this.entryOf[page]);
  }

  fill(page: number): number {
    return this.part(page).fill(this.entryOf[page]);
  }

  flush(): void {
    this.small.flush();
    this.large.flush();
  }
}
