import { NOT_NOW } from "../cache/contract.js";
import { R, RECORD_SHIFT } from "../loader/decode/records.js";
import {
  CLASS_MASK,
  LOAD,
  OFFSET_SHIFT,
  PAGE2,
  REP,
  SERIAL,
  SIZE_MASK,
  SIZE_SHIFT,
  SPLIT,
  STORE,
} from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import * as base from "./core-base.js";
import { Cause, Count, levelIndex } from "./counters.js";
import { DataSide, Pending } from "./data-side.js";
import { FetchUnit, ringSize } from "./fetch-unit.js";
import { Segment } from "./line-fetch.js";
import { At, CYCLE, CYCLE_SHIFT, FRONT, Scoreboard } from "./scoreboard.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const SHIFT = RECORD_SHIFT;
const SECOND = PAGE2;
const { DEVICE } = base;
const OFFSET = OFFSET_SHIFT;
const { Page: ON_PAGE, Page2: ON_PAGE2 } = R;

/** More stores than any buffer holds. */
export const ANY = 1 << 30;
/** What became of a rare micro-op: all is known; something is pending; it has to be looked at once more. */
export const Outcome = { Done: 0, Pending: 1, Again: 2 } as const;
const { Done: DONE, Pending: PENDING, Again: AGAIN } = Outcome;

/** Cause of a redirect, by Way. */
const WAY_CAUSE = [
  Cause.Frontend,
  Cause.Frontend,
  Cause.Mispredict,
  Cause.Interrupt,
  Cause.Serialise,
  Cause.Serialise,
];

/**
 * The parts of the pipeline, and what issue and commit do seldom: serialising micro-ops, string instructions,
 * accesses that are not one hit in one line, blame for lost slots. Times here are cycles, not stamps.
 */
export abstract class RareCases extends base.CoreBase {
  protected readonly pipeline: PipelineSpec;
  protected readonly board: Scoreboard;
  protected readonly fetch: FetchUnit;
  protected readonly data: DataSide;
  /** Blocks that must be in the buffer so that fetch can see as far as it may run ahead. */
  protected readonly lookahead: number;
  /** Stamps from a commit that redirects to Fetch2 handing out again, when the line hits. */
  protected readonly wayBack: number;
  private readonly memoryLatency: number;
  // What `rare` found out: cycle of issue, cause of what is lost, cycles of data and commit, index after the
  // operands, cause of waiting for the data.
  protected at = -0;
  protected why = 0;
  protected done = -0;
  protected commit = -0;
  protected next = 0;
  protected doneBlame = 0;

  constructor(id: number, parts: base.CoreParts) {
    super(id, parts, parts.spec.core.pipeline.executeCommitLimit);
    this.pipeline = parts.spec.core.pipeline;
    const p = this.pipeline;
    this.lookahead =
      (p.decodeInputBuffer + p.executeInputBuffer) * p.decodeWidth +
      (p.fetch2InputBuffer + p.fetchLimit + 2) * 64;
    this.board = new Scoreboard(p, ringSize(p));
    this.memoryLatency = p.fu.mem.opLatency;
    this.wayBack = (p.branchFeedbackDelay + parts.port.fetchHitLatency + p.fetch1ToFetch2Delay) * CYCLE;
    this.data = new DataSide(p, parts, this.translation, this.counters, this.board);
    this.fetch = new FetchUnit(
      p,
      parts,
      this.board,
      this.buffer,
      this.translation,
      this.control,
      this.counters,
    );
  }

  protected pc(word0: number, block: number): number {
    const page = this.decoded.records[(block << SHIFT) | ((word0 & SECOND) !== 0 ? ON_PAGE2 : ON_PAGE)];
    return (page << 12) | (word0 >>> OFFSET);
  }

  protected waitForLoad(word0: number, block: number, address: number, now: number, why: number): void {
    if (why === Cause.Structural) this.data.hold(now);
    const line = this.frames[address >>> 12] | ((address >>> 6) & 63);
    this.data.wait(Pending.Load, false, line, address >>> 6, this.pc(word0, block), now);
  }

