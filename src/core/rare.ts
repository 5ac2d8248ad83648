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
  STORE,
} from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import { AccessPlace } from "./access-place.js";
import * as base from "./core-base.js";
import { Cause, Count, levelIndex } from "./counters.js";
import { DataSide, Pending } from "./data-side.js";
import { FetchUnit, ringSize } from "./fetch-unit.js";
import { Segment } from "./line-fetch.js";
import { At, BLAME, CYCLE, CYCLE_SHIFT, FRONT, Scoreboard } from "./scoreboard.js";
import { Covers, Room } from "./store-buffer.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const SHIFT = RECORD_SHIFT;
const SECOND = PAGE2;
const { DEVICE } = base;
const OFFSET = OFFSET_SHIFT;
const { Page: ON_PAGE, Page2: ON_PAGE2 } = R;
const { NotYet: NO_ROOM_YET } = Room;

/** More stores than any buffer holds. */
const ANY = 1 << 30;
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
 * accesses that are not one hit in one line, pieces of vectors, blame for lost slots. Times here are cycles, not stamps.
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
  private readonly place = new AccessPlace();
  // What `rare` found out: cycle of issue, cause of what is lost, cycle of leaving the requests queue, last cycle at
  // which it had to look at what is behind it, cycles of its result and its commit, index after the operands.
  protected at = -0;
  protected why = 0;
  protected sent = -0;
  protected gate = -0;
  protected done = -0;
  protected commit = -0;
  protected next = 0;

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
    if (why === Cause.Structural) this.data.hold(now, why);
    const line = this.frames[address >>> 12] | ((address >>> 6) & 63);
    this.data.wait(Pending.Load, false, line, address >>> 6, this.pc(word0, block), now);
  }

  /** A store has to wait for its turn, or be done, before the load can go on. */
  protected waitForStore(covers: number): void {
    const { data, board } = this;
    if (covers === Covers.Pending) data.pending = Pending.Stores;
    else {
      if (data.held !== Cause.Store) this.values[Count.PartlyCovered]++;
      data.hold(board.cycle(data.stores.partDone), Cause.Store);
    }
  }

  /**
   * The rest of a micro-op that is out of the common: serialising, a repeated string instruction, an access that touches two
   * lines, of a device, of a piece, or that has been begun before. Stamps, with blame: `issue`, `sent` as far as known. Stamps: `front`,
   * before which it does not walk; the last commit. @returns DONE, PENDING or AGAIN.
   */
  protected rare(
    word0: number,
    row: number,
    block: number,
    addressAt: number,
    issue: number,
    front: number,
    sent: number,
    committed: number,
  ): number {
    const { data, board, memoryLatency } = this;
    const { stores } = data;
    const serial = (word0 & SERIAL) !== 0;
    this.at = board.cycle(issue);
    this.why = (serial ? issue : sent) & BLAME;
    this.next = addressAt;
    if (serial) {
      const commitCycle = board.cycle(committed);
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
    this.sent = this.gate = serial ? this.at + memoryLatency : board.cycle(sent);
    if ((word0 & (LOAD | STORE)) !== 0)
      return this.rareAccess(
        word0,
        row,
        block,
        addressAt,
        serial ? this.sent : board.cycle(front),
        committed,
      );
    if ((word0 & REP) !== 0) {
      const end = data.rep(
        this.buffer.addresses,
        addressAt,
        (this.decoded.rows[row + 2] >> 16) & 15,
        (word0 >> SIZE_SHIFT) & SIZE_MASK,
        this.pc(word0, block),
        this.sent,
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

  private rareAccess(
    word0: number,
    row: number,
    block: number,
    addressAt: number,
    front: number,
    committed: number,
  ): number {
    const { data, board, place } = this;
    const { stores } = data;
    place.find(this.buffer.addresses, addressAt, word0, this.decoded.rows[row + 2]);
    this.next = place.next;
    const walkAt = data.floor > front ? data.floor : front;
    if (!data.translate(place.first >>> 12, 0, walkAt)) return PENDING;
    if (place.pages && !data.translate(place.second >>> 12, 1, walkAt)) return PENDING;
    if (data.floor > this.sent) {
      this.sent = data.floor;
      // A walk's share of the slots is told apart when they are blamed.
      if (data.held !== 0) this.why = data.held;
    }
    this.done = this.at + this.memoryLatency + this.pipeline.memExtraAssumedLatency;
    if ((word0 & LOAD) !== 0) return this.rareLoad(word0, block);
    this.commit = this.sent;
    const before = board.cycle(board.words[At.LastStore]);
    this.gate = before > this.sent ? before : this.sent;
    if (!stores.roomy) {
      const room = stores.room(board.stamp(this.gate), committed);
      if (room === NO_ROOM_YET) {
        data.pending = Pending.Stores;
        return PENDING;
      }
      this.gate = board.cycle(room);
      if (room > committed && this.gate > this.sent) {
        this.commit = this.gate;
        this.why = Cause.Store;
      }
    }
    return DONE;
  }

  /** The load at `place`. */
  private rareLoad(word0: number, block: number): number {
    const { data, frames, port, board, place } = this;
    const { stores, outstanding } = data;
    const address = place.first;
    const crosses = place.two;
    const device = frames[address >>> 12] === DEVICE;
    let done: number;
    let served: number;
    if (data.granted >= 0) {
      // Its turn has been; the time is that of the turn.
      if (data.grantedTime > this.sent) this.sent = data.grantedTime;
      done = data.granted;
      served = data.grantedLevel;
    } else {
      const line = (this.pages.ppn[address >>> 12] << 6) | ((address >>> 6) & 63);
      const now = board.stamp(this.sent);
      if (device) {
        if (!stores.drain(now, ANY)) {
          data.pending = Pending.Stores;
          return PENDING;
        }
      } else if (stores.empty > now) {
        const covers = stores.covers(now, line, address & 63, place.bytes, !place.pages);
        if (covers === Covers.All) {
          this.values[Count.Forwarded]++;
          this.gate = this.commit = this.sent;
          return DONE;
        }
        if (covers !== Covers.Nothing) {
          this.waitForStore(covers);
          return covers === Covers.Pending ? PENDING : AGAIN;
        }
      }
      const slot = outstanding.first();
      const free = board.cycle(outstanding.free[slot]);
      if (free > this.sent) {
        this.sent = free;
        this.why = Cause.Structural;
        data.hold(free, Cause.Structural);
        if (stores.left !== stores.taken) return AGAIN;
      }
      const pc = this.pc(word0, block);
      done = device ? NOT_NOW : port.load(line, address >>> 6, pc, this.sent);
      if (done === NOT_NOW) {
        data.wait(Pending.Load, device, line, address >>> 6, pc, this.sent);
        return PENDING;
      }
      served = levelIndex(port.servedBy);
      outstanding.free[slot] = board.stamp(done);
    }
    if (crosses) {
      const end = data.secondHalf(place.second, this.pc(word0, block), this.sent + 1, done, served);
      if (end < 0) return PENDING;
      done = end;
      served = data.secondLevel;
    }
    if (served !== 0 && done > this.sent + this.pipeline.memExtraAssumedLatency)
      this.why = Cause.Load + served;
    else if (device) this.why = Cause.Uncached;
    this.commit = done;
    if (crosses) this.sent++;
    this.gate = this.sent;
    return DONE;
  }

  /** The store of a micro-op that `rareAccess` saw off. `commit`: stamp. */
  protected pushOdd(word0: number, row: number, block: number, addressAt: number, commit: number): void {
    const { place } = this;
    const { ppn, io } = this.pages;
    const { stores } = this.data;
    place.find(this.buffer.addresses, addressAt, word0, this.decoded.rows[row + 2]);
    const { first: address, bytes } = place;
    const page = address >>> 12;
    const line = (ppn[page] << 6) | ((address >>> 6) & 63);
    stores.push(line, address >>> 6, this.pc(word0, block), commit, address & 63, bytes);
    const device = io[page] !== 0;
    if (place.two) {
      const { second } = place;
      const secondPage = second >>> 12;
      const secondLine = (ppn[secondPage] << 6) | ((second >>> 6) & 63);
      stores.odd(secondLine, second >>> 6, device, io[secondPage] !== 0);
      this.values[Count.Splits]++;
    } else if (device) stores.odd(-1, 0, true, false);
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
