/**
 * The contract between whoever makes a trace (capture, converters) and whoever reads it.
 *
 * A trace is a dictionary (pages, blocks) and, for each core, a stream of block executions with the
 * addresses of their memory accesses and with events between them.
 */

/** A 48-bit virtual address. Bit 47 set means the upper canonical half: the kernel. */
export type VirtualAddress = number;

/**
 * `pageId << 12 | offset in page`, as an int32 (negative from page 2^19 on: take it apart with `>>>`).
 * Page ids are dense, so TLB tags, page tables and line numbers need no 64-bit arithmetic.
 */
export type PageAddress = number;

/** At most this many distinct pages (address space, virtual page, physical page) in one trace. */
export const MAX_PAGES = 1 << 20;

/** What one slot of a block does. A read-modify-write is a Load slot followed by a Store slot. */
export const SlotKind = {
  Load: 0,
  Store: 1,
  /** `rep lods`, `rep scas`: one memory operand, read. */
  RepLoad: 2,
  /** `rep stos`: one memory operand, written. */
  RepStore: 3,
  /** `rep movs`: operand A is read, operand B is written. */
  RepMove: 4,
  /** `rep cmps`: operands A and B are read. */
  RepCompare: 5,
} as const;
export type SlotKind = (typeof SlotKind)[keyof typeof SlotKind];

/** Slot flags. */
export const SlotFlag = {
  /** The part on the second page of an access that straddles two pages; the slot before is the first part. */
  Split: 1,
  /** Part of a locked read-modify-write. */
  Locked: 2,
} as const;

/** One memory access that each execution of a block makes; slots are in program order. */
export interface SlotDef {
  /** Index of the instruction in its block, 0-based, non-decreasing over the slots of a block. */
  instr: number;
  kind: SlotKind;
  /** Bytes of the access, 1..255; for Rep kinds the bytes of one element (1, 2, 4 or 8). */
  size: number;
  /** Or of SlotFlag. */
  flags: number;
}

/** One page of one address space, mapped to one physical page. A changed mapping is another page. */
export interface PageDef {
  /** Address space: 0 = the kernel half, which all share; 1.. = one for each user address space. */
  asid: number;
  /** Virtual page: virtual address >> 12, below 2^36; bit 35 set = kernel half. */
  vpn: number;
  /** Guest-physical page: physical address >> 12, below 2^31. */
  ppn: number;
  /** The page is a device's registers, not memory. */
  io: boolean;
}

/** A straight run of instructions as it was executed once at least: possibly a prefix of a longer block. */
export interface BlockDef {
  /** Page of the first byte. */
  page: number;
  /** Offset of the first byte in it, 0..4095. */
  offset: number;
  /** Page that the bytes run into, or -1. */
  page2: number;
  /** Bytes of each instruction, 1..15. */
  lengths: Uint8Array;
  /** All bytes, in order; its length is the sum of `lengths`. */
  bytes: Uint8Array;
  slots: readonly SlotDef[];
}

