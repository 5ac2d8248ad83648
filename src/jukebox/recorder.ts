import type { PrefetcherHost } from "../cache/contract.js";
import { C } from "./counters.js";
import { Crrb } from "./crrb.js";
import { type Layout, LINE_BYTES, LINES_PER_PAGE, popcount } from "./layout.js";
import type { MetadataBuffer } from "./metadata.js";

/**
 * The record half (ISCA 2022, section 3.2): misses → CRRB → record buffer → memory.
 *
 * Order is that of issue: a miss enters the CRRB when the demand is reported, not when its line returns
 * (hardware: at return). The regions and their order are the same unless misses return out of order; the
 * traffic of an eviction is charged up to one miss latency early.
 */
export class Recorder {
  private readonly crrb: Crrb;
  private readonly regionsPerLine: number;
  private buffer: MetadataBuffer | undefined;
  /** Lines of the buffer that are in memory; bits past them are in the line buffer. */
  private linesWritten = 0;

  constructor(
    private readonly layout: Layout,
    crrbEntries: number,
    private readonly host: PrefetcherHost,
    private readonly counters: Float64Array,
  ) {
    this.crrb = new Crrb(crrbEntries, layout.words);
    this.regionsPerLine = 1 / layout.linesPerRegion; // a power of two: products are exact
  }

  get recording(): boolean {
    return this.buffer !== undefined;
  }

  /** @param buffer cleared; borrowed until `end`. */
  begin(buffer: MetadataBuffer): void {
    this.buffer = buffer;
    this.linesWritten = 0;
  }

  /** Records a miss. Nothing happens outside an invocation. */
  record(virtualLine: number, now: number): void {
    if (this.buffer === undefined) return;
    const { crrb, counters, layout } = this;
    const pages = this.host.pages;
    const page = virtualLine >>> 6;
    const asid = pages.asid[page];
    const line = pages.vpn[page] * LINES_PER_PAGE + (virtualLine & (LINES_PER_PAGE - 1));
    const region = Math.floor(line * this.regionsPerLine);
    let slot = crrb.probe(asid, region);
    if (slot >= 0) {
      counters[C.crrbHits]++;
    } else {
      counters[C.crrbMisses]++;
      if (crrb.full) this.evict(now);
      slot = crrb.push(asid, region);
    }
    crrb.mark(slot, line - region * layout.linesPerRegion);
  }

  /** End of the invocation: the CRRB goes to memory, oldest first, and the last line with what it holds. */
  end(now: number): void {
    const { buffer, crrb, counters } = this;
    if (buffer === undefined) return;
    while (crrb.count > 0) this.evict(now);
    if (this.linesWritten < buffer.lines) this.writeLine(buffer, now);
    counters[C.recordings]++;
    counters[C.metadataBytesUsed] += Math.ceil(buffer.bits / 8);
    this.buffer = undefined;
  }

  /** The oldest entry leaves; it is immutable from now on, so its region may come again. */
  private evict(now: number): void {
    const { crrb, counters, layout } = this;
    const buffer = this.buffer as MetadataBuffer;
    const slot = crrb.oldest;
    let lines = 0;
    for (let w = 0; w < layout.words; w++) lines += popcount(crrb.vector[slot * layout.words + w]);
    counters[C.totalNumPrefetches] += lines;
    if (buffer.append(crrb.asid[slot], crrb.region[slot], crrb.vector, slot)) {
      counters[C.entryWrites]++;
      while (this.linesWritten < buffer.fullLines) this.writeLine(buffer, now);
    } else {
      counters[C.entryOverflows]++;
      counters[C.linesOverflowed] += lines;
    }
    crrb.pop();
  }

  private writeLine(buffer: MetadataBuffer, now: number): void {
    this.host.writeMetadata(buffer.baseLine + this.linesWritten, now);
    this.linesWritten++;
    this.counters[C.writes]++;
    this.counters[C.bytesWritten] += LINE_BYTES;
  }
}
