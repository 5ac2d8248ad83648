import { Mnemonic, OpKind, Register, RegisterExt } from "iced-x86";
import { type Emitter, FLAGS, high, isVector, Kind, low, MICRO_FLAGS, T1, T2, T3 } from "./emitter.js";
import { REG_MASK } from "./rows.js";

/**
 * Vector instructions: as in gem5's microcode an operation on 128 bits is two micro-ops, one for each half.
 * A plain copy of a half is an integer micro-op there.
 * What gem5 has not (AVX, AVX2, AVX-512, AES, SHA, BMI) follows the same rule: one for each 64 bits.
 */
const Shape = {
  /** Each 64 bits by themselves. */
  Packed: 0,
  /** One element: one micro-op. */
  Scalar: 1,
  Move: 2,
  /** movd, movq: the rest of the register is zeroed. */
  MoveLow: 3,
  MoveScalar: 4,
  /** movlps, movhps and the like: one half. */
  MoveHalf: 5,
  /** unpckhpd, punpckhqdq: two copies. */
  MoveUpper: 11,
  /** Each half needs both halves; the first result waits in a temporary. */
  Shuffle: 6,
  Mask: 7,
  /** Between a general and a vector register: through a temporary. */
  Convert: 8,
  /** pshufhw, pshuflw. */
  ShuffleHalf: 9,
  /** Whole-register shift by bytes: a microcode branch chooses by the count. */
  ShiftBytes: 10,
} as const;
type Shape = (typeof Shape)[keyof typeof Shape];

const shapes = new Map<number, Shape>();

function shapeOf(mnemonic: number): Shape {
  let shape = shapes.get(mnemonic);
  if (shape === undefined) {
    shape = byName((Mnemonic[mnemonic] ?? "").toLowerCase().replace(/^v/, ""));
    shapes.set(mnemonic, shape);
  }
  return shape;
}

function byName(name: string): Shape {
  if (/^(mov(nt|)(dqa|dqu|aps|ups|apd|upd|ps|pd|dq)(8|16|32|64|)|movntdqa|lddqu)$/.test(name))
    return Shape.Move;
  if (name === "movd" || name === "movq") return Shape.MoveLow;
  if (name === "movss" || name === "movsd") return Shape.MoveScalar;
  if (/^mov(hlps|lhps|lps|hps|lpd|hpd|q2dq|dq2q)$/.test(name) || /^p?unpckl(pd|qdq)$/.test(name))
    return Shape.MoveHalf;
  if (/^p?unpckh(pd|qdq)$/.test(name)) return Shape.MoveUpper;
  if (/^(pshufd|shufps|shufpd|packss|packus|palignr)/.test(name)) return Shape.Shuffle;
  if (/^(pmovmskb|movmskp[sd])$/.test(name)) return Shape.Mask;
  if (/^(cvtt?s[sd]2u?si|cvtu?si2s[sd]|pextr|pinsr|extractps)/.test(name)) return Shape.Convert;
  if (name === "pshufhw" || name === "pshuflw") return Shape.ShuffleHalf;
  if (name === "psrldq" || name === "pslldq") return Shape.ShiftBytes;
  if (!name.startsWith("p") && /s[sd]$/.test(name)) return Shape.Scalar;
  return Shape.Packed;
}

/** Half `part` of a register operand; anything but a vector register is whole. */
function half(e: Emitter, operand: number, part: number): number {
  const register = e.register(operand);
  return isVector(register) && part > 0 ? register + 1 : register;
}

/** 64-bit parts of the widest vector register operand: 1 for MMX. */
function parts(e: Emitter): number {
  let widest = 8;
  for (let i = 0; i < e.instruction.opCount; i++) {
    if (e.kind(i) === Kind.Register && RegisterExt.isVectorRegister(e.instruction.opRegister(i)))
      widest = Math.max(widest, e.size(i));
  }
  return widest / 8;
}

/** Whether an operand is a vector or MMX register. */
export function usesVectors(e: Emitter): boolean {
  for (let i = 0; i < e.instruction.opCount; i++) {
    if (e.instruction.opKind(i) !== OpKind.Register) continue;
    const register = e.instruction.opRegister(i);
    if (RegisterExt.isVectorRegister(register) || RegisterExt.isMM(register)) return true;
  }
  return false;
}

