import type { PageTable } from "../loader/contract.js";
import * as rowBits from "../loader/decode/rows.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { CLASS_MASK, LAST, LOAD, OFFSET_SHIFT, PAGE2, REP, ROW_WORDS, SIZE_MASK, SIZE_SHIFT, SPLIT, STORE } =
  rowBits;
const MEM = rowBits.UopClass.Mem;

/** Of a block that has to be gone through access by access. */
export const NO_PLAN = -1;
/** In the word of an access: bytes; pieces in which they are accessed (`piecesOf`), less one; set for a store. */
export const PLAN_BYTES = 255;
export const PLAN_MORE_SHIFT = 8;
export const PLAN_STORE = 1 << 16;
/** Words of a line: page id, physical line, chunks fetched from it. */
export const PLAN_LINE_WORDS = 3;

/**
 * What the timing core's short way needs of each block: the lines that it fetches from, with the chunks of each, and
 * its loads and stores. `words` from `start[block]` on: number of lines, number of accesses, chunks in all, pieces of
 * accesses in all; then `PLAN_LINE_WORDS` for each line; then a word for each access.
 */
export interface TimingPlans {
  readonly start: Int32Array;
  readonly words: Int32Array;
}

/** Words before the lines. */
export const PLAN_HEAD = 4;

/**
 * Pieces in which the access of a row is made: gem5's microcode accesses a vector 8 bytes at a time, and all pieces but the
 * first are micro-ops of class Mem without a slot of their own.
 */
export function piecesOf(rows: Int32Array, row: number): number {
  let pieces = 1;
  for (let at = row; (rows[at] & LAST) === 0; pieces++) {
    at += ROW_WORDS;
    if ((rows[at] & (LOAD | STORE | REP)) !== 0 || (rows[at] & CLASS_MASK) !== MEM) break;
  }
  return pieces;
}

const known = new WeakMap<rowBits.DecodedTable, TimingPlans[]>();

/** Plans of a decoded trace, for chunks of `1 << shift` bytes. All cores share them. */
export function timingPlans(decoded: rowBits.DecodedTable, pages: PageTable, shift: number): TimingPlans {
  let plans = known.get(decoded);
  if (plans === undefined) {
    plans = [];
    known.set(decoded, plans);
  }
  plans[shift] ??= makePlans(decoded, pages, shift);
  return plans[shift];
}

function makePlans(decoded: rowBits.DecodedTable, pages: PageTable, shift: number): TimingPlans {
  const { rows, rowStart, instrStart, instrLength, page, page2 } = decoded;
  const blocks = page.length;
  const start = new Int32Array(blocks).fill(NO_PLAN);
  const words: number[] = [];
  for (let block = 0; block < blocks; block++) {
    const lines: number[] = [];
    const accesses: number[] = [];
    let instruction = instrStart[block];
    let first = true;
    let total = 0;
    let pieces = 0;
    let plain = true;
    for (let row = rowStart[block]; row < rowStart[block + 1]; row += ROW_WORDS) {
      const word0 = rows[row];
      if ((word0 & (REP | SPLIT)) !== 0) plain = false;
      if (first) {
        const offset = word0 >>> OFFSET_SHIFT;
        const last = (offset + instrLength[instruction] - 1) >> shift;
        for (let chunk = offset >> shift; chunk <= last; chunk++) {
          const at = chunk << shift;
          const id = at > 4095 || (word0 & PAGE2) !== 0 ? page2[block] : page[block];
          if (pages.io[id] !== 0) plain = false;
          const line = (pages.ppn[id] << 6) | ((at & 4095) >> 6);
          const same = lines.length - PLAN_LINE_WORDS;
          if (same >= 0 && lines[same] === id && lines[same + 1] === line) lines[same + 2]++;
          else lines.push(id, line, 1);
          total++;
        }
      }
      if ((word0 & (LOAD | STORE)) !== 0) {
        const own = piecesOf(rows, row);
        pieces += own;
        accesses.push(
          ((word0 >> SIZE_SHIFT) & SIZE_MASK) |
            ((own - 1) << PLAN_MORE_SHIFT) |
            ((word0 & LOAD) !== 0 ? 0 : PLAN_STORE),
        );
      }
      first = (word0 & LAST) !== 0;
      if (first) instruction++;
    }
    if (!plain) continue;
    start[block] = words.length;
    words.push(lines.length / PLAN_LINE_WORDS, accesses.length, total, pieces, ...lines, ...accesses);
  }
  return { start, words: Int32Array.from(words) };
}
