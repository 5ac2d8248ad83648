import {
  Code,
  Decoder,
  DecoderOptions,
  FlowControl,
  type Instruction,
  InstructionInfoFactory,
  MemorySizeExt,
  Mnemonic,
  OpAccess,
} from "iced-x86";
import { SlotKind } from "../loader/contract.js";
import type { RawBlock } from "./raw.js";

/** What the converter has to know of an instruction, found out once. */
export const Flow = {
  /** Goes on with the next instruction. */
  Next: 0,
  /** Goes on at `target`, or with the next instruction where conditional. */
  Jump: 1,
  Conditional: 2,
  /** Goes on anywhere: indirect, return, system call, interrupt. */
  Anywhere: 3,
  /** Goes on anywhere after the core has been idle. */
  Halt: 4,
  /** Not an instruction: the emulator lists one that is cut off at the end of a page. */
  Invalid: 5,
} as const;

/** A block of instructions at one place, decoded. Same place and bytes: the same object. */
export class StaticBlock {
  readonly count: number;
  /** Address of instruction i; starts[count] is where the block ends. */
  readonly starts: Float64Array;
  readonly flow: Uint8Array;
  readonly target: Float64Array;
  /** SlotKind of a repeated string instruction, or 0. */
  readonly rep: Uint8Array;
  /** Bytes of a string instruction's element. */
  readonly element: Uint8Array;
  /** Bytes of a 16- or 32-byte memory operand, which the emulator accesses in parts, or 0. */
  readonly wide: Uint8Array;
  readonly locked: Uint8Array;
  /** Memory accesses that a completed execution is sure to make, at least. */
  readonly accesses: Uint8Array;
  /** By address space: where the block is and how it was executed so far. */
  readonly placed: (PlacedBlock | undefined)[] = [];

  constructor(readonly raw: RawBlock) {
    const n = raw.lengths.length;
    this.count = n;
    this.starts = new Float64Array(n + 1);
    this.flow = new Uint8Array(n);
    this.target = new Float64Array(n);
    this.rep = new Uint8Array(n);
    this.element = new Uint8Array(n);
    this.wide = new Uint8Array(n);
    this.locked = new Uint8Array(n);
    this.accesses = new Uint8Array(n);
    let offset = 0;
    for (let i = 0; i < n; i++) {
      this.starts[i] = raw.address + offset;
      this.decode(i, raw.bytes.subarray(offset, offset + raw.lengths[i]));
      offset += raw.lengths[i];
    }
    this.starts[n] = raw.address + offset;
  }

  get kernel(): boolean {
    return this.raw.address >= 2 ** 47;
  }

  private decode(i: number, bytes: Uint8Array): void {
    this.decodeString(i, bytes);
    const decoder = new Decoder(64, bytes, DecoderOptions.None);
    decoder.ip = canonical(this.starts[i]);
    const instruction = decoder.decode();
    try {
      if (instruction.code === Code.INVALID || instruction.length !== bytes.length) {
        this.flow[i] = Flow.Invalid;
        return;
      }
      this.flow[i] = flowOf(instruction);
      if (this.flow[i] === Flow.Jump || this.flow[i] === Flow.Conditional) {
        this.target[i] = Number(BigInt.asUintN(48, instruction.nearBranchTarget));
      }
      const bits = MemorySizeExt.size(instruction.memorySize);
      this.wide[i] = bits === 16 || bits === 32 ? bits : 0;
      this.accesses[i] = this.rep[i] !== 0 ? 0 : sureAccesses(instruction);
      if (instruction.hasLockPrefix || (instruction.mnemonic === Mnemonic.Xchg && this.accesses[i] > 0))
        this.locked[i] = 1;
    } finally {
      instruction.free();
      decoder.free();
    }
  }

  /** String instructions are told by prefixes and opcode: `movsd` is the name of two instructions. */
  private decodeString(i: number, bytes: Uint8Array): void {
    let at = 0;
    let repeated = false;
    let small = false;
    let rexW = false;
    for (; at < bytes.length - 1; at++) {
      const byte = bytes[at];
      if (byte === 0xf2 || byte === 0xf3) repeated = true;
      else if (byte === 0x66) small = true;
      else if ((byte & 0xf0) === 0x40) rexW = (byte & 8) !== 0;
      else if (!PREFIXES.has(byte)) return;
    }
    const opcode = bytes[at];
    const kind = STRING_KINDS.get(opcode & 0xfe);
    if (!repeated || kind === undefined) return;
    this.rep[i] = kind;
    this.element[i] = (opcode & 1) === 0 ? 1 : rexW ? 8 : small ? 2 : 4;
  }
}

/** A static block in one address space. */
export interface PlacedBlock {
  page: number;
  page2: number;
  entries: Entry[];
}

/** One way in which the block was executed: a dictionary entry of the trace. */
export interface Entry {
  instructions: number;
  signature: Int32Array;
  id: number;
}

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67]);
const STRING_KINDS = new Map<number, number>([
  [0xa4, SlotKind.RepMove],
  [0xa6, SlotKind.RepCompare],
  [0xaa, SlotKind.RepStore],
  [0xac, SlotKind.RepLoad],
  [0xae, SlotKind.RepLoad],
]);

/** Listed as accessing memory, but the emulator does nothing for them. */
const NO_ACCESS = new Set<Mnemonic>([
  Mnemonic.Prefetch,
  Mnemonic.Prefetchnta,
  Mnemonic.Prefetcht0,
  Mnemonic.Prefetcht1,
  Mnemonic.Prefetcht2,
  Mnemonic.Prefetchw,
  Mnemonic.Prefetchwt1,
  Mnemonic.Clflush,
  Mnemonic.Clflushopt,
  Mnemonic.Clwb,
  Mnemonic.Nop,
  Mnemonic.Lea,
  Mnemonic.Invlpg,
  Mnemonic.Monitor,
]);

/** Made at its first use: who only imports this module has a decoder's memory grow (see src/loader/decode/thread.ts). */
let infos: InstructionInfoFactory | undefined;

function sureAccesses(instruction: Instruction): number {
  if (NO_ACCESS.has(instruction.mnemonic)) return 0;
  infos ??= new InstructionInfoFactory();
  const info = infos.info(instruction);
  let sure = 0;
  for (const memory of info.usedMemory()) {
    const { access } = memory;
    if (
      access === OpAccess.Read ||
      access === OpAccess.Write ||
      access === OpAccess.ReadWrite ||
      access === OpAccess.ReadCondWrite
    )
      // What reads and writes may have read before its write faults.
      sure += access === OpAccess.ReadWrite ? 2 : 1;
    memory.free();
  }
  info.free();
  return sure;
}

function flowOf(instruction: Instruction): number {
  switch (instruction.flowControl) {
    case FlowControl.Next:
      return instruction.mnemonic === Mnemonic.Hlt ? Flow.Halt : Flow.Next;
    case FlowControl.UnconditionalBranch:
    case FlowControl.Call:
      // iced calls `syscall` a call.
      return instruction.nearBranchTarget === 0n ? Flow.Anywhere : Flow.Jump;
    case FlowControl.ConditionalBranch:
      return Flow.Conditional;
    default:
      return Flow.Anywhere;
  }
}

/** The 64-bit address that a 48-bit one stands for. */
export function canonical(address: number): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(48, BigInt(address)));
}
