import { Code, MemorySizeExt, Mnemonic } from "iced-x86";
import {
  AX,
  BP,
  BX,
  CX,
  DI,
  DX,
  type Emitter,
  FLAGS,
  Kind,
  MICRO_FLAGS,
  PRODUCT,
  R11,
  SI,
  SP,
  T1,
  T2,
  T3,
  T4,
  T5,
  T6,
  T7,
} from "./emitter.js";
import { SERIAL, UopClass } from "./rows.js";

/** Emits the micro-ops of one instruction. */
export type Microcode = (e: Emitter) => void;

/**
 * Integer, control and system instructions as gem5's x86 microcode has them (src/arch/x86/isa/insts), by
 * mnemonic. Flags are one register: a micro-op that sets only some of gem5's groups of them reads it (the
 * logical ones and shifts keep AF, inc and dec keep CF). Rotates set carry and overflow alone, which the logical
 * ones that follow them in hashes do not wait for: here they set no flags, so who reads their carry does not wait for it
 * either (DEVIATIONS.md, 7). gem5's register moves and lea read their destination, and so does everything that writes 8 or
 * 16 bits of it.
 */
export const MICROCODE = new Map<number, Microcode>();

function define(names: string, microcode: Microcode): void {
  for (const name of names.split(" ")) {
    const mnemonic = Mnemonic[name as keyof typeof Mnemonic] as number | undefined;
    if (mnemonic === undefined) throw new Error(`no mnemonic ${name}`);
    MICROCODE.set(mnemonic, microcode);
  }
}

/**
 * dest = dest op source; `reads`: what the operation reads besides, `flags`: whether it sets them,
 * `keeps`: whether it only compares.
 */
const binary =
  (reads: readonly number[], compares = false): Microcode =>
  (e) => {
    e.relativeBase();
    let source = T2;
    const immediate = e.kind(1) === Kind.Immediate;
    if (e.kind(1) === Kind.Register) source = e.register(1);
    if (e.kind(0) === Kind.Memory) {
      // That of test and of and is made behind the load.
      const { mnemonic } = e.instruction;
      const late = mnemonic === Mnemonic.Test || mnemonic === Mnemonic.And;
      if (immediate && !late) e.immediate(T2);
      modify(e, !compares, () => {
        if (immediate && late) e.immediate(T2);
        e.alu(compares ? [FLAGS] : [T1, FLAGS], [T1, source, ...reads]);
      });
    } else {
      if (immediate) e.immediate(T2);
      const register = e.register(0);
      if (e.kind(1) === Kind.Memory) {
        e.load([T1]);
        source = T1;
      }
      e.alu(compares ? [FLAGS] : [register, FLAGS], [register, source, ...reads]);
    }
  };

/** Loads the memory operand into t1, computes, stores t1; between fences where locked. */
function modify(e: Emitter, stores: boolean, compute: () => void, value = T1): void {
  if (e.locked) e.fence(true);
  e.load([T1]);
  compute();
  if (stores) e.store([value]);
  if (e.locked) e.fence(false);
}

define("Add Sub", binary([]));
define("Cmp", binary([], true));
define("Adc Sbb And Or Xor", binary([FLAGS]));
define("Test", binary([FLAGS], true));

/** One operand in and out. */
const unary =
  (destinations: readonly number[], reads: readonly number[], constant = false): Microcode =>
  (e) => {
    if (constant) e.immediate(T2);
    e.relativeBase();
    const more = constant ? [T2, ...reads] : reads;
    if (e.kind(0) === Kind.Memory) modify(e, true, () => e.alu([T1, ...destinations], [T1, ...more]));
    else e.alu([e.register(0), ...destinations], [e.register(0), ...more]);
  };

define("Inc Dec", unary([FLAGS], [FLAGS]));
define("Neg", unary([FLAGS], []));
define("Not", unary([], [], true));

