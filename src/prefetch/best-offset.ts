import { Outcome, type PrefetcherHost } from "../cache/contract.js";
import { exponent } from "../numbers.js";
import { DEGREE, DemandPrefetcher } from "./base.js";
import type { Parameters, PrefetcherDefinition, Sees } from "./contract.js";

/** Offsets whose prime factors are 2, 3 and 5 (the paper's list), as far as a page of 64 lines has room for them. */
export const OFFSETS: readonly number[] = Array.from({ length: 63 }, (_, i) => i + 1).filter((n) => {
  let left = n;
  for (const factor of [2, 3, 5]) while (left % factor === 0) left /= factor;
  return left === 1;
});
const TAG_BITS = 12;
/** Lines on their way that wait for their place in the table. */
const PENDING = 64;

/**
 * Best-offset (Michaud, _Best-Offset Hardware Prefetching_, HPCA 2016): prefetches X + D for the offset D
 * that would have been timely most often. A prefetched line Y that arrives enters Y - D into a table of recent
 * requests; each miss or first use of a prefetched line X tests one offset d of the list in turn: X - d in the table
 * scores. A phase ends with the round in which a score is full, or after so many rounds; the best becomes D. At a
 * score of `badScore` or less nothing is prefetched, and fetched lines enter the table as they are.
 */
class BestOffset extends DemandPrefetcher {
  private readonly recent: Int32Array;
  private readonly indexBits: number;
  private readonly scores = new Int32Array(OFFSETS.length);
  private readonly scoreMax: number;
  private readonly roundMax: number;
  private readonly badScore: number;
  private tested = 0;
  private round = 0;
  private offset = 1;
  private active = true;
  /** Lines on their way, which enter the table when they have arrived: a ring in order of request; ~line: a demand's. */
  private readonly pendingLine = new Int32Array(PENDING);
  private readonly pendingAt = new Float64Array(PENDING);
  private pendingHead = 0;
  private pendingCount = 0;

  constructor(host: PrefetcherHost, parameters: Parameters, on: Sees) {
    super(host, parameters, on);
    const entries = parameters.entries as number;
    this.recent = new Int32Array(entries).fill(-1);
    this.indexBits = exponent(entries);
    this.scoreMax = parameters.scoreMax as number;
    this.roundMax = parameters.roundMax as number;
    this.badScore = parameters.badScore as number;
  }

  protected observe(line: number, virtualLine: number, outcome: Outcome, now: number, ready: number): void {
    if (outcome === Outcome.Hit || outcome === Outcome.Merge) return;
    this.arrive(now);
    this.learn(line);
    if (!this.active) {
      if (outcome === Outcome.Miss) this.expect(~line, ready);
      return;
    }
    for (let k = 1; k <= this.degree; k++) if (!this.ask(line, virtualLine, this.offset * k, now)) return;
  }

  /** A line that it asked for was sent for. */
  issued(line: number, _now: number, ready: number): void {
    this.expect(line, ready);
  }

  flush(): void {
    this.recent.fill(-1);
    this.pendingCount = 0;
    this.offset = 1;
    this.active = true;
    this.beginPhase();
  }

  private expect(line: number, at: number): void {
    if (this.pendingCount === PENDING) this.takeIn();
    const i = (this.pendingHead + this.pendingCount++) % PENDING;
    this.pendingLine[i] = line;
    this.pendingAt[i] = at;
  }

  /** What has arrived by now enters the table; a line waits for those asked for before it. */
  private arrive(now: number): void {
    while (this.pendingCount > 0 && this.pendingAt[this.pendingHead] <= now) this.takeIn();
  }

  /** The oldest line on its way has arrived: Y enters the table as Y - D if it was prefetched, as Y while D is off. */
  private takeIn(): void {
    const line = this.pendingLine[this.pendingHead];
    this.pendingHead = (this.pendingHead + 1) % PENDING;
    this.pendingCount--;
    if (!this.active) this.enter(line < 0 ? ~line : line);
    else if (line >= 0 && (line & 63) >= this.offset) this.enter(line - this.offset);
  }

  private learn(line: number): void {
    const { scores, tested } = this;
    const base = line - OFFSETS[tested];
    if (base >> 6 === line >> 6 && this.isRecent(base)) scores[tested]++;
    if (++this.tested < OFFSETS.length) return;
    this.tested = 0;
    this.round++;
    let best = 0;
    for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i;
    if (scores[best] < this.scoreMax && this.round < this.roundMax) return;
    this.offset = OFFSETS[best];
    this.active = scores[best] > this.badScore;
    this.beginPhase();
  }

  private beginPhase(): void {
    this.scores.fill(0);
    this.tested = 0;
    this.round = 0;
  }

  private indexOf(line: number): number {
    return (line ^ (line >>> this.indexBits)) & (this.recent.length - 1);
  }

  private tagOf(line: number): number {
    return (line >>> this.indexBits) & ((1 << TAG_BITS) - 1);
  }

  private isRecent(line: number): boolean {
    return this.recent[this.indexOf(line)] === this.tagOf(line);
  }

  private enter(line: number): void {
    this.recent[this.indexOf(line)] = this.tagOf(line);
  }
}

export const bestOffset: PrefetcherDefinition = {
  description: "the offset that would have been timely (Michaud 2016)",
  parameters: {
    degree: {
      ...DEGREE,
      max: 8,
      describe: "multiples of the offset asked for at a time; the paper's is 1",
    },
    entries: {
      default: 256,
      min: 1,
      max: 65536,
      powerOfTwo: true,
      describe: "of the table of recent requests",
    },
    scoreMax: { default: 31, min: 1, max: 1024, describe: "score that ends a phase" },
    roundMax: { default: 100, min: 1, max: 10_000, describe: "rounds that end a phase" },
    badScore: { default: 1, min: 0, max: 1024, describe: "a best score up to this turns prefetching off" },
  },
  create: (host, parameters, on) => new BestOffset(host, parameters, on),
};
