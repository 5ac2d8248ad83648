import type { PipelineSpec } from "../machine/spec.js";
import * as code from "./code-layout.js";
import * as flow from "./control-flow.js";
import type { CoreParts } from "./core-base.js";
import { type CoreCounters, Count } from "./counters.js";
import { LineRequest } from "./line-request.js";
import * as stamps from "./scoreboard.js";
import type { Translation } from "./translation.js";
import * as wrong from "./wrong-path.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { CYCLE, CYCLE_SHIFT, TIME, LONG_AGO, NEVER } = stamps;
const { WAITS } = wrong;
const { NONE } = code;
const PREDICTED = flow.Way.Predicted;
const WRONG_LINES = Count.WrongPathLines;
const WRONG_MISSES = Count.WrongPathMisses;

/**
 * Lines of the wrong path: what Fetch1 asks for behind a branch until it is redirected, and when it leaves Fetch2's buffer.
 * Equations: README.md, Lines of the wrong path.
 */
export abstract class WrongLines extends LineRequest {
  /** Stamp of Fetch2's cycle with what is used of it. Written by Fetch2. */
  position = 0;
  /** Execution's last commit; place of its last decode, its last issue. Written by execution. */
  protected commit = 0;
  decode = 0;
  issue = 0;
  /** Place at which Decode is done with what Fetch2 handed out behind the last redirect that came at commit. */
  wrongDecoded = LONG_AGO;
  /** How the block is got to whose first line comes next. */
  protected lineWay = 0;
  /** The next line lies behind a redirect that is not known yet. */
  protected unresolved = false;

  /** The line asked for last is one of the wrong path. */
  private wrong = false;
  /** Lines asked for behind the last of the right path: when each is at Fetch2. */
  private wrongCount = 0;
  private wrongAvailable = new Int32Array(16);
  /** Of the last of them: level that served it, cycles beyond a hit and of walk. */
  private wrongLevel = 0;
  private wrongMiss = 0;
  private wrongWalk = 0;
  /** Cycles that the right path's next line waits for them beyond the redirect. */
  private held = 0;
  /** Behind a redirect that is known: Fetch2 and Decode are done with the wrong path. */
  private followed = false;
  /** By page: the one behind it in the same address space, or NONE. */
  private readonly nextPage: Int32Array;
  private readonly wrongPath: wrong.WrongPath;
  private readonly wrongLines: boolean;
  protected readonly lineDelay: number;

  constructor(
    spec: PipelineSpec,
    parts: CoreParts,
    board: stamps.Scoreboard,
    translation: Translation,
    values: Float64Array,
    itlb: CoreCounters["itlb"],
  ) {
    super(spec, parts, board, translation, values, itlb);
    this.lineDelay = spec.fetch1ToFetch2Delay * CYCLE;
    this.nextPage = code.nextPages(parts.pages);
    this.wrongLines = spec.wrongPathLines;
    this.wrongPath = new wrong.WrongPath(spec, parts, board);
  }

  /** Stamp from which Fetch1 is on the way into the block whose first line comes next; NEVER: not known yet. */
  protected abstract redirect(): number;
  /** Fetch2 has handed out the last instruction before that block. */
  protected abstract branchHandedOut(): boolean;
  /** The block before it. */
  protected abstract branchBlock(): number;
  /** Number, and stamp of being at Fetch2, of the last line of the right path. */
  protected abstract lastRequest(): number;
  protected abstract lastAvailable(): number;
  /** Micro-ops that have been issued, and handed out, since the start. */
  protected abstract issued(): number;
  protected abstract handedOps(): number;
  /** Place at which the last instruction handed out is decoded; NEVER: not known yet. */
  protected abstract decodedWhenHanded(): number;
  /** A line of the right path is at Fetch1 at stamp `done`. `miss`, `walked`: cycles beyond a hit, and of walk, waited for. */
  protected abstract arrives(done: number, level: number, miss: number, walked: number): void;

  protected restartWrongLines(): void {
    this.restartRequests();
    this.wrongCount = 0;
    this.wrong = this.followed = false;
    this.forget();
  }

  protected rebaseWrongLines(cycles: number): void {
    this.rebaseRequests(cycles);
    stamps.rebaseStamps(this.wrongAvailable, 0, this.wrongCount, cycles);
    this.position = stamps.rebased(this.position, cycles);
    this.commit = stamps.rebased(this.commit, cycles);
    this.decode = stamps.rebased(this.decode, cycles);
    this.issue = stamps.rebased(this.issue, cycles);
    this.wrongDecoded = stamps.rebased(this.wrongDecoded, cycles);
  }

  protected override givenUp(now: number): boolean {
    return this.wrong && now >= this.redirect();
  }

  protected override arrived(done: number, level: number, miss: number): void {
    if (!this.wrong) {
      // Waiting for a line of the wrong path is waiting for its miss and its walk.
      const heldMiss = Math.min(this.held, this.wrongMiss);
      const heldWalk = Math.min(this.held - heldMiss, this.wrongWalk);
      const served = level === 0 && heldMiss > 0 ? this.wrongLevel : level;
      this.forget();
      this.arrives(done, served, miss + heldMiss, this.walked + heldWalk);
      return;
    }
    this.wrong = false;
    if (level !== 0) this.values[WRONG_MISSES]++;
    this.wrongLevel = level;
    this.wrongMiss = miss;
    this.wrongWalk = this.walked;
    if (this.wrongCount === this.wrongAvailable.length) {
      const more = new Int32Array(2 * this.wrongCount);
      more.set(this.wrongAvailable);
      this.wrongAvailable = more;
    }
    this.wrongAvailable[this.wrongCount++] = done + this.lineDelay;
  }

  /** The right path's next line is asked for `stamps` after the redirect. */
  protected heldUp(stamps: number): void {
    this.held = stamps > 0 ? stamps >> CYCLE_SHIFT : 0;
  }

  private forget(): void {
    this.held = this.wrongMiss = this.wrongWalk = 0;
  }

  /**
   * Fetch1 is redirected at stamp `redirect`: asks for what it asks for until then, and throws away what of it Fetch2
   * has not worked through. @returns false when one of the lines has to wait for its turn.
   */
  protected leaveWrongPath(redirect: number): boolean {
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

  /** Fetch2 and Decode on the wrong path, until stamp `limit`. @returns place of the last decode, or WAITS. */
  private followWrongPath(decode: number, issue: number, commit: number, ops: number, limit: number): number {
    this.poppedCount = this.lastRequest();
    return this.wrongPath.follow(
      this,
      this.branchBlock(),
      this.position,
      this.lastAvailable(),
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

  /** What is in Fetch2's buffer, or on the way there, is thrown away at `stamp`. */
  private discard(stamp: number): void {
    while (this.poppedCount < this.requests) this.popWrong(stamp);
  }

  /** The last line before the wrong path, or the next one on it, leaves Fetch2's buffer. */
  private popWrong(stamp: number): void {
    const nth = this.poppedCount - (this.requests - this.wrongCount);
    this.popNext(stamp, nth < 0 ? this.lastAvailable() : this.wrongAvailable[nth]);
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
    const request = this.earliest();
    if (request >= limit) return NONE;
    const inPage = (this.inPage + 1) & 63;
    const page = inPage === 0 ? this.nextPage[this.page] : this.page;
    if (page < 0 || this.pages.io[page] !== 0) return NONE;
    this.values[WRONG_LINES]++;
    this.wrong = true;
    return this.send(page, inPage, request) ? 0 : WAITS;
  }
}
