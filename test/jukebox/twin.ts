import type { JukeboxSpec } from "../../src/machine/spec.js";
import type { MockHost } from "./support.js";

export interface Entry {
  asid: number;
  region: number;
  lines: number[];
}

/** Jukebox as plainly as can be: a list of entries, sets of lines, bytes written as a bit string. */
export class TwinRecorder {
  private fifo: { asid: number; region: number; lines: Set<number> }[] = [];
  readonly metadata: Entry[] = [];
  hits = 0;
  misses = 0;
  overflows = 0;

  constructor(
    private readonly spec: JukeboxSpec,
    private readonly host: MockHost,
  ) {}

  record(virtualLine: number): void {
    const page = virtualLine >>> 6;
    const address = this.host.pages.vpn[page] * 4096 + (virtualLine & 63) * 64;
    const region = Math.floor(address / this.spec.regionBytes);
    const line = (address - region * this.spec.regionBytes) / 64;
    const asid = this.host.pages.asid[page];
    let entry = this.fifo.find((e) => e.asid === asid && e.region === region);
    if (entry === undefined) {
      this.misses++;
      if (this.fifo.length === this.spec.crrbEntries) this.evict();
      entry = { asid, region, lines: new Set() };
      this.fifo.push(entry);
    } else {
      this.hits++;
    }
    entry.lines.add(line);
  }

  end(): Entry[] {
    while (this.fifo.length > 0) this.evict();
    return this.metadata;
  }

  private evict(): void {
    const entry = this.fifo.shift();
    if (entry === undefined) return;
    const bits = this.spec.regionPointerBits + this.spec.regionBytes / 64;
    if ((this.metadata.length + 1) * bits > this.spec.metadataBytes * 8) {
      this.overflows++;
      return;
    }
    this.metadata.push({
      asid: entry.asid,
      region: entry.region,
      lines: [...entry.lines].sort((a, b) => a - b),
    });
  }
}

/** Physical lines that a replay of the entries asks for, in order, each once. */
export function twinReplay(entries: Entry[], spec: JukeboxSpec, host: MockHost): number[] {
  const lines: number[] = [];
  for (const entry of entries) {
    for (const line of entry.lines) {
      const address = entry.region * spec.regionBytes + line * 64;
      const vpn = Math.floor(address / 4096);
      const page = host.pages.vpn.findIndex((v, i) => v === vpn && host.pages.asid[i] === entry.asid);
      const physical = host.pages.ppn[page] * 64 + (address - vpn * 4096) / 64;
      if (!lines.includes(physical)) lines.push(physical);
    }
  }
  return lines;
}
