import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { PageTable } from "../loader/contract.js";
import * as record from "../loader/decode/records.js";
import type { PipelineSpec } from "../machine/spec.js";
import * as flow from "./control-flow.js";
import type { CoreParts } from "./core-base.js";
import { type CoreCounters, Count, levelIndex, TlbCount } from "./counters.js";
import * as stamps from "./scoreboard.js";
import type { StreamBuffer } from "./stream-buffer.js";
import type { Translation } from "./translation.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { RECORD_SHIFT, LINES_SHIFT, LINES_MASK } = record;
const { Page: PAGE, Page2: PAGE2, Shape: SHAPE } = record.R;
const { CYCLE, TIME, LONG_AGO } = stamps;
const { NEW_LINE, WAY_MASK } = flow;
const { Next: NEXT, Predicted: PREDICTED, Start: START } = flow.Way;
const FETCH_LINES = Count.FetchLines;
const UNCACHED = Count.Uncached;
const TLB_ACCESSES = TlbCount.Accesses;
const CLOSED = NOT_NOW;

/** Block executions that are classified (and predicted) at a time. */
const PREPARE = 32;

/** What the unit's request is that waits for its turn in the order of shared accesses. */
export const Waiting = { Nothing: 0, Line: 1, Walk: 2, Device: 3 } as const;
const { Nothing: NOTHING, Line: LINE, Walk: WALK, Device: DEVICE } = Waiting;

/** Words of a segment in `ring`: stamps, the way it was got to, the level that served it, cycles beyond a hit and of walk. */
export const SEGMENT_SHIFT = 3;
export const Segment = {
  Response: 0,
  Available: 1,
  Popped: 2,
  Way: 3,
  Level: 4,
  Miss: 5,
  Walk: 6,
} as const;
const {
  Response: RESPONSE,
  Available: AVAILABLE,
  Popped: POPPED,
  Way: WAY,
  Level: LEVEL,
  Miss: MISS,
  Walk: WALKED,
} = Segment;

/**
 * Fetch1: asks for the lines of the blocks one after the other, as far as Fetch2's buffer, the order of the
 * program and leave to miss let it. A segment is one line fetched. Equations: README.md.
 */
export abstract class LineFetch {
  /** What waits, and for which cycle. */
  waiting: number = NOTHING;
  waitTime = -0;
  /** Block executions in the buffer that are classified. */
  prepared = 0;

  /** By segment & mask, `1 << SEGMENT_SHIFT` words each. */
  protected readonly ring: Int32Array;
  protected readonly ringMask: number;
  protected segments = 0;
  /** Segments that have left Fetch2's buffer. Written by Fetch2. */
  protected poppedCount = 0;
  /** Stamp of Fetch2's cycle with what is used of it; block it is in, and whether all of it is handed out. Written by Fetch2. */
  position = 0;
  protected handedBlk = -1;
  protected handedAll = true;
  /** Execution's block and last commit. */
  protected executing = 0;
  protected commit = 0;

  private lineBlk = -1;
  private line = 0;
  private lineEnd = 0;
  private lineWay = 0;
  private previous = -1;
  private startStamp = LONG_AGO;
  private request: number = LONG_AGO;
  private page = 0;
  private inPage = 0;
  /** The translation of the line that waits is settled: its walk has begun. */
  private translated = false;

  private readonly port: CorePort;
  private readonly pages: PageTable;
  protected readonly records: Int32Array;
  private readonly hitLatency: number;
  private readonly fetchLimit: number;
  private readonly lineBuffer: number;
  private readonly lineDelay: number;
  private readonly feedback: number;

  /** @param ring entries of the ring of segments. */
  constructor(
    spec: PipelineSpec,
    parts: CoreParts,
    ring: number,
    protected readonly board: stamps.Scoreboard,
    protected readonly buffer: StreamBuffer,
    private readonly translation: Translation,
    private readonly control: flow.ControlFlow,
    private readonly values: Float64Array,
    private readonly itlb: CoreCounters["itlb"],
  ) {
    this.port = parts.port;
    this.pages = parts.pages;
    this.records = parts.decoded.records;
    this.hitLatency = parts.port.fetchHitLatency * CYCLE;
    this.fetchLimit = spec.fetchLimit;
    this.lineBuffer = spec.fetch2InputBuffer;
    this.lineDelay = spec.fetch1ToFetch2Delay * CYCLE;
    this.feedback = spec.branchFeedbackDelay * CYCLE;
    this.ringMask = ring - 1;
    this.ring = new Int32Array(ring << SEGMENT_SHIFT).fill(LONG_AGO);
  }

