import { SlotKind } from "../../src/loader/contract.js";
import type { PipelineSpec } from "../../src/machine/spec.js";
import { type Process, Rank, until } from "./clockwork.js";
import type { Step, Way } from "./control.js";
import { type AtBranch, AtMost, type Fetched, FrontEnd, type Segment } from "./front-end.js";
import { type Answer, NaiveCore, type NaiveParts } from "./naive-core.js";
import { type MicroOp, type Touched, touched } from "./program.js";
import { binding, type Cause, levelName, type Reason } from "./slots.js";
import { NaiveOutstanding, type NaiveStore, StoreQueue } from "./store-queue.js";
import type { Stretch } from "./stretches.js";
import { CodeLayout } from "./wrong-path.js";

/** srcRegsRelativeLats of gem5's functional units. */
const EARLY = { intAlu: 2, floatSimd: 2, predicate: 2, mem: 1, intMul: 0, intDiv: 0, misc: 0 };
/** Cycles of gem5's microcode for one element. */
const ELEMENT = {
  [SlotKind.RepLoad]: 2,
  [SlotKind.RepStore]: 2,
  [SlotKind.RepMove]: 3,
  [SlotKind.RepCompare]: 4,
} as Record<number, number>;

const WAY_CAUSE: Record<Way, Cause> = {
  next: "frontend",
  predicted: "frontend",
  mispredict: "mispredict",
  interrupt: "interrupt",
  start: "serialise",
  system: "serialise",
};

/** A micro-op in progress: what is known of it. */
interface Issue {
  microOp: MicroOp;
  operands: number[];
  pc: number;
  at: number;
  /** Whom to blame for its issue and its commit; for who waits for its result. */
  cause: Cause;
  /** Cycles of D-TLB walk. */
  walked: number;
  commit: number;
  ready: Reason;
  /** Of a memory micro-op: when it leaves its unit; the requests queue; what it had last to look at behind that. */
  pushed: number;
  sent: number;
  gate: number;
  /** It does not walk before. */
  front: number;
  /** What goes into the store buffer when it commits. */
  store?: Omit<NaiveStore, "committed">;
}

/** A memory micro-op's commit. */
interface Leaving {
  committed: number;
  /** The first in its cycle. */
  first: boolean;
}

/** The pipeline: issue and commit, micro-op by micro-op. README.md of src/core has the equations. */
export class NaivePipelineCore extends NaiveCore {
  private readonly spec: PipelineSpec;
  private readonly front: FrontEnd;
  private readonly outstanding: NaiveOutstanding;
  private readonly queue: StoreQueue;
  /** By register: when its value is there. */
  private readonly ready = new Map<number, Reason>();
  /** By register: from when a memory micro-op may use its value, which has been committed then. */
  private readonly seen = new Map<number, Reason>();
  /** By unit class: when its micro-ops left it, all that there were; and when each unit may be issued to next. */
  private readonly outs = new Map<string, number[]>();
  private readonly units = new Map<string, number[]>();
  /** Issues as the front end sees them. */
  private readonly issuedAt: number[] = [];
  private shown = 0;
  /** Memory micro-ops: when they left the requests queue; how they committed. And the last store. */
  private readonly sent: number[] = [];
  private readonly left: Leaving[] = [];
  private lastStore: Leaving | undefined;
  private decoding: AtMost;
  /** The instruction in progress or next, micro-ops of it that are decoded, and when the rest leaves Fetch2. */
  private executed = 0;
  private decodedOps = 0;
  private leaves: number | undefined;
  // Last cycle of issue, what is issued in it; memory micro-ops committed in the last cycle of commit.
  private issue = 0;
  private issued = 0;
  private issuedMemory = 0;
  private committedMemory = 0;
  private repAccesses = 0;

