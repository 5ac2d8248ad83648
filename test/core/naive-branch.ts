import { BranchKind } from "../../src/loader/decode/index.js";
import {
  type BranchPredictorSpec,
  type LoopSpec,
  loopSchema,
  ltageSchema,
  type TageSpec,
  tageSchema,
} from "../../src/machine/spec.js";

/** A direction predictor; `word` is the branch's address / 4. */
export interface NaiveDirection {
  predict(word: number, taken: boolean, held: number | undefined): boolean;
  always(word: number): void;
}

/** Naive twin of a prediction unit: Maps and arrays. */
export class NaiveUnit {
  /** By name of a counter. */
  readonly counts = new Map<string, number>();
  private direction: NaiveDirection;
  private btb = new Map<number, { tag: number; target: number }>();
  private ras: number[] = [];
  private sets = new Map<number, { tag: number; target: number }[]>();
  private path: number[] = [0, 0, 0];
  constructor(
    private readonly s: BranchPredictorSpec,
    private readonly twinOf: (s: BranchPredictorSpec) => NaiveDirection,
  ) {
    this.direction = twinOf(s);
  }

  flush(): void {
    this.direction = this.twinOf(this.s);
    this.btb = new Map();
    this.ras = [];
    this.sets = new Map();
    this.path = [0, 0, 0];
  }

  private count(name: string, condition = true): void {
    if (condition) this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  predict(kind: number, pc: number, next: number, taken: boolean, target: number): boolean {
    const word = Math.floor(pc / 4);
    this.count("lookups");
    if (kind === BranchKind.Conditional) {
      const predicted = this.direction.predict(word, taken, this.find(word));
      this.count("condPredicted");
      this.count("condIncorrect", predicted !== taken);
      if (!predicted) {
        if (taken) this.learn(word, target);
        return !taken;
      }
      const found = this.find(word);
      this.count("BTBLookups");
      this.count("BTBHits", found !== undefined);
      if (!taken) return found === undefined;
      if (found === target) return true;
      this.learn(word, target);
      return false;
    }
    this.direction.always(word);
    if (kind === BranchKind.DirectCall || kind === BranchKind.IndirectCall) {
      this.ras.push(next);
      if (this.ras.length > this.s.rasEntries) this.ras.shift();
    }
    if (kind === BranchKind.Return) {
      const predicted = this.ras.pop();
      this.count("RASUsed", predicted !== undefined);
      this.count("RASIncorrect", predicted !== undefined && predicted !== target);
      return predicted === target;
    }
    if (kind === BranchKind.DirectJump || kind === BranchKind.DirectCall) {
      const found = this.find(word);
      this.count("BTBLookups");
      this.count("BTBHits", found !== undefined);
      if (found === target) return true;
      this.learn(word, target);
      return false;
    }
    let hash = word;
    this.path.forEach((t, i) => {
      hash ^= Math.floor(t / 4 ** (i + 1));
    });
    const index = hash % this.s.indirectSets;
    const set = this.sets.get(index) ?? [];
    this.sets.set(index, set);
    const tag = word % 2 ** this.s.indirectTagBits;
    const at = set.findIndex((e) => e.tag === tag);
    const found = at < 0 ? undefined : set.splice(at, 1)[0].target;
    set.unshift({ tag, target });
    if (set.length > this.s.indirectWays) set.pop();
    this.path = [target, ...this.path.slice(0, 2)];
    this.count("indirectLookups");
    this.count("indirectHits", found !== undefined);
    this.count("indirectMispredicted", found !== undefined && found !== target);
    return found === target;
  }

  private key(word: number): [number, number] {
    return [word % this.s.btbEntries, Math.floor(word / this.s.btbEntries) % 2 ** this.s.btbTagBits];
  }
  private find(word: number): number | undefined {
    const [at, tag] = this.key(word);
    const entry = this.btb.get(at);
    return entry?.tag === tag ? entry.target : undefined;
  }
  private learn(word: number, target: number): void {
    const [at, tag] = this.key(word);
    this.btb.set(at, { tag, target });
  }
}

const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));

