import { type CoreStream, EventKind, SlotFlag, SlotKind, type Trace } from "../loader/index.js";
import { hexAddress, StaticCode } from "./code.js";
import type { StreamRange } from "./range.js";
import { Symbolizer } from "./symbolizer.js";

/** One memory access as it happened; of a repeated string instruction, one segment of it. */
export interface DumpedAccess {
  kind: "load" | "store";
  /** Bytes; of a repeated string instruction, of one element. */
  size: number;
  /** Hexadecimal. */
  virtual: string;
  physical: string;
  /** A device's registers. */
  io?: true;
  locked?: true;
  /** The second part of an access that straddles two pages. */
  split?: true;
  /** Of a repeated string instruction; negative when addresses go down. */
  iterations?: number;
}

export interface DumpedInstruction {
  address: string;
  bytes: string;
  text: string;
  accesses: DumpedAccess[];
}

/** A block execution. */
export interface DumpedBlock {
  position: number;
  block: number;
  privilege: "user" | "kernel";
  /** 0 for the kernel half. */
  addressSpace: number;
  physical: string;
  /** "name+0x10", or "". */
  symbol: string;
  instructions: DumpedInstruction[];
}

export interface DumpedEvent {
  position: number;
  event: string;
  a: number;
  b: number;
  c: number;
}

export type DumpEntry = DumpedBlock | DumpedEvent;

const EVENT_NAMES = new Map<number, string>(Object.entries(EventKind).map(([name, kind]) => [kind, name]));

/** Block executions and events of a part of a stream, one after the other. */
export function* dumpTrace(trace: Trace, range: StreamRange): Generator<DumpEntry> {
  const code = new StaticCode(trace.blocks, trace.pages);
  try {
    const symbols = new Symbolizer(trace);
    const stream = trace.stream(range.core, range.from);
    const wanted = eventFilter(trace, range);
    while (stream.next()) {
      const walker = new Walker(stream, code, symbols);
      let event = 0;
      for (let i = 0; i <= stream.blockCount; i++) {
        const position = stream.position + i;
        for (; event < stream.eventCount && stream.eventAt[event] === i; event++) {
          const entry = eventEntry(stream, event, position);
          if (wanted(entry)) yield entry;
        }
        if (i === stream.blockCount) break;
        if (position >= range.to) return;
        if (position < range.from) walker.skip(i);
        else yield walker.entry(i, position);
      }
    }
  } finally {
    code.free();
  }
}

/**
 * Which events belong to a range: those before its executions, at the end of the stream also those behind;
 * of invocations, those from their WorkBegin to their WorkEnd.
 */
function eventFilter(trace: Trace, range: StreamRange): (entry: DumpedEvent) => boolean {
  const { from, to, invocations } = range;
  const atEnd = to === trace.cores[range.core].blockExecutions;
  if (invocations === undefined)
    return ({ position }) => position >= from && (position < to || (atEnd && position === to));
  const isCut = to < trace.cores[range.core].invocations[invocations[1]].end;
  let begun = false;
  let ended = false;
  return ({ position, event, a }) => {
    if (position < from || position > to || (isCut && position === to) || ended) return false;
    if (event === "WorkBegin" && a === invocations[0]) begun = true;
    if (event === "WorkEnd" && a === invocations[1]) ended = true;
    return begun;
  };
}

function eventEntry(stream: CoreStream, at: number, position: number): DumpedEvent {
  return {
    position,
    event: EVENT_NAMES.get(stream.eventKind[at]) ?? String(stream.eventKind[at]),
    a: stream.eventA[at],
    b: stream.eventB[at],
    c: stream.eventC[at],
  };
}

/** Goes through the addresses of a batch. */
class Walker {
  private at = 0;

  constructor(
    private readonly stream: CoreStream,
    private readonly code: StaticCode,
    private readonly symbols: Symbolizer,
  ) {}

  skip(i: number): void {
    const { slotStart, slotKind } = this.code.blocks;
    const block = this.stream.blocks[i];
    for (let slot = slotStart[block]; slot < slotStart[block + 1]; slot++) {
      if (slotKind[slot] < SlotKind.RepLoad) this.at++;
      else this.at += 1 + this.stream.addresses[this.at] * (slotKind[slot] >= SlotKind.RepMove ? 3 : 2);
    }
  }

  entry(i: number, position: number): DumpedBlock {
    const { code, symbols } = this;
    const { blocks, pages } = code;
    const block = this.stream.blocks[i];
    const page = blocks.page[block];
    const first = blocks.instrStart[block];
    const instructions: DumpedInstruction[] = [];
    for (let at = first; at < blocks.instrStart[block + 1]; at++) {
      instructions.push({
        address: hexAddress(code.instructionAddress(block, at)),
        bytes: Buffer.from(code.bytes(at)).toString("hex"),
        text: code.text(block, at),
        accesses: [],
      });
    }
    for (let slot = blocks.slotStart[block]; slot < blocks.slotStart[block + 1]; slot++)
      this.accesses(slot, instructions[blocks.slotInstr[slot]].accesses);
    return {
      position,
      block,
      privilege: pages.kernel[page] === 1 ? "kernel" : "user",
      addressSpace: pages.asid[page],
      physical: this.physical((page << 12) | blocks.offset[block]),
      symbol: symbols.text(pages.asid[page], code.address(block)),
      instructions,
    };
  }

  private accesses(slot: number, out: DumpedAccess[]): void {
    const { slotKind } = this.code.blocks;
    const { addresses } = this.stream;
    const kind = slotKind[slot];
    if (kind < SlotKind.RepLoad) {
      out.push(this.access(slot, kind === SlotKind.Store, addresses[this.at++]));
      return;
    }
    for (let left = addresses[this.at++]; left > 0; left--) {
      const iterations = addresses[this.at++];
      out.push({ ...this.access(slot, kind === SlotKind.RepStore, addresses[this.at++]), iterations });
      if (kind < SlotKind.RepMove) continue;
      out.push({ ...this.access(slot, kind === SlotKind.RepMove, addresses[this.at++]), iterations });
    }
  }

  private access(slot: number, store: boolean, address: number): DumpedAccess {
    const { pages, blocks } = this.code;
    const page = address >>> 12;
    const flags = blocks.slotFlags[slot];
    return {
      kind: store ? "store" : "load",
      size: blocks.slotSize[slot],
      virtual: hexAddress(pages.vpn[page] * 4096 + (address & 4095)),
      physical: this.physical(address),
      ...(pages.io[page] === 1 ? { io: true as const } : {}),
      ...((flags & SlotFlag.Locked) !== 0 ? { locked: true as const } : {}),
      ...((flags & SlotFlag.Split) !== 0 ? { split: true as const } : {}),
    };
  }

  private physical(address: number): string {
    return (this.code.pages.ppn[address >>> 12] * 4096 + (address & 4095)).toString(16);
  }
}
