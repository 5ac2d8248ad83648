import { EventKind, type SlotDef, SlotFlag, SlotKind, type TraceSink } from "../../loader/index.js";
import { RepRun } from "../../loader/rep-run.js";
import { repeatedString } from "../access-rules.js";
import { encodeBranch, encodePlain, encodeRep } from "./encode.js";
import { Branch, type FlatInstruction } from "./flat.js";
import type { FirstTouch } from "./pages.js";
import type { Survey, SurveyedInstruction } from "./survey.js";

const MAX_BLOCK_INSTRUCTIONS = 64;
const ASSUMED_SIZE = 8;
const KERNEL_HALF = 2 ** 47;
/** Pieces that a longer access is cut into. */
const PIECE = 64;

/** What assembling did to the instructions. */
export interface AssemblyCounts {
  instructions: number;
  /** Iterations of repeated string instructions that were records of their own and are no more. */
  iterations: number;
  /** Jumps that no branch explains; a Switch event stands there. */
  breaks: number;
  /** Branches that had to be given as indirect ones. */
  indirect: number;
}

/** One way in which an instruction was executed: its bytes and its slots. */
interface Encoded {
  at: SurveyedInstruction;
  bytes: Uint8Array;
  /** What its bytes do. */
  branch: Branch;
  rep: number;
  element: number;
  /** The bytes are the program's own. */
  real: boolean;
  slots: Omit<SlotDef, "instr">[];
  signature: string;
}

interface Candidate {
  parts: readonly Encoded[];
  id: number;
}

/** Second pass over a foreign trace: instructions become blocks and executions of one core. */
export class Assembler {
  readonly counts: AssemblyCounts = { instructions: 0, iterations: 0, breaks: 0, indirect: 0 };
  private readonly encodings = new Map<number, Encoded[]>();
  private readonly blocks = new Map<number, Candidate[]>();
  private parts: Encoded[] = [];
  private readonly addresses: number[] = [];
  private next = -1;
  private last: Encoded | undefined;
  private readonly rep = new RepRun();
  private repeating: Encoded | undefined;
  private values = new Int32Array(256);

  constructor(
    private readonly sink: TraceSink,
    private readonly survey: Survey,
    private readonly pages: FirstTouch,
  ) {}

  add(instruction: FlatInstruction): void {
    const at = this.survey.instructions.get(instruction.pc) as SurveyedInstruction;
    if (this.repeating !== undefined) {
      if (this.repeating.at === at) {
        this.counts.iterations++;
        this.iterate(instruction);
        return;
      }
      this.flush();
    }
    this.join(instruction.pc);
    const encoded = this.encoded(at, instruction);
    this.counts.instructions++;
    if (this.parts.length > 0 && this.overflows(encoded)) this.flush();
    this.parts.push(encoded);
    this.last = encoded;
    this.next = at.pc + encoded.bytes.length;
    if (encoded.rep !== 0) {
      this.repeating = encoded;
      this.rep.start(encoded.rep, encoded.element);
      this.iterate(instruction);
    } else {
      this.take(instruction);
      if (encoded.branch !== Branch.None || this.parts.length === MAX_BLOCK_INSTRUCTIONS) this.flush();
    }
  }

  finish(): void {
    this.flush();
  }

  /** Ends the block where the next instruction does not stand behind it; marks what no branch explains. */
  private join(pc: number): void {
    const { last } = this;
    if (last === undefined) return;
    const behind = pc === this.next;
    let explained = behind;
    if (last.branch === Branch.Conditional || last.branch === Branch.Jump || last.branch === Branch.Call)
      explained = pc === last.at.target || (behind && last.branch === Branch.Conditional);
    else if (last.branch === Branch.Other) explained = behind && !last.real;
    else if (last.branch !== Branch.None) explained = true;
    if (last.at.pc >= KERNEL_HALF !== pc >= KERNEL_HALF) explained = false;
    if (explained && (behind || this.parts.length === 0)) return;
    this.flush();
    if (explained) return;
    this.counts.breaks++;
    this.sink.event(0, EventKind.Switch, 0, 0, 1);
  }

  /** A block ends where its second page does. */
  private overflows(encoded: Encoded): boolean {
    const start = this.parts[0].at.pc;
    return encoded.at.pc + encoded.bytes.length > start - (start % 4096) + 8192;
  }

  private iterate(instruction: FlatInstruction): void {
    const { rep } = this.repeating as Encoded;
    if (instruction.accesses === 0) return;
    const first = this.pages.address(instruction.address[0]);
    const second = rep >= SlotKind.RepMove ? Math.min(1, instruction.accesses - 1) : 0;
    this.rep.add(first, second === 0 ? first : this.pages.address(instruction.address[second]));
  }

  private take(instruction: FlatInstruction): void {
    for (let i = 0; i < instruction.accesses; i++) {
      forPieces(instruction.address[i], instruction.size[i] || ASSUMED_SIZE, (address) => {
        this.addresses.push(this.pages.address(address));
      });
    }
  }

