import * as record from "../loader/decode/records.js";
import * as rowBits from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import { powerOfTwo } from "../numbers.js";
import * as flow from "./control-flow.js";
import type { CoreParts } from "./core-base.js";
import type { CoreCounters } from "./counters.js";
import * as lineFetch from "./line-fetch.js";
import { Waiting } from "./line-request.js";
import * as stamps from "./scoreboard.js";
import type { StreamBuffer } from "./stream-buffer.js";
import type { Translation } from "./translation.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { RECORD_SHIFT } = record;
const { Row: ROW, RowEnd: ROW_END } = record.R;
const { CROSSES, LAST, OFFSET_SHIFT, REFETCH, UOPS_SHIFT, UOPS_MASK, ROW_WORDS } = rowBits;
const { CYCLE, TIME, LONG_AGO, NEVER } = stamps;
const { NEW_LINE, WAY_MASK, WRONG_PATH } = flow;
const { SEGMENT_SHIFT } = lineFetch;
const AVAILABLE = lineFetch.Segment.Available;
const NOTHING_WAITS = Waiting.Nothing;

/** All segments there can be. */
const ALL = 2 ** 30;
/** Answer of `enter`: a line is not there yet. */
export const NOT_THERE = -(2 ** 30);

/** Where execution is. */
export interface Execution {
  /** Row of its next micro-op, end of the block's rows; number of the instruction. */
  readonly row: number;
  readonly rowEnd: number;
  readonly instr: number;
  /** Has that been begun, and at which stamp did it leave Fetch2? */
  readonly begun: boolean;
  readonly left2: number;
  /** Place of the last decode, stamp of the last issue. */
  readonly decode: number;
  readonly issue: number;
}

/** Entries of the rings by number of instruction, micro-op and segment. */
export function ringSize(spec: PipelineSpec): number {
  const queue = (spec.decodeInputBuffer + spec.executeInputBuffer) * spec.decodeWidth;
  return powerOfTwo(queue + spec.fetch2InputBuffer + spec.fetchLimit + 16);
}

/**
 * Fetch2: which cycle each instruction leaves it, `decodeWidth` a cycle, when the line it ends in is there and
 * the queue to issue has room. Mostly execution hands out by itself what it needs at once (`enter`, `follow`);
 * before an access of the data side leaves the L1D this unit runs ahead, as far as it can, to find out whether
 * one of its own comes earlier. Equations: README.md.
 */
export class FetchUnit extends lineFetch.LineFetch {
  /** Instructions handed out since the start. */
  handed = 0;
  /** Micro-ops issued since the start. Written by execution. */
  issuedCount = 0;
  /** After `enter`: segment the instruction is the first of, or -1. */
  first = -1;
  /** By instruction number & mask: stamp of leaving Fetch2; line segment if it is the first of one, else -1. */
  readonly leaves: Int32Array;
  readonly segmentOf: Int32Array;
  readonly mask: number;
  /** Micro-ops between Fetch2 and issue. */
  readonly queue: number;

  private execution!: Execution;
  // Row that comes next in block `handedBlk`, micro-ops before it, segment it reads.
  private row = 0;
  private rowEnd = 0;
  private uops = 0;
  private segment = -1;
  private need = false;
  private crossed = false;
  private readonly rows: Int32Array;
  private readonly width: number;
  private readonly toDecode: number;
  /** Bits of word 2 that mark a branch of the microcode which redirects fetch: without a predictor, the taken ones. */
  readonly microBranches: number;

  constructor(
    spec: PipelineSpec,
    parts: CoreParts,
    board: stamps.Scoreboard,
    buffer: StreamBuffer,
    translation: Translation,
    control: flow.ControlFlow,
    counters: CoreCounters,
  ) {
    super(spec, parts, board.ring, board, buffer, translation, control, counters);
    this.rows = parts.decoded.rows;
    this.width = spec.decodeWidth;
    this.toDecode = spec.fetch2ToDecodeDelay * CYCLE;
    this.microBranches = parts.spec.core.branchPredictor.name === "none" ? REFETCH : 0;
    this.queue = (spec.decodeInputBuffer + spec.executeInputBuffer) * spec.decodeWidth;
    this.mask = board.ring - 1;
    this.leaves = new Int32Array(board.ring).fill(LONG_AGO);
    this.segmentOf = new Int32Array(board.ring);
  }