  constructor(id: number, parts: NaiveParts) {
    const spec = parts.spec.core.pipeline;
    super(id, parts, spec.executeCommitLimit);
    this.spec = spec;
    this.decoding = new AtMost(spec.decodeWidth);
    this.front = new FrontEnd(
      { ...spec, queue: (spec.decodeInputBuffer + spec.executeInputBuffer) * spec.decodeWidth },
      {
        fetchLine: (segment, at, redirect) => this.fetchLine(segment, at, redirect),
        lineBehind: (line) => this.lineBehind(line),
        atBranch: (position, branch) => this.atBranch(position, branch),
        issued: (n) => this.issuedAt[n],
        committedBefore: (position) => this.reached.get(position),
      },
      new CodeLayout(parts.decoded, parts.pages, (block) => this.control.block(block)),
      this.fetchHit(),
    );
    this.outstanding = new NaiveOutstanding(spec.maxAccessesInMemory);
    this.queue = new StoreQueue(spec.storesPerCycle, this.outstanding, ({ page, offset, pc }, at) =>
      this.access("store", page, offset, pc, at),
    );
    parts.clockwork.add(id, Rank.Store, this.queue.leave());
  }

  override settled(): [string, number][] {
    const of = (name: string) => this.parts.tally.counts.get(`${this.path}.${name}`) ?? 0;
    const halves = of("numLoads") + of("numStores") + of("splitAccesses");
    return [...super.settled(), ["dtlb.accesses", halves + this.repAccesses]];
  }

  protected override *stretch(steps: Step[], { end, passing }: Stretch): Process {
    const { clockwork } = this.parts;
    const start = this.slots.cycle;
    if (this.issue < start) this.issueFrom(start);
    this.shown = Math.max(this.shown, this.issue);
    clockwork.add(this.id, Rank.Fetch, this.front.lines(steps, start));
    clockwork.add(this.id, Rank.Fetch, this.front.instructions(steps, start));
    for (const step of steps) {
      this.reach(step.position);
      this.pass(step.passing);
      const operands = [...step.operands];
      for (const _ of step.block.instructions) {
        const k = this.executed;
        yield* until(() => this.front.fetched.length > k);
        yield* this.instruction(this.front.fetched[k], operands);
        this.executed++;
        this.decodedOps = 0;
        this.leaves = undefined;
      }
      this.countBlock(step);
    }
    this.reach(end);
    this.pass(passing);
    yield* until(() => this.queue.allLeft);
  }

  private *instruction(fetched: Fetched, operands: number[]): Process {
    const { instruction, segment, from } = fetched;
    let first = segment;
    if (from !== undefined)
      this.decoding = this.front.behind(from, fetched.step.position, this.executed - 1).decoding;
    this.leaves = fetched.leaves;
    for (const microOp of instruction.microOps) {
      const issue: Issue = {
        microOp,
        operands,
        pc: instruction.page * 4096 + instruction.offset,
        ...this.earliestIssue(microOp, this.leaves!),
        walked: 0,
        commit: 0,
        ready: { at: 0, cause: "dependency" },
        pushed: 0,
        sent: 0,
        gate: 0,
        front: 0,
      };
      this.decodedOps++;
      const refetch = microOp.refetch && this.unpredicted();
      if (refetch) this.leaves = undefined;
      if (microOp.serial) yield* this.serialise(issue);
      const { opLatency } = this.spec.fu[microOp.unit];
      issue.ready.at = issue.commit = issue.at + opLatency;
      if (microOp.unit === "mem") {
        this.request(issue);
        if (!microOp.serial || microOp.load || microOp.store)
          issue.ready.at = issue.at + opLatency + this.spec.memExtraAssumedLatency;
      }
      if (microOp.rep) yield* this.rep(issue);
      else if (microOp.load) yield* this.load(issue);
      else if (microOp.store) yield* this.store(issue);
      else if (microOp.unit === "mem" && !microOp.serial) issue.commit = issue.sent;
      this.issueAndCommit(issue, first);
      first = undefined;
      if (refetch) this.leaves = this.slots.cycle + this.wayBack();
    }
  }

  private unpredicted(): boolean {
    return this.parts.spec.core.branchPredictor.name === "none";
  }

  /** Cycles of an element of a string instruction; unpredicted, its branch has it fetched and decoded anew. */
  private element(kind: number): number {
    if (!this.unpredicted()) return ELEMENT[kind];
    const { fu, fetch2ToDecodeDelay, decodeToExecuteDelay } = this.spec;
    const issues = kind === SlotKind.RepMove || kind === SlotKind.RepCompare ? 4 : 1;
    const toIssue = this.wayBack() + fetch2ToDecodeDelay + decodeToExecuteDelay;
    return issues + fu.intAlu.opLatency + toIssue + 1;
  }

