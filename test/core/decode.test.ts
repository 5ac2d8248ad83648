import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import {
  BranchKind,
  CROSSES,
  decodeBlocks,
  KIND_MASK,
  KIND_SHIFT,
  LINES_MASK,
  LINES_SHIFT,
  LOAD,
  NO_TARGET,
  R,
  RECORD_SHIFT,
  REP,
  ROW_WORDS,
  SERIAL,
  STORE,
  UOPS_MASK,
  UOPS_SHIFT,
  UopClass,
} from "../../src/loader/decode/index.js";
import { Program } from "./support.js";

type Slots = Parameters<Program["block"]>[2];

/** Classes of the micro-ops of one instruction: A alu, M mul, D div, F float, L load, S store, X misc, R rep; ! serialising. */
function shape(bytes: string, slots: Slots = []): string {
  const p = new Program();
  p.block(0x1000, [bytes], slots);
  const { rows } = decodeBlocks(p.blockTable(), p.pageTable());
  let text = "";
  for (let row = 0; row < rows.length; row += ROW_WORDS) {
    const word = rows[row];
    const klass = word & 15;
    text += word & REP ? "R" : word & LOAD ? "L" : word & STORE ? "S" : "AMDFPmX"[klass];
    if (klass === UopClass.Mem && text.endsWith("m")) throw new Error("memory class without access");
    if (word & SERIAL) text += "!";
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
      "L!AS",
    ],
    ["push", "50", [[0, "store", 8]], "SA"],
    ["pop", "58", [[0, "load", 8]], "LA"],
    ["a direct call", "e8 00 00 00 00", [[0, "store", 8]], "ASAAA"],
    ["return", "c3", [[0, "load", 8]], "LAA"],
    ["a conditional branch", "75 00", [], "AA"],
    ["a jump", "eb 00", [], "AA"],
    ["a jump through memory", "ff 23", [[0, "load", 8]], "LA"],
    ["a jump through a register", "ff e0", [], "A"],
    ["multiply", "0f af c1", [], "M"],
    ["divide", "f7 f1", [], "DA"],
    ["a vector add", "f2 0f 58 c1", [], "F"],
    ["cpuid", "0f a2", [], "X!AA"],
    ["system call", "0f 05", [], "X!"],
    ["a repeated move", "f3 48 a5", [[0, "repMove", 8]], "R!"],
    ["no operation", "90", [], "X"],
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
