import type { AddressMap } from "./address-map.js";
import { Banks, D, DRAM_COUNTS, Waiting } from "./banks.js";
import type { DramParameters } from "./devices.js";
import { ChannelState, NO_ROW, READ, Refresh, S, WRITE } from "./state.js";

const { Idle: IDLE, Drain: DRAIN, Run: RUN } = Refresh;

/** Requests in order of arrival, as a channel takes them in. */
export interface Arrivals {
  readonly count: number;
  readonly time: Float64Array;
  readonly line: Int32Array;
  /** Of a read, its number (from 0); -1: a write. */
  readonly id: Int32Array;
}

/**
 * One channel: gem5's MemCtrl over its DRAMInterface, event by event. Writes wait in a queue and are answered at
 * once; the bus is turned around to write when the queue is above its marks and around again after a number
 * of writes. A decision is made a precharge and an activate ahead of the data bus.
 *
 * At the same time, arrivals come first, then refreshes, then the decision.
 */
export class Controller {
  readonly state: ChannelState;
  readonly counts = new Float64Array(DRAM_COUNTS);
  /** Requests of the arrivals that `run` took in. */
  taken = 0;
  /** After `run` with a read to find: when its data is at the controller's back end, or front end (`fromQueue`); -1: not yet. */
  answerAt = -1;
  fromQueue = false;
  private readonly banks: Banks;
  private wanted = -1;
  /** Banks of each rank that could be prepared first; see `earliestBanks`. */
  private readonly earliest: Int32Array;
  private readonly waiting: Int32Array;
  private hidden = false;

  constructor(
    private readonly p: DramParameters,
    private readonly map: AddressMap,
  ) {
    this.state = new ChannelState(p);
    this.banks = new Banks(p, map, this.state, this.counts);
    this.earliest = new Int32Array(p.ranks);
    this.waiting = new Int32Array(p.ranks);
  }

  /**
   * Lets time pass up to and including `until`, taking in `arrivals` from index `taken` on. With `wanted` >= 0,
   * stops as soon as the answer to that read is known.
   */
  run(until: number, arrivals: Arrivals, wanted: number): void {
    const { scalar, refreshAt } = this.state;
    this.wanted = wanted;
    this.answerAt = -1;
    for (;;) {
      const arrival = this.taken < arrivals.count ? this.acceptedAt(arrivals) : Infinity;
      let time = scalar[S.Decide];
      let rank = -1;
      for (let r = 0; r < refreshAt.length; r++) {
        if (refreshAt[r] <= time) {
          if (refreshAt[r] === time && rank >= 0) continue;
          time = refreshAt[r];
          rank = r;
        }
      }
      if (arrival <= time) {
        if (arrival > until) break;
        scalar[S.Now] = arrival;
        this.accept(arrivals.line[this.taken], arrivals.id[this.taken], arrival);
        this.taken++;
      } else if (time > until) break;
      else {
        scalar[S.Now] = time;
        if (rank >= 0) this.refreshEvent(rank, time);
        else this.decide(time);
      }
      if (this.answerAt >= 0) return;
    }
  }

  /** Requests that were taken in and not served: they are forgotten. Rows are closed. Refreshes go on. */
  forget(): number {
    const { scalar } = this.state;
    const lost = scalar[S.Reads] + scalar[S.Writes];
    scalar[S.Reads] = 0;
    scalar[S.Writes] = 0;
    scalar[S.Answers] = 0;
    scalar[S.Bus] = READ;
    scalar[S.BusNext] = READ;
    this.banks.forget();
    return lost;
  }

  /** Requests taken in and not served yet. */
  get queued(): number {
    const { scalar } = this.state;
    return scalar[S.Reads] + scalar[S.Writes];
  }

  /** When the next arrival can be taken in; Infinity: not before something else happens. */
  private acceptedAt(arrivals: Arrivals): number {
    const { scalar, answers } = this.state;
    const { p } = this;
    const at = Math.max(arrivals.time[this.taken], scalar[S.Now]);
    if (arrivals.id[this.taken] < 0) return scalar[S.Writes] < p.writeQueue ? at : Infinity;
    // A read holds its place until it is answered.
    this.leave(at);
    const out = scalar[S.Answers];
    const over = scalar[S.Reads] + out + 1 - p.readQueue;
    if (over <= 0) return at;
    return over <= out ? answers[(scalar[S.AnswerHead] + over - 1) % answers.length] : Infinity;
  }

  /** Reads that are answered at `now` give their places back. */
  private leave(now: number): void {
    const { scalar, answers } = this.state;
    let head = scalar[S.AnswerHead];
    let out = scalar[S.Answers];
    while (out > 0 && answers[head] <= now) {
      if (++head === answers.length) head = 0;
      out--;
    }
    scalar[S.AnswerHead] = head;
    scalar[S.Answers] = out;
  }

