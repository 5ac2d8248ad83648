import { FlowControl, type Instruction, Mnemonic } from "iced-x86";

/** How an instruction hands over to the next one. */
export const Flow = {
  /** To the instruction behind it. */
  Next: 0,
  /** To its target or to the instruction behind it. */
  Conditional: 1,
  /** To its target. */
  Jump: 2,
  Call: 3,
  /** Anywhere at the same privilege. */
  IndirectJump: 4,
  IndirectCall: 5,
  Return: 6,
  /** To the kernel's system call entry. */
  SystemCall: 7,
  /** To the user level. */
  SystemReturn: 8,
  /** Anywhere. */
  InterruptReturn: 9,
  /** To the kernel. */
  SoftwareInterrupt: 10,
  /** To the instruction behind it, after an idle time. */
  Halt: 11,
  /** Nowhere: `ud2` raises an exception. */
  Fault: 12,
} as const;
export type Flow = (typeof Flow)[keyof typeof Flow];

/** Whether an instruction can only be the last of a block. */
export function endsBlock(flow: Flow): boolean {
  return flow !== Flow.Next;
}

/** Whether the instruction names its target. */
export function isDirect(flow: Flow): boolean {
  return flow === Flow.Conditional || flow === Flow.Jump || flow === Flow.Call;
}

const BY_MNEMONIC = new Map<Mnemonic, Flow>([
  [Mnemonic.Syscall, Flow.SystemCall],
  [Mnemonic.Sysenter, Flow.SystemCall],
  [Mnemonic.Sysret, Flow.SystemReturn],
  [Mnemonic.Sysretq, Flow.SystemReturn],
  [Mnemonic.Sysexit, Flow.SystemReturn],
  [Mnemonic.Sysexitq, Flow.SystemReturn],
  [Mnemonic.Iret, Flow.InterruptReturn],
  [Mnemonic.Iretd, Flow.InterruptReturn],
  [Mnemonic.Iretq, Flow.InterruptReturn],
  [Mnemonic.Hlt, Flow.Halt],
  [Mnemonic.Mwait, Flow.Halt],
  [Mnemonic.Ud0, Flow.Fault],
  [Mnemonic.Ud1, Flow.Fault],
  [Mnemonic.Ud2, Flow.Fault],
]);

export function flowOf(instruction: Instruction): Flow {
  const known = BY_MNEMONIC.get(instruction.mnemonic);
  if (known !== undefined) return known;
  switch (instruction.flowControl) {
    case FlowControl.ConditionalBranch:
      return Flow.Conditional;
    case FlowControl.UnconditionalBranch:
      return instruction.isJmpFar ? Flow.IndirectJump : Flow.Jump;
    case FlowControl.Call:
      return instruction.isCallFar || instruction.nearBranchTarget === 0n ? Flow.IndirectCall : Flow.Call;
    case FlowControl.IndirectBranch:
      return Flow.IndirectJump;
    case FlowControl.IndirectCall:
      return Flow.IndirectCall;
    case FlowControl.Return:
      return Flow.Return;
    case FlowControl.Interrupt:
      return Flow.SoftwareInterrupt;
    // xbegin aborts to its target, xend falls through.
    case FlowControl.XbeginXabortXend:
      return instruction.mnemonic === Mnemonic.Xbegin ? Flow.Conditional : Flow.Next;
    default:
      return Flow.Next;
  }
}
