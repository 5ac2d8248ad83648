import type { ReplacementPolicy } from "./contract.js";

/** Re-reference prediction values of two bits. */
export const NEAR = 0;
export const LONG = 2;
export const DISTANT = 3;
/** BRRIP predicts a long interval, not a distant one, for one fill of so many. */
const BIMODAL_PERIOD = 32;
/** Sets that each of DRRIP's two policies has for itself, and the selector's largest value. */
const LEADERS = 32;
const SELECTOR_MAX = 1023;

/**
 * What the RRIP policies share (Jaleel et al., _High Performance Cache Replacement Using Re-Reference Interval
 * Prediction_, ISCA 2010): each line has a predicted re-reference interval; a hit makes it near (hit priority);
 * the lowest way with a distant one goes, after all of the set have aged until there is one.
 */
export abstract class RripPolicy implements ReplacementPolicy {
  protected readonly interval: Uint8Array;

  constructor(
    sets: number,
    protected readonly ways: number,
  ) {
    this.interval = new Uint8Array(sets * ways).fill(DISTANT);
  }

  touch(slot: number): void {
    this.interval[slot] = NEAR;
  }

  abstract fill(slot: number, signature: number): void;

  victim(set: number): number {
    const { interval } = this;
    const base = set * this.ways;
    const end = base + this.ways;
    let victim = base;
    for (let slot = base + 1; slot < end; slot++) if (interval[slot] > interval[victim]) victim = slot;
    const age = DISTANT - interval[victim];
    if (age > 0) for (let slot = base; slot < end; slot++) interval[slot] += age;
    return victim;
  }

  invalidate(slot: number): void {
    this.interval[slot] = DISTANT;
  }
}

/** Static RRIP, hit priority, two bits: a new line is predicted a long interval. ISCA 2010, section 4.1. */
export class SrripPolicy extends RripPolicy {
  fill(slot: number, _signature: number): void {
    this.interval[slot] = LONG;
  }
}

/** Bimodal RRIP: a new line is predicted a distant interval, every 32nd a long one. ISCA 2010, section 4.2. */
export class BrripPolicy extends RripPolicy {
  private fills = 0;

  fill(slot: number, _signature: number): void {
    this.interval[slot] = this.bimodal();
  }

  private bimodal(): number {
    this.fills = (this.fills + 1) % BIMODAL_PERIOD;
    return this.fills === 0 ? LONG : DISTANT;
  }
}

/**
 * Dynamic RRIP: set duelling chooses between SRRIP and BRRIP. 32 sets (a quarter, where there are fewer than 128)
 * always use the one, as many the other; a ten-bit selector counts the misses of each; the rest follow the one
 * that misses less. ISCA 2010, section 4.3.
 */
export class DrripPolicy extends RripPolicy {
  private selector = (SELECTOR_MAX + 1) / 2;
  private fills = 0;
  /** Distance between leaders of one policy. */
  private readonly stride: number;

  constructor(sets: number, ways: number) {
    super(sets, ways);
    this.stride = sets >= 4 * LEADERS ? sets / LEADERS : 4;
  }

  fill(slot: number, _signature: number): void {
    const place = ((slot / this.ways) | 0) % this.stride;
    let bimodal: boolean;
    if (place === 0) {
      if (this.selector < SELECTOR_MAX) this.selector++;
      bimodal = false;
    } else if (place === this.stride >> 1) {
      if (this.selector > 0) this.selector--;
      bimodal = true;
    } else bimodal = this.selector > SELECTOR_MAX >> 1;
    if (!bimodal) {
      this.interval[slot] = LONG;
      return;
    }
    this.fills = (this.fills + 1) % BIMODAL_PERIOD;
    this.interval[slot] = this.fills === 0 ? LONG : DISTANT;
  }
}
