/**
 * Code region reference buffer (ISCA 2022, section 3.2): a fully associative FIFO of the regions that
 * missed last, each with a vector of its missed lines. A hit sets a bit and leaves the order alone.
 *
 * Entries lie in rings: slot `(head + i) % entries` holds the i-th oldest, for i < count.
 * The key is (address space, region number); hardware keys by the virtual address alone.
 */
export class Crrb {
  readonly asid: Int32Array;
  readonly region: Float64Array;
  /** `words` 32-bit words a slot, low lines first. */
  readonly vector: Int32Array;
  /** Entries held. */
  count = 0;
  private head = 0;
  private last = 0;

  constructor(
    readonly entries: number,
    readonly words: number,
  ) {
    this.asid = new Int32Array(entries);
    this.region = new Float64Array(entries);
    this.vector = new Int32Array(entries * words);
  }

  get full(): boolean {
    return this.count === this.entries;
  }

  /** Slot of the oldest entry. Meaningless when empty. */
  get oldest(): number {
    return this.head;
  }

  /** @returns the region's slot, or -1. */
  probe(asid: number, region: number): number {
    const { entries, count, head, asid: asids, region: regions, last } = this;
    // Misses come in runs within a region; the shortcut changes no result, because a region has one slot at most.
    if (count > 0 && regions[last] === region && asids[last] === asid && this.holds(last)) return last;
    for (let i = 0, slot = head; i < count; i++) {
      if (regions[slot] === region && asids[slot] === asid) {
        this.last = slot;
        return slot;
      }
      if (++slot === entries) slot = 0;
    }
    return -1;
  }

  /** Sets a line's bit. @returns false when it was set already. */
  mark(slot: number, line: number): boolean {
    const at = slot * this.words + (line >>> 5);
    const bit = 1 << (line & 31);
    const before = this.vector[at];
    this.vector[at] = before | bit;
    return (before & bit) === 0;
  }

  /** Appends a region with an empty vector; there must be room. @returns its slot. */
  push(asid: number, region: number): number {
    let slot = this.head + this.count;
    if (slot >= this.entries) slot -= this.entries;
    this.count++;
    this.asid[slot] = asid;
    this.region[slot] = region;
    const { words, vector } = this;
    for (let w = 0; w < words; w++) vector[slot * words + w] = 0;
    this.last = slot;
    return slot;
  }

  /** Removes the oldest entry; its slot keeps its contents until the next push. */
  pop(): void {
    if (++this.head === this.entries) this.head = 0;
    this.count--;
  }

  private holds(slot: number): boolean {
    const i = slot - this.head;
    return (i < 0 ? i + this.entries : i) < this.count;
  }
}
