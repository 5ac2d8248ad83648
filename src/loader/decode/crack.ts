import {
  FlowControl,
  type Instruction,
  type InstructionInfo,
  Mnemonic,
  OpAccess,
  OpKind,
  Register,
  RegisterExt,
} from "iced-x86";
import {
  BranchKind,
  LAST,
  LOAD,
  NO_REG,
  REG_FLAGS,
  REG_MASK,
  REG_SYSTEM,
  REG_TEMP,
  REG_VECTOR,
  REG_X87,
  REP,
  SERIAL,
  SINK,
  STORE,
  UopClass,
} from "./rows.js";

/** One micro-op of an instruction, before it is placed in a block. */
export interface Uop {
  /** Class and flags of word 0. */
  word0: number;
  /** Words 1 and 2 of the row. */
  sources: number;
  destinations: number;
}

/** An instruction as micro-ops. */
export interface Cracked {
  uops: Uop[];
  branch: BranchKind;
  /** Target minus the address of the next instruction, for direct branches. */
  displacement: number;
}

const names = (list: string): Set<number> =>
  new Set(list.split(" ").map((n) => Mnemonic[n as keyof typeof Mnemonic] as number));

const MULTIPLY = names("Mul Imul Mulx");
const DIVIDE = names("Div Idiv");
/** Results that a load delivers by itself. */
const PLAIN_MOVE = names(
  "Mov Movaps Movups Movdqa Movdqu Movsd Movss Movq Movd Movapd Movupd Pop Lddqu Movntdqa Vmovdqa Vmovdqu Vmovaps Vmovups Vmovsd Vmovss Vmovq Vmovd",
);
const SERIALISING = names(
  "Cpuid Lfence Mfence Wrmsr Rdmsr Iretq Iret Iretd Syscall Sysret Sysretq Sysexit Sysenter Hlt Invlpg Wbinvd Invd Swapgs In Out Insb Insw Insd Outsb Outsw Outsd Lgdt Lidt Ltr Lldt Xsetbv Invpcid Int Int3 Int1 Into Wrpkru Rdtscp Rdtsc Serialize Rsm Vmcall Mwait Clts Lmsw Xsave Xsave64 Xsaveopt Xsaveopt64 Xsavec Xsavec64 Xsaves Xsaves64 Xrstor Xrstor64 Xrstors Xrstors64 Fxsave Fxsave64 Fxrstor Fxrstor64",
);
const STRING = names(
  "Movsb Movsw Movsd Movsq Stosb Stosw Stosd Stosq Lodsb Lodsw Lodsd Lodsq Scasb Scasw Scasd Scasq Cmpsb Cmpsw Cmpsd Cmpsq",
);
const MISC = names("Pause Nop Sti Cli Stac Clac Endbr64 Sfence");
const PUSH_POP_STACK = Register.RSP;

/** Scoreboard register of an iced register, or NO_REG. */
export function scoreboardRegister(register: Register): number {
  if (register === Register.None) return NO_REG;
  if (RegisterExt.isGPR(register)) return RegisterExt.number(RegisterExt.fullRegister(register));
  if (RegisterExt.isVectorRegister(register)) return REG_VECTOR + RegisterExt.number(register);
  if (RegisterExt.isST(register) || RegisterExt.isMM(register)) return REG_X87;
  if (RegisterExt.isK(register)) return REG_MASK;
  if (RegisterExt.isSegmentRegister(register)) return REG_SYSTEM;
  if (RegisterExt.isCR(register) || RegisterExt.isDR(register) || RegisterExt.isBND(register))
    return REG_SYSTEM;
  return NO_REG;
}

const isRead = (access: number): boolean =>
  access === OpAccess.Read ||
  access === OpAccess.CondRead ||
  access === OpAccess.ReadWrite ||
  access === OpAccess.ReadCondWrite;
const isWrite = (access: number): boolean =>
  access === OpAccess.Write ||
  access === OpAccess.CondWrite ||
  access === OpAccess.ReadWrite ||
  access === OpAccess.ReadCondWrite;

function pack(registers: Iterable<number>): number {
  let word = 0;
  let shift = 0;
  for (const register of registers) {
    if (register === NO_REG || shift === 32) continue;
    word |= register << shift;
    shift += 8;
  }
  for (; shift < 32; shift += 8) word |= NO_REG << shift;
  return word;
}

const uop = (
  klass: UopClass,
  flags: number,
  sources: Iterable<number>,
  destinations: readonly number[],
): Uop => ({
  word0: klass | flags,
  sources: pack(sources),
  destinations: (destinations[0] ?? SINK) | ((destinations[1] ?? SINK) << 8),
});

/** What an instruction reads and writes, as scoreboard registers. */
interface Operands {
  data: Set<number>;
  address: Set<number>;
  written: number[];
  vector: boolean;
}

