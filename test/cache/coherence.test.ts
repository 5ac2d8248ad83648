import { describe, expect, it } from "vitest";
import { MemorySystem } from "../../src/cache/system.js";
import { Calm } from "./calm.js";
import { counter, machine, stateOf } from "./machines.js";

function pair(name: string): [MemorySystem, Calm, (path: string) => string] {
  const system = new MemorySystem(machine(name));
  return [system, new Calm(system), (path) => stateOf(system, path, 100)];
}

describe("coherence between the cores of machine simple", () => {
  it("a lone reader gets the line Exclusive, and writes it without a word", () => {
    const [system, calm, state] = pair("simple");
    calm.load(0, 100);
    expect(state("cpu0.l1d")).toBe("E");
    expect(calm.store(0, 100)).toBe(1);
    expect(state("cpu0.l1d")).toBe("M");
    expect(counter(system, "cpu0.l1d.upgrades")).toBe(0);
  });

  it("a second reader makes both copies Shared", () => {
    const [system, calm, state] = pair("simple");
    calm.load(0, 100);
    expect(calm.load(1, 100)).toBe(17);
    expect([state("cpu0.l1d"), state("cpu1.l1d")]).toEqual(["S", "S"]);
    expect(counter(system, "cpu0.l1d.downgrades")).toBe(1);
  });

  it("a write to a Shared line costs the way to the LLC's tags and back, and takes the other's copy", () => {
    const [system, calm, state] = pair("simple");
    calm.load(0, 100);
    calm.load(1, 100);
    expect(calm.store(0, 100)).toBe(1 + 1 + 12 + 1 + 2);
    expect([state("cpu0.l1d"), state("cpu1.l1d")]).toEqual(["M", "I"]);
    expect(counter(system, "cpu0.l1d.upgrades")).toBe(1);
    expect(counter(system, "cpu1.l1d.invalidations")).toBe(1);
    expect(counter(system, "cpu0.l1d.fills")).toBe(1);
  });

  it("a reader gets a Modified line from the other core, and the LLC gets it too", () => {
    const [system, calm, state] = pair("simple");
    calm.store(0, 100);
    expect(calm.load(1, 100)).toBe(1 + 1 + 1 + 1 + 2);
    expect([state("cpu0.l1d"), state("cpu1.l1d"), state("llc")]).toEqual(["S", "S", "M"]);
    expect(counter(system, "cpu0.l1d.supplied")).toBe(1);
    expect(counter(system, "llc.accesses.cpu1.load")).toBe(0);
    expect(counter(system, "llc.hits.cpu0.writeback")).toBe(1);
  });

  it("a writer takes a Modified line from the other core, and with it the duty to write it back", () => {
    const [system, calm, state] = pair("simple");
    calm.store(0, 100);
    expect(calm.store(1, 100)).toBe(6);
    expect([state("cpu0.l1d"), state("cpu1.l1d"), state("llc")]).toEqual(["I", "M", "E"]);
    expect(counter(system, "llc.accesses.cpu0.writeback")).toBe(0);
  });

  it("a store takes the line from every L1I, its own core's included", () => {
    const [system, calm, state] = pair("simple");
    calm.fetch(0, 100);
    calm.fetch(1, 100);
    calm.store(0, 100);
    expect([state("cpu0.l1i"), state("cpu1.l1i"), state("cpu0.l1d")]).toEqual(["I", "I", "M"]);
    expect(counter(system, "cpu0.l1i.invalidations")).toBe(1);
  });

  it("a fetch of a line that its own L1D has Modified gets it from there and makes it Shared", () => {
    const [system, calm, state] = pair("simple");
    calm.store(0, 100);
    expect(calm.fetch(0, 100)).toBe(6);
    expect([state("cpu0.l1i"), state("cpu0.l1d"), state("llc")]).toEqual(["S", "S", "M"]);
    calm.store(0, 100);
    expect([state("cpu0.l1i"), state("cpu0.l1d")]).toEqual(["I", "M"]);
    expect(counter(system, "cpu0.l1d.upgrades")).toBe(1);
  });

  it("a load of a line that its own L1I holds gets it Shared, so that a later store is seen", () => {
    const [, calm, state] = pair("simple");
    calm.fetch(0, 100);
    calm.load(0, 100);
    expect(state("cpu0.l1d")).toBe("S");
    calm.store(0, 100);
    expect(state("cpu0.l1i")).toBe("I");
  });
});

describe("coherence with private second levels", () => {
  it("a Modified line is found in the other core's L2", () => {
    const [system, calm, state] = pair("skylake-like");
    calm.store(0, 100);
    for (let i = 1; i <= 8; i++) calm.load(0, 100 + i * 64);
    expect([state("cpu0.l1d"), state("cpu0.l2")]).toEqual(["I", "M"]);
    calm.load(1, 100);
    expect([state("cpu0.l2"), state("cpu1.l1d"), state("cpu1.l2"), state("llc")]).toEqual([
      "S",
      "S",
      "S",
      "M",
    ]);
    expect(counter(system, "cpu0.l2.supplied")).toBe(1);
  });

  it("the core whose L2 owns the line gets the right to write it there", () => {
    const [system, calm, state] = pair("skylake-like");
    calm.load(0, 100);
    calm.fetch(0, 100);
    expect([state("cpu0.l1d"), state("cpu0.l2")]).toEqual(["S", "E"]);
    calm.store(0, 100);
    expect([state("cpu0.l1i"), state("cpu0.l1d")]).toEqual(["I", "M"]);
    expect(counter(system, "cpu0.l2.hits.cpu0.store")).toBe(1);
    expect(counter(system, "cpu0.l2.upgrades")).toBe(0);
  });

  it("a walk that reads at the L2 finds what the core wrote", () => {
    const [, calm, state] = pair("skylake-like");
    calm.store(0, 100);
    calm.walk(0, 100);
    expect([state("cpu0.l1d"), state("cpu0.l2")]).toEqual(["S", "M"]);
  });
});

describe("an infinite L1I", () => {
  const make = () => new MemorySystem(machine("simple", (m) => (m.l1i.infinite = true)));

  it("misses once on each line, however many there are", () => {
    const system = make();
    const calm = new Calm(system);
    for (let i = 0; i < 1000; i++) calm.fetch(0, i);
    for (let i = 0; i < 1000; i++) expect(calm.fetch(0, i)).toBe(1);
    expect(counter(system, "cpu0.l1i.fills")).toBe(1000);
  });

  it("keeps its lines over a flush", () => {
    const system = make();
    const calm = new Calm(system);
    calm.fetch(0, 100);
    system.flush({ l1i: true, l1d: true, levels: "all" });
    expect(calm.fetch(0, 100)).toBe(1);
  });

  it("loses a line that is written", () => {
    const system = make();
    const calm = new Calm(system);
    calm.fetch(0, 100);
    calm.store(1, 100);
    expect(counter(system, "cpu0.l1i.invalidations")).toBe(1);
    expect(calm.fetch(0, 100)).toBeGreaterThan(1);
  });
});
