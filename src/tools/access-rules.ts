import {
  type Instruction,
  type InstructionInfo,
  MemorySizeExt,
  Mnemonic,
  OpAccess,
  RegisterExt,
} from "iced-x86";
import { SlotKind } from "../loader/index.js";

/** What an instruction may do to memory in one execution. */
export interface AccessRule {
  /** Bytes of each operand that it always reads, and always writes, in no order. */
  loads: readonly number[];
  stores: readonly number[];
  /** Operands that it may read or write besides (bytes). */
  maybeLoads: readonly number[];
  maybeStores: readonly number[];
  /** Reads, or writes, so much that only the direction is checked. */
  anyLoads: boolean;
  anyStores: boolean;
  /** SlotKind of a repeated string instruction, and the bytes of its element; else kind 0. */
  rep: number;
  element: number;
}

const NONE: AccessRule = {
  loads: [],
  stores: [],
  maybeLoads: [],
  maybeStores: [],
  anyLoads: false,
  anyStores: false,
  rep: 0,
  element: 0,
};

const mnemonics = (list: string): Set<Mnemonic> =>
  new Set(list.split(" ").map((name) => Mnemonic[name as keyof typeof Mnemonic] as Mnemonic));

/** Name an address but read or write nothing that a program could tell. */
const NO_ACCESS = mnemonics(
  "Lea Nop Prefetch Prefetchw Prefetchwt1 Prefetchnta Prefetcht0 Prefetcht1 Prefetcht2 Clflush Clflushopt Clwb Cldemote Invlpg Monitor",
);
/** Save and restore of processor state: an area of many bytes, not all of it read or written. */
const SAVES = mnemonics(
  "Xsave Xsave64 Xsaveopt Xsaveopt64 Xsavec Xsavec64 Xsaves Xsaves64 Fxsave Fxsave64 Fnsave Fnstenv",
);
const RESTORES = mnemonics("Xrstor Xrstor64 Xrstors Xrstors64 Fxrstor Fxrstor64 Frstor Fldenv");
/** Read a descriptor from a table that no operand names; far transfers go over stacks and gates. */
const DESCRIPTORS = mnemonics("Ltr Lldt Lar Lsl Verr Verw Lss Lfs Lgs");
const ANYTHING = mnemonics("Iret Iretd Iretq Retf Int Int1 Int3 Into Enter Rsm");
/** The element that is touched depends on a mask. */
const MASKED = mnemonics(
  "Vmaskmovps Vmaskmovpd Vpmaskmovd Vpmaskmovq Maskmovdqu Maskmovq Vmaskmovdqu Vgatherdps Vgatherdpd Vgatherqps Vgatherqpd Vpgatherdd Vpgatherdq Vpgatherqd Vpgatherqq Vpscatterdd Vpscatterdq Vpscatterqd Vpscatterqq Vscatterdps Vscatterdpd Vscatterqps Vscatterqpd",
);

/** The rule of one decoded instruction. @param bytes tell `rep movsd` from the SSE move of that name */
export function accessRule(instruction: Instruction, info: InstructionInfo, bytes: Uint8Array): AccessRule {
  const { mnemonic } = instruction;
  if (NO_ACCESS.has(mnemonic)) return NONE;
  const rep = repeatedString(bytes);
  if (rep !== undefined) return { ...NONE, ...rep };
  if (SAVES.has(mnemonic)) return { ...NONE, anyStores: true, anyLoads: true };
  if (RESTORES.has(mnemonic) || DESCRIPTORS.has(mnemonic)) return { ...NONE, anyLoads: true };
  if (ANYTHING.has(mnemonic) || instruction.isCallFar || instruction.isJmpFar) {
    return { ...NONE, anyLoads: true, anyStores: true };
  }
  const loads: number[] = [];
  const stores: number[] = [];
  const maybeLoads: number[] = [];
  const maybeStores: number[] = [];
  for (const memory of info.usedMemory()) {
    const size = MemorySizeExt.size(memory.memorySize);
    const { access } = memory;
    memory.free();
    const masked = MASKED.has(mnemonic) || instruction.opMask !== 0;
    const reads =
      access === OpAccess.Read || access === OpAccess.ReadWrite || access === OpAccess.ReadCondWrite;
    const writes = access === OpAccess.Write || access === OpAccess.ReadWrite;
    const mayWrite = access === OpAccess.CondWrite || access === OpAccess.ReadCondWrite;
    if (masked && (reads || access === OpAccess.CondRead)) return { ...NONE, anyLoads: true };
    if (masked && (writes || mayWrite)) return { ...NONE, anyStores: true };
    if (reads) loads.push(size);
    else if (access === OpAccess.CondRead) maybeLoads.push(size);
    if (writes) stores.push(size);
    else if (mayWrite) maybeStores.push(size);
  }
  // A move to a segment register reads a descriptor.
  const segment =
    (mnemonic === Mnemonic.Mov || mnemonic === Mnemonic.Pop) &&
    RegisterExt.isSegmentRegister(instruction.op0Register);
  return { ...NONE, loads, stores, maybeLoads, maybeStores, anyLoads: segment };
}

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67]);
const STRING_KINDS = new Map<number, number>([
  [0x6c, SlotKind.RepStore],
  [0x6e, SlotKind.RepLoad],
  [0xa4, SlotKind.RepMove],
  [0xa6, SlotKind.RepCompare],
  [0xaa, SlotKind.RepStore],
  [0xac, SlotKind.RepLoad],
  [0xae, SlotKind.RepLoad],
]);

