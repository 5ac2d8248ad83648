/**
 * The lines that were put into the prefetch queue and whose fate is not known yet: physical line →
 * generation (number of the invocation that asked for it). Open addressing, linear probing, deletion by
 * shifting back, so that there are no tombstones; grows by doubling at half full.
 */
export class PendingLines {
  private lines = new Int32Array(128);
  /** 0: the slot is free. */
  private generations = new Int32Array(128);
  private mask = 127;
  private shift = 32 - 7;
  size = 0;

  /** @returns the line's generation, or 0 when it is not here. */
  get(line: number): number {
    const { lines, generations, mask } = this;
    for (let at = this.home(line); ; at = (at + 1) & mask) {
      const generation = generations[at];
      if (generation === 0 || lines[at] === line) return generation;
    }
  }

  /** @param generation above 0. */
  set(line: number, generation: number): void {
    if (2 * (this.size + 1) > this.lines.length) this.grow();
    const { lines, generations, mask } = this;
    let at = this.home(line);
    while (generations[at] !== 0) {
      if (lines[at] === line) {
        generations[at] = generation;
        return;
      }
      at = (at + 1) & mask;
    }
    lines[at] = line;
    generations[at] = generation;
    this.size++;
  }

  /** @returns the generation it had, or 0 when it was not here. */
  delete(line: number): number {
    const { lines, generations, mask } = this;
    for (let at = this.home(line); generations[at] !== 0; at = (at + 1) & mask) {
      if (lines[at] !== line) continue;
      const generation = generations[at];
      this.remove(at);
      return generation;
    }
    return 0;
  }

  /**
   * Removes the lines that `target.probe` does not find. @returns how many of `generation`; `swept` is
   * how many of all.
   */
  sweep(target: { probe(line: number): boolean }, generation: number): number {
    let swept = 0;
    let current = 0;
    let at = 0;
    while (at < this.lines.length) {
      if (this.generations[at] === 0 || target.probe(this.lines[at])) {
        at++;
        continue;
      }
      swept++;
      if (this.generations[at] === generation) current++;
      this.remove(at); // another line may have moved here: look at this slot again
    }
    this.swept = swept;
    return current;
  }

  /** Lines that the last sweep removed. */
  swept = 0;

  private home(line: number): number {
    return Math.imul(line, 0x9e3779b1) >>> this.shift;
  }

  private remove(hole: number): void {
    const { lines, generations, mask } = this;
    let free = hole;
    for (let at = (hole + 1) & mask; generations[at] !== 0; at = (at + 1) & mask) {
      // Moves back unless its home lies cyclically after the hole.
      if (((at - this.home(lines[at])) & mask) >= ((at - free) & mask)) {
        lines[free] = lines[at];
        generations[free] = generations[at];
        free = at;
      }
    }
    generations[free] = 0;
    this.size--;
  }

  private grow(): void {
    const { lines, generations } = this;
    this.lines = new Int32Array(lines.length * 2);
    this.generations = new Int32Array(lines.length * 2);
    this.mask = this.lines.length - 1;
    this.shift--;
    this.size = 0;
    for (let i = 0; i < lines.length; i++) if (generations[i] !== 0) this.set(lines[i], generations[i]);
  }
}
