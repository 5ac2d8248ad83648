import { cellsOf, grow, slotShapeProblem } from "./block-dictionary.js";
import type { ByteReader } from "./bytes.js";
import { type BlockTable, MAX_PAGES, type PageTable, SlotKind } from "./contract.js";
import { ChunkError } from "./errors.js";
import { MAX_BLOCK_SLOTS, MAX_BLOCKS, MAX_STATIC } from "./format.js";
import { isWithin, KERNEL_VPN, MAX_ASID, MAX_PPN, MAX_VPN, unzigzag } from "./page-dictionary.js";

/** What the stream decoders need of the blocks, besides the block table. */
export interface DecodeTables {
  pageCount: number;
  blockCount: number;
  /** Instructions of block b. */
  instructions: Int32Array;
  /** First address cell of block b; one past the last: cellStart[b + 1]. */
  cellStart: Int32Array;
  /** 1 where block b has a Rep slot. */
  hasRep: Uint8Array;
  /** Initial address of each cell. */
  initial: Int32Array;
  /** Largest page offset at which an access of each cell's size stays on its page. */
  limit: Int32Array;
}

/** Builds the page table from the pages chunks, in file order. */
export class PageTableBuilder {
  private count = 0;
  private asid = new Int32Array(256);
  private vpn = new Float64Array(256);
  private ppn = new Int32Array(256);
  private io = new Uint8Array(256);

  /** Throws ChunkError. */
  add(input: ByteReader): void {
    const first = input.uvarint("the first page id");
    const pages = input.uvarint("the number of pages", input.left);
    if (first !== this.count) throw new ChunkError(`page ${first} comes where ${this.count} was expected`);
    const end = first + pages;
    if (end > MAX_PAGES) throw new ChunkError(`${end} pages, ${MAX_PAGES} are possible`);
    this.asid = grow(this.asid, end);
    this.vpn = grow(this.vpn, end);
    this.ppn = grow(this.ppn, end);
    this.io = grow(this.io, end);
    let asid = 0;
    let vpn = 0;
    let ppn = 0;
    for (let id = first; id < end; id++) {
      const word = input.uvarint53("asid");
      asid += unzigzag(Math.floor(word / 2));
      vpn += unzigzag(input.uvarint53("vpn"));
      ppn += unzigzag(input.uvarint53("ppn"));
      const possible = isWithin(asid, MAX_ASID) && isWithin(vpn, MAX_VPN) && isWithin(ppn, MAX_PPN);
      if (!possible || vpn >= KERNEL_VPN !== (asid === 0)) {
        throw new ChunkError(`page ${id} (asid ${asid}, vpn ${vpn}, ppn ${ppn}) is not possible`);
      }
      this.asid[id] = asid;
      this.vpn[id] = vpn;
      this.ppn[id] = ppn;
      this.io[id] = word % 2;
    }
    input.finish("the pages");
    this.count = end;
  }

  get pageCount(): number {
    return this.count;
  }

  finish(): PageTable {
    const { count } = this;
    const vpn = this.vpn.slice(0, count);
    return {
      count,
      asid: this.asid.slice(0, count),
      vpn,
      ppn: this.ppn.slice(0, count),
      io: this.io.slice(0, count),
      kernel: Uint8Array.from(vpn, (page) => (page >= KERNEL_VPN ? 1 : 0)),
    };
  }
}

/** Builds the block table from the blocks chunks, in file order. */
export class BlockTableBuilder {
  private count = 0;
  private instrs = 0;
  private byteCount = 0;
  private slots = 0;
  private cells = 0;
  private page = new Int32Array(256);
  private offset = new Int32Array(256);
  private page2 = new Int32Array(256);
  private instrStart = new Int32Array(257);
  private byteStart = new Int32Array(1025);
  private bytes = new Uint8Array(4096);
  private slotStart = new Int32Array(257);
  private cellStart = new Int32Array(257);
  private slotInstr = new Int32Array(512);
  private slotKind = new Uint8Array(512);
  private slotSize = new Uint8Array(512);
  private slotFlags = new Uint8Array(512);
  private hasRep = new Uint8Array(256);
  private initial = new Int32Array(512);

  /** Throws ChunkError. @param pageCount pages defined before this chunk */
  add(input: ByteReader, pageCount: number): void {
    const first = input.uvarint("the first block id");
    const blocks = input.uvarint("the number of blocks", input.left);
    if (first !== this.count) throw new ChunkError(`block ${first} comes where ${this.count} was expected`);
    if (first + blocks > MAX_BLOCKS)
      throw new ChunkError(`${first + blocks} blocks, ${MAX_BLOCKS} are possible`);
    let address = 0;
    for (let i = 0; i < blocks; i++) address = this.addBlock(input, pageCount, address);
    input.finish("the blocks");
  }

