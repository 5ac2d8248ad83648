import { exponent } from "../../numbers.js";
import type { AddressMap } from "./address-map.js";
import { ACTIVATION_LIMIT, type DramParameters } from "./devices.js";
import { type ChannelState, NO_ROW, Refresh } from "./state.js";

/** What a channel counts. */
export const D = {
  ReadBursts: 0,
  WriteBursts: 1,
  ReadRowHits: 2,
  WriteRowHits: 3,
  BankConflicts: 4,
  Activates: 5,
  Refreshes: 6,
  ServedByWriteQueue: 7,
  MergedWrites: 8,
  ReadToWrite: 9,
  WriteToRead: 10,
  BusBusy: 11,
  ReadQueueing: 12,
  Discarded: 13,
} as const;
export const DRAM_COUNTS = 14;

const { Idle: IDLE } = Refresh;

/**
 * The banks of a channel and what their commands ask of each other: gem5's DRAMInterface. A burst is made of
 * the commands it needs (PRE, ACT, RD or WR), each at the earliest time that the constraints allow.
 */
export class Banks {
  private readonly banksPerRank: number;
  private readonly rankShift: number;
  private readonly group: Int32Array;
  // Column command to column command, by what was and what comes: same group, other group, other rank.
  private readonly rdToRdSame: number;
  private readonly rdToWrSame: number;
  private readonly wrToRdSame: number;
  private readonly wrToWrSame: number;
  private readonly rdToWrOther: number;
  private readonly wrToRdOther: number;
  private readonly rankToRank: number;
  /** After `burst`: when the data is there. */
  readyAt = -0;

  constructor(
    private readonly p: DramParameters,
    private readonly map: AddressMap,
    private readonly s: ChannelState,
    private readonly counts: Float64Array,
  ) {
    this.banksPerRank = p.banks;
    this.rankShift = exponent(p.banks);
    this.group = Int32Array.from({ length: p.banks }, (_, bank) =>
      p.bankGroups > 0 ? bank % p.bankGroups : bank,
    );
    const grouped = p.bankGroups > 0;
    this.rdToWrOther = p.tBURST + p.tRTW;
    this.wrToRdOther = p.tBURST + p.tWTR + p.tCWL;
    this.rankToRank = p.tBURST + p.tCS;
    this.rdToRdSame = grouped ? p.tCCD_L : p.tBURST;
    this.wrToWrSame = grouped ? p.tCCD_L : p.tBURST;
    this.rdToWrSame = grouped ? Math.max(p.tCCD_L, p.tRTW + p.tBURST) : this.rdToWrOther;
    this.wrToRdSame = grouped ? Math.max(p.tCCD_L, p.tCWL + p.tBURST + p.tWTR) : this.wrToRdOther;
  }

  rankOf(line: number): number {
    return this.map.bankOf(line) >>> this.rankShift;
  }

  /** May a burst to this line be decided on now? Not while its rank has a refresh due or under way. */
  available(line: number): boolean {
    return this.s.refresh[this.rankOf(line)] === IDLE;
  }

  /**
   * Issues the burst of a line at the earliest time from `now` and `nextBurst` on.
   * @param entry when the request came
   * @param waiting what else is in the queue for the same bank, by `Waiting`
   * @returns the time of the column command; `readyAt` says when the data is there.
   */
  burst(line: number, read: boolean, now: number, nextBurst: number, entry: number, waiting: number): number {
    const { p, s, counts } = this;
    const bank = this.map.bankOf(line);
    const rank = bank >>> this.rankShift;
    const row = this.map.rowOf(line);
    if (s.openRow[bank] === row) counts[read ? D.ReadRowHits : D.WriteRowHits]++;
    else {
      if (s.openRow[bank] !== NO_ROW) {
        counts[D.BankConflicts]++;
        const at = Math.max(s.preAllowed[bank], now);
        this.precharge(bank, rank, at);
        // Precharge commands of a rank stay in order.
        const first = rank << this.rankShift;
        for (let b = first; b < first + this.banksPerRank; b++)
          if (at > s.preAllowed[b]) s.preAllowed[b] = at;
      }
      this.activate(bank, rank, Math.max(s.actAllowed[bank], now), row);
    }
    const allowed = read ? s.rdAllowed[bank] : s.wrAllowed[bank];
    const command = Math.max(allowed, nextBurst, now);
    const ready = command + (read ? p.tCL : p.tCWL) + p.tBURST;
    this.readyAt = ready;
    if (ready > s.quietAt[rank]) s.quietAt[rank] = ready;
    this.spaceColumns(bank, rank, read, command);
    const recovered = read ? command + p.tRTP : ready + p.tWR;
    if (recovered > s.preAllowed[bank]) s.preAllowed[bank] = recovered;
    const accesses = ++s.rowAccesses[bank];
    if (
      p.pagePolicy === "close" ||
      accesses === p.maxAccessesPerRow ||
      (p.pagePolicy === "open_adaptive" && waiting === Waiting.Conflict) ||
      (p.pagePolicy === "close_adaptive" && waiting !== Waiting.Hit)
    )
      this.precharge(bank, rank, Math.max(now, s.preAllowed[bank]));
    counts[read ? D.ReadBursts : D.WriteBursts]++;
    counts[D.BusBusy] += p.tBURST;
    if (read) counts[D.ReadQueueing] += command - entry;
    return command;
  }

