import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import {
  BranchKind,
  CLASS_MASK,
  CROSSES,
  decodeBlocks,
  KIND_MASK,
  KIND_SHIFT,
  LAST_PIECE,
  LINES_MASK,
  LINES_SHIFT,
  LOAD,
  NO_COST,
  NO_TARGET,
  PIECE,
  PIECE_MASK,
  PIECE_SHIFT,
  R,
  RECORD_SHIFT,
  REFETCH,
  REP,
  ROW_WORDS,
  SERIAL,
  STORE,
  UOPS_MASK,
  UOPS_SHIFT,
} from "../../src/loader/decode/index.js";
import { Program } from "./support.js";

type Slots = Parameters<Program["block"]>[2];

/**
 * Classes of the micro-ops of one instruction: A alu, M mul, D div, F float, L load, S store (with a
 * number: a piece of a wide access, . the last), N none (no unit, no commit slot), X misc, R rep; ! serialising, ^ the microcode
 * goes on elsewhere.
 */
function shape(bytes: string, slots: Slots = []): string {
  const p = new Program();
  p.block(0x1000, [bytes], slots);
  const { rows } = decodeBlocks(p.blockTable(), p.pageTable());
  let text = "";
  for (let row = 0; row < rows.length; row += ROW_WORDS) {
    const word = rows[row];
    const klass = word & CLASS_MASK;
    const noCost = (rows[row + 2] & NO_COST) !== 0;
    text += word & REP ? "R" : word & LOAD ? "L" : word & STORE ? "S" : noCost ? "N" : "AMDFP?X"[klass];
    if (word & PIECE) {
      const word2 = rows[row + 2];
      text += ((word2 >>> PIECE_SHIFT) & PIECE_MASK) + (word2 & LAST_PIECE ? "." : "");
    }
    if (word & SERIAL) text += "!";
    if (rows[row + 2] & REFETCH) text += "^";
  }
  return text;
}

describe("cracking", () => {
  const cases: [what: string, bytes: string, slots: Slots, expected: string][] = [
    ["a register move", "89 c8", [], "A"],
    ["a load", "8b 03", [[0, "load", 4]], "L"],
    ["a store", "89 03", [[0, "store", 4]], "S"],
    ["a store of an immediate", "c7 03 01 00 00 00", [[0, "store", 4]], "AS"],
    ["load and add", "03 03", [[0, "load", 4]], "LA"],
    ["compare with memory", "3b 03", [[0, "load", 4]], "LA"],
    [
      "add to memory",
      "01 03",
      [
        [0, "load", 4],
        [0, "store", 4],
      ],
      "LAS",
    ],
    [
      "a locked add to memory",
      "f0 01 03",
      [
        [0, "load", 4],
        [0, "store", 4],
      ],
      "N!LASN",
    ],
    ["an addition of an immediate", "83 c0 01", [], "AA"],
    ["a comparison with an immediate", "83 f8 01", [], "AA"],
    ["an increment", "ff c0", [], "A"],
    ["a complement", "f7 d0", [], "AA"],
    ["a load relative to the instruction pointer", "8b 05 00 01 00 00", [[0, "load", 4]], "AL"],
    ["an absolute load", "a1 00 00 00 00 00 00 00 00", [[0, "load", 4]], "AL"],
    ["a load from a scaled index and a displacement", "8b 04 85 00 10 00 00", [[0, "load", 4]], "L"],
    ["a widening load", "0f b6 03", [[0, "load", 1]], "LA"],
    ["a widening move", "0f b6 c1", [], "A"],
    ["push", "50", [[0, "store", 8]], "SA"],
    ["push of an immediate", "6a 01", [[0, "store", 8]], "ASA"],
    ["pop", "58", [[0, "load", 8]], "LAA"],
    ["leave", "c9", [[0, "load", 8]], "ALAA"],
    ["a direct call", "e8 00 00 00 00", [[0, "store", 8]], "AASAA"],
    [
      "a call through memory",
      "ff 13",
      [
        [0, "load", 8],
        [0, "store", 8],
      ],
      "ALSAA",
    ],
    ["return", "c3", [[0, "load", 8]], "LAA"],
    ["a conditional branch", "75 00", [], "AAA"],
    ["a jump", "eb 00", [], "AAA"],
    ["a jump through memory", "ff 23", [[0, "load", 8]], "LA"],
    ["a jump through a register", "ff e0", [], "A"],
    ["a conditional move", "0f 44 c1", [], "AA"],
    ["a conditional set", "0f 94 c0", [], "AA"],
    ["an exchange of registers", "48 87 c1", [], "AAA"],
    [
      "an exchange with memory",
      "87 03",
      [
        [0, "load", 4],
        [0, "store", 4],
      ],
      "N!LSNA",
    ],
    [
      "a locked compare and exchange",
      "f0 0f b1 0b",
      [
        [0, "load", 4],
        [0, "store", 4],
      ],
      "N!LAASNA",
    ],
    ["multiply", "0f af c1", [], "MAA"],
    ["multiply by an immediate", "6b c1 07", [], "AMAA"],
    ["divide 32 bits: two loops of four steps", "f7 f1", [], "DDDDDDDA^DDDDAAA"],
    ["divide 8 bits: one loop of two", "f6 f1", [], "DDDDDAAA"],
    ["a byte swap of 32 bits", "0f c8", [], "AAA"],
    ["a byte swap of 64 bits", "48 0f c8", [], "AAAAAAAAA"],
    ["a scalar addition", "f2 0f 58 c1", [], "F"],
    ["a packed addition", "66 0f fe c1", [], "FF"],
    ["a packed addition from memory", "66 0f fe 03", [[0, "load", 16]], "L0L1.FF"],
    ["a packed addition of 256 bits", "c5 f5 fe c2", [], "FFFF"],
    ["a vector copy", "66 0f 6f c1", [], "AA"],
    ["a vector load", "66 0f 6f 03", [[0, "load", 16]], "L0L1."],
    [
      "a vector load captured in halves",
      "66 0f 6f 03",
      [
        [0, "load", 8],
        [0, "load", 8],
      ],
      "LL",
    ],
    ["a vector store", "66 0f 7f 03", [[0, "store", 16]], "S0S1."],
    ["a shuffle", "66 0f 70 c1 1b", [], "FFA"],
    ["a vector shift by 8 bytes", "66 0f 73 d8 08", [], "AAA^FFFFN"],
    ["a vector shift by 9 bytes", "66 0f 73 d8 09", [], "AAAAAA^FFA^N"],
    ["cpuid", "0f a2", [], "X!AA"],
    ["system call", "0f 05", [], `X!${"A".repeat(23)}X!`],
    ["a repeated move", "f3 48 a5", [[0, "repMove", 8]], "R!"],
    [
      "a single string move",
      "a4",
      [
        [0, "load", 1],
        [0, "store", 1],
      ],
      "AAAALSAA",
    ],
    ["no operation", "90", [], "N"],
    ["no operation with an operand", "0f 1f 00", [], "N"],
    ["lea", "48 8d 04 0b", [], "A"],
  ];
  for (const [what, bytes, slots, expected] of cases) {
    it(`makes ${expected} of ${what}`, () => {
      expect(shape(bytes, slots)).toBe(expected);
    });
  }
});

