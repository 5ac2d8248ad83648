import type { LoopSpec } from "../../machine/spec.js";
import { exponent, lowBits } from "../../numbers.js";
import { INST_SHIFT } from "./btb.js";

const CONFIDENT = 3;
const AGE_MAX = 255;
const USE_MAX = 63;
const USE_MIN = -64;

/**
 * The loop predictor of L-TAGE (Seznec, _A 256 Kbits L-TAGE Branch Predictor_, JILP 9, 2007; gem5: LoopPredictor with
 * its defaults): a set-associative table of branches that are taken the same number of times in a row.
 */
export class LoopPredictor {
  private readonly tags: Int32Array;
  /** Executions from one exit to the next; 0: not known yet. */
  private readonly trips: Int32Array;
  private readonly current: Int32Array;
  private readonly confidence: Uint8Array;
  private readonly age: Uint8Array;
  private readonly setMask: number;
  private readonly tagShift: number;
  private readonly tagMask: number;
  private readonly tripMask: number;
  private readonly ways: number;
  /** Whether loop predictions have been better than the others: used when not negative. */
  private use = -1;
  private random = 1;
  /** Of the branch in hand: its entry or -1, the base of its set, its tag. */
  private entry = -1;
  private base = 0;
  private tag = 0;
  private confident = false;
  private predicted = false;

  constructor(spec: LoopSpec) {
    const sets = spec.entries / spec.ways;
    this.ways = spec.ways;
    this.tags = new Int32Array(spec.entries);
    this.trips = new Int32Array(spec.entries);
    this.current = new Int32Array(spec.entries);
    this.confidence = new Uint8Array(spec.entries);
    this.age = new Uint8Array(spec.entries);
    this.setMask = sets - 1;
    this.tagShift = INST_SHIFT + exponent(sets);
    this.tagMask = lowBits(spec.tagBits);
    this.tripMask = lowBits(spec.tripBits);
  }

  /** @returns the final prediction, `other` being the one without loops. */
  choose(pc: number, other: boolean): boolean {
    this.base = ((pc >>> INST_SHIFT) & this.setMask) * this.ways;
    this.tag = (pc >>> this.tagShift) & this.tagMask;
    this.entry = -1;
    this.confident = false;
    this.predicted = false;
    for (let i = this.base; i < this.base + this.ways; i++) {
      if (this.tags[i] !== this.tag) continue;
      this.entry = i;
      this.confident = this.confidence[i] === CONFIDENT;
      this.predicted = this.current[i] + 1 !== this.trips[i];
      break;
    }
    return this.use >= 0 && this.confident ? this.predicted : other;
  }

  /** After `choose` of the same branch. @param chosen the final prediction */
  learn(taken: boolean, other: boolean, chosen: boolean): void {
    if (this.confident && chosen !== this.predicted) {
      if (this.predicted === taken) {
        if (this.use < USE_MAX) this.use++;
      } else if (this.use > USE_MIN) this.use--;
    }
    const i = this.entry;
    if (i < 0) {
      if (taken) this.allocate();
      return;
    }
    if (this.confident) {
      if (taken !== this.predicted) {
        this.free(i);
        this.age[i] = 0;
        this.current[i] = 0;
        return;
      }
      if (this.predicted !== other && this.age[i] < AGE_MAX) this.age[i]++;
    }
    this.current[i] = (this.current[i] + 1) & this.tripMask;
    if (this.current[i] > this.trips[i]) {
      this.confidence[i] = 0;
      if (this.trips[i] !== 0) {
        this.trips[i] = 0;
        this.age[i] = 0;
      }
    }
    if (!taken) this.exit(i);
  }

  flush(): void {
    for (const table of [this.tags, this.trips, this.current, this.confidence, this.age]) table.fill(0);
    this.use = -1;
    this.random = 1;
  }

  /** The loop is left. */
  private exit(i: number): void {
    if (this.current[i] === this.trips[i]) {
      if (this.confidence[i] < CONFIDENT) this.confidence[i]++;
      // Loops of one or two executions are left to others.
      if (this.trips[i] < 3) {
        this.free(i);
        this.age[i] = 0;
      }
    } else if (this.trips[i] === 0) {
      this.confidence[i] = 0;
      this.trips[i] = this.current[i];
    } else {
      this.free(i);
      this.age[i] = 0;
    }
    this.current[i] = 0;
  }

  private free(i: number): void {
    this.trips[i] = 0;
    this.confidence[i] = 0;
  }

  private allocate(): void {
    const first = this.draw();
    for (let k = 0; k < this.ways; k++) {
      const i = this.base + ((first + k) & (this.ways - 1));
      if (this.age[i] !== 0) {
        this.age[i]--;
        continue;
      }
      this.free(i);
      this.tags[i] = this.tag;
      this.age[i] = AGE_MAX;
      this.current[i] = 1;
      return;
    }
  }

  private draw(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return x >>> 8;
  }
}
