import { type Instruction, MemorySizeExt, Mnemonic, OpKind, Register, RegisterExt } from "iced-x86";
import {
  LAST_PIECE,
  LOAD,
  NO_COST,
  NO_REG,
  PIECE,
  PIECE_MASK,
  PIECE_SHIFT,
  REFETCH,
  REG_FLAGS,
  REG_MASK,
  REG_SYSTEM,
  REG_TEMP,
  REG_VECTOR,
  REG_X87,
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

/** Registers of the microcode: gem5's t1 to t7; the product (or quotient) and the flags only microcode sees. */
export const [T1, T2, T3, T4, T5, T6, T7, PRODUCT, MICRO_FLAGS] = Array.from(
  { length: 9 },
  (_, i) => REG_TEMP + i,
);
export const FLAGS = REG_FLAGS;
export const [AX, CX, DX, BX, SP, BP, SI, DI, R11] = [0, 1, 2, 3, 4, 5, 6, 7, 11];

/** Lower and upper half of vector register `n`: 64 bits each (the upper one stands for all above as well). */
export const low = (n: number): number => REG_VECTOR + 2 * (n & 15);
export const high = (n: number): number => low(n) + 1;

/** Scoreboard register of an iced register, or NO_REG; of a vector register its lower half. */
export function scoreboardRegister(register: Register): number {
  if (register === Register.None) return NO_REG;
  if (RegisterExt.isGPR(register)) return RegisterExt.number(RegisterExt.fullRegister(register));
  if (RegisterExt.isVectorRegister(register)) return low(RegisterExt.number(register));
  if (RegisterExt.isST(register) || RegisterExt.isMM(register)) return REG_X87;
  if (RegisterExt.isK(register)) return REG_MASK;
  if (
    RegisterExt.isSegmentRegister(register) ||
    RegisterExt.isCR(register) ||
    RegisterExt.isDR(register) ||
    RegisterExt.isBND(register)
  )
    return REG_SYSTEM;
  return NO_REG;
}

export const isVector = (register: number): boolean => register >= REG_VECTOR && register < REG_TEMP;

/** Operand kinds as gem5's microcode tells them apart. */
export const Kind = { None: 0, Register: 1, Memory: 2, Immediate: 3, Other: 4 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

const MEMORY_KINDS = new Set<number>([
  OpKind.Memory,
  OpKind.MemorySegSI,
  OpKind.MemorySegESI,
  OpKind.MemorySegRSI,
  OpKind.MemorySegDI,
  OpKind.MemorySegEDI,
  OpKind.MemorySegRDI,
  OpKind.MemoryESDI,
  OpKind.MemoryESEDI,
  OpKind.MemoryESRDI,
]);

/**
 * The micro-ops of one instruction in the making. Each load or store slot of the instruction becomes one
 * micro-op of class Mem, whatever the microcode asks for: accesses are what was captured.
 */
export class Emitter {
  readonly uops: Uop[] = [];
  private loadsLeft: number;
  private storesLeft: number;
  private readonly address: readonly number[];
  private readonly relative: boolean;

  constructor(
    readonly instruction: Instruction,
    readonly loads: number,
    readonly stores: number,
  ) {
    this.loadsLeft = loads;
    this.storesLeft = stores;
    this.relative = instruction.isIpRelMemoryOperand;
    this.address = this.relative
      ? [T7]
      : [scoreboardRegister(instruction.memoryBase), scoreboardRegister(instruction.memoryIndex)];
  }

  kind(operand: number): Kind {
    const { instruction } = this;
    if (operand >= instruction.opCount) return Kind.None;
    const kind = instruction.opKind(operand);
    if (kind === OpKind.Register) return Kind.Register;
    if (MEMORY_KINDS.has(kind)) return Kind.Memory;
    return kind >= OpKind.Immediate8 && kind <= OpKind.Immediate32to64 ? Kind.Immediate : Kind.Other;
  }

  /** Scoreboard register of a register operand. */
  register(operand: number): number {
    return scoreboardRegister(this.instruction.opRegister(operand));
  }

  /** Bytes of a register operand. */
  size(operand: number): number {
    return RegisterExt.size(this.instruction.opRegister(operand));
  }

  emit(klass: UopClass, destinations: readonly number[], sources: readonly number[], flags2 = 0): void {
    let word = 0;
    let shift = 0;
    for (const register of sources) {
      if (register === NO_REG || shift === 32) continue;
      word |= register << shift;
      shift += 8;
    }
    for (; shift < 32; shift += 8) word |= NO_REG << shift;
    this.uops.push({
      word0: klass,
      sources: word,
      destinations: (destinations[0] ?? SINK) | ((destinations[1] ?? SINK) << 8) | flags2,
    });
  }

  alu(destinations: readonly number[], sources: readonly number[]): void {
    this.emit(UopClass.IntAlu, destinations, sources);
  }

  /** A copy of half a vector register; gem5's reads what it overwrites. */
  copy(destination: number, source: number): void {
    this.alu([destination], [destination, source]);
  }

  simd(destinations: readonly number[], sources: readonly number[]): void {
    this.emit(UopClass.FloatSimd, destinations, sources);
  }

  /** Makes an immediate. */
  immediate(destination: number): void {
    this.alu([destination], []);
  }

  /** A micro-op of no operation class: nothing but a place in issue. */
  free(): void {
    this.emit(UopClass.Misc, [], [], NO_COST);
  }

  /** A branch inside the microcode, taken or not, on `condition`. A taken one costs a redirect of fetch. */
  microBranch(taken: boolean, condition: readonly number[] = [MICRO_FLAGS]): void {
    this.emit(UopClass.IntAlu, [], condition, taken ? REFETCH : 0);
  }

  /** Reads the instruction pointer where the memory operand is relative to it. */
  relativeBase(): void {
    if (this.relative) this.alu([T7], []);
  }

  /** lea: the memory operand's address, computed; gem5's reads what it overwrites. */
  effectiveAddress(destination: number, ...more: readonly number[]): void {
    this.alu([destination], [...this.address, destination, ...more]);
  }

  /**
   * All loads: the i-th into the i-th of `destinations`, the last of which takes all that follow. `kept`: what
   * a destination that is only written in part keeps.
   */
  load(
    destinations: readonly number[],
    address: readonly number[] = this.address,
    kept: readonly number[] = [],
  ): void {
    const wide = this.pieces(this.loadsLeft, destinations);
    const single = this.loadsLeft === 1 && wide.length === 0;
    for (let i = 0; this.loadsLeft > 0; i++, this.loadsLeft--) {
      const into = single ? destinations : [destinations[Math.min(i, destinations.length - 1)] ?? SINK];
      this.emit(UopClass.Mem, into, [...address, ...kept]);
      this.uops[this.uops.length - 1].word0 |= LOAD;
    }
    // No load merges with the miss of its first piece in gem5's MinorCPU (test/validation: sha256): the others wait for that one.
    for (const register of wide) {
      this.emit(UopClass.Mem, [register], [...address, destinations[0]]);
      this.uops[this.uops.length - 1].word0 |= LOAD | PIECE;
    }
    this.number(wide.length);
  }

  /** All stores: the i-th of the i-th of `values`, the last of which is stored by all that follow. */
  store(values: readonly number[], address: readonly number[] = this.address): void {
    const wide = this.pieces(this.storesLeft, values);
    for (let i = 0; this.storesLeft > 0; i++, this.storesLeft--) {
      this.emit(UopClass.Mem, [], [values[Math.min(i, values.length - 1)] ?? NO_REG, ...address]);
      this.uops[this.uops.length - 1].word0 |= STORE;
    }
    for (const register of wide) {
      this.emit(UopClass.Mem, [], [register, ...address]);
      this.uops[this.uops.length - 1].word0 |= STORE | PIECE;
    }
    this.number(wide.length);
  }

  /**
   * gem5 accesses a vector in pieces of 8 bytes. Where the capture has one access of 16 or more, each piece is a micro-op;
   * cmpxchg16b accesses all at once.
   * @returns registers of those behind the first.
   */
  private pieces(slots: number, registers: readonly number[]): number[] {
    if (slots !== 1 || registers.length < 2 || this.instruction.mnemonic === Mnemonic.Cmpxchg16b) return [];
    const pieces = MemorySizeExt.size(this.instruction.memorySize) >> 3;
    if (pieces < 2 || pieces > PIECE_MASK + 1) return [];
    return Array.from({ length: pieces - 1 }, () => registers[1]);
  }

  /** The last micro-op and the `more` before it are pieces of one access. */
  private number(more: number): void {
    if (more === 0) return;
    const first = this.uops.length - 1 - more;
    for (let piece = 0; piece <= more; piece++) {
      const uop = this.uops[first + piece];
      uop.word0 |= PIECE;
      uop.destinations |= (piece << PIECE_SHIFT) | (piece === more ? LAST_PIECE : 0);
    }
  }

  /** Whether memory operands are locked: between two fences, the first of which serialises. */
  get locked(): boolean {
    return this.stores > 0 && this.instruction.hasLockPrefix;
  }

  fence(serial: boolean): void {
    this.alu([], []);
    if (serial) this.uops[this.uops.length - 1].word0 |= SERIAL;
  }
}
