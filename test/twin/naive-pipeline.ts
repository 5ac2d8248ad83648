import { SlotKind } from "../../src/loader/contract.js";
import type { PipelineSpec } from "../../src/machine/spec.js";
import { type Process, Rank, until } from "./clockwork.js";
import type { Step, Way } from "./control.js";
import { AtMost, type Fetched, FrontEnd, type Segment } from "./front-end.js";
import { type Answer, NaiveCore, type NaiveParts } from "./naive-core.js";
import { type MicroOp, REP_MICRO_OPS } from "./program.js";
import { binding, type Cause, levelName, type Reason } from "./slots.js";
import { NaiveOutstanding, StoreQueue } from "./store-queue.js";
import type { Stretch } from "./stretches.js";
import { CodeLayout, decodeWrongPath } from "./wrong-path.js";

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
  /** What goes into the store buffer when it commits. */
  stores: { page: number; offset: number }[];
}

/** The pipeline: issue and commit, micro-op by micro-op. README.md of src/core has the equations. */
export class NaivePipelineCore extends NaiveCore {
  private readonly spec: PipelineSpec;
  private readonly front: FrontEnd;
  private readonly outstanding: NaiveOutstanding;
  private readonly queue: StoreQueue;
  /** By register: when its value is there. */
  private readonly ready = new Map<number, Reason>();
  /** By unit class: commits of its micro-ops, all that there were; and when each unit may be issued to next. */
  private readonly commits = new Map<string, number[]>();
  private readonly units = new Map<string, number[]>();
  private readonly issuedAt: number[] = [];
  private readonly decoding: AtMost;
  private readonly layout: CodeLayout;
  private executed = 0;
  private lastBlock = -1;
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
        fetchLine: (line, at, segment) => this.fetchLine(line, at, segment),
        issued: (n) => this.issuedAt[n],
        committedBefore: (position) => this.reached.get(position),
      },
    );
    this.outstanding = new NaiveOutstanding(spec.maxAccessesInMemory);
    this.queue = new StoreQueue(spec.storesPerCycle, this.outstanding, ({ page, offset, pc }, at) =>
      this.access("store", page, offset, pc, at),
    );
    this.layout = new CodeLayout(parts.decoded, parts.pages, (block) => this.control.block(block));
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
    clockwork.add(this.id, Rank.Fetch, this.front.lines(steps, start));
    clockwork.add(this.id, Rank.Fetch, this.front.instructions(steps, start));
    for (const step of steps) {
      this.reach(step.position);
      this.pass(step.passing);
      const operands = [...step.operands];
      for (const _ of step.block.instructions) {
        const k = this.executed++;
        yield* until(() => this.front.fetched.length > k);
        yield* this.instruction(this.front.fetched[k], operands);
      }
      this.countBlock(step);
      this.lastBlock = step.block.id;
    }
    this.reach(end);
    this.pass(passing);
    yield* until(() => this.queue.allLeft);
  }

  private *instruction(fetched: Fetched, operands: number[]): Process {
    const { instruction, segment, from } = fetched;
    let { leaves } = fetched;
    let first = segment;
    if (from !== undefined) this.wrongPath(from);
    for (const microOp of instruction.microOps) {
      const issue: Issue = {
        microOp,
        operands,
        pc: instruction.page * 4096 + instruction.offset,
        ...this.earliestIssue(microOp, leaves),
        walked: 0,
        commit: 0,
        ready: { at: 0, cause: "dependency" },
        stores: [],
      };
      if (microOp.serial) yield* this.serialise(issue);
      if (microOp.rep) yield* this.rep(issue);
      else if (microOp.load) yield* this.load(issue);
      else if (microOp.store) yield* this.store(issue);
      else issue.ready.at = issue.commit = issue.at + this.spec.fu[microOp.unit].opLatency;
      this.issueAndCommit(issue, first);
      first = undefined;
      if (microOp.refetch && this.parts.spec.core.branchPredictor.name === "none")
        leaves = this.slots.cycle + this.wayBack();
    }
  }

  /** Cycles of an element of a string instruction; unpredicted, its branch has it fetched and decoded anew. */
  private element(kind: number): number {
    if (this.parts.spec.core.branchPredictor.name !== "none") return ELEMENT[kind];
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

  private wrongPath(from: { leaving: AtMost; available: number }): void {
    const before = {
      ...from,
      block: this.lastBlock,
      issue: this.issue,
      commit: this.slots.cycle,
      issued: this.issuedAt,
    };
    decodeWrongPath(this.spec, this.fetchHit(), this.layout, before, this.decoding);
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
    const commits = this.commitsOf(unit);
    const deep = unit === "mem" ? spec.lsqTransfersQueue : fu.count * fu.opLatency;
    if (commits.length >= deep) {
      const behind = commits[commits.length - deep] - (unit === "mem" ? fu.opLatency : 0);
      reasons.push({ at: behind, cause: "structural" });
    }
    // Where every micro-op that may issue in a cycle finds a unit of its own, units are not to blame for anything.
    const most = unit === "mem" ? spec.executeMemoryIssueLimit : spec.executeIssueLimit;
    if (fu.issueLatency > 1 || fu.count < Math.min(most, spec.executeIssueLimit))
      reasons.push({ at: Math.min(...this.unitsOf(unit)), cause: "structural" });
    return binding(reasons, this.parts.spec);
  }

  private commitsOf(unit: string): number[] {
    const commits = this.commits.get(unit) ?? [];
    this.commits.set(unit, commits);
    return commits;
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

  /** Cycle of the access if nothing else stands in the way. */
  private accessAt(issue: Issue): number {
    return issue.at + this.spec.fu.mem.opLatency;
  }

  /** Pages of an access, one after the other; the access follows the last walk. */
  private *translate(issue: Issue, addresses: number[]): Process {
    for (const address of addresses) {
      const page = address >>> 12;
      if (this.translated("dtlb", page)) continue;
      const from = this.accessAt(issue);
      const end = yield* this.walk("dtlb", page, from);
      issue.walked += end - from;
      issue.at += end - from;
    }
  }

  /** The lines that an access touches: one, or two; the pages that must be translated for them. */
  private *touched(issue: Issue): Process<number[]> {
    const { microOp, operands } = issue;
    const first = operands.shift()!;
    if (microOp.split) {
      const second = operands.shift()!;
      yield* this.translate(issue, [first, second]);
      return [first, second];
    }
    yield* this.translate(issue, [first]);
    return (first & 63) + microOp.bytes > 64 ? [first, (first | 63) + 1] : [first];
  }

  private *load(issue: Issue): Process {
    const { spec, outstanding } = this;
    const addresses = yield* this.touched(issue);
    const asked = this.accessAt(issue);
    const [page, offset] = [addresses[0] >>> 12, addresses[0] & 4095];
    const first = yield* this.access("load", page, offset, issue.pc, () => Math.max(asked, outstanding.room));
    if (first.at > asked) issue.cause = "structural";
    issue.at = first.at - spec.fu.mem.opLatency;
    outstanding.take(first.done);
    let data: Answer = this.answered(first);
    if (addresses.length === 2) {
      const at = first.at + 1;
      const second = this.answered(
        yield* this.access("load", addresses[1] >>> 12, addresses[1] & 4095, issue.pc, () => at),
      );
      this.count("splitAccesses");
      // What follows waits while the L1D refuses.
      issue.at += second.at - at;
      if (second.done > data.done) data = second;
    }
    const far = data.servedBy !== 0;
    const blame = `load.${levelName(this.parts.spec, data.servedBy, "l1d")}`;
    const from = this.accessAt(issue);
    const assumed = from + spec.memExtraAssumedLatency;
    issue.ready.at = Math.max(assumed, data.done);
    if (far && data.done >= assumed) issue.ready.cause = blame;
    issue.commit = Math.max(from, data.done);
    if (data.done > from) {
      if (far && data.done > assumed) issue.cause = blame;
      else if (first.device) issue.cause = "uncached";
    }
  }

  /** A device's answer is no level's. */
  private answered(answer: Answer): Answer {
    return answer.device ? { ...answer, servedBy: 0 } : answer;
  }

  private *store(issue: Issue): Process {
    const { queue, spec } = this;
    const addresses = yield* this.touched(issue);
    const n = queue.stores.length;
    for (let i = 0; i < addresses.length; i++) {
      // A buffer of one entry cannot hold both halves: the second does with what the first needs.
      const before = Math.min(n + i - spec.lsqStoreBuffer, n - 1);
      yield* until(() => queue.doneAt(before) !== undefined);
      this.delay(issue, queue.doneAt(before)!, "store");
    }
    issue.commit = this.accessAt(issue) + 1;
    issue.ready.at = this.accessAt(issue);
    issue.stores = addresses.map((a) => ({ page: a >>> 12, offset: a & 4095 }));
    if (addresses.length === 2) this.count("splitAccesses");
  }

  /** A repeated string instruction, line by line. */
  private *rep(issue: Issue): Process {
    const { microOp, operands, pc } = issue;
    const { repKind: kind, bytes } = microOp;
    const begin = this.accessAt(issue);
    let now = begin;
    let paced = begin;
    this.count("numOps", operands[0] > 0 ? 6 : 2);
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
        this.count("numOps", run * REP_MICRO_OPS[kind]);
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
    this.issuedAt.push(at);
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
    this.commitsOf(microOp.unit).push(committed);
    for (const destination of microOp.destinations) this.ready.set(destination, issue.ready);
    for (const store of issue.stores) this.queue.stores.push({ ...store, pc: issue.pc, committed });
    if (microOp.serial && committed > this.issue) this.issueFrom(committed);
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

  /** Fetch1's access: the walk of its page, then the line. */
  private *fetchLine(line: number, at: () => number, segment: Segment): Process<number> {
    yield { turn: at };
    const page = Math.floor(line / 64);
    this.count("fetchLines");
    this.count("itlb.accesses");
    const requested = at();
    const now = this.translated("itlb", page) ? requested : yield* this.walk("itlb", page, requested);
    segment.walk = now - requested;
    const answer = yield* this.access("fetch", page, (line % 64) * 64, 0, () => now);
    segment.asked = answer.at;
    segment.servedBy = answer.servedBy;
    segment.miss = answer.servedBy === 0 ? 0 : answer.done - answer.at;
    return answer.done;
  }
}

/** Elements from `offset` in a line on, upwards or downwards, that begin in the line. */
function inLine(offset: number, bytes: number, down: boolean): number {
  return down ? Math.floor(offset / bytes) + 1 : Math.ceil((64 - offset) / bytes);
}
