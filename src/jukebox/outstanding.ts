import type { PrefetcherHost } from "../cache/contract.js";
import { C } from "./counters.js";
import { PendingLines } from "./pending.js";

/**
 * Which of the lines that went into the prefetch queue have met their fate. Pacing counts the lines of
 * this invocation that have not (`count`); a line whose fate nobody reports must not stand for ever.
 *
 * A pending line is queued, in an MSHR, or present and unused. It ends by exactly one of: a first use,
 * an unused eviction, a demand of this core that finds it elsewhere (Miss or Merge: its queued prefetch
 * was squashed; Hit: somebody else brought or used it), `retired`, or a sweep that finds it absent.
 */
export class Outstanding {
  /** Lines of the present invocation without a fate. */
  count = 0;
  private generation = 1;
  private readonly pending = new PendingLines();

  constructor(
    private readonly host: PrefetcherHost,
    private readonly counters: Float64Array,
  ) {}

  /** Lines of all invocations without a fate. */
  get size(): number {
    return this.pending.size;
  }

  /** What earlier invocations left no longer counts for pacing, only for the statistics. */
  nextGeneration(): void {
    this.generation++;
    this.count = 0;
  }

  /** A line went into the queue (or was there). @returns false when it was pending from this invocation already. */
  add(line: number): boolean {
    const before = this.pending.get(line);
    if (before === this.generation) return false;
    // Left from an earlier invocation, and not present: that prefetch is gone, this one takes its place.
    if (before !== 0) this.counters[C.pfLost]++;
    this.pending.set(line, this.generation);
    this.count++;
    return true;
  }

  /** Ends a line with a fate's counter. @returns false when it was not pending. */
  end(line: number, fate: number): boolean {
    const generation = this.pending.delete(line);
    if (generation === 0) return false;
    if (generation === this.generation) this.count--;
    this.counters[fate]++;
    return true;
  }

  /** Ends the lines that are neither present nor in an MSHR. For times at which none can be queued. */
  sweep(): void {
    this.count -= this.pending.sweep(this.host.target, this.generation);
    this.counters[C.pfLost] += this.pending.swept;
  }
}