  /** From a commit that redirects to Fetch2 handing out again, when the line hits. */
  private wayBack(): number {
    const { branchFeedbackDelay, fetch1ToFetch2Delay } = this.spec;
    return branchFeedbackDelay + this.fetchHit() + fetch1ToFetch2Delay;
  }

  private fetchHit(): number {
    const { tagLatency, dataLatency } = this.parts.spec.l1i;
    return Math.max(tagLatency, dataLatency);
  }

  /** What is known of the last instruction fetched, `branch`, in front of block execution `position`. */
  private atBranch(position: number, branch: number): AtBranch {
    if (this.reached.has(position))
      return { decoding: this.decoding, issue: this.issue, commit: this.slots.cycle };
    return { decoding: this.decodedUpTo(branch), issue: Infinity, commit: Infinity };
  }

  /** Decode when it is done with an instruction that has been fetched and not executed; undefined: not known. */
  private decodedUpTo(last: number): AtMost | undefined {
    const decoding = this.decoding.copy();
    for (let k = this.executed; k <= last; k++) {
      const { instruction, leaves, from } = this.front.fetched[k];
      const begun = k === this.executed && this.decodedOps > 0;
      if (!begun && from !== undefined) return undefined;
      const rest = instruction.microOps.slice(begun ? this.decodedOps : 0);
      let at = begun ? this.leaves : leaves;
      for (const microOp of rest) {
        if (at === undefined) return undefined;
        decoding.next(at + this.spec.fetch2ToDecodeDelay);
        if (microOp.refetch && this.unpredicted()) at = undefined;
      }
    }
    return decoding;
  }

  /** All constraints of README.md that do not depend on the memory system. */
  private earliestIssue({ unit, sources }: MicroOp, leaves: number): Reason {
    const { spec } = this;
    const decoded = this.decoding.next(leaves + spec.fetch2ToDecodeDelay);
    const full = this.issued === spec.executeIssueLimit || this.issuedMemory === spec.executeMemoryIssueLimit;
    const reasons: Reason[] = [
      { at: full ? this.issue + 1 : this.issue, cause: "execute" },
      { at: decoded + spec.decodeToExecuteDelay, cause: "frontend" },
    ];
    for (const source of sources) {
      const ready = this.ready.get(source);
      if (ready !== undefined) reasons.push({ ...ready, at: ready.at - EARLY[unit] });
    }
    const fu = spec.fu[unit];
    const outs = this.outsOf(unit);
    const deep = fu.count * fu.opLatency;
    if (outs.length >= deep) reasons.push({ at: outs[outs.length - deep], cause: "structural" });
    // Where every micro-op that may issue in a cycle finds a unit of its own, units are not to blame for anything.
    const most = unit === "mem" ? spec.executeMemoryIssueLimit : spec.executeIssueLimit;
    if (fu.issueLatency > 1 || fu.count < Math.min(most, spec.executeIssueLimit))
      reasons.push({ at: Math.min(...this.unitsOf(unit)), cause: "structural" });
    return binding(reasons, this.parts.spec);
  }

  private outsOf(unit: string): number[] {
    const outs = this.outs.get(unit) ?? [];
    this.outs.set(unit, outs);
    return outs;
  }

