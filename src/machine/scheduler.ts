import { type Core, RunStatus } from "../core/contract.js";
import { EventKind } from "../loader/contract.js";

/** What a core waits for. */
const Wait = { Nothing: 0, Barrier: 1, Wake: 2, Ended: 3 } as const;

/** Told of the moments that all cores reach together. */
export interface SchedulerHooks {
  /** All cores stand before invocation `invocation`, at cycle `now`. */
  workBegin(invocation: number, now: number): void;
  workEnd(invocation: number, now: number): void;
  /** Called every some thousand turns; for progress. */
  turn?(): void;
}

const TURNS_BETWEEN_CALLS = 4096;
/** So many turns in which no core gets on: never will. A turn ends in a later cycle, a block further, or lets another core go. */
const TURNS_WITHOUT_PROGRESS = 4096;

/**
 * Steps the cores of one machine in time order and keeps the causality of the capture: the core with the
 * smallest time runs (ties: the lower id) until its next access beyond the L1s is no longer the earliest
 * one; a core that was woken goes on no earlier than the waker's cycle at the block from which it was
 * woken; work events are barriers, as they stand at one moment of the capture in every stream.
 * The choice depends on simulated time only, so there is one schedule.
 */
export class Scheduler {
  private readonly wait: number[];
  private readonly idleSince: number[];
  private readonly wakeTimes: Float64Array[];
  private readonly wakesSeen: number[];

  /**
   * @param cores core i has id i and a stream attached
   * @param wakePositions for each core, the positions that others are woken from (CoreSummary.wakePositions)
   * @param cyclesPerNs to turn captured idle time (timers, devices) into cycles
   */
  constructor(
    private readonly cores: readonly Core[],
    private readonly wakePositions: readonly (readonly number[])[],
    private readonly cyclesPerNs: number,
    private readonly hooks: SchedulerHooks,
  ) {
    this.wait = cores.map(() => Wait.Nothing);
    this.idleSince = cores.map(() => -1);
    this.wakeTimes = wakePositions.map((p) => new Float64Array(p.length));
    this.wakesSeen = cores.map(() => 0);
    for (const core of cores) core.stopPosition = wakePositions[core.id][0] ?? Number.POSITIVE_INFINITY;
  }

  /** Runs to the end of all streams. Throws when no core can go on, or none does. */
  run(): void {
    let turns = 0;
    let idle = 0;
    for (;;) {
      const next = this.earliest();
      if (next < 0) {
        if (this.wait.every((w) => w === Wait.Ended)) return;
        if (!this.release()) throw new Error(`no core can go on: ${this.describe()}`);
        continue;
      }
      const core = this.cores[next];
      const { time, position } = core;
      core.port.horizon = this.horizon(next);
      const status = core.run();
      this.handle(core, status);
      if (status !== RunStatus.Blocked || core.time !== time || core.position !== position) idle = 0;
      else if (++idle === TURNS_WITHOUT_PROGRESS) {
        const { horizon } = core.port;
        throw new Error(`no progress in ${idle} turns, horizon ${horizon}: ${this.describe()}`);
      }
      if (++turns % TURNS_BETWEEN_CALLS === 0) this.hooks.turn?.();
    }
  }

  private earliest(): number {
    let best = -1;
    for (let i = 0; i < this.cores.length; i++) {
      if (this.wait[i] !== Wait.Nothing) continue;
      if (best < 0 || this.cores[i].time < this.cores[best].time) best = i;
    }
    return best;
  }