  private accept(line: number, id: number, now: number): void {
    const { state, counts } = this;
    const { scalar } = state;
    const queued = this.inWriteQueue(line);
    if (id < 0) {
      if (queued) counts[D.MergedWrites]++;
      else {
        const i = scalar[S.Writes]++;
        state.writeLine[i] = line;
        state.writeEntry[i] = now;
      }
    } else {
      this.leave(now);
      if (queued) {
        counts[D.ServedByWriteQueue]++;
        if (id === this.wanted) {
          this.answerAt = now;
          this.fromQueue = true;
        }
        return;
      }
      const i = scalar[S.Reads]++;
      state.readLine[i] = line;
      state.readId[i] = id;
      state.readEntry[i] = now;
    }
    if (scalar[S.Decide] === Infinity) scalar[S.Decide] = now;
  }

  private inWriteQueue(line: number): boolean {
    const { writeLine, scalar } = this.state;
    for (let i = scalar[S.Writes] - 1; i >= 0; i--) if (writeLine[i] === line) return true;
    return false;
  }

  private refreshEvent(rank: number, now: number): void {
    const { refresh, refreshAt, refreshDue, scalar } = this.state;
    if (refresh[rank] === RUN) {
      refresh[rank] = IDLE;
      refreshAt[rank] = refreshDue[rank] + this.p.tREFI - this.p.tRP;
      if (scalar[S.Decide] === Infinity) scalar[S.Decide] = now;
      return;
    }
    refreshDue[rank] = now;
    if (rank === scalar[S.ActiveRank] && scalar[S.Decide] !== Infinity) {
      refresh[rank] = DRAIN;
      refreshAt[rank] = Infinity;
    } else this.beginRefresh(rank, now);
  }

  private beginRefresh(rank: number, now: number): void {
    this.state.refresh[rank] = RUN;
    this.state.refreshAt[rank] = this.banks.refresh(rank, now);
  }

  /** gem5: processNextReqEvent. */
  private decide(now: number): void {
    const { state, p, counts } = this;
    const { scalar, refresh } = state;
    scalar[S.Decide] = Infinity;
    const bus = scalar[S.BusNext];
    const turned = bus !== scalar[S.Bus];
    if (turned) {
      counts[bus === WRITE ? D.ReadToWrite : D.WriteToRead]++;
      scalar[bus === WRITE ? S.ReadsThis : S.WritesThis] = 0;
      scalar[S.Bus] = bus;
    }
    let busy = 0;
    for (let r = 0; r < refresh.length; r++) {
      if (refresh[r] === IDLE) continue;
      busy++;
      if (refresh[r] === DRAIN) this.beginRefresh(r, now);
    }
    if (busy === refresh.length) return;
    if (bus === READ) {
      if (scalar[S.Reads] === 0) {
        if (scalar[S.Writes] === 0 || scalar[S.Writes] <= p.writeLow) return;
        scalar[S.BusNext] = WRITE;
      } else {
        const i = this.choose(true, turned ? Math.min(p.tWTR, p.tCS) : 0, now);
        if (i < 0) return;
        this.serve(true, i, now);
        if (
          scalar[S.Writes] > p.writeHigh &&
          (scalar[S.ReadsThis] >= p.minReadsPerSwitch || scalar[S.Reads] === 0)
        )
          scalar[S.BusNext] = WRITE;
      }
    } else {
      const i = this.choose(false, turned ? Math.min(p.tRTW, p.tCS) : 0, now);
      if (i < 0) return;
      this.serve(false, i, now);
      const writes = scalar[S.Writes];
      if (
        writes === 0 ||
        writes + p.minWritesPerSwitch < p.writeLow ||
        (scalar[S.Reads] > 0 && scalar[S.WritesThis] >= p.minWritesPerSwitch)
      )
        scalar[S.BusNext] = READ;
    }
    if (scalar[S.Decide] === Infinity)
      scalar[S.Decide] = Math.max(now, scalar[S.NextBurst] - p.tRP - Math.max(p.tRCD, p.tRCD_WR));
  }

  /** Issues the burst of entry `i` of a queue and takes it out. */
  private serve(read: boolean, i: number, now: number): void {
    const { state, p } = this;
    const { scalar } = state;
    const lines = read ? state.readLine : state.writeLine;
    const entries = read ? state.readEntry : state.writeEntry;
    const count = scalar[read ? S.Reads : S.Writes];
    const line = lines[i];
    const command = this.banks.burst(
      line,
      read,
      now,
      scalar[S.NextBurst],
      entries[i],
      this.waitingFor(lines, count, i),
    );
    scalar[S.NextBurst] = command + p.tBURST;
    scalar[S.ActiveRank] = this.banks.rankOf(line);
    lines.copyWithin(i, i + 1, count);
    entries.copyWithin(i, i + 1, count);
    if (read) {
      const ready = this.banks.readyAt;
      if (state.readId[i] === this.wanted) {
        this.answerAt = ready;
        this.fromQueue = false;
      }
      state.readId.copyWithin(i, i + 1, count);
      state.answers[(scalar[S.AnswerHead] + scalar[S.Answers]) % state.answers.length] = ready;
      scalar[S.Answers]++;
      scalar[S.Reads]--;
      scalar[S.ReadsThis]++;
    } else {
      scalar[S.Writes]--;
      scalar[S.WritesThis]++;
    }
  }

