import { MemorySystem } from "../../src/cache/system.js";
import type { MachineSpec } from "../../src/machine/spec.js";

/** Host nanoseconds an access, the least of several rounds. */
export interface AccessCost {
  /** Hits in the L1I, lines one after the other over 8 kB. */
  fetchHit: number;
  /** Hits in the L1D, random over 8 kB, two loads for a store. */
  dataHit: number;
  /** L1I misses that hit in the LLC, random over 64 kB. */
  missToLast: number;
  /** L1D misses to memory, random over 64 MB, half of them stores. */
  missToMemory: number;
}

const ACCESSES = 20_000;
const ROUNDS = 60;

/** Measures what accesses to a machine's memory system cost on the host. Core 0 alone is busy. */
export function accessCost(spec: MachineSpec): AccessCost {
  const random = Int32Array.from({ length: ACCESSES }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 7);
  const system = new MemorySystem(spec);
  const port = system.port(0);
  let now = 0;
  let sink = 0;
  const least = (round: () => void): number => {
    let best = Infinity;
    for (let r = 0; r < ROUNDS; r++) {
      const start = process.hrtime.bigint();
      round();
      best = Math.min(best, Number(process.hrtime.bigint() - start));
    }
    return best / ACCESSES;
  };
  const fetchHit = least(() => {
    for (let i = 0; i < ACCESSES; i++) now = port.fetch(i & 127, i & 127, now);
  });
  const dataHit = least(() => {
    for (let i = 0; i < ACCESSES; i++) {
      const line = 4096 + (random[i] & 127);
      now = i % 3 === 0 ? port.store(line, line, 0, now) : port.load(line, line, 0, now);
    }
  });
  const missToLast = least(() => {
    for (let i = 0; i < ACCESSES; i++) now = port.fetch(8192 + (random[i] & 1023), 0, now);
  });
  const missToMemory = least(() => {
    for (let i = 0; i < ACCESSES; i++) {
      const line = 65536 + (random[i] & 0xfffff);
      now = (i & 1) === 0 ? port.store(line, line, 0, now) : port.load(line, line, 0, now);
    }
  });
  sink += now;
  if (sink < 0) throw new Error("time ran backwards");
  return { fetchHit, dataHit, missToLast, missToMemory };
}
