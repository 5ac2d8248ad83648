import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { PageTable } from "../loader/contract.js";
import type { PipelineSpec } from "../machine/spec.js";
import { powerOfTwo } from "../numbers.js";
import type { CoreParts } from "./core-base.js";
import { type CoreCounters, Count, levelIndex, TlbCount } from "./counters.js";
import * as stamps from "./scoreboard.js";
import type { Translation } from "./translation.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { CYCLE, LONG_AGO, NEVER } = stamps;
const FETCH_LINES = Count.FetchLines;
const UNCACHED = Count.Uncached;
const { Accesses: TLB_ACCESSES, Misses: TLB_MISSES, WalkCycles: WALK_CYCLES } = TlbCount;
const CLOSED = NOT_NOW;

/** What the unit's request is that waits for its turn in the order of shared accesses. */
export const Waiting = { Nothing: 0, Line: 1, Walk: 2, Device: 3 } as const;
const { Nothing: NOTHING, Line: LINE, Walk: WALK, Device: DEVICE } = Waiting;

/**
 * How Fetch1 asks for a line, wherever that lies: in order, as many under way as it may have, into a place in Fetch2's
 * buffer, through the I-TLB and the L1I. Requests are numbered. Equations: README.md, Lines.
 */
export abstract class LineRequest {
  /** What waits, and for which cycle. */
  waiting: number = NOTHING;
  waitTime = -0;

  /** Lines asked for. By request & mask: when each was there, and when it left Fetch2's buffer. */
  protected requests = 0;
  private readonly responses: Int32Array;
  private readonly responseMask: number;
  private readonly popped: Int32Array;
  private readonly poppedMask: number;
  /** Requests that have left Fetch2's buffer. */
  protected poppedCount = 0;

  /** The line asked for last: stamp, page, line in it, cycles of its walk. */
  private request: number = LONG_AGO;
  protected page = 0;
  protected inPage = 0;
  protected walked = 0;
  /** The translation of the line that waits is settled: its walk has begun. */
  private translated = false;
  /** It has been walked for, and waits to be asked for. */
  private afterWalk = false;

  private readonly port: CorePort;
  protected readonly pages: PageTable;
  private readonly hitLatency: number;
  private readonly fetchLimit: number;
  private readonly places: number;

  constructor(
    spec: PipelineSpec,
    parts: CoreParts,
    protected readonly board: stamps.Scoreboard,
    private readonly translation: Translation,
    protected readonly values: Float64Array,
    private readonly itlb: CoreCounters["itlb"],
  ) {
    this.port = parts.port;
    this.pages = parts.pages;
    this.hitLatency = parts.port.fetchHitLatency * CYCLE;
    this.fetchLimit = spec.fetchLimit;
    this.places = spec.fetch2InputBuffer;
    this.responses = new Int32Array(powerOfTwo(spec.fetchLimit)).fill(LONG_AGO);
    this.responseMask = this.responses.length - 1;
    this.popped = new Int32Array(powerOfTwo(spec.fetch2InputBuffer)).fill(LONG_AGO);
    this.poppedMask = this.popped.length - 1;
  }

  /** The line asked for is at Fetch1 at stamp `done`. `miss`: cycles beyond a hit. */
  protected abstract arrived(done: number, level: number, miss: number): void;
  /** The walk for a line has ended, and by stamp `now` nobody wants it any more. */
  protected abstract givenUp(now: number): boolean;

  protected restartRequests(): void {
    // The last line goes when the next begins.
    this.poppedCount = this.requests - 1;
    this.afterWalk = false;
    this.waiting = NOTHING;
  }

  protected rebaseRequests(cycles: number): void {
    stamps.rebaseStamps(this.responses, 0, this.responses.length, cycles);
    stamps.rebaseStamps(this.popped, 0, this.popped.length, cycles);
    this.request = stamps.rebased(this.request, cycles);
  }

  /** The next line in Fetch2's buffer, which is there from `available` on, leaves it when Fetch2 has got to `stamp`. */
  protected popNext(stamp: number, available: number): void {
    this.popped[this.poppedCount++ & this.poppedMask] = available > stamp ? available : stamp;
  }

  /** Stamp of the next request, for all that the lines asked for before it say: a line a cycle, so many under way. */
  protected inOrder(): number {
    const response = this.responses[(this.requests - this.fetchLimit) & this.responseMask];
    return (response > this.request ? response : this.request) + CYCLE;
  }

  /** The same, and there is a place in Fetch2's buffer; NEVER: it is not known yet when. */
  protected earliest(): number {
    const behind = this.requests - this.places;
    const request = this.inOrder();
    if (behind < 0) return request;
    if (this.poppedCount <= behind) return NEVER;
    const free = this.popped[behind & this.poppedMask];
    return free > request ? free : request;
  }

  /** Asks for a line at stamp `request`. @returns whether it is known when that comes. */
  protected send(page: number, inPage: number, request: number): boolean {
    this.page = page;
    this.inPage = inPage;
    this.request = request;
    this.translated = false;
    this.walked = 0;
    this.values[FETCH_LINES]++;
    this.itlb[TLB_ACCESSES]++;
    if (page !== this.translation.lastIPage && !this.translation.findInstruction(page)) {
      this.itlb[TLB_MISSES]++;
      this.waiting = WALK;
      this.waitTime = this.board.cycle(request);
      this.translation.fetchWalk.begin(page);
      return false;
    }
    if (this.pages.io[page] === 0 && this.port.fetchHit((this.pages.ppn[page] << 6) | inPage)) {
      this.respond(request + this.hitLatency, 0, 0);
      return true;
    }
    return this.ask(this.board.cycle(request));
  }

  private respond(done: number, level: number, miss: number): void {
    this.responses[this.requests++ & this.responseMask] = done;
    this.arrived(done, level, miss);
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
    this.over(now);
    this.respond(this.board.stamp(done), level, level === 0 ? 0 : (done - now) | 0);
    return true;
  }

  /** The line behind it goes later, also where this one waited for a walk. */
  private over(now: number): void {
    this.waiting = NOTHING;
    this.afterWalk = false;
    this.request = this.board.stamp(now);
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
      if (this.afterWalk && this.givenUp(board.stamp(now))) {
        this.over(now);
        this.respond(board.stamp(now), 0, 0);
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
    this.walked = (done - board.cycle(this.request)) | 0;
    this.itlb[WALK_CYCLES] += this.walked;
    this.afterWalk = true;
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
      itlb[TLB_MISSES]--;
      this.waiting = this.pages.io[page] ? DEVICE : LINE;
    } else {
      itlb[TLB_MISSES]++;
      this.waiting = WALK;
      translation.fetchWalk.begin(page);
    }
  }
}
