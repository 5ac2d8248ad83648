import { EventKind } from "../loader/index.js";
import { modulo48, type StaticCode } from "./code.js";
import { Flow, isDirect } from "./flow.js";
import type { Symbolizer } from "./symbolizer.js";

/** Why one block follows another. */
export const Transition = {
  /** The block before does not end in a branch. */
  FallThrough: 0,
  NotTaken: 1,
  Taken: 2,
  Jump: 3,
  Call: 4,
  IndirectJump: 5,
  IndirectCall: 6,
  Return: 7,
  SystemCall: 8,
  SystemReturn: 9,
  InterruptReturn: 10,
  SoftwareInterrupt: 11,
  /** A repeated string instruction goes on after it was interrupted. */
  Repeat: 12,
  /** An Interrupt event stands between. */
  Interrupt: 13,
  /** A fault or trap: the block begins at a kernel entry. */
  Exception: 14,
  /** The core was idle in between. */
  Idle: 15,
  /** Nothing but a Switch event explains it. */
  Switch: 16,
  Unexplained: 17,
} as const;
export type Transition = (typeof Transition)[keyof typeof Transition];

export const TRANSITION_NAMES = [
  "fall through",
  "conditional branch, not taken",
  "conditional branch, taken",
  "direct jump",
  "direct call",
  "indirect jump",
  "indirect call",
  "return",
  "system call",
  "system call return",
  "interrupt return",
  "software interrupt",
  "string instruction goes on",
  "interrupt",
  "exception",
  "idle",
  "task switch",
  "unexplained",
] as const;

/** Which events stand between two blocks, as bits. */
export const Between = { Interrupt: 1, Idle: 2, Switch: 4 } as const;

/** The bit of an event kind, or 0. */
export function betweenBit(kind: number): number {
  if (kind === EventKind.Interrupt) return Between.Interrupt;
  if (kind === EventKind.IdleEnd) return Between.Idle;
  return kind === EventKind.Switch ? Between.Switch : 0;
}

/** Names of the Linux kernel's entry points that the processor takes by itself. */
const ENTRY_NAMES =
  /^(asm_exc_|asm_sysvec_|asm_common_interrupt|asm_spurious|irq_entries_start|spurious_entries_start|early_idt_handler|xen_asm_exc_)/;

/** How each block begins and ends; says why one may follow another. */
export class ControlFlow {
  readonly start: Float64Array;
  readonly end: Float64Array;
  private readonly last: Float64Array;
  private readonly target: Float64Array;
  private readonly flow: Uint8Array;
  private readonly rep: Uint8Array;
  private readonly kernel: Uint8Array;
  /** A trace of a program alone has no kernel: its system calls come back at once. */
  private readonly anyKernel: boolean;
  private readonly firstPage: Int32Array;
  private readonly lastPage: Int32Array;
  /** Kernel addresses that user code was left for without being told to: entries of exceptions. */
  private readonly learned = new Set<number>();
  private readonly entries = new Map<number, boolean>();
  /** Address of the kernel's system call entry, once seen. */
  private systemCallEntry = -1;

  constructor(
    private readonly code: StaticCode,
    private readonly symbols: Symbolizer,
  ) {
    const { blocks, pages } = code;
    const { count } = blocks;
    this.start = new Float64Array(count);
    this.end = new Float64Array(count);
    this.last = new Float64Array(count);
    this.target = new Float64Array(count).fill(-1);
    this.flow = new Uint8Array(count);
    this.rep = new Uint8Array(count);
    this.kernel = new Uint8Array(count);
    this.firstPage = blocks.page;
    this.lastPage = new Int32Array(count);
    for (let block = 0; block < count; block++) {
      const i = blocks.instrStart[block + 1] - 1;
      const facts = code.facts(i);
      this.start[block] = code.address(block);
      this.last[block] = code.instructionAddress(block, i);
      this.end[block] = modulo48(this.last[block] + code.bytes(i).length);
      this.flow[block] = facts.flow;
      if (isDirect(facts.flow)) this.target[block] = modulo48(this.end[block] + facts.displacement);
      this.rep[block] = facts.access.rep;
      this.kernel[block] = pages.kernel[blocks.page[block]];
      this.lastPage[block] = blocks.page2[block] >= 0 ? blocks.page2[block] : blocks.page[block];
    }
    this.anyKernel = this.kernel.includes(1);
  }

