import type { BusSpec } from "../machine/spec.js";
import { Reservations } from "../memory/reservations.js";
import { LINE_BYTES } from "./geometry.js";

/**
 * A crossbar between caches and the level below, after gem5's CoherentXBar: one request channel towards
 * the level below, one response channel towards each port above. A message holds its channel one cycle for
 * the header and, with data, ceil(64 / width) more for the line (gem5: Layer occupancy). Latency is that
 * of the header: the critical word comes first, so the line's transfer delays only those who follow.
 */
export class Bus {
  /** Cycles that a message with data holds its channel. */
  private readonly dataCycles: number;
  /** Cycles from the grant of the request channel to the level below. */
  private readonly down: number;
  /** Cycles from the grant of the response channel to the port above. */
  private readonly up: number;
  private readonly request = new Reservations();
  private readonly responses: Reservations[] = [];

  /** @param snoopFilterLatency look-up of the crossbar's snoop filter, which every request passes (gem5: lookup_latency). */
  constructor(spec: BusSpec, snoopFilterLatency: number) {
    this.dataCycles = 1 + Math.ceil(LINE_BYTES / spec.width);
    this.down = spec.frontendLatency + spec.forwardLatency + snoopFilterLatency;
    this.up = spec.responseLatency;
  }

  /** A new port above. @returns its number. */
  addPort(): number {
    return this.responses.push(new Reservations()) - 1;
  }

  /** Cycles between the first word of a line and its last. */
  get transferCycles(): number {
    return this.dataCycles - 1;
  }

  /** Latency of a request to the level below on an idle bus. */
  get requestLatency(): number {
    return this.down;
  }

  /** Latency of a message there and back on an idle bus. */
  get roundTrip(): number {
    return this.down + this.up;
  }

  /** A request without data wants to leave a port at `at`. @returns the cycle of its grant. */
  grantRequest(at: number): number {
    return this.request.reserve(at, 1);
  }

  /** The same with a line of data. */
  grantData(at: number): number {
    return this.request.reserve(at, this.dataCycles);
  }

  /** @returns the cycle at which a request granted at `grant` is at the level below. */
  arrival(grant: number): number {
    return grant + this.down;
  }

  /** A line wants to go up to `port` at `at`. @returns the cycle at which its first word is there. */
  respond(port: number, at: number): number {
    return this.responses[port].reserve(at, this.dataCycles) + this.up;
  }

  /** An acknowledgement without data. */
  acknowledge(port: number, at: number): number {
    return this.responses[port].reserve(at, 1) + this.up;
  }

  clear(): void {
    this.request.clear();
    for (const channel of this.responses) channel.clear();
  }
}
