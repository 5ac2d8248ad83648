import { Outcome, type PrefetcherHost } from "../cache/contract.js";
import { DEGREE, DemandPrefetcher } from "./base.js";
import type { Parameters, PrefetcherDefinition, Sees } from "./contract.js";

/** Lines by which an access may be off the last one and still belong to its stream. */
const WINDOW = 16;
/** Accesses in one direction before a stream is followed. */
const TRAINED = 2;

/**
 * Streams, as in Srinath, Mutlu, Kim and Patt, _Feedback Directed Prefetching_, HPCA 2007, section 2.1, after POWER4's
 * (without the feedback: distance and degree stay; the defaults are its middle setting): a miss begins a stream, two
 * more in one direction within 16 lines train it, and from then on misses and first uses of prefetched lines keep
 * prefetches up to `distance` lines ahead, `degree` at a time. A stream stays on its page. The one used longest ago
 * makes room for a new one.
 */
class Stream extends DemandPrefetcher {
  private readonly distance: number;
  private readonly page: Int32Array;
  private readonly last: Int32Array;
  private readonly head: Int32Array;
  private readonly direction: Int8Array;
  private readonly trained: Uint8Array;
  private readonly used: Float64Array;
  private clock = 0;

  constructor(host: PrefetcherHost, parameters: Parameters, on: Sees) {
    super(host, parameters, on);
    const streams = parameters.streams as number;
    this.distance = parameters.distance as number;
    this.page = new Int32Array(streams).fill(-1);
    this.last = new Int32Array(streams);
    this.head = new Int32Array(streams);
    this.direction = new Int8Array(streams);
    this.trained = new Uint8Array(streams);
    this.used = new Float64Array(streams);
  }

  protected observe(line: number, virtualLine: number, outcome: Outcome, now: number): void {
    if (outcome === Outcome.Hit || outcome === Outcome.Merge) return;
    const place = line & 63;
    const i = this.streamOf(line >> 6, place);
    const step = place - this.last[i];
    if (step === 0) return;
    const direction = step > 0 ? 1 : -1;
    this.last[i] = place;
    if (direction !== this.direction[i]) {
      this.direction[i] = direction;
      this.trained[i] = 1;
      this.head[i] = place;
    } else if (this.trained[i] < TRAINED) this.trained[i]++;
    if (this.trained[i] < TRAINED) return;
    // Prefetches never lag behind what is demanded.
    if ((place - this.head[i]) * direction > 0) this.head[i] = place;
    for (let k = 0; k < this.degree; k++) {
      const next = this.head[i] + direction - place;
      if (Math.abs(next) > this.distance || !this.ask(line, virtualLine, next, now)) return;
      this.head[i] += direction;
    }
  }

  flush(): void {
    this.page.fill(-1);
    this.used.fill(0);
    this.direction.fill(0);
  }

  /** The stream that the access belongs to, or a new one that begins with it. */
  private streamOf(page: number, place: number): number {
    let oldest = 0;
    for (let i = 0; i < this.page.length; i++) {
      if (this.page[i] === page && Math.abs(place - this.last[i]) <= WINDOW) {
        this.used[i] = ++this.clock;
        return i;
      }
      if (this.used[i] < this.used[oldest]) oldest = i;
    }
    this.page[oldest] = page;
    this.last[oldest] = place;
    this.head[oldest] = place;
    this.direction[oldest] = 0;
    this.trained[oldest] = 0;
    this.used[oldest] = ++this.clock;
    return oldest;
  }
}

export const stream: PrefetcherDefinition = {
  description: "runs through a page in either direction (Srinath et al. 2007)",
  parameters: {
    degree: { ...DEGREE, default: 2 },
    streams: { default: 64, min: 1, max: 1024, describe: "streams tracked" },
    distance: { default: 16, min: 1, max: 63, describe: "lines that prefetches may run ahead" },
  },
  create: (host, parameters, on) => new Stream(host, parameters, on),
};
