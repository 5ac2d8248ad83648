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
  RegisterExt,
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
  /** Goes on anywhere: indirect, return, interrupt. */
  Anywhere: 3,
  /** Goes on anywhere after the core has been idle. */
  Halt: 4,
  /** Goes on in the kernel; of a program alone with the next instruction. */
  SystemCall: 6,
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
  /** Bytes of 16 or 32 that the emulator accesses in parts for one memory operand, or 0. */
  readonly wide: Uint8Array;
  /** Bytes of an operand of which the emulator reads more, `wide`; or 0. */
  readonly narrow: Uint8Array;
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
    this.narrow = new Uint8Array(n);
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
      const size = MemorySizeExt.size(instruction.memorySize);
      const read = bytesRead(instruction, size);
      this.wide[i] = read === 16 || read === 32 ? read : 0;
      if (read !== size) this.narrow[i] = size;
      this.accesses[i] = this.rep[i] !== 0 ? 0 : sureAccesses(instruction, Math.max(1, this.wide[i] / 8));
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

/** Listed as accessing memory, but the emulator does nothing for them, or what a mask says. */
const NOT_SURE = new Set<Mnemonic>([
  Mnemonic.Maskmovdqu,
  Mnemonic.Maskmovq,
  Mnemonic.Vmaskmovdqu,
  Mnemonic.Vmaskmovpd,
  Mnemonic.Vmaskmovps,
  Mnemonic.Vpmaskmovd,
  Mnemonic.Vpmaskmovq,
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

/** @param parts in which the emulator accesses an operand */
function sureAccesses(instruction: Instruction, parts: number): number {
  if (NOT_SURE.has(instruction.mnemonic)) return 0;
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
      sure += access === OpAccess.ReadWrite ? 2 * parts : parts;
    memory.free();
  }
  info.free();
  return sure;
}

const SCALAR_FMA = /^Vfn?m(add|sub)(132|213|231)s[sd]$/;
const VECTOR_SHIFT = /^Vps(ll|rl|ra)[wdq]$/;
const WIDENING = /^V?cvtdq2pd$/i;
const UNPACK_LOW = /^Punpckl(bw|wd|dq)$/;

/** Bytes that QEMU reads for an operand of that many: of these instructions' it reads a whole register's. */
function bytesRead(instruction: Instruction, bytes: number): number {
  if (bytes === 0) return 0;
  const name = Mnemonic[instruction.mnemonic];
  const { op0Register } = instruction;
  if (SCALAR_FMA.test(name)) return 16;
  if (VECTOR_SHIFT.test(name) && RegisterExt.isYMM(op0Register)) return 32;
  if (WIDENING.test(name)) return 2 * bytes;
  if (UNPACK_LOW.test(name) && RegisterExt.isMM(op0Register)) return 8;
  return instruction.code === Code.Movsxd_r16_rm16 ? 4 : bytes;
}

function flowOf(instruction: Instruction): number {
  switch (instruction.flowControl) {
    case FlowControl.Next:
      return instruction.mnemonic === Mnemonic.Hlt ? Flow.Halt : Flow.Next;
    case FlowControl.UnconditionalBranch:
    case FlowControl.Call:
      // iced calls it a call.
      if (instruction.mnemonic === Mnemonic.Syscall) return Flow.SystemCall;
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
