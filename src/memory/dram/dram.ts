import type { DramMemorySpec } from "../../machine/spec.js";
import { gcd } from "../../numbers.js";
import type { CounterDef, CounterGroup } from "../../stats/counters.js";
import type { MainMemory, Traffic } from "../contract.js";
import { checkTraffic, countRead, countWrite, linesOf, TRAFFIC_COUNTERS } from "../counters.js";
import { AddressMap } from "./address-map.js";
import { D } from "./banks.js";
import { Channel } from "./channel.js";
import { dramParameters } from "./devices.js";

/** In the order of `D`. */
const DRAM_COUNTERS: readonly CounterDef[] = [
  { name: "readBursts", unit: "Count", description: "lines read from the banks" },
  { name: "writeBursts", unit: "Count", description: "lines written to the banks" },
  { name: "readRowHits", unit: "Count", description: "of the lines read, those whose row was open" },
  { name: "writeRowHits", unit: "Count", description: "of the lines written, those whose row was open" },
  {
    name: "bankConflicts",
    unit: "Count",
    description: "bursts that found another row open and had to close it",
  },
  { name: "activates", unit: "Count", description: "rows opened" },
  { name: "refreshes", unit: "Count", description: "refreshes, each of one rank" },
  {
    name: "servedByWriteQueue",
    unit: "Count",
    description: "reads that found their line in the write queue",
  },
  { name: "mergedWrites", unit: "Count", description: "writes that found their line in the write queue" },
  { name: "readToWrite", unit: "Count", description: "times the bus was turned around from reads to writes" },
  { name: "writeToRead", unit: "Count", description: "times the bus was turned around from writes to reads" },
  {
    name: "busBusy",
    unit: "Tick",
    description: "time that data was on the buses, ps; over time and channels: bus utilisation",
  },
  {
    name: "readQueueing",
    unit: "Tick",
    description: "time from the arrival of reads to their column commands, ps (gem5: totQLat)",
  },
  { name: "discarded", unit: "Count", description: "requests thrown out of the queues by a flush" },
];
const DEFS: readonly CounterDef[] = [...TRAFFIC_COUNTERS, ...DRAM_COUNTERS];

/**
 * Banked DRAM behind one controller a channel, after gem5's MemCtrl and DRAMInterface: rows, banks, bank groups,
 * ranks, refresh, write queues, FR-FCFS. See README.md for how its answers, which must be given at once, agree
 * with schedules that are not complete yet.
 */
export class DramMemory implements MainMemory {
  readonly counters: CounterGroup;
  private readonly values = new Float64Array(DEFS.length);
  private readonly channels: Channel[];
  private readonly map: AddressMap;
  /** A cycle is `top` / `bottom` ps. */
  private readonly top: number;
  private readonly bottom: number;
  private readonly frontend: number;
  private readonly backend: number;

  /** Throws InputError when the device is unknown or its figures do not go together. */
  constructor(spec: DramMemorySpec, clockGHz: number) {
    const p = dramParameters(spec);
    this.map = new AddressMap(spec.addressMapping, spec.channels, p.ranks, p.banks, p.linesPerRow);
    // A clock has at most six decimals that matter.
    const kHz = Math.round(clockGHz * 1e6);
    const divisor = gcd(1e9, kHz);
    this.top = 1e9 / divisor;
    this.bottom = kHz / divisor;
    const window = this.ticks(REORDER_CYCLES);
    this.channels = Array.from({ length: spec.channels }, () => new Channel(p, this.map, window));
    this.frontend = Math.round(spec.frontendLatencyNs * 1000);
    this.backend = Math.round(spec.backendLatencyNs * 1000);
    const self = this;
    this.counters = {
      path: "memory",
      defs: DEFS,
      get values() {
        self.collect();
        return self.values;
      },
    };
  }

  read(line: number, traffic: Traffic, now: number): number {
    const channel = this.channels[this.map.channelOf(line)];
    const ready = channel.read(line, this.ticks(now));
    const done = Math.max(
      now + 1,
      this.cycle(ready + this.frontend + (channel.answeredFromQueue ? 0 : this.backend)),
    );
    countRead(this.values, traffic, done - now);
    return done;
  }

  write(line: number, traffic: Traffic, now: number): void {
    this.channels[this.map.channelOf(line)].write(line, this.ticks(now));
    countWrite(this.values, traffic);
  }

  flush(): void {
    for (const channel of this.channels) channel.flush();
  }

  /** Also: every line that was read or written was served by a bank or a write queue, waits, or was thrown away. */
  checkIdentities(): string[] {
    const out = checkTraffic(this.values);
    this.collect();
    const at = (counter: number) => this.values[TRAFFIC_COUNTERS.length + counter];
    const { reads, writes } = linesOf(this.values);
    let pending = 0;
    for (const channel of this.channels) pending += channel.pending;
    const served =
      at(D.ReadBursts) +
      at(D.WriteBursts) +
      at(D.ServedByWriteQueue) +
      at(D.MergedWrites) +
      at(D.Discarded) +
      pending;
    if (served !== reads + writes)
      out.push(`memory: ${served} requests served, waiting or discarded != reads + writes ${reads + writes}`);
    const opened = at(D.ReadBursts) + at(D.WriteBursts) - at(D.ReadRowHits) - at(D.WriteRowHits);
    if (opened !== at(D.Activates))
      out.push(`memory: activates ${at(D.Activates)} != bursts that were no row hits ${opened}`);
    return out;
  }

  private collect(): void {
    const { values } = this;
    const base = TRAFFIC_COUNTERS.length;
    for (let i = 0; i < DRAM_COUNTERS.length; i++) {
      let sum = 0;
      for (const channel of this.channels) sum += channel.counts[i];
      values[base + i] = sum;
    }
  }

  /** Cycles in ps, rounded down. */
  private ticks(cycles: number): number {
    return Math.floor((cycles * this.top) / this.bottom);
  }

  /** The first clock edge at or after a time in ps. */
  private cycle(ticks: number): number {
    return Math.ceil((ticks * this.bottom) / this.top);
  }
}

/** Cycles by which a request may come later than one with a later time and still be served in order of time. */
const REORDER_CYCLES = 64;