  /** A refresh of the rank begins as soon as its rows are closed. @returns when it is done. */
  refresh(rank: number, now: number): number {
    const { p, s } = this;
    const first = rank << this.rankShift;
    const end = first + this.banksPerRank;
    let quiet = Math.max(now, s.quietAt[rank]);
    if (s.banksOpen[rank] > 0) {
      let at = now;
      for (let b = first; b < end; b++) if (s.preAllowed[b] > at) at = s.preAllowed[b];
      for (let b = first; b < end; b++) {
        s.openRow[b] = NO_ROW;
        s.preAllowed[b] = at;
      }
      s.banksOpen[rank] = 0;
      if (at + p.tRP > quiet) quiet = at + p.tRP;
    }
    const done = quiet + p.tRFC;
    s.quietAt[rank] = quiet;
    for (let b = first; b < end; b++) s.actAllowed[b] = done;
    this.counts[D.Refreshes]++;
    return done;
  }

  /** Closes all rows, at no cost. */
  forget(): void {
    this.s.openRow.fill(NO_ROW);
    this.s.banksOpen.fill(0);
  }

  private precharge(bank: number, rank: number, at: number): void {
    const { p, s } = this;
    s.openRow[bank] = NO_ROW;
    s.banksOpen[rank]--;
    s.preAllowed[bank] = at;
    const done = at + p.tRP;
    if (done > s.actAllowed[bank]) s.actAllowed[bank] = done;
    if (done > s.quietAt[rank]) s.quietAt[rank] = done;
  }

  private activate(bank: number, rank: number, at: number, row: number): void {
    const { p, s, group } = this;
    s.openRow[bank] = row;
    s.rowAccesses[bank] = 0;
    s.banksOpen[rank]++;
    this.counts[D.Activates]++;
    s.preAllowed[bank] = at + p.tRAS;
    if (at + p.tRCD > s.rdAllowed[bank]) s.rdAllowed[bank] = at + p.tRCD;
    if (at + p.tRCD_WR > s.wrAllowed[bank]) s.wrAllowed[bank] = at + p.tRCD_WR;
    // The fourth activate before the next one must be tXAW away.
    const ring = rank * ACTIVATION_LIMIT;
    s.activates[ring + s.activateNext[rank]] = at;
    s.activateNext[rank] = (s.activateNext[rank] + 1) % ACTIVATION_LIMIT;
    const window = s.activates[ring + s.activateNext[rank]] + p.tXAW;
    const first = rank << this.rankShift;
    const own = group[bank - first];
    for (let i = 0; i < this.banksPerRank; i++) {
      const same = p.bankGroups > 0 && group[i] === own;
      let allowed = at + (same ? p.tRRD_L : p.tRRD);
      if (window > allowed) allowed = window;
      if (allowed > s.actAllowed[first + i]) s.actAllowed[first + i] = allowed;
    }
  }

  /** What a column command asks of those after it, on all ranks. */
  private spaceColumns(bank: number, rank: number, read: boolean, at: number): void {
    const { s, group } = this;
    const { rdAllowed, wrAllowed } = s;
    const first = rank << this.rankShift;
    const own = group[bank - first];
    const other = at + this.rankToRank;
    const rdSame = at + (read ? this.rdToRdSame : this.wrToRdSame);
    const wrSame = at + (read ? this.rdToWrSame : this.wrToWrSame);
    const rdOther = at + (read ? this.p.tBURST : this.wrToRdOther);
    const wrOther = at + (read ? this.rdToWrOther : this.p.tBURST);
    for (let b = 0; b < rdAllowed.length; b++) {
      let rd = other;
      let wr = other;
      if (b >>> this.rankShift === rank) {
        const same = group[b - first] === own;
        rd = same ? rdSame : rdOther;
        wr = same ? wrSame : wrOther;
      }
      if (rd > rdAllowed[b]) rdAllowed[b] = rd;
      if (wr > wrAllowed[b]) wrAllowed[b] = wr;
    }
  }
}

/** What waits in the queue of a burst for the same bank: nothing, only other rows, the same row. */
export const Waiting = { Nothing: 0, Conflict: 1, Hit: 2 } as const;
