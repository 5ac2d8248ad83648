/**
 * What the static decoder makes of a trace's blocks: one row of three int32 words for each micro-op, in
 * block order (which is the order of first execution), and one entry for each instruction.
 *
 * Word 0 of a row:
 * ```
 *  bits  0-2   class (UopClass)
 *        3     PIECE: one of several 8-byte pieces of the access of a load or store slot, see word 2
 *        4     LOAD: takes the instruction's next slot, a load
 *        5     STORE: takes the instruction's next slot, a store
 *        6     LAST: last micro-op of its instruction
 *        7     SERIAL: issues when all before is done, nothing after it issues before it is done
 *        8     REP: a repeated string instruction; the whole instruction is this one row
 *        9     SPLIT: the access goes on in the next slot, on a second page
 *       10     PAGE2: the instruction begins on the block's second page
 *       11     CROSSES: first micro-op of an instruction that ends in a later line than the one before it
 *              ended in (for a block's first instruction: than it begins in)
 *       12-19  bytes of the access (for REP: of one element)
 *       20-31  offset of the instruction in its page (read with >>> 20)
 * ```
 * Word 1: up to four source registers, one a byte, `NO_REG` for none.
 * Word 2: bits 0-7 and 8-15 destination registers; bits 16-19 SlotKind of a REP row, of a PIECE bits 16-18 its number and
 * bit 19 LAST_PIECE: what follows takes the next slot; bit 20 NO_COST: needs
 * no functional unit and no commit slot (gem5's No_OpClass); bit 21 REFETCH: a branch of the microcode that
 * is taken: what follows in the same instruction is fetched anew once it has committed; bits 22-31 micro-ops of
 * the instruction, in its first.
 */
export const ROW_WORDS = 3;

export const UopClass = {
  IntAlu: 0,
  IntMul: 1,
  IntDiv: 2,
  FloatSimd: 3,
  Predicate: 4,
  Mem: 5,
  Misc: 6,
} as const;
export type UopClass = (typeof UopClass)[keyof typeof UopClass];
export const UOP_CLASSES = 7;
/** Field of `pipeline.fu` for each class. */
export const CLASS_FIELD = ["intAlu", "intMul", "intDiv", "floatSimd", "predicate", "mem", "misc"] as const;

export const CLASS_MASK = 7;
export const PIECE = 1 << 3;
export const LOAD = 1 << 4;
export const STORE = 1 << 5;
export const LAST = 1 << 6;
export const SERIAL = 1 << 7;
export const REP = 1 << 8;
export const SPLIT = 1 << 9;
export const PAGE2 = 1 << 10;
export const CROSSES = 1 << 11;
export const SIZE_SHIFT = 12;
export const SIZE_MASK = 0xff;
export const OFFSET_SHIFT = 20;
/** Bits of word 2. */
/** A vector is accessed so many bytes at a time. */
export const PIECE_BYTES = 8;
export const PIECE_SHIFT = 16;
export const PIECE_MASK = 7;
export const LAST_PIECE = 1 << 19;
export const NO_COST = 1 << 20;
export const REFETCH = 1 << 21;

/**
 * Registers of the scoreboard: 0-15 general, 16 flags, 17 x87/MMX stack (one), 18 mask registers (one),
 * 19 segment, control and debug registers (one), 20-51 lower and upper half of 16 vector registers (the
 * upper sixteen of AVX-512 share them), 52-60 temporaries inside an instruction. `NO_REG` is never waited for; `SINK` takes results that nobody reads.
 */
export const REG_FLAGS = 16;
export const REG_X87 = 17;
export const REG_MASK = 18;
export const REG_SYSTEM = 19;
export const REG_VECTOR = 20;
export const REG_TEMP = 52;
export const SINK = 62;
export const NO_REG = 63;
export const REGS = 64;

/** How a block's last instruction leaves it. */
export const BranchKind = {
  None: 0,
  Conditional: 1,
  DirectJump: 2,
  DirectCall: 3,
  IndirectJump: 4,
  IndirectCall: 5,
  Return: 6,
  /** syscall, sysret, iret, int, far transfers: serialising, never predicted. */
  System: 7,
} as const;
export type BranchKind = (typeof BranchKind)[keyof typeof BranchKind];
export const BRANCH_KINDS = 8;

export const UOPS_SHIFT = 22;
export const UOPS_MASK = 1023;

/** Words a block of `low`: address of the first byte, of the byte after the last, of the last instruction. */
export const LOW_WORDS = 3;
/** Words a block of `counts`. */
export const COUNT_WORDS = 4;

/** All static instructions, decoded. Arrays are borrowed: do not write. */
export interface DecodedTable {
  /** `ROW_WORDS` words a micro-op. */
  readonly rows: Int32Array;
  /** First word of block b: rowStart[b]; one past its last: rowStart[b + 1]. */
  readonly rowStart: Int32Array;
  /** By static instruction: bytes. */
  readonly instrLength: Uint8Array;
  /** By block: first instruction, and one past the last at [b + 1] (the trace's own array). */
  readonly instrStart: Int32Array;
  /** By block: kind of its last instruction. */
  readonly branch: Uint8Array;
  /** By block: virtual address of its first byte (48 bits), of the byte after its last, of its last instruction. */
  readonly start: Float64Array;
  readonly end: Float64Array;
  readonly lastPc: Float64Array;
  /** The same three, `LOW_WORDS` a block: their low 31 bits. */
  readonly low: Int32Array;
  /** By block: target of its last instruction where that is direct, else -1. */
  readonly target: Float64Array;
  /** By block: page of the first byte, second page or -1; line (0-63) of its first byte in the page; lines it touches. */
  readonly page: Int32Array;
  readonly page2: Int32Array;
  readonly firstLine: Uint8Array;
  readonly lines: Uint8Array;
  /** By block: its last byte's page and line as pageId << 6 | line. */
  readonly lastLine: Int32Array;
  /** By block: micro-ops. */
  readonly uops: Int32Array;
  /** By block, `COUNT_WORDS` words: instructions, kernel instructions, loads, stores (rep apart). */
  readonly counts: Int32Array;
  /** By block: see records.ts. */
  readonly records: Int32Array;
  /** Distinct instructions that were really decoded. */
  readonly distinct: number;
}
