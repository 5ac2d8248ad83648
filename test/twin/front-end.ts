import type { PipelineSpec } from "../../src/machine/spec.js";
import type { Process } from "./clockwork.js";
import { until } from "./clockwork.js";
import type { Step, Way } from "./control.js";
import type { Instruction } from "./program.js";
import { type BehindBranch, type CodeLayout, workThrough } from "./wrong-path.js";

/** One line asked for: of the right path a segment, or one of the wrong path. */
export interface Segment {
  line: number;
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
  /** Of the first line behind a redirect: the lines of the wrong path before it. */
  wrong: Segment[];
}

/** An instruction that has left Fetch2. */
export interface Fetched {
  step: Step;
  instruction: Instruction;
  leaves: number;
  /** The line it is the first of. */
  segment: Segment | undefined;
  /** What Fetch2 worked on until then, where fetch was redirected at the commit of what is before. */
  from: { block: number; leaving: AtMost; microOps: number; lines: Segment[] } | undefined;
}

/** The ways on which fetch is redirected at a commit. */
const AT_COMMIT: Way[] = ["mispredict", "interrupt", "system"];

/** What is known of execution at a branch. */
export interface AtBranch {
  /** Decode when it is done with the branch; undefined: not known. */
  decoding: AtMost | undefined;
  /** The branch's issue and commit; Infinity: not known. */
  issue: number;
  commit: number;
}

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
  /** Asks for a line. Of the wrong path only while fetch is not redirected: else there is no answer. */
  fetchLine(segment: Segment, at: () => number, redirect?: () => number | undefined): Process<boolean>;
  /** The line behind a line in memory, if its page is known. */
  lineBehind(line: number): number | undefined;
  /** All before block execution `position` is committed, or instruction `branch` is the last that is fetched. */
  atBranch(position: number, branch: number): AtBranch;
  /** Micro-op `n` was issued at; undefined: not yet. */
  issued(n: number): number | undefined;
  /** Cycle of the last commit before block execution `position`; undefined: not all before is committed. */
  committedBefore(position: number): number | undefined;
}

export interface FrontEndSpec extends PipelineSpec {
  /** Micro-ops between Fetch2 and issue. */
  queue: number;
}

/** Fetch1 and Fetch2, with everything they ever did. README.md of src/core: Lines, Fetch2. */
export class FrontEnd {
  readonly fetched: Fetched[] = [];
  /** Lines of the right path; all lines. */
  private readonly segments: Segment[] = [];
  private readonly requests: Segment[] = [];
  private readonly leaving: AtMost;
  private microOps = 0;

  constructor(
    private readonly spec: FrontEndSpec,
    private readonly host: FrontEndHost,
    private readonly layout: CodeLayout,
    private readonly fetchHit: number,
  ) {
    this.leaving = new AtMost(spec.decodeWidth);
  }

  /** Fetch1: the lines of these blocks, from cycle `start` on. */
  *lines(steps: Step[], start: number): Process {
    const { spec, host, segments } = this;
    let branch = this.fetched.length - 1;
    for (const [nth, { block, way, newLine, position }] of steps.entries()) {
      for (let i = newLine ? 0 : 1; i < block.lines.length; i++) {
        const redirect = (): number | undefined => {
          if (i > 0 || way === "next") return 0;
          if (way === "start") return start;
          const at = way === "predicted" ? this.fetched[branch]?.leaves : host.committedBefore(position);
          return at && at + spec.branchFeedbackDelay;
        };
        let wrong: Segment[] = [];
        if (i === 0 && way !== "next" && way !== "start") {
          const from = { redirect, way, position, branch, block: steps[nth - 1].block.id };
          if (spec.wrongPathLines) wrong = yield* this.wrongLines(from);
        }
        yield* until(() => redirect() !== undefined && this.room() !== undefined);
        const segment = { line: block.lines[i], way: i === 0 ? way : "next", wrong } as Segment;
        segment.requested = Math.max(redirect()!, this.next());
        const waits = segment.requested - redirect()!;
        yield* host.fetchLine(segment, () => segment.requested);
        const last = wrong.at(-1);
        if (last !== undefined) {
          // Waiting for a line of the wrong path is waiting for its miss and its walk.
          const miss = Math.min(waits, last.miss ?? 0);
          if (segment.miss === 0 && miss > 0) segment.servedBy = last.servedBy;
          segment.miss += miss;
          segment.walk += Math.min(waits - miss, last.walk);
        }
        this.arrived(segment);
        segments.push(segment);
      }
      branch += block.instructions.length;
    }
  }

  /** A line has been asked for. */
  private arrived(segment: Segment): void {
    segment.available = segment.there + this.spec.fetch1ToFetch2Delay;
    this.requests.push(segment);
  }

