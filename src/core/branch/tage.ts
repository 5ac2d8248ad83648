import type { TageSpec } from "../../machine/spec.js";
import { lowBits } from "../../numbers.js";
import { INST_SHIFT } from "./btb.js";
import type { DirectionPredictor } from "./direction.js";
import { FoldedHistory, GlobalHistory } from "./folded.js";

/** Bits of the path history, of tagged counters, of useful counters, of the choice of the alternate prediction. */
const PATH_BITS = 16;
const COUNTER_MAX = 3;
const COUNTER_MIN = -4;
const USEFUL_MAX = 3;
const USE_ALTERNATE_MAX = 7;
const USE_ALTERNATE_MIN = -8;
/** Predictions that share a hysteresis bit of the bimodal table: 4. */
const HYSTERESIS_SHIFT = 2;
/** Branches counted at the start (gem5: initialTCounterValue). */
const FIRST_TICK = 1 << 17;

/**
 * TAGE (Seznec and Michaud, _A Case for (Partially) Tagged Geometric History Length Branch Prediction_, JILP 8, 2006;
 * gem5: TAGEBase): a bimodal table and tagged tables indexed with global histories of geometrically growing
 * length. The longest match provides the prediction, or the next one while its entry is new and the new have
 * proved worse. A misprediction allocates an entry of a longer history. Histories hold all branches.
 */
export class TageDirection implements DirectionPredictor {
  private readonly tables: number;
  private readonly sizeBits: Int32Array;
  private readonly tagMask: Int32Array;
  /** Path bits that go into each table's index. */
  private readonly pathBits: Int32Array;
  private readonly counters: Int8Array[] = [];
  private readonly tags: Int32Array[] = [];
  private readonly useful: Uint8Array[] = [];
  private readonly bimodal: Uint8Array;
  private readonly hysteresis: Uint8Array;
  private readonly foldedIndex: FoldedHistory[] = [];
  private readonly foldedTag: FoldedHistory[] = [];
  private readonly foldedTag2: FoldedHistory[] = [];
  private readonly history: GlobalHistory;
  private readonly periodMask: number;
  private path = 0;
  private useAlternate = 0;
  private tick = FIRST_TICK;
  private random = 1;
  // Of the branch in hand: entry and tag by table.
  private readonly index: Int32Array;
  private readonly tag: Int32Array;

  /** `sizeBits` and `tagBits` by table; entry 0 of `sizeBits` is the bimodal table's. */
  constructor(spec: TageSpec) {
    const tables = spec.tagBits.length;
    this.tables = tables;
    this.sizeBits = Int32Array.from(spec.sizeBits);
    this.tagMask = Int32Array.from([0, ...spec.tagBits], (bits) => (1 << bits) - 1);
    this.pathBits = new Int32Array(tables + 1);
    this.history = new GlobalHistory(spec.maxHistory);
    this.periodMask = lowBits(spec.usefulResetBits);
    this.bimodal = new Uint8Array(1 << this.sizeBits[0]);
    this.hysteresis = new Uint8Array(Math.max(1, this.bimodal.length >> HYSTERESIS_SHIFT)).fill(1);
    for (let t = 0; t <= tables; t++) {
      const size = t === 0 ? 0 : 1 << this.sizeBits[t];
      this.counters.push(new Int8Array(size));
      this.tags.push(new Int32Array(size));
      this.useful.push(new Uint8Array(size));
      const length = historyLength(spec, t);
      this.pathBits[t] = Math.min(PATH_BITS, length);
      const tagBits = t === 0 ? 2 : spec.tagBits[t - 1];
      this.foldedIndex.push(new FoldedHistory(length, this.sizeBits[t]));
      this.foldedTag.push(new FoldedHistory(length, tagBits));
      this.foldedTag2.push(new FoldedHistory(length, tagBits - 1));
    }
    this.index = new Int32Array(tables + 1);
    this.tag = new Int32Array(tables + 1);
  }

  predict(pc: number, taken: boolean): boolean {
    const { tables, index, tag } = this;
    const word = pc >>> INST_SHIFT;
    let hit = 0;
    let alternate = 0;
    for (let t = tables; t > 0; t--) {
      index[t] = this.indexOf(word, t);
      tag[t] = this.tagOf(word, t);
      if (this.tags[t][index[t]] !== tag[t]) continue;
      if (hit === 0) hit = t;
      else if (alternate === 0) alternate = t;
    }
    const base = word & (this.bimodal.length - 1);
    const otherwise =
      alternate > 0 ? this.counters[alternate][index[alternate]] >= 0 : this.bimodal[base] !== 0;
    let longest = otherwise;
    let predicted = otherwise;
    let isNew = false;
    if (hit > 0) {
      const counter = this.counters[hit][index[hit]];
      longest = counter >= 0;
      isNew = counter === 0 || counter === -1;
      if (this.useAlternate < 0 || !isNew) predicted = longest;
    }
    this.learn(taken, base, hit, alternate, predicted, longest, otherwise, isNew);
    this.remember(word, taken);
    return predicted;
  }

  always(pc: number): void {
    this.remember(pc >>> INST_SHIFT, true);
  }