describe("decoding a block", () => {
  it("finds the kind and the target of its last instruction", () => {
    const p = new Program();
    p.block(0x1000, ["90", "75 10"]);
    const d = decodeBlocks(p.blockTable(), p.pageTable());
    expect(d.branch[0]).toBe(BranchKind.Conditional);
    expect([d.start[0], d.lastPc[0], d.end[0], d.target[0]]).toEqual([0x1000, 0x1001, 0x1003, 0x1013]);
  });

  it("marks instructions that end in a later line, and counts lines", () => {
    const p = new Program();
    p.block(0x103c, ["90", "b8 01 00 00 00", "90"]);
    const d = decodeBlocks(p.blockTable(), p.pageTable());
    const ofRow = (read: (row: number) => number) => [0, 1, 2].map((i) => read(i * ROW_WORDS));
    expect(ofRow((row) => (d.rows[row] & CROSSES ? 1 : 0))).toEqual([0, 1, 0]);
    expect(ofRow((row) => (d.rows[row + 2] >>> UOPS_SHIFT) & UOPS_MASK)).toEqual([1, 1, 1]);
    expect(d.lines[0]).toBe(2);
  });

  it("says in a block's record what the arrays say", () => {
    const p = new Program();
    p.block(0x103c, ["90", "b8 01 00 00 00", "eb 02"]);
    p.block(0x1046, ["90", "8b 03"], [[1, "load", 4]]);
    p.block(0x1044, ["90", "90"]);
    const d = decodeBlocks(p.blockTable(), p.pageTable());
    const of = (block: number, word: number) => d.records[(block << RECORD_SHIFT) | word];
    for (let b = 0; b < 3; b++) {
      expect(of(b, R.Row)).toBe(d.rowStart[b]);
      expect(of(b, R.RowEnd)).toBe(d.rowStart[b + 1]);
      expect(of(b, R.Page)).toBe(d.page[b]);
      expect(of(b, R.FirstLine)).toBe((d.page[b] << 6) | d.firstLine[b]);
      expect(of(b, R.LastLine)).toBe(d.lastLine[b]);
      expect((of(b, R.Shape) >> LINES_SHIFT) & LINES_MASK).toBe(d.lines[b]);
      expect((of(b, R.Shape) >> KIND_SHIFT) & KIND_MASK).toBe(d.branch[b]);
      expect([of(b, R.LowStart), of(b, R.LowEnd), of(b, R.LowLast)]).toEqual([
        d.start[b],
        d.end[b],
        d.lastPc[b],
      ]);
    }
    // The jump goes to the second block; the third lies straight behind it. Equal addresses, equal numbers.
    expect(of(0, R.Target)).toBe(of(1, R.Start));
    expect(of(0, R.End)).toBe(of(2, R.Start));
    expect(of(2, R.End)).toBe(of(1, R.Start));
    expect(of(1, R.Target)).toBe(NO_TARGET);
    expect([of(1, R.Instructions), of(1, R.Loads), of(1, R.Stores)]).toEqual([2, 1, 0]);
  });

  it("decodes instructions of the same bytes once", () => {
    const p = new Program();
    p.block(0x1000, ["90", "90"]);
    p.block(0x2000, ["90", "01 c8"]);
    expect(decodeBlocks(p.blockTable(), p.pageTable()).distinct).toBe(2);
  });

  it("names block and address of bytes that are no instruction", () => {
    const p = new Program();
    p.block(0x1000, ["90"]);
    p.block(0x2000, ["90", "06"]);
    const decode = () => decodeBlocks(p.blockTable(), p.pageTable());
    expect(decode).toThrow(InputError);
    expect(decode).toThrow("block 1, instruction at 0x2001: the bytes 06 are not one x86-64 instruction");
  });
});
