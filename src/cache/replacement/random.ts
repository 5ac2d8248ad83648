import type { ReplacementPolicy } from "./contract.js";

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

  fill(_slot: number, _signature: number): void {}

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
