import { describe, expect, it } from "vitest";
import { Outcome, type Prefetcher, type PrefetcherHost } from "../../src/cache/contract.js";
import { type MemoryOptions, MemorySystem } from "../../src/cache/system.js";
import type { MachineInput } from "../../src/machine/spec.js";
import { counter, machine, stateOf } from "./machines.js";

/** Does nothing by itself; remembers what it is told. */
class Mock implements Prefetcher {
  nextAction = Infinity;
  readonly outcomes: number[] = [];
  readonly unused: number[] = [];
  readonly acts: number[] = [];
  onAct: (now: number) => void = () => {};

  act(now: number): void {
    this.acts.push(now);
    this.nextAction = Infinity;
    this.onAct(now);
  }

  demand(_requester: number, _line: number, _vline: number, outcome: number): void {
    this.outcomes.push(outcome);
  }

  evictedUnused(line: number): void {
    this.unused.push(line);
  }

  beginInvocation(): void {}
  endInvocation(): void {}
}

function make(
  level = "llc",
  change?: (m: MachineInput) => void,
  options: MemoryOptions = {},
): { system: MemorySystem; host: PrefetcherHost; mock: Mock; pf: (name: string) => number } {
  const system = new MemorySystem(machine("simple", change), options);
  const mock = new Mock();
  const host = system.attachPrefetcher(1, level, () => mock);
  const path = level === "llc" ? "llc" : `cpu1.${level}`;
  return { system, host, mock, pf: (name) => counter(system, `${path}.${name}.cpu1`) };
}

describe("a prefetcher at the L1I", () => {
  it("leaves the duty to write a line back where it is", () => {
    const { system, host } = make("l1i", undefined, { dirtyHandOver: true });
    const port = system.port(1);
    // Line 0 is written, and driven out of its set of the L1D into the LLC, dirty.
    port.store(0, 0, 0, 0);
    for (let way = 1; way <= 8; way++) port.load(32 * way, 32 * way, 0, 1000 * way);
    expect(stateOf(system, "cpu1.l1d", 0)).toBe("I");
    expect(stateOf(system, "llc", 0)).toBe("M");
    host.target.enqueue(0, 0, 20_000);
    port.uncached(1, false, 21_000);
    expect(stateOf(system, "cpu1.l1i", 0)).toBe("S");
    expect(stateOf(system, "llc", 0)).toBe("M");
  });
});