  flush(): void {
    for (let t = 0; t <= this.tables; t++) {
      this.counters[t].fill(0);
      this.tags[t].fill(0);
      this.useful[t].fill(0);
      this.foldedIndex[t].clear();
      this.foldedTag[t].clear();
      this.foldedTag2[t].clear();
    }
    this.bimodal.fill(0);
    this.hysteresis.fill(1);
    this.history.clear();
    this.path = 0;
    this.useAlternate = 0;
    this.tick = FIRST_TICK;
    this.random = 1;
  }

  private learn(
    taken: boolean,
    base: number,
    hit: number,
    alternate: number,
    predicted: boolean,
    longest: boolean,
    otherwise: boolean,
    isNew: boolean,
  ): void {
    const { index } = this;
    let allocate = predicted !== taken && hit < this.tables;
    if (isNew) {
      if (longest === taken) allocate = false;
      if (longest !== otherwise) {
        if (otherwise === taken) {
          if (this.useAlternate < USE_ALTERNATE_MAX) this.useAlternate++;
        } else if (this.useAlternate > USE_ALTERNATE_MIN) this.useAlternate--;
      }
    }
    if (allocate) this.allocate(hit, taken);
    this.tick++;
    if ((this.tick & this.periodMask) === 0) this.ageUseful();
    if (hit === 0) {
      this.train(base, taken);
      return;
    }
    step(this.counters[hit], index[hit], taken);
    const useful = this.useful[hit];
    if (useful[index[hit]] === 0) {
      if (alternate > 0) step(this.counters[alternate], index[alternate], taken);
      else this.train(base, taken);
    }
    if (predicted !== otherwise) {
      const value = useful[index[hit]];
      if (predicted === taken) {
        if (value < USEFUL_MAX) useful[index[hit]] = value + 1;
      } else if (value > 0) useful[index[hit]] = value - 1;
    }
  }

  /** One entry in a table of a longer history, the next or one or two beyond, that is not useful. */
  private allocate(hit: number, taken: boolean): void {
    const { tables, index, useful } = this;
    const draw = this.draw() & ((1 << Math.min(2, tables - hit - 1)) - 1);
    let first = hit + 1;
    if ((draw & 1) !== 0) {
      first++;
      if ((draw & 2) !== 0) first++;
    }
    let free = false;
    for (let t = tables; t > hit; t--) if (useful[t][index[t]] === 0) free = true;
    if (!free) useful[first][index[first]] = 0;
    for (let t = first; t <= tables; t++) {
      if (useful[t][index[t]] !== 0) continue;
      this.tags[t][index[t]] = this.tag[t];
      this.counters[t][index[t]] = taken ? 0 : -1;
      return;
    }
  }

  private ageUseful(): void {
    for (const table of this.useful) for (let i = 0; i < table.length; i++) table[i] >>= 1;
  }

  /** The bimodal table: prediction bit and shared hysteresis bit as one two-bit counter. */
  private train(at: number, taken: boolean): void {
    const shared = at >> HYSTERESIS_SHIFT;
    let counter = (this.bimodal[at] << 1) | this.hysteresis[shared];
    if (taken) {
      if (counter < 3) counter++;
    } else if (counter > 0) counter--;
    this.bimodal[at] = counter >> 1;
    this.hysteresis[shared] = counter & 1;
  }

  private remember(word: number, taken: boolean): void {
    this.history.push(taken);
    this.path = ((this.path << 1) | (word & 1)) & ((1 << PATH_BITS) - 1);
    for (let t = 1; t <= this.tables; t++) {
      this.foldedIndex[t].update(this.history);
      this.foldedTag[t].update(this.history);
      this.foldedTag2[t].update(this.history);
    }
  }

  private indexOf(word: number, t: number): number {
    const bits = this.sizeBits[t];
    const mixed = word ^ (word >>> (Math.abs(bits - t) + 1)) ^ this.foldedIndex[t].value;
    return (mixed ^ this.pathHash(t)) & ((1 << bits) - 1);
  }

  private tagOf(word: number, t: number): number {
    return (word ^ this.foldedTag[t].value ^ (this.foldedTag2[t].value << 1)) & this.tagMask[t];
  }

  /** The path, folded to the width of the table's index and rotated by its number. gem5: F. */
  private pathHash(t: number): number {
    const bits = this.sizeBits[t];
    const mask = (1 << bits) - 1;
    const path = this.path & ((1 << this.pathBits[t]) - 1);
    return rotate((path & mask) ^ rotate(path >> bits, t, bits), t, bits);
  }

  private draw(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return x & 3;
  }
}

/** Left by `t` within `bits`. What a rotation by more than the width carries out is lost, as in gem5. */
function rotate(value: number, t: number, bits: number): number {
  const carried = bits >= t ? value >> (bits - t) : 0;
  return ((value << t) & ((1 << bits) - 1)) + carried;
}

/** A signed counter of three bits. */
function step(counters: Int8Array, i: number, up: boolean): void {
  const value = counters[i];
  if (up) {
    if (value < COUNTER_MAX) counters[i] = value + 1;
  } else if (value > COUNTER_MIN) counters[i] = value - 1;
}

/** Length of table `t`'s history: a geometric series from `minHistory` to `maxHistory`. */
export function historyLength(spec: TageSpec, t: number): number {
  const tables = spec.tagBits.length;
  if (t <= 1) return spec.minHistory;
  if (t === tables) return spec.maxHistory;
  return Math.floor(spec.minHistory * (spec.maxHistory / spec.minHistory) ** ((t - 1) / (tables - 1)) + 0.5);
}
