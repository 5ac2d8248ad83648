import * as rowBits from "../loader/decode/rows.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { LAST_PIECE, PIECE, PIECE_BYTES, PIECE_MASK, PIECE_SHIFT, SIZE_MASK, SIZE_SHIFT, SPLIT } = rowBits;
const LINE_BYTES = 64;
const PAGE_BYTES = 4096;

/**
 * What a load or store row accesses: bytes in one line, or in two. An access of several pieces takes one slot (two where it goes on
 * on a second page), which all its rows look at; each is an access of its own.
 */
export class AccessPlace {
  /** Addresses, page id << 12 | offset, of the first byte, and of the first byte in the second line. */
  first = 0;
  second = 0;
  /** Touches two lines; they lie on two pages. */
  two = false;
  pages = false;
  bytes = 0;
  /** Index of the next row's slot. */
  next = 0;

  /** @param word2 of the row. */
  find(addresses: Int32Array, at: number, word0: number, word2: number): void {
    const address = addresses[at];
    const split = (word0 & SPLIT) !== 0;
    this.bytes = (word0 >> SIZE_SHIFT) & SIZE_MASK;
    this.next = at + (split ? 2 : 1);
    this.first = address;
    this.pages = split;
    if ((word0 & PIECE) !== 0) {
      if ((word2 & LAST_PIECE) === 0) this.next = at;
      const offset = (address & (PAGE_BYTES - 1)) + ((word2 >>> PIECE_SHIFT) & PIECE_MASK) * PIECE_BYTES;
      this.pages = split && offset < PAGE_BYTES && offset + this.bytes > PAGE_BYTES;
      if (split && offset >= PAGE_BYTES)
        this.first = (addresses[at + 1] & -PAGE_BYTES) | (offset - PAGE_BYTES);
      else this.first = address + offset - (address & (PAGE_BYTES - 1));
    }
    this.two = this.pages || (this.first & (LINE_BYTES - 1)) + this.bytes > LINE_BYTES;
    if (this.pages) this.second = (word0 & PIECE) === 0 ? addresses[at + 1] : addresses[at + 1] & -PAGE_BYTES;
    else if (this.two) this.second = (this.first | (LINE_BYTES - 1)) + 1;
  }
}
