import {
  Decoder,
  DecoderOptions,
  Instruction,
  InstructionInfoFactory,
  OpAccess,
  RegisterExt,
} from "iced-x86";
import { SlotFlag, SlotKind, type Trace } from "../../loader/index.js";
import { modulo48, StaticCode } from "../code.js";
import { Flow } from "../flow.js";
import type { StreamRange } from "../range.js";
import type { ToolProgress } from "../validate.js";
import { PLAIN, REG_FLAGS, REG_INSTRUCTION_POINTER, REG_STACK_POINTER, SOURCES } from "./champsim.js";
import { openOutput } from "./output.js";

/** What a ChampSim trace cannot say of ours. */
export const LOST_WRITING: readonly string[] = [
  "ChampSim records have no instruction bytes, lengths or sizes of accesses",
  "one core only; events (invocations, task switches, idle time, interrupts, wake-ups) are left out",
  "physical addresses and address spaces are left out: different spaces may use the same virtual address",
  "at most 4 addresses read and 2 written, 4 registers read and 2 written by an instruction: the rest is left out",
  "each iteration of a repeated string instruction is a record of its own",
];

export interface ChampSimReport {
  path: string;
  core: number;
  from: number;
  to: number;
  instructions: number;
  records: number;
  /** Addresses for which a record had no room. */
  accessesLost: number;
  lost: readonly string[];
}

const BUFFER_RECORDS = 4096;

/** Writes a part of one core's stream as ChampSim's 64-byte records; packed where the name ends in .gz or .xz. */
export async function writeChampSim(
  trace: Trace,
  range: StreamRange,
  path: string,
  progress: ToolProgress = () => {},
): Promise<ChampSimReport> {
  const out = openOutput(path);
  const code = new StaticCode(trace.blocks, trace.pages);
  try {
    const templates = new Templates(code);
    const writer = new RecordWriter(trace, code, templates);
    const stream = trace.stream(range.core, range.from);
    let written = 0;
    while (stream.next()) {
      writer.start(stream.addresses);
      for (let i = 0; i < stream.blockCount; i++) {
        const position = stream.position + i;
        if (position >= range.to) break;
        writer.block(stream.blocks[i], position >= range.from);
        if (writer.full) await out.write(writer.take());
        written++;
      }
      progress(Math.min(written, range.to - range.from), range.to - range.from);
      if (stream.position + stream.blockCount >= range.to) break;
    }
    writer.finish();
    await out.write(writer.take());
    templates.free();
    await out.close();
    const { instructions, records, accessesLost } = writer;
    const { core, from, to } = range;
    return { path, core, from, to, instructions, records, accessesLost, lost: LOST_WRITING };
  } catch (error) {
    out.abort();
    throw error;
  } finally {
    code.free();
  }
}

/** Turns block executions into records; a record waits for the next one, which tells whether its branch was taken. */
class RecordWriter {
  instructions = 0;
  records = 0;
  accessesLost = 0;
  private buffer = Buffer.alloc(BUFFER_RECORDS * PLAIN.bytes);
  private length = 0;
  private addresses: Int32Array = new Int32Array(0);
  private at = 0;
  /** Offset of the last record in the buffer, if it is a branch whose outcome is open. */
  private open = -1;
  /** Where that branch goes when it is conditional, else -1: any outcome is "taken". */
  private target = -1;
  private loads = 0;
  private stores = 0;

  constructor(
    private readonly trace: Trace,
    private readonly code: StaticCode,
    private readonly templates: Templates,
  ) {}

  get full(): boolean {
    return this.length > (BUFFER_RECORDS - 1024) * PLAIN.bytes && this.open < 0;
  }

  start(addresses: Int32Array): void {
    this.addresses = addresses;
    this.at = 0;
  }

  /** The records so far. */
  take(): Buffer {
    const taken = Buffer.from(this.buffer.subarray(0, this.length));
    this.length = 0;
    return taken;
  }

  finish(): void {
    this.settle(-1);
  }

