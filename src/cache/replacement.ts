import { InputError, suggestion } from "../errors.js";

/**
 * Which line of a set goes. One policy object per cache. Called by the cache only: `fill` when a line is
 * put into a slot, `touch` at each later hit, `invalidate` when a slot becomes free otherwise than by a
 * fill, `victim` when a fill finds no free way. A slot is `set * ways + way`.
 */
export interface ReplacementPolicy {
  touch(slot: number): void;
  fill(slot: number): void;
  /** @returns the slot of the set whose line goes. Every way of the set holds a line. */
  victim(set: number): number;
  invalidate(slot: number): void;
}

/** True least recently used: a stamp per slot, taken from a clock of accesses (exact up to 2^53). */
export class LruPolicy implements ReplacementPolicy {
  private readonly stamp: Float64Array;
  private clock = -0;

  constructor(
    sets: number,
    private readonly ways: number,
  ) {
    this.stamp = new Float64Array(sets * ways);
  }

  touch(slot: number): void {
    this.stamp[slot] = ++this.clock;
  }

  fill(slot: number): void {
    this.stamp[slot] = ++this.clock;
  }

  victim(set: number): number {
    const stamp = this.stamp;
    let oldest = set * this.ways;
    let least = stamp[oldest];
    for (let slot = oldest + 1, end = oldest + this.ways; slot < end; slot++) {
      if (stamp[slot] < least) {
        least = stamp[slot];
        oldest = slot;
      }
    }
    return oldest;
  }

  invalidate(slot: number): void {
    this.stamp[slot] = 0;
  }
}

/** Any line of the set, equally likely; xorshift32, seeded for each cache. */
export class RandomPolicy implements ReplacementPolicy {
  private state: number;

  constructor(
    _sets: number,
    private readonly ways: number,
    seed: number,
  ) {
    // Spread the seed over the word; zero is the generator's fixed point.
    this.state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }

  touch(_slot: number): void {}

  fill(_slot: number): void {}

  victim(set: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return set * this.ways + ((x >>> 0) % this.ways);
  }

  invalidate(_slot: number): void {}
}

export const REPLACEMENT_POLICIES: readonly string[] = ["lru", "random"];

/** @param path key path of the policy's name, for the message. */
export function createReplacement(
  name: string,
  sets: number,
  ways: number,
  seed: number,
  path: string,
): ReplacementPolicy {
  switch (name) {
    case "lru":
      return new LruPolicy(sets, ways);
    case "random":
      return new RandomPolicy(sets, ways, seed);
    default:
      throw new InputError(
        `${path}: no replacement policy "${name}".${suggestion(name, REPLACEMENT_POLICIES)}`,
      );
  }
}