/** Counters that begin at 0, in a Map. */
class Counters {
  private readonly values = new Map<number, number>();
  constructor(
    private readonly low: number,
    private readonly high: number,
  ) {}
  get(at: number): number {
    return this.values.get(at) ?? 0;
  }
  step(at: number, up: boolean): void {
    this.values.set(at, clamp(this.get(at) + (up ? 1 : -1), this.low, this.high));
  }
  set(at: number, value: number): void {
    this.values.set(at, value);
  }
  forEach(change: (value: number) => number): void {
    for (const [at, value] of this.values) this.values.set(at, change(value));
  }
}

/** The newest outcomes of a list, as a number, newest lowest. */
const value = (bits: readonly boolean[], count: number) =>
  bits.slice(Math.max(0, bits.length - count)).reduce((n, b) => n * 2 + (b ? 1 : 0), 0);

export function naiveTournament(s: BranchPredictorSpec): NaiveDirection {
  const local = new Map<number, boolean[]>();
  const [localCounters, globalCounters, choice] = [1, 2, 3].map(() => new Counters(0, 3));
  let history: boolean[] = [];
  return {
    predict(word, taken) {
      const slot = word % s.localEntries;
      const bits = local.get(slot) ?? [];
      const l = value(bits, Math.log2(s.localEntries));
      const g = value(history, Math.log2(s.globalEntries));
      const c = value(history, Math.log2(s.choiceEntries));
      const localTaken = localCounters.get(l) > 1;
      const globalTaken = globalCounters.get(g) > 1;
      const predicted = choice.get(c) > 1 ? globalTaken : localTaken;
      if (localTaken !== globalTaken) choice.step(c, globalTaken === taken);
      globalCounters.step(g, taken);
      localCounters.step(l, taken);
      local.set(slot, [...bits, taken].slice(-20));
      history = [...history, taken].slice(-20);
      return predicted;
    },
    always() {
      history = [...history, true].slice(-20);
    },
  };
}

export const naiveBackwardTaken = (): NaiveDirection => ({
  predict: (word, _taken, held) => held !== undefined && Math.floor(held / 4) <= word,
  always: () => {},
});

export function naiveBimodal(entries: number): NaiveDirection {
  const counters = new Counters(0, 3);
  return {
    predict(word, taken) {
      const predicted = counters.get(word % entries) > 1;
      counters.step(word % entries, taken);
      return predicted;
    },
    always: () => {},
  };
}

export function naiveGshare(entries: number): NaiveDirection {
  const counters = new Counters(0, 3);
  let history: boolean[] = [];
  return {
    predict(word, taken) {
      const at = (word % entries) ^ value(history, Math.log2(entries));
      const predicted = counters.get(at) > 1;
      counters.step(at, taken);
      history = [...history, taken].slice(-24);
      return predicted;
    },
    always() {
      history = [...history, true].slice(-24);
    },
  };
}

export function naivePerceptron(entries: number, length: number): NaiveDirection {
  const weights = new Map<number, number[]>();
  let history: number[] = Array(length).fill(-1);
  return {
    predict(word, taken) {
      const w = weights.get(word % entries) ?? Array(length + 1).fill(0);
      const inputs = [1, ...history];
      const y = w.reduce((sum, weight, i) => sum + weight * inputs[i], 0);
      const t = taken ? 1 : -1;
      if (y >= 0 !== taken || Math.abs(y) <= Math.floor(1.93 * length + 14))
        weights.set(
          word % entries,
          w.map((weight, i) => clamp(weight + t * inputs[i], -128, 127)),
        );
      history = [t, ...history].slice(0, length);
      return y >= 0;
    },
    always: () => {},
  };
}

/** xorshift32 from 1. */
function draws(): () => number {
  let x = 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  };
}