/** Shifts and rotates; an immediate count is part of the micro-op. */
const shift =
  (flags: readonly number[]): Microcode =>
  (e) => {
    e.relativeBase();
    const count = e.kind(1) === Kind.Register ? [e.register(1)] : [];
    if (e.kind(0) === Kind.Memory) modify(e, true, () => e.alu([T1, ...flags], [T1, ...count, ...flags]));
    else e.alu([e.register(0), ...flags], [e.register(0), ...count, ...flags]);
  };

define("Shl Sal Shr Sar Rcl Rcr", shift([FLAGS]));
define("Rol Ror", shift([]));
define("Shld Shrd", (e) => {
  e.relativeBase();
  const count = e.kind(2) === Kind.Register ? [CX] : [];
  const memory = e.kind(0) === Kind.Memory;
  if (memory) e.load([T1]);
  e.alu([T2], [e.register(1)]);
  const register = memory ? T1 : e.register(0);
  e.alu([register, FLAGS], [register, T2, ...count, FLAGS]);
  if (memory) e.store([T1]);
});

/** Whether a write of operand 0 keeps part of the register. */
const merges = (e: Emitter): readonly number[] => (e.size(0) < 4 ? [e.register(0)] : []);

/** An address in the instruction itself is made first. */
const ABSOLUTE = new Set<number>([
  Code.Mov_AL_moffs8,
  Code.Mov_AX_moffs16,
  Code.Mov_EAX_moffs32,
  Code.Mov_RAX_moffs64,
  Code.Mov_moffs8_AL,
  Code.Mov_moffs16_AX,
  Code.Mov_moffs32_EAX,
  Code.Mov_moffs64_RAX,
]);

define("Mov Movbe Movnti", (e) => {
  const [to, from] = [e.kind(0), e.kind(1)];
  e.relativeBase();
  if (to === Kind.Memory) {
    if (from === Kind.Immediate || ABSOLUTE.has(e.instruction.code as number)) e.immediate(T1);
    e.store([from === Kind.Immediate ? T1 : e.register(1)]);
  } else if (from === Kind.Memory) {
    if (ABSOLUTE.has(e.instruction.code as number)) e.immediate(T1);
    e.load([e.register(0)], undefined, merges(e));
  } else if (from === Kind.Immediate) e.alu([e.register(0)], merges(e));
  else e.alu([e.register(0)], [e.register(0), e.register(1)]);
});
define("Movzx Movsx Movsxd", (e) => {
  e.relativeBase();
  let source = T1;
  if (e.kind(1) === Kind.Memory) {
    // A sign-extended word is loaded into the register itself.
    const word =
      e.instruction.mnemonic === Mnemonic.Movsx && MemorySizeExt.size(e.instruction.memorySize) === 2;
    if (word) source = e.register(0);
    e.load([source], undefined, word ? [source] : []);
  } else {
    source = e.register(1);
    // A byte is moved to a temporary first.
    if (e.size(1) === 1) {
      e.alu([T1], [T1, source]);
      source = T1;
    }
  }
  e.alu([e.register(0)], [source, ...merges(e)]);
});
define("Lea", (e) => {
  e.relativeBase();
  e.effectiveAddress(e.register(0));
});
define("Cbw Cwde Cdqe", (e) => e.alu([AX], [AX]));
define("Cwd Cdq Cqo", (e) => {
  e.alu([DX], [DX, AX]);
  e.alu([DX], [DX]);
});
define("Bswap", (e) => {
  const register = e.register(0);
  if (e.size(0) < 8) for (let i = 0; i < 3; i++) e.alu([register], [register]);
  else {
    e.alu([register], [register]);
    e.alu([T1], [register]);
    e.alu([T1], [T1]);
    e.alu([T1], [T1]);
    e.alu([T2], [register]);
    for (let i = 0; i < 3; i++) e.alu([T2], [T2]);
    e.alu([register], [T1, T2]);
  }
});
define("Xchg", (e) => {
  if (e.kind(0) === Kind.Register && e.kind(1) === Kind.Register) {
    const [a, b] = [e.register(0), e.register(1)];
    e.alu([a], [a, b]);
    e.alu([b], [b, a]);
    e.alu([a], [a, b]);
    return;
  }
  const register = e.kind(0) === Kind.Register ? e.register(0) : e.register(1);
  e.relativeBase();
  e.fence(true);
  e.load([T1]);
  e.store([register]);
  e.fence(false);
  e.alu([register], [register, T1]);
});