  /** Begins anew at block execution `blk`, which execution is at; `now`: stamp. */
  restart(blk: number, now: number): void {
    this.restartLines(blk, now);
    this.segment = this.segments - 1;
    this.handedBlk = blk - 1;
    this.handedAll = true;
    this.row = this.rowEnd = 0;
    this.need = false;
    this.crossed = false;
    this.uops = this.issuedCount;
    const cycle = this.position & TIME;
    this.position = (cycle > now ? cycle : now) | this.width;
  }

  /** The buffer is about to drop its first `blocks` blocks, which are all executed. */
  drop(blocks: number): void {
    this.dropBlocks(blocks);
    this.handedBlk -= blocks;
  }

  /** The base of stamps moves on. */
  rebase(cycles: number): void {
    this.rebaseLines(cycles);
    stamps.rebaseStamps(this.leaves, 0, this.leaves.length, cycles);
  }

  /**
   * Hands out instructions as far as it can, and asks for the lines after that: what waits then is its next
   * miss. `execution`: where it is in block `blk`, behind a commit at stamp `commit`; `bound`: cycle up to which everything
   * has to be asked for. No redirect that is not known yet comes earlier.
   */
  runAhead(execution: Execution, blk: number, commit: number, bound: number): void {
    this.execution = execution;
    this.decode = execution.decode;
    this.issue = execution.issue;
    this.executing = blk;
    this.commit = commit;
    this.instructions();
    // A line that is asked for early is not handed out earlier: nothing new for `instructions`.
    if (this.waiting === NOTHING_WAITS) this.lines(ALL);
    if (this.waiting === NOTHING_WAITS) this.lookBehind(bound);
  }

  /**
   * Execution hands out the next instruction itself: all before are issued. Finds the line it ends in.
   * `blk`: its block, `word0`: of its first row. @returns the stamp from which it can leave as far as lines are
   * concerned, or NOT_THERE.
   */
  enter(blk: number, word0: number, commit: number): number {
    const { ring, ringMask } = this;
    this.executing = blk;
    this.commit = commit;
    if (this.handedBlk !== blk) {
      if (blk >= this.prepared) this.prepare(this.prepared);
      this.handedBlk = blk;
      if ((this.buffer.how[blk] & NEW_LINE) !== 0) this.need = true;
    }
    this.handedAll = false;
    if (this.need && !this.nextLine()) return NOT_THERE;
    let segment = this.segment;
    let first = -1;
    let at = LONG_AGO;
    if (this.crossed) {
      first = segment;
      at = ring[((segment & ringMask) << SEGMENT_SHIFT) | AVAILABLE];
    }
    if ((word0 & CROSSES) !== 0) {
      this.pop(segment, this.doneWith(word0, this.position));
      if (this.segments < segment + 2 && this.lines(segment + 2) < segment + 2) return NOT_THERE;
      this.segment = ++segment;
      first = segment;
      const available = ring[((segment & ringMask) << SEGMENT_SHIFT) | AVAILABLE];
      if (available > at) at = available;
    }
    this.crossed = false;
    this.first = first;
    return at;
  }

  /** Execution has handed out by itself: up to `row` of block `blk`, `uops` micro-ops since the start. */
  follow(blk: number, row: number, rowEnd: number, uops: number): void {
    this.handedBlk = blk;
    this.row = row;
    this.rowEnd = rowEnd;
    this.handedAll = row === rowEnd;
    this.uops = uops;
  }

  /** Stamp at which Fetch2 is done with a line whose next instruction ends in the one behind: it reads how that begins. */
  private doneWith(word0: number, position: number): number {
    const straddles = ((word0 >>> OFFSET_SHIFT) & 63) !== 0;
    return (straddles ? stamps.nextPlace(position, this.width) : position) & TIME;
  }

  /** The block at hand begins in a line of its own. @returns false when that is not there yet. */
  private nextLine(): boolean {
    const { segment } = this;
    // Where Fetch2 went on on a wrong path, the line before left its buffer then.
    if (segment >= 0 && WRONG_PATH[this.buffer.how[this.handedBlk] & WAY_MASK] === 0)
      this.pop(segment, this.position & TIME);
    if (this.segments < segment + 2 && this.lines(segment + 2) < segment + 2) return false;
    this.segment = segment + 1;
    this.need = false;
    this.crossed = true;
    return true;
  }