  /** A word of a segment. */
  ofSegment(segment: number, word: number): number {
    return this.ring[((segment & this.ringMask) << SEGMENT_SHIFT) | word];
  }

  protected restartLines(blk: number, now: number): void {
    this.lineBlk = blk - 1;
    this.line = this.lineEnd = 0;
    this.previous = -1;
    this.prepared = blk;
    this.poppedCount = this.segments;
    this.startStamp = now;
    this.waiting = NOTHING;
  }

  protected dropBlocks(blocks: number): void {
    if (this.lineBlk < blocks - 1) {
      // Blocks that needed no line of their own.
      this.lineBlk = blocks - 1;
      this.line = this.lineEnd = 0;
    }
    this.lineBlk -= blocks;
    this.prepared -= blocks;
  }

  protected rebaseLines(cycles: number): void {
    const { ring } = this;
    for (let at = 0; at < ring.length; at += 1 << SEGMENT_SHIFT)
      stamps.rebaseStamps(ring, at + RESPONSE, at + POPPED + 1, cycles);
    this.position = stamps.rebased(this.position, cycles);
    this.startStamp = stamps.rebased(this.startStamp, cycles);
    this.request = stamps.rebased(this.request, cycles);
    this.commit = stamps.rebased(this.commit, cycles);
  }

  protected prepare(next: number): boolean {
    const to = Math.min(next + PREPARE, this.buffer.count);
    this.prepared = this.control.prepare(this.buffer, next, to, this.previous);
    if (this.prepared > next) this.previous = this.buffer.blocks[this.prepared - 1];
    return this.prepared > next;
  }

  /** Segment `n` leaves Fetch2's buffer when Fetch2 has got to `stamp` and the segment is there. */
  protected pop(n: number, stamp: number): void {
    const at = (n & this.ringMask) << SEGMENT_SHIFT;
    const available = this.ring[at | AVAILABLE];
    this.ring[at | POPPED] = available > stamp ? available : stamp;
    this.poppedCount = n + 1;
  }