function operands(instruction: Instruction, info: InstructionInfo): Operands {
  const address = new Set([
    scoreboardRegister(instruction.memoryBase),
    scoreboardRegister(instruction.memoryIndex),
  ]);
  const data = new Set<number>();
  const written = new Set<number>();
  let vector = false;
  const explicit = new Set<number>();
  for (let i = 0; i < instruction.opCount; i++) {
    if (instruction.opKind(i) !== OpKind.Register) continue;
    const register = scoreboardRegister(instruction.opRegister(i));
    explicit.add(register);
    const access = info.opAccess(i);
    if (isRead(access)) data.add(register);
  }
  for (const used of info.usedRegisters()) {
    const register = scoreboardRegister(used.register);
    if (register >= REG_VECTOR && register < REG_TEMP) vector = true;
    if (register === REG_X87) vector = true;
    if (isRead(used.access) && !address.has(register) && !explicit.has(register)) data.add(register);
    if (isWrite(used.access) && register !== NO_REG) {
      written.add(register);
      // Writing part of a general register keeps the rest: it reads the old value.
      if (register < 16 && RegisterExt.size(used.register) < 4) data.add(register);
    }
    used.free();
  }
  // Segment registers are read by nearly everything and written by almost nothing: not waited for.
  data.delete(REG_SYSTEM);
  data.delete(NO_REG);
  address.delete(NO_REG);
  if (instruction.rflagsRead !== 0) data.add(REG_FLAGS);
  const out = [...written];
  if (instruction.rflagsModified !== 0) out.push(REG_FLAGS);
  return { data, address, written: out, vector };
}

function classOf(instruction: Instruction, vector: boolean): UopClass {
  const m = instruction.mnemonic as number;
  if (MULTIPLY.has(m)) return UopClass.IntMul;
  if (DIVIDE.has(m)) return UopClass.IntDiv;
  if (SERIALISING.has(m) || MISC.has(m)) return UopClass.Misc;
  if (vector) return UopClass.FloatSimd;
  if (instruction.opCount > 0 && RegisterExt.isK(instruction.op0Register)) return UopClass.Predicate;
  return UopClass.IntAlu;
}

function branchKind(instruction: Instruction): BranchKind {
  if (SERIALISING.has(instruction.mnemonic as number)) {
    const flow = instruction.flowControl;
    return flow === FlowControl.Next || flow === FlowControl.Exception ? BranchKind.None : BranchKind.System;
  }
  if (
    instruction.isJmpFar ||
    instruction.isCallFar ||
    instruction.isJmpFarIndirect ||
    instruction.isCallFarIndirect
  )
    return BranchKind.System;
  switch (instruction.flowControl) {
    case FlowControl.ConditionalBranch:
      return BranchKind.Conditional;
    case FlowControl.UnconditionalBranch:
      return BranchKind.DirectJump;
    case FlowControl.Call:
      return BranchKind.DirectCall;
    case FlowControl.IndirectBranch:
      return BranchKind.IndirectJump;
    case FlowControl.IndirectCall:
      return BranchKind.IndirectCall;
    case FlowControl.Return:
      return BranchKind.Return;
    case FlowControl.Interrupt:
      return BranchKind.System;
    default:
      return BranchKind.None;
  }
}

const direct = (kind: BranchKind): boolean =>
  kind === BranchKind.Conditional || kind === BranchKind.DirectJump || kind === BranchKind.DirectCall;

/**
 * Cracks one instruction, decoded at address 0, into micro-ops. `loads` and `stores`: its access slots
 * (halves of accesses that straddle pages not counted); `rep`: slots are of a Rep kind.
 *
 * The rules, in the manner of gem5's x86 microcode: each load slot is one micro-op, each store slot one;
 * plain moves and pops take their result from the load, anything else computes in one micro-op after its
 * loads and before its stores; storing an immediate makes it first; push, pop, call, ret, leave and enter
 * move the stack pointer in a micro-op of their own; a branch is two (next address; jump), a return's or
 * memory-indirect branch's target comes from its load; xchg is three. `xor r,r` waits for r, as in gem5.
 */
