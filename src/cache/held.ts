import { TypedFastBitSet } from "typedfastbitset";

/** More than any L1I has in flight. */
const IN_FLIGHT = 64;

/**
 * The lines of an infinite cache: every line it ever held, but for those that were written since. Knows
 * for a while when the latest ones arrive.
 */
export class HeldLines {
  private readonly lines = new TypedFastBitSet();
  /** Ring of the latest fills. */
  private readonly line = new Int32Array(IN_FLIGHT).fill(-1);
  private readonly readyAt = new Float64Array(IN_FLIGHT);
  private next = 0;
  /** No line arrives later. */
  private quietAt = 0;

  has(line: number): boolean {
    return this.lines.has(line);
  }

  get size(): number {
    return this.lines.size();
  }

  add(line: number, ready: number): void {
    this.lines.add(line);
    this.line[this.next] = line;
    this.readyAt[this.next] = ready;
    if (++this.next === IN_FLIGHT) this.next = 0;
    if (ready > this.quietAt) this.quietAt = ready;
  }

  remove(line: number): void {
    this.lines.remove(line);
  }

  /** Cycle at which a held line is there; 0 when that is long past. */
  arrival(line: number, now: number): number {
    if (now >= this.quietAt) return 0;
    // The latest fill counts: the line may have been taken away and fetched anew.
    for (let i = 0, at = this.next; i < IN_FLIGHT; i++) {
      at = at === 0 ? IN_FLIGHT - 1 : at - 1;
      if (this.line[at] === line) return this.readyAt[at];
    }
    return 0;
  }

  /** All that was on its way has arrived. */
  settle(): void {
    this.quietAt = 0;
    this.line.fill(-1);
  }
}
