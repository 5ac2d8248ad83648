import { SlotKind } from "../../loader/index.js";
import { Branch } from "./flat.js";

/**
 * Instruction bytes for what a foreign trace tells of an instruction: the right length, a real branch with the
 * right displacement, or a move, add or no-operation with the right accesses where that fits.
 */

/** A segment prefix that means nothing in 64-bit mode: fills up to the length wanted. */
const FILL = 0x3e;

/** Intel's no-operations of 1 to 9 bytes. */
const NOPS = [
  [],
  [0x90],
  [0x66, 0x90],
  [0x0f, 0x1f, 0x00],
  [0x0f, 0x1f, 0x40, 0x00],
  [0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
  [0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

export function encodeNop(length: number): number[] {
  if (length < NOPS.length) return NOPS[length];
  return [...new Array(length - 9).fill(0x66), ...NOPS[9]];
}

const LOADS = new Map([
  [1, [0x8a, 0x07]],
  [2, [0x66, 0x8b, 0x07]],
  [4, [0x8b, 0x07]],
  [8, [0x48, 0x8b, 0x07]],
  [10, [0xdb, 0x2f]],
  [16, [0x0f, 0x10, 0x07]],
  [32, [0xc5, 0xfc, 0x10, 0x07]],
]);
const STORES = new Map([
  [1, [0x88, 0x07]],
  [2, [0x66, 0x89, 0x07]],
  [4, [0x89, 0x07]],
  [8, [0x48, 0x89, 0x07]],
  [10, [0xdb, 0x3f]],
  [16, [0x0f, 0x11, 0x07]],
  [32, [0xc5, 0xfc, 0x11, 0x07]],
]);
const ADDS = new Map([
  [1, [0x00, 0x07]],
  [2, [0x66, 0x01, 0x07]],
  [4, [0x01, 0x07]],
  [8, [0x48, 0x01, 0x07]],
]);

/** An instruction that is no branch. @param loads, stores bytes of each access */
export function encodePlain(length: number, loads: readonly number[], stores: readonly number[]): number[] {
  let core: number[] | undefined;
  if (loads.length === 1 && stores.length === 0)
    core = length === 1 && loads[0] === 8 ? [0x58] : LOADS.get(loads[0]);
  else if (loads.length === 0 && stores.length === 1)
    core = length === 1 && stores[0] === 8 ? [0x50] : STORES.get(stores[0]);
  else if (loads.length === 1 && stores.length === 1 && loads[0] === stores[0]) core = ADDS.get(loads[0]);
  return (core === undefined ? undefined : filled(core, length)) ?? encodeNop(length);
}

const REP_OPCODES = new Map<number, number>([
  [SlotKind.RepMove, 0xa4],
  [SlotKind.RepCompare, 0xa6],
  [SlotKind.RepStore, 0xaa],
  [SlotKind.RepLoad, 0xac],
]);

/** A repeated string instruction, and the bytes of its element: `size` where that fits. */
export function encodeRep(
  kind: number,
  length: number,
  size: number,
): { bytes: number[]; element: number } | undefined {
  const opcode = REP_OPCODES.get(kind) as number;
  for (const element of [size, 8, 4]) {
    const bytes =
      element === 1
        ? [0xf3, opcode]
        : element === 2
          ? [0x66, 0xf3, opcode + 1]
          : element === 4
            ? [0xf3, opcode + 1]
            : element === 8
              ? [0xf3, 0x48, opcode + 1]
              : undefined;
    const whole = bytes === undefined ? undefined : filled(bytes, length);
    if (whole !== undefined) return { bytes: whole, element };
  }
  return undefined;
}

/** A branch as it can be encoded: `kind` is what became of it. */
export interface EncodedBranch {
  bytes: number[];
  kind: Branch;
}

/**
 * @param displacement target minus the address behind the branch, or undefined where there is no single target
 * A direct branch that cannot reach its target, or has several, becomes an indirect jump (a call an indirect call).
 */
export function encodeBranch(kind: Branch, length: number, displacement: number | undefined): EncodedBranch {
  const near = displacement !== undefined && displacement >= -(2 ** 31) && displacement < 2 ** 31;
  const short = displacement !== undefined && displacement >= -128 && displacement < 128;
  const make = (core: number[]): EncodedBranch | undefined => {
    const bytes = filled(core, length);
    return bytes === undefined ? undefined : { bytes, kind };
  };
  const d8 = [(displacement ?? 0) & 255];
  const d32 = [0, 8, 16, 24].map((shift) => ((displacement ?? 0) >> shift) & 255);
  let made: EncodedBranch | undefined;
  if (kind === Branch.Conditional)
    made = (near ? make([0x0f, 0x85, ...d32]) : undefined) ?? (short ? make([0x75, ...d8]) : undefined);
  else if (kind === Branch.Jump)
    made = (near ? make([0xe9, ...d32]) : undefined) ?? (short ? make([0xeb, ...d8]) : undefined);
  else if (kind === Branch.Call) made = near ? make([0xe8, ...d32]) : undefined;
  else if (kind === Branch.Return) made = make([0xc3]);
  if (made !== undefined) return made;
  if (kind === Branch.Call || kind === Branch.IndirectCall) {
    const bytes = filled([0xff, 0xd0], length);
    if (bytes !== undefined) return { bytes, kind: Branch.IndirectCall };
  }
  const bytes = filled([0xff, 0xe0], length);
  if (bytes !== undefined) return { bytes, kind: Branch.IndirectJump };
  return { bytes: [0xc3], kind: Branch.Return };
}

/** Bytes that a branch of a kind takes when nothing says how many. */
export function branchLength(kind: Branch, displacementOf: (length: number) => number | undefined): number {
  const reaches = (length: number) => {
    const displacement = displacementOf(length);
    return displacement !== undefined && displacement >= -128 && displacement < 128;
  };
  switch (kind) {
    case Branch.Conditional:
      return reaches(2) ? 2 : 6;
    case Branch.Jump:
      return reaches(2) ? 2 : 5;
    case Branch.Call:
      return 5;
    case Branch.Return:
      return 1;
    default:
      return 2;
  }
}

function filled(core: number[], length: number): number[] | undefined {
  if (core.length > length) return undefined;
  return core.length === length ? core : [...new Array(length - core.length).fill(FILL), ...core];
}
