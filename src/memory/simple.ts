import type { MemorySpec } from "../machine/spec.js";
import type { CounterDef, CounterGroup } from "../stats/counters.js";
import { type MainMemory, TRAFFIC_KINDS, Traffic } from "./contract.js";
import { Reservations } from "./reservations.js";

const LINE_BYTES = 64;
/** Times are counted from an origin that moves on when they get this large (units of 1 / denominator cycles). */
const REBASE_AT = 2 ** 51;
const MAX_DENOMINATOR = 2 ** 24;

/** Nanoseconds in cycles of a clock, rounded up to the clock edge. Decimal inputs give exact products. */
export function cyclesOf(ns: number, clockGHz: number): number {
  return Math.ceil(Math.round(ns * clockGHz * 1e6) / 1e6);
}

/**
 * Cycles that the transfer of a line takes, as an exact fraction: 64 B at 12.8 GiB/s and 2.5 GHz is
 * 48828125 / 4194304. A fraction that would be unwieldy is rounded to a multiple of 2^-24 cycles.
 */
export function lineTransfer(
  bandwidthGiBs: number,
  clockGHz: number,
): { numerator: number; denominator: number } {
  const [clock, clockScale] = decimal(clockGHz);
  const [band, bandScale] = decimal(bandwidthGiBs);
  // 64 B * clock * 10^9 / clockScale / (band * 2^30 / bandScale); 64 / 2^30 = 2^-24
  const top = clock * 1e9 * bandScale;
  const bottom = band * clockScale * 2 ** 24;
  if (Number.isSafeInteger(top) && Number.isSafeInteger(bottom)) {
    const divisor = gcd(top, bottom);
    if (bottom / divisor <= MAX_DENOMINATOR)
      return { numerator: top / divisor, denominator: bottom / divisor };
  }
  return {
    numerator: Math.max(1, Math.round((top / bottom) * MAX_DENOMINATOR)),
    denominator: MAX_DENOMINATOR,
  };
}

/** A decimal number as integer and power of ten. */
function decimal(x: number): [value: number, scale: number] {
  let scale = 1;
  while (scale < 1e6 && !Number.isInteger(Math.round(x * scale * 1e6) / 1e6)) scale *= 10;
  return [Math.round(x * scale), scale];
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

const READ_KINDS = ["fetch", "data", "walk", "prefetch", "metadata", "uncached"] as const;
const WRITE_KINDS = ["writeback", "metadata", "uncached"] as const;
const BYTES_READ = 0;
const BYTES_WRITTEN = BYTES_READ + READ_KINDS.length;
const READS = BYTES_WRITTEN + WRITE_KINDS.length;
const WRITES = READS + 1;
const READ_LATENCY = WRITES + 1;

const DEFS: readonly CounterDef[] = [
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

/**
 * Main memory of fixed latency and limited bandwidth, after gem5's SimpleMemory: one line every
 * 64 B / bandwidth, each `latency` after its turn came. Turns lie at exact fractions of a cycle (no
 * drift); a reply leaves on the clock edge after its turn.
 */
export class SimpleMemory implements MainMemory {
  readonly counters: CounterGroup;
  /** Cycles. */
  readonly latency: number;
  private readonly values = new Float64Array(DEFS.length);
  private readonly turns = new Reservations();
  /** One cycle and one line's transfer, in units of 1 / denominator cycles. */
  private readonly cycle: number;
  private readonly transfer: number;
  /** Cycle that `turns` counts from. */
  private origin = -0;

  constructor(spec: MemorySpec, clockGHz: number) {
    this.latency = Math.max(1, cyclesOf(spec.latencyNs, clockGHz));
    const { numerator, denominator } = lineTransfer(spec.bandwidthGiBs, clockGHz);
    this.cycle = denominator;
    this.transfer = numerator;
    this.counters = { path: "memory", defs: DEFS, values: this.values };
  }

  read(_line: number, traffic: Traffic, now: number): number {
    const values = this.values;
    const done = this.turn(now) + this.latency;
    values[READ_SLOT[traffic]] += LINE_BYTES;
    values[READS]++;
    values[READ_LATENCY] += done - now;
    return done;
  }

  write(_line: number, traffic: Traffic, now: number): void {
    this.turn(now);
    this.values[WRITE_SLOT[traffic]] += LINE_BYTES;
    this.values[WRITES]++;
  }

  flush(): void {
    this.turns.clear();
  }

  /** Every line that was read or written belongs to one kind. */
  checkIdentities(): string[] {
    const v = this.values;
    const out: string[] = [];
    let read = 0;
    for (let i = 0; i < READ_KINDS.length; i++) read += v[BYTES_READ + i];
    let written = 0;
    for (let i = 0; i < WRITE_KINDS.length; i++) written += v[BYTES_WRITTEN + i];
    if (read !== v[READS] * LINE_BYTES) out.push(`memory: bytesRead ${read} != 64 * reads ${v[READS]}`);
    if (written !== v[WRITES] * LINE_BYTES)
      out.push(`memory: bytesWritten ${written} != 64 * writes ${v[WRITES]}`);
    return out;
  }

  /** @returns the cycle (clock edge) at or after which the request's turn has come. */
  private turn(now: number): number {
    let at = (now - this.origin) * this.cycle;
    if (at > REBASE_AT) {
      const by = now - this.origin - 2 ** 20;
      this.turns.rebase(by * this.cycle);
      this.origin += by;
      at = (now - this.origin) * this.cycle;
    }
    return this.origin + Math.ceil(this.turns.reserve(at, this.transfer) / this.cycle);
  }
}