  /** A memory micro-op from its unit to the transfers queue; whether it may then access anything is another matter. */
  private request(issue: Issue): void {
    const { spec, sent, left } = this;
    const { microOp } = issue;
    const ready = issue.at + spec.fu.mem.opLatency;
    if (microOp.serial) {
      issue.pushed = issue.sent = issue.gate = issue.front = ready;
      return;
    }
    const reasons: Reason[] = [{ at: ready, cause: issue.cause }];
    for (const source of microOp.sources) {
      const seen = this.seen.get(source);
      if (seen !== undefined) reasons.push(seen);
    }
    if (sent.length >= spec.lsqRequestsQueue)
      reasons.push({ at: sent[sent.length - spec.lsqRequestsQueue], cause: "structural" });
    const pushed = binding(reasons, this.parts.spec);
    issue.pushed = issue.sent = pushed.at;
    issue.cause = pushed.cause;
    const before = sent.at(-1) ?? -Infinity;
    issue.front = Math.max(pushed.at, before > pushed.at ? before + 1 : before, this.shown + 1);
    if (before > pushed.at) this.wait(issue, before + 1, "structural");
    const behind = [left.at(-spec.lsqTransfersQueue), microOp.load ? this.lastStore : undefined];
    for (const leaving of behind) {
      if (leaving === undefined) continue;
      const { committed, first } = leaving;
      if (committed > pushed.at || (committed === pushed.at && !first))
        this.wait(issue, committed + 1, "structural");
    }
    issue.gate = issue.sent;
  }

  private wait(issue: Issue, until: number, cause: Cause): void {
    if (until <= issue.sent) return;
    issue.sent = until;
    issue.cause = cause;
  }

  private unitsOf(unit: MicroOp["unit"]): number[] {
    const units = this.units.get(unit) ?? new Array(this.spec.fu[unit].count).fill(-Infinity);
    this.units.set(unit, units);
    return units;
  }

  /** Nothing before it is in flight, no store in the buffer. */
  private *serialise(issue: Issue): Process {
    this.delay(issue, this.slots.cycle, "serialise");
    yield* until(() => this.queue.allLeft);
    this.delay(issue, Math.max(...this.queue.stores.slice(-100).map((s) => s.done!), 0), "store");
  }

  private delay(issue: Issue, at: number, cause: Cause): void {
    if (at <= issue.at) return;
    issue.at = at;
    issue.cause = cause;
  }

  /** Pages of an access, one after the other; the access follows the last walk. */
  private *translate(issue: Issue, addresses: number[]): Process {
    let from = issue.front;
    for (const address of addresses) {
      const page = address >>> 12;
      if (this.translated("dtlb", page)) continue;
      const end = yield* this.walk("dtlb", page, from);
      issue.walked += end - from;
      issue.sent = Math.max(issue.sent, end);
      from = end;
    }
  }

  /** The lines that an access touches: one, or two; the pages that must be translated for them. */
  private *touched(issue: Issue): Process<Touched> {
    const access = touched(issue.microOp, issue.operands);
    yield* this.translate(issue, access.twoPages ? access.lines : access.lines.slice(0, 1));
    return access;
  }

  private physical(address: number): number {
    return this.parts.pages.ppn[address >>> 12] * 4096 + (address & 4095);
  }

  private *load(issue: Issue): Process {
    const { spec, outstanding, queue } = this;
    const { lines: addresses, twoPages } = yield* this.touched(issue);
    const [page, offset] = [addresses[0] >>> 12, addresses[0] & 4095];
    if (this.parts.pages.io[page] === 0) {
      const { bytes } = issue.microOp;
      const from = issue.sent;
      for (let now = from; ; now++) {
        this.wait(issue, now, "store");
        if (queue.inside(now).length === 0) break;
        yield { turn: () => now };
        const covers = queue.covers(now, this.physical(addresses[0]), bytes);
        if (covers === "nothing") break;
        if (covers === "all" && !twoPages) {
          this.count("forwardedLoads");
          issue.commit = issue.gate = issue.sent;
          return;
        }
        if (now === from) this.count("partlyCoveredLoads");
      }
    }
    const asked = issue.sent;
    const first = yield* this.access("load", page, offset, issue.pc, () => Math.max(asked, outstanding.room));
    if (first.at > asked) issue.cause = "structural";
    let from = first.at;
    issue.sent = first.at;
    outstanding.take(first.done);
    let data: Answer = this.answered(first);
    if (addresses.length === 2) {
      const at = first.at + 1;
      const second = this.answered(
        yield* this.access("load", addresses[1] >>> 12, addresses[1] & 4095, issue.pc, () => at),
      );
      this.count("splitAccesses");
      // What follows waits while the L1D refuses.
      issue.sent = second.at;
      from = second.at - 1;
      if (second.done > data.done) data = second;
    }
    const far = data.servedBy !== 0;
    issue.commit = data.done;
    if (far && data.done > from + spec.memExtraAssumedLatency)
      issue.cause = `load.${levelName(this.parts.spec, data.servedBy, "l1d")}`;
    else if (first.device) issue.cause = "uncached";
    issue.gate = issue.sent;
  }

