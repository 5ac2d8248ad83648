import {
  type Outcome,
  type Prefetcher,
  type PrefetcherHost,
  REQUESTERS,
  Requester,
} from "../cache/contract.js";
import type { ParameterSpec, Parameters, Sees } from "./contract.js";

const { Fetch: FETCH, Load: LOAD, Store: STORE } = Requester;
const LINE_MASK = 63;

/** The parameter that all built-in prefetchers have. */
export const DEGREE: ParameterSpec = {
  default: 1,
  min: 0,
  max: 63,
  describe: "lines asked for at a time; 0: none",
};

/** Which requesters a prefetcher sees, by their number. */
export function seen(on: Sees): Uint8Array {
  const out = new Uint8Array(REQUESTERS);
  out[FETCH] = on !== "data" ? 1 : 0;
  out[LOAD] = out[STORE] = on !== "instructions" ? 1 : 0;
  return out;
}

/**
 * What the built-in prefetchers share: they act on demands alone, see fetches, loads and stores as `on` says,
 * and ask for lines of the page that is accessed only, which are mapped.
 */
export abstract class DemandPrefetcher implements Prefetcher {
  nextAction = Number.POSITIVE_INFINITY;
  protected readonly degree: number;
  private readonly sees: Uint8Array;

  constructor(
    protected readonly host: PrefetcherHost,
    parameters: Parameters,
    on: Sees,
  ) {
    this.degree = parameters.degree as number;
    this.sees = seen(on);
  }

  act(_now: number): void {}

  demand(
    requester: Requester,
    line: number,
    virtualLine: number,
    outcome: Outcome,
    now: number,
    ready: number,
    pc: number,
  ): void {
    if (this.degree === 0 || this.sees[requester] === 0 || virtualLine < 0) return;
    this.observe(line, virtualLine, outcome, now, ready, pc);
  }

  evictedUnused(_line: number, _now: number): void {}
  beginInvocation(_instance: number, _now: number): void {}
  endInvocation(_instance: number, _now: number): void {}

  /** Forgets all that was learnt. */
  abstract flush(): void;

  /** A demand that this prefetcher is to see; arguments as of `Prefetcher.demand`. */
  protected abstract observe(
    line: number,
    virtualLine: number,
    outcome: Outcome,
    now: number,
    ready: number,
    pc: number,
  ): void;

  /** Asks for the line `offset` lines on. @returns false: it lies on another page, or the queue is full. */
  protected ask(line: number, virtualLine: number, offset: number, now: number): boolean {
    const place = (line & LINE_MASK) + offset;
    if (place < 0 || place > LINE_MASK) return false;
    return this.host.target.enqueue(line + offset, virtualLine + offset, now);
  }
}
