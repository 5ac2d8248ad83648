/** Intervals kept; the older half is forgotten when they run out. */
const CAPACITY = 512;

/**
 * A resource that serves one request at a time: a bus channel, a data bus. A request is granted the
 * earliest gap that is long enough, so a reply that is known to come late does not stand in the way of
 * one that comes early, in whatever order the two were charged. Times and lengths are integers in the
 * owner's unit.
 *
 * Busy intervals are sorted and disjoint; those that touch are one. Looking backwards from the newest, a
 * request passes only the intervals after its own time, so the cost is a few steps.
 */
export class Reservations {
  private readonly start = new Float64Array(CAPACITY);
  private readonly end = new Float64Array(CAPACITY);
  private count = 0;
  /** All time before is taken for busy: what was there is forgotten. */
  private forgotten = -0;

  /** Reserves `length` at the earliest time from `at` on. @returns the start. */
  reserve(at: number, length: number): number {
    const start = this.start;
    const end = this.end;
    const n = this.count;
    if (n === 0 || at > end[n - 1]) {
      if (at < this.forgotten) at = this.forgotten;
      if (n === CAPACITY) this.forget();
      const i = this.count++;
      start[i] = at;
      end[i] = at + length;
      return at;
    }
    if (at < this.forgotten) at = this.forgotten;
    // The last interval that begins at or before `at`.
    let i = n - 1;
    while (i >= 0 && start[i] > at) i--;
    let t = i >= 0 && end[i] > at ? end[i] : at;
    // The first gap after it that is long enough.
    let next = i + 1;
    while (next < n && start[next] - t < length) {
      t = end[next];
      next++;
    }
    const joinsBefore = next > 0 && end[next - 1] === t;
    const joinsAfter = next < n && start[next] === t + length;
    if (joinsBefore && joinsAfter) {
      end[next - 1] = end[next];
      // Few come after: a loop is faster than the engine's own copy.
      for (let k = next + 1; k < n; k++) {
        start[k - 1] = start[k];
        end[k - 1] = end[k];
      }
      this.count = n - 1;
    } else if (joinsBefore) {
      end[next - 1] = t + length;
    } else if (joinsAfter) {
      start[next] = t;
    } else if (n === CAPACITY) {
      this.forget();
      return this.reserve(t, length);
    } else {
      for (let k = n; k > next; k--) {
        start[k] = start[k - 1];
        end[k] = end[k - 1];
      }
      start[next] = t;
      end[next] = t + length;
      this.count = n + 1;
    }
    return t;
  }

  /** All free again. */
  clear(): void {
    this.count = 0;
    this.forgotten = -0;
  }

  /** Moves the origin of time: every time kept becomes `by` smaller. */
  rebase(by: number): void {
    for (let i = 0; i < this.count; i++) {
      this.start[i] -= by;
      this.end[i] -= by;
    }
    this.forgotten -= by;
  }

  private forget(): void {
    const half = CAPACITY >> 1;
    this.forgotten = this.end[half - 1];
    this.start.copyWithin(0, half, this.count);
    this.end.copyWithin(0, half, this.count);
    this.count -= half;
  }
}
