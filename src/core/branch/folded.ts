import { powerOfTwo } from "../../numbers.js";
/** The last outcomes of all branches, newest first: a ring. */
export class GlobalHistory {
  private readonly bits: Uint8Array;
  private readonly mask: number;
  private head = 0;

  /** @param length outcomes that can be asked for */
  constructor(length: number) {
    const size = powerOfTwo(length + 2);
    this.bits = new Uint8Array(size);
    this.mask = size - 1;
  }

  push(taken: boolean): void {
    this.head = (this.head - 1) & this.mask;
    this.bits[this.head] = taken ? 1 : 0;
  }

  /** The outcome `age` branches ago; 0 is the latest. */
  at(age: number): number {
    return this.bits[(this.head + age) & this.mask];
  }

  clear(): void {
    this.bits.fill(0);
    this.head = 0;
  }
}

/**
 * The last `length` outcomes folded by exclusive or into `width` bits, brought up to date with each branch
 * (Michaud, _A PPM-like, Tag-based Branch Predictor_, JILP 2005; gem5: FoldedHistory).
 */
export class FoldedHistory {
  value = 0;
  private readonly out: number;
  private readonly mask: number;

  constructor(
    private readonly length: number,
    private readonly width: number,
  ) {
    this.out = length % width;
    this.mask = (1 << width) - 1;
  }

  /** After the history took in an outcome. */
  update(history: GlobalHistory): void {
    let folded = (this.value << 1) | history.at(0);
    folded ^= history.at(this.length) << this.out;
    folded ^= folded >> this.width;
    this.value = folded & this.mask;
  }

  clear(): void {
    this.value = 0;
  }
}
