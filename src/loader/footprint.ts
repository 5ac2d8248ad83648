import { TypedFastBitSet } from "typedfastbitset";
import { type BlockTable, type PageTable, SlotFlag, SlotKind } from "./contract.js";

/** Bytes of a line, as footprints count them. */
export const LINE_BYTES = 64;

/** A set of physical lines, by dense line number (see PhysicalLines). */
export class LineSet {
  private readonly set = new TypedFastBitSet();

  add(line: number): void {
    this.set.add(line);
  }

  get size(): number {
    return this.set.size();
  }

  addAll(other: LineSet): void {
    this.set.union(other.set);
  }

  /** Lines in both over lines in either, 0..1; 1 for two empty sets. */
  jaccard(other: LineSet): number {
    const union = this.set.union_size(other.set);
    return union === 0 ? 1 : this.set.intersection_size(other.set) / union;
  }

  /** Footprint in kB of 1024 bytes. */
  get kB(): number {
    return (this.size * LINE_BYTES) / 1024;
  }
}

/** Numbers the physical lines of a trace densely: line = frame * 64 + line in page. */
export class PhysicalLines {
  /** Of each page: the first page id with the same physical page, times 64. */
  readonly base: Int32Array;

  constructor(pages: PageTable) {
    const first = new Map<number, number>();
    this.base = Int32Array.from(pages.ppn, (ppn, id) => {
      const known = first.get(ppn) ?? id;
      first.set(ppn, known);
      return known * (4096 / LINE_BYTES);
    });
  }

  /** Adds the lines of `bytes` bytes (on one page) from a page address on. */
  add(set: LineSet, address: number, bytes: number): void {
    const base = this.base[address >>> 12];
    const offset = address & 4095;
    const last = (Math.min(offset + bytes, 4096) - 1) >>> 6;
    for (let line = offset >>> 6; line <= last; line++) set.add(base + line);
  }

  addBlock(set: LineSet, blocks: BlockTable, id: number): void {
    const length = blocks.byteStart[blocks.instrStart[id + 1]] - blocks.byteStart[blocks.instrStart[id]];
    const offset = blocks.offset[id];
    this.add(set, (blocks.page[id] << 12) | offset, length);
    if (blocks.page2[id] >= 0) this.add(set, blocks.page2[id] << 12, offset + length - 4096);
  }
}

/** What one execution of each block does, so far as it is the same each time. */
export interface BlockCounts {
  instructions: Int32Array;
  kernel: Uint8Array;
  /** Plain accesses; one that straddles two pages counts once. Rep iterations are not in it. */
  loads: Int32Array;
  stores: Int32Array;
  hasRep: Uint8Array;
}

export function countBlocks(blocks: BlockTable, pages: PageTable): BlockCounts {
  const { count } = blocks;
  const counts: BlockCounts = {
    instructions: new Int32Array(count),
    kernel: new Uint8Array(count),
    loads: new Int32Array(count),
    stores: new Int32Array(count),
    hasRep: new Uint8Array(count),
  };
  for (let id = 0; id < count; id++) {
    counts.instructions[id] = blocks.instrStart[id + 1] - blocks.instrStart[id];
    counts.kernel[id] = pages.kernel[blocks.page[id]];
    for (let slot = blocks.slotStart[id]; slot < blocks.slotStart[id + 1]; slot++) {
      const kind = blocks.slotKind[slot];
      if (kind >= SlotKind.RepLoad) counts.hasRep[id] = 1;
      else if ((blocks.slotFlags[slot] & SlotFlag.Split) !== 0) continue;
      else if (kind === SlotKind.Load) counts.loads[id]++;
      else counts.stores[id]++;
    }
  }
  return counts;
}
