import { InputError } from "../../errors.js";
import { address48, Branch, FlatInstruction, type FlatSink, type FlatSource, isCanonical } from "./flat.js";
import { ZipFile } from "./zip.js";

const LOST = [
  "a drmemtrace file is one thread of one process at user level: no kernel, no interrupts, no other cores",
  "system calls and signals are marked as task switches; other markers are left out",
  "addresses are virtual: physical pages are given out in order of first touch",
];

const ENTRY_BYTES = 12;
const MAX_LENGTH = 15;

/** Entry types. */
const READ = 0;
const WRITE = 1;
const BUNDLE = 17;
const THREAD = 22;
const MARKER = 28;
const ENCODING = 47;
const LAST = 49;
const BRANCHES = new Map<number, Branch>([
  [10, Branch.None],
  [11, Branch.Jump],
  [12, Branch.IndirectJump],
  [13, Branch.Conditional],
  [14, Branch.Call],
  [15, Branch.IndirectCall],
  [16, Branch.Return],
  // Iterations of repeated string instructions.
  [29, Branch.None],
  [30, Branch.None],
  [31, Branch.Other],
  [48, Branch.Conditional],
  [49, Branch.Conditional],
]);
const TAKEN = 48;

/** Marker that tells the architecture, and its bits. */
const FILETYPE = 9;
const FOREIGN_ARCHITECTURES = 0x08 | 0x10 | 0x20;

/** One thread's `.trace.zip` of DynamoRIO's drmemtrace: chunks of packed 12-byte entries. */
export class DrMemtraceSource implements FlatSource {
  readonly format = "DynamoRIO drmemtrace";
  readonly lost = LOST;
  private readonly zip: ZipFile;

  constructor(path: string) {
    this.zip = new ZipFile(path);
  }

  async read(sink: FlatSink, progress: (done: number, all: number) => void): Promise<void> {
    const decoder = new EntryDecoder(sink);
    const chunks = this.zip.entries.filter(({ name }) => /(^|\/)chunk\.\d+$/.test(name));
    if (chunks.length === 0)
      throw new InputError(`${this.zip.path}: no chunk of a drmemtrace in this archive`);
    const all = chunks.reduce((sum, { bytes }) => sum + bytes, 0);
    let done = 0;
    for (const entry of chunks) {
      let rest: Uint8Array = new Uint8Array(0);
      let offset = 0;
      const damage = (at: number, problem: string) =>
        new InputError(`${this.zip.path}: ${entry.name}, at byte ${at} of the unpacked content: ${problem}`);
      for await (const chunk of this.zip.read(entry)) {
        const bytes: Uint8Array = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        let at = 0;
        for (; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
          const problem = decoder.entry(view, at);
          if (problem !== "") throw damage(offset + at, problem);
          if (decoder.ended) return;
        }
        offset += at;
        rest = bytes.subarray(at);
        done += chunk.length;
        progress(done, all);
      }
      if (rest.length > 0) throw damage(offset, `the last entry has ${rest.length} of ${ENTRY_BYTES} bytes`);
    }
    decoder.finish();
  }
}

class EntryDecoder {
  ended = false;
  private readonly instruction = new FlatInstruction();
  private has = false;
  /** Bytes of the instruction that comes next. */
  private pending: number[] = [];
  private readonly encodings = new Map<number, Uint8Array>();
  private thread = -1;

  constructor(private readonly sink: FlatSink) {}

  finish(): void {
    if (this.has && !this.ended) this.sink(this.instruction);
  }

  /** @returns what is wrong with the entry, or "" */
  entry(view: DataView, at: number): string {
    const type = view.getUint16(at, true);
    const size = view.getUint16(at + 2, true);
    const low = view.getUint32(at + 4, true);
    const high = view.getUint32(at + 8, true);
    const branch = BRANCHES.get(type);
    if (branch !== undefined) return this.begin(type, branch, size, low, high);
    switch (type) {
      case READ:
      case WRITE:
        if (!this.has) return "an access before the first instruction";
        if (size < 1 || size > 4096) return `an access of ${size} bytes`;
        return this.instruction.access(type === WRITE, address48(low, high), size)
          ? ""
          : "too many accesses of one instruction";
      case ENCODING:
        if (size < 1 || size > 8 || this.pending.length + size > MAX_LENGTH)
          return `an encoding of ${size} bytes`;
        for (let i = 0; i < size; i++) this.pending.push(view.getUint8(at + 4 + i));
        return "";
      case MARKER:
        if (size === FILETYPE && (low & FOREIGN_ARCHITECTURES) !== 0)
          return "the trace is of another architecture than x86-64";
        return "";
      case THREAD:
        if (this.thread >= 0 && this.thread !== low) return "several threads in one file are not supported";
        this.thread = low;
        return "";
      case BUNDLE:
        return "bundles of instructions (online traces) are not supported";
      default:
        return type <= LAST ? "" : `entry type ${type} is unknown`;
    }
  }

  private begin(type: number, branch: Branch, size: number, low: number, high: number): string {
    if (size < 1 || size > MAX_LENGTH) return `an instruction of ${size} bytes`;
    if (!isCanonical(high)) return "an instruction's address is not a 48-bit address";
    const pc = address48(low, high);
    if (this.pending.length > 0) {
      if (this.pending.length !== size) return `${this.pending.length} bytes of an instruction of ${size}`;
      this.encodings.set(pc, Uint8Array.from(this.pending));
      this.pending = [];
    }
    if (this.has && !this.sink(this.instruction)) {
      this.ended = true;
      return "";
    }
    const bytes = this.encodings.get(pc);
    const { instruction } = this;
    instruction.clear();
    this.has = true;
    instruction.pc = pc;
    instruction.length = size;
    instruction.taken = type === TAKEN;
    instruction.bytes = bytes?.length === size ? bytes : undefined;
    instruction.branch = bytes !== undefined && isSystemCall(bytes) ? Branch.Other : branch;
    return "";
  }
}

/** `syscall`, `sysenter`, `int`, `hlt` and `ud2`: what follows is not in the trace. */
function isSystemCall(bytes: Uint8Array): boolean {
  if (bytes.length === 1) return bytes[0] === 0xcc || bytes[0] === 0xf1 || bytes[0] === 0xf4;
  if (bytes.length !== 2) return false;
  return (
    bytes[0] === 0xcd || (bytes[0] === 0x0f && (bytes[1] === 0x05 || bytes[1] === 0x34 || bytes[1] === 0x0b))
  );
}
