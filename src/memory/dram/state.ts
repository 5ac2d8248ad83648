import { ACTIVATION_LIMIT, type DramParameters } from "./devices.js";

/** Of a bank without an open row. */
export const NO_ROW = -1;
/** Bus direction. */
export const READ = 0;
export const WRITE = 1;

/** Where a rank stands between two refreshes (gem5: RefreshState). */
export const Refresh = {
  /** Not due: requests are served. */
  Idle: 0,
  /** Due, but the controller is about to serve this rank: waits for its next decision. */
  Drain: 1,
  /** Rows are being closed, then the refresh itself; `refreshAt` says when it ends. */
  Run: 2,
} as const;

/**
 * All that a channel remembers, as typed views of one buffer, so that it can be copied in one go. Times are in
 * ps (gem5's ticks), exact integers in doubles.
 */
export class ChannelState {
  private readonly bytes: Uint8Array;

  // Banks of the channel: rank * banks + bank.
  readonly rdAllowed: Float64Array;
  readonly wrAllowed: Float64Array;
  readonly preAllowed: Float64Array;
  readonly actAllowed: Float64Array;
  // Ranks.
  /** Next event of the rank's refresh; Infinity: waits for the controller. */
  readonly refreshAt: Float64Array;
  /** When the refresh under way became due. */
  readonly refreshDue: Float64Array;
  /** End of the latest precharge, read, write: a refresh begins after them. */
  readonly quietAt: Float64Array;
  /** The last activates of each rank, a ring. */
  readonly activates: Float64Array;
  // Queues, oldest first: cycle of arrival.
  readonly readEntry: Float64Array;
  readonly writeEntry: Float64Array;
  /** Ring of the reads that are served and not yet answered: when their data is there. */
  readonly answers: Float64Array;
  /** Scalars, by `S`. */
  readonly scalar: Float64Array;

  readonly openRow: Int32Array;
  readonly rowAccesses: Int32Array;
  readonly refresh: Int32Array;
  readonly banksOpen: Int32Array;
  readonly activateNext: Int32Array;
  readonly readLine: Int32Array;
  readonly readId: Int32Array;
  readonly writeLine: Int32Array;

  constructor(p: DramParameters) {
    const banks = p.ranks * p.banks;
    const doubles = [banks, banks, banks, banks, p.ranks, p.ranks, p.ranks, p.ranks * ACTIVATION_LIMIT];
    doubles.push(p.readQueue, p.writeQueue, p.readQueue, SCALARS);
    const integers = [banks, banks, p.ranks, p.ranks, p.ranks, p.readQueue, p.readQueue, p.writeQueue];
    const sum = (sizes: number[]) => sizes.reduce((a, b) => a + b, 0);
    const buffer = new ArrayBuffer(sum(doubles) * 8 + sum(integers) * 4);
    let at = 0;
    const f64 = (n: number) => {
      const view = new Float64Array(buffer, at, n);
      at += n * 8;
      return view;
    };
    const i32 = (n: number) => {
      const view = new Int32Array(buffer, at, n);
      at += n * 4;
      return view;
    };
    this.rdAllowed = f64(banks);
    this.wrAllowed = f64(banks);
    this.preAllowed = f64(banks);
    this.actAllowed = f64(banks);
    this.refreshAt = f64(p.ranks);
    this.refreshDue = f64(p.ranks);
    this.quietAt = f64(p.ranks);
    this.activates = f64(p.ranks * ACTIVATION_LIMIT);
    this.readEntry = f64(p.readQueue);
    this.writeEntry = f64(p.writeQueue);
    this.answers = f64(p.readQueue);
    this.scalar = f64(SCALARS);
    this.openRow = i32(banks);
    this.rowAccesses = i32(banks);
    this.refresh = i32(p.ranks);
    this.banksOpen = i32(p.ranks);
    this.activateNext = i32(p.ranks);
    this.readLine = i32(p.readQueue);
    this.readId = i32(p.readQueue);
    this.writeLine = i32(p.writeQueue);
    this.bytes = new Uint8Array(buffer);

    this.openRow.fill(NO_ROW);
    this.activates.fill(-Infinity);
    // gem5's ranks begin so, and come again each tREFI - tRP: the time to precharge is taken off every time.
    this.refreshAt.fill(p.tREFI - p.tRP);
    this.scalar[S.Decide] = Infinity;
    this.scalar[S.NextBurst] = p.tRP + Math.max(p.tRCD, p.tRCD_WR);
  }

  copyFrom(other: ChannelState): void {
    this.bytes.set(other.bytes);
  }
}

/** Slots of `scalar`. */
export const S = {
  /** Time of the last event. */
  Now: 0,
  /** Next decision of the controller (gem5: nextReqEvent); Infinity: none. */
  Decide: 1,
  /** Earliest next column command on the data bus (gem5: nextBurstAt). */
  NextBurst: 2,
  /** Bus direction now and from the next decision on. */
  Bus: 3,
  BusNext: 4,
  /** Bursts since the bus was last turned around. */
  ReadsThis: 5,
  WritesThis: 6,
  Reads: 7,
  Writes: 8,
  /** Rank of the last burst. */
  ActiveRank: 9,
  /** Ring of answers: oldest, and how many. */
  AnswerHead: 10,
  Answers: 11,
} as const;
const SCALARS = 12;
