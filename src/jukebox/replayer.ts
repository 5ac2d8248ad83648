import type { PrefetcherHost } from "../cache/contract.js";
import type { JukeboxSpec } from "../machine/spec.js";
import { C } from "./counters.js";
import { type Layout, LINE_BYTES, LINES_PER_PAGE, popcount } from "./layout.js";
import type { MetadataBuffer } from "./metadata.js";
import type { Outstanding } from "./outstanding.js";

/**
 * A paced replay that waits looks this often whether lines have gone without a report. Far longer than
 * a line stays in the prefetch queue, so that an absent line is not a queued one.
 */
export const SWEEP_CYCLES = 4096;

/**
 * The replay half (ISCA 2022, section 3.3): memory → entries → translation → prefetch queue.
 *
 * Metadata lines are read in order; a line takes one of `metadataReadsInFlight` buffers from its read
 * until the bits of its last entry are taken (of an entry that straddles lines, the assembly register
 * holds the first part). One entry a cycle, its lines low bit first, as many as the queue has room for.
 *
 * Queue full: the queue gives up one line a cycle at most, so nothing is lost by coming back after half
 * its capacity: it cannot run dry before.
 */
export class Replayer {
  /** Cycle to call `act` at. */
  wake = Number.POSITIVE_INFINITY;
  private buffer: MetadataBuffer | undefined;
  /** Entries taken. */
  private taken = 0;
  private readonly vector: Int32Array;
  private expanding = false;
  private asid = 0;
  private firstLine = 0;
  private bit = 0;
  /** Virtual page translated for the present entry, or -1, and what it translated to. */
  private vpn = -1;
  private page = -1;
  private linesRead = 0;
  private linesTotal = 0;
  /** Arrival of metadata line l: slot l % metadataReadsInFlight. */
  private readonly arrival: Float64Array;
  // Times: -0 is a double to V8 from the start, so that all objects of the class keep one shape.
  private lastArrival = -0;
  /** Counter that the cycles since `since` go to. */
  private cause: number = C.busyCycles;
  private since = -0;
  private begun = -0;
  private queueCapacity = 1;
  private readonly distance: number;
  private readonly reads: number;

  constructor(
    private readonly layout: Layout,
    spec: JukeboxSpec,
    private readonly host: PrefetcherHost,
    private readonly outstanding: Outstanding,
    private readonly counters: Float64Array,
  ) {
    this.vector = new Int32Array(layout.words);
    this.distance = spec.replayDistance;
    this.reads = spec.metadataReadsInFlight;
    this.arrival = new Float64Array(this.reads);
  }

  get replaying(): boolean {
    return this.buffer !== undefined;
  }

  /** @param buffer what the invocation before recorded; borrowed until `end`. */
  begin(buffer: MetadataBuffer, now: number): void {
    const free = this.host.target.queueFree;
    if (free > this.queueCapacity) this.queueCapacity = free;
    if (free === this.queueCapacity) this.outstanding.sweep();
    this.outstanding.nextGeneration();
    if (buffer.entries === 0) return;
    this.buffer = buffer;
    this.taken = 0;
    this.expanding = false;
    this.linesRead = 0;
    this.linesTotal = buffer.lines;
    this.lastArrival = now;
    this.since = now;
    this.begun = now;
    this.cause = C.stallMetadata;
    this.wake = now;
    this.counters[C.replays]++;
  }

  /** The invocation is over: what was not prefetched is counted and forgotten. */
  end(now: number): void {
    const buffer = this.buffer;
    if (buffer === undefined) return;
    const { counters } = this;
    if (this.expanding) {
      for (let bit = this.nextBit(this.bit); bit >= 0; bit = this.nextBit(bit + 1)) counters[C.linesLeft]++;
    }
    const words = this.layout.words;
    counters[C.entriesLeft] += buffer.entries - this.taken;
    for (let i = this.taken * words; i < buffer.entries * words; i++) {
      counters[C.linesLeft] += popcount(buffer.vector[i]);
    }
    this.stop(now);
  }

  /** A pending line met its fate: a paced replay may go on. */
  released(now: number): void {
    if (this.buffer === undefined || this.cause !== C.stallPacing) return;
    if (this.outstanding.count < this.distance && this.wake > now + 1) this.wake = now + 1;
  }

