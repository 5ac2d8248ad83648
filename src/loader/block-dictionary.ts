import { InputError } from "../errors.js";
import { ByteWriter } from "./bytes.js";
import { type BlockDef, SlotFlag, SlotKind } from "./contract.js";
import { MAX_BLOCK_SLOTS, MAX_BLOCKS, MAX_STATIC } from "./format.js";
import { isWithin } from "./page-dictionary.js";

/** Number of addresses that one slot remembers: two operands for `rep movs` and `rep cmps`. */
export function cellsOf(kind: number): number {
  return kind >= SlotKind.RepMove ? 2 : 1;
}

/**
 * The writer's blocks: gives each distinct definition its id, knows what the stream encoders need of
 * each, and encodes those not yet in the file. Blocks are compared by their whole encoded definition.
 */
export class BlockDictionary {
  count = 0;
  /** Blocks below this id are in the file; their initial addresses are fixed. */
  written = 0;
  /** Instructions of block b. */
  instructions = new Int32Array(1024);
  /** First address cell of block b; the count of all cells stands after the last. */
  cellStart = new Int32Array(1025);
  /** First slot of block b; the count of all slots stands after the last. */
  slotStart = new Int32Array(1025);
  /** 1 where block b has a Rep slot. */
  hasRep = new Uint8Array(1024);
  /** 1 once the initial addresses of block b are known. */
  hasInitial = new Uint8Array(1024);
  slotKind = new Uint8Array(1024);
  slotSize = new Uint8Array(1024);
  slotFlags = new Uint8Array(1024);
  /** Initial address of each cell. */
  initial = new Int32Array(1024);

  /** Encoded definitions, without initial addresses, end to end. */
  private readonly store = new ByteWriter(1 << 16);
  private storeStart = new Float64Array(1025);
  private table = new Int32Array(4096).fill(-1);
  private hashes = new Int32Array(1024);
  private totalInstructions = 0;
  private totalBytes = 0;

  /** @returns the block's id. Throws InputError for an impossible definition. */
  add(def: BlockDef, pageCount: number): number {
    checkBlock(def, pageCount);
    const { store } = this;
    const start = store.length;
    encodeDefinition(store, def);
    const hash = hashBytes(store.bytes, start, store.length);
    const found = this.find(hash, start);
    if (found >= 0) {
      store.length = start;
      return found;
    }
    return this.append(def, hash, start);
  }

  private find(hash: number, start: number): number {
    const { table, hashes, store, storeStart } = this;
    const length = store.length - start;
    const mask = table.length - 1;
    for (let at = hash & mask; table[at] >= 0; at = (at + 1) & mask) {
      const id = table[at];
      const other = storeStart[id];
      if (hashes[id] !== hash || storeStart[id + 1] - other !== length) continue;
      let i = 0;
      while (i < length && store.bytes[start + i] === store.bytes[other + i]) i++;
      if (i === length) return id;
    }
    return -1;
  }

  private append(def: BlockDef, hash: number, start: number): number {
    const id = this.count;
    this.totalInstructions += def.lengths.length;
    this.totalBytes += def.bytes.length;
    if (
      id >= MAX_BLOCKS ||
      Math.max(this.totalInstructions, this.totalBytes, this.store.length) > MAX_STATIC
    ) {
      throw new InputError(`trace writer: block ${id}: too many distinct blocks`);
    }
    this.growBlocks();
    this.storeStart[id] = start;
    this.storeStart[id + 1] = this.store.length;
    this.hashes[id] = hash;
    this.instructions[id] = def.lengths.length;
    this.addSlots(id, def);
    this.count++;
    if (this.count * 2 > this.table.length) this.rehash();
    else this.insert(id);
    return id;
  }

  private addSlots(id: number, def: BlockDef): void {
    let slot = this.slotStart[id];
    let cell = this.cellStart[id];
    this.slotKind = grow(this.slotKind, slot + def.slots.length);
    this.slotSize = grow(this.slotSize, slot + def.slots.length);
    this.slotFlags = grow(this.slotFlags, slot + def.slots.length);
    this.initial = grow(this.initial, cell + def.slots.length * 2);
    for (const { kind, size, flags } of def.slots) {
      this.slotKind[slot] = kind;
      this.slotSize[slot] = size;
      this.slotFlags[slot++] = flags;
      cell += cellsOf(kind);
      if (kind >= SlotKind.RepLoad) this.hasRep[id] = 1;
    }
    this.slotStart[id + 1] = slot;
    this.cellStart[id + 1] = cell;
  }

  private growBlocks(): void {
    const need = this.count + 1;
    if (need <= this.instructions.length) return;
    this.instructions = grow(this.instructions, need);
    this.cellStart = grow(this.cellStart, this.instructions.length + 1);
    this.slotStart = grow(this.slotStart, this.instructions.length + 1);
    this.hasRep = grow(this.hasRep, need);
    this.hasInitial = grow(this.hasInitial, need);
    this.storeStart = grow(this.storeStart, this.instructions.length + 1);
    this.hashes = grow(this.hashes, need);
  }

