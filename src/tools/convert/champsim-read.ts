import { InputError } from "../../errors.js";
import {
  type ChampSimLayout,
  CLOUDSUITE,
  PLAIN,
  REG_FLAGS,
  REG_INSTRUCTION_POINTER,
  REG_STACK_POINTER,
  SOURCES,
} from "./champsim.js";
import { address48, Branch, FlatInstruction, type FlatSink, type FlatSource, isCanonical } from "./flat.js";
import { Input, records } from "./input.js";

const LOST = [
  "ChampSim records have no instruction bytes: lengths follow from the next address, bytes are made up",
  "register dependencies are not taken over",
  "sizes of accesses are unknown: 8 bytes are assumed (4 or 8 in repeated string instructions)",
  "addresses are virtual and of one address space: physical pages are given out in order of first touch",
  "there is no kernel, no interrupt and no second core unless the recorder had them in the same stream",
];

/** ChampSim's traces, plain or packed with gzip or xz. */
export class ChampSimSource implements FlatSource {
  readonly format: string;
  readonly lost = LOST;
  private readonly input: Input;

  constructor(
    path: string,
    private readonly layout: ChampSimLayout,
  ) {
    this.input = new Input(path);
    this.format = layout === PLAIN ? "ChampSim" : "ChampSim (cloudsuite)";
  }

  async read(sink: FlatSink, progress: (done: number, all: number) => void): Promise<void> {
    const { input, layout } = this;
    const instruction = new FlatInstruction();
    for await (const { bytes, offset } of records(input, layout.bytes, (done) =>
      progress(done, input.size),
    )) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at < bytes.length; at += layout.bytes) {
        const problem = decode(view, at, layout, instruction);
        if (problem !== "") throw input.damage(offset + at, problem);
        if (!sink(instruction)) return;
      }
    }
  }
}

/** @returns what is wrong with the record, or "" */
function decode(view: DataView, at: number, layout: ChampSimLayout, out: FlatInstruction): string {
  out.clear();
  const isBranch = view.getUint8(at + 8);
  const taken = view.getUint8(at + 9);
  if (isBranch > 1 || taken > 1)
    return `is_branch ${isBranch} and branch_taken ${taken} must be 0 or 1; is this a ChampSim trace of ${layout.bytes}-byte records?`;
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  if (low === 0 && high === 0) return "the instruction pointer is 0";
  if (!isCanonical(high)) return "the instruction pointer is not a 48-bit address";
  out.pc = address48(low, high);
  out.length = 0;
  out.taken = isBranch === 1 && taken === 1;
  out.branch = isBranch === 0 ? Branch.None : branchOf(view, at, layout);
  for (let i = 0; i < SOURCES; i++) memory(view, at + layout.sourceMemory + 8 * i, false, out);
  for (let i = 0; i < layout.destinations; i++)
    memory(view, at + layout.destinationMemory + 8 * i, true, out);
  return "";
}

function memory(view: DataView, at: number, store: boolean, out: FlatInstruction): void {
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  if (low !== 0 || high !== 0) out.access(store, address48(low, high), 0);
}

/** As ChampSim itself tells the kinds. */
function branchOf(view: DataView, at: number, layout: ChampSimLayout): Branch {
  let readsStack = false;
  let readsFlags = false;
  let readsPointer = false;
  let readsOther = false;
  for (let i = 0; i < SOURCES; i++) {
    const register = view.getUint8(at + layout.sourceRegisters + i);
    if (register === REG_STACK_POINTER) readsStack = true;
    else if (register === REG_FLAGS) readsFlags = true;
    else if (register === REG_INSTRUCTION_POINTER) readsPointer = true;
    else if (register !== 0) readsOther = true;
  }
  let writesStack = false;
  let writesPointer = false;
  for (let i = 0; i < layout.destinations; i++) {
    const register = view.getUint8(at + layout.destinationRegisters + i);
    if (register === REG_STACK_POINTER) writesStack = true;
    else if (register === REG_INSTRUCTION_POINTER) writesPointer = true;
  }
  if (!writesPointer) return Branch.Other;
  if (readsStack && writesStack) {
    if (!readsPointer) return Branch.Return;
    if (readsFlags) return Branch.Other;
    return readsOther ? Branch.IndirectCall : Branch.Call;
  }
  if (readsStack || writesStack) return Branch.Other;
  if (readsPointer) return readsFlags || readsOther ? Branch.Conditional : Branch.Jump;
  if (readsFlags) return Branch.Other;
  return readsOther ? Branch.IndirectJump : Branch.Jump;
}

/** Tells the two layouts apart by the first records. Throws InputError when neither fits. */
export async function champSimLayout(path: string): Promise<ChampSimLayout> {
  const input = new Input(path);
  let head: Uint8Array = new Uint8Array(0);
  for await (const chunk of input.chunks()) {
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
    if (head.length >= 96 * 64) break;
  }
  if (head.length === 0) throw input.damage(0, "the file is empty");
  const fits = [PLAIN, CLOUDSUITE].filter((layout) => plausible(head, layout));
  if (fits.length === 1) return fits[0];
  if (!input.packed) {
    const whole = (fits.length === 0 ? [PLAIN, CLOUDSUITE] : fits).filter(
      ({ bytes }) => input.size % bytes === 0,
    );
    if (whole.length === 1) return whole[0];
  }
  if (fits.length > 1) return PLAIN;
  throw new InputError(
    `${path}: the records fit neither ChampSim's 64 bytes nor the 96 of cloudsuite; --format says which it is`,
  );
}

function plausible(head: Uint8Array, layout: ChampSimLayout): boolean {
  const whole = head.length - (head.length % layout.bytes);
  if (whole === 0) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const scratch = new FlatInstruction();
  for (let at = 0; at < whole; at += layout.bytes) {
    if (decode(view, at, layout, scratch) !== "") return false;
    if (layout !== CLOUDSUITE) continue;
    // The compiler's padding.
    for (const pad of [18, 19, 20, 21, 22, 23, 90, 91, 92, 93, 94, 95])
      if (head[at + pad] !== 0) return false;
  }
  return true;
}