/** SlotKind and element of a repeated string instruction. Told by the bytes: `movsd` is the name of two instructions. */
export function repeatedString(bytes: Uint8Array): { rep: number; element: number } | undefined {
  let found = false;
  let small = false;
  let wide = false;
  let at = 0;
  for (; at < bytes.length - 1; at++) {
    const byte = bytes[at];
    if (byte === 0xf2 || byte === 0xf3) found = true;
    else if (byte === 0x66) small = true;
    else if ((byte & 0xf0) === 0x40) wide = (byte & 8) !== 0;
    else if (!PREFIXES.has(byte)) return undefined;
  }
  const rep = STRING_KINDS.get(bytes[at] & 0xfe);
  if (!found || rep === undefined) return undefined;
  return { rep, element: (bytes[at] & 1) === 0 ? 1 : wide ? 8 : small ? 2 : 4 };
}

/** The accesses that a block lists for one instruction, the halves of straddling ones joined. */
export interface ListedAccess {
  kind: number;
  size: number;
}

/** What is wrong with an instruction's accesses, or "". */
export function accessProblem(rule: AccessRule, listed: readonly ListedAccess[]): string {
  if (rule.rep !== 0) {
    const fits = listed.length === 1 && listed[0].kind === rule.rep && listed[0].size === rule.element;
    return fits
      ? ""
      : `a repeated string instruction of ${rule.element}-byte elements has ${describe(listed)}`;
  }
  if (listed.some(({ kind }) => kind >= SlotKind.RepLoad))
    return `no repeated string instruction has ${describe(listed)}`;
  const loads = sizes(listed, SlotKind.Load);
  const stores = sizes(listed, SlotKind.Store);
  if (
    (rule.anyLoads || matches(loads, rule.loads, rule.maybeLoads)) &&
    (rule.anyStores || matches(stores, rule.stores, rule.maybeStores))
  ) {
    return "";
  }
  return `can do ${expected(rule)}, has ${describe(listed)}`;
}

/**
 * The accesses that the processor makes to deliver an interrupt, if they end the list: five reads of 4 bytes
 * (gate and code segment descriptor), one of 8 (the kernel's stack, when coming from user code), five or
 * six pushes of 8. A recorder that knows of no instruction for them gives them to the one before.
 * @returns how many there are, or 0
 */
export function deliveryLength(listed: readonly ListedAccess[]): number {
  let at = listed.length;
  const take = (kind: number, size: number, most: number): number => {
    let count = 0;
    for (; count < most && at > 0 && listed[at - 1].kind === kind && listed[at - 1].size === size; count++)
      at--;
    return count;
  };
  if (take(SlotKind.Store, 8, 6) < 5) return 0;
  take(SlotKind.Load, 8, 1);
  return take(SlotKind.Load, 4, 5) === 5 ? listed.length - at : 0;
}

/**
 * Operands of up to 8 bytes are accessed in one piece; longer ones (SSE, AVX, x87, descriptor-table
 * registers) may come in several, so there the bytes are counted.
 */
function matches(found: readonly number[], always: readonly number[], maybe: readonly number[]): boolean {
  if (maybe.length > 0) {
    return matches(found, always, []) || matches(found, [...always, ...maybe], []);
  }
  if (always.some((size) => size > 8 || size === 6)) return sum(found) === sum(always);
  if (found.length !== always.length) return false;
  if (always.length === 1) return found[0] === always[0];
  const sorted = (list: readonly number[]) => [...list].sort((a, b) => a - b).join();
  return sorted(found) === sorted(always);
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

const sizes = (listed: readonly ListedAccess[], kind: number): number[] =>
  listed.filter((access) => access.kind === kind).map((access) => access.size);

const KIND_NAMES = ["load", "store", "rep load", "rep store", "rep move", "rep compare"];

export function describe(listed: readonly ListedAccess[]): string {
  if (listed.length === 0) return "no access";
  return listed.map(({ kind, size }) => `${KIND_NAMES[kind]} ${size}`).join(", ");
}

function expected(rule: AccessRule): string {
  const parts = [
    ...rule.loads.map((size) => `load ${size}`),
    ...rule.maybeLoads.map((size) => `perhaps load ${size}`),
    ...rule.stores.map((size) => `store ${size}`),
    ...rule.maybeStores.map((size) => `perhaps store ${size}`),
    ...(rule.anyLoads ? ["any loads"] : []),
    ...(rule.anyStores ? ["any stores"] : []),
  ];
  return parts.length === 0 ? "no access" : parts.join(", ");
}
