import { Decoder, DecoderOptions, Instruction, InstructionInfoFactory } from "iced-x86";
import { InputError } from "../../errors.js";
import { type BlockTable, type PageTable, SlotFlag, SlotKind } from "../contract.js";
import { type Cracked, crack } from "./crack.js";
import { blockRecords } from "./records.js";
import {
  BranchKind,
  COUNT_WORDS,
  CROSSES,
  type DecodedTable,
  LOAD,
  LOW_WORDS,
  OFFSET_SHIFT,
  PAGE2,
  PIECE,
  PIECE_BYTES,
  PIECE_MASK,
  PIECE_SHIFT,
  REP,
  ROW_WORDS,
  SIZE_SHIFT,
  SPLIT,
  STORE,
  UOPS_MASK,
  UOPS_SHIFT,
} from "./rows.js";

/** An instruction of more micro-ops than this is not an x86 instruction. */
const MAX_UOPS = UOPS_MASK;

/** Decodes every static instruction of a trace once. Throws InputError at bytes that are no instruction. */
export function decodeBlocks(blocks: BlockTable, pages: PageTable): DecodedTable {
  return new TableBuilder(blocks, pages).build();
}

/** Virtual address of a block's first byte, 48 bits. */
function addressOf(blocks: BlockTable, pages: PageTable, block: number): number {
  return pages.vpn[blocks.page[block]] * 4096 + blocks.offset[block];
}

/** Growing int32 buffer. */
class Words {
  data = new Int32Array(1 << 14);
  length = 0;
  reserve(count: number): void {
    if (this.length + count <= this.data.length) return;
    const larger = new Int32Array(Math.max(this.data.length * 2, this.length + count));
    larger.set(this.data.subarray(0, this.length));
    this.data = larger;
  }
}

/** An instruction that has been decoded: its bytes are `length` from `start` on, its slots in one number. */
interface Known {
  cracked: Cracked;
  start: number;
  length: number;
  slots: number;
  /** Another one with the same hash. */
  next: Known | undefined;
}

const same = (bytes: Uint8Array, a: number, b: number, length: number): boolean => {
  for (let k = 0; k < length; k++) if (bytes[a + k] !== bytes[b + k]) return false;
  return true;
};

class TableBuilder {
  private readonly rows = new Words();
  /** By hash of bytes and slots. */
  private readonly known = new Map<number, Known>();
  private distinct = 0;
  private readonly factory = new InstructionInfoFactory();
  private readonly instruction = new Instruction();
  private readonly rowStart: Int32Array;
  private readonly instrLength: Uint8Array;
  private readonly branch: Uint8Array;
  private readonly start: Float64Array;
  private readonly end: Float64Array;
  private readonly lastPc: Float64Array;
  private readonly low: Int32Array;
  private readonly target: Float64Array;
  private readonly firstLine: Uint8Array;
  private readonly lines: Uint8Array;
  private readonly lastLine: Int32Array;
  private readonly uops: Int32Array;
  private readonly counts: Int32Array;

  constructor(
    private readonly blocks: BlockTable,
    private readonly pages: PageTable,
  ) {
    const count = blocks.count;
    const instructions = blocks.instrStart[count];
    this.rowStart = new Int32Array(count + 1);
    this.instrLength = new Uint8Array(instructions);
    this.branch = new Uint8Array(count);
    this.start = new Float64Array(count);
    this.end = new Float64Array(count);
    this.lastPc = new Float64Array(count);
    this.low = new Int32Array(count * LOW_WORDS);
    this.target = new Float64Array(count).fill(-1);
    this.firstLine = new Uint8Array(count);
    this.lines = new Uint8Array(count);
    this.lastLine = new Int32Array(count);
    this.uops = new Int32Array(count);
    this.counts = new Int32Array(count * COUNT_WORDS);
  }

