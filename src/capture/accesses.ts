import { type SlotDef, SlotFlag, SlotKind } from "../loader/contract.js";
import type { PageMap } from "./pages.js";
import { RAW_LAST_INSN } from "./raw.js";
import type { StaticBlock } from "./static-block.js";

/** The emulator's blocks have at most 512 instructions; none makes more than some 60 accesses (fxsave). */
const MAX_ACCESSES = 1 << 15;

/** The memory accesses of one execution as recorded, and as slots of the trace. */
export class Accesses {
  count = 0;
  private readonly instr = new Int32Array(MAX_ACCESSES);
  private readonly store = new Uint8Array(MAX_ACCESSES);
  private readonly size = new Int32Array(MAX_ACCESSES);
  private readonly vpn = new Float64Array(MAX_ACCESSES);
  private readonly address = new Int32Array(MAX_ACCESSES);

  /** The slots: what they are (see `slotDef`) and where. */
  slots = 0;
  readonly signature = new Int32Array(2 * MAX_ACCESSES);
  readonly addresses = new Int32Array(2 * MAX_ACCESSES);

  constructor(private readonly pages: PageMap) {}

  add(instr: number, store: boolean, size: number, vpn: number, address: number): void {
    if (this.count >= MAX_ACCESSES / 2)
      throw new Error(`one block makes more than ${MAX_ACCESSES / 2} accesses`);
    const i = this.count++;
    this.instr[i] = instr;
    this.store[i] = store ? 1 : 0;
    this.size[i] = size;
    this.vpn[i] = vpn;
    this.address[i] = address;
  }

  /**
   * Takes away what the processor itself reads and writes when it enters the kernel by an interrupt or fault,
   * where the emulator has given it to the instruction before: the gate (three words of it), the segment
   * descriptor (two), with a change of stack the stack's address, then five or, with an error code, six words on
   * the stack. No instruction makes these accesses. @returns whether there were any
   */
  dropDelivery(): boolean {
    let at = this.count - 1;
    let pushes = 0;
    while (pushes < 6 && at >= 0 && this.is(at, 1, 8)) {
      if (pushes > 0 && this.apart(at + 1, at) !== 8) break;
      at--;
      pushes++;
    }
    if (pushes < 5) return false;
    if (at >= 0 && this.is(at, 0, 8)) at--;
    for (let i = 0; i < 5; i++) if (at - i < 0 || !this.is(at - i, 0, 4)) return false;
    const isGate = this.apart(at - 4, at - 3) === 4 && this.apart(at - 3, at - 2) === 4;
    if (!isGate || this.apart(at - 1, at) !== 4) return false;
    this.count = at - 4;
    return true;
  }

  private is(i: number, store: number, size: number): boolean {
    return this.store[i] === store && this.size[i] === size;
  }

  /** Bytes from access i to access j. */
  private apart(i: number, j: number): number {
    return (this.vpn[j] - this.vpn[i]) * 4096 + (this.address[j] & 4095) - (this.address[i] & 4095);
  }

  /** Gives accesses of an unnamed instruction to the last one that was begun. */
  settle(begun: number): void {
    for (let i = 0; i < this.count; i++) if (this.instr[i] === RAW_LAST_INSN) this.instr[i] = begun - 1;
  }

  /** Takes away what was recorded of an instruction after its first `most` accesses. @returns whether there was any */
  limit(instr: number, most: number): boolean {
    const { count } = this;
    let of = 0;
    this.count = 0;
    for (let i = 0; i < count; i++) {
      if (this.instr[i] === instr && ++of > most) continue;
      this.move(i, this.count++);
    }
    return this.count < count;
  }

  private move(from: number, to: number): void {
    this.instr[to] = this.instr[from];
    this.store[to] = this.store[from];
    this.size[to] = this.size[from];
    this.vpn[to] = this.vpn[from];
    this.address[to] = this.address[from];
  }

  /** Recorded accesses of one instruction. */
  of(instr: number): number {
    let n = 0;
    for (let i = 0; i < this.count; i++) if (this.instr[i] === instr) n++;
    return n;
  }

  /** Page addresses of one instruction's accesses: the first, or the n-th. */
  nthOf(instr: number, n: number): number {
    for (let i = 0; i < this.count; i++) if (this.instr[i] === instr && n-- === 0) return this.address[i];
    return 0;
  }

  /** Makes the slots of the instructions before `limit`. */
  build(block: StaticBlock, limit: number, asid: number): void {
    this.slots = 0;
    let loaded = -1;
    for (let i = 0; i < this.count; ) {
      const instr = this.instr[i];
      const store = this.store[i];
      let bytes = this.size[i];
      let n = 1;
      const wide = bytes === 8 && instr < block.count ? block.wide[instr] : 0;
      while (i + n < this.count && bytes < wide && this.continues(i, n, bytes)) {
        bytes += 8;
        n++;
      }
      if (instr < limit) {
        const kind = store === 1 ? SlotKind.Store : SlotKind.Load;
        const flags = block.locked[instr] === 1 ? SlotFlag.Locked : 0;
        if (store === 0 && block.narrow[instr] > 0) bytes = Math.min(bytes, block.narrow[instr]);
        // Once memory is shared (threads), a program's emulator says of an atomic access only that it stores.
        if (store === 1 && flags !== 0 && loaded !== instr)
          this.slot(instr, SlotKind.Load, bytes, flags, i, asid);
        if (store === 0) loaded = instr;
        this.slot(instr, kind, bytes, flags, i, asid);
      }
      i += n;
    }
  }

  /** Whether access i + n is the next 8 bytes of the operand that begins at access i. */
  private continues(i: number, n: number, bytes: number): boolean {
    const j = i + n;
    if (this.instr[j] !== this.instr[i] || this.store[j] !== this.store[i] || this.size[j] !== 8)
      return false;
    return this.apart(i, j) === bytes;
  }

  private slot(instr: number, kind: SlotKind, bytes: number, flags: number, i: number, asid: number): void {
    const address = this.address[i];
    const room = 4096 - (address & 4095);
    if (bytes <= room) {
      this.push(instr, kind, bytes, flags, address);
      return;
    }
    this.push(instr, kind, room, flags, address);
    this.push(instr, kind, bytes - room, flags | SlotFlag.Split, this.pages.next(asid, this.vpn[i]) << 12);
  }

  private push(instr: number, kind: SlotKind, bytes: number, flags: number, address: number): void {
    this.signature[this.slots] = signatureOf(instr, kind, bytes, flags);
    this.addresses[this.slots++] = address;
  }

  /** Adds the slot of a repeated string instruction; its addresses come from elsewhere. */
  pushRep(instr: number, kind: SlotKind, element: number): void {
    this.signature[this.slots++] = signatureOf(instr, kind, element, 0);
  }
}

/** instr << 13 | size << 5 | flags << 3 | kind */
function signatureOf(instr: number, kind: number, size: number, flags: number): number {
  return (instr << 13) | (size << 5) | (flags << 3) | kind;
}

export function slotDef(signature: number): SlotDef {
  return {
    instr: signature >>> 13,
    kind: (signature & 7) as SlotKind,
    size: (signature >>> 5) & 255,
    flags: (signature >>> 3) & 3,
  };
}