  /** A device's answer is no level's. */
  private answered(answer: Answer): Answer {
    return answer.device ? { ...answer, servedBy: 0 } : answer;
  }

  private *store(issue: Issue): Process {
    const { queue, spec, slots } = this;
    const { lines: addresses } = yield* this.touched(issue);
    const full = (now: number) => queue.inside(now).length >= spec.lsqStoreBuffer;
    let now = Math.max(issue.sent, this.lastStore?.committed ?? 0);
    if (full(now)) yield { turn: () => now };
    if (full(now)) {
      now = Math.max(now, slots.cycle);
      for (;;) {
        yield { turn: () => now };
        if (!full(now)) break;
        now++;
      }
      if (now > slots.cycle && now > issue.sent) issue.cause = "store";
    }
    issue.gate = now;
    // From the first look on there is room, or not before the micro-op before it commits.
    issue.commit = now;
    issue.store = {
      parts: addresses.map((a) => ({ page: a >>> 12, offset: a & 4095 })),
      address: this.physical(addresses[0]),
      bytes: issue.microOp.bytes,
      device: addresses.some((a) => this.parts.pages.io[a >>> 12] !== 0),
      pc: issue.pc,
    };
    if (addresses.length === 2) this.count("splitAccesses");
  }

  /** A repeated string instruction, line by line. */
  private *rep(issue: Issue): Process {
    const { microOp, operands, pc } = issue;
    const { repKind: kind, bytes } = microOp;
    const begin = issue.sent;
    let now = begin;
    let paced = begin;
    for (let segments = operands.shift()!; segments > 0; segments--) {
      const count = operands.shift()!;
      const both = kind === SlotKind.RepMove || kind === SlotKind.RepCompare;
      const addresses = operands.splice(0, both ? 2 : 1);
      const elements = Array.from({ length: Math.abs(count) }, (_, i) => (count < 0 ? -i : i));
      while (elements.length > 0) {
        const offsets = addresses.map((address) => (address & 4095) + elements[0] * bytes);
        const run = Math.min(elements.length, ...offsets.map((o) => inLine(o % 64, bytes, count < 0)));
        for (const [i, address] of addresses.entries()) {
          const write = kind === SlotKind.RepStore || (kind === SlotKind.RepMove && i === 1);
          const page = address >>> 12;
          if (!this.translated("dtlb", page)) {
            const from = now;
            now = yield* this.walk("dtlb", page, from);
            issue.walked += now - from;
          }
          const asked = now;
          const offset = Math.min(4095, offsets[i]);
          const answer = yield* this.access(write ? "store" : "load", page, offset, pc, () => asked);
          this.answered(answer);
          this.repAccesses++;
          now = answer.done;
        }
        elements.splice(0, run);
        this.count("repElements", run);
        now = paced = Math.max(now, paced + run * this.element(kind));
      }
    }
    issue.cause = "microcode";
    issue.commit = issue.ready.at = Math.max(now, begin + 1);
  }

  private issueFrom(at: number): void {
    this.issue = at;
    this.issued = this.issuedMemory = 0;
  }