  /** What else waits in the queue for the bank of entry `i`. */
  private waitingFor(lines: Int32Array, count: number, i: number): number {
    const { map } = this;
    const bank = map.bankOf(lines[i]);
    const row = map.rowOf(lines[i]);
    let found: number = Waiting.Nothing;
    for (let k = 0; k < count; k++) {
      if (k === i || map.bankOf(lines[k]) !== bank) continue;
      if (map.rowOf(lines[k]) === row) return Waiting.Hit;
      found = Waiting.Conflict;
    }
    return found;
  }

  /** @returns which entry of a queue goes next, or -1: all are for ranks that refresh. gem5: chooseNext. */
  private choose(read: boolean, turnaround: number, now: number): number {
    const { state, p } = this;
    const lines = read ? state.readLine : state.writeLine;
    const count = state.scalar[read ? S.Reads : S.Writes];
    if (count > 1 && p.scheduling === "frfcfs") {
      const seamless = Math.max(state.scalar[S.NextBurst] + turnaround, now);
      return this.chooseRowHitFirst(lines, count, read, seamless, now);
    }
    for (let i = 0; i < count; i++) if (this.banks.available(lines[i])) return i;
    return -1;
  }

  /**
   * A row hit that fits the bus without a gap; else a bank that can be prepared behind the bus's back; else any
   * row hit; else a bank that can be prepared earliest. Oldest first in each. gem5: chooseNextFRFCFS.
   */
  private chooseRowHitFirst(
    lines: Int32Array,
    count: number,
    read: boolean,
    seamless: number,
    now: number,
  ): number {
    const { state, banks, map, p } = this;
    const allowed = read ? state.rdAllowed : state.wrAllowed;
    let chosen = -1;
    let known = false;
    let hiddenFound = false;
    let hitFound = false;
    let earliestFound = false;
    for (let i = 0; i < count; i++) {
      const line = lines[i];
      if (!banks.available(line)) continue;
      const bank = map.bankOf(line);
      if (state.openRow[bank] === map.rowOf(line)) {
        if (allowed[bank] <= seamless) return i;
        if (!hiddenFound && !hitFound) {
          chosen = i;
          hitFound = true;
        }
      } else if (!earliestFound) {
        if (!known) {
          this.earliestBanks(lines, count, read, seamless, now);
          known = true;
        }
        if ((this.earliest[(bank / p.banks) | 0] & (1 << (bank % p.banks))) === 0) continue;
        earliestFound = true;
        hiddenFound = this.hidden;
        if (this.hidden || !hitFound) chosen = i;
      }
    }
    return chosen;
  }

  /** Which banks that are waited for can have their row open first. gem5: minBankPrep. */
  private earliestBanks(
    lines: Int32Array,
    count: number,
    read: boolean,
    seamless: number,
    now: number,
  ): void {
    const { state, p, banks, map, earliest, waiting } = this;
    waiting.fill(0);
    earliest.fill(0);
    for (let i = 0; i < count; i++) {
      const bank = map.bankOf(lines[i]);
      if (banks.available(lines[i])) waiting[(bank / p.banks) | 0] |= 1 << (bank % p.banks);
    }
    const tRCD = read ? p.tRCD : p.tRCD_WR;
    const allowed = read ? state.rdAllowed : state.wrAllowed;
    const hiddenUntil = Math.max(seamless - tRCD, now);
    let first = Infinity;
    let foundSeamless = false;
    this.hidden = false;
    for (let rank = 0; rank < p.ranks; rank++) {
      for (let j = 0; j < p.banks; j++) {
        if ((waiting[rank] & (1 << j)) === 0) continue;
        const bank = rank * p.banks + j;
        const activate =
          state.openRow[bank] === NO_ROW
            ? Math.max(state.actAllowed[bank], now)
            : Math.max(state.preAllowed[bank], now) + p.tRP;
        const isSeamless = Math.max(allowed[bank], activate + tRCD) <= seamless;
        if (!isSeamless && (foundSeamless || activate > first)) continue;
        if (!foundSeamless && (isSeamless || activate < first)) earliest.fill(0);
        if (isSeamless) foundSeamless = true;
        this.hidden = activate <= hiddenUntil;
        earliest[rank] |= 1 << j;
        first = activate;
      }
    }
  }
}
