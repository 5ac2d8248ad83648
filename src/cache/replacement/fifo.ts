import type { ReplacementPolicy } from "./contract.js";

/** First in, first out: the line that was put in longest ago goes, however often it was used (gem5: FIFORP). */
export class FifoPolicy implements ReplacementPolicy {
  private readonly stamp: Float64Array;
  private clock = -0;

  constructor(
    sets: number,
    private readonly ways: number,
  ) {
    this.stamp = new Float64Array(sets * ways);
  }

  touch(_slot: number): void {}

  fill(slot: number, _signature: number): void {
    this.stamp[slot] = ++this.clock;
  }

  victim(set: number): number {
    const stamp = this.stamp;
    let oldest = set * this.ways;
    for (let slot = oldest + 1, end = oldest + this.ways; slot < end; slot++)
      if (stamp[slot] < stamp[oldest]) oldest = slot;
    return oldest;
  }

  invalidate(_slot: number): void {}
}