// Conditional moves and sets.
define(
  "Cmovo Cmovno Cmovb Cmovae Cmove Cmovne Cmovbe Cmova Cmovs Cmovns Cmovp Cmovnp Cmovl Cmovge Cmovle Cmovg",
  (e) => {
    e.relativeBase();
    let source = T1;
    if (e.kind(1) === Kind.Memory) e.load([T1]);
    else source = e.register(1);
    // Where the condition does not hold: a copy onto itself, which clears the upper half of a 32-bit register.
    e.alu([e.register(0)], [e.register(0), FLAGS]);
    e.alu([e.register(0)], [e.register(0), source, FLAGS]);
  },
);
define("Seto Setno Setb Setae Sete Setne Setbe Seta Sets Setns Setp Setnp Setl Setge Setle Setg", (e) => {
  e.relativeBase();
  const register = e.kind(0) === Kind.Memory ? T1 : e.register(0);
  e.alu([register], [register, FLAGS]);
  e.alu([register], [register, FLAGS]);
  e.store([T1]);
});

// Multiplication: the product, then its two halves. Division: a loop of steps.
define("Mul Imul", (e) => {
  e.relativeBase();
  if (e.instruction.opCount === 1) {
    const source = oneOperand(e, T1);
    const bytes = operandBytes(e);
    e.emit(UopClass.IntMul, [PRODUCT, FLAGS], [AX, source]);
    e.alu([AX], bytes < 4 ? [PRODUCT, AX] : [PRODUCT]);
    e.alu([upper(bytes)], bytes < 4 ? [PRODUCT, upper(bytes)] : [PRODUCT]);
    return;
  }
  const three = e.instruction.opCount === 3;
  if (three) e.immediate(T1);
  const memory = e.kind(1) === Kind.Memory;
  if (memory) e.load([T2]);
  const source = memory ? T2 : e.register(1);
  e.emit(UopClass.IntMul, [PRODUCT, FLAGS], [three ? T1 : e.register(0), source]);
  e.alu([e.register(0)], [PRODUCT, ...merges(e)]);
  e.alu([], [PRODUCT]);
});

function oneOperand(e: Emitter, temporary: number): number {
  if (e.kind(0) === Kind.Memory) {
    e.load([temporary]);
    return temporary;
  }
  return e.register(0);
}

/** Holds the upper half of a product or dividend: rdx, for bytes ah. */
const upper = (bytes: number): number => (bytes === 1 ? AX : DX);

const operandBytes = (e: Emitter): number =>
  e.kind(0) === Kind.Register ? e.size(0) : MemorySizeExt.size(e.instruction.memorySize);

/**
 * gem5 divides bit by bit: each step shifts to the next one bit of the quotient and subtracts. How many it
 * takes is a matter of values, which a trace has not: taken is a quotient of half the operand's bits, half
 * of which are ones. Four steps (for bytes two) make an iteration, and each iteration but the last ends in a
 * taken branch of the microcode.
 */
function divisionLoop(e: Emitter, bytes: number, step: number, dividend: number): void {
  const unrolled = bytes === 1 ? 2 : 4;
  const iterations = Math.max(1, Math.ceil((bytes * 2 - 1) / unrolled));
  e.emit(UopClass.IntDiv, [step, PRODUCT], [dividend, PRODUCT]);
  e.emit(UopClass.IntDiv, [step, PRODUCT], [dividend, step, PRODUCT]);
  for (let i = 0; i < iterations; i++) {
    for (let k = 0; k < unrolled; k++)
      e.emit(UopClass.IntDiv, [k + 1 < unrolled ? step : MICRO_FLAGS, PRODUCT], [dividend, step, PRODUCT]);
    e.microBranch(i + 1 < iterations);
  }
}

