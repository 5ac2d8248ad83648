import type { PageTable } from "../loader/contract.js";
import * as rowBits from "../loader/decode/rows.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { LAST, LAST_PIECE, LOAD, OFFSET_SHIFT, PAGE2, PIECE, PIECE_BYTES, PIECE_MASK, PIECE_SHIFT } = rowBits;
const { REP, ROW_WORDS, SIZE_MASK, SIZE_SHIFT, SPLIT, STORE } = rowBits;

/** Of a block that has to be gone through access by access. */
export const NO_PLAN = -1;
/** In the word of an access: bytes; bytes behind its slot's address; set where the next takes the same slot; set for a store. */
export const PLAN_BYTES = 255;
export const PLAN_BEHIND_SHIFT = 8;
export const PLAN_SAME_SLOT = 1 << 16;
export const PLAN_STORE = 1 << 17;
/** Words of a line: page id, physical line, chunks fetched from it. */
export const PLAN_LINE_WORDS = 3;

/**
 * What the timing core's short way needs of each block: the lines that it fetches from, with the chunks of each, and
 * its loads and stores. `words` from `start[block]` on: number of lines, number of accesses, chunks in all; then
 * `PLAN_LINE_WORDS` for each line; then a word for each access.
 */
export interface TimingPlans {
  readonly start: Int32Array;
  readonly words: Int32Array;
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
        let word = ((word0 >> SIZE_SHIFT) & SIZE_MASK) | ((word0 & LOAD) !== 0 ? 0 : PLAN_STORE);
        if ((word0 & PIECE) !== 0) {
          const word2 = rows[row + 2];
          word |= (((word2 >>> PIECE_SHIFT) & PIECE_MASK) * PIECE_BYTES) << PLAN_BEHIND_SHIFT;
          if ((word2 & LAST_PIECE) === 0) word |= PLAN_SAME_SLOT;
        }
        accesses.push(word);
      }
      first = (word0 & LAST) !== 0;
      if (first) instruction++;
    }
    if (!plain) continue;
    start[block] = words.length;
    words.push(lines.length / PLAN_LINE_WORDS, accesses.length, total, ...lines, ...accesses);
  }
  return { start, words: Int32Array.from(words) };
}
