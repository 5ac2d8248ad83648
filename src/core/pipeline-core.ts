import { RunStatus } from "./contract.js";
import { CLOSED, RUN_AHEAD } from "./core-base.js";
import { Count, TlbCount } from "./counters.js";
import { Pending } from "./data-side.js";
import { IssueCommit, Left } from "./issue.js";
import { Waiting } from "./line-request.js";
import { CYCLE_SHIFT, NEVER, REBASE_AT } from "./scoreboard.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const NOTHING = Pending.Nothing;
const STORES = Pending.Stores;
const NOTHING_WAITS = Waiting.Nothing;
const NO_STORE = NEVER;
const SHUT = CLOSED;
/** Cycles after the base at which the base moves on. */
const FAR = REBASE_AT >> CYCLE_SHIFT;

/**
 * In-order pipeline after gem5's MinorCPU. Executes micro-op by micro-op, computing times, never ticking;
 * README.md gives the equations. The fetch unit runs decoupled ahead; whatever leaves the L1s takes its turn
 * in order of time: ports are closed (horizon CLOSED) except for the one request whose turn it is.
 */
export class PipelineCore extends IssueCommit {
  /** How far requests may leave the L1s in this run: the horizon that the scheduler gave the port. */
  private horizon = -0;

  protected override restart(): void {
    const { board } = this;
    if (this.commitCycle - board.base > FAR) this.moveBase(this.commitCycle - board.base - 1);
    this.row = this.rowEnd = 0;
    this.commitStamp = board.stamp(this.commitCycle);
    if (this.issue < this.commitStamp) {
      this.issue = this.commitStamp;
      this.issueUsed = this.issueMemory = 0;
    }
    if (this.shown < this.issue) this.shown = this.issue;
    this.fetch.restart(this.blk, this.commitStamp);
    this.instr = this.fetch.handed;
  }

  override run(): RunStatus {
    const { port } = this;
    const horizon = port.horizon;
    this.horizon = horizon;
    port.horizon = SHUT;
    const status = this.loop(horizon);
    port.horizon = horizon;
    return status;
  }

  private loop(horizon: number): RunStatus {
    const { board, buffer, data, lookahead } = this;
    const ahead = horizon + RUN_AHEAD;
    // Left with something pending: that comes first.
    if (data.pending !== NOTHING) {
      if (!this.serveData(this.blk, this.commitStamp)) return RunStatus.Blocked;
    }
    for (;;) {
      while (buffer.count - this.blk <= lookahead && !buffer.ended) this.refill();
      if (this.commitCycle - board.base > FAR) this.moveBase(this.commitCycle - board.base - 1);
      const far = ahead - board.base > 1.5 * FAR;
      const left = this.execute(far ? 1.5 * REBASE_AT : board.stamp(ahead));
      if (left === Left.Blocked) return RunStatus.Blocked;
      if (left === Left.Boundary) {
        if (buffer.count - this.blk <= lookahead && !buffer.ended) continue;
        const status = this.boundary();
        if (status < 0) continue;
        if (status === RunStatus.Position) {
          // Stores and fetch may have something to do before the cycle of the last commit.
          const shown = board.cycle(this.shown) + 1;
          this.fetch.runAhead(this, this.blk, this.commitStamp, shown);
          const next = this.earliest(shown);
          if (next > this.time) this.time = next;
          return status;
        }
        // All that is before is done in order of time, also what has committed but not left yet.
        if (data.stores.taken !== data.stores.left) {
          this.eventKind = 0;
          this.fetch.runAhead(this, this.blk, this.commitStamp, this.commitCycle);
          if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
          continue;
        }
        this.time = this.commitCycle;
        return status as RunStatus;
      } else if (!far) {
        const shown = board.cycle(this.shown) + 1;
        this.fetch.runAhead(this, this.blk, this.commitStamp, shown);
        const next = this.earliest(shown);
        if (next > horizon) {
          if (next > this.time) this.time = next;
          return RunStatus.Blocked;
        }
        if (!this.turn(horizon, shown)) return RunStatus.Blocked;
      }
    }
  }

