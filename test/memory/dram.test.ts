import { describe, expect, it, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { type DramMemorySpec, dramMemorySchema } from "../../src/machine/spec.js";
import { Traffic } from "../../src/memory/contract.js";
import { AddressMap } from "../../src/memory/dram/address-map.js";
import { DRAM_DEVICES, dramParameters } from "../../src/memory/dram/devices.js";
import { DramMemory } from "../../src/memory/dram/dram.js";
import { Random } from "../support/random.js";
import { NaiveDram, type Request } from "./naive-dram.js";

const specOf = (keys: Partial<DramMemorySpec> = {}) => dramMemorySchema.parse({ model: "dram", ...keys });
/** A clock of 1 THz: cycles are ps. */
const PS = 1000;
const memoryOf = (keys: Partial<DramMemorySpec> = {}) => new DramMemory(specOf(keys), PS);
const counter = (memory: DramMemory, name: string) =>
  memory.counters.values[memory.counters.defs.findIndex((d) => d.name === name)];

// DDR4_2400_8x8, RoRaBaCoCh: 128 lines a row, 16 banks, 2 ranks; bank groups by the bank's low bits.
const BANK = 128;
const RANK = BANK * 16;
const ROW = RANK * 2;
/** A time well after start and well before the first refresh at 7785.84 ns. */
const T = 1_000_000;
const [tRCD, tCL, tRP, tBURST, tCCD_L, tCS] = [14_160, 14_160, 14_160, 3_332, 5_000, 1_666];
const STATIC = 20_000;

describe("DDR4 memory, in ps", () => {
  it("reads a closed row after ACT, RD and the burst, and the controller's latencies", () => {
    expect(memoryOf().read(0, Traffic.Data, T)).toBe(T + tRCD + tCL + tBURST + STATIC);
  });

  it("reads an open row without ACT", () => {
    const memory = memoryOf();
    memory.read(0, Traffic.Data, T);
    expect(memory.read(1, Traffic.Data, T + 100_000)).toBe(T + 100_000 + tCL + tBURST + STATIC);
    memory.read(2, Traffic.Data, T + 900_000);
    expect(counter(memory, "readRowHits")).toBe(1);
  });

  it("closes another row first: a bank conflict", () => {
    const memory = memoryOf();
    memory.read(0, Traffic.Data, T);
    expect(memory.read(ROW, Traffic.Data, T + 100_000)).toBe(
      T + 100_000 + tRP + tRCD + tCL + tBURST + STATIC,
    );
    memory.read(1, Traffic.Data, T + 500_000);
    expect(counter(memory, "bankConflicts")).toBe(1);
  });

  it("keeps a row open for tRAS", () => {
    const memory = memoryOf();
    memory.read(0, Traffic.Data, T);
    // Opened at T; may be closed at T + 32 ns.
    expect(memory.read(ROW, Traffic.Data, T + 20_000)).toBe(T + 32_000 + tRP + tRCD + tCL + tBURST + STATIC);
  });

  it("spaces row hits of one bank group by tCCD_L, of two by the burst alone, of two ranks by tCS more", () => {
    const gap = (second: number) => {
      const memory = memoryOf();
      // Both rows open, both banks long ready.
      memory.read(0, Traffic.Data, T);
      memory.read(second, Traffic.Data, T + 200_000);
      const a = memory.read(1, Traffic.Data, T + 400_000);
      return memory.read(second + 1, Traffic.Data, T + 400_000) - a;
    };
    expect(gap(2)).toBe(tCCD_L);
    expect(gap(4 * BANK)).toBe(tCCD_L);
    expect(gap(BANK)).toBe(tBURST);
    expect(gap(RANK)).toBe(tBURST + tCS);
  });

  it("spaces activates by tRRD, within a bank group by tRRD_L, and every fifth by tXAW", () => {
    const gap = (second: number) => {
      const memory = memoryOf();
      const a = memory.read(0, Traffic.Data, T);
      return memory.read(second, Traffic.Data, T) - a;
    };
    expect(gap(BANK)).toBe(3_332);
    // tRRD_L = 4.9 ns, then tCCD_L = 5 ns is the longer.
    expect(gap(4 * BANK)).toBe(tCCD_L);
    const memory = memoryOf({ timing: { tXAW: 50_000 / 1000 } });
    const done = [0, 1, 2, 3, 4].map((bank) => memory.read(bank * BANK, Traffic.Data, T));
    expect(done[4] - done[0]).toBe(50_000);
  });

  it("closes a row by itself after 16 accesses", () => {
    const memory = memoryOf();
    for (let i = 0; i < 16; i++) memory.read(i, Traffic.Data, T + i * 100_000);
    const at = T + 16 * 100_000;
    expect(memory.read(16, Traffic.Data, at)).toBe(at + tRCD + tCL + tBURST + STATIC);
  });

  test.each([
    ["open", 1],
    ["open_adaptive", 1],
    ["close", 0],
    ["close_adaptive", 0],
  ] as const)("with page policy %s, a lone second access to a row finds it open %i times", (policy, hits) => {
    const memory = memoryOf({ pagePolicy: policy });
    memory.read(0, Traffic.Data, T);
    memory.read(1, Traffic.Data, T + 200_000);
    memory.read(2, Traffic.Data, T + 900_000);
    expect(counter(memory, "readRowHits")).toBe(hits);
  });

  it("refreshes both ranks each tREFI - tRP, and makes a read wait until tRFC is over", () => {
    const memory = memoryOf();
    const due = 7_800_000 - tRP;
    expect(memory.read(0, Traffic.Data, due + 1)).toBe(due + 350_000 + tRCD + tCL + tBURST + STATIC);
    memory.read(0, Traffic.Data, 10 * due + 500_000);
    expect(counter(memory, "refreshes")).toBe(20);
  });

  it("closes open rows before a refresh", () => {
    const memory = memoryOf();
    const due = 7_800_000 - tRP;
    memory.read(0, Traffic.Data, due - 100_000);
    expect(memory.read(1, Traffic.Data, due + 1)).toBe(due + tRP + 350_000 + tRCD + tCL + tBURST + STATIC);
  });

  it("answers a read of a line in the write queue after the front end's latency", () => {
    const memory = memoryOf();
    memory.write(7, Traffic.Writeback, T);
    expect(memory.read(7, Traffic.Data, T + 1000)).toBe(T + 1000 + 10_000);
    memory.write(7, Traffic.Writeback, T + 2000);
    memory.read(1, Traffic.Data, T + 900_000);
    expect(counter(memory, "servedByWriteQueue")).toBe(1);
    expect(counter(memory, "mergedWrites")).toBe(1);
  });

  it("holds up to 64 writes back, and turns the bus for 17 when another comes", () => {
    const memory = memoryOf();
    for (let i = 0; i < 64; i++) memory.write(i, Traffic.Writeback, T);
    memory.read(10 * RANK, Traffic.Data, T + 500_000);
    memory.read(10 * RANK + 1, Traffic.Data, T + 900_000);
    expect(counter(memory, "readToWrite")).toBe(0);
    memory.write(64, Traffic.Writeback, T + 1_000_000);
    memory.read(10 * RANK + 2, Traffic.Data, T + 1_500_000);
    memory.read(10 * RANK + 3, Traffic.Data, T + 1_900_000);
    expect(counter(memory, "readToWrite")).toBe(1);
    expect(counter(memory, "writeToRead")).toBe(1);
    // 65 - n + 16 < 64 first holds for n = 18.
    expect(counter(memory, "writeBursts")).toBe(18);
  });

  it("makes a read to the row just written wait for tCWL, the burst and tWTR", () => {
    const memory = memoryOf({ minWritesPerSwitch: 1, writeQueue: 2, writeLowThreshold: 0 });
    memory.write(0, Traffic.Writeback, T);
    // ACT at T, WR at T + tRCD, RD tCWL + tBURST + tWTR later.
    expect(memory.read(1, Traffic.Data, T + 1)).toBe(
      T + tRCD + 14_160 + tBURST + 5_000 + tCL + tBURST + STATIC,
    );
  });

  it("takes in a request that is told up to 64 cycles late as if it had come in time", () => {
    const run = (order: number[]) => {
      const memory = new DramMemory(specOf(), 2.5);
      for (const i of order) memory.read(i * ROW, Traffic.Data, 10_000 + i * 30);
      memory.read(5 * BANK, Traffic.Data, 20_000);
      return [...memory.counters.values.slice(12)];
    };
    expect(run([0, 2, 1, 3])).toEqual(run([0, 1, 2, 3]));
  });

  it("answers on clock edges", () => {
    // 51.652 ns at 2.5 GHz: 129.13 cycles.
    expect(new DramMemory(specOf(), 2.5).read(0, Traffic.Data, 1000)).toBe(1000 + 130);
    // The same at 2.6 GHz: 134.3 cycles.
    expect(new DramMemory(specOf(), 2.6).read(0, Traffic.Data, 1000)).toBe(1000 + 135);
  });

  it("forgets queues and rows at a flush, and its counters still add up", () => {
    const memory = memoryOf();
    memory.read(0, Traffic.Data, T);
    for (let i = 0; i < 5; i++) memory.write(i * ROW, Traffic.Writeback, T);
    memory.flush();
    const at = T + 1_000_000;
    expect(memory.read(1, Traffic.Data, at)).toBe(at + tRCD + tCL + tBURST + STATIC);
    expect(counter(memory, "discarded")).toBeGreaterThan(0);
    expect(memory.checkIdentities()).toEqual([]);
  });
});

describe("address mapping", () => {
  const where = (mapping: DramMemorySpec["addressMapping"], line: number) => {
    const map = new AddressMap(mapping, 2, 2, 16, 128);
    return [map.rowOf(line), map.bankOf(line), map.channelOf(line)];
  };
  it("RoRaBaCoCh puts neighbouring lines into one row of alternating channels", () => {
    expect(where("RoRaBaCoCh", 1)).toEqual([0, 0, 1]);
    expect(where("RoRaBaCoCh", 256)).toEqual([0, 1, 0]);
    expect(where("RoRaBaCoCh", 256 * 32)).toEqual([1, 0, 0]);
  });
  it("RoRaBaChCo fills a row before it changes the channel", () => {
    expect(where("RoRaBaChCo", 127)).toEqual([0, 0, 0]);
    expect(where("RoRaBaChCo", 128)).toEqual([0, 0, 1]);
    expect(where("RoRaBaChCo", 256)).toEqual([0, 1, 0]);
  });
  it("RoCoRaBaCh puts neighbouring lines into different banks", () => {
    expect(where("RoCoRaBaCh", 2)).toEqual([0, 1, 0]);
    expect(where("RoCoRaBaCh", 64)).toEqual([0, 0, 0]);
    expect(where("RoCoRaBaCh", 64 * 128)).toEqual([1, 0, 0]);
  });
});

describe("a device", () => {
  it("of an unknown name is an error that names the nearest", () => {
    expect(() => memoryOf({ device: "DDR4_2400_8x9" })).toThrow(InputError);
    expect(() => memoryOf({ device: "DDR4_2400_8x9" })).toThrow(
      'memory.device: no device "DDR4_2400_8x9". Did you mean "DDR4_2400_8x8"?',
    );
  });

  test.each([
    [{ bankGroups: 3 }, /memory\.bankGroups: expected a divisor of banks \(16\), or 0; got 3/],
    [{ timing: { tCCD_L: 3 } }, /memory\.timing\.tCCD_L: expected more than tBURST \(3\.332 ns\)/],
    [{ timing: { tREFI: 300 } }, /memory\.timing\.tREFI: expected more than/],
    [{ writeLowThreshold: 85 }, /memory\.writeLowThreshold: expected less than/],
  ])("whose figures do not go together is refused: %j", (keys, message) => {
    expect(() => memoryOf(keys)).toThrow(message);
  });

  it("has the figures of its own, changed by the machine's", () => {
    const p = dramParameters(specOf({ device: "DDR3_1600_8x8", timing: { tRP: 20 }, ranks: 1 }));
    expect(p).toMatchObject({ tRCD: 13_750, tRP: 20_000, ranks: 1, banks: 8, writeQueue: 64 });
  });
});

/** A random stream: some locality, bursts of requests and pauses. */
function stream(random: Random, count: number, gap: number, writes: number): Request[] {
  let time = 100_000;
  let line = 0;
  return Array.from({ length: count }, () => {
    time += random.chance(0.02) ? random.int(9_000_000) : random.int(gap);
    line = random.chance(0.6) ? line + 1 : random.int(1 << 14);
    return { time, line, write: random.chance(writes) };
  });
}

describe("random streams", () => {
  const policies = ["open", "open_adaptive", "close", "close_adaptive"] as const;
  const mappings = ["RoRaBaCoCh", "RoCoRaBaCh", "RoRaBaChCo"] as const;
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
    "give the schedule of the naive twin, command by command (seed %i)",
    (seed) => {
      const random = new Random(seed);
      const spec = specOf({
        device: DRAM_DEVICES[seed % 3],
        pagePolicy: policies[seed % 4],
        addressMapping: mappings[seed % 3],
        scheduling: seed % 5 === 0 ? "fcfs" : "frfcfs",
        ...(seed % 2 === 0 ? { readQueue: 4, writeQueue: 8 } : {}),
      });
      const p = dramParameters(spec);
      const map = new AddressMap(spec.addressMapping, 1, p.ranks, p.banks, p.linesPerRow);
      const locate = (line: number) => ({
        rank: Math.floor(map.bankOf(line) / p.banks),
        bank: map.bankOf(line) % p.banks,
        row: map.rowOf(line),
      });
      const requests = stream(random, 4000, [1_000, 8_000, 60_000, 300_000][seed % 4], 0.4);
      const memory = new DramMemory(spec, PS);
      const answers = requests.map((r) => {
        if (!r.write) return memory.read(r.line, Traffic.Data, r.time);
        memory.write(r.line, Traffic.Writeback, r.time);
        return 0;
      });
      // Everything before the last read becomes past; the twin stops there, too.
      const end = requests[requests.length - 1].time + 50_000_000;
      memory.read(0, Traffic.Data, end + 65);
      const copies = requests.map((r) => ({ ...r }));
      const twin = new NaiveDram(p, locate, spec.device.startsWith("DDR3") ? 1_250 : 833);
      twin.run(copies, end);
      const counts = Object.fromEntries(
        Object.keys(twin.counts).map((name) => [name, counter(memory, name)]),
      );
      expect(counts).toEqual(twin.counts);
      // The reason that the model has no such limit.
      expect(twin.windowsFull).toBe(0);
      expect(memory.checkIdentities()).toEqual([]);

      // An answer is exact where nothing came between the request and the decision to serve it.
      let exact = 0;
      let off = 0;
      let total = 0;
      copies.forEach((r, i) => {
        if (r.write) return;
        const answer = answers[i] - (r.fromQueue ? 10_000 : STATIC);
        const next = requests[i + 1]?.time ?? Infinity;
        if (next > r.decided!) {
          exact++;
          expect(answer, `request ${i}`).toBe(r.ready);
        }
        off += Math.abs(answer - r.ready!);
        total += r.ready! - requests[i].time;
      });
      expect(exact).toBeGreaterThan(20);
      // Measured: 0 to 3 % of the latency, 14 % where the queue is always full.
      expect(off / total).toBeLessThan(0.2);
    },
  );
});
