import * as record from "../loader/decode/records.js";
import type { PipelineSpec } from "../machine/spec.js";
import * as flow from "./control-flow.js";
import type { CoreParts } from "./core-base.js";
import type { CoreCounters } from "./counters.js";
import { Waiting } from "./line-request.js";
import * as stamps from "./scoreboard.js";
import type { StreamBuffer } from "./stream-buffer.js";
import type { Translation } from "./translation.js";
import { WrongLines } from "./wrong-lines.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { RECORD_SHIFT, LINES_SHIFT, LINES_MASK } = record;
const { Page: PAGE, Page2: PAGE2, Shape: SHAPE } = record.R;
const { CYCLE, TIME, LONG_AGO, NEVER } = stamps;
const { NEW_LINE, WAY_MASK } = flow;
const { Next: NEXT, Predicted: PREDICTED, Start: START } = flow.Way;
const NOTHING = Waiting.Nothing;

/** Block executions that are classified (and predicted) at a time. */
const PREPARE = 32;

/**
 * Words of a segment in `ring`: number of its request, stamp at which it is at Fetch2, the way it was got to, the level
 * that served it, cycles beyond a hit and of walk.
 */
export const SEGMENT_SHIFT = 3;
/** The same: what is exported is looked up at each use, also here. */
const SHIFT = SEGMENT_SHIFT;
export const Segment = { Request: 0, Available: 1, Way: 2, Level: 3, Miss: 4, Walk: 5 } as const;
const { Request: REQUEST, Available: AVAILABLE, Way: WAY, Level: LEVEL, Miss: MISS, Walk: WALKED } = Segment;

/**
 * Fetch1: asks for the lines of the blocks one after the other, as far as Fetch2's buffer, the order of the
 * program and leave to miss let it. A segment is one line of the right path fetched. Equations: README.md.
 */
export abstract class LineFetch extends WrongLines {
  /** Block executions in the buffer that are classified. */
  prepared = 0;

  /** By segment & mask, `1 << SEGMENT_SHIFT` words each. */
  protected readonly ring: Int32Array;
  protected readonly ringMask: number;
  protected segments = 0;
  /** Block that Fetch2 is in, and whether all of it is handed out. Written by Fetch2. */
  protected handedBlk = -1;
  protected handedAll = true;
  /** Execution's block. */
  protected executing = 0;

  private lineBlk = -1;
  private line = 0;
  private lineEnd = 0;
  private previous = -1;
  /** The block before the first in the buffer. */
  private dropped = -1;
  private startStamp = LONG_AGO;
  protected readonly records: Int32Array;
  private readonly feedback: number;

  /** @param ring entries of the ring of segments. */
  constructor(
    spec: PipelineSpec,
    parts: CoreParts,
    ring: number,
    board: stamps.Scoreboard,
    protected readonly buffer: StreamBuffer,
    translation: Translation,
    private readonly control: flow.ControlFlow,
    { values, itlb }: CoreCounters,
  ) {
    super(spec, parts, board, translation, values, itlb);
    this.records = parts.decoded.records;
    this.feedback = spec.branchFeedbackDelay * CYCLE;
    this.ringMask = ring - 1;
    this.ring = new Int32Array(ring << SHIFT).fill(LONG_AGO);
  }

  /** A word of a segment. */
  ofSegment(segment: number, word: number): number {
    return this.ring[((segment & this.ringMask) << SHIFT) | word];
  }

  protected restartLines(blk: number, now: number): void {
    this.restartWrongLines();
    this.lineBlk = blk - 1;
    this.line = this.lineEnd = 0;
    this.previous = -1;
    this.prepared = blk;
    this.startStamp = now;
  }

  protected dropBlocks(blocks: number): void {
    if (blocks > 0) this.dropped = this.buffer.blocks[blocks - 1];
    if (this.lineBlk < blocks - 1) {
      // Blocks that needed no line of their own.
      this.lineBlk = blocks - 1;
      this.line = this.lineEnd = 0;
    }
    this.lineBlk -= blocks;
    this.prepared -= blocks;
    this.executing -= blocks;
  }

  protected rebaseLines(cycles: number): void {
    const { ring } = this;
    this.rebaseWrongLines(cycles);
    for (let at = 0; at < ring.length; at += 1 << SHIFT)
      stamps.rebaseStamps(ring, at + AVAILABLE, at + AVAILABLE + 1, cycles);
    this.startStamp = stamps.rebased(this.startStamp, cycles);
  }

