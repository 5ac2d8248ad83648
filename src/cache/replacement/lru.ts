import type { ReplacementPolicy } from "./contract.js";

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

  fill(slot: number, _signature: number): void {
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
