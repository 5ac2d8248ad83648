import {
  Code,
  Decoder,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  Instruction,
  InstructionInfoFactory,
} from "iced-x86";
import type { BlockTable, PageTable } from "../loader/index.js";
import { type AccessRule, accessRule } from "./access-rules.js";
import { Flow, flowOf, isDirect } from "./flow.js";

/** What the bytes of an instruction say, wherever it stands. */
export interface InstructionFacts {
  /** The bytes are one instruction of their length. */
  valid: boolean;
  flow: Flow;
  /** Of a direct branch: target minus the address behind it. */
  displacement: number;
  access: AccessRule;
}

/** The static instructions of a trace, decoded by iced-x86. Each distinct byte string is decoded once. */
export class StaticCode {
  private readonly known = new Map<string, InstructionFacts>();
  private readonly instruction = new Instruction();
  private readonly infos = new InstructionInfoFactory();
  private formatter: Formatter | undefined;

  constructor(
    readonly blocks: BlockTable,
    readonly pages: PageTable,
  ) {}

  /** Virtual address (48 bits) of a block's first byte. */
  address(block: number): number {
    return this.pages.vpn[this.blocks.page[block]] * 4096 + this.blocks.offset[block];
  }

  /** Virtual address of static instruction `i` of a block. */
  instructionAddress(block: number, i: number): number {
    const { byteStart, instrStart } = this.blocks;
    return this.address(block) + byteStart[i] - byteStart[instrStart[block]];
  }

  /** Page address of static instruction `i` of a block. */
  pageAddress(block: number, i: number): number {
    const { byteStart, instrStart, offset, page, page2 } = this.blocks;
    const at = offset[block] + byteStart[i] - byteStart[instrStart[block]];
    return at < 4096 ? (page[block] << 12) | at : (page2[block] << 12) | (at - 4096);
  }

  bytes(i: number): Uint8Array {
    return this.blocks.bytes.subarray(this.blocks.byteStart[i], this.blocks.byteStart[i + 1]);
  }

  /** @param i static instruction */
  facts(i: number): InstructionFacts {
    const { bytes, byteStart } = this.blocks;
    let key = "";
    for (let at = byteStart[i]; at < byteStart[i + 1]; at++) key += String.fromCharCode(bytes[at]);
    let facts = this.known.get(key);
    if (facts === undefined) {
      facts = this.decode(this.bytes(i));
      this.known.set(key, facts);
    }
    return facts;
  }

  /** Assembly text of a static instruction, its addresses as in the trace. */
  text(block: number, i: number): string {
    const { instruction } = this;
    const decoder = new Decoder(64, this.bytes(i), DecoderOptions.None);
    decoder.ip = canonical(this.instructionAddress(block, i));
    decoder.decodeOut(instruction);
    decoder.free();
    this.formatter ??= newFormatter();
    return instruction.code === Code.INVALID ? "(bad)" : this.formatter.format(instruction);
  }

  /** Gives the decoder's memory back. */
  free(): void {
    this.instruction.free();
    this.infos.free();
    this.formatter?.free();
  }

  private decode(bytes: Uint8Array): InstructionFacts {
    const { instruction } = this;
    const decoder = new Decoder(64, bytes, DecoderOptions.None);
    decoder.decodeOut(instruction);
    decoder.free();
    const valid = instruction.code !== Code.INVALID && instruction.length === bytes.length;
    const flow = valid ? flowOf(instruction) : Flow.Next;
    const info = this.infos.info(instruction);
    const access = accessRule(instruction, info, bytes);
    info.free();
    const target = isDirect(flow) ? Number(BigInt.asIntN(64, instruction.nearBranchTarget)) : 0;
    return { valid, flow, displacement: isDirect(flow) ? target - bytes.length : 0, access };
  }
}

function newFormatter(): Formatter {
  const formatter = new Formatter(FormatterSyntax.Intel);
  formatter.hexPrefix = "0x";
  formatter.hexSuffix = "";
  formatter.uppercaseHex = false;
  formatter.spaceAfterOperandSeparator = true;
  formatter.branchLeadingZeros = false;
  return formatter;
}

/** The 64-bit address that a 48-bit one stands for. */
export function canonical(address: number): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(48, BigInt(address)));
}

/** An address in 48 bits. */
export function modulo48(address: number): number {
  return ((address % 2 ** 48) + 2 ** 48) % 2 ** 48;
}

/** "401000", "ffffffff81000000". */
export function hexAddress(address: number): string {
  return canonical(address).toString(16);
}
