import { describe, expect, test } from "vitest";
import { type Core, type CoreFlush, RunStatus } from "../../src/core/contract.js";
import { EventKind } from "../../src/loader/contract.js";
import { Scheduler } from "../../src/machine/scheduler.js";

type Step =
  | { block: number; shared?: boolean } // a block of so many cycles; `shared`: its end is an access beyond the L1s
  | { event: EventKind; a?: number; b?: number; c?: number };

/** A core whose blocks take the cycles that the script says. */
class ScriptedCore implements Core {
  time = 0;
  get committedAt(): number {
    return this.time;
  }
  position = 0;
  stopPosition = Number.POSITIVE_INFINITY;
  eventKind = 0;
  eventA = 0;
  eventB = 0;
  eventC = 0;
  onSwitch: Core["onSwitch"];
  idle = 0;
  sync = 0;
  port = { horizon: 0 } as Core["port"];
  private at = 0;
  private pending = false;
  constructor(
    readonly id: number,
    private readonly script: Step[],
    private readonly log: string[],
  ) {}
  attach(): void {}
  flush(_: CoreFlush): void {}
  run(): RunStatus {
    for (;;) {
      if (this.position === this.stopPosition) return RunStatus.Position;
      const step = this.script[this.at];
      if (step === undefined) return RunStatus.End;
      if ("event" in step) {
        this.eventKind = step.event;
        [this.eventA, this.eventB, this.eventC] = [step.a ?? 0, step.b ?? 0, step.c ?? 0];
        return RunStatus.Event;
      }
      if (!this.pending) this.time += step.block;
      if (step.shared) {
        this.pending = this.time > this.port.horizon;
        if (this.pending) return RunStatus.Blocked;
        this.log.push(`${this.id}@${this.time}`);
      }
      this.at++;
      this.position++;
    }
  }
  takeEvent(now: number, idle: boolean): void {
    if (idle) this.idle += now - this.time;
    else this.sync += now - this.time;
    this.time = now;
    this.at++;
  }
}

function schedule(scripts: Step[][], wakes: number[][] = scripts.map(() => []), cyclesPerNs = 1) {
  const log: string[] = [];
  const cores = scripts.map((s, i) => new ScriptedCore(i, s, log));
  const work: string[] = [];
  const scheduler = new Scheduler(cores, wakes, cyclesPerNs, {
    workBegin: (i, now) => work.push(`begin ${i} @${now}`),
    workEnd: (i, now) => work.push(`end ${i} @${now}`),
  });
  scheduler.run();
  return { log, cores, work };
}

const shared = (block: number): Step => ({ block, shared: true });

describe("the scheduler", () => {
  test("lets accesses beyond the L1s happen in time order over the cores", () => {
    const { log } = schedule([
      [shared(5), shared(5), shared(20)],
      [shared(1), shared(2), shared(30)],
    ]);
    expect(log).toEqual(["1@1", "1@3", "0@5", "0@10", "0@30", "1@33"]);
  });

  test("gives a tie to the lower core", () => {
    expect(schedule([[shared(5)], [shared(5)]]).log).toEqual(["0@5", "1@5"]);
    expect(
      schedule([
        [{ block: 1 }, shared(4)],
        [shared(2), shared(3)],
      ]).log,
    ).toEqual(["1@2", "0@5", "1@5"]);
  });

  test("lets work begin and end for all cores at the latest one's cycle", () => {
    const begin = { event: EventKind.WorkBegin, a: 7 };
    const end = { event: EventKind.WorkEnd, a: 7 };
    const { work, cores } = schedule([
      [{ block: 10 }, begin, { block: 5 }, end],
      [{ block: 4 }, begin, { block: 50 }, end],
    ]);
    expect(work).toEqual(["begin 7 @10", "end 7 @60"]);
    expect(cores.map((c) => [c.sync, c.idle])).toEqual([
      [45, 0],
      [6, 0],
    ]);
  });

  test("charges the wait of a halted core at a work event as idle", () => {
    const begin = { event: EventKind.WorkBegin };
    const { cores } = schedule(
      [
        [{ block: 10 }, begin, { block: 1 }],
        [{ block: 4 }, { event: EventKind.IdleBegin }, begin, { event: EventKind.IdleEnd, a: 0, b: 2 }],
      ],
      [[2], []],
    );
    expect(cores[1].idle).toBe(7);
    expect(cores[1].sync).toBe(0);
    expect(cores[1].time).toBe(11);
  });

  test("wakes a core at the waker's cycle at that block, also when the waker is past it already", () => {
    const sleeper: Step[] = [
      { block: 2 },
      { event: EventKind.IdleBegin },
      { event: EventKind.IdleEnd, a: 0, b: 2 },
      shared(1),
    ];
    const { cores, log } = schedule([[shared(10), shared(10), shared(100)], sleeper], [[2], []]);
    expect(log).toEqual(["0@10", "0@20", "1@21", "0@120"]);
    expect(cores[1].idle).toBe(18);
    const late = schedule(
      [
        [{ block: 1 }, { block: 1 }, shared(100)],
        [{ block: 50 }, ...sleeper.slice(1)],
      ],
      [[2], []],
    );
    expect(late.log).toEqual(["1@51", "0@102"]);
    expect(late.cores[1].idle).toBe(0);
  });

  test("ends idle time without a waker after the captured nanoseconds, counted from its beginning", () => {
    const script: Step[] = [
      { block: 3 },
      { event: EventKind.IdleBegin },
      { event: EventKind.IdleEnd, a: -1, c: 10 },
      { block: 1 },
    ];
    const { cores } = schedule([script], [[]], 2.5);
    expect(cores[0].idle).toBe(25);
    expect(cores[0].time).toBe(29);
  });

  test("ends a run in which no core gets on, and says where each stands", () => {
    // Put off at every turn, whatever the horizon.
    class Stuck extends ScriptedCore {
      override time = 5;
      override run(): RunStatus {
        return RunStatus.Blocked;
      }
    }
    const log: string[] = [];
    const cores = [new Stuck(0, Array(5).fill(shared(7)), log), new ScriptedCore(1, [shared(2)], log)];
    const scheduler = new Scheduler(cores, [[], []], 1, { workBegin() {}, workEnd() {} });
    expect(() => scheduler.run()).toThrow(
      /^no progress in \d+ turns, horizon Infinity: core 0 can run at cycle 5, block 0; core 1 is at its end at cycle 2, block 1$/,
    );
  });

  test("says who waits for what when nobody can go on", () => {
    const wait: Step[] = [{ event: EventKind.WorkBegin, a: 1 }];
    const other: Step[] = [{ event: EventKind.WorkBegin, a: 2 }];
    expect(() => schedule([wait, other])).toThrow(
      /core 0 waits at a work event \(event 1: 1.*core 1 waits at a work event \(event 1: 2/,
    );
  });
});
