import { Mnemonic, RegisterExt } from "iced-x86";
import { type Emitter, isVector, Kind, MICRO_FLAGS, T1, T2, T3, T4 } from "./emitter.js";

// Vector instructions that move elements from half to half, and the halves themselves.

/** Half `part` of a register operand; anything but a vector register is whole. */
export function half(e: Emitter, operand: number, part: number): number {
  const register = e.register(operand);
  return isVector(register) && part > 0 ? register + 1 : register;
}

/** 64-bit parts of the widest vector register operand: 1 for MMX. */
export function parts(e: Emitter): number {
  let widest = 8;
  for (let i = 0; i < e.instruction.opCount; i++) {
    if (e.kind(i) === Kind.Register && RegisterExt.isVectorRegister(e.instruction.opRegister(i)))
      widest = Math.max(widest, e.size(i));
  }
  return widest / 8;
}

/** Upper half of a source: of a register, or alone of memory, whose address is computed first. */
export function upperHalf(e: Emitter, operand: number): number {
  if (e.kind(operand) !== Kind.Memory) return half(e, operand, 1);
  e.effectiveAddress(T4);
  e.load([T1], [T4]);
  return T1;
}

export function unpack(e: Emitter, part: number): void {
  const last = e.instruction.opCount - 1;
  const first = half(e, last > 1 ? 1 : 0, part);
  let source = T1;
  if (e.kind(last) === Kind.Register) source = half(e, last, part);
  else if (part > 0) source = upperHalf(e, last);
  else e.load(parts(e) > 2 ? [T1, T2] : [T1]);
  for (let p = 0; p < parts(e); p++) e.simd([half(e, 0, (p & 1) ^ part ^ 1)], [first, source]);
}

export function shiftByCount(e: Emitter): void {
  const last = e.instruction.opCount - 1;
  const first = last > 1 ? 1 : 0;
  const memory = e.kind(last) === Kind.Memory;
  if (memory) e.load([T1]);
  const count = memory ? T1 : e.register(last);
  for (let p = 0; p < parts(e); p++) {
    const part = memory ? p : p ^ 1;
    e.simd([half(e, 0, part)], [half(e, first, part), count]);
  }
}

/** pextrw and the like: each half is asked for the element, and has it or not. */
export function extract(e: Emitter): void {
  const into = e.kind(0) === Kind.Memory ? T1 : e.register(0);
  const vector = isVector(e.register(1));
  for (let p = 0; p < (vector ? 2 : 1); p++) e.simd([into], [into, half(e, 1, p)]);
  e.store([T1]);
}

/** pinsrw and the like: each half is offered the element. */
export function insert(e: Emitter): void {
  const last = e.instruction.opCount - 2;
  let source = T1;
  if (e.kind(last) === Kind.Memory) e.load([T1]);
  else source = e.register(last);
  const first = last > 1 ? 1 : 0;
  for (let p = 0; p < parts(e); p++) e.simd([half(e, 0, p)], [half(e, first, p), source]);
}

/** Counts to 8, to 16 and beyond take different ways through the microcode; a way taken is a redirect. */
export function shiftBytes(e: Emitter): void {
  const last = e.instruction.opCount - 1;
  const count = Number(e.instruction.immediate(last));
  const source = last > 1 ? 1 : 0;
  const left = (Mnemonic[e.instruction.mnemonic as number] ?? "").toLowerCase().endsWith("slldq");
  const [into, rest] = left ? [half(e, 0, 1), half(e, 0, 0)] : [half(e, 0, 0), half(e, 0, 1)];
  const [kept, moved] = left
    ? [half(e, source, 1), half(e, source, 0)]
    : [half(e, source, 0), half(e, source, 1)];
  e.immediate(T2);
  e.alu([T1, MICRO_FLAGS], [T2]);
  e.microBranch(count <= 8);
  if (count <= 8) {
    e.simd([T3], [moved]);
    e.simd([into], [kept]);
    e.simd([rest], [moved]);
    e.simd([into], [into, T3]);
  } else {
    e.immediate(T2);
    e.alu([T1, MICRO_FLAGS], [T2]);
    e.microBranch(count <= 16);
    if (count <= 16) e.simd([into], [moved]);
    else e.simd([into], []);
    e.simd([rest], []);
    e.microBranch(true, []);
  }
  e.free();
}

/** Lower half of the result from one source, upper half from the next; of one source alone, from that. */
export function shuffle(e: Emitter, count: number, keeps: boolean): void {
  const { instruction } = e;
  let last = instruction.opCount - 1;
  while (last > 0 && e.kind(last) === Kind.Immediate) last--;
  const both = (operand: number): number[] =>
    e.kind(operand) === Kind.Memory ? [T1, T2] : [half(e, operand, 0), half(e, operand, 1)];
  const kept = (register: number): number[] => (keeps ? [register] : []);
  const [lower, upper] = [half(e, 0, 0), half(e, 0, 1)];
  const mnemonic = instruction.mnemonic;
  const alone = mnemonic === Mnemonic.Pshufd || mnemonic === Mnemonic.Vpshufd;
  const aligns = mnemonic === Mnemonic.Palignr || mnemonic === Mnemonic.Vpalignr;
  const first = both(alone ? last : last > 1 ? 1 : 0);
  const waits = e.loads === 0;
  const into = waits ? T3 : lower;
  e.simd([into], aligns ? [...first, ...both(last)] : [...first, ...kept(into)]);
  for (let p = 1; p < count; p++)
    e.simd([upper], aligns ? [...first, ...both(last)] : [...both(last), ...kept(upper)]);
  if (waits) e.copy(lower, T3);
}