/** @param reads whether operand 0 is read, asked only where it matters. */
export function vector(e: Emitter, reads: () => boolean): void {
  const shape = shapeOf(e.instruction.mnemonic as number);
  const to = e.kind(0);
  const from = e.instruction.opCount > 1 ? e.kind(1) : Kind.None;
  e.relativeBase();
  switch (shape) {
    case Shape.Move:
      if (from === Kind.Memory) e.load([e.register(0), half(e, 0, 1)]);
      else if (to === Kind.Memory) e.store([e.register(1), half(e, 1, 1)]);
      else for (let p = 0; p < parts(e); p++) e.alu([half(e, 0, p)], [half(e, 1, p)]);
      return;
    case Shape.MoveLow:
      if (to === Kind.Memory) e.store([e.register(1)]);
      else if (!isVector(e.register(0))) {
        if (from === Kind.Memory) e.load([e.register(0)]);
        else e.simd([e.register(0)], [e.register(1)]);
      } else {
        if (from === Kind.Memory) e.load([e.register(0)]);
        else if (isVector(e.register(1))) e.alu([e.register(0)], [e.register(1)]);
        else e.simd([e.register(0)], [e.register(1)]);
        e.simd([half(e, 0, 1)], []);
      }
      return;
    case Shape.MoveScalar:
      if (to === Kind.Memory) e.store([e.register(1)]);
      else if (from === Kind.Memory) {
        const single =
          e.instruction.mnemonic === Mnemonic.Movss || e.instruction.mnemonic === Mnemonic.Vmovss;
        if (single) e.simd([e.register(0)], []);
        e.simd([half(e, 0, 1)], []);
        e.load([e.register(0)]);
      } else e.alu([e.register(0)], [e.register(e.instruction.opCount - 1)]);
      return;
    case Shape.MoveHalf:
      moveHalf(e, to, from);
      return;
    case Shape.MoveUpper: {
      const last = e.instruction.opCount - 1;
      e.load([T1, T2]);
      e.alu([e.register(0)], [half(e, last > 1 ? 1 : 0, 1)]);
      e.alu([half(e, 0, 1)], [e.kind(last) === Kind.Memory ? T2 : half(e, last, 1)]);
      return;
    }
    case Shape.Mask: {
      const register = e.register(0);
      e.immediate(register);
      for (let p = 0; p < parts(e); p++) e.simd([register], [register, half(e, 1, p)]);
      return;
    }
    case Shape.Convert:
      convert(e, to);
      return;
    case Shape.ShiftBytes:
      shiftBytes(e);
      return;
    default:
      compute(e, shape, reads);
  }
}

function moveHalf(e: Emitter, to: Kind, from: Kind): void {
  const name = Mnemonic[e.instruction.mnemonic as number].toLowerCase().replace(/^v/, "");
  const upper = /^mov(lhps|hp[sd])$/.test(name) || name.includes("unpckl") ? 1 : 0;
  const last = e.instruction.opCount - 1;
  if (to === Kind.Memory) e.store([half(e, last, upper)]);
  else if (from === Kind.Memory || e.loads > 0) e.load([half(e, 0, upper)]);
  else e.alu([half(e, 0, upper)], [half(e, last, name === "movhlps" ? 1 : 0)]);
}

function convert(e: Emitter, to: Kind): void {
  const last = e.instruction.opCount - 1;
  let source = T1;
  let at = last;
  while (at > 0 && e.kind(at) === Kind.Immediate) at--;
  if (e.kind(at) === Kind.Memory) {
    e.load([T1]);
    if (isVector(e.register(0))) {
      e.simd([e.register(0)], [T1]);
      return;
    }
  } else source = e.register(at);
  e.simd([T2], [source]);
  if (to === Kind.Memory) e.store([T2]);
  else e.simd([e.register(0)], [T2]);
}

/** Counts to 8, to 16 and beyond take different ways through the microcode; a way taken is a redirect. */
function shiftBytes(e: Emitter): void {
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
    e.microBranch(true);
  }
  e.free();
}

/** Everything that computes: from registers, or from what is loaded first. */
function compute(e: Emitter, shape: Shape, reads: () => boolean): void {
  const { instruction } = e;
  const to = e.kind(0);
  e.load([T1, T2]);
  const masked = instruction.opMask !== Register.None ? [REG_MASK] : [];
  const firstSource = to === Kind.Register && !reads() ? 1 : 0;
  const sources = (part: number, both: boolean): number[] => {
    const list: number[] = [];
    for (let i = firstSource; i < instruction.opCount && list.length < 3; i++) {
      const kind = e.kind(i);
      if (kind === Kind.Memory) {
        if (e.loads > 0) list.push(part > 0 && e.loads > 1 ? T2 : T1);
      } else if (kind === Kind.Register) {
        list.push(half(e, i, part));
        if (both && isVector(e.register(i))) list.push(half(e, i, 1 - part));
      }
    }
    return [...list, ...masked].slice(0, 4);
  };
  const setsFlags = instruction.rflagsModified !== 0;
  if (to === Kind.Memory || !isVector(e.register(0))) {
    // To memory, a general, mask or MMX register.
    const target = to === Kind.Memory ? T1 : e.register(0);
    const count = to === Kind.Memory ? Math.max(1, e.stores) : 1;
    for (let p = 0; p < count; p++) e.simd([p > 0 ? T2 : target], sources(Math.min(p, 1), false));
    e.store([T1, T2]);
    return;
  }
  if (setsFlags) {
    e.simd([FLAGS], sources(0, false));
    return;
  }
  if (shape === Shape.Scalar) {
    e.simd([e.register(0)], sources(0, false));
    return;
  }
  if (shape === Shape.ShuffleHalf) {
    const upper = instruction.mnemonic === Mnemonic.Pshufhw || instruction.mnemonic === Mnemonic.Vpshufhw;
    e.simd([half(e, 0, upper ? 1 : 0)], sources(upper ? 1 : 0, false));
    return;
  }
  const count = parts(e);
  if (shape === Shape.Shuffle && count > 1) {
    const number = RegisterExt.number(instruction.op0Register);
    const waits = e.loads === 0;
    e.simd([waits ? T3 : low(number)], sources(0, true));
    for (let p = 1; p < count; p++) e.simd([high(number)], sources(1, true));
    if (waits) e.alu([low(number)], [T3]);
    return;
  }
  for (let p = 0; p < count; p++) e.simd([half(e, 0, p)], sources(Math.min(p, 1), false));
}
