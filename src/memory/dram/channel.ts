import type { AddressMap } from "./address-map.js";
import { D } from "./banks.js";
import { type Arrivals, Controller } from "./controller.js";
import type { DramParameters } from "./devices.js";

/** Requests known and not yet part of the past. More than that, and the oldest become so. */
const CAPACITY = 1024;

/** Requests sorted by time, those of the same time in the order in which they were told. */
class ArrivalList implements Arrivals {
  count = 0;
  readonly time = new Float64Array(CAPACITY);
  readonly line = new Int32Array(CAPACITY);
  readonly id = new Int32Array(CAPACITY);

  get full(): boolean {
    return this.count === CAPACITY;
  }

  insert(time: number, line: number, id: number): void {
    let i = this.count++;
    while (i > 0 && this.time[i - 1] > time) {
      this.time[i] = this.time[i - 1];
      this.line[i] = this.line[i - 1];
      this.id[i] = this.id[i - 1];
      i--;
    }
    this.time[i] = time;
    this.line[i] = line;
    this.id[i] = id;
  }

  /** Takes the first `n` out. */
  drop(n: number): void {
    if (n === 0) return;
    this.time.copyWithin(0, n, this.count);
    this.line.copyWithin(0, n, this.count);
    this.id.copyWithin(0, n, this.count);
    this.count -= n;
  }
}

/**
 * A channel whose reads are answered at once. Two controllers: `past` has seen all requests up to a time that
 * trails the latest read, so that requests which are told a little late still find their place; it is the
 * exact schedule. A read is answered by a copy of it, `future`, which goes on with the requests known
 * so far until the read is served, and is thrown away.
 */
export class Channel {
  /** Was the last read answered from the write queue: nothing but the front end's latency? */
  answeredFromQueue = false;
  private readonly past: Controller;
  private readonly future: Controller;
  private readonly arrivals = new ArrivalList();
  private nextId = 0;
  private latestRead = -0;
  /** What lies at or before is past. */
  private settled = -1;

  /** @param window ps by which the past trails the latest read */
  constructor(
    p: DramParameters,
    map: AddressMap,
    private readonly window: number,
  ) {
    this.past = new Controller(p, map);
    this.future = new Controller(p, map);
  }

  /** By `D`, of the past. */
  get counts(): Float64Array {
    return this.past.counts;
  }

  /** Requests that are not served yet in the past. */
  get pending(): number {
    return this.arrivals.count + this.past.queued;
  }

  /** @returns when the data is at the controller's back end, ps; from the write queue, when the request came. */
  read(line: number, at: number): number {
    const { arrivals, past, future } = this;
    const id = this.nextId;
    this.nextId = (id + 1) & 0x3fffffff;
    this.add(line, at, id);
    if (at > this.latestRead) {
      this.latestRead = at;
      this.settle(at - this.window);
    }
    future.state.copyFrom(past.state);
    future.taken = 0;
    future.run(Infinity, arrivals, id);
    this.answeredFromQueue = future.fromQueue;
    return future.answerAt;
  }

  write(line: number, at: number): void {
    this.add(line, at, -1);
  }

  flush(): void {
    const { arrivals, past } = this;
    past.counts[D.Discarded] += past.forget() + arrivals.count;
    arrivals.drop(arrivals.count);
  }

  private add(line: number, at: number, id: number): void {
    const { arrivals } = this;
    if (arrivals.full) this.settle(arrivals.time[CAPACITY >> 1]);
    arrivals.insert(Math.max(at, this.settled), line, id);
  }

  private settle(until: number): void {
    const { arrivals, past } = this;
    if (until <= this.settled) return;
    past.taken = 0;
    past.run(until, arrivals, -1);
    arrivals.drop(past.taken);
    this.settled = until;
  }
}
