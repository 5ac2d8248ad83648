import type { SimpleMemorySpec } from "../machine/spec.js";
import { gcd } from "../numbers.js";
import type { CounterGroup } from "../stats/counters.js";
import type { MainMemory, Traffic } from "./contract.js";
import { checkTraffic, countRead, countWrite, TRAFFIC_COUNTERS } from "./counters.js";
import { Reservations } from "./reservations.js";

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

/**
 * Main memory of fixed latency and limited bandwidth, after gem5's SimpleMemory: one line every
 * 64 B / bandwidth, each `latency` after its turn came. Turns lie at exact fractions of a cycle (no
 * drift); a reply leaves on the clock edge after its turn.
 */
export class SimpleMemory implements MainMemory {
  readonly counters: CounterGroup;
  /** Cycles. */
  readonly latency: number;
  private readonly values = new Float64Array(TRAFFIC_COUNTERS.length);
  private readonly turns = new Reservations();
  /** One cycle and one line's transfer, in units of 1 / denominator cycles. */
  private readonly cycle: number;
  private readonly transfer: number;
  /** Cycle that `turns` counts from. */
  private origin = -0;

  constructor(spec: SimpleMemorySpec, clockGHz: number) {
    this.latency = Math.max(1, cyclesOf(spec.latencyNs, clockGHz));
    const { numerator, denominator } = lineTransfer(spec.bandwidthGiBs, clockGHz);
    this.cycle = denominator;
    this.transfer = numerator;
    this.counters = { path: "memory", defs: TRAFFIC_COUNTERS, values: this.values };
  }

  read(_line: number, traffic: Traffic, now: number): number {
    const done = this.turn(now) + this.latency;
    countRead(this.values, traffic, done - now);
    return done;
  }

  write(_line: number, traffic: Traffic, now: number): void {
    this.turn(now);
    countWrite(this.values, traffic);
  }

  flush(): void {
    this.turns.clear();
  }

  /** Every line that was read or written belongs to one kind. */
  checkIdentities(): string[] {
    return checkTraffic(this.values);
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