  /** @param between bits of the events between the two */
  explain(before: number, next: number, between: number): Transition {
    if ((between & Between.Interrupt) !== 0) {
      return this.kernel[next] === 1 ? Transition.Interrupt : Transition.Unexplained;
    }
    const told = this.told(before, next);
    if (told !== Transition.Unexplained) return told;
    if (this.isEntry(before, next)) return Transition.Exception;
    if ((between & Between.Idle) !== 0 && this.flow[before] === Flow.Halt) return Transition.Idle;
    return (between & Between.Switch) !== 0 ? Transition.Switch : Transition.Unexplained;
  }

  /** Whether a fall-through or direct branch within a page also stays on the physical page. */
  keepsPage(before: number, next: number, why: Transition): boolean {
    if (why > Transition.Call) return true;
    const { pages } = this.code;
    const a = this.lastPage[before];
    const b = this.firstPage[next];
    return a === b || pages.vpn[a] !== pages.vpn[b] || pages.asid[a] !== pages.asid[b];
  }

  /** What the last instruction itself explains. */
  private told(before: number, next: number): Transition {
    const { start, end, kernel, flow } = this;
    const to = start[next];
    const same = kernel[before] === kernel[next];
    const behind = same && to === end[before];
    switch (flow[before]) {
      case Flow.Next:
        if (behind) return Transition.FallThrough;
        if (same && this.rep[before] !== 0 && to === this.last[before]) return Transition.Repeat;
        return Transition.Unexplained;
      case Flow.Halt:
        return behind ? Transition.FallThrough : Transition.Unexplained;
      case Flow.Conditional:
        if (behind) return Transition.NotTaken;
        return same && to === this.target[before] ? Transition.Taken : Transition.Unexplained;
      case Flow.Jump:
        return same && to === this.target[before] ? Transition.Jump : Transition.Unexplained;
      case Flow.Call:
        return same && to === this.target[before] ? Transition.Call : Transition.Unexplained;
      case Flow.IndirectJump:
        return same && !this.isExceptionEntry(next) ? Transition.IndirectJump : Transition.Unexplained;
      case Flow.IndirectCall:
        return same && !this.isExceptionEntry(next) ? Transition.IndirectCall : Transition.Unexplained;
      case Flow.Return:
        return same && !this.isExceptionEntry(next) ? Transition.Return : Transition.Unexplained;
      case Flow.SystemCall:
        if (!this.anyKernel && behind) return Transition.SystemCall;
        return this.isSystemCall(before, next) ? Transition.SystemCall : Transition.Unexplained;
      case Flow.SystemReturn:
        return kernel[before] === 1 && kernel[next] === 0 ? Transition.SystemReturn : Transition.Unexplained;
      case Flow.InterruptReturn:
        return this.isExceptionEntry(next) ? Transition.Unexplained : Transition.InterruptReturn;
      case Flow.SoftwareInterrupt:
        return kernel[next] === 1 ? Transition.SoftwareInterrupt : Transition.Unexplained;
      default:
        return Transition.Unexplained;
    }
  }

  /** All system calls of a guest enter the kernel at one address. */
  private isSystemCall(before: number, next: number): boolean {
    if (this.kernel[before] === 1 || this.kernel[next] === 0) return false;
    if (this.isExceptionEntry(next)) return false;
    if (this.systemCallEntry < 0) this.systemCallEntry = this.start[next];
    return this.systemCallEntry === this.start[next];
  }

  /** A kernel address that an exception may enter; without names, what user code was left for is one. */
  private isEntry(before: number, next: number): boolean {
    if (this.kernel[next] === 0) return false;
    if (this.isExceptionEntry(next)) return true;
    if (this.symbols.hasKernel || this.kernel[before] === 1) return false;
    if (this.flow[before] === Flow.SystemCall) return false;
    this.learned.add(this.start[next]);
    return true;
  }

  private isExceptionEntry(block: number): boolean {
    if (this.kernel[block] === 0) return false;
    const address = this.start[block];
    if (!this.symbols.hasKernel) return this.learned.has(address);
    let known = this.entries.get(address);
    if (known === undefined) {
      const { name, offset } = this.symbols.find(0, address);
      const isStart = offset === 0 || (offset % 8 === 0 && name?.endsWith("_entries_start") === true);
      known = name !== undefined && isStart && ENTRY_NAMES.test(name);
      this.entries.set(address, known);
    }
    return known;
  }
}