  /** Core `id` may touch what is shared up to this cycle: before every other core that can run. */
  private horizon(id: number): number {
    let horizon = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.cores.length; i++) {
      if (i === id || this.wait[i] !== Wait.Nothing) continue;
      const limit = i < id ? this.cores[i].time - 1 : this.cores[i].time;
      if (limit < horizon) horizon = limit;
    }
    return horizon;
  }

  private handle(core: Core, status: RunStatus): void {
    const id = core.id;
    switch (status) {
      case RunStatus.Blocked:
        return;
      case RunStatus.Position: {
        const at = this.wakesSeen[id]++;
        this.wakeTimes[id][at] = core.committedAt;
        core.stopPosition = this.wakePositions[id][at + 1] ?? Number.POSITIVE_INFINITY;
        this.wakeSleepers(id);
        return;
      }
      case RunStatus.End:
        this.wait[id] = Wait.Ended;
        return;
      case RunStatus.Event:
        this.event(core);
        return;
    }
  }

  private event(core: Core): void {
    switch (core.eventKind) {
      case EventKind.IdleBegin:
        this.idleSince[core.id] = core.time;
        core.takeEvent(core.time, false);
        return;
      case EventKind.IdleEnd:
        if (core.eventA >= 0 && core.eventA !== core.id) {
          this.wait[core.id] = Wait.Wake;
          this.tryWake(core);
        } else {
          const since = this.idleSince[core.id];
          const until = since + Math.ceil(core.eventC * this.cyclesPerNs);
          this.endIdle(core, since < 0 ? core.time : until);
        }
        return;
      case EventKind.WorkBegin:
      case EventKind.WorkEnd:
        this.wait[core.id] = Wait.Barrier;
        return;
      default:
        throw new Error(`core ${core.id}: event ${core.eventKind} is not the scheduler's`);
    }
  }

  private endIdle(core: Core, until: number): void {
    this.idleSince[core.id] = -1;
    core.takeEvent(Math.max(core.time, until), true);
  }

  private wakeSleepers(source: number): void {
    for (const core of this.cores) {
      if (this.wait[core.id] === Wait.Wake && core.eventA === source) this.tryWake(core);
    }
  }

  private tryWake(core: Core): void {
    const source = core.eventA;
    if (source >= this.cores.length)
      throw new Error(`core ${core.id} is woken by core ${source}, which is not there`);
    const index = indexOf(this.wakePositions[source], core.eventB);
    if (index < 0)
      throw new Error(
        `core ${core.id}: wake-up position ${core.eventB} of core ${source} is not in the index`,
      );
    if (index >= this.wakesSeen[source]) return;
    this.wait[core.id] = Wait.Nothing;
    this.endIdle(core, this.wakeTimes[source][index]);
  }

  /** Lets all cores past a work event that every live core has reached. */
  private release(): boolean {
    const waiting = this.cores.filter((c) => this.wait[c.id] === Wait.Barrier);
    const live = this.cores.filter((c) => this.wait[c.id] !== Wait.Ended);
    if (waiting.length === 0 || waiting.length !== live.length) return false;
    const { eventKind, eventA } = waiting[0];
    if (waiting.some((c) => c.eventKind !== eventKind || c.eventA !== eventA)) return false;
    let now = 0;
    for (const core of waiting) now = Math.max(now, core.time);
    // The time at the barrier is charged first, so that the region's counters neither miss nor take it.
    for (const core of waiting) {
      this.wait[core.id] = Wait.Nothing;
      core.takeEvent(now, this.idleSince[core.id] >= 0);
    }
    if (eventKind === EventKind.WorkBegin) this.hooks.workBegin(eventA, now);
    else this.hooks.workEnd(eventA, now);
    return true;
  }

  private describe(): string {
    const words = ["can run", "waits at a work event", "waits to be woken", "is at its end"];
    return this.cores
      .map((c) => {
        const event = this.wait[c.id] === Wait.Barrier || this.wait[c.id] === Wait.Wake;
        const what = event ? ` (event ${c.eventKind}: ${c.eventA}, ${c.eventB}, ${c.eventC})` : "";
        return `core ${c.id} ${words[this.wait[c.id]]}${what} at cycle ${c.time}, block ${c.position}`;
      })
      .join("; ");
  }
}

/** Index of `value` in an ascending list, or -1. */
function indexOf(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (list[middle] === value) return middle;
    if (list[middle] < value) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
