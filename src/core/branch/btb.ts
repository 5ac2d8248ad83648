import { exponent, lowBits } from "../../numbers.js";
/** Branch addresses are indexed without their lowest bits (gem5: instShiftAmt). */
export const INST_SHIFT = 2;

/** Direct-mapped branch target buffer with partial tags (gem5 SimpleBTB). */
export class Btb {
  private readonly tags: Int32Array;
  private readonly targets: Int32Array;
  private readonly mask: number;
  private readonly tagShift: number;
  private readonly tagMask: number;

  constructor(entries: number, tagBits: number) {
    this.tags = new Int32Array(entries).fill(-1);
    this.targets = new Int32Array(entries);
    this.mask = entries - 1;
    this.tagShift = INST_SHIFT + exponent(entries);
    this.tagMask = lowBits(tagBits);
  }

  /** @returns the target held for this branch, or -1. */
  lookup(pc: number): number {
    const i = (pc >>> INST_SHIFT) & this.mask;
    return this.tags[i] === ((pc >>> this.tagShift) & this.tagMask) ? this.targets[i] : -1;
  }

  update(pc: number, target: number): void {
    const i = (pc >>> INST_SHIFT) & this.mask;
    this.tags[i] = (pc >>> this.tagShift) & this.tagMask;
    this.targets[i] = target;
  }

  flush(): void {
    this.tags.fill(-1);
    this.targets.fill(0);
  }
}
