import { type SlotKind, SlotKind as Slots } from "../../loader/index.js";
import { branchLength } from "./encode.js";
import { Branch, FlatInstruction } from "./flat.js";

const DEFAULT_LENGTH = 4;
const MAX_LENGTH = 15;

/** What all executions of one instruction say together. */
export class SurveyedInstruction {
  /** Bytes, or 0 while unknown. */
  length = 0;
  branch: Branch = Branch.Unknown;
  /** Where it jumped to: -1 nowhere, -2 several places. */
  target = -1;
  /** It was followed by the instruction behind it, by itself. */
  fellThrough = false;
  repeated = false;
  loads = 0;
  stores = 0;

  constructor(readonly pc: number) {}

  /** SlotKind of the repeated string instruction that it must be, or 0. */
  get rep(): SlotKind | 0 {
    if (!this.repeated || this.branch !== Branch.None || this.length === 1) return 0;
    if (this.loads === 1 && this.stores === 1) return Slots.RepMove;
    if (this.loads === 1 && this.stores === 0) return Slots.RepLoad;
    if (this.loads === 0 && this.stores === 1) return Slots.RepStore;
    return this.loads === 2 && this.stores === 0 ? Slots.RepCompare : 0;
  }
}

/**
 * First pass over a foreign trace: lengths, targets and kinds of its instructions. Memory is that of the
 * static code.
 */
export class Survey {
  readonly instructions = new Map<number, SurveyedInstruction>();
  readonly pages = new Set<number>();
  executed = 0;
  private readonly before = new FlatInstruction();
  private has = false;

  add(instruction: FlatInstruction): void {
    this.executed++;
    if (this.has) this.follow(instruction.pc);
    this.before.copyFrom(instruction);
    this.has = true;
    this.pages.add(Math.floor(instruction.pc / 4096));
    for (let i = 0; i < instruction.accesses; i++) this.pages.add(Math.floor(instruction.address[i] / 4096));
  }

  /** To be called after the last instruction: fills in what nothing said. */
  finish(): void {
    if (this.has) this.known();
    for (const each of this.instructions.values()) {
      if (each.branch === Branch.Unknown) each.branch = guess(each);
      if (each.length > 0) continue;
      const { target } = each;
      if (each.branch === Branch.None) each.length = each.repeated ? 3 : DEFAULT_LENGTH;
      else
        each.length = branchLength(each.branch, (length) =>
          target < 0 ? undefined : target - each.pc - length,
        );
    }
  }

  private known(): SurveyedInstruction {
    const { before } = this;
    let known = this.instructions.get(before.pc);
    if (known === undefined) {
      known = new SurveyedInstruction(before.pc);
      known.branch = before.branch;
      known.length = before.length;
      this.instructions.set(before.pc, known);
    }
    if (known.length === 0) known.length = before.length;
    let loads = 0;
    let stores = 0;
    for (let i = 0; i < before.accesses; i++) before.store[i] === 1 ? stores++ : loads++;
    known.loads = Math.max(known.loads, loads);
    known.stores = Math.max(known.stores, stores);
    return known;
  }

  private follow(next: number): void {
    const known = this.known();
    const step = next - known.pc;
    const { branch, accesses, taken } = this.before;
    if (step === 0 && (branch === Branch.None || (branch === Branch.Unknown && accesses > 0))) {
      known.repeated = true;
      return;
    }
    if (known.length === 0 && step > 0 && step <= MAX_LENGTH && !taken && mayFallThrough(branch))
      known.length = step;
    if (step === known.length) {
      known.fellThrough = true;
      return;
    }
    if (known.target === -1) known.target = next;
    else if (known.target !== next) known.target = -2;
  }
}

function mayFallThrough(branch: Branch): boolean {
  return (
    branch === Branch.None ||
    branch === Branch.Conditional ||
    branch === Branch.Unknown ||
    branch === Branch.Other
  );
}

/** The kind of an instruction of which only is known where it went and what it accessed. */
function guess(each: SurveyedInstruction): Branch {
  if (each.target === -1) {
    return Branch.None;
  }
  if (each.fellThrough) return each.target === -2 ? Branch.IndirectJump : Branch.Conditional;
  if (each.stores > 0) return each.target === -2 || each.length < 5 ? Branch.IndirectCall : Branch.Call;
  if (each.loads > 0) return each.length <= 3 && each.length !== 2 ? Branch.Return : Branch.IndirectJump;
  return each.target === -2 ? Branch.IndirectJump : Branch.Jump;
}
