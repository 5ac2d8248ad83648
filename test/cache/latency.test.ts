import { describe, expect, it } from "vitest";
import { NOT_NOW, SERVED_BY_MEMORY } from "../../src/cache/contract.js";
import { MemorySystem } from "../../src/cache/system.js";
import type { MachineInput } from "../../src/machine/spec.js";
import { counter, machine } from "./machines.js";

const simple = (change?: (m: MachineInput) => void) => new MemorySystem(machine("simple", change));

describe("latencies of machine simple are those that gem5 measures", () => {
  it("an L1 hit takes max(tag, data) = 1 cycle", () => {
    const port = simple().port(0);
    const ready = port.fetch(100, 100, 0);
    expect(port.fetch(100, 100, ready)).toBe(ready + 1);
    expect(port.servedBy).toBe(0);
  });

  it("an L1 miss served by the LLC takes 17 cycles", () => {
    const port = simple().port(0);
    port.fetch(100, 100, 0);
    expect(port.load(100, 100, 0, 200)).toBe(217);
    expect(port.servedBy).toBe(1);
  });

  it("an L1 miss served by memory takes 114 cycles, 110 of them the LLC's", () => {
    const system = simple();
    expect(system.port(0).fetch(100, 100, 1000)).toBe(1114);
    expect(system.port(0).servedBy).toBe(SERVED_BY_MEMORY);
    expect(counter(system, "llc.missLatency.cpu0.inst")).toBe(110);
  });

  it("a page-table read straight from memory takes 85 cycles", () => {
    const port = simple().port(0);
    expect(port.walk(100, 0)).toBe(3 + 4 + 1 + 75 + 2);
    expect(port.servedBy).toBe(SERVED_BY_MEMORY);
  });

  it("a device read takes as long as a page-table read, a device write as long as the bus", () => {
    const port = simple().port(0);
    expect(port.uncached(100, false, 0)).toBe(85);
    expect(port.uncached(100, true, 200)).toBe(200 + 3 + 4 + 1 + 2);
  });

  it("a sequence of tag and data latencies counts the longer for a hit, tag alone for a miss", () => {
    const port = simple((m) => {
      m.l1d.dataLatency = 5;
    }).port(0);
    const ready = port.load(100, 100, 0, 0);
    expect(ready).toBe(114);
    expect(port.load(100, 100, 0, ready)).toBe(ready + 5);
  });
});

describe("a line on its way", () => {
  it("is merged with until the cycle before it is ready, and hit from then on", () => {
    const system = simple();
    const port = system.port(0);
    expect(port.fetch(100, 100, 0)).toBe(114);
    expect(port.fetch(100, 100, 50)).toBe(114);
    expect(port.fetch(100, 100, 113)).toBe(114);
    expect(counter(system, "cpu0.l1i.mshrMerges.cpu0.inst")).toBe(2);
    expect(counter(system, "cpu0.l1i.misses.cpu0.inst")).toBe(3);
    expect(port.fetch(100, 100, 114)).toBe(115);
    expect(counter(system, "cpu0.l1i.hits.cpu0.inst")).toBe(1);
  });

  it("keeps who comes right behind its first word waiting for its last, where the bus is narrow", () => {
    const port = new MemorySystem(machine("gem5-ddr4")).port(0);
    const ready = port.fetch(100, 100, 0);
    // The first word was at the L1I a cycle before; two cycles of transfer and one into the data array from there: whole at ready + 2.
    expect(port.fetch(100, 100, ready)).toBe(ready + 2 + 1);
    // A wait of one cycle is hidden by the access itself.
    expect(port.fetch(100, 100, ready + 1)).toBe(ready + 1 + 1);
    const wide = simple().port(0);
    const first = wide.fetch(100, 100, 0);
    expect(wide.fetch(100, 100, first)).toBe(first + 1);
  });

  it("takes as many requests as an MSHR has targets; the next waits for it", () => {
    const port = simple((m) => {
      m.l1i.targetsPerMshr = 2;
    }).port(0);
    port.fetch(100, 100, 0);
    expect(port.fetch(100, 100, 1)).toBe(114);
    expect(port.fetch(100, 100, 2)).toBe(NOT_NOW);
    expect(port.retryAt).toBe(114);
    expect(port.fetch(100, 100, 114)).toBe(115);
  });

  it("is merged with at the LLC by the other core", () => {
    const system = simple();
    system.port(0).load(100, 100, 0, 0);
    // Ready at the LLC at 111; one cycle up the bus, two to fill.
    expect(system.port(1).fetch(100, 100, 10)).toBe(114);
    expect(counter(system, "llc.mshrMerges.cpu1.inst")).toBe(1);
  });
});