  /** When the place in Fetch2's buffer is free that the next line takes. */
  private room(): number | undefined {
    const { requests, spec } = this;
    if (requests.length < spec.fetch2InputBuffer) return 0;
    return requests.at(-spec.fetch2InputBuffer)!.popped;
  }

  /** When Fetch1 asks for the next line, unless it is redirected. */
  private next(): number {
    const { requests, spec } = this;
    const reasons = [this.room() ?? Infinity];
    if (requests.length >= 1) reasons.push(requests.at(-1)!.asked + 1);
    if (requests.length >= spec.fetchLimit) reasons.push(requests.at(-spec.fetchLimit)!.there + 1);
    return Math.max(...reasons);
  }

  /** Line after line behind a branch, until fetch is redirected; then what Fetch2 still has of them goes. */
  private *wrongLines(from: From): Process<Segment[]> {
    const { host, segments } = this;
    const { redirect, way, branch } = from;
    const last = segments.at(-1)!;
    const wrong: Segment[] = [];
    const work = () => this.workBehind(from, [last, ...wrong]);
    const next = () => {
      work();
      return this.next();
    };
    for (let line = host.lineBehind(last.line); line !== undefined; line = host.lineBehind(line)) {
      const segment = { line, way } as Segment;
      if (!(yield* host.fetchLine(segment, next, redirect))) break;
      this.arrived(segment);
      wrong.push(segment);
    }
    yield* until(() => redirect() !== undefined);
    work();
    const gone = way === "predicted" ? this.fetched[branch].leaves : redirect()!;
    for (const segment of [last, ...wrong]) segment.popped ??= Math.max(gone, segment.available);
    return wrong;
  }

  /** When the lines behind a branch, and the one that it ends in, leave Fetch2's buffer, as far as is known. */
  private workBehind({ way, branch, position, block }: From, lines: Segment[]): void {
    if (this.fetched.length <= branch) return;
    if (way === "predicted") {
      for (const line of lines) line.popped = Math.max(this.fetched[branch].leaves, line.available);
      return;
    }
    const { popped } = this.behind(
      { block, leaving: this.leaving, microOps: this.microOps, lines },
      position,
      branch,
    );
    for (const [i, line] of lines.entries()) line.popped = popped[i];
  }

  /** Fetch2 and Decode behind a branch, as far as is known. */
  behind(
    { block, leaving, microOps, lines }: NonNullable<Fetched["from"]>,
    position: number,
    branch: number,
  ): BehindBranch {
    const { spec, host } = this;
    // Without lines of the wrong path all hit.
    const assumed = (nth: number) => lines[0].available + nth * (1 + this.fetchHit);
    return workThrough(spec, this.layout.behind(block), {
      ...host.atBranch(position, branch),
      leaving,
      microOps,
      line: (nth) => (spec.wrongPathLines ? lines[nth]?.available : assumed(nth)),
      issued: (n) => host.issued(n),
    });
  }

  /** Fetch2: the instructions of these blocks, when the lines they end in are there and the queue has room. */
  *instructions(steps: Step[], start: number): Process {
    const { host, spec, segments } = this;
    let at = segments.length - 1;
    const nextLine = (straddles: boolean, popsItself: boolean) => {
      // Of an instruction that begins in the line Fetch2 reads the beginning.
      const done = straddles ? this.leaving.copy().next(0) : this.leaving.last;
      // The line that a stretch ended in goes when the next begins.
      if (at >= 0 && popsItself) segments[at].popped = Math.max(done, start, segments[at].available);
      at++;
    };
    for (const [nth, step] of steps.entries()) {
      let first: Segment | undefined;
      let available = 0;
      const there = function* (): Process {
        yield* until(() => segments.length > at);
        first = segments[at];
        available = Math.max(available, first.available);
      };
      const redirected = AT_COMMIT.includes(step.way);
      if (step.newLine) {
        nextLine(false, !(redirected && spec.wrongPathLines));
        yield* there();
      }
      let from: Fetched["from"];
      if (redirected) {
        const lines = [segments[at - 1], ...segments[at].wrong];
        from = {
          block: steps[nth - 1].block.id,
          leaving: this.leaving.copy(),
          microOps: this.microOps,
          lines,
        };
      }
      for (const instruction of step.block.instructions) {
        if (instruction.crosses) {
          nextLine(instruction.offset % 64 !== 0, true);
          yield* there();
        }
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

/** A redirect, and what is before it. */
interface From {
  /** Cycle from which fetch goes the right way; undefined: not known yet. */
  redirect: () => number | undefined;
  way: Way;
  /** The block execution behind it; the number of the last instruction before it, and its block. */
  position: number;
  branch: number;
  block: number;
}