  /**
   * The rest of issue for a micro-op that is out of the common: serialising, a repeated string instruction, an
   * access that touches two lines, of a device, or that has been begun before. @returns DONE, PENDING or AGAIN.
   */
  protected rare(
    word0: number,
    row: number,
    block: number,
    addressAt: number,
    at: number,
    why: number,
    commitCycle: number,
  ): number {
    const { data, board } = this;
    const { stores } = data;
    this.at = at;
    this.why = why;
    this.doneBlame = Cause.Dependency;
    this.next = addressAt;
    if ((word0 & SERIAL) !== 0) {
      if (commitCycle > this.at) {
        this.at = commitCycle;
        this.why = Cause.Serialise;
      }
      if (!stores.drain(board.stamp(this.at), 0)) {
        data.pending = Pending.Stores;
        return PENDING;
      }
      const drained = board.cycle(stores.doneAt());
      if (drained > this.at) {
        this.at = drained;
        this.why = Cause.Store;
      }
    }
    if ((word0 & (LOAD | STORE)) !== 0) return this.rareAccess(word0, block, addressAt);
    if ((word0 & REP) !== 0) {
      const end = data.rep(
        this.buffer.addresses,
        addressAt,
        (this.decoded.rows[row + 2] >> 16) & 15,
        (word0 >> SIZE_SHIFT) & SIZE_MASK,
        this.pc(word0, block),
        this.at + this.memoryLatency,
      );
      if (end < 0) return PENDING;
      this.next = data.repNext;
      this.why = Cause.Microcode;
      this.commit = this.done = end;
    } else {
      const latency = board.words[At.Latency + (word0 & CLASS_MASK)] >> CYCLE_SHIFT;
      this.commit = this.done = this.at + latency;
    }
    return DONE;
  }

  protected rareAccess(word0: number, block: number, addressAt: number): number {
    const { data, board, memoryLatency } = this;
    const { stores } = data;
    const { addresses } = this.buffer;
    const address = addresses[addressAt];
    const page = address >>> 12;
    const split = (word0 & SPLIT) !== 0;
    const crosses = split || (address & 63) + ((word0 >> SIZE_SHIFT) & SIZE_MASK) > 64;
    this.next = addressAt + (split ? 2 : 1);
    if (data.floor > this.at + memoryLatency) {
      this.at = data.floor - memoryLatency;
      // A walk's share of the slots is told apart when they are blamed.
      if (data.held) this.why = Cause.Structural;
    }
    if (!data.translate(page, 0, this.at + memoryLatency)) return PENDING;
    if (split && !data.translate(addresses[addressAt + 1] >>> 12, 1, this.at + memoryLatency)) return PENDING;
    if ((word0 & LOAD) !== 0) return this.rareLoad(word0, block, addressAt, crosses);
    const entries = crosses ? 2 : 1;
    if (!stores.known(entries) && !stores.drain(board.stamp(this.at), Math.max(0, stores.size - entries))) {
      data.pending = Pending.Stores;
      return PENDING;
    }
    const room = board.cycle(stores.freeAt(entries));
    if (room > this.at) {
      this.at = room;
      this.why = Cause.Store;
    }
    this.commit = this.at + memoryLatency + 1;
    this.done = this.at + memoryLatency;
    return DONE;
  }