  build(): DecodedTable {
    try {
      for (let block = 0; block < this.blocks.count; block++) this.block(block);
    } finally {
      this.instruction.free();
      this.factory.free();
    }
    this.rowStart[this.blocks.count] = this.rows.length;
    const table = {
      rows: this.rows.data.slice(0, this.rows.length),
      rowStart: this.rowStart,
      instrLength: this.instrLength,
      instrStart: this.blocks.instrStart,
      branch: this.branch,
      start: this.start,
      end: this.end,
      lastPc: this.lastPc,
      low: this.low,
      target: this.target,
      page: this.blocks.page,
      page2: this.blocks.page2,
      firstLine: this.firstLine,
      lines: this.lines,
      lastLine: this.lastLine,
      uops: this.uops,
      counts: this.counts,
      distinct: this.distinct,
    };
    return { ...table, records: blockRecords(table) };
  }

  private block(block: number): void {
    const { blocks, pages } = this;
    const first = blocks.instrStart[block];
    const last = blocks.instrStart[block + 1];
    const address = addressOf(blocks, pages, block);
    this.rowStart[block] = this.rows.length;
    this.start[block] = address;
    this.counts[block * COUNT_WORDS] = last - first;
    if (pages.kernel[blocks.page[block]]) this.counts[block * COUNT_WORDS + 1] = last - first;
    const base = blocks.offset[block];
    let offset = base;
    let line = offset >> 6;
    let slot = blocks.slotStart[block];
    const slotEnd = blocks.slotStart[block + 1];
    this.firstLine[block] = line;
    let cracked: Cracked | undefined;
    for (let i = first; i < last; i++) {
      const from = slot;
      while (slot < slotEnd && blocks.slotInstr[slot] === i - first) slot++;
      cracked = this.cracked(block, i, from, slot);
      const length = blocks.byteStart[i + 1] - blocks.byteStart[i];
      const endLine = (offset + length - 1) >> 6;
      this.instrLength[i] = length;
      this.lastPc[block] = address + offset - base;
      this.place(block, cracked, offset, from, slot, endLine > line ? CROSSES : 0);
      line = endLine;
      offset += length;
    }
    this.end[block] = address + offset - base;
    this.low[block * LOW_WORDS] = low31(address);
    this.low[block * LOW_WORDS + 1] = low31(this.end[block]);
    this.low[block * LOW_WORDS + 2] = low31(this.lastPc[block]);
    const lastByte = Math.max(base, offset - 1);
    this.lines[block] = (lastByte >> 6) - (base >> 6) + 1;
    const page = lastByte >= 4096 ? blocks.page2[block] : blocks.page[block];
    if (page < 0)
      throw new InputError(
        `block ${block} at ${hex(address)}: it runs past its page, and no second page is given`,
      );
    this.lastLine[block] = (page << 6) | ((lastByte >> 6) & 63);
    if (cracked === undefined) throw new InputError(`block ${block} at ${hex(address)} has no instruction`);
    this.branch[block] = cracked.branch;
    const kind = cracked.branch;
    if (kind === BranchKind.Conditional || kind === BranchKind.DirectJump || kind === BranchKind.DirectCall) {
      // Canonical addresses are compared in 48 bits.
      this.target[block] = modulo48(this.end[block] + cracked.displacement);
    }
  }