  private issueAndCommit(issue: Issue, segment: Segment | undefined): void {
    const { spec, slots } = this;
    const { microOp, at } = issue;
    const memory = microOp.unit === "mem";
    if (at > this.issue) this.issueFrom(at);
    this.issued++;
    if (memory) this.issuedMemory++;
    this.shown = Math.max(this.shown, at, memory ? issue.gate - 1 : at);
    this.issuedAt.push(this.shown);
    const units = this.unitsOf(microOp.unit);
    units[units.indexOf(Math.min(...units))] = at + spec.fu[microOp.unit].issueLatency;

    const full =
      issue.commit <= slots.cycle &&
      (slots.used === slots.width || (memory && this.committedMemory === spec.executeMemoryCommitLimit));
    const committed = full ? slots.cycle + 1 : Math.max(slots.cycle, issue.commit);
    if (committed > slots.cycle) {
      const lost = (committed - slots.cycle) * slots.width - slots.used;
      this.lose(lost, full ? "structural" : issue.cause, issue.walked, segment);
      slots.cycle = committed;
      slots.used = this.committedMemory = 0;
    }
    slots.used++;
    if (memory) this.committedMemory++;
    slots.blame("base", 1);
    this.count("numOps");
    this.outsOf(microOp.unit).push(memory ? issue.pushed : committed);
    const seen = { at: committed + (slots.used === slots.width ? 1 : 0), cause: "dependency" };
    for (const destination of microOp.destinations) {
      this.ready.set(destination, issue.ready);
      this.seen.set(destination, seen);
    }
    if (memory) {
      const leaving = { committed, first: slots.used === 1 };
      this.sent.push(issue.sent);
      this.left.push(leaving);
      if (microOp.store) this.lastStore = leaving;
    }
    if (issue.store !== undefined) this.queue.stores.push({ ...issue.store, committed });
    if (microOp.serial && committed > this.issue) {
      this.issueFrom(committed);
      this.shown = committed;
    }
  }

  /** Slots that several things cost: a D-TLB walk takes its share; of the front end's, the line's miss and walk theirs. */
  private lose(lost: number, cause: Cause, walked: number, segment: Segment | undefined): void {
    const { slots } = this;
    let rest = lost;
    const share = (name: Cause, cycles: number) => {
      const part = Math.min(rest, cycles * slots.width);
      slots.blame(name, part);
      rest -= part;
    };
    share("dtlb", walked);
    if (cause !== "frontend" || segment === undefined) {
      slots.blame(cause, rest);
      return;
    }
    share(`fetch.${levelName(this.parts.spec, segment.servedBy, "l1i")}`, segment.miss);
    share("itlb", segment.walk);
    slots.blame(WAY_CAUSE[segment.way], rest);
  }

  /** Fetch1's access: the walk of its page, then the line. @returns false: not asked for, as fetch is redirected before. */
  private *fetchLine(
    segment: Segment,
    at: () => number,
    redirect?: () => number | undefined,
  ): Process<boolean> {
    const { line } = segment;
    const redirected = (now: number) => {
      const known = redirect?.();
      return known !== undefined && known <= now;
    };
    yield { turn: at, until: () => redirected(at()) };
    if (redirected(at())) return false;
    const wrong = redirect !== undefined;
    const page = Math.floor(line / 64);
    this.count("fetchLines");
    if (wrong) this.count("fetchWrongPathLines");
    this.count("itlb.accesses");
    const requested = at();
    const now = this.translated("itlb", page) ? requested : yield* this.walk("itlb", page, requested);
    segment.walk = now - requested;
    if (now > requested) yield { turn: () => now };
    if (redirected(now)) {
      // A walk that ends too late: the line is not asked for.
      segment.asked = segment.there = now;
      return true;
    }
    const answer = yield* this.access("fetch", page, (line % 64) * 64, 0, () => now);
    segment.asked = answer.at;
    segment.there = answer.done;
    segment.servedBy = answer.servedBy;
    if (wrong && answer.servedBy !== 0) this.count("fetchWrongPathMisses");
    segment.miss = answer.servedBy === 0 ? 0 : answer.done - answer.at;
    return true;
  }

  private lineBehind(line: number): number | undefined {
    const { asid, vpn, io, count } = this.parts.pages;
    const page = Math.floor(line / 64);
    if (line % 64 < 63) return io[page] ? undefined : line + 1;
    for (let next = 0; next < count; next++)
      if (asid[next] === asid[page] && vpn[next] === vpn[page] + 1) return io[next] ? undefined : next * 64;
    return undefined;
  }
}

/** Elements from `offset` in a line on, upwards or downwards, that begin in the line. */
function inLine(offset: number, bytes: number, down: boolean): number {
  return down ? Math.floor(offset / bytes) + 1 : Math.ceil((64 - offset) / bytes);
}