describe("a miss that cannot go yet", () => {
  it("waits for the first of the MSHRs when all are busy, and leaves no trace", () => {
    const system = simple();
    const port = system.port(0);
    const ready = [0, 1, 2, 3].map((i) => port.load(100 + i, 0, 0, i));
    expect(port.load(200, 0, 0, 4)).toBe(NOT_NOW);
    expect(port.retryAt).toBe(ready[0]);
    expect(counter(system, "cpu0.l1d.accesses.cpu0.load")).toBe(4);
    expect(port.load(200, 0, 0, ready[0] - 1)).toBe(NOT_NOW);
    expect(port.load(200, 0, 0, ready[0])).toBe(ready[0] + 114);
  });

  it("waits for the horizon, but a hit does not", () => {
    const system = simple();
    const port = system.port(0);
    port.load(100, 0, 0, 0);
    port.horizon = 150;
    expect(port.load(100, 0, 0, 151)).toBe(152);
    expect(port.load(200, 0, 0, 151)).toBe(NOT_NOW);
    expect(port.retryAt).toBe(151);
    expect(counter(system, "cpu0.l1d.accesses.cpu0.load")).toBe(2);
    expect(port.load(200, 0, 0, 150)).toBe(150 + 114);
  });
});

describe("buses", () => {
  it("hold a request one cycle: the second of two cores that ask at once is a cycle later", () => {
    const system = simple();
    system.port(0).fetch(100, 0, 0);
    system.port(0).fetch(200, 0, 300);
    expect(system.port(0).fetch(300, 0, 600)).toBe(600 + 114);
    expect(system.port(1).fetch(100, 0, 600)).toBe(600 + 18);
  });

  it("let a hit's answer pass that of an earlier miss", () => {
    const port = simple().port(0);
    port.fetch(100, 0, 0);
    port.load(200, 0, 0, 300);
    expect(port.load(100, 0, 0, 301)).toBe(301 + 17);
  });

  it("of width 16 hold a port four cycles a line: answers to one port come five apart", () => {
    const narrow = simple((m) => {
      m.levels[0].bus = { ...m.levels[0].bus, width: 16 };
    });
    const port = narrow.port(0);
    for (let i = 0; i < 3; i++) port.fetch(100 + i, 0, i * 300);
    const loads = [0, 1, 2].map((i) => port.load(100 + i, 0, 0, 1000 + i));
    expect(loads).toEqual([1017, 1022, 1027]);
  });
});

describe("writing back", () => {
  it("sends a dirty victim to the LLC and from there to memory", () => {
    const system = simple((m) => {
      m.l1d.sizeKiB = 0.0625;
      m.l1d.ways = 1;
      m.levels[0].cache.sizeKiB = 0.0625;
      m.levels[0].cache.ways = 1;
    });
    const port = system.port(0);
    port.store(100, 0, 0, 0);
    port.load(200, 0, 0, 300);
    expect(counter(system, "cpu0.l1d.writebacks")).toBe(1);
    // Line 200 had taken the only place in the LLC: line 100 misses there and is put in whole.
    expect(counter(system, "llc.misses.cpu0.writeback")).toBe(1);
    expect(counter(system, "memory.reads")).toBe(2);
    port.load(300, 0, 0, 600);
    expect(counter(system, "memory.bytesWritten.writeback")).toBe(64);
    expect(system.checkIdentities()).toEqual([]);
  });

  it("does not send a clean victim", () => {
    const system = simple((m) => {
      m.l1d.sizeKiB = 0.0625;
      m.l1d.ways = 1;
    });
    system.port(0).load(100, 0, 0, 0);
    system.port(0).load(200, 0, 0, 300);
    expect(counter(system, "cpu0.l1d.replacements")).toBe(1);
    expect(counter(system, "cpu0.l1d.writebacks")).toBe(0);
  });
});
