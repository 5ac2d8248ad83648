import { describe, expect, it } from "vitest";
import { Traffic } from "../../src/memory/contract.js";
import { cyclesOf, lineTransfer, SimpleMemory } from "../../src/memory/simple.js";

const spec = { model: "simple", sizeMiB: 2048, latencyNs: 30, bandwidthGiBs: 12.8 } as const;

describe("nanoseconds in cycles", () => {
  it("are exact where the product is an integer", () => {
    expect(cyclesOf(30, 2.5)).toBe(75);
    expect(cyclesOf(45, 2.6)).toBe(117);
  });

  it("are rounded up to the clock edge otherwise", () => {
    expect(cyclesOf(30.1, 2.5)).toBe(76);
    expect(cyclesOf(13.75, 2.5)).toBe(35);
  });
});

describe("the transfer of a line", () => {
  it("at 12.8 GiB/s and 2.5 GHz takes 48828125 / 4194304 cycles", () => {
    expect(lineTransfer(12.8, 2.5)).toEqual({ numerator: 48828125, denominator: 4194304 });
  });

  it("is right within 2^-24 cycles whatever the figures", () => {
    for (const [band, clock] of [
      [17.9, 2.6],
      [19.2, 3.333333],
      [1.234567, 2.345678],
    ]) {
      const { numerator, denominator } = lineTransfer(band, clock);
      expect(Math.abs(numerator / denominator - (64 * clock * 1e9) / (band * 2 ** 30))).toBeLessThan(
        2 ** -24,
      );
      expect(denominator).toBeLessThanOrEqual(2 ** 24);
    }
  });
});

describe("simple memory", () => {
  it("answers a lone read after its latency", () => {
    expect(new SimpleMemory(spec, 2.5).read(1, Traffic.Data, 100)).toBe(175);
  });

  it("answers one line every 11.64 cycles, on clock edges", () => {
    const memory = new SimpleMemory(spec, 2.5);
    const done = Array.from({ length: 5 }, () => memory.read(1, Traffic.Data, 0));
    expect(done).toEqual([75, 87, 99, 110, 122]);
  });

  it("does not drift: the 4194305th of as many lines leaves 48828125 cycles after the first", () => {
    const memory = new SimpleMemory(spec, 2.5);
    let last = 0;
    for (let i = 0; i <= 4194304; i++) last = memory.read(1, Traffic.Data, 0);
    expect(last).toBe(48828125 + 75);
  });

  it("makes a read wait for a write before it", () => {
    const memory = new SimpleMemory(spec, 2.5);
    memory.write(1, Traffic.Writeback, 0);
    expect(memory.read(1, Traffic.Data, 11)).toBe(12 + 75);
    expect(memory.read(1, Traffic.Data, 24)).toBe(24 + 75);
  });

  it("keeps time over more cycles than a double could count in its fractions", () => {
    const memory = new SimpleMemory(spec, 2.5);
    for (let now = 0; now < 2 ** 36; now += 2 ** 28 + 1) {
      expect(memory.read(1, Traffic.Data, now)).toBe(now + 75);
      expect(memory.read(1, Traffic.Data, now)).toBe(now + 75 + 12);
    }
  });

  it("counts bytes by what they are for", () => {
    const memory = new SimpleMemory(spec, 2.5);
    memory.read(1, Traffic.MetadataRead, 0);
    memory.write(1, Traffic.MetadataWrite, 0);
    memory.write(1, Traffic.Writeback, 0);
    const counts = Object.fromEntries(
      memory.counters.defs.map((def, i) => [def.name, memory.counters.values[i]]),
    );
    expect(counts).toMatchObject({
      "bytesRead.metadata": 64,
      "bytesWritten.metadata": 64,
      "bytesWritten.writeback": 64,
      reads: 1,
      writes: 2,
      readLatency: 75,
    });
    expect(memory.checkIdentities()).toEqual([]);
  });
});
