import type { PageTable } from "../loader/contract.js";
import * as record from "../loader/decode/records.js";
import * as rowBits from "../loader/decode/rows.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { RECORD_SHIFT } = record;
const { Row: ROW, RowEnd: ROW_END, LowStart: LOW_START, LowEnd: LOW_END } = record.R;
const { CROSSES, OFFSET_SHIFT, ROW_WORDS, UOPS_MASK, UOPS_SHIFT } = rowBits;

/** No block or page follows. */
export const NONE = -1;
/** A gap between two blocks that is shorter is padding: one instruction. In a longer one is code that was never executed. */
const PADDING = 16;
/** Of code that was never executed: bytes of an instruction. One has one micro-op, the next has two, and so on. */
const USUAL_BYTES = 4;

/** What lies behind each block in memory. */
interface Layout {
  /** The first block that begins at its end or later, in the same address space; NONE. */
  readonly next: Int32Array;
  /** Bytes up to that. */
  readonly gap: Float64Array;
  /** By their length. */
  readonly paths: Map<number, Paths>;
}

/** In a path: the instruction ends in another line than the one before, and begins in that one; below: its micro-ops. */
export const NEXT_LINE = 1 << 15;
export const STRADDLES = 1 << 14;
export const PATH_OPS = STRADDLES - 1;
const NO_PATH = -1;

/** By block: what lies behind it, `length` instructions, written down when it is first asked for. */
export class Paths {
  private readonly at: Int32Array;
  private words = new Uint16Array(1 << 12);
  private used = 0;

  constructor(
    private readonly layout: Layout,
    private readonly rows: Int32Array,
    private readonly records: Int32Array,
    readonly length: number,
  ) {
    this.at = new Int32Array(layout.next.length).fill(NO_PATH);
  }

  /** Where the path behind `block` begins in `all`. */
  behind(block: number): number {
    const at = this.at[block];
    return at !== NO_PATH ? at : this.write(block);
  }

  get all(): Uint16Array {
    return this.words;
  }

  private write(block: number): number {
    const { rows, records, length } = this;
    const { next, gap } = this.layout;
    if (this.used + length > this.words.length) {
      const larger = new Uint16Array(2 * (this.words.length + length));
      larger.set(this.words);
      this.words = larger;
    }
    const start = this.used;
    this.at[block] = start;
    this.used += length;
    // Where it is: in a block, or `bytes` before block `follows`, behind address `end`.
    let row = 0;
    let rowEnd = 0;
    let follows = next[block];
    let bytes = gap[block];
    let end = records[(block << RECORD_SHIFT) | LOW_END];
    let two = 0;
    for (let i = start; i < this.used; i++) {
      let uops = 1;
      let crosses = false;
      let begin = end;
      if (row === rowEnd && bytes === 0 && follows !== NONE) {
        const at = follows << RECORD_SHIFT;
        row = records[at | ROW];
        rowEnd = records[at | ROW_END];
        begin = records[at | LOW_START];
        crosses = (begin & 63) === 0;
        end = records[at | LOW_END];
        bytes = gap[follows];
        follows = next[follows];
      }
      if (row < rowEnd) {
        begin = rows[row] >>> OFFSET_SHIFT;
        if ((rows[row] & CROSSES) !== 0) crosses = true;
        uops = (rows[row + 2] >>> UOPS_SHIFT) & UOPS_MASK;
        row += uops * ROW_WORDS;
      } else {
        let size = USUAL_BYTES;
        if (follows !== NONE && bytes < PADDING) size = bytes;
        else {
          uops = 1 + two;
          two = 1 - two;
        }
        bytes -= size;
        crosses = (end + size - 1) >> 6 !== (end - 1) >> 6;
        end += size;
      }
      this.words[i] = uops | (crosses ? NEXT_LINE | ((begin & 63) !== 0 ? STRADDLES : 0) : 0);
    }
    return start;
  }
}

/** By decoded trace: all cores share it. */
const layouts = new WeakMap<rowBits.DecodedTable, Layout>();

function layoutOf(decoded: rowBits.DecodedTable, pages: PageTable): Layout {
  const known = layouts.get(decoded);
  if (known !== undefined) return known;
  const { start, end, page } = decoded;
  const count = start.length;
  const space = (block: number): number => pages.asid[page[block]];
  const order = Array.from({ length: count }, (_, block) => block);
  order.sort((a, b) => space(a) - space(b) || start[a] - start[b] || a - b);
  const layout = { next: new Int32Array(count).fill(NONE), gap: new Float64Array(count), paths: new Map() };
  for (let block = 0; block < count; block++) {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = order[middle];
      const before =
        space(other) < space(block) || (space(other) === space(block) && start[other] < end[block]);
      if (before) low = middle + 1;
      else high = middle;
    }
    if (low === count || space(order[low]) !== space(block)) continue;
    layout.next[block] = order[low];
    layout.gap[block] = start[order[low]] - end[block];
  }
  layouts.set(decoded, layout);
  return layout;
}

const nextOf = new WeakMap<PageTable, Int32Array>();

/** By page: the first that has the next virtual page of the same address space, or NONE. */
export function nextPages(pages: PageTable): Int32Array {
  const known = nextOf.get(pages);
  if (known !== undefined) return known;
  const key = (page: number, behind: number): number => pages.asid[page] * 2 ** 36 + pages.vpn[page] + behind;
  const first = new Map<number, number>();
  for (let page = pages.count - 1; page >= 0; page--) first.set(key(page, 0), page);
  const next = Int32Array.from({ length: pages.count }, (_, page) => first.get(key(page, 1)) ?? NONE);
  nextOf.set(pages, next);
  return next;
}

/** Paths of `length` instructions behind the blocks of a trace. */
export function pathsOf(decoded: rowBits.DecodedTable, pages: PageTable, length: number): Paths {
  const layout = layoutOf(decoded, pages);
  const paths = layout.paths.get(length) ?? new Paths(layout, decoded.rows, decoded.records, length);
  layout.paths.set(length, paths);
  return paths;
}
