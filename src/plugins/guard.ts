import type {
  Outcome,
  Prefetcher,
  PrefetcherCounters,
  PrefetcherHost,
  PrefetchTarget,
  Requester,
} from "../cache/contract.js";
import { InputError, PluginError } from "../errors.js";

const LINE_BITS = 6;

/**
 * A plug-in's prefetcher between the memory system and its author: what it throws, and what it asks for that
 * cannot be, becomes a PluginError that names the file and the method; it sees the demands that it is to see. It is also the
 * plug-in's host and target.
 */
export class GuardedPrefetcher implements Prefetcher, PrefetcherHost, PrefetchTarget {
  nextAction = Number.POSITIVE_INFINITY;
  readonly target: PrefetchTarget = this;
  readonly core: number;
  readonly metadataLine: number;
  readonly ownCounters: PrefetcherCounters | undefined;
  private readonly inner: Prefetcher;

  /**
   * @param who for messages: `mine.js: prefetcher "mine"`
   * @param file whose lines in a stack are the author's
   * @param sees by requester: 1: it is told of their demands
   */
  constructor(
    private readonly who: string,
    private readonly file: string,
    private readonly host: PrefetcherHost,
    private readonly sees: Uint8Array,
    create: (host: PrefetcherHost) => Prefetcher,
  ) {
    this.core = host.core;
    this.metadataLine = host.metadataLine;
    try {
      this.inner = create(this);
    } catch (error) {
      throw this.failure("create", error);
    }
    this.settle("create");
    this.ownCounters = this.inner.ownCounters;
    this.checkCounters();
  }

  act(now: number): void {
    try {
      this.inner.act(now);
    } catch (error) {
      throw this.failure("act", error);
    }
    this.settle("act");
  }

  demand(
    requester: Requester,
    line: number,
    virtualLine: number,
    outcome: Outcome,
    now: number,
    ready: number,
    pc: number,
  ): void {
    if (this.sees[requester] === 0 || virtualLine < 0) return;
    try {
      this.inner.demand(requester, line, virtualLine, outcome, now, ready, pc);
    } catch (error) {
      throw this.failure("demand", error);
    }
    this.settle("demand");
  }

  evictedUnused(line: number, now: number): void {
    try {
      this.inner.evictedUnused(line, now);
    } catch (error) {
      throw this.failure("evictedUnused", error);
    }
    this.settle("evictedUnused");
  }

  retired(line: number, now: number): void {
    try {
      this.inner.retired?.(line, now);
    } catch (error) {
      throw this.failure("retired", error);
    }
    this.settle("retired");
  }

  issued(line: number, now: number, ready: number): void {
    try {
      this.inner.issued?.(line, now, ready);
    } catch (error) {
      throw this.failure("issued", error);
    }
    this.settle("issued");
  }

  flush(): void {
    try {
      this.inner.flush?.();
    } catch (error) {
      throw this.failure("flush", error);
    }
    this.settle("flush");
  }

  beginInvocation(instance: number, now: number): void {
    try {
      this.inner.beginInvocation(instance, now);
    } catch (error) {
      throw this.failure("beginInvocation", error);
    }
    this.settle("beginInvocation");
  }

  endInvocation(instance: number, now: number): void {
    try {
      this.inner.endInvocation(instance, now);
    } catch (error) {
      throw this.failure("endInvocation", error);
    }
    this.settle("endInvocation");
  }

  // What the plug-in sees of the machine.

  get queueFree(): number {
    return this.host.target.queueFree;
  }

  enqueue(line: number, virtualLine: number, now: number): boolean {
    const { ppn } = this.pages;
    const page = virtualLine >> LINE_BITS;
    if (!Number.isInteger(virtualLine) || page < 0 || page >= ppn.length)
      throw new PluginError(
        `${this.who}: enqueue: expected virtualLine of one of the trace's ${ppn.length} pages (page id * 64 + line in page), got ${virtualLine}`,
      );
    const expected = (ppn[page] << LINE_BITS) | (virtualLine & 63);
    if (line !== expected)
      throw new PluginError(
        `${this.who}: enqueue: virtual line ${virtualLine} is physical line ${expected} (host.pages.ppn), got ${line}`,
      );
    if (!Number.isFinite(now) || now < 0)
      throw new PluginError(`${this.who}: enqueue: expected the cycle that it was told, got ${now}`);
    return this.host.target.enqueue(line, virtualLine, now);
  }

  probe(line: number): boolean {
    return this.host.target.probe(line);
  }

  readMetadata(line: number, now: number): number {
    this.checkMetadata("readMetadata", line, now);
    return this.host.readMetadata(line, now);
  }

  writeMetadata(line: number, now: number): void {
    this.checkMetadata("writeMetadata", line, now);
    this.host.writeMetadata(line, now);
  }

  translate(asid: number, vpn: number, now: number): number {
    if (!Number.isInteger(asid) || !Number.isSafeInteger(vpn) || !Number.isFinite(now))
      throw new PluginError(
        `${this.who}: translate: expected asid, virtual page number and cycle, got ${asid}, ${vpn}, ${now}`,
      );
    return this.host.translate(asid, vpn, now);
  }

  get translatedPage(): number {
    return this.host.translatedPage;
  }

  get pages(): PrefetcherHost["pages"] {
    return this.host.pages;
  }

  private checkMetadata(method: string, line: number, now: number): void {
    if (!Number.isInteger(line) || line < 0 || line > 0x7fff_ffff || !Number.isFinite(now))
      throw new PluginError(
        `${this.who}: ${method}: expected a physical line number and a cycle, got ${line}, ${now}`,
      );
  }

  /** Takes over when it wants to act next. */
  private settle(method: string): void {
    const next = this.inner.nextAction;
    // NaN is not at least 0 either.
    if (!(next >= 0))
      throw new PluginError(
        `${this.who}: expected nextAction to be a cycle or Infinity after ${method}, got ${next}`,
      );
    this.nextAction = next;
  }

  private checkCounters(): void {
    const own = this.ownCounters;
    if (own === undefined) return;
    const fits =
      Array.isArray(own.defs) && own.values instanceof Float64Array && own.values.length === own.defs.length;
    if (!fits)
      throw new InputError(
        `${this.who}: ownCounters: expected { defs, values }, values a Float64Array as long as defs`,
      );
    for (const { name, unit, description } of own.defs)
      if (!/^[A-Za-z]\w*$/.test(name) || typeof unit !== "string" || typeof description !== "string")
        throw new InputError(
          `${this.who}: ownCounters.defs: expected { name, unit, description } with a name of letters and digits, got "${name}"`,
        );
  }

  /** What it threw, as one line with the place in its file. */
  private failure(method: string, error: unknown): Error {
    if (error instanceof PluginError || error instanceof InputError) return error;
    const text = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    const at = stack.indexOf(`${this.file}:`);
    const place = at < 0 ? undefined : /^[^\s)]*?:\d+/.exec(stack.slice(at))?.[0];
    return new PluginError(
      `${this.who}: ${method} failed: ${text}${place === undefined ? "" : ` (${place})`}`,
      stack,
    );
  }
}