/** TAGE with histories folded anew for each branch, entries as objects. */
export function naiveTage(s: TageSpec): NaiveDirection {
  interface Entry {
    tag: number;
    counter: number;
    useful: number;
  }
  const n = s.tagBits.length;
  const draw = draws();
  const lengths = Array.from({ length: n }, (_, i) =>
    Math.trunc(s.minHistory * (s.maxHistory / s.minHistory) ** (i / (n - 1)) + 0.5),
  );
  const tables: Map<number, Entry>[] = lengths.map(() => new Map());
  const bimodal = new Map<number, boolean>();
  const hysteresis = new Map<number, boolean>();
  // Newest first.
  let outcomes: boolean[] = [];
  let path: number[] = [];
  let useAlternate = 0;
  let tick = 2 ** 17;

  /** Outcome of age a is exclusive-ored into bit a mod width: the closed form of the shifted register. */
  const fold = (length: number, width: number) => {
    let folded = 0;
    for (let age = 0; age < length; age++) if (outcomes[age]) folded ^= 2 ** (age % width);
    return folded;
  };
  const rotate = (v: number, by: number, bits: number) =>
    ((v * 2 ** by) % 2 ** bits) + (bits >= by ? Math.floor(v / 2 ** (bits - by)) : 0);
  const indexOf = (word: number, t: number) => {
    const bits = s.sizeBits[t];
    const taken = path.slice(0, Math.min(16, lengths[t - 1])).reduce((sum, bit, i) => sum + bit * 2 ** i, 0);
    const high = rotate(Math.floor(taken / 2 ** bits), t, bits);
    const p = rotate((taken % 2 ** bits) ^ high, t, bits);
    const mixed = word ^ Math.floor(word / 2 ** (Math.abs(bits - t) + 1)) ^ fold(lengths[t - 1], bits) ^ p;
    return mixed % 2 ** bits;
  };
  const tagOf = (word: number, t: number) => {
    const width = s.tagBits[t - 1];
    return (word ^ fold(lengths[t - 1], width) ^ (fold(lengths[t - 1], width - 1) * 2)) % 2 ** width;
  };
  const entry = (t: number, at: number): Entry => {
    const found = tables[t - 1].get(at) ?? { tag: 0, counter: 0, useful: 0 };
    tables[t - 1].set(at, found);
    return found;
  };
  const remember = (word: number, taken: boolean) => {
    outcomes = [taken, ...outcomes].slice(0, s.maxHistory);
    path = [word % 2, ...path].slice(0, 16);
  };
  const trainBase = (at: number, taken: boolean) => {
    const shared = Math.floor(at / 4);
    const now = (bimodal.get(at) ? 2 : 0) + ((hysteresis.get(shared) ?? true) ? 1 : 0);
    const next = clamp(now + (taken ? 1 : -1), 0, 3);
    bimodal.set(at, next > 1);
    hysteresis.set(shared, next % 2 === 1);
  };
  return {
    predict(word, taken) {
      const slots = lengths.map((_, i) => indexOf(word, i + 1));
      const tags = lengths.map((_, i) => tagOf(word, i + 1));
      const entries = slots.map((at, i) => entry(i + 1, at));
      const matching = entries.filter((e, i) => e.tag === tags[i]).reverse();
      const [hit, second] = matching;
      const hitTable = hit === undefined ? 0 : entries.indexOf(hit) + 1;
      const at = word % 2 ** s.sizeBits[0];
      const alternate = second === undefined ? (bimodal.get(at) ?? false) : second.counter >= 0;
      let prediction = alternate;
      let allocate: boolean;
      if (hit === undefined) {
        allocate = prediction !== taken;
      } else {
        const longest = hit.counter >= 0;
        const fresh = hit.counter === 0 || hit.counter === -1;
        prediction = fresh && useAlternate >= 0 ? alternate : longest;
        allocate = prediction !== taken && hitTable < n && !(fresh && longest === taken);
        if (fresh && longest !== alternate)
          useAlternate = clamp(useAlternate + (alternate === taken ? 1 : -1), -8, 7);
      }
      if (allocate) {
        const left = n - hitTable - 1;
        const dice = (draw() & 3) % 2 ** Math.min(2, left);
        const start = hitTable + 1 + (dice === 3 ? 2 : dice === 1 ? 1 : 0);
        const longer = entries.slice(hitTable);
        if (longer.every((e) => e.useful > 0)) entries[start - 1].useful = 0;
        const victim = entries.findIndex((e, i) => i >= start - 1 && e.useful === 0);
        if (victim >= 0) {
          entries[victim].tag = tags[victim];
          entries[victim].counter = taken ? 0 : -1;
        }
      }
      if (++tick % 2 ** s.usefulResetBits === 0)
        for (const table of tables) for (const e of table.values()) e.useful = Math.floor(e.useful / 2);
      if (hit === undefined) trainBase(at, taken);
      else {
        hit.counter = clamp(hit.counter + (taken ? 1 : -1), -4, 3);
        if (hit.useful === 0) {
          if (second === undefined) trainBase(at, taken);
          else second.counter = clamp(second.counter + (taken ? 1 : -1), -4, 3);
        }
        if (prediction !== alternate) hit.useful = clamp(hit.useful + (prediction === taken ? 1 : -1), 0, 3);
      }
      remember(word, taken);
      return prediction;
    },
    always: (word) => remember(word, true),
  };
}