  /** Asks for lines until there are `wanted` segments or the next one cannot be asked for yet. @returns segments there are. */
  protected lines(wanted: number): number {
    if (this.waiting !== NOTHING) return this.segments;
    const { buffer, records, ring, ringMask } = this;
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
      let request = ring[((n - this.fetchLimit) & ringMask) << SEGMENT_SHIFT] + CYCLE;
      // One line a cycle, in order.
      if (request < this.request + CYCLE) request = this.request + CYCLE;
      const behind = n - this.lineBuffer;
      if (behind >= 0) {
        if (this.poppedCount <= behind) return n;
        const free = ring[((behind & ringMask) << SEGMENT_SHIFT) | POPPED];
        if (free > request) request = free;
      }
      let way: number = NEXT;
      if (this.line === 0 && this.lineWay !== NEXT) {
        way = this.lineWay;
        let redirect: number;
        if (way === PREDICTED) {
          // Fetch2 must have handed out the branch.
          if (this.handedBlk < this.lineBlk - 1 || (this.handedBlk === this.lineBlk - 1 && !this.handedAll))
            return n;
          redirect = (this.position & TIME) + this.feedback;
        } else if (way === START) redirect = this.startStamp;
        else {
          if (this.executing !== this.lineBlk) return n;
          redirect = this.commit + this.feedback;
        }
        if (redirect > request) request = redirect;
      }
      const rec = buffer.blocks[this.lineBlk] << RECORD_SHIFT;
      const at = (records[rec | SHAPE] & 63) + this.line;
      const page = at > 63 ? records[rec | PAGE2] : records[rec | PAGE];
      this.page = page;
      this.inPage = at & 63;
      this.request = request;
      const entry = (n & ringMask) << SEGMENT_SHIFT;
      ring[entry | WAY] = way;
      ring[entry | WALKED] = 0;
      this.translated = false;
      this.values[FETCH_LINES]++;
      this.itlb[TLB_ACCESSES]++;
      if (page !== this.translation.lastIPage && !this.translation.findInstruction(page)) {
        this.itlb[TlbCount.Misses]++;
        this.waiting = WALK;
        this.waitTime = this.board.cycle(request);
        this.translation.fetchWalk.begin(page);
        return n;
      }
      if (this.pages.io[page] === 0 && this.port.fetchHit((this.pages.ppn[page] << 6) | (at & 63))) {
        const done = request + this.hitLatency;
        ring[entry] = done;
        ring[entry | AVAILABLE] = done + this.lineDelay;
        ring[entry | LEVEL] = 0;
        ring[entry | MISS] = 0;
        this.segments = n + 1;
        this.line++;
      } else if (!this.ask(this.board.cycle(request))) return n;
    }
    return this.segments;
  }

  private ask(now: number): boolean {
    const { page, inPage } = this;
    let done: number = CLOSED;
    if (this.pages.io[page] === 0 || this.waiting === DEVICE) {
      const line = (this.pages.ppn[page] << 6) | inPage;
      done =
        this.waiting === DEVICE
          ? this.port.uncached(line, false, now)
          : this.port.fetch(line, (page << 6) | inPage, now);
    }
    if (done === CLOSED) {
      this.waiting = this.pages.io[page] ? DEVICE : LINE;
      this.waitTime = now;
      return false;
    }
    const entry = (this.segments & this.ringMask) << SEGMENT_SHIFT;
    const level = levelIndex(this.port.servedBy);
    const { ring } = this;
    if (this.waiting === DEVICE) this.values[UNCACHED]++;
    this.waiting = NOTHING;
    // The line behind it goes later, also where this one waited for a walk.
    this.request = this.board.stamp(now);
    const stamp = this.board.stamp(done);
    ring[entry] = stamp;
    ring[entry | AVAILABLE] = stamp + this.lineDelay;
    ring[entry | LEVEL] = level;
    ring[entry | MISS] = level === 0 ? 0 : done - now;
    this.segments++;
    this.line++;
    return true;
  }

  /**
   * The waiting request's turn has come: the port is open. @returns false when the port put it off; then
   * `waitTime` is when to try again.
   */
  proceed(): boolean {
    const { port, translation, page } = this;
    const now = this.waitTime;
    if (!this.translated) this.lookAgain();
    if (this.waiting !== WALK) {
      if (this.ask(now)) return true;
      this.waitTime = Math.max(now, port.retryAt);
      return false;
    }
    const done = translation.fetchWalk.proceed(now);
    if (done === CLOSED) {
      this.waitTime = Math.max(now, port.retryAt);
      return false;
    }
    this.waitTime = done;
    this.translated = true;
    if (!translation.fetchWalk.over) return true;
    // A prefetcher may have walked for the page meanwhile.
    if (!translation.itlb.probe(page)) translation.itlb.fill(page);
    translation.lastIPage = -1;
    const cycles = done - this.board.cycle(this.request);
    this.itlb[TlbCount.WalkCycles] += cycles;
    this.ring[((this.segments & this.ringMask) << SEGMENT_SHIFT) | WALKED] = cycles;
    // The line itself comes next; a hit needs no turn, but time order is kept all the same.
    this.waiting = this.pages.io[page] ? DEVICE : LINE;
    return true;
  }

  /** When the page was looked up, not all that comes before had happened: a prefetcher may have brought or driven it out since. */
  private lookAgain(): void {
    const { itlb, translation, page } = this;
    const there = translation.itlb.lookup(page);
    if (there === (this.waiting !== WALK)) return;
    translation.lastIPage = -1;
    if (there) {
      itlb[TlbCount.Misses]--;
      this.waiting = this.pages.io[page] ? DEVICE : LINE;
    } else {
      itlb[TlbCount.Misses]++;
      this.waiting = WALK;
      translation.fetchWalk.begin(page);
    }
  }

  /** Its state in a line, for the watchdog. */
  describe(): string {
    return (
      `fetch: block ${this.handedBlk}, all handed out ${this.handedAll}, segments ${this.segments}, popped ${this.poppedCount}, ` +
      `lines of block ${this.lineBlk}: ${this.line}/${this.lineEnd}, way ${this.lineWay}, prepared ${this.prepared}, waiting ${this.waiting}`
    );
  }
}