define("Div", (e) => {
  e.relativeBase();
  const source = oneOperand(e, T2);
  const bytes = operandBytes(e);
  const high = upper(bytes);
  e.emit(UopClass.IntDiv, [PRODUCT], [high, source]);
  divisionLoop(e, bytes, T1, AX);
  e.alu([AX], bytes < 4 ? [PRODUCT, AX] : [PRODUCT]);
  e.alu([high], bytes < 4 ? [PRODUCT, high] : [PRODUCT]);
});
define("Idiv", (e) => {
  const bytes = operandBytes(e);
  const high = upper(bytes);
  // The dividend is negated first, in case it must be.
  e.alu([T1, MICRO_FLAGS], [AX]);
  e.alu([T4], [MICRO_FLAGS]);
  e.alu([T2], [high]);
  e.alu([T2], [T2, T4]);
  e.relativeBase();
  const source = oneOperand(e, T5);
  e.alu([MICRO_FLAGS], [source]);
  e.alu([T3], [source]);
  e.alu([T3], [T3, source, MICRO_FLAGS]);
  e.alu([MICRO_FLAGS], [high]);
  e.alu([T1], [T1, AX, MICRO_FLAGS]);
  e.alu([T2], [T2, high, MICRO_FLAGS]);
  e.emit(UopClass.IntDiv, [PRODUCT], [T2, T3]);
  divisionLoop(e, bytes, T4, T1);
  e.alu([T5], [PRODUCT]);
  e.alu([T6], [PRODUCT]);
  // Signs are mended.
  e.alu([T4], [T6]);
  e.alu([high], [high, T4, MICRO_FLAGS]);
  e.alu([high], [high, T6, MICRO_FLAGS]);
  e.alu([T4], [T5]);
  e.alu([T5], [T5, T4, MICRO_FLAGS]);
  e.alu([MICRO_FLAGS], [source]);
  e.alu([T4], [T5]);
  e.alu([AX], [AX, T4, MICRO_FLAGS]);
  e.alu([AX], [AX, T5, MICRO_FLAGS]);
});

// Stack.
define("Push", (e) => {
  e.relativeBase();
  let value = T1;
  if (e.kind(0) === Kind.Register) value = e.register(0);
  else if (e.kind(0) === Kind.Memory) {
    if (e.loads > 0) e.load([T1]);
  } else e.immediate(T1);
  e.store([value], [SP]);
  e.alu([SP], [SP]);
});
define("Pop", (e) => {
  e.relativeBase();
  e.load([T1], [SP]);
  if (e.kind(0) === Kind.Memory) e.alu([], [T7]);
  e.alu([SP], [SP]);
  if (e.kind(0) === Kind.Memory) e.store([T1]);
  else e.alu([e.register(0)], [e.register(0), T1]);
});
define("Pushf Pushfq", (e) => {
  e.alu([T1], [FLAGS]);
  e.store([T1], [SP]);
  e.alu([SP], [SP]);
});
define("Popf Popfq", (e) => {
  e.load([T1], [SP]);
  e.alu([SP], [SP]);
  e.alu([FLAGS], [T1]);
});
define("Leave", (e) => {
  e.alu([T1], [T1, BP]);
  e.load([BP], [T1]);
  e.alu([SP], [SP, T1]);
  e.alu([SP], [SP]);
});

// Control.
define("Call", (e) => {
  const target = e.kind(0);
  if (target === Kind.Other) e.immediate(T1);
  e.alu([T7], []);
  if (target === Kind.Memory) e.load([T1]);
  e.store([T7], [SP]);
  e.alu([SP], [SP]);
  e.alu([], target === Kind.Register ? [e.register(0)] : target === Kind.Memory ? [T1] : [T7, T1]);
});
define("Ret", (e) => {
  const more = e.instruction.opCount > 0;
  if (more) e.immediate(T2);
  e.load([T1], [SP]);
  e.alu([SP], [SP]);
  if (more) e.alu([SP], [SP, T2]);
  e.alu([], [T1]);
});
define("Jmp", (e) => {
  const target = e.kind(0);
  if (target === Kind.Register) e.alu([], [e.register(0)]);
  else if (target === Kind.Memory) {
    e.relativeBase();
    e.load([T1]);
    e.alu([], [T1]);
  } else jump(e, []);
});

