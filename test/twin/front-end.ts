import type { Process } from "./clockwork.js";
import { until } from "./clockwork.js";
import type { Step, Way } from "./control.js";
import type { Instruction } from "./program.js";

/** One line fetched. */
export interface Segment {
  requested: number;
  /** When the L1I was asked, behind a walk. */
  asked: number;
  /** The line is at Fetch1; at Fetch2. */
  there: number;
  available: number;
  /** When it left Fetch2's buffer; undefined: not known yet. */
  popped: number | undefined;
  way: Way;
  servedBy: number;
  /** Cycles beyond an L1I hit, and of an I-TLB walk. */
  miss: number;
  walk: number;
}

/** An instruction that has left Fetch2. */
export interface Fetched {
  step: Step;
  instruction: Instruction;
  leaves: number;
  /** The line it is the first of. */
  segment: Segment | undefined;
  /** Where fetch comes from, when it was redirected at the commit of what is before. */
  from: { leaving: AtMost; available: number } | undefined;
}

const AT_COMMIT: Way[] = ["mispredict", "interrupt", "system"];

/** Numbers in order of which at most `limit` are alike. */
export class AtMost {
  private used: number;

  /** @param at the first is larger */
  constructor(
    private readonly limit: number,
    private at = -1,
  ) {
    this.used = limit;
  }

  copy(): AtMost {
    const copy = new AtMost(this.limit, this.at);
    copy.used = this.used;
    return copy;
  }

  get last(): number {
    return this.at;
  }

  next(earliest: number): number {
    let at = Math.max(this.at, earliest);
    if (at === this.at && this.used === this.limit) at++;
    this.used = at === this.at ? this.used + 1 : 1;
    this.at = at;
    return at;
  }
}

/** What the front end has to know of the rest of the core. */
export interface FrontEndHost {
  fetchLine(line: number, at: () => number, segment: Segment): Process<number>;
  /** Micro-op `n` was issued at; undefined: not yet. */
  issued(n: number): number | undefined;
  /** Cycle of the last commit before block execution `position`; undefined: not all before is committed. */
  committedBefore(position: number): number | undefined;
}

export interface FrontEndSpec {
  fetchLimit: number;
  fetch2InputBuffer: number;
  fetch1ToFetch2Delay: number;
  branchFeedbackDelay: number;
  decodeWidth: number;
  /** Micro-ops between Fetch2 and issue. */
  queue: number;
}

/** Fetch1 and Fetch2, with everything they ever did. README.md of src/core: Lines, Fetch2. */
export class FrontEnd {
  readonly fetched: Fetched[] = [];
  private readonly segments: Segment[] = [];
  private readonly leaving: AtMost;
  private microOps = 0;

  constructor(
    private readonly spec: FrontEndSpec,
    private readonly host: FrontEndHost,
  ) {
    this.leaving = new AtMost(spec.decodeWidth);
  }

  /** Fetch1: the lines of these blocks, from cycle `start` on. */
  *lines(steps: Step[], start: number): Process {
    const { spec, host, segments } = this;
    const begun = this.fetched.length;
    let instructions = 0;
    for (const { block, way, newLine, position } of steps) {
      for (let i = newLine ? 0 : 1; i < block.lines.length; i++) {
        const n = segments.length;
        const reasons = [0];
        if (n >= 1) reasons.push(segments[n - 1].asked + 1);
        if (n >= spec.fetchLimit) reasons.push(segments[n - spec.fetchLimit].there + 1);
        if (n >= spec.fetch2InputBuffer) {
          const behind = segments[n - spec.fetch2InputBuffer];
          yield* until(() => behind.popped !== undefined);
          reasons.push(behind.popped!);
        }
        if (i === 0 && way === "start") reasons.push(start);
        else if (i === 0 && way === "predicted") {
          const branch = begun + instructions - 1;
          yield* until(() => this.fetched.length > branch);
          reasons.push(this.fetched[branch].leaves + spec.branchFeedbackDelay);
        } else if (i === 0 && way !== "next") {
          yield* until(() => host.committedBefore(position) !== undefined);
          reasons.push(host.committedBefore(position)! + spec.branchFeedbackDelay);
        }
        const segment = {
          requested: Math.max(...reasons),
          way: i === 0 ? way : "next",
        } as Segment;
        segment.there = yield* host.fetchLine(block.lines[i], () => segment.requested, segment);
        segment.available = segment.there + spec.fetch1ToFetch2Delay;
        segments.push(segment);
      }
      instructions += block.instructions.length;
    }
  }

  /** Fetch2: the instructions of these blocks, when the lines they end in are there and the queue has room. */
  *instructions(steps: Step[], start: number): Process {
    const { host, spec, segments } = this;
    let at = segments.length - 1;
    // The line that a stretch ended in goes when the next begins.
    const pop = () => {
      if (at >= 0) segments[at].popped = Math.max(this.leaving.last, start, segments[at].available);
      at++;
    };
    for (const step of steps) {
      let first: Segment | undefined;
      let available = 0;
      const nextLine = function* (): Process {
        pop();
        yield* until(() => segments.length > at);
        first = segments[at];
        available = Math.max(available, first.available);
      };
      if (step.newLine) yield* nextLine();
      let from = AT_COMMIT.includes(step.way)
        ? { leaving: this.leaving.copy(), available: segments[at - 1].available }
        : undefined;
      for (const instruction of step.block.instructions) {
        if (instruction.crosses) yield* nextLine();
        const behind = this.microOps - spec.queue;
        if (behind >= 0) {
          yield* until(() => host.issued(behind) !== undefined);
          available = Math.max(available, host.issued(behind)! + 1);
        }
        const leaves = this.leaving.next(available);
        this.fetched.push({ step, instruction, leaves, segment: first, from });
        from = undefined;
        this.microOps += instruction.microOps.length;
        first = undefined;
        available = 0;
      }
    }
  }
}
