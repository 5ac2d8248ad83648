import { MemorySizeExt, Mnemonic, OpKind, Register, RegisterExt } from "iced-x86";
import { type Emitter, FLAGS, isVector, Kind, T1, T2, T3, T4 } from "./emitter.js";
import {
  extract,
  half,
  insert,
  parts,
  shiftByCount,
  shiftBytes,
  shuffle,
  unpack,
  upperHalf,
} from "./rearrange.js";
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
  /** Both results from the sources' lower halves, the upper one first, or from their upper halves. */
  UnpackLow: 12,
  UnpackHigh: 13,
  /** Each half needs both halves; the first result waits in a temporary. */
  Shuffle: 6,
  Mask: 7,
  /** Between a general and a vector register: through a temporary. */
  Convert: 8,
  /** pshufhw, pshuflw. */
  ShuffleHalf: 9,
  /** Whole-register shift by bytes: a microcode branch chooses by the count. */
  ShiftBytes: 10,
  /** By a count in a register or in memory: both halves read its lower half. */
  ShiftCount: 14,
  /** pmaddwd: two products and their sum in each half. */
  MultiplyAdd: 15,
  /** Conversions of packed elements to wider, and to narrower ones. */
  Widen: 16,
  Narrow: 17,
  /** pextrw and the like: both halves are tried, and so for pinsrw. */
  Extract: 18,
  Insert: 19,
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
  if (/^p?unpckl/.test(name)) return Shape.UnpackLow;
  if (/^p?unpckh/.test(name)) return Shape.UnpackHigh;
  if (/^(pshufd|shufps|shufpd|packss|packus|palignr)/.test(name)) return Shape.Shuffle;
  if (/^(pmovmskb|movmskp[sd])$/.test(name)) return Shape.Mask;
  if (/^(cvtt?s[sd]2u?si|cvtu?si2s[sd])/.test(name)) return Shape.Convert;
  if (/^(pextr|extractps)/.test(name)) return Shape.Extract;
  if (name.startsWith("pinsr")) return Shape.Insert;
  if (/^(cvtps2pd|cvtdq2pd)$/.test(name)) return Shape.Widen;
  if (/^cvtt?pd2(ps|dq)$/.test(name)) return Shape.Narrow;
  if (name === "pmaddwd") return Shape.MultiplyAdd;
  if (/^ps(ll|rl|ra)[wdq]$/.test(name)) return Shape.ShiftCount;
  if (name === "pshufhw" || name === "pshuflw") return Shape.ShuffleHalf;
  if (name === "psrldq" || name === "pslldq") return Shape.ShiftBytes;
  if (!name.startsWith("p") && /s[sd]$/.test(name)) return Shape.Scalar;
  return Shape.Packed;
}

/** gem5 computes the address of their memory operand first; not so for xorps and xorpd. */
const ADDRESS_FIRST = new Set<number>([
  Mnemonic.Andps,
  Mnemonic.Andpd,
  Mnemonic.Andnps,
  Mnemonic.Andnpd,
  Mnemonic.Orps,
  Mnemonic.Orpd,
  Mnemonic.Pand,
  Mnemonic.Pandn,
  Mnemonic.Por,
  Mnemonic.Pxor,
]);

/** Micro-ops that leave elements alone, or could, read what they overwrite. */
const KEEPS = /^V?(sqrt|rcp|cvt|pshuf|shufp)/i;

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
      else if (to === Kind.Memory) {
        const values = [e.register(1), half(e, 1, 1)];
        e.store(e.instruction.mnemonic === Mnemonic.Movaps ? values.reverse() : values);
      } else for (let p = 0; p < parts(e); p++) e.copy(half(e, 0, p), half(e, 1, p));
      return;
    case Shape.MoveLow:
      if (to === Kind.Memory) e.store([e.register(1)]);
      else if (!isVector(e.register(0))) {
        if (from === Kind.Memory) e.load([e.register(0)]);
        else e.simd([e.register(0)], [e.register(0), e.register(1)]);
      } else {
        if (from === Kind.Memory) e.load([e.register(0)]);
        else if (isVector(e.register(1))) e.copy(e.register(0), e.register(1));
        else e.simd([e.register(0)], [e.register(0), e.register(1)]);
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
      } else e.copy(e.register(0), e.register(e.instruction.opCount - 1));
      return;
    case Shape.MoveHalf:
      moveHalf(e, to, from);
      return;
    case Shape.MoveUpper: {
      const last = e.instruction.opCount - 1;
      const source = upperHalf(e, last);
      e.copy(e.register(0), half(e, last > 1 ? 1 : 0, 1));
      e.copy(half(e, 0, 1), source);
      return;
    }
    case Shape.UnpackLow:
    case Shape.UnpackHigh:
      unpack(e, shape === Shape.UnpackLow ? 0 : 1);
      return;
    case Shape.ShiftCount:
      if (e.kind(e.instruction.opCount - 1) === Kind.Immediate) compute(e, shape, reads);
      else shiftByCount(e);
      return;
    case Shape.MultiplyAdd:
      multiplyAdd(e);
      return;
    case Shape.Widen:
      widen(e);
      return;
    case Shape.Narrow:
      narrow(e);
      return;
    case Shape.Extract:
      extract(e);
      return;
    case Shape.Insert:
      insert(e);
      return;
    case Shape.Mask: {
      const register = e.register(0);
      e.immediate(register);
      for (let p = 0; p < parts(e); p++) e.simd([register], [register, half(e, 1, p)]);
      return;
    }
    case Shape.Convert:
      convert(e);
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
  else e.copy(half(e, 0, upper), half(e, last, name === "movhlps" ? 1 : 0));
}

