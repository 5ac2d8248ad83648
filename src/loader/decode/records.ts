import { COUNT_WORDS, type DecodedTable, LOW_WORDS } from "./rows.js";

/**
 * What the simulation needs of a block each time it is executed, in one host cache line: a record of
 * `RECORD_WORDS` int32 words a block, `records[block << RECORD_SHIFT | R.x]`.
 */
export const RECORD_SHIFT = 4;
export const RECORD_WORDS = 1 << RECORD_SHIFT;

/** Words of a record. */
export const R = {
  /** First word of its rows, and one past the last. */
  Row: 0,
  RowEnd: 1,
  /** Page of its first byte; page that follows, or -1. */
  Page: 2,
  Page2: 3,
  /** Bits 0-5: line of its first byte in the page. 8-15: lines it touches. 16-18: BranchKind. */
  Shape: 4,
  /** Page and line of its first byte, and of its last, as pageId << 6 | line. */
  FirstLine: 5,
  LastLine: 6,
  /**
   * Addresses as numbers: equal numbers, equal addresses. Of the first byte; of the byte after the last; of the
   * target, where the last instruction names it (else NO_TARGET).
   */
  Start: 7,
  End: 8,
  Target: 9,
  /** Low 31 bits of the address of the first byte, of the byte after the last, of the last instruction. */
  LowStart: 10,
  LowEnd: 11,
  LowLast: 12,
  /** Instructions, loads, stores (rep apart). */
  Instructions: 13,
  Loads: 14,
  Stores: 15,
} as const;

export const LINES_SHIFT = 8;
export const LINES_MASK = 255;
export const KIND_SHIFT = 16;
export const KIND_MASK = 7;
/** Bit 20 of `Shape`: the block is the kernel's. */
export const KERNEL = 1 << 20;
/** The last instruction does not name its target. */
export const NO_TARGET = -1;

/** Makes the records of all blocks. */
export function blockRecords(table: Omit<DecodedTable, "records">): Int32Array {
  const count = table.branch.length;
  const records = new Int32Array(count * RECORD_WORDS);
  const numbers = new Map<number, number>();
  const numberOf = (address: number): number => {
    let number = numbers.get(address);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(address, number);
    }
    return number;
  };
  for (let block = 0; block < count; block++) {
    const at = block << RECORD_SHIFT;
    const counts = block * COUNT_WORDS;
    const low = block * LOW_WORDS;
    const kernel = table.counts[counts + 1] > 0 ? KERNEL : 0;
    records[at + R.Row] = table.rowStart[block];
    records[at + R.RowEnd] = table.rowStart[block + 1];
    records[at + R.Page] = table.page[block];
    records[at + R.Page2] = table.page2[block];
    records[at + R.Shape] =
      table.firstLine[block] |
      (table.lines[block] << LINES_SHIFT) |
      (table.branch[block] << KIND_SHIFT) |
      kernel;
    records[at + R.FirstLine] = (table.page[block] << 6) | table.firstLine[block];
    records[at + R.LastLine] = table.lastLine[block];
    records[at + R.Start] = numberOf(table.start[block]);
    records[at + R.End] = numberOf(table.end[block]);
    records[at + R.Target] = table.target[block] < 0 ? NO_TARGET : numberOf(table.target[block]);
    for (let i = 0; i < LOW_WORDS; i++) records[at + R.LowStart + i] = table.low[low + i];
    records[at + R.Instructions] = table.counts[counts];
    records[at + R.Loads] = table.counts[counts + 2];
    records[at + R.Stores] = table.counts[counts + 3];
  }
  return records;
}