  private addBlock(input: ByteReader, pageCount: number, address: number): number {
    const id = this.count;
    this.growBlocks(id + 1);
    this.page[id] = input.uvarint("page", pageCount - 1);
    this.offset[id] = input.uvarint("offset", 4095);
    this.page2[id] = input.uvarint("page2", pageCount) - 1;
    const instrs = input.uvarint("the number of instructions", 8192);
    const slots = input.uvarint("the number of slots", MAX_BLOCK_SLOTS);
    if (instrs === 0) throw new ChunkError(`block ${id} has no instruction`);
    this.addInstructions(id, input.take(instrs, "instruction lengths"));
    const end = this.offset[id] + this.takeBytes(input, instrs);
    if (this.page2[id] < 0 ? end > 4096 : end <= 4096 || end > 8192) {
      throw new ChunkError(`block ${id} ends at byte ${end} of its pages (page2 ${this.page2[id]})`);
    }
    this.addSlots(id, input, slots, instrs);
    this.count++;
    let previous = address;
    for (let cell = this.cellStart[id]; cell < this.cells; cell++) {
      previous = (previous + input.svarint("an initial address")) | 0;
      this.initial[cell] = previous;
    }
    return previous;
  }

  private addInstructions(id: number, lengths: Uint8Array): void {
    const end = this.instrs + lengths.length;
    if (end > MAX_STATIC) throw new ChunkError("too many instructions");
    this.byteStart = grow(this.byteStart, end + 1);
    let at = this.byteCount;
    for (let i = 0; i < lengths.length; i++) {
      if (lengths[i] < 1 || lengths[i] > 15)
        throw new ChunkError(`block ${id} has an instruction of ${lengths[i]} bytes`);
      at += lengths[i];
      this.byteStart[this.instrs + i + 1] = at;
    }
    this.instrs = end;
    this.instrStart[id + 1] = end;
  }

  /** @returns bytes of the block */
  private takeBytes(input: ByteReader, instrs: number): number {
    const length = this.byteStart[this.instrs] - this.byteStart[this.instrs - instrs];
    const end = this.byteCount + length;
    if (end > MAX_STATIC) throw new ChunkError("too many instruction bytes");
    this.bytes = grow(this.bytes, end);
    this.bytes.set(input.take(length, "instruction bytes"), this.byteCount);
    this.byteCount = end;
    return length;
  }

  private addSlots(id: number, input: ByteReader, slots: number, instrs: number): void {
    const end = this.slots + slots;
    if (end > MAX_STATIC) throw new ChunkError("too many slots");
    this.slotInstr = grow(this.slotInstr, end);
    this.slotKind = grow(this.slotKind, end);
    this.slotSize = grow(this.slotSize, end);
    this.slotFlags = grow(this.slotFlags, end);
    this.initial = grow(this.initial, this.cells + slots * 2);
    let instr = 0;
    let kindBefore = -1;
    for (let slot = this.slots; slot < end; slot++) {
      const step = input.uvarint("a slot's instruction", instrs - 1 - instr);
      instr += step;
      const kindAndFlags = input.u8();
      const kind = kindAndFlags & 15;
      const flags = kindAndFlags >> 4;
      const size = input.u8();
      const problem = slotShapeProblem(kind, size, flags, step === 0 ? kindBefore : -1);
      if (problem !== "") throw new ChunkError(`block ${id} slot ${slot - this.slots}: ${problem}`);
      this.slotInstr[slot] = instr;
      this.slotKind[slot] = kind;
      this.slotSize[slot] = size;
      this.slotFlags[slot] = flags;
      if (kind >= SlotKind.RepLoad) this.hasRep[id] = 1;
      this.cells += cellsOf(kind);
      kindBefore = kind;
    }
    this.slots = end;
    this.slotStart[id + 1] = end;
    this.cellStart[id + 1] = this.cells;
  }

  private growBlocks(need: number): void {
    if (need <= this.page.length) return;
    this.page = grow(this.page, need);
    this.offset = grow(this.offset, need);
    this.page2 = grow(this.page2, need);
    this.instrStart = grow(this.instrStart, this.page.length + 1);
    this.slotStart = grow(this.slotStart, this.page.length + 1);
    this.cellStart = grow(this.cellStart, this.page.length + 1);
    this.hasRep = grow(this.hasRep, need);
  }

  finish(pageCount: number): { blocks: BlockTable; decode: DecodeTables } {
    const { count } = this;
    const blocks: BlockTable = {
      count,
      page: this.page.slice(0, count),
      offset: this.offset.slice(0, count),
      page2: this.page2.slice(0, count),
      instrStart: this.instrStart.slice(0, count + 1),
      byteStart: this.byteStart.slice(0, this.instrs + 1),
      bytes: this.bytes.slice(0, this.byteCount),
      slotStart: this.slotStart.slice(0, count + 1),
      slotInstr: Uint16Array.from(this.slotInstr.subarray(0, this.slots)),
      slotKind: this.slotKind.slice(0, this.slots),
      slotSize: this.slotSize.slice(0, this.slots),
      slotFlags: this.slotFlags.slice(0, this.slots),
    };
    const instructions = new Int32Array(count);
    for (let id = 0; id < count; id++) instructions[id] = blocks.instrStart[id + 1] - blocks.instrStart[id];
    const decode: DecodeTables = {
      pageCount,
      blockCount: count,
      instructions,
      cellStart: this.cellStart.slice(0, count + 1),
      hasRep: this.hasRep.slice(0, count),
      initial: this.initial.slice(0, this.cells),
      limit: this.limits(),
    };
    return { blocks, decode };
  }

  private limits(): Int32Array {
    const limit = new Int32Array(this.cells);
    let cell = 0;
    for (let slot = 0; slot < this.slots; slot++) {
      for (let i = cellsOf(this.slotKind[slot]); i > 0; i--) limit[cell++] = 4096 - this.slotSize[slot];
    }
    return limit;
  }
}