  private encoded(at: SurveyedInstruction, instruction: FlatInstruction): Encoded {
    const signature = signatureOf(at, instruction);
    const known = this.encodings.get(at.pc);
    const found = known?.find((each) => each.signature === signature);
    if (found !== undefined) return found;
    const made = this.encode(at, instruction, signature);
    if (known === undefined) this.encodings.set(at.pc, [made]);
    else known.push(made);
    return made;
  }

  private encode(at: SurveyedInstruction, instruction: FlatInstruction, signature: string): Encoded {
    const slots: Encoded["slots"] = [];
    const loads: number[] = [];
    const stores: number[] = [];
    for (let i = 0; i < instruction.accesses; i++) {
      const size = instruction.size[i] || ASSUMED_SIZE;
      const store = instruction.store[i] === 1;
      (store ? stores : loads).push(size);
      const kind = store ? SlotKind.Store : SlotKind.Load;
      forPieces(instruction.address[i], size, (_, bytes, split) => {
        slots.push({ kind, size: bytes, flags: split ? SlotFlag.Split : 0 });
      });
    }
    const plain = { at, real: instruction.bytes !== undefined, rep: 0, element: 0, slots, signature };
    if (instruction.bytes !== undefined) {
      const bytes = instruction.bytes.slice();
      const string = repeatedString(bytes);
      if (string === undefined) return { ...plain, bytes, branch: at.branch };
      const slot = { kind: string.rep as SlotKind, size: string.element, flags: 0 };
      return { ...plain, bytes, branch: Branch.None, ...string, slots: [slot] };
    }
    if (at.branch !== Branch.None && at.branch !== Branch.Other) {
      const displacement = at.target < 0 ? undefined : at.target - at.pc - at.length;
      // A branch that was never taken may have any target.
      const known = at.branch === Branch.Conditional && at.target === -1 ? 0 : displacement;
      const { bytes, kind } = encodeBranch(at.branch, at.length, known);
      if (kind !== at.branch) this.counts.indirect++;
      return { ...plain, bytes: Uint8Array.from(bytes), branch: kind };
    }
    if (at.rep !== 0) {
      const string = encodeRep(at.rep, at.length, instruction.size[0] || ASSUMED_SIZE);
      if (string !== undefined) {
        const slot = { kind: at.rep, size: string.element, flags: 0 };
        const bytes = Uint8Array.from(string.bytes);
        return { ...plain, bytes, branch: Branch.None, rep: at.rep, element: string.element, slots: [slot] };
      }
    }
    const bytes = Uint8Array.from(encodePlain(at.length, loads, stores));
    return { ...plain, bytes, branch: at.branch };
  }

  private flush(): void {
    const { parts, addresses } = this;
    if (parts.length === 0) return;
    if (this.repeating !== undefined) this.rep.append(addresses);
    this.repeating = undefined;
    if (this.values.length < addresses.length) this.values = new Int32Array(addresses.length * 2);
    for (let i = 0; i < addresses.length; i++) this.values[i] = addresses[i];
    this.sink.exec(0, this.block(), this.values, addresses.length);
    this.parts = [];
    addresses.length = 0;
  }

  private block(): number {
    const { parts } = this;
    const start = parts[0].at.pc;
    const known = this.blocks.get(start) ?? [];
    if (known.length === 0) this.blocks.set(start, known);
    for (const { parts: other, id } of known) {
      if (other.length !== parts.length) continue;
      let i = 0;
      while (i < parts.length && other[i] === parts[i]) i++;
      if (i === parts.length) return id;
    }
    const lengths = Uint8Array.from(parts, (part) => part.bytes.length);
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    const vpn = Math.floor(start / 4096);
    const offset = start % 4096;
    const id = this.sink.block({
      page: this.pages.page(vpn),
      offset,
      page2: offset + bytes.length > 4096 ? this.pages.page(vpn + 1) : -1,
      lengths,
      bytes,
      slots: parts.flatMap((part, instr) => part.slots.map((slot) => ({ instr, ...slot }))),
    });
    known.push({ parts, id });
    return id;
  }
}

/** What an execution has to agree in to be of the same encoding. */
function signatureOf(at: SurveyedInstruction, instruction: FlatInstruction): string {
  const { bytes: real } = instruction;
  let text = real === undefined ? "" : Buffer.from(real).toString("latin1");
  if (real === undefined ? at.rep !== 0 : repeatedString(real) !== undefined)
    return `${text}R${instruction.accesses > 0 ? instruction.size[0] : ""}`;
  for (let i = 0; i < instruction.accesses; i++) {
    forPieces(instruction.address[i], instruction.size[i] || ASSUMED_SIZE, (_, bytes, split) => {
      text += String.fromCharCode(256 + (instruction.store[i] << 13) + (split ? 1 << 12 : 0) + bytes);
    });
  }
  return text;
}

/** Cuts an access at page boundaries and, when it is long, into pieces. */
function forPieces(
  address: number,
  size: number,
  piece: (address: number, bytes: number, split: boolean) => void,
): void {
  let at = address;
  let left = size;
  let split = false;
  while (left > 0) {
    const room = 4096 - (at % 4096);
    const most = size > 255 ? PIECE : 255;
    const bytes = Math.min(left, room, most);
    piece(at, bytes, split);
    left -= bytes;
    at = (at + bytes) % 2 ** 48;
    split = bytes === room && left > 0 && size <= 255;
  }
}
