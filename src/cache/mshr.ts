/**
 * Miss status holding registers: each is held from a miss until its line is ready. Which lines they hold
 * is found in the tag array, where a missing line is installed at once.
 */
export class MshrFile {
  /** Cycle from which register i is free. */
  private readonly freeAt: Float64Array;
  /** After `find` returned -1: when the first register becomes free. */
  earliest = -0;

  constructor(readonly size: number) {
    this.freeAt = new Float64Array(size);
  }

  /**
   * A register that is free at `now`, or -1. Of several, the one that became free last: requests come a
   * little out of order, and one before it may have use for the others.
   */
  find(now: number): number {
    const freeAt = this.freeAt;
    let found = -1;
    let latest = -1;
    let earliest = Infinity;
    for (let i = 0; i < freeAt.length; i++) {
      const free = freeAt[i];
      if (free > now) {
        if (free < earliest) earliest = free;
      } else if (free > latest) {
        latest = free;
        found = i;
      }
    }
    if (found < 0) this.earliest = earliest;
    return found;
  }

  hold(i: number, until: number): void {
    this.freeAt[i] = until;
  }

  /** Registers free at `now`. */
  free(now: number): number {
    const freeAt = this.freeAt;
    let free = 0;
    for (let i = 0; i < freeAt.length; i++) if (freeAt[i] <= now) free++;
    return free;
  }

  /** The first release after `now`. */
  nextRelease(now: number): number {
    const freeAt = this.freeAt;
    let next = Infinity;
    for (let i = 0; i < freeAt.length; i++) if (freeAt[i] > now && freeAt[i] < next) next = freeAt[i];
    return next;
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
