import type { DramMemorySpec } from "../../machine/spec.js";
import { exponent } from "../../numbers.js";

/** Where a line lies. Sizes are powers of two. */
export class AddressMap {
  private readonly channelBits: number;
  private readonly bankBits: number;
  private readonly rankBits: number;
  private readonly columnBits: number;

  constructor(
    private readonly mapping: DramMemorySpec["addressMapping"],
    channels: number,
    ranks: number,
    banks: number,
    linesPerRow: number,
  ) {
    this.channelBits = exponent(channels);
    this.bankBits = exponent(banks);
    this.rankBits = exponent(ranks);
    this.columnBits = exponent(linesPerRow);
  }

  channelOf(line: number): number {
    const shift = this.mapping === "RoRaBaChCo" ? this.columnBits : 0;
    return (line >>> shift) & ((1 << this.channelBits) - 1);
  }

  /** Bank among all of the channel: rank * banks + bank. */
  bankOf(line: number): number {
    const above = this.mapping === "RoCoRaBaCh" ? 0 : this.columnBits;
    return (line >>> (this.channelBits + above)) & ((1 << (this.bankBits + this.rankBits)) - 1);
  }

  rowOf(line: number): number {
    return line >>> (this.channelBits + this.columnBits + this.bankBits + this.rankBits);
  }
}
