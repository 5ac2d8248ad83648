import { InputError } from "../../errors.js";
import { exponent, powerOfTwo } from "../../numbers.js";
import type { ReplacementPolicy } from "./contract.js";

/**
 * Tree pseudo-LRU: a binary tree of ways - 1 bits for each set. A use turns the bits on its way from the root away
 * from itself; the victim is where the bits lead. (Handy, _The Cache Memory Book_, 1993; gem5: TreePLRURP.)
 * Ways are a power of two.
 */
export class TreePlruPolicy implements ReplacementPolicy {
  /** Of node n (the root is 1, its children 2n and 2n + 1): 0 = the victim is to the left. */
  private readonly bits: Uint8Array;
  private readonly levels: number;

  constructor(
    sets: number,
    private readonly ways: number,
  ) {
    if (powerOfTwo(ways) !== ways) throw new InputError(`expected ways to be a power of two; got ${ways}`);
    this.levels = exponent(ways);
    this.bits = new Uint8Array(sets * ways);
  }

  touch(slot: number): void {
    this.point(slot, 1);
  }

  fill(slot: number, _signature: number): void {
    this.point(slot, 1);
  }

  victim(set: number): number {
    const base = set * this.ways;
    let node = 1;
    for (let level = 0; level < this.levels; level++) node = node * 2 + this.bits[base + node];
    return base + node - this.ways;
  }

  /** The freed way is the next victim. */
  invalidate(slot: number): void {
    this.point(slot, 0);
  }

  /** Turns the bits on the way to a slot: away from it (1) or towards it (0). */
  private point(slot: number, away: number): void {
    const base = slot - (slot % this.ways);
    let node = slot - base + this.ways;
    while (node > 1) {
      this.bits[base + (node >> 1)] = (node & 1) ^ away;
      node >>= 1;
    }
  }
}