function multiplyAdd(e: Emitter): void {
  const last = e.instruction.opCount - 1;
  const memory = e.kind(last) === Kind.Memory;
  e.load([T1, T2]);
  for (let p = 0; p < parts(e); p++) {
    const source = memory ? (p > 0 ? T2 : T1) : half(e, last, p);
    const first = half(e, last > 1 ? 1 : 0, p);
    e.simd([T3], [first, source]);
    e.simd([T4], [first, source]);
    e.simd([half(e, 0, p)], [T3, T4]);
  }
}

function widen(e: Emitter): void {
  const memory = e.kind(1) === Kind.Memory;
  if (memory) e.load([T1]);
  const source = memory ? T1 : e.register(1);
  const lowerFirst = memory && e.instruction.mnemonic === Mnemonic.Cvtdq2pd;
  for (let p = 0; p < parts(e); p++) {
    const into = half(e, 0, lowerFirst ? p : p ^ 1);
    e.simd([into], [into, source]);
  }
}

function narrow(e: Emitter): void {
  const memory = e.kind(1) === Kind.Memory;
  e.load([T1, T2]);
  const into = e.register(0);
  e.simd([into], [into, memory ? T1 : half(e, 1, 0)]);
  e.simd([into], [into, memory ? T2 : half(e, 1, 1)]);
  e.simd([half(e, 0, 1)], []);
}

function convert(e: Emitter): void {
  const last = e.instruction.opCount - 1;
  const into = e.register(0);
  let source = T1;
  if (e.kind(last) === Kind.Memory) {
    e.load([T1]);
    if (isVector(into)) {
      e.simd([into], [into, T1]);
      return;
    }
  } else source = e.register(last);
  e.simd([T2], [source]);
  e.simd([into], [into, T2]);
}

/** Everything that computes: from registers, or from what is loaded first. */
function compute(e: Emitter, shape: Shape, reads: () => boolean): void {
  const { instruction } = e;
  const to = e.kind(0);
  if (e.loads > 0 && ADDRESS_FIRST.has(instruction.mnemonic as number)) {
    e.effectiveAddress(T4);
    e.load([T1, T2], [T4]);
  } else if (shape === Shape.ShuffleHalf) e.load([T1]);
  else e.load([T1, T2]);
  const wide = shape !== Shape.ShuffleHalf && (e.loads > 1 || MemorySizeExt.size(instruction.memorySize) > 8);
  const keeps = KEEPS.test(Mnemonic[instruction.mnemonic as number] ?? "");
  const masked = instruction.opMask !== Register.None ? [REG_MASK] : [];
  const firstSource = to === Kind.Register && !reads() ? 1 : 0;
  const sources = (part: number): number[] => {
    const list: number[] = [];
    if (keeps && firstSource === 1 && isVector(e.register(0))) list.push(half(e, 0, part));
    for (let i = firstSource; i < instruction.opCount && list.length < 3; i++) {
      const kind = e.kind(i);
      if (kind === Kind.Memory) {
        if (e.loads > 0) list.push(part > 0 && wide ? T2 : T1);
      } else if (kind === Kind.Register) list.push(half(e, i, part));
    }
    return [...list, ...masked].slice(0, 4);
  };
  const setsFlags = instruction.rflagsModified !== 0;
  if (to === Kind.Memory || !isVector(e.register(0))) {
    // To memory, a general, mask or MMX register.
    const target = to === Kind.Memory ? T1 : e.register(0);
    const count = to === Kind.Memory ? Math.max(1, e.stores) : 1;
    for (let p = 0; p < count; p++) e.simd([p > 0 ? T2 : target], sources(Math.min(p, 1)));
    e.store([T1, T2]);
    return;
  }
  if (setsFlags) {
    e.simd([FLAGS], [...sources(0), FLAGS]);
    return;
  }
  if (shape === Shape.Scalar) {
    e.simd([e.register(0)], sources(0));
    return;
  }
  if (shape === Shape.ShuffleHalf) {
    const upper = instruction.mnemonic === Mnemonic.Pshufhw || instruction.mnemonic === Mnemonic.Vpshufhw;
    e.simd([half(e, 0, upper ? 1 : 0)], sources(upper ? 1 : 0));
    return;
  }
  const count = parts(e);
  if (shape === Shape.Shuffle && count > 1) {
    shuffle(e, count, keeps);
    return;
  }
  for (let p = 0; p < count; p++) e.simd([half(e, 0, p)], sources(Math.min(p, 1)));
}