  block(block: number, wanted: boolean): void {
    const { blocks } = this.trace;
    const first = blocks.instrStart[block];
    const end = blocks.instrStart[block + 1];
    let slot = blocks.slotStart[block];
    const slotEnd = blocks.slotStart[block + 1];
    if (wanted) this.settle(this.code.address(block));
    for (let i = first; i < end; i++) {
      if (wanted) {
        this.instructions++;
        this.record(block, i);
      }
      for (; slot < slotEnd && blocks.slotInstr[slot] === i - first; slot++) {
        const kind = blocks.slotKind[slot];
        if (kind >= SlotKind.RepLoad) this.repeat(block, i, slot, wanted);
        else if (wanted && (blocks.slotFlags[slot] & SlotFlag.Split) === 0)
          this.access(kind === SlotKind.Store, this.virtual(this.addresses[this.at++]));
        else this.at++;
      }
    }
  }

  /** Another record for each iteration but the first. */
  private repeat(block: number, i: number, slot: number, wanted: boolean): void {
    const { slotKind, slotSize } = this.trace.blocks;
    const kind = slotKind[slot];
    const operands = kind >= SlotKind.RepMove ? 2 : 1;
    let isFirst = true;
    for (let left = this.addresses[this.at++]; left > 0; left--) {
      const iterations = this.addresses[this.at++];
      const step = iterations < 0 ? -slotSize[slot] : slotSize[slot];
      const a = this.virtual(this.addresses[this.at++]);
      const b = operands === 2 ? this.virtual(this.addresses[this.at++]) : 0;
      if (!wanted) continue;
      for (let n = 0; n < Math.abs(iterations); n++) {
        if (!isFirst) this.record(block, i);
        isFirst = false;
        this.access(kind === SlotKind.RepStore, a + n * step);
        if (operands === 2) this.access(kind === SlotKind.RepMove, b + n * step);
      }
    }
  }

  private virtual(address: number): number {
    return this.trace.pages.vpn[address >>> 12] * 4096 + (address & 4095);
  }

  private record(block: number, i: number): void {
    if (this.length + PLAIN.bytes > this.buffer.length)
      this.buffer = Buffer.concat([this.buffer, Buffer.alloc(this.buffer.length)]);
    const { template, isBranch } = this.templates.of(i);
    const { buffer, length } = this;
    buffer.fill(0, length, length + PLAIN.bytes);
    const address = this.code.instructionAddress(block, i);
    setAddress(buffer, length, address);
    buffer.set(template, length + 8);
    this.loads = 0;
    this.stores = 0;
    if (isBranch) {
      this.open = length;
      const { flow, displacement } = this.code.facts(i);
      const behind = address + this.code.bytes(i).length;
      this.target = flow === Flow.Conditional ? modulo48(behind + displacement) : -1;
    }
    this.length += PLAIN.bytes;
    this.records++;
  }

  private access(store: boolean, address: number): void {
    const last = this.length - PLAIN.bytes;
    if (store ? this.stores === PLAIN.destinations : this.loads === SOURCES) {
      this.accessesLost++;
      return;
    }
    const at = store ? PLAIN.destinationMemory + 8 * this.stores++ : PLAIN.sourceMemory + 8 * this.loads++;
    setAddress(this.buffer, last + at, address);
  }

  /** A conditional branch was taken if the next instruction is its target; after an interrupt it was not. */
  private settle(next: number): void {
    if (this.open < 0) return;
    this.buffer[this.open + 9] = this.target < 0 || next === this.target ? 1 : 0;
    this.open = -1;
  }
}

function setAddress(buffer: Buffer, at: number, address: number): void {
  buffer.writeUInt32LE(address % 2 ** 32, at);
  const high = Math.floor(address / 2 ** 32);
  buffer.writeUInt32LE((high & 0x8000) !== 0 ? (0xffff0000 | high) >>> 0 : high, at + 4);
}