  private place(
    block: number,
    cracked: Cracked,
    offset: number,
    from: number,
    to: number,
    first: number,
  ): void {
    const { blocks, rows } = this;
    rows.reserve(cracked.uops.length * ROW_WORDS);
    // Accesses take the slots in order, whatever order the micro-ops were made in.
    let next = from;
    let taken = from;
    let flags = first;
    let uops = cracked.uops.length << UOPS_SHIFT;
    for (const uop of cracked.uops) {
      let word0 = uop.word0 | ((offset & 4095) << OFFSET_SHIFT) | (offset > 4095 ? PAGE2 : 0) | flags;
      flags = 0;
      let word2 = uop.destinations | uops;
      uops = 0;
      let slot = -1;
      const piece = (word0 & PIECE) === 0 ? 0 : (word2 >>> PIECE_SHIFT) & PIECE_MASK;
      if (word0 & REP) {
        slot = from;
        word2 |= blocks.slotKind[slot] << 16;
      } else if (word0 & (LOAD | STORE)) {
        // The pieces of an access behind the first look at its slot.
        slot = piece > 0 ? taken : next++;
        taken = slot;
        while (next < to && blocks.slotFlags[next] & SlotFlag.Split) next++;
        const load = blocks.slotKind[slot] === SlotKind.Load;
        word0 = (word0 & ~(LOAD | STORE)) | (load ? LOAD : STORE);
        this.counts[block * COUNT_WORDS + (load ? 2 : 3)]++;
      }
      if (slot >= 0) {
        word0 |= ((word0 & PIECE) !== 0 ? PIECE_BYTES : blocks.slotSize[slot]) << SIZE_SHIFT;
        if (slot + 1 < to && blocks.slotFlags[slot + 1] & SlotFlag.Split) word0 |= SPLIT;
      }
      rows.data[rows.length++] = word0;
      rows.data[rows.length++] = uop.sources;
      rows.data[rows.length++] = word2;
      this.uops[block]++;
    }
  }

  /** The micro-ops of instruction `i`, whose slots are [from, to). Instructions of the same bytes and slots share them. */
  private cracked(block: number, i: number, from: number, to: number): Cracked {
    const { blocks } = this;
    const { bytes } = blocks;
    const start = blocks.byteStart[i];
    const length = blocks.byteStart[i + 1] - start;
    let loads = 0;
    let stores = 0;
    let rep = false;
    for (let slot = from; slot < to; slot++) {
      if (blocks.slotFlags[slot] & SlotFlag.Split) continue;
      if (blocks.slotKind[slot] === SlotKind.Load) loads++;
      else if (blocks.slotKind[slot] === SlotKind.Store) stores++;
      else rep = true;
    }
    const slots = (loads << 16) | (stores << 1) | (rep ? 1 : 0);
    let hash = slots;
    for (let k = start; k < start + length; k++) hash = (Math.imul(hash, 0x01000193) ^ bytes[k]) | 0;
    const known = this.known.get(hash);
    for (let k = known; k !== undefined; k = k.next) {
      if (k.slots === slots && k.length === length && same(bytes, k.start, start, length)) return k.cracked;
    }
    const cracked = this.decodeOne(block, i, bytes.subarray(start, start + length), loads, stores, rep);
    this.known.set(hash, { cracked, start, length, slots, next: known });
    this.distinct++;
    return cracked;
  }

  private decodeOne(
    block: number,
    i: number,
    bytes: Uint8Array,
    loads: number,
    stores: number,
    rep: boolean,
  ): Cracked {
    const { blocks, pages, instruction } = this;
    const decoder = new Decoder(64, bytes, DecoderOptions.None);
    decoder.decodeOut(instruction);
    decoder.free();
    if (instruction.isInvalid || instruction.length !== bytes.length) {
      const at =
        addressOf(blocks, pages, block) + blocks.byteStart[i] - blocks.byteStart[blocks.instrStart[block]];
      throw new InputError(
        `block ${block}, instruction at ${hex(at)}: the bytes ${Buffer.from(bytes).toString("hex")} are not one x86-64 instruction`,
      );
    }
    const cracked = crack(this.factory, instruction, loads, stores, rep);
    if (cracked.uops.length > MAX_UOPS)
      throw new Error(`${cracked.uops.length} micro-ops in one instruction`);
    return cracked;
  }
}

/** Low 31 bits of a 48-bit address, as a non-negative int32. */
const low31 = (address: number): number => (address % 2147483648) | 0;

const modulo48 = (address: number): number => ((address % 2 ** 48) + 2 ** 48) % 2 ** 48;

const hex = (address: number): string => `0x${address.toString(16)}`;