  private insert(id: number): void {
    const mask = this.table.length - 1;
    let at = this.hashes[id] & mask;
    while (this.table[at] >= 0) at = (at + 1) & mask;
    this.table[at] = id;
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 4).fill(-1);
    for (let id = 0; id < this.count; id++) this.insert(id);
  }

  /** Bytes waiting to be written. */
  get pendingBytes(): number {
    return this.store.length - this.storeStart[this.written];
  }

  /** Content of a blocks chunk with up to `limit` bytes of blocks not yet written; undefined when none is left. */
  flush(limit: number): Uint8Array | undefined {
    const first = this.written;
    if (first === this.count) return undefined;
    let end = first + 1;
    while (end < this.count && this.storeStart[end + 1] - this.storeStart[first] <= limit) end++;
    const chunk = new ByteWriter(1 << 16);
    chunk.uvarint(first);
    chunk.uvarint(end - first);
    let previous = 0;
    for (let id = first; id < end; id++) {
      chunk.raw(this.store.bytes.subarray(this.storeStart[id], this.storeStart[id + 1]));
      for (let cell = this.cellStart[id]; cell < this.cellStart[id + 1]; cell++) {
        chunk.svarint(this.initial[cell] - previous);
        previous = this.initial[cell];
      }
    }
    this.written = end;
    return chunk.view();
  }
}

function encodeDefinition(out: ByteWriter, def: BlockDef): void {
  out.uvarint(def.page);
  out.uvarint(def.offset);
  out.uvarint(def.page2 + 1);
  out.uvarint(def.lengths.length);
  out.uvarint(def.slots.length);
  out.raw(def.lengths);
  out.raw(def.bytes);
  let instr = 0;
  for (const slot of def.slots) {
    out.uvarint(slot.instr - instr);
    instr = slot.instr;
    out.u8(slot.kind | (slot.flags << 4));
    out.u8(slot.size);
  }
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c_9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x0100_0193);
  return hash ^ (hash >>> 15);
}

type AnyArray = Int32Array | Uint8Array | Float64Array;

/** The same array, or a larger copy when it holds fewer than `need` elements. */
export function grow<T extends AnyArray>(array: T, need: number): T {
  if (need <= array.length) return array;
  const larger = new (array.constructor as new (n: number) => T)(Math.max(need, array.length * 2));
  larger.set(array);
  return larger;
}

function checkBlock(def: BlockDef, pageCount: number): void {
  const { page, offset, page2, lengths, bytes, slots } = def;
  const bad = (what: string) =>
    new InputError(`trace writer: block at page ${page} offset ${offset}: ${what}`);
  if (!isWithin(page, pageCount - 1)) throw bad(`page ${page} is not defined (${pageCount} are)`);
  if (!isWithin(offset, 4095)) throw bad("offset must be 0..4095");
  if (lengths.length === 0) throw bad("a block has at least one instruction");
  let sum = 0;
  for (const length of lengths) {
    if (length < 1 || length > 15) throw bad(`an instruction of ${length} bytes, 1..15 are possible`);
    sum += length;
  }
  if (sum !== bytes.length) throw bad(`${bytes.length} bytes for instructions of ${sum} bytes`);
  if (page2 === -1) {
    if (offset + sum > 4096) throw bad(`${sum} bytes run over the end of the page, but page2 is -1`);
  } else {
    if (!isWithin(page2, pageCount - 1)) throw bad(`page2 ${page2} is not defined (${pageCount} are)`);
    if (offset + sum <= 4096) throw bad(`${sum} bytes end on the first page, but page2 is ${page2}`);
    if (offset + sum > 8192) throw bad(`${sum} bytes run over the end of the second page`);
  }
  if (slots.length > MAX_BLOCK_SLOTS)
    throw bad(`${slots.length} slots, at most ${MAX_BLOCK_SLOTS} are possible`);
  for (let i = 0; i < slots.length; i++) {
    const problem = slotProblem(def, i);
    if (problem !== "") throw bad(`slot ${i}: ${problem}`);
  }
}

function slotProblem({ lengths, slots }: BlockDef, i: number): string {
  const { instr, kind, size, flags } = slots[i];
  const before = i > 0 ? slots[i - 1] : undefined;
  if (!Number.isInteger(instr) || instr < 0 || instr >= lengths.length) {
    return `instruction ${instr} of a block of ${lengths.length}`;
  }
  if (before !== undefined && instr < before.instr) return `instruction ${instr} after ${before.instr}`;
  return slotShapeProblem(kind, size, flags, before?.instr === instr ? before.kind : -1);
}

/**
 * What is impossible about a slot's kind, size and flags, or "".
 * @param partner kind of the slot before when it belongs to the same instruction, else -1
 */
export function slotShapeProblem(kind: number, size: number, flags: number, partner: number): string {
  if (!Number.isInteger(kind) || kind < 0 || kind > SlotKind.RepCompare) return `kind ${kind} is unknown`;
  if (!Number.isInteger(size) || size < 1 || size > 255) return `size ${size} is not 1..255`;
  if (!Number.isInteger(flags) || flags < 0 || flags > (SlotFlag.Split | SlotFlag.Locked)) {
    return `flags ${flags} are unknown`;
  }
  if (kind >= SlotKind.RepLoad) {
    if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return `a Rep element of ${size} bytes`;
    if (flags !== 0) return "a Rep slot has no flags";
  }
  if ((flags & SlotFlag.Split) !== 0 && partner !== kind) {
    return "a Split slot follows its first part, of the same instruction and kind";
  }
  return "";
}