/** By static instruction: bytes 8 to 15 of its records. */
class Templates {
  private readonly known = new Map<string, { template: Uint8Array; isBranch: boolean }>();
  private readonly infos = new InstructionInfoFactory();
  private readonly instruction = new Instruction();

  constructor(private readonly code: StaticCode) {}

  free(): void {
    this.infos.free();
    this.instruction.free();
  }

  of(i: number): { template: Uint8Array; isBranch: boolean } {
    const key = Buffer.from(this.code.bytes(i)).toString("latin1");
    let found = this.known.get(key);
    if (found === undefined) {
      found = this.make(i);
      this.known.set(key, found);
    }
    return found;
  }

  private make(i: number): { template: Uint8Array; isBranch: boolean } {
    const template = new Uint8Array(8);
    const { flow } = this.code.facts(i);
    const fill = (destinations: readonly number[], sources: readonly number[]) => {
      destinations.slice(0, 2).forEach((register, n) => {
        template[2 + n] = register;
      });
      sources.slice(0, SOURCES).forEach((register, n) => {
        template[4 + n] = register;
      });
    };
    const [IP, SP] = [REG_INSTRUCTION_POINTER, REG_STACK_POINTER];
    const { read, written } = this.registers(this.code.bytes(i));
    const others = read.filter((register) => register !== SP && register !== REG_FLAGS && register !== IP);
    // Without a register, an indirect branch goes by memory; ChampSim wants to see one.
    const through = others.length > 0 ? others : [ANY_REGISTER];
    switch (flow) {
      case Flow.Conditional:
        fill([IP], [IP, REG_FLAGS]);
        break;
      case Flow.Jump:
        fill([IP], []);
        break;
      case Flow.Call:
        fill([SP, IP], [SP, IP]);
        break;
      case Flow.IndirectJump:
        fill([IP], through);
        break;
      case Flow.IndirectCall:
        fill([SP, IP], [SP, IP, ...through]);
        break;
      case Flow.Return:
        fill([SP, IP], [SP]);
        break;
      case Flow.SystemCall:
      case Flow.SystemReturn:
      case Flow.InterruptReturn:
      case Flow.SoftwareInterrupt:
        // Of no kind that ChampSim predicts.
        fill([IP], [SP]);
        break;
      default:
        fill(written, read);
        return { template, isBranch: false };
    }
    template[0] = 1;
    return { template, isBranch: true };
  }

  private registers(bytes: Uint8Array): { read: number[]; written: number[] } {
    const { instruction } = this;
    const decoder = new Decoder(64, bytes, DecoderOptions.None);
    decoder.decodeOut(instruction);
    decoder.free();
    const info = this.infos.info(instruction);
    const read = new Set<number>();
    const written = new Set<number>();
    for (const used of info.usedRegisters()) {
      const register = numberOf(used.register);
      const { access } = used;
      used.free();
      if (register === 0) continue;
      if (access !== OpAccess.Write && access !== OpAccess.CondWrite) read.add(register);
      if (access !== OpAccess.Read && access !== OpAccess.CondRead) written.add(register);
    }
    info.free();
    if (instruction.rflagsRead !== 0) read.add(REG_FLAGS);
    if (instruction.rflagsModified !== 0) written.add(REG_FLAGS);
    return { read: [...read], written: [...written] };
  }
}

const ANY_REGISTER = 1;
/** rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi: 6 is the stack pointer's. */
const GENERAL = [1, 2, 3, 4, REG_STACK_POINTER, 5, 7, 8];

/** Our numbering, around ChampSim's three fixed numbers. */
function numberOf(register: number): number {
  if (RegisterExt.isGPR(register)) {
    const n = RegisterExt.number(RegisterExt.fullRegister(register));
    return n < 8 ? GENERAL[n] : n + 1;
  }
  if (RegisterExt.isVectorRegister(register)) return 32 + RegisterExt.number(register);
  if (RegisterExt.isST(register) || RegisterExt.isMM(register)) return 17;
  return RegisterExt.isK(register) ? 64 + RegisterExt.number(register) : 0;
}