/** Events stand between block executions of one core's stream. Operands a, b, c are integers below 2^53. */
export const EventKind = {
  /** a = invocation number, 0-based over warm-up and measured invocations. In every core's stream. */
  WorkBegin: 1,
  /** a = invocation number. */
  WorkEnd: 2,
  /** a = task id, b = container id (0 none, 1 the function, 2 the client, 3.. others), c = asid. */
  Switch: 3,
  /** The core halts until the next IdleEnd. */
  IdleBegin: 4,
  /**
   * a = core that woke this one, or -1 (a timer or device), b = number of block executions that core
   * had done when it sent the wake-up, c = nanoseconds of guest time spent idle.
   */
  IdleEnd: 5,
  /** Asynchronous entry: an interrupt. a = vector or -1 if unknown. */
  Interrupt: 6,
  /** A phase of the function's life begins. a = PhaseKind. */
  Phase: 7,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

/** Phases of a function's life, in their order; a trace need not have all. */
export const PhaseKind = {
  /** The container runtime is called to create the container. */
  ContainerStart: 0,
  /** The container's program is run: the language's runtime starts. */
  RuntimeInit: 1,
  /** The runtime turns to the function's own code. */
  FunctionInit: 2,
  /** The function listens for requests. */
  Execution: 3,
} as const;
export type PhaseKind = (typeof PhaseKind)[keyof typeof PhaseKind];

/** A name for a range of addresses, so that misses can be blamed on functions. */
export interface SymbolDef {
  /** 0 for the kernel, else the address space the name is valid in. */
  asid: number;
  address: VirtualAddress;
  /** Bytes; 0 = up to the next symbol of the same object. */
  size: number;
  name: string;
  /** Index into the objects. */
  object: number;
}

/** A file that symbols come from. */
export interface ObjectDef {
  /** "kernel", a path in the guest, or "jit". */
  path: string;
  /** Hexadecimal build id, or "". */
  buildId: string;
}

/** What the header says beside the counts that the writer adds itself. */
export interface TraceHeaderInput {
  /** For example "fibonacci-go". */
  function: string;
  /** For example "go". */
  runtime: string;
  /** Clock of the captured machine, in GHz of guest time (instructions a nanosecond under icount). */
  clockGHz: number;
  cores: number;
  /** The core that the function's container is pinned to, and the client's. */
  functionCore: number;
  clientCore: number;
  /** Recorded invocations that only warm up; they come first. */
  warmInvocations: number;
  measuredInvocations: number;
  /** Exact command, date (ISO 8601), and the versions of everything that made the trace. */
  provenance: { command: string; date: string; versions: Record<string, string>; notes?: string[] };
  /** Physical memory of the captured machine, MiB. */
  memoryMiB: number;
  /** container id -> name */
  containers: Record<string, string>;
  /** task id -> name, where known */
  tasks?: Record<string, string>;
}

/** The header as it is read. */
export interface TraceHeader extends TraceHeaderInput {
  formatVersion: number;
}

/** Makes a trace. Writes to a temporary name; the file gets its name on `close`. */
export interface TraceSink {
  /** @returns page id; the same definition gives the same id. Throws past MAX_PAGES. */
  page(def: PageDef): number;
  /** @returns block id; the same definition gives the same id. */
  block(def: BlockDef): number;
  /**
   * One execution of a block on a core. `addresses[0..count)` holds, slot by slot, one PageAddress;
   * for a Rep slot instead: S, then S segments of (iterations, A [, B]), each segment within one page
   * for each operand (an element that straddles two pages is a segment of its own, on its first page);
   * S = 0 for no iteration. An address is that of the segment's lowest-numbered iteration; iterations
   * are negative when the direction flag is set.
   */
  exec(core: number, block: number, addresses: Int32Array, count: number): void;
  event(core: number, kind: EventKind, a: number, b: number, c: number): void;
  symbols(objects: readonly ObjectDef[], symbols: readonly SymbolDef[]): void;
  /** Number of block executions written for a core so far: the position of its next one. */
  position(core: number): number;
  /** Writes what is left, the index and the header; renames. */
  close(): void;
  /** Removes the temporary file. */
  abort(): void;
}

/** All pages of a trace, by page id. Arrays are borrowed: do not write. */
export interface PageTable {
  readonly count: number;
  readonly asid: Int32Array;
  readonly vpn: Float64Array;
  readonly ppn: Int32Array;
  readonly io: Uint8Array;
  /** 1 where the page is in the kernel half. */
  readonly kernel: Uint8Array;
}

/** All blocks of a trace, by block id; instructions and slots of a block are contiguous. Borrowed. */
export interface BlockTable {
  readonly count: number;
  readonly page: Int32Array;
  readonly offset: Int32Array;
  readonly page2: Int32Array;
  /** First instruction of block b: instrStart[b]; one past the last: instrStart[b + 1]. */
  readonly instrStart: Int32Array;
  /** First byte of instruction i: byteStart[i]; one past the last: byteStart[i + 1]. */
  readonly byteStart: Int32Array;
  readonly bytes: Uint8Array;
  /** First slot of block b: slotStart[b]; one past the last: slotStart[b + 1]. */
  readonly slotStart: Int32Array;
  /** Index of the slot's instruction in its block. */
  readonly slotInstr: Uint16Array;
  readonly slotKind: Uint8Array;
  readonly slotSize: Uint8Array;
  readonly slotFlags: Uint8Array;
}

/**
 * One core's stream, read in batches. After `next()` returned true, the arrays hold one batch; they are
 * borrowed and change with the following `next()`. Batches are small (at most some ten thousand block
 * executions), so that they stay in the host's caches. A batch boundary means nothing.
 */
export interface CoreStream {
  readonly core: number;
  /** @returns false at the end. Throws TraceError (with the file offset) at damage. */
  next(): boolean;
  /** Position (number of block executions before) of blocks[0]. */
  readonly position: number;
  readonly blocks: Int32Array;
  readonly blockCount: number;
  /** Slot addresses of all executions, flattened, laid out as in TraceSink.exec. */
  readonly addresses: Int32Array;
  readonly addressCount: number;
  readonly eventCount: number;
  /** The event stands before blocks[eventAt[i]]; eventAt[i] = blockCount: after the batch's last block. Non-decreasing. */
  readonly eventAt: Int32Array;
  readonly eventKind: Int32Array;
  readonly eventA: Float64Array;
  readonly eventB: Float64Array;
  readonly eventC: Float64Array;
}

/** Where one invocation lies in one core's stream. */
export interface InvocationSpan {
  invocation: number;
  /** Positions (block executions) of WorkBegin and WorkEnd. */
  begin: number;
  end: number;
  /** Instructions between them. */
  instructions: number;
}

/** What is known of a core's stream without reading it. */
export interface CoreSummary {
  blockExecutions: number;
  instructions: number;
  invocations: readonly InvocationSpan[];
  /**
   * Positions of this core that IdleEnd events of other cores name as the source of their wake-up
   * (their operand b where a = this core): ascending, distinct. Kept in the index by the writer, so that
   * a simulator knows where to take the time without reading ahead.
   */
  wakePositions: readonly number[];
}

/** An open trace. */
export interface Trace {
  readonly path: string;
  readonly header: TraceHeader;
  /** SHA-256 of the file, hexadecimal; read on first use. */
  readonly sha256: string;
  readonly fileBytes: number;
  readonly pages: PageTable;
  readonly blocks: BlockTable;
  readonly cores: readonly CoreSummary[];
  /** @param from position to start at; the stream starts at the chunk boundary at or before it. */
  stream(core: number, from?: number): CoreStream;
  symbols(): { objects: readonly ObjectDef[]; symbols: readonly SymbolDef[] };
  close(): void;
}
