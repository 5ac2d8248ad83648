import {
  FlowControl,
  type Instruction,
  type InstructionInfo,
  type InstructionInfoFactory,
  Mnemonic,
  OpAccess,
  RegisterExt,
} from "iced-x86";
import { CX, DI, Emitter, FLAGS, Kind, SI, scoreboardRegister, T1, T2, T3, type Uop } from "./emitter.js";
import { MICROCODE } from "./microcode.js";
import {
  BranchKind,
  LAST,
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
  UopClass,
} from "./rows.js";
import { usesVectors, vector } from "./vector.js";

export type { Uop } from "./emitter.js";

/** An instruction as micro-ops. */
export interface Cracked {
  uops: Uop[];
  branch: BranchKind;
  /** Target minus the address of the next instruction, for direct branches. */
  displacement: number;
}

const names = (list: string): Set<number> =>
  new Set(list.split(" ").map((n) => Mnemonic[n as keyof typeof Mnemonic] as number));

const SERIALISING = names(
  "Cpuid Lfence Mfence Wrmsr Rdmsr Iretq Iret Iretd Syscall Sysret Sysretq Sysexit Sysenter Hlt Invlpg Wbinvd Invd Swapgs In Out Insb Insw Insd Outsb Outsw Outsd Lgdt Lidt Ltr Lldt Xsetbv Invpcid Int Int3 Int1 Into Wrpkru Rdtscp Rdtsc Serialize Rsm Vmcall Mwait Clts Lmsw Xsave Xsave64 Xsaveopt Xsaveopt64 Xsavec Xsavec64 Xsaves Xsaves64 Xrstor Xrstor64 Xrstors Xrstors64 Fxsave Fxsave64 Fxrstor Fxrstor64",
);
const MISC = names("Sti Cli Stac Clac");
/** gem5 has no such instructions, or they do too much to say how: one computing micro-op of this class. */
const MULTIPLY = names("Mulx");

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

function branchKind(instruction: Instruction): BranchKind {
  const flow = instruction.flowControl;
  if (flow === FlowControl.Next) return BranchKind.None;
  if (SERIALISING.has(instruction.mnemonic as number))
    return flow === FlowControl.Exception ? BranchKind.None : BranchKind.System;
  if (
    instruction.isJmpFar ||
    instruction.isCallFar ||
    instruction.isJmpFarIndirect ||
    instruction.isCallFarIndirect
  )
    return BranchKind.System;
  switch (flow) {
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
 * Micro-ops are those of gem5's x86 microcode (`microcode.ts`, `vector.ts`); what is in neither, and what
 * gem5 does not implement, is one micro-op that computes, after its loads and before its stores. Each slot is
 * one micro-op.
 */
export function crack(
  factory: InstructionInfoFactory,
  instruction: Instruction,
  loads: number,
  stores: number,
  rep: boolean,
): Cracked {
  const kind = branchKind(instruction);
  const displacement = direct(kind)
    ? Number(BigInt.asIntN(64, instruction.nearBranchTarget)) - instruction.length
    : 0;
  const mnemonic = instruction.mnemonic as number;
  const e = new Emitter(instruction, loads, stores);
  if (rep) {
    e.emit(UopClass.Mem, [FLAGS], [CX, SI, DI]);
    e.uops[0].word0 |= REP | SERIAL;
  } else {
    const microcode = MICROCODE.get(mnemonic);
    if (microcode !== undefined) microcode(e);
    else if (instruction.isStringInstruction) doubleWordString(e, mnemonic);
    else if (usesVectors(e)) vector(e, () => readsFirst(factory, instruction));
    else generic(factory, e, kind);
    // Slots that the microcode does not know of.
    e.load([T1, T2]);
    e.store([T1]);
    if (e.uops.length === 0) e.free();
  }
  const { uops } = e;
  if (SERIALISING.has(mnemonic) || kind === BranchKind.System || writesControl(instruction)) {
    uops[0].word0 |= SERIAL;
  }
  uops[uops.length - 1].word0 |= LAST;
  return { uops, branch: kind, displacement };
}

/** movsd and cmpsd are the names of a string and of a vector instruction. */
function doubleWordString(e: Emitter, mnemonic: number): void {
  const other = mnemonic === Mnemonic.Movsd ? Mnemonic.Movsq : Mnemonic.Cmpsq;
  MICROCODE.get(other as number)?.(e);
}

function writesControl(instruction: Instruction): boolean {
  if (instruction.mnemonic !== Mnemonic.Mov) return false;
  const register = instruction.op0Register;
  return RegisterExt.isCR(register) || RegisterExt.isDR(register);
}

function readsFirst(factory: InstructionInfoFactory, instruction: Instruction): boolean {
  const info = factory.info(instruction);
  const reads = isRead(info.opAccess(0));
  info.free();
  return reads;
}

/** What an instruction reads and writes, as scoreboard registers. */
function operands(e: Emitter, info: InstructionInfo): { data: Set<number>; written: number[]; x87: boolean } {
  const { instruction } = e;
  const address = new Set([
    scoreboardRegister(instruction.memoryBase),
    scoreboardRegister(instruction.memoryIndex),
  ]);
  const data = new Set<number>();
  const written = new Set<number>();
  const explicit = new Set<number>();
  let x87 = false;
  for (let i = 0; i < instruction.opCount; i++) {
    if (e.kind(i) !== Kind.Register) continue;
    explicit.add(e.register(i));
    if (isRead(info.opAccess(i))) data.add(e.register(i));
  }
  for (const used of info.usedRegisters()) {
    const register = scoreboardRegister(used.register);
    if (register === REG_X87 || (register >= REG_VECTOR && register < REG_TEMP)) x87 = true;
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
  if (instruction.rflagsRead !== 0) data.add(REG_FLAGS);
  const out = [...written];
  if (instruction.rflagsModified !== 0) out.push(REG_FLAGS);
  return { data, written: out, x87 };
}

function generic(factory: InstructionInfoFactory, e: Emitter, kind: BranchKind): void {
  const { instruction } = e;
  const info = factory.info(instruction);
  const { data, written, x87 } = operands(e, info);
  info.free();
  const mnemonic = instruction.mnemonic as number;
  let klass: UopClass = UopClass.IntAlu;
  if (MULTIPLY.has(mnemonic)) klass = UopClass.IntMul;
  else if (SERIALISING.has(mnemonic) || MISC.has(mnemonic)) klass = UopClass.Misc;
  else if (x87) klass = UopClass.FloatSimd;
  else if (written.includes(REG_MASK)) klass = UopClass.Predicate;
  e.relativeBase();
  e.load([T1, T2]);
  const loaded = e.loads > 1 ? [T1, T2] : e.loads > 0 ? [T1] : [];
  const flags = written.includes(REG_FLAGS);
  const others = written.filter((r) => r !== REG_FLAGS);
  const first = e.stores > 0 ? T3 : (others[0] ?? SINK);
  // Flags last of the kept two, whatever else is written.
  e.emit(klass, [first, flags ? REG_FLAGS : (others[e.stores > 0 ? 0 : 1] ?? SINK)], [...loaded, ...data]);
  for (const register of others.slice(e.stores > 0 ? (flags ? 0 : 1) : flags ? 1 : 2))
    e.alu([register], [...data]);
  e.store([T3]);
  if (kind === BranchKind.System) {
    e.emit(UopClass.Misc, [], loaded);
    e.uops[e.uops.length - 1].word0 |= SERIAL;
  } else if (kind !== BranchKind.None) e.alu([], loaded);
}