function jump(e: Emitter, condition: readonly number[]): void {
  e.alu([T1], []);
  e.immediate(T2);
  e.alu([], [T1, T2, ...condition]);
}

define("Jo Jno Jb Jae Je Jne Jbe Ja Js Jns Jp Jnp Jl Jge Jle Jg", (e) => jump(e, [FLAGS]));
define("Jcxz Jecxz Jrcxz Loop Loopne Loope", (e) => {
  const loops = e.instruction.mnemonic !== Mnemonic.Jrcxz && e.instruction.mnemonic !== Mnemonic.Jecxz;
  e.alu([T1], []);
  e.alu(loops ? [CX, MICRO_FLAGS] : [MICRO_FLAGS], [CX]);
  e.alu([], [T1, MICRO_FLAGS, FLAGS]);
});

// Bits.
define("Bt Bts Btr Btc", (e) => {
  const tests = e.instruction.mnemonic === Mnemonic.Bt;
  const immediate = e.kind(1) === Kind.Immediate;
  const bit = immediate ? [] : [e.register(1)];
  e.relativeBase();
  if (e.kind(0) === Kind.Register) {
    e.alu([FLAGS], [e.register(0), ...bit, FLAGS]);
    if (tests) return;
    e.immediate(T1);
    e.alu([T1], [T1, ...bit]);
    e.alu([e.register(0)], [e.register(0), T1]);
    return;
  }
  if (immediate) e.immediate(T2);
  else {
    e.alu([T2], bit);
    e.alu([T3], [T2]);
    e.effectiveAddress(T3, T3);
  }
  if (!tests) {
    e.immediate(T4);
    e.alu([T4], [T4, ...bit]);
  }
  modify(e, !tests, () => {
    e.alu([FLAGS], [T1, ...bit, FLAGS]);
    if (!tests) e.alu([T1], [T1, T4]);
  });
});
// gem5 does not look at the prefix that makes tzcnt of bsf and lzcnt of bsr; compilers put it before bsf.
define("Bsf Bsr Tzcnt Lzcnt", (e) => {
  const register = e.register(0);
  const forward = e.instruction.mnemonic === Mnemonic.Bsf || e.instruction.mnemonic === Mnemonic.Tzcnt;
  const memory = e.kind(1) === Kind.Memory;
  e.relativeBase();
  e.alu([T1], [T1]);
  let source = T1;
  if (memory) e.load([T1]);
  else source = e.register(1);
  e.alu([T1, FLAGS], [source, FLAGS]);
  e.microBranch(false, [FLAGS]);
  e.alu([register], [register]);
  if (forward) {
    e.alu([T2], [T1]);
    e.alu([T1], [T2, T1]);
  }
  for (let bit = 6; bit > 0; bit--) {
    e.alu([T3, MICRO_FLAGS], [T1]);
    e.alu([T4], [register]);
    e.alu([register], [register, T4, MICRO_FLAGS]);
    if (bit > 1 || (forward && memory)) e.alu([T1], [T1, T3, MICRO_FLAGS]);
  }
  e.free();
});

