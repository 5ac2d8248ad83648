import { SlotKind } from "../../src/loader/contract.js";
import * as rows from "../../src/loader/decode/rows.js";

/** Micro-ops of an iteration of a repeated string instruction: of scas, stos, movs, cmps. */
export const REP_MICRO_OPS: Record<number, number> = {
  [SlotKind.RepLoad]: 5,
  [SlotKind.RepStore]: 4,
  [SlotKind.RepMove]: 6,
  [SlotKind.RepCompare]: 7,
};

/** One micro-op, its row taken apart. */
export interface MicroOp {
  unit: (typeof rows.CLASS_FIELD)[number];
  load: boolean;
  store: boolean;
  serial: boolean;
  rep: boolean;
  /** The access goes on in the next slot, on a second page. */
  split: boolean;
  bytes: number;
  /** One of several 8-byte pieces of an access: which, and whether it is the last. */
  piece?: { number: number; last: boolean };
  /** A branch of the microcode that is taken. */
  refetch: boolean;
  repKind: number;
  sources: number[];
  destinations: number[];
}

export interface Instruction {
  /** Of its first byte: page, and offset in it. */
  page: number;
  offset: number;
  bytes: number;
  /** Ends in a later line than the one before it. */
  crosses: boolean;
  microOps: MicroOp[];
}

export interface Block {
  id: number;
  instructions: Instruction[];
  /** Lines that it touches, each as page << 6 | line in page. */
  lines: number[];
  page2: number;
  kind: number;
  start: number;
  end: number;
  lastPc: number;
  target: number;
  microOps: number;
  kernel: boolean;
  loads: number;
  stores: number;
}

/** A block of the decode table as objects. */
export function blockOf(table: rows.DecodedTable, id: number): Block {
  const instructions: Instruction[] = [];
  let instruction: Instruction | undefined;
  for (let at = table.rowStart[id]; at < table.rowStart[id + 1]; at += rows.ROW_WORDS) {
    const [word0, word1, word2] = table.rows.subarray(at, at + rows.ROW_WORDS);
    instruction ??= {
      page: word0 & rows.PAGE2 ? table.page2[id] : table.page[id],
      offset: word0 >>> rows.OFFSET_SHIFT,
      bytes: table.instrLength[table.instrStart[id] + instructions.length],
      crosses: (word0 & rows.CROSSES) !== 0,
      microOps: [],
    };
    instruction.microOps.push({
      unit: rows.CLASS_FIELD[word0 & rows.CLASS_MASK],
      load: (word0 & rows.LOAD) !== 0,
      store: (word0 & rows.STORE) !== 0,
      serial: (word0 & rows.SERIAL) !== 0,
      rep: (word0 & rows.REP) !== 0,
      split: (word0 & rows.SPLIT) !== 0,
      bytes: (word0 >> rows.SIZE_SHIFT) & rows.SIZE_MASK,
      refetch: (word2 & rows.REFETCH) !== 0,
      piece:
        word0 & rows.PIECE
          ? { number: (word2 >> rows.PIECE_SHIFT) & rows.PIECE_MASK, last: (word2 & rows.LAST_PIECE) !== 0 }
          : undefined,
      repKind: (word2 >> 16) & 15,
      sources: [0, 8, 16, 24].map((shift) => (word1 >>> shift) & 255).filter((r) => r !== rows.NO_REG),
      destinations: [word2 & 255, (word2 >> 8) & 255],
    });
    if (word0 & rows.LAST) {
      instructions.push(instruction);
      instruction = undefined;
    }
  }
  const microOps = instructions.flatMap((i) => i.microOps);
  return {
    id,
    instructions,
    lines: Array.from({ length: table.lines[id] }, (_, i) => {
      const line = table.firstLine[id] + i;
      return line < 64 ? table.page[id] * 64 + line : table.page2[id] * 64 + line - 64;
    }),
    page2: table.page2[id],
    kind: table.branch[id],
    start: table.start[id],
    end: table.end[id],
    lastPc: table.lastPc[id],
    target: table.target[id],
    microOps: microOps.length,
    kernel: table.counts[id * rows.COUNT_WORDS + 1] > 0,
    loads: microOps.filter((u) => u.load).length,
    stores: microOps.filter((u) => u.store).length,
  };
}

/** What a load or store touches: lines, one or two, as addresses (page << 12 | offset). */
export interface Touched {
  lines: number[];
  /** The second line is on a page of its own. */
  twoPages: boolean;
}

/** Takes the slots of a load or store off `operands`; the pieces of a vector share them, and the last takes them off. */
export function touched({ piece, split, bytes }: MicroOp, operands: number[]): Touched {
  const slots = operands.slice(0, split ? 2 : 1);
  if (piece === undefined || piece.last) operands.splice(0, slots.length);
  if (piece === undefined) return split ? { lines: slots, twoPages: true } : inPage(slots[0], bytes);
  const from = (slots[0] & 4095) + 8 * piece.number;
  if (!split) return inPage(slots[0] - (slots[0] & 4095) + from, 8);
  const [page, nextPage] = slots.map((slot) => slot - (slot & 4095));
  if (from > 4095) return inPage(nextPage + from - 4096, 8);
  return from + 8 > 4096 ? { lines: [page + from, nextPage], twoPages: true } : inPage(page + from, 8);
}

function inPage(address: number, bytes: number): Touched {
  const more = (address & 63) + bytes > 64 ? [(address | 63) + 1] : [];
  return { lines: [address, ...more], twoPages: false };
}