  protected override serveFetch(): boolean {
    const { fetch } = this;
    if (fetch.waiting === NOTHING_WAITS) this.stuck();
    do {
      if (!this.turn(this.horizon, Number.POSITIVE_INFINITY)) return false;
    } while (fetch.waiting !== NOTHING_WAITS);
    return true;
  }

  protected override serveData(blk: number, commit: number): boolean {
    const { fetch, data } = this;
    for (let bound = -1, waiting = -1; ; ) {
      // What fetch asks for before the miss goes first.
      const before = bound;
      bound = this.dataTime();
      if (fetch.waiting !== waiting || bound > before) this.fetch.runAhead(this, blk, commit, bound);
      waiting = fetch.waiting;
      if (!this.turn(this.horizon, Number.POSITIVE_INFINITY)) return false;
      if (data.pending === NOTHING) return true;
    }
  }

  /** Cycle of what the data side waits for: no branch that has not committed redirects fetch until then. */
  private dataTime(): number {
    const { data, board } = this;
    if (data.pending !== STORES) return data.pendingTime;
    data.stores.schedule();
    return board.cycle(data.stores.next);
  }

  private refill(): void {
    const { blk } = this;
    this.fetch.drop(blk);
    this.buffer.refill(blk, this.addressAt);
    this.addressAt = 0;
    this.blk = 0;
  }

  /** Time of the first thing that waits for its turn, or `bound` when that is earlier. */
  private earliest(bound: number): number {
    const { fetch, data, board } = this;
    const { stores } = data;
    let at = bound;
    stores.schedule();
    if (stores.next !== NO_STORE) {
      const store = board.cycle(stores.next);
      if (store < at) at = store;
    }
    if (data.pending > STORES && data.pendingTime < at) at = data.pendingTime;
    if (fetch.waiting !== NOTHING_WAITS && fetch.waitTime < at) at = fetch.waitTime;
    return at;
  }

  /**
   * Does the one request whose turn it is: the earliest; at equal times stores before loads before fetch.
   * @returns false when it lies beyond the horizon, `time` says where.
   */
  private turn(horizon: number, bound: number): boolean {
    const { fetch, data, port, board } = this;
    const { stores } = data;
    const at = this.earliest(bound);
    if (at > this.time) this.time = at;
    if (at > horizon) return false;
    port.horizon = horizon;
    let done: boolean;
    let next: number;
    if (stores.next !== NO_STORE && board.cycle(stores.next) === at) {
      done = stores.leave();
      if (!done) stores.putOff(board.stamp(Math.max(at, port.retryAt)));
      next = board.cycle(stores.next);
      // Who waits for stores looks again; what is younger may pass one that the L1D refuses.
      if (data.pending === STORES && (done || next > at)) data.pending = NOTHING;
    } else if (data.pending > STORES && data.pendingTime === at) {
      done = data.proceed();
      next = data.pendingTime;
    } else {
      done = fetch.proceed();
      next = fetch.waitTime;
    }
    port.horizon = SHUT;
    // Put off to a later time: that time takes part in the order. Else only another horizon helps.
    return done || next > at;
  }

  private stuck(): never {
    throw new Error(
      `cpu${this.id}: no progress at cycle ${this.commitCycle}: block execution ${this.position} of the stream, ` +
        `row ${this.row}/${this.rowEnd}, instruction ${this.instr}/${this.fetch.handed}, ` +
        `stores ${this.data.stores.taken - this.data.stores.left}, ${this.fetch.describe()}`,
    );
  }

  protected override settle(): void {
    super.settle();
    this.tellLost();
    const { values } = this;
    this.counters.dtlb[TlbCount.Accesses] =
      values[Count.Loads] + values[Count.Stores] + values[Count.Splits] + this.data.repAccesses;
  }
}
