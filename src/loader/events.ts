import { EventKind } from "./contract.js";

/** Largest operand of an event; the smallest is -1. */
export const MAX_OPERAND = 2 ** 53 - 1;
export const MAX_PHASE = 255;

/** What a core's events must obey one after the other; used by the writer and by the reader. */
export class EventRules {
  /** Number of the next invocation to begin. */
  next = 0;
  /** Number of the invocation under way, or -1. */
  open = -1;
  idle = false;
  private seenIdle = false;

  constructor(
    readonly core: number,
    readonly cores: number,
    readonly invocations: number,
  ) {}

  /** The state as a number below 8: 1 = an invocation is under way, 2 = idle, 4 = has been idle. */
  get flags(): number {
    return (this.open >= 0 ? 1 : 0) | (this.idle ? 2 : 0) | (this.seenIdle ? 4 : 0);
  }

  /** Takes up the state that `next` and `flags` described. @returns false when it is impossible */
  restore(next: number, flags: number): boolean {
    if (next > this.invocations || flags > 7 || (flags & 6) === 2 || ((flags & 1) === 1 && next === 0))
      return false;
    this.next = next;
    this.open = (flags & 1) !== 0 ? next - 1 : -1;
    this.idle = (flags & 2) !== 0;
    this.seenIdle = (flags & 4) !== 0;
    return true;
  }

  /** Takes the next event. @returns what is wrong with it, or "" */
  take(kind: EventKind, a: number, b: number, c: number): string {
    const problem = operandProblem(kind, a, b, c);
    if (problem !== "") return problem;
    switch (kind) {
      case EventKind.WorkBegin:
        if (this.open >= 0) return `invocation ${a} begins while ${this.open} is under way`;
        if (a !== this.next) return `invocation ${a} begins where ${this.next} was expected`;
        if (a >= this.invocations) return `invocation ${a} begins, the header has ${this.invocations}`;
        this.open = a;
        this.next++;
        return "";
      case EventKind.WorkEnd:
        if (a !== this.open) {
          return `invocation ${a} ends while ${this.open < 0 ? "none" : this.open} is under way`;
        }
        this.open = -1;
        return "";
      case EventKind.IdleBegin:
        if (this.idle) return "the core is idle already";
        this.idle = true;
        this.seenIdle = true;
        return "";
      case EventKind.IdleEnd:
        if (!this.idle && this.seenIdle) return "the core is not idle";
        if (a >= this.cores || a === this.core) return `woken by core ${a}`;
        this.idle = false;
        this.seenIdle = true;
        return "";
      default:
        return "";
    }
  }
}

function operandProblem(kind: EventKind, a: number, b: number, c: number): string {
  if (!isOperand(a) || !isOperand(b) || !isOperand(c)) {
    return `operands (${a}, ${b}, ${c}) must be integers -1..2^53 - 1`;
  }
  switch (kind) {
    case EventKind.WorkBegin:
    case EventKind.WorkEnd:
      return a < 0 ? `invocation ${a}` : "";
    case EventKind.Switch:
      return a < 0 || b < 0 || c < 0 ? `task ${a}, container ${b}, asid ${c}` : "";
    case EventKind.IdleEnd:
      return b < 0 || c < 0 ? `position ${b}, ${c} ns` : "";
    case EventKind.Phase:
      return a < 0 || a > MAX_PHASE ? `phase ${a}` : "";
    case EventKind.IdleBegin:
    case EventKind.Interrupt:
      return "";
    default:
      return `event kind ${kind} is unknown`;
  }
}

function isOperand(value: number): boolean {
  return Number.isInteger(value) && value >= -1 && value <= MAX_OPERAND;
}

/** The name of an event kind, for messages. */
export function eventName(kind: number): string {
  return Object.entries(EventKind).find(([, value]) => value === kind)?.[0] ?? `event ${kind}`;
}