describe("a prefetcher at the LLC", () => {
  it("brings a line that the core then finds there", () => {
    const { system, host, mock, pf } = make();
    host.target.enqueue(100, 100, 0);
    system.port(1).uncached(1, false, 50);
    expect(pf("pfIssued")).toBe(1);
    expect(system.port(1).fetch(100, 100, 500)).toBe(517);
    expect(mock.outcomes).toEqual([Outcome.PrefetchHit]);
    expect(pf("pfUseful")).toBe(1);
    expect(pf("pfLate")).toBe(0);
  });

  it("is late when the demand comes before the line", () => {
    const { system, host, mock, pf } = make();
    host.target.enqueue(100, 100, 0);
    // Issued at 0: 8 cycles to memory, 75, 2 back, 12 to fill: ready at 97; then 1 up and 2.
    expect(system.port(1).fetch(100, 100, 20)).toBe(100);
    expect(mock.outcomes).toEqual([Outcome.PrefetchLate]);
    expect([pf("pfUseful"), pf("pfLate")]).toEqual([1, 1]);
    expect(counter(system, "llc.mshrMerges.cpu1.inst")).toBe(1);
  });

  it("counts one use for a line, whoever demands it", () => {
    const { system, host, mock, pf } = make();
    host.target.enqueue(100, 100, 0);
    system.port(0).load(100, 100, 0, 500);
    system.port(1).load(100, 100, 0, 600);
    expect(pf("pfUseful")).toBe(1);
    expect(mock.outcomes).toEqual([Outcome.Hit]);
  });

  it("issues one line a cycle", () => {
    const { system, host } = make();
    for (let i = 0; i < 3; i++) host.target.enqueue(100 + i, 0, 10);
    const issued = [9, 10, 11, 12].map((now) => {
      system.port(0).uncached(1, false, now);
      return counter(system, "llc.pfIssued.cpu1");
    });
    expect(issued).toEqual([0, 1, 2, 3]);
  });

  it("leaves the reserved MSHRs to demands, and goes on when one is released", () => {
    const { system, host } = make("llc", (m) => {
      m.levels[0].cache.mshrs = 3;
    });
    for (let i = 0; i < 3; i++) host.target.enqueue(100 + i, 0, 0);
    // The first line is ready at 97; the bus and the memory put the second behind.
    const issuedAt = (now: number) => {
      system.port(0).uncached(1, false, now);
      return counter(system, "llc.pfIssued.cpu1");
    };
    expect([issuedAt(50), issuedAt(96), issuedAt(97)]).toEqual([2, 2, 3]);
  });

  it("drops what is there, what is queued and what a cache above holds", () => {
    const { system, host, pf } = make();
    system.port(1).fetch(100, 0, 0);
    expect(host.target.probe(100)).toBe(true);
    host.target.enqueue(100, 0, 1);
    host.target.enqueue(200, 0, 1);
    host.target.enqueue(200, 0, 1);
    expect(pf("pfInCache")).toBe(2);
    system.flush({ l1i: false, l1d: false, levels: ["llc"] });
    expect(host.target.probe(100)).toBe(false);
    host.target.enqueue(100, 0, 300);
    system.port(0).uncached(1, false, 400);
    expect([pf("pfInCache"), pf("pfIssued"), pf("pfDropped")]).toEqual([3, 0, 1]);
  });

  it("loses a queued line to the demand that comes first", () => {
    const { system, host, mock, pf } = make();
    host.target.enqueue(100, 0, 50);
    system.port(1).fetch(100, 0, 20);
    expect(pf("pfSquashed")).toBe(1);
    expect(mock.outcomes).toEqual([Outcome.Miss]);
    expect(host.target.queueFree).toBe(32);
  });

  it("is refused when its queue is full, and nothing is counted", () => {
    const { host, pf } = make("llc", (m) => {
      m.levels[0].cache.prefetchQueue = 2;
    });
    expect([1, 2, 3].map((line) => host.target.enqueue(line, 0, 0))).toEqual([true, true, false]);
    expect(pf("pfRequested")).toBe(2);
  });

  it("is told of a line that leaves unused, by replacement or by a flush", () => {
    const { system, host, mock, pf } = make("llc", (m) => {
      m.levels[0].cache.sizeKiB = 0.0625;
      m.levels[0].cache.ways = 1;
    });
    host.target.enqueue(100, 0, 0);
    system.port(0).load(200, 0, 0, 300);
    expect(mock.unused).toEqual([100]);
    host.target.enqueue(300, 0, 500);
    system.port(0).uncached(1, false, 900);
    system.flush({ l1i: true, l1d: true, levels: "all" });
    expect(mock.unused).toEqual([100, 300]);
    expect(pf("pfUnused")).toBe(2);
    expect(system.checkIdentities()).toEqual([]);
  });

  it("acts at its time, before any access that leaves an L1 then or later", () => {
    const { system, mock } = make();
    mock.nextAction = 100;
    system.port(0).load(1, 0, 0, 99);
    expect(mock.acts).toEqual([]);
    system.port(0).load(2, 0, 0, 100);
    expect(mock.acts).toEqual([100]);
  });

  it("reads metadata past the caches over the memory bus", () => {
    const { system, host } = make();
    expect(host.readMetadata(5, 0)).toBe(85);
    host.writeMetadata(5, 100);
    expect(counter(system, "memory.bytesRead.metadata")).toBe(64);
    expect(counter(system, "memory.bytesWritten.metadata")).toBe(64);
    expect(counter(system, "llc.accesses.cpu1.prefetch")).toBe(0);
  });

  it("translates through what the wiring gave it, whose walks take part in its turn", () => {
    const { system, host, mock } = make();
    const port = system.port(1);
    port.horizon = 0;
    system.setTranslator(1, {
      translatedPage: 7,
      translate: (_asid, _vpn, now) => port.walk(3, now),
    });
    let known = 0;
    mock.onAct = (now) => {
      known = host.translate(1, 2, now);
    };
    mock.nextAction = 10;
    system.port(0).load(1, 0, 0, 20);
    expect([known, host.translatedPage]).toEqual([95, 7]);
  });
});

describe("a prefetcher at an L1I", () => {
  it("sees every access, hits included", () => {
    const { system, mock } = make("l1i");
    const port = system.port(1);
    port.fetch(100, 0, 0);
    port.fetch(100, 0, 5);
    port.fetch(100, 0, 500);
    port.fetch(100, 0, 501);
    expect(mock.outcomes).toEqual([Outcome.Miss, Outcome.Merge, Outcome.Hit, Outcome.Hit]);
  });
});
