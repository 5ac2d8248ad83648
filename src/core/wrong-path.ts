import type { PageTable } from "../loader/contract.js";
import * as record from "../loader/decode/records.js";
import * as rowBits from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import type { CoreParts } from "./core-base.js";
import * as stamps from "./scoreboard.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { RECORD_SHIFT } = record;
const { Row: ROW, RowEnd: ROW_END, LowStart: LOW_START, LowEnd: LOW_END } = record.R;
const { CROSSES, OFFSET_SHIFT, ROW_WORDS, UOPS_MASK, UOPS_SHIFT } = rowBits;
const { CYCLE, TIME, BLAME, LONG_AGO, NEVER } = stamps;

/** No block, page or line follows. */
export const NONE = -1;
/** A line of the wrong path waits for its turn in the order of shared accesses. */
export const WAITS = -(2 ** 30);
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
const NEXT_LINE = 1 << 15;
const STRADDLES = 1 << 14;
const PATH_OPS = STRADDLES - 1;
const NO_PATH = -1;

/** By block: what lies behind it, `length` instructions, written down when it is first asked for. */
class Paths {
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

const nextOf = new WeakMap<PageTable, Int32Array>();

/** Fetch1, to Fetch2 on the wrong path. */
interface Lines {
  /**
   * Fetch2 is done with a line at a stamp and goes on in the next. @returns when that is at Fetch2; WAITS: it waits for its
   * turn, NEVER: it is not asked for before `limit`.
   */
  nextWrong(stamp: number, limit: number): number;
}

/**
 * What Fetch2 and Decode do behind a branch that redirects fetch when it commits: until fetch is told, Fetch2
 * goes on handing out what lies behind the branch in memory, and Decode, which is told nothing, works through
 * that before it comes to the right path. Nothing of it is executed here. Times are stamps, a place in a cycle is the
 * cycle's stamp plus 1, 2, ... What is not known yet is NEVER: it is later than all that is asked for. Nothing is kept
 * from one call to the next but what Fetch1 keeps: who comes back knowing more begins at the branch. Equations: README.md.
 */
export class WrongPath {
  private readonly paths: Paths;
  private readonly width: number;
  private readonly issueLimit: number;
  private readonly toDecode: number;
  private readonly toExecute: number;
  /** From a line to the next at Fetch2 where none is asked for: both hit. */
  private readonly perLine: number;
  private readonly wrongLines: boolean;
  /** Micro-ops of the wrong path that issue before the branch commits, at most: what the integer units hold. */
  private readonly issuable: number;
  /** Micro-ops that fit between Decode and issue. */
  private readonly window: number;
  /** What Fetch2 handed out in each of its last cycles: place at which that was decoded. As many as Decode's buffer holds. */
  private readonly groups: Int32Array;
  /** A cycle after the last issue on the right path that Decode waited for to be done with that. */
  private readonly seen: Int32Array;
  /** Issue of the last `window` micro-ops of the wrong path. */
  private readonly issues: Int32Array;
  private readonly mask: number;

  constructor(
    spec: PipelineSpec,
    { decoded, pages, port }: CoreParts,
    private readonly board: stamps.Scoreboard,
  ) {
    this.mask = board.ring - 1;
    this.width = spec.decodeWidth;
    this.issueLimit = spec.executeIssueLimit;
    this.toDecode = spec.fetch2ToDecodeDelay * CYCLE;
    this.toExecute = spec.decodeToExecuteDelay * CYCLE;
    this.perLine = (1 + port.fetchHitLatency) * CYCLE;
    this.wrongLines = spec.wrongPathLines;
    this.issuable = spec.fu.intAlu.count * spec.fu.intAlu.opLatency;
    this.window = spec.executeInputBuffer * spec.decodeWidth;
    this.groups = new Int32Array(spec.decodeInputBuffer);
    this.seen = new Int32Array(spec.decodeInputBuffer);
    this.issues = new Int32Array(this.window);
    // What can be handed out before Decode is stuck, and from the commit until fetch is told.
    const groups = this.groups.length + 2 + spec.branchFeedbackDelay;
    const length = this.issuable + this.window + groups * this.width;
    const layout = layoutOf(decoded, pages);
    const { paths } = layout;
    this.paths = paths.get(length) ?? new Paths(layout, decoded.rows, decoded.records, length);
    paths.set(length, this.paths);
  }

  /**
   * @param block ends with the branch
   * @param left place at which the branch left Fetch2
   * @param available when the line it ends in was at Fetch2
   * @param decode place at which its last micro-op is decoded
   * @param issue when that is issued
   * @param commit when it commits
   * @param ops micro-ops up to it, since the start
   * @param issued micro-ops issued since the start
   * @param limit until when Fetch2 works on it
   * @returns place at which the last micro-op of the wrong path is decoded, or WAITS
   */
  follow(
    lines: Lines,
    block: number,
    left: number,
    available: number,
    decode: number,
    issue: number,
    commit: number,
    ops: number,
    issued: number,
    limit: number,
  ): number {
    const { paths, perLine, wrongLines, groups, seen, issues, width, issueLimit, issuable, window, mask } =
      this;
    const { words, issuedAt } = this.board;
    groups[0] = decode;
    groups.fill(LONG_AGO, 1);
    seen.fill(LONG_AGO);
    let group = 0;
    let line = available & TIME;
    let at = issue & TIME;
    let used = issueLimit;
    let count = 0;
    /** count % window */
    let entry = 0;
    /** A cycle after the last issue on the right path that Decode waited for; that Fetch2 did. */
    let waited = LONG_AGO;
    let held = LONG_AGO;
    let next = paths.behind(block);
    const stop = next + paths.length;
    const path = paths.all;
    for (;;) {
      if (next === stop) throw new Error("a wrong path is longer than the buffers can hold");
      const instruction = path[next++];
      let more = instruction & PATH_OPS;
      // Fetch2.
      if ((instruction & NEXT_LINE) !== 0) {
        if (!wrongLines) line += perLine;
        else {
          const done = (instruction & STRADDLES) !== 0 ? stamps.nextPlace(left, width) : left;
          line = lines.nextWrong((done > held ? done : held) & TIME, limit);
          if (line === WAITS) return WAITS;
        }
      }
      left = stamps.nextPlace(left, width);
      if (line > left) left = line | 1;
      if ((left & BLAME) === 1) {
        group = group + 1 === groups.length ? 0 : group + 1;
        const room = groups[group] & TIME;
        if (room > left) left = room | 1;
        if (seen[group] > held) held = seen[group];
      }
      if ((left & TIME) >= limit) return decode;
      const there = (left & TIME) + this.toDecode;
      for (; more > 0; more--) {
        // Decode.
        decode = stamps.nextPlace(decode, width);
        if (there > decode) decode = there | 1;
        let room: number;
        if (count < window) {
          const before = (ops + count - window) | 0;
          room = ((issued - before) | 0) > 0 ? words[issuedAt + (before & mask)] & TIME : NEVER;
          waited = room + CYCLE;
        } else room = issues[entry];
        // What has not been issued is thrown away when the branch commits.
        if (room > commit) room = commit;
        if (room > decode) decode = room | 1;
        // Issue.
        const ready = (decode & TIME) + this.toExecute;
        used++;
        if (used > issueLimit || ready > at) {
          at = ready > at ? ready : at + CYCLE;
          used = 1;
        }
        issues[entry] = count < issuable ? at : commit;
        count++;
        if (++entry === window) entry = 0;
      }
      groups[group] = decode;
      seen[group] = waited;
    }
  }
}