  protected prepare(next: number): boolean {
    const to = Math.min(next + PREPARE, this.buffer.count);
    this.prepared = this.control.prepare(this.buffer, next, to, this.previous);
    if (this.prepared > next) this.previous = this.buffer.blocks[this.prepared - 1];
    return this.prepared > next;
  }

  /** Segment `n` leaves Fetch2's buffer when Fetch2 has got to `stamp` and the segment is there. */
  protected pop(n: number, stamp: number): void {
    const at = (n & this.ringMask) << SHIFT;
    const request = this.ring[at | REQUEST];
    // Who waits for the line behind it comes again. Lines before it that nobody needed are gone with it.
    if (request < this.poppedCount) return;
    this.poppedCount = request;
    this.popNext(stamp, this.ring[at | AVAILABLE]);
  }

  /** Asks for lines until there are `wanted` segments or the next one cannot be asked for yet. @returns segments there are. */
  protected lines(wanted: number): number {
    if (this.waiting !== NOTHING) return this.segments;
    this.unresolved = false;
    const { buffer, records } = this;
    while (this.segments < wanted) {
      while (this.line === this.lineEnd) {
        const next = this.lineBlk + 1;
        if (next >= this.prepared && !this.prepare(next)) return this.segments;
        this.lineBlk = next;
        const way = buffer.how[next];
        this.lineWay = way & WAY_MASK;
        this.lineEnd = (records[(buffer.blocks[next] << RECORD_SHIFT) | SHAPE] >>> LINES_SHIFT) & LINES_MASK;
        this.line = (way & NEW_LINE) !== 0 ? 0 : 1;
      }
      const n = this.segments;
      let way: number = NEXT;
      let redirect = LONG_AGO;
      if (this.line === 0 && this.lineWay !== NEXT) {
        way = this.lineWay;
        redirect = this.redirect();
        if (redirect === NEVER) {
          this.unresolved = true;
          return n;
        }
        if (way !== START && !this.leaveWrongPath(redirect)) return n;
      }
      let request = this.earliest();
      if (request === NEVER) return n;
      if (way !== NEXT && way !== START) this.heldUp(request - redirect);
      if (redirect > request) request = redirect;
      const rec = buffer.blocks[this.lineBlk] << RECORD_SHIFT;
      const at = (records[rec | SHAPE] & 63) + this.line;
      const entry = (n & this.ringMask) << SHIFT;
      this.ring[entry | REQUEST] = this.requests;
      this.ring[entry | WAY] = way;
      if (!this.send(at > 63 ? records[rec | PAGE2] : records[rec | PAGE], at & 63, request)) return n;
    }
    return this.segments;
  }

  protected override arrives(done: number, level: number, miss: number, walked: number): void {
    const { ring } = this;
    const entry = (this.segments & this.ringMask) << SHIFT;
    ring[entry | AVAILABLE] = done + this.lineDelay;
    ring[entry | LEVEL] = level;
    ring[entry | MISS] = miss;
    ring[entry | WALKED] = walked;
    this.segments++;
    this.line++;
  }

  protected override redirect(): number {
    const way = this.lineWay;
    if (way === START) return this.startStamp;
    if (way === PREDICTED) return this.branchHandedOut() ? (this.position & TIME) + this.feedback : NEVER;
    return this.executing === this.lineBlk ? this.commit + this.feedback : NEVER;
  }

  protected override branchHandedOut(): boolean {
    const before = this.lineBlk - 1;
    return this.handedBlk > before || (this.handedBlk === before && this.handedAll);
  }

  protected override branchBlock(): number {
    return this.lineBlk > 0 ? this.buffer.blocks[this.lineBlk - 1] : this.dropped;
  }

  protected override lastRequest(): number {
    return this.ofSegment(this.segments - 1, REQUEST);
  }

  protected override lastAvailable(): number {
    return this.ofSegment(this.segments - 1, AVAILABLE);
  }

  /** Its state in a line, for the watchdog. */
  describe(): string {
    return (
      `fetch: block ${this.handedBlk}, all handed out ${this.handedAll}, segments ${this.segments}, popped ${this.poppedCount}, ` +
      `lines of block ${this.lineBlk}: ${this.line}/${this.lineEnd}, way ${this.lineWay}, prepared ${this.prepared}, waiting ${this.waiting}`
    );
  }
}
