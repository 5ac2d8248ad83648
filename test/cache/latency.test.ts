import { describe, expect, it } from "vitest";
import { SERVED_BY_MEMORY } from "../../src/cache/contract.js";
import { MemorySystem } from "../../src/cache/system.js";
import { machine } from "./machines.js";

describe("latencies of machine simple, those of gem5's classic caches", () => {
  it("an L1 hit takes max(tag, data) = 1 cycle", () => {
    const port = new MemorySystem(machine("simple")).port(0);
    const ready = port.fetch(100, 100, 0);
    expect(port.fetch(100, 100, ready)).toBe(ready + 1);
    expect(port.servedBy).toBe(0);
  });

  it("an L1 miss served by memory takes 114 cycles", () => {
    const port = new MemorySystem(machine("simple")).port(0);
    expect(port.fetch(100, 100, 1000)).toBe(1114);
    expect(port.servedBy).toBe(SERVED_BY_MEMORY);
  });

  it("an L1 miss served by the LLC takes 17 cycles", () => {
    const port = new MemorySystem(machine("simple")).port(0);
    port.fetch(100, 100, 0);
    expect(port.load(100, 100, 0, 200)).toBe(217);
    expect(port.servedBy).toBe(1);
  });

  it("a page-table read straight from memory takes 85 cycles", () => {
    const port = new MemorySystem(machine("simple")).port(0);
    expect(port.walk(100, 0)).toBe(3 + 4 + 1 + 75 + 2);
  });
});