  protected rareLoad(word0: number, block: number, addressAt: number, crosses: boolean): number {
    const { data, frames, port, board, memoryLatency } = this;
    const { stores, outstanding } = data;
    const { addresses } = this.buffer;
    const address = addresses[addressAt];
    const device = frames[address >>> 12] === DEVICE;
    const assumed = this.pipeline.memExtraAssumedLatency;
    let done: number;
    let served: number;
    if (data.granted >= 0) {
      // Its turn has been; the time is that of the turn.
      if (data.grantedTime > this.at + memoryLatency) this.at = data.grantedTime - memoryLatency;
      done = data.granted;
      served = data.grantedLevel;
    } else {
      if (stores.left !== stores.taken && !stores.drain(board.stamp(this.at + memoryLatency), ANY)) {
        data.pending = Pending.Stores;
        return PENDING;
      }
      const slot = outstanding.first();
      const free = board.cycle(outstanding.free[slot]);
      if (free > this.at + memoryLatency) {
        this.at = free - memoryLatency;
        this.why = Cause.Structural;
        data.hold(free);
        if (stores.left !== stores.taken) return AGAIN;
      }
      const pc = this.pc(word0, block);
      const line = (this.pages.ppn[address >>> 12] << 6) | ((address >>> 6) & 63);
      done = device ? NOT_NOW : port.load(line, address >>> 6, pc, this.at + memoryLatency);
      if (done === NOT_NOW) {
        data.wait(Pending.Load, device, line, address >>> 6, pc, this.at + memoryLatency);
        return PENDING;
      }
      served = levelIndex(port.servedBy);
      outstanding.free[slot] = board.stamp(done);
    }
    if (crosses) {
      const second = (word0 & SPLIT) !== 0 ? addresses[addressAt + 1] : (address | 63) + 1;
      const end = data.secondHalf(second, this.pc(word0, block), this.at + memoryLatency + 1, done, served);
      if (end < 0) return PENDING;
      done = end;
      served = data.secondLevel;
    }
    this.commit = this.at + memoryLatency;
    if (done > this.commit) {
      if (served !== 0 && done - this.at > memoryLatency + assumed) this.why = Cause.Load + served;
      else if (device) this.why = Cause.Uncached;
      this.commit = done;
    }
    if (this.at + memoryLatency + assumed > done) done = this.at + memoryLatency + assumed;
    else if (served !== 0) this.doneBlame = Cause.Load + served;
    this.done = done;
    return DONE;
  }

  /** The one or two stores of a micro-op that `rareAccess` issued. `commit`: stamp. */
  protected pushOdd(word0: number, block: number, addressAt: number, commit: number): void {
    const { addresses } = this.buffer;
    const { ppn, io } = this.pages;
    const { stores } = this.data;
    const pc = this.pc(word0, block);
    const address = addresses[addressAt];
    const split = (word0 & SPLIT) !== 0;
    const crosses = split || (address & 63) + ((word0 >> SIZE_SHIFT) & SIZE_MASK) > 64;
    const second = split ? addresses[addressAt + 1] : (address | 63) + 1;
    for (let half = address; ; half = second) {
      const page = half >>> 12;
      stores.push((ppn[page] << 6) | ((half >>> 6) & 63), half >>> 6, pc, io[page], commit);
      if (half === second || !crosses) break;
    }
    if (crosses) this.values[Count.Splits]++;
  }

  /**
   * Slots that several things cost: a data page walk takes its share, then the cause; of the front end's, the
   * line's miss and walk take theirs and the redirect the rest.
   */
  protected blame(lost: number, why: number, segment: number): void {
    const { fetch, slotsPerCycle } = this;
    const { words } = this.board;
    const dataWalk = Math.min(lost, this.data.walked * slotsPerCycle);
    words[At.Lost + Cause.Dtlb] += dataWalk;
    let rest = lost - dataWalk;
    if (why !== FRONT || segment < 0) {
      words[At.Lost + why] += rest;
      return;
    }
    const miss = Math.min(rest, fetch.ofSegment(segment, Segment.Miss) * slotsPerCycle);
    words[At.Lost + Cause.Fetch + fetch.ofSegment(segment, Segment.Level)] += miss;
    rest -= miss;
    const walk = Math.min(rest, fetch.ofSegment(segment, Segment.Walk) * slotsPerCycle);
    words[At.Lost + Cause.Itlb] += walk;
    words[At.Lost + WAY_CAUSE[fetch.ofSegment(segment, Segment.Way)]] += rest - walk;
  }
}