  protected override issued(): number {
    return this.issuedCount;
  }

  protected override handedOps(): number {
    return this.uops;
  }

  protected override decodedWhenHanded(): number {
    const { rows, records, buffer, leaves, execution } = this;
    let blk = this.executing;
    let { row, rowEnd, begun, decode } = execution;
    if (!begun && row !== rowEnd && row === records[(buffer.blocks[blk] << RECORD_SHIFT) | ROW]) row = rowEnd;
    // Not begun, and behind a redirect: Decode has to work through the wrong path first.
    if (row === rowEnd && WRONG_PATH[buffer.how[blk] & WAY_MASK] !== 0) decode = this.wrongDecoded;
    else if (row !== rowEnd) blk++;
    let left = execution.left2;
    for (let { instr } = execution; instr !== this.handed; instr = (instr + 1) | 0) {
      if (row === rowEnd) {
        row = records[(buffer.blocks[blk] << RECORD_SHIFT) | ROW];
        rowEnd = records[(buffer.blocks[blk] << RECORD_SHIFT) | ROW_END];
        blk++;
      }
      if (!begun) left = leaves[instr & this.mask];
      begun = false;
      for (;;) {
        decode = stamps.nextPlace(decode, this.width);
        const there = left + this.toDecode;
        if (there > decode) decode = there | 1;
        const last = (rows[row] & LAST) !== 0;
        const refetched = (rows[row + 2] & this.microBranches) !== 0;
        row += ROW_WORDS;
        if (last) break;
        // What follows of the instruction is handed out anew when that has committed.
        if (refetched) return NEVER;
      }
    }
    return decode;
  }

  private instructions(): void {
    const { leaves, segmentOf, buffer, rows, records, ring } = this;
    const { words, issuedAt } = this.board;
    const mask = this.mask | 0;
    const width = this.width | 0;
    const queue = this.queue | 0;
    const issuedCount = this.issuedCount | 0;
    let position = this.position | 0;
    let uops = this.uops | 0;
    let row = this.row | 0;
    let rowEnd = this.rowEnd | 0;
    let handed = this.handed | 0;
    let segment = this.segment | 0;
    for (;;) {
      if (row === rowEnd) {
        const blk = this.handedBlk + 1;
        if (blk >= this.prepared && !this.prepare(this.prepared)) break;
        this.handedBlk = blk;
        const rec = buffer.blocks[blk] << RECORD_SHIFT;
        row = records[rec | ROW];
        rowEnd = records[rec | ROW_END];
        if ((buffer.how[blk] & NEW_LINE) !== 0) this.need = true;
      }
      if (this.need) {
        this.position = position;
        this.handedAll = false;
        if (!this.nextLine()) break;
        segment = this.segment;
      }
      const more = (rows[row] & CROSSES) !== 0;
      let at = LONG_AGO;
      let first = -1;
      if (this.crossed) {
        first = segment;
        at = ring[((segment & mask) << SEGMENT_SHIFT) | AVAILABLE];
      }
      if (more) {
        this.position = position;
        this.handedAll = false;
        this.pop(segment, this.doneWith(rows[row], position));
        if (this.segments < segment + 2 && this.lines(segment + 2) < segment + 2) break;
      }
      const waitFor = (uops - queue) | 0;
      if (((issuedCount - waitFor) | 0) <= 0) break;
      const room = words[issuedAt + (waitFor & mask)] + CYCLE;
      if (room > at) at = room;
      if (more) {
        segment++;
        first = segment;
        const available = ring[((segment & mask) << SEGMENT_SHIFT) | AVAILABLE];
        if (available > at) at = available;
        this.segment = segment;
      }
      this.crossed = false;
      const next = stamps.nextPlace(position, width);
      position = next > (at | 1) ? next : at | 1;
      leaves[handed & mask] = position & TIME;
      segmentOf[handed & mask] = first;
      handed = (handed + 1) | 0;
      const count = (rows[row + 2] >>> UOPS_SHIFT) & UOPS_MASK;
      uops = (uops + count) | 0;
      row += count * ROW_WORDS;
    }
    this.position = position;
    this.uops = uops;
    this.row = row;
    this.rowEnd = rowEnd;
    this.handedAll = row === rowEnd;
    this.handed = handed;
    this.segment = segment;
  }
}
