import type { CounterDef } from "../stats/counters.js";
import { TRAFFIC_KINDS, Traffic } from "./contract.js";

const LINE_BYTES = 64;
const READ_KINDS = ["fetch", "data", "walk", "prefetch", "metadata", "uncached"] as const;
const WRITE_KINDS = ["writeback", "metadata", "uncached"] as const;
const BYTES_READ = 0;
const BYTES_WRITTEN = BYTES_READ + READ_KINDS.length;
const READS = BYTES_WRITTEN + WRITE_KINDS.length;
const WRITES = READS + 1;
const READ_LATENCY = WRITES + 1;

/** What every main memory counts, first of all its counters. */
export const TRAFFIC_COUNTERS: readonly CounterDef[] = [
  ...READ_KINDS.map(
    (kind): CounterDef => ({ name: `bytesRead.${kind}`, unit: "Byte", description: `bytes read: ${kind}` }),
  ),
  ...WRITE_KINDS.map(
    (kind): CounterDef => ({
      name: `bytesWritten.${kind}`,
      unit: "Byte",
      description: `bytes written: ${kind}`,
    }),
  ),
  { name: "reads", unit: "Count", description: "lines read" },
  { name: "writes", unit: "Count", description: "lines written" },
  {
    name: "readLatency",
    unit: "Cycle",
    description: "total latency of reads in the controller, queueing included",
  },
];

/** Counter slot of a read, and of a write, by Traffic. */
const READ_SLOT = new Int32Array(TRAFFIC_KINDS).fill(-1);
READ_SLOT[Traffic.Fetch] = BYTES_READ;
READ_SLOT[Traffic.Data] = BYTES_READ + 1;
READ_SLOT[Traffic.Walk] = BYTES_READ + 2;
READ_SLOT[Traffic.Prefetch] = BYTES_READ + 3;
READ_SLOT[Traffic.MetadataRead] = BYTES_READ + 4;
READ_SLOT[Traffic.Uncached] = BYTES_READ + 5;
const WRITE_SLOT = new Int32Array(TRAFFIC_KINDS).fill(-1);
WRITE_SLOT[Traffic.Writeback] = BYTES_WRITTEN;
WRITE_SLOT[Traffic.MetadataWrite] = BYTES_WRITTEN + 1;
WRITE_SLOT[Traffic.Uncached] = BYTES_WRITTEN + 2;

/** Counts a line read, which took `latency` cycles. */
export function countRead(values: Float64Array, traffic: Traffic, latency: number): void {
  values[READ_SLOT[traffic]] += LINE_BYTES;
  values[READS]++;
  values[READ_LATENCY] += latency;
}

/** Counts a line written. */
export function countWrite(values: Float64Array, traffic: Traffic): void {
  values[WRITE_SLOT[traffic]] += LINE_BYTES;
  values[WRITES]++;
}

/** Lines read and written so far. */
export function linesOf(values: Float64Array): { reads: number; writes: number } {
  return { reads: values[READS], writes: values[WRITES] };
}

/** @returns what does not add up: every line that was read or written belongs to one kind. */
export function checkTraffic(values: Float64Array): string[] {
  const out: string[] = [];
  let read = 0;
  for (let i = 0; i < READ_KINDS.length; i++) read += values[BYTES_READ + i];
  let written = 0;
  for (let i = 0; i < WRITE_KINDS.length; i++) written += values[BYTES_WRITTEN + i];
  if (read !== values[READS] * LINE_BYTES)
    out.push(`memory: bytesRead ${read} != 64 * reads ${values[READS]}`);
  if (written !== values[WRITES] * LINE_BYTES)
    out.push(`memory: bytesWritten ${written} != 64 * writes ${values[WRITES]}`);
  return out;
}
