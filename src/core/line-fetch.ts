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
import * as wrong from "./wrong-path.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { RECORD_SHIFT, LINES_SHIFT, LINES_MASK } = record;
const { Page: PAGE, Page2: PAGE2, Shape: SHAPE } = record.R;
const { CYCLE, CYCLE_SHIFT, TIME, LONG_AGO, NEVER } = stamps;
const { NEW_LINE, WAY_MASK } = flow;
const { Next: NEXT, Predicted: PREDICTED, Start: START } = flow.Way;
const { NONE, WAITS } = wrong;
const FETCH_LINES = Count.FetchLines;
const WRONG_LINES = Count.WrongPathLines;
const WRONG_MISSES = Count.WrongPathMisses;
const UNCACHED = Count.Uncached;
const TLB_ACCESSES = TlbCount.Accesses;
const CLOSED = NOT_NOW;

/** Block executions that are classified (and predicted) at a time. */
const PREPARE = 32;

/** What the unit's request is that waits for its turn in the order of shared accesses. */
export const Waiting = { Nothing: 0, Line: 1, Walk: 2, Device: 3 } as const;
const { Nothing: NOTHING, Line: LINE, Walk: WALK, Device: DEVICE } = Waiting;

/**
 * Words of a segment in `ring`: number of its request, stamp at which it is at Fetch2, the way it was got to, the level
 * that served it, cycles beyond a hit and of walk.
 */
export const SEGMENT_SHIFT = 3;
export const Segment = { Request: 0, Available: 1, Way: 2, Level: 3, Miss: 4, Walk: 5 } as const;
const { Request: REQUEST, Available: AVAILABLE, Way: WAY, Level: LEVEL, Miss: MISS, Walk: WALKED } = Segment;

const powerOfTwo = (atLeast: number): number => 2 ** Math.ceil(Math.log2(atLeast));