  act(now: number): void {
    const buffer = this.buffer;
    if (buffer === undefined || now < this.wake) return;
    this.account(now);
    if (!this.expanding) {
      this.readAhead(buffer, now);
      const arrival = this.arrival[buffer.lastLineOf(this.taken) % this.reads];
      if (arrival > now) {
        this.wait(C.stallMetadata, arrival);
        return;
      }
      this.take(buffer);
      if (this.taken < buffer.entries) this.readAhead(buffer, now);
    }
    if (!this.expand(now)) return;
    this.expanding = false;
    if (this.taken === buffer.entries) {
      this.counters[C.replaysFinished]++;
      this.stop(now);
    } else {
      this.wait(C.busyCycles, now + 1);
    }
  }

  /** Reads metadata lines while there are free buffers. */
  private readAhead(buffer: MetadataBuffer, now: number): void {
    const { counters, host, reads } = this;
    const end = Math.min(this.linesTotal, buffer.lastLineOf(this.taken) + reads);
    while (this.linesRead < end) {
      const arrival = host.readMetadata(buffer.baseLine + this.linesRead, now);
      counters[C.reads]++;
      counters[C.bytesRead] += LINE_BYTES;
      counters[C.totalReadLatency] += arrival - now;
      if (arrival > this.lastArrival) this.lastArrival = arrival; // taken in order
      this.arrival[this.linesRead % reads] = this.lastArrival;
      this.linesRead++;
    }
  }

  private take(buffer: MetadataBuffer): void {
    const { words, linesPerRegion } = this.layout;
    const entry = this.taken++;
    this.counters[C.entryReads]++;
    this.asid = buffer.asid[entry];
    this.firstLine = buffer.region[entry] * linesPerRegion;
    for (let w = 0; w < words; w++) this.vector[w] = buffer.vector[entry * words + w];
    this.bit = 0;
    this.vpn = -1;
    this.expanding = true;
  }

  /** Goes on with the present entry. @returns true when it is done; else `wake` and `cause` are set. */
  private expand(now: number): boolean {
    const { counters, host, outstanding, distance } = this;
    const target = host.target;
    for (let bit = this.nextBit(this.bit); bit >= 0; bit = this.nextBit(bit + 1)) {
      this.bit = bit;
      if (distance >= 0 && outstanding.count >= distance) {
        this.wait(C.stallPacing, now + SWEEP_CYCLES);
        return false;
      }
      const virtual = this.firstLine + bit;
      const vpn = Math.floor(virtual / LINES_PER_PAGE);
      if (vpn !== this.vpn) {
        const known = host.translate(this.asid, vpn, now);
        this.vpn = vpn;
        this.page = host.translatedPage;
        if (known > now) {
          this.wait(C.stallTranslation, known);
          return false;
        }
      }
      if (this.page < 0) {
        counters[C.pfGenerated]++;
        counters[C.pfTranslationFail]++;
        continue;
      }
      const lineInPage = virtual - vpn * LINES_PER_PAGE;
      const line = (host.pages.ppn[this.page] << 6) | lineInPage;
      if (target.probe(line)) {
        counters[C.pfGenerated]++;
        counters[C.pfHitInCache]++;
        continue;
      }
      const free = target.queueFree;
      if (free > this.queueCapacity) this.queueCapacity = free;
      if (free === 0 || !target.enqueue(line, (this.page << 6) | lineInPage, now)) {
        this.wait(C.stallQueue, now + Math.max(1, this.queueCapacity >> 1));
        return false;
      }
      counters[C.pfGenerated]++;
      counters[outstanding.add(line) ? C.pfInsertedInQueue : C.pfAlreadyPending]++;
    }
    return true;
  }

  /** Lowest line at or after `from` in the present vector, or -1. */
  private nextBit(from: number): number {
    const { words } = this.layout;
    let word = from >>> 5;
    if (word >= words) return -1;
    let bits = this.vector[word] & (-1 << (from & 31));
    while (bits === 0) {
      if (++word === words) return -1;
      bits = this.vector[word];
    }
    return (word << 5) + 31 - Math.clz32(bits & -bits);
  }

  private wait(cause: number, until: number): void {
    this.cause = cause;
    this.wake = until;
  }

  /** Charges the cycles up to now; a pacing wait that lasted to its deadline looks for lost lines. */
  private account(now: number): void {
    this.counters[this.cause] += now - this.since;
    this.since = now;
    if (this.cause === C.stallPacing && this.outstanding.count >= this.distance) this.outstanding.sweep();
  }

  private stop(now: number): void {
    this.counters[this.cause] += now - this.since;
    this.counters[C.replayCycles] += now - this.begun;
    this.since = now;
    this.buffer = undefined;
    this.wake = Number.POSITIVE_INFINITY;
  }
}
