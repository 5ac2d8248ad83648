/**
 * Which line of a set goes. One policy object per cache. Called by the cache only: `fill` when a line is
 * put into a slot, `touch` at each later hit, `invalidate` when a slot becomes free otherwise than by a
 * fill, `victim` when a fill finds no free way; its `fill` follows, of the slot that was named. A slot is
 * `set * ways + way`.
 */
export interface ReplacementPolicy {
  touch(slot: number): void;
  /**
   * @param signature who brings the line: address of the instruction, page id << 12 | offset (a fetched line's own
   * address for instructions); 0 when nobody known (prefetches, write-backs, walks).
   */
  fill(slot: number, signature: number): void;
  /** @returns the slot of the set whose line goes. Every way of the set holds a line. */
  victim(set: number): number;
  invalidate(slot: number): void;
}

/** The cache that a policy is made for. */
export interface ReplacementShape {
  /** A power of two. */
  readonly sets: number;
  readonly ways: number;
  /** Different for each cache of a machine. */
  readonly seed: number;
}

/** Makes the policy of one cache. Throws InputError with what it expects where the shape does not suit it. */
export type ReplacementFactory = (shape: ReplacementShape) => ReplacementPolicy;