/**
 * Fetch1: asks for the lines of the blocks one after the other, as far as Fetch2's buffer, the order of the
 * program and leave to miss let it. A segment is one line of the right path fetched; requests are for lines of the
 * wrong path as well. Equations: README.md.
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
  /** Lines asked for. By request & mask: when each was there, and when it left Fetch2's buffer. */
  private requests = 0;
  private readonly responses: Int32Array;
  private readonly responseMask: number;
  private readonly popped: Int32Array;
  private readonly poppedMask: number;
  /** Requests that have left Fetch2's buffer. Written by Fetch2. */
  private poppedCount = 0;
  /** Stamp of Fetch2's cycle with what is used of it; block it is in, and whether all of it is handed out. Written by Fetch2. */
  position = 0;
  protected handedBlk = -1;
  protected handedAll = true;
  /** Execution's block and last commit; place of its last decode, its last issue. */
  protected executing = 0;
  protected commit = 0;
  decode = 0;
  issue = 0;
  /** Place at which Decode is done with what Fetch2 handed out behind the last redirect that came at commit. */
  wrongDecoded = LONG_AGO;

  private lineBlk = -1;
  private line = 0;
  private lineEnd = 0;
  private lineWay = 0;
  private previous = -1;
  /** The block before the first in the buffer. */
  private dropped = -1;
  private startStamp = LONG_AGO;
  private request: number = LONG_AGO;
  private page = 0;
  private inPage = 0;
  /** The line asked for last is one of the wrong path. */
  private wrong = false;
  /** It has been walked for, and waits to be asked for, which it is not if fetch is redirected before. */
  private afterWalk = false;
  /** The next line lies behind a redirect that is not known yet. */
  private unresolved = false;
  /** Lines of the wrong path asked for behind the last segment: when each is at Fetch2. */
  private wrongCount = 0;
  /** Behind a redirect that is known: Fetch2 and Decode are done with the wrong path. */
  private followed = false;
  private wrongAvailable = new Int32Array(16);
  /** By page: the one behind it in the same address space, or NONE. */
  private readonly nextPage: Int32Array;
  protected readonly wrongPath: wrong.WrongPath;
  private readonly wrongLines: boolean;
  /** The translation of the line that waits is settled: its walk has begun. */
  private translated = false;
  /** Cycles that it has walked. */
  private walked = 0;
  /** Of the last line of the wrong path: level that served it, cycles beyond a hit and of walk. */
  private wrongLevel = 0;
  private wrongMiss = 0;
  private wrongWalk = 0;
  /** The same, as far as the line that is asked for waited for them. */
  private heldLevel = 0;
  private heldMiss = 0;
  private heldWalk = 0;

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
    this.responses = new Int32Array(powerOfTwo(spec.fetchLimit)).fill(LONG_AGO);
    this.responseMask = this.responses.length - 1;
    this.popped = new Int32Array(powerOfTwo(spec.fetch2InputBuffer)).fill(LONG_AGO);
    this.poppedMask = this.popped.length - 1;
    this.nextPage = wrong.nextPages(parts.pages);
    this.wrongLines = spec.wrongPathLines;
    this.wrongPath = new wrong.WrongPath(spec, parts, board);
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
    // The last line goes when the next begins.
    this.poppedCount = this.requests - 1;
    this.wrongCount = 0;
    this.wrong = this.afterWalk = this.followed = false;
    this.wrongMiss = this.wrongWalk = 0;
    this.startStamp = now;
    this.waiting = NOTHING;
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
    const { ring, responses, popped } = this;
    for (let at = 0; at < ring.length; at += 1 << SEGMENT_SHIFT)
      stamps.rebaseStamps(ring, at + AVAILABLE, at + AVAILABLE + 1, cycles);
    stamps.rebaseStamps(responses, 0, responses.length, cycles);
    stamps.rebaseStamps(popped, 0, popped.length, cycles);
    stamps.rebaseStamps(this.wrongAvailable, 0, this.wrongCount, cycles);
    this.decode = stamps.rebased(this.decode, cycles);
    this.issue = stamps.rebased(this.issue, cycles);
    this.wrongDecoded = stamps.rebased(this.wrongDecoded, cycles);
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
    const request = this.ring[at | REQUEST];
    // Who waits for the line behind it comes again.
    if (request < this.poppedCount) return;
    this.popped[request & this.poppedMask] = available > stamp ? available : stamp;
    this.poppedCount = request + 1;
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
      let request = this.inOrder();
      const behind = this.requests - this.lineBuffer;
      if (behind >= 0) {
        if (this.poppedCount <= behind) return n;
        const free = this.popped[behind & this.poppedMask];
        if (free > request) request = free;
      }
      const waits = request - redirect;
      if (redirect > request) request = redirect;
      const rec = buffer.blocks[this.lineBlk] << RECORD_SHIFT;
      const at = (records[rec | SHAPE] & 63) + this.line;
      const entry = (n & this.ringMask) << SEGMENT_SHIFT;
      this.ring[entry | REQUEST] = this.requests;
      this.ring[entry | WAY] = way;
      this.heldMiss = this.heldWalk = 0;
      if (way !== NEXT && way !== START) this.heldUp(waits > 0 ? waits >> CYCLE_SHIFT : 0);
      this.ring[entry | WALKED] = this.heldWalk;
      if (!this.send(at > 63 ? records[rec | PAGE2] : records[rec | PAGE], at & 63, request)) return n;
    }
    return this.segments;
  }

  /** Stamp of the next request, for all that the lines asked for before it say: a line a cycle, so many under way. */
  private inOrder(): number {
    const response = this.responses[(this.requests - this.fetchLimit) & this.responseMask];
    return (response > this.request ? response : this.request) + CYCLE;
  }

  /** Stamp from which Fetch1 is on the way into the block whose first line comes next; NEVER: not known yet. */
  private redirect(): number {
    const way = this.lineWay;
    if (way === START) return this.startStamp;
    if (way === PREDICTED) return this.branchHandedOut() ? (this.position & TIME) + this.feedback : NEVER;
    return this.executing === this.lineBlk ? this.commit + this.feedback : NEVER;
  }

  /** Fetch2 has handed out the last instruction before the block whose first line comes next. */
  private branchHandedOut(): boolean {
    const before = this.lineBlk - 1;
    return this.handedBlk > before || (this.handedBlk === before && this.handedAll);
  }

  /** Asks for a line at stamp `request`. @returns whether it is known when that comes. */
  private send(page: number, inPage: number, request: number): boolean {
    this.page = page;
    this.inPage = inPage;
    this.request = request;
    this.translated = false;
    this.walked = 0;
    this.values[FETCH_LINES]++;
    this.itlb[TLB_ACCESSES]++;
    if (page !== this.translation.lastIPage && !this.translation.findInstruction(page)) {
      this.itlb[TlbCount.Misses]++;
      this.waiting = WALK;
      this.waitTime = this.board.cycle(request);
      this.translation.fetchWalk.begin(page);
      return false;
    }
    if (this.pages.io[page] === 0 && this.port.fetchHit((this.pages.ppn[page] << 6) | inPage)) {
      this.arrives(request + this.hitLatency, 0, 0);
      return true;
    }
    return this.ask(this.board.cycle(request));
  }

  /** The line asked for is at Fetch1 at stamp `done`. */
  private arrives(done: number, level: number, miss: number): void {
    this.responses[this.requests++ & this.responseMask] = done;
    if (this.wrong) {
      this.wrong = false;
      this.wrongLevel = level;
      this.wrongMiss = miss;
      this.wrongWalk = this.walked;
      if (this.wrongCount === this.wrongAvailable.length) {
        const more = new Int32Array(2 * this.wrongCount);
        more.set(this.wrongAvailable);
        this.wrongAvailable = more;
      }
      this.wrongAvailable[this.wrongCount++] = done + this.lineDelay;
      return;
    }
    const entry = (this.segments & this.ringMask) << SEGMENT_SHIFT;
    const { ring } = this;
    ring[entry | AVAILABLE] = done + this.lineDelay;
    ring[entry | LEVEL] = level === 0 && this.heldMiss > 0 ? this.heldLevel : level;
    ring[entry | MISS] = miss + this.heldMiss;
    this.segments++;
    this.line++;
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
    const level = levelIndex(this.port.servedBy);
    if (this.waiting === DEVICE) this.values[UNCACHED]++;
    if (this.wrong && level !== 0) this.values[WRONG_MISSES]++;
    this.waiting = NOTHING;
    this.afterWalk = false;
    // The line behind it goes later, also where this one waited for a walk.
    this.request = this.board.stamp(now);
    this.arrives(this.board.stamp(done), level, level === 0 ? 0 : done - now);
    return true;
  }

  // The wrong path.

  /**
   * Fetch1 is redirected at stamp `redirect`: asks for what it asks for until then, and throws away what of it Fetch2
   * has not worked through. @returns false when one of the lines has to wait for its turn.
   */
  private leaveWrongPath(redirect: number): boolean {
    if (this.lineWay === PREDICTED) {
      if (!this.wrongLines) return true;
      const handed = this.position & TIME;
      for (;;) {
        this.discard(handed);
        const asked = this.askWrong(redirect);
        if (asked === WAITS) return false;
        if (asked === NONE) break;
      }
    } else {
      if (!this.followed) {
        const done = this.followWrongPath(this.decode, this.issue, this.commit, this.issued(), redirect);
        if (done === WAITS) return false;
        this.wrongDecoded = done;
        this.followed = true;
      }
      if (this.wrongLines && !this.restOfWrongPath(redirect)) return false;
      this.followed = false;
      this.discard(this.wrongLines ? redirect : this.position & TIME);
    }
    this.wrongCount = 0;
    return true;
  }

  /**
   * Asks for all that Fetch1 asks for until cycle `bound` behind a redirect that is not known yet. It is certain to come
   * later.
   */
  protected lookBehind(bound: number): void {
    if (!this.unresolved || !this.wrongLines) return;
    const limit = this.board.limit(bound + 1);
    if (this.inOrder() >= limit) return;
    if (this.lineWay !== PREDICTED && this.branchHandedOut()) {
      const decode = this.decodedWhenHanded();
      const done = this.followWrongPath(decode, NEVER, NEVER, this.handedOps(), limit);
      if (done === WAITS) return;
    }
    this.restOfWrongPath(limit);
  }

  /** Micro-ops that have been issued, and handed out, since the start. */
  protected abstract issued(): number;
  protected abstract handedOps(): number;
  /** Place at which the last instruction handed out is decoded; NEVER: not known yet. */
  protected abstract decodedWhenHanded(): number;

  /** Fetch2 and Decode on the wrong path, until stamp `limit`. @returns place of the last decode, or WAITS. */
  private followWrongPath(decode: number, issue: number, commit: number, ops: number, limit: number): number {
    const last = ((this.segments - 1) & this.ringMask) << SEGMENT_SHIFT;
    this.poppedCount = this.ring[last | REQUEST];
    return this.wrongPath.follow(
      this,
      this.lineBlk > 0 ? this.buffer.blocks[this.lineBlk - 1] : this.dropped,
      this.position,
      this.ring[last | AVAILABLE],
      decode,
      issue,
      commit,
      ops,
      this.issued(),
      limit,
    );
  }

  /**
   * Fetch2, on the wrong path, is done with a line at `stamp` and goes on in the next. @returns when that is there; WAITS:
   * it waits for its turn, NEVER: it is not asked for before `limit`.
   */
  nextWrong(stamp: number, limit: number): number {
    this.popWrong(stamp);
    const nth = this.poppedCount - (this.requests - this.wrongCount);
    if (nth === this.wrongCount) {
      const asked = this.askWrong(limit);
      if (asked === NONE) return NEVER;
      if (asked === WAITS) return WAITS;
    }
    return this.wrongAvailable[nth];
  }

  /** The first line behind a redirect waits `cycles` more: for the last line of the wrong path, as far as that missed or walked. */
  private heldUp(cycles: number): void {
    this.heldMiss = Math.min(cycles, this.wrongMiss);
    this.heldWalk = Math.min(cycles - this.heldMiss, this.wrongWalk);
    this.heldLevel = this.wrongLevel;
    this.wrongMiss = this.wrongWalk = 0;
  }

  /** What is in Fetch2's buffer, or on the way there, is thrown away at `stamp`. */
  private discard(stamp: number): void {
    while (this.poppedCount < this.requests) this.popWrong(stamp);
  }

  /** The last line before the wrong path, or the next one on it, leaves Fetch2's buffer. */
  private popWrong(stamp: number): void {
    const nth = this.poppedCount - (this.requests - this.wrongCount);
    const available = nth < 0 ? this.ofSegment(this.segments - 1, AVAILABLE) : this.wrongAvailable[nth];
    this.popped[this.poppedCount++ & this.poppedMask] = available > stamp ? available : stamp;
  }

  /** Asks for as many lines as there is room for before `limit`. @returns false when one has to wait for its turn. */
  private restOfWrongPath(limit: number): boolean {
    for (;;) {
      const asked = this.askWrong(limit);
      if (asked < 0) return asked !== WAITS;
    }
  }

  /** Asks for the line behind the last. @returns WAITS, or NONE: there is none before `limit`. */
  private askWrong(limit: number): number {
    let request = this.inOrder();
    if (request >= limit) return NONE;
    const behind = this.requests - this.lineBuffer;
    if (behind >= 0) {
      if (this.poppedCount <= behind) return NONE;
      const free = this.popped[behind & this.poppedMask];
      if (free > request) request = free;
    }
    if (request >= limit) return NONE;
    let { page, inPage } = this;
    inPage = (inPage + 1) & 63;
    if (inPage === 0) page = this.nextPage[page];
    if (page < 0 || this.pages.io[page] !== 0) return NONE;
    this.values[WRONG_LINES]++;
    this.wrong = true;
    return this.send(page, inPage, request) ? 0 : WAITS;
  }

  /**
   * The waiting request's turn has come: the port is open. @returns false when the port put it off; then
   * `waitTime` is when to try again.
   */
  proceed(): boolean {
    const { port, translation, page, board } = this;
    const now = this.waitTime;
    if (!this.translated) this.lookAgain();
    if (this.waiting !== WALK) {
      if (this.afterWalk && this.wrong && board.stamp(now) >= this.redirect()) {
        // Too late: it is not asked for.
        this.waiting = NOTHING;
        this.afterWalk = false;
        this.request = board.stamp(now);
        this.arrives(this.request, 0, 0);
        return true;
      }
      if (this.ask(now)) return true;
      // What the L1I has refused is asked for again whatever happens.
      if (port.retryAt > now) this.afterWalk = false;
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
    const cycles = done - board.cycle(this.request);
    this.itlb[TlbCount.WalkCycles] += cycles;
    this.afterWalk = true;
    this.walked = cycles;
    this.ring[((this.segments & this.ringMask) << SEGMENT_SHIFT) | WALKED] += cycles;
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
