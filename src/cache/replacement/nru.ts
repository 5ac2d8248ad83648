import type { ReplacementPolicy } from "./contract.js";

/**
 * Not recently used: one bit a line, cleared by a use. The lowest way whose bit is set goes; where none is, all
 * are set first. (As described by Jaleel et al., _High Performance Cache Replacement Using Re-Reference Interval
 * Prediction_, ISCA 2010, section 3.)
 */
export class NruPolicy implements ReplacementPolicy {
  private readonly distant: Uint8Array;

  constructor(
    sets: number,
    private readonly ways: number,
  ) {
    this.distant = new Uint8Array(sets * ways).fill(1);
  }

  touch(slot: number): void {
    this.distant[slot] = 0;
  }

  fill(slot: number, _signature: number): void {
    this.distant[slot] = 0;
  }

  victim(set: number): number {
    const base = set * this.ways;
    const end = base + this.ways;
    for (let slot = base; slot < end; slot++) if (this.distant[slot] !== 0) return slot;
    this.distant.fill(1, base, end);
    return base;
  }

  invalidate(slot: number): void {
    this.distant[slot] = 1;
  }
}