// Semaphores.
define("Cmpxchg", (e) => {
  if (e.kind(0) === Kind.Register) {
    e.alu([FLAGS], [AX, e.register(0)]);
    e.alu([e.register(0)], [e.register(0), e.register(1), FLAGS]);
    e.alu([AX], [AX, e.register(0), FLAGS]);
    return;
  }
  e.relativeBase();
  modify(e, true, () => {
    e.alu([FLAGS], [AX, T1]);
    e.alu([T1], [T1, e.register(1), FLAGS]);
  });
  e.alu([AX], [AX, T1, FLAGS]);
});
define("Xadd", (e) => {
  if (e.kind(0) === Kind.Register) {
    e.alu([T2, FLAGS], [e.register(0), e.register(1)]);
    e.alu([e.register(1)], [e.register(1), e.register(0)]);
    e.alu([e.register(0)], [e.register(0), T2]);
    return;
  }
  e.relativeBase();
  modify(e, true, () => e.alu([T2, FLAGS], [T1, e.register(1)]), T2);
  e.alu([e.register(1)], [e.register(1), T1]);
});
define("Cmpxchg8b Cmpxchg16b", (e) => {
  e.relativeBase();
  e.effectiveAddress(T1);
  if (e.locked) e.fence(true);
  e.load([T2, T3], [T1]);
  e.alu([FLAGS], [AX, T2]);
  e.microBranch(false, [FLAGS]);
  e.alu([FLAGS], [DX, T3]);
  e.alu([T2], [T2, BX, FLAGS]);
  e.alu([T3], [T3, CX, FLAGS]);
  e.alu([AX], [AX, T2, FLAGS]);
  e.alu([DX], [DX, T3, FLAGS]);
  e.store([T2, T3], [T1]);
  if (e.locked) e.fence(false);
});

// String instructions without a repetition: the step, up or down, is found out first.
function step(e: Emitter): void {
  e.alu([MICRO_FLAGS], [FLAGS]);
  e.alu([T3], [T3, MICRO_FLAGS]);
  e.immediate(T4);
  e.alu([T3], [T3, T4, MICRO_FLAGS]);
}
const strings = (names: string, body: Microcode, pointers: readonly number[]): void => {
  define(names, (e) => {
    step(e);
    body(e);
    for (const pointer of pointers) e.alu([pointer], [pointer, T3]);
  });
};
strings(
  "Movsb Movsw Movsq",
  (e) => {
    e.load([T1], [SI]);
    e.store([T1], [DI]);
  },
  [DI, SI],
);
strings("Stosb Stosw Stosd Stosq", (e) => e.store([AX], [DI]), [DI]);
strings("Lodsb Lodsw Lodsd Lodsq", (e) => e.load([AX], [SI]), [SI]);
strings(
  "Scasb Scasw Scasd Scasq",
  (e) => {
    e.load([T1], [DI]);
    e.alu([FLAGS], [AX, T1]);
  },
  [DI],
);
strings(
  "Cmpsb Cmpsw Cmpsq",
  (e) => {
    e.load([T1, T2], [SI, DI]);
    e.alu([FLAGS], [T1, T2]);
  },
  [DI, SI],
);

// No operation: a micro-op without a class.
define("Nop Endbr64 Pause Prefetchnta Prefetcht0 Prefetcht1 Prefetcht2 Prefetchw", (e) => {
  if (e.loads > 0) e.load([]);
  else e.free();
});
define("Mfence Lfence Sfence", (e) => e.fence(true));

// System. The serialising first micro-op does what is special, the rest moves segments and flags.
const system = (names: string, count: number, body?: Microcode): void => {
  define(names, (e) => {
    e.emit(UopClass.Misc, [], []);
    e.uops[0].word0 |= SERIAL;
    body?.(e);
    while (e.uops.length < count - 1) e.alu([T1], [T1]);
    e.emit(UopClass.Misc, [FLAGS], [T1]);
    e.uops[e.uops.length - 1].word0 |= SERIAL;
  });
};
system("Syscall", 25, (e) => e.alu([CX, R11], [FLAGS]));
system("Sysretq Sysret", 16, (e) => e.alu([FLAGS], [R11]));
system("Iretq", 45, (e) => {
  e.load([T2], [SP]);
  e.alu([SP], [T2]);
});
define("Rdtsc", (e) => {
  e.emit(UopClass.Misc, [T1], []);
  e.uops[0].word0 |= SERIAL;
  e.alu([AX], [T1]);
  e.alu([DX], [T1]);
});
