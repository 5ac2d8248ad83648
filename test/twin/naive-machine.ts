import { Jukebox } from "../../src/jukebox/index.js";
import { EventKind, type Trace } from "../../src/loader/contract.js";
import type { DecodedTable } from "../../src/loader/decode/rows.js";
import type { MachineSpec } from "../../src/machine/spec.js";
import { NaiveSystem } from "../cache/naive-system.js";
import { Clockwork, type Process, Rank, until } from "./clockwork.js";
import type { NaiveCore, NaiveParts } from "./naive-core.js";
import { NaivePipelineCore } from "./naive-pipeline.js";
import { NaiveTimingCore } from "./naive-timing.js";
import type { Counts, Outcome, RunOptions } from "./outcome.js";
import { readStretches, type StreamEvent } from "./stretches.js";
import { KnownPages, naivePageTables } from "./translation.js";

/** Container of the traced function, and its instance. */
const FUNCTION = 1;

/** A core in front of an event that the system handles. */
interface Waiting {
  core: NaiveCore;
  event: StreamEvent;
  released: boolean;
}

/** The whole machine once more: cores, memory system, and what the scheduler keeps of the capture's order. */
export class NaiveMachine {
  readonly clockwork = new Clockwork();
  private readonly memory: NaiveSystem;
  private readonly cores: NaiveCore[];
  private readonly functionCore: NaiveCore;
  private readonly jukebox: Jukebox | undefined;
  private underWay = false;
  private replayStarted = false;
  private readonly idleSince = new Map<number, number>();
  private atWork: Waiting[] = [];
  private readonly marks: Outcome["marks"] = [];

  constructor(
    private readonly spec: MachineSpec,
    trace: Trace,
    decoded: DecodedTable,
    private readonly options: RunOptions,
  ) {
    this.memory = new NaiveSystem(spec, options.seed, spec.dirtyHandOver);
    const pageTables = naivePageTables(trace.pages, spec.memory.sizeMiB, spec.core.largeKernelPages ?? false);
    const parts: NaiveParts = {
      spec,
      memory: this.memory,
      tally: this.memory.tally,
      clockwork: this.clockwork,
      pages: trace.pages,
      decoded,
      pageTables,
      known: new KnownPages(trace.pages, pageTables),
      switched: (core, container) => {
        if (core.id === trace.header.functionCore && container === FUNCTION)
          this.functionScheduled(core.slots.cycle);
      },
      event: (core, event) => this.event(core, event),
    };
    this.cores = trace.cores.map((_, id) =>
      spec.core.model === "timing" ? new NaiveTimingCore(id, parts) : new NaivePipelineCore(id, parts),
    );
    this.functionCore = this.cores[trace.header.functionCore];
    if (options.jukebox !== undefined) this.jukebox = this.addJukebox(trace, options.jukebox);
    for (const core of this.cores) {
      const stretches = readStretches(trace.stream(core.id), trace.blocks);
      this.clockwork.add(core.id, Rank.Data, core.run(stretches));
    }
  }

  run(): Outcome {
    this.clockwork.run(() => this.release());
    const stuck = this.cores.filter((core) => !core.ended);
    if (stuck.length > 0) throw new Error(`twin: cores ${stuck.map((c) => c.id)} cannot go on`);
    return { marks: this.marks, end: this.counts() };
  }

  private *event(core: NaiveCore, event: StreamEvent): Process {
    const { slots } = core;
    if (event.kind === EventKind.IdleBegin) {
      this.idleSince.set(core.id, slots.cycle);
      return;
    }
    if (event.kind === EventKind.IdleEnd) {
      let end = slots.cycle;
      const since = this.idleSince.get(core.id);
      if (event.a >= 0 && event.a !== core.id) {
        // Goes on no earlier than its waker was at the block from which it was woken.
        const { reached } = this.cores[event.a];
        yield* until(() => reached.has(event.b));
        end = reached.get(event.b)!;
      } else if (since !== undefined) end = since + Math.ceil(event.c * this.spec.clockGHz);
      this.idleSince.delete(core.id);
      slots.goOn(end, true);
      return;
    }
    const waiting: Waiting = { core, event, released: false };
    this.atWork.push(waiting);
    yield* until(() => waiting.released);
  }

  /** A work event that every core has reached: all go on at the cycle of the last. */
  private release(): boolean {
    const { atWork, options } = this;
    if (atWork.length === 0 || atWork.length < this.cores.filter((core) => !core.ended).length) return false;
    const { kind, a } = atWork[0].event;
    if (atWork.some(({ event }) => event.kind !== kind || event.a !== a)) return false;
    const now = Math.max(...atWork.map(({ core }) => core.slots.cycle));
    for (const { core } of atWork) core.slots.goOn(now, this.idleSince.has(core.id));
    if (kind === EventKind.WorkBegin) {
      if (options.flush.caches) this.memory.flush(true, true, "all");
      for (const core of this.cores) core.flush(options.flush.tlbs, options.flush.predictors);
    }
    if (kind === EventKind.WorkBegin) this.beginInvocation(now);
    else {
      this.jukebox?.endInvocation(FUNCTION, now);
      this.underWay = false;
    }
    this.marks.push({ now, counts: this.counts() });
    this.atWork = [];
    for (const waiting of atWork) waiting.released = true;
    return true;
  }

  private beginInvocation(now: number): void {
    this.underWay = true;
    this.replayStarted = false;
    if (this.spec.jukebox?.start === "invocation" || this.functionCore.container === FUNCTION)
      this.functionScheduled(now);
  }

  private functionScheduled(now: number): void {
    if (!this.underWay || this.replayStarted) return;
    this.replayStarted = true;
    this.jukebox?.beginInvocation(FUNCTION, now);
  }

  /** The simulator's own Jukebox, at the naive caches and the naive core's walker. */
  private addJukebox({ pages }: Trace, changes: object): Jukebox {
    const { spec, functionCore: core } = this;
    const own = { ...spec.jukebox!, ...changes };
    let jukebox: Jukebox | undefined;
    this.memory.attach(
      core.id,
      own.level,
      (host) => {
        jukebox = new Jukebox(own, host, spec.memory.sizeMiB * 16384);
        return jukebox;
      },
      { pages, translate: (asid, vpn, now) => core.translateFor(asid, vpn, now) },
    );
    return jukebox!;
  }

  /** All counters that are not zero. */
  private counts(): Counts {
    const counts: Counts = {};
    const set = (name: string, value: number) => {
      if (value !== 0) counts[name] = value;
    };
    for (const [name, value] of this.memory.tally.counts) set(name, value);
    if (this.jukebox !== undefined) {
      const { path, defs, values } = this.jukebox.group;
      for (const [i, { name }] of defs.entries()) set(`${path}.${name}`, values[i]);
    }
    for (const core of this.cores) {
      for (const [name, value] of core.settled()) set(`${core.path}.${name}`, value);
      for (const [name, value] of core.unit?.counts ?? []) set(`${core.path}.branchPred.${name}`, value);
    }
    return counts;
  }
}
