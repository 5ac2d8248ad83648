import { RunStatus } from "./contract.js";
import { CLOSED, RUN_AHEAD } from "./core-base.js";
import { Count, TlbCount } from "./counters.js";
import { Pending } from "./data-side.js";
import { Waiting } from "./fetch-unit.js";
import { IssueCommit, Left } from "./issue.js";

/**
 * In-order pipeline after gem5's MinorCPU. Executes micro-op by micro-op, computing times, never ticking;
 * README.md gives the equations. The fetch unit runs decoupled ahead; whatever leaves the L1s takes its turn
 * in order of time: ports are closed (horizon CLOSED) except for the one request whose turn it is.
 */
export class PipelineCore extends IssueCommit {
  protected override restart(): void {
    this.row = this.rowEnd = 0;
    if (this.issueCycle < this.commitCycle) {
      this.issueCycle = this.commitCycle;
      this.issueUsed = this.issueMemory = 0;
    }
    this.fetch.restart(this.blk, this.commitCycle);
    this.instr = this.fetch.handed;
  }

  override run(): RunStatus {
    const { port } = this;
    const horizon = port.horizon;
    port.horizon = CLOSED;
    const status = this.loop(horizon);
    port.horizon = horizon;
    this.settle();
    return status;
  }

  private loop(horizon: number): RunStatus {
    const { buffer, data, fetch, lookahead } = this;
    // Left with something pending: that comes first.
    if (data.pending !== Pending.Nothing) {
      fetch.runAhead(this.blk, this.commitCycle);
      do {
        if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
        fetch.runAhead(this.blk, this.commitCycle);
      } while (data.pending !== Pending.Nothing);
    }
    for (;;) {
      while (buffer.count - this.blk <= lookahead && !buffer.ended) this.refill();
      const left = this.execute(horizon + RUN_AHEAD);
      if (left === Left.Dry) {
        if (fetch.waiting === Waiting.Nothing) this.stuck();
        do {
          if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
        } while (fetch.waiting !== Waiting.Nothing);
      } else if (left === Left.Pending) {
        // What fetch asks for before the miss goes first.
        fetch.runAhead(this.blk, this.commitCycle);
        if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
      } else if (left === Left.Boundary) {
        if (buffer.count - this.blk <= lookahead && !buffer.ended) continue;
        const status = this.boundary();
        if (status < 0) continue;
        // All that is before is done in order of time, also what has committed but not left yet.
        if (status !== RunStatus.Position && data.stores.taken !== data.stores.left) {
          this.eventKind = 0;
          fetch.runAhead(this.blk, this.commitCycle);
          if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
          continue;
        }
        this.time = this.commitCycle;
        return status as RunStatus;
      } else {
        fetch.runAhead(this.blk, this.commitCycle);
        const next = this.earliest(this.issueCycle + 1);
        if (next > horizon) {
          if (next > this.time) this.time = next;
          return RunStatus.Blocked;
        }
        if (!this.turn(horizon, this.issueCycle + 1)) return RunStatus.Blocked;
      }
      // The data side's requests one after the other; fetch's among them.
      while (data.pending !== Pending.Nothing) {
        const segments = fetch.waiting;
        if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
        if (fetch.waiting !== segments) fetch.runAhead(this.blk, this.commitCycle);
      }
    }
  }

  private refill(): void {
    const { blk } = this;
    this.buffer.refill(blk, this.addressAt);
    this.fetch.rebase(blk);
    this.addressAt = 0;
    this.blk = 0;
  }

  /** Time of the first thing that waits for its turn, or `bound` when that is earlier. */
  private earliest(bound: number): number {
    const { fetch, data } = this;
    let at = bound;
    data.stores.schedule();
    if (data.stores.next < at) at = data.stores.next;
    if (data.pending > Pending.Stores && data.pendingTime < at) at = data.pendingTime;
    if (fetch.waiting !== Waiting.Nothing && fetch.waitTime < at) at = fetch.waitTime;
    return at;
  }

  /**
   * Does the one request whose turn it is: the earliest; at equal times stores before loads before fetch.
   * @returns false when it lies beyond the horizon, `time` says where.
   */
  private turn(horizon: number, bound: number): boolean {
    const { fetch, data, port } = this;
    const at = this.earliest(bound);
    if (at > this.time) this.time = at;
    if (at > horizon) return false;
    port.horizon = horizon;
    let done: boolean;
    let next: number;
    if (data.stores.next === at) {
      done = data.stores.leave();
      if (!done) data.stores.putOff(Math.max(at, port.retryAt));
      else if (data.pending === Pending.Stores) data.pending = Pending.Nothing;
      next = data.stores.next;
    } else if (data.pending > Pending.Stores && data.pendingTime === at) {
      done = data.proceed();
      next = data.pendingTime;
    } else {
      done = fetch.proceed();
      next = fetch.waitTime;
    }
    port.horizon = CLOSED;
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
    const { values } = this;
    this.counters.dtlb[TlbCount.Accesses] =
      values[Count.Loads] + values[Count.Stores] + values[Count.Splits] + this.data.repAccesses;
  }
}