/** TAGE and loops as objects. */
export function naiveLtage(s: TageSpec, l: LoopSpec): NaiveDirection {
  interface Loop {
    tag: number;
    trips: number;
    current: number;
    confidence: number;
    age: number;
  }
  const tage = naiveTage(s);
  const draw = draws();
  const sets = l.entries / l.ways;
  const loops = new Map<number, Loop[]>();
  let use = -1;
  const forget = (loop: Loop) => Object.assign(loop, { trips: 0, confidence: 0, age: 0 });
  return {
    predict(word, taken) {
      const other = tage.predict(word, taken, undefined);
      const set =
        loops.get(word % sets) ??
        Array.from({ length: l.ways }, () => ({ tag: 0, trips: 0, current: 0, confidence: 0, age: 0 }));
      loops.set(word % sets, set);
      const tag = Math.floor(word / sets) % 2 ** l.tagBits;
      const loop = set.find((e) => e.tag === tag);
      const sure = loop?.confidence === 3;
      const guess = loop !== undefined && loop.current + 1 !== loop.trips;
      const chosen = sure && use >= 0 ? guess : other;
      if (sure && chosen !== guess) use = clamp(use + (guess === taken ? 1 : -1), -64, 63);
      if (loop === undefined) {
        if (!taken) return chosen;
        const first = draw() >>> 8;
        for (let k = 0; k < l.ways; k++) {
          const candidate = set[(first + k) % l.ways];
          if (candidate.age === 0) {
            Object.assign(candidate, { tag, trips: 0, confidence: 0, age: 255, current: 1 });
            break;
          }
          candidate.age--;
        }
        return chosen;
      }
      if (sure && guess !== taken) {
        forget(loop).current = 0;
        return chosen;
      }
      if (sure && guess !== other) loop.age = Math.min(255, loop.age + 1);
      loop.current = (loop.current + 1) % 2 ** l.tripBits;
      if (loop.current > loop.trips) {
        loop.confidence = 0;
        if (loop.trips > 0) forget(loop);
      }
      if (taken) return chosen;
      if (loop.current === loop.trips) {
        loop.confidence = Math.min(3, loop.confidence + 1);
        if (loop.trips < 3) forget(loop);
      } else if (loop.trips === 0) {
        loop.confidence = 0;
        loop.trips = loop.current;
      } else forget(loop);
      loop.current = 0;
      return chosen;
    },
    always: (word) => tage.always(word),
  };
}

/** Directions by name of the unit; "none" has none. */
export const NAIVE_DIRECTIONS: Record<string, (s: BranchPredictorSpec) => NaiveDirection> = {
  "always-taken": () => ({ predict: () => true, always: () => {} }),
  btfn: naiveBackwardTaken,
  bimodal: (s) => naiveBimodal(s.bimodal?.entries ?? 2048),
  gshare: (s) => naiveGshare(s.gshare?.entries ?? 16384),
  tournament: naiveTournament,
  perceptron: (s) => naivePerceptron(s.perceptron?.entries ?? 512, s.perceptron?.historyLength ?? 28),
  tage: (s) => naiveTage(s.tage ?? tageSchema.parse({})),
  ltage: (s) => naiveLtage(s.ltage ?? ltageSchema.parse({}), s.loop ?? loopSchema.parse({})),
};

/** The unit that a machine asks for; undefined where nothing is predicted. */
export function naiveUnit(s: BranchPredictorSpec): NaiveUnit | undefined {
  return s.name === "none" ? undefined : new NaiveUnit(s, NAIVE_DIRECTIONS[s.name]);
}
