/**
 * Miss status holding registers: each is held from a miss until its line is ready. Which lines they hold
 * is found in the tag array, where a missing line is installed at once. So all there is to know of a register is when it
 * is free, and they are kept in that order: few are held at a time.
 */
export class MshrFile {
  /** Cycles from which the registers are free, ascending. */
  private readonly freeAt: Float64Array;

  constructor(readonly size: number) {
    this.freeAt = new Float64Array(size);
  }

  /**
   * A register that is free at `now`, or -1. Of several, the one that became free last: requests come a
   * little out of order, and one before it may have use for the others. Its number holds until the next `hold`.
   */
  find(now: number): number {
    const freeAt = this.freeAt;
    let i = freeAt.length - 1;
    while (i >= 0 && freeAt[i] > now) i--;
    return i;
  }

  /** When the first register becomes free, or did. */
  get earliest(): number {
    return this.freeAt[0];
  }

  /** Holds the register that `find` gave until a cycle after that. */
  hold(i: number, until: number): void {
    const freeAt = this.freeAt;
    for (; i + 1 < freeAt.length && freeAt[i + 1] < until; i++) freeAt[i] = freeAt[i + 1];
    freeAt[i] = until;
  }

  /** Registers free at `now`. */
  free(now: number): number {
    return this.find(now) + 1;
  }

  /** The first release after `now`. */
  nextRelease(now: number): number {
    const next = this.find(now) + 1;
    return next < this.freeAt.length ? this.freeAt[next] : Infinity;
  }

  clear(): void {
    this.freeAt.fill(0);
  }
}

/**
 * Lines on their way out of a cache. The buffer drains in order, so the oldest entry is the first to
 * become free.
 */
export class WriteBuffer {
  /** Ring: cycle from which each entry is free, non-decreasing from `oldest` on. */
  private readonly freeAt: Float64Array;
  private oldest = 0;
  private last = -0;

  constructor(readonly size: number) {
    this.freeAt = new Float64Array(size);
  }

  /** First cycle at which an entry is free. */
  get availableAt(): number {
    return this.freeAt[this.oldest];
  }

  /** Takes the oldest entry until the line has left at `until`, or later when lines before it leave later. */
  take(until: number): void {
    if (until < this.last) until = this.last;
    this.last = until;
    this.freeAt[this.oldest] = until;
    if (++this.oldest === this.size) this.oldest = 0;
  }

  clear(): void {
    this.freeAt.fill(0);
    this.oldest = 0;
    this.last = 0;
  }
}