export function crack(
  instruction: Instruction,
  info: InstructionInfo,
  loads: number,
  stores: number,
  rep: boolean,
): Cracked {
  const { data, address, written, vector } = operands(instruction, info);
  const kind = branchKind(instruction);
  const displacement = direct(kind)
    ? Number(BigInt.asIntN(64, instruction.nearBranchTarget)) - instruction.length
    : 0;
  const mnemonic = instruction.mnemonic as number;
  const klass = classOf(instruction, vector);
  const uops: Uop[] = [];
  if (rep) {
    uops.push(
      uop(UopClass.Mem, REP | SERIAL, [...data, ...address], [written.find((r) => r === REG_FLAGS) ?? SINK]),
    );
  } else {
    const stack = instruction.isStackInstruction && !SERIALISING.has(mnemonic);
    if (stack || STRING.has(mnemonic)) {
      for (const register of stack ? [PUSH_POP_STACK] : [Register.RSI, Register.RDI]) {
        address.add(scoreboardRegister(register));
        data.delete(scoreboardRegister(register));
      }
    }
    const results = stack ? written.filter((r) => r !== scoreboardRegister(PUSH_POP_STACK)) : written;
    const loaded: number[] = [];
    const computes =
      kind === BranchKind.None && needsCompute(instruction, mnemonic, loads, stores, stack, data, results);
    for (let i = 0; i < loads; i++) {
      const register =
        !computes && stores === 0 && i === 0 && results.length > 0 ? results[0] : REG_TEMP + (i & 1);
      uops.push(uop(UopClass.Mem, LOAD, address, [register]));
      loaded.push(register);
    }
    const memoryImmediate = stores > 0 && !computes && hasImmediate(instruction);
    let value = data;
    if (computes) {
      const out = stores > 0 ? [REG_TEMP + 2, ...results.filter((r) => r === REG_FLAGS)] : results;
      // Flags last of the kept two, whatever else is written.
      uops.push(uop(klass, 0, [...data, ...loaded, ...(loads + stores === 0 ? address : [])], keepTwo(out)));
      value = new Set([REG_TEMP + 2]);
      for (const register of stores > 0 ? results.filter((r) => r !== REG_FLAGS) : results.slice(2))
        uops.push(uop(UopClass.IntAlu, 0, data, [register]));
    } else if (memoryImmediate) {
      uops.push(uop(UopClass.IntAlu, 0, [], [REG_TEMP + 2]));
      value = new Set([REG_TEMP + 2]);
    } else if (loads > 0 && stores > 0) value = new Set(loaded);
    if (kind === BranchKind.DirectCall || kind === BranchKind.IndirectCall) {
      uops.push(uop(UopClass.IntAlu, 0, [], [REG_TEMP + 3]));
      value = new Set([REG_TEMP + 3]);
    }
    for (let i = 0; i < stores; i++) uops.push(uop(UopClass.Mem, STORE, [...address, ...value], []));
    if (stack) {
      const sp = scoreboardRegister(PUSH_POP_STACK);
      uops.push(uop(UopClass.IntAlu, 0, [sp], [sp]));
    } else if (STRING.has(mnemonic)) {
      for (const register of written.filter((r) => r === 6 || r === 7))
        uops.push(uop(UopClass.IntAlu, 0, [register], [register]));
    }
    if (kind !== BranchKind.None) pushBranch(uops, kind, data, loaded);
    if (uops.length === 0) uops.push(uop(klass, 0, data, keepTwo(results)));
  }
  if (SERIALISING.has(mnemonic) || kind === BranchKind.System || (instruction.hasLockPrefix && stores > 0)) {
    uops[0].word0 |= SERIAL;
  }
  uops[uops.length - 1].word0 |= LAST;
  return { uops, branch: kind, displacement };
}

function pushBranch(uops: Uop[], kind: BranchKind, data: Set<number>, loaded: number[]): void {
  if (kind === BranchKind.Conditional || kind === BranchKind.DirectJump || kind === BranchKind.DirectCall) {
    uops.push(uop(UopClass.IntAlu, 0, [], [REG_TEMP + 3]));
    uops.push(uop(UopClass.IntAlu, 0, [REG_TEMP + 3, ...data], []));
  } else if (kind === BranchKind.System) {
    uops.push(uop(UopClass.Misc, SERIAL, [...data, ...loaded], []));
  } else {
    uops.push(uop(UopClass.IntAlu, 0, [...data, ...loaded], []));
  }
}

function keepTwo(list: number[]): number[] {
  const flags = list.includes(REG_FLAGS);
  const others = list.filter((r) => r !== REG_FLAGS);
  return flags ? [others[0] ?? SINK, REG_FLAGS] : others.slice(0, 2);
}

function hasImmediate(instruction: Instruction): boolean {
  for (let i = 0; i < instruction.opCount; i++) {
    const kind = instruction.opKind(i);
    if (kind >= OpKind.Immediate8 && kind <= OpKind.Immediate32to64) return true;
  }
  return false;
}

function needsCompute(
  instruction: Instruction,
  mnemonic: number,
  loads: number,
  stores: number,
  stack: boolean,
  data: Set<number>,
  results: number[],
): boolean {
  if (loads + stores === 0) return !stack && mnemonic !== Mnemonic.Leave;
  if (PLAIN_MOVE.has(mnemonic)) return false;
  if (stack) return loads > 0 && stores === 0 && results.length > 1;
  if (STRING.has(mnemonic)) return results.includes(REG_FLAGS);
  if (mnemonic === Mnemonic.Xchg) return true;
  if (loads === 0) return results.includes(REG_FLAGS) || isSetcc(instruction);
  return stores > 0 || results.length > 0 || data.size > 0;
}

const isSetcc = (instruction: Instruction): boolean => instruction.rflagsRead !== 0;
