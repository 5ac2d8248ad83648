import { Outcome, type Prefetcher, type PrefetcherHost, Requester } from "../cache/contract.js";
import type { JukeboxSpec } from "../machine/spec.js";
import type { CounterGroup } from "../stats/counters.js";
import { C, jukeboxCounters } from "./counters.js";
import { MetadataStore } from "./metadata.js";
import { Outstanding } from "./outstanding.js";
import { Recorder } from "./recorder.js";
import { Replayer } from "./replayer.js";

/**
 * Jukebox (Schall et al., ISCA 2022): records the instruction misses of a function's invocation and
 * prefetches them at its next. Invocation k replays what k − 1 wrote while it records for k + 1.
 *
 * The memory system calls it as the prefetcher contract says. An invocation that begins before the last
 * one ended ends that one first. Misses outside invocations are not recorded. Without room for an
 * entry (metadataBytes 0) it does nothing at all.
 */
export class Jukebox implements Prefetcher {
  nextAction = Number.POSITIVE_INFINITY;
  readonly group: CounterGroup;
  /** Metadata by function instance. */
  readonly store: MetadataStore;
  private readonly enabled: boolean;
  private readonly counters: Float64Array;
  private readonly recorder: Recorder;
  private readonly replayer: Replayer;
  private readonly outstanding: Outstanding;

  /** @param metadata first physical line of the metadata, or a store shared by the Jukeboxes of several cores (of one spec). */
  constructor(
    readonly spec: JukeboxSpec,
    host: PrefetcherHost,
    metadata: number | MetadataStore,
  ) {
    this.store = typeof metadata === "number" ? new MetadataStore(spec, metadata) : metadata;
    this.group = jukeboxCounters(host.core);
    this.counters = this.group.values;
    const layout = this.store.layout;
    this.enabled = layout.capacity > 0;
    this.outstanding = new Outstanding(host, this.counters);
    this.recorder = new Recorder(layout, spec.crrbEntries, host, this.counters);
    this.replayer = new Replayer(layout, spec, host, this.outstanding, this.counters);
  }

  /** Lines in the queue, in flight or present that have not been used: what pacing bounds. */
  get outstandingLines(): number {
    return this.outstanding.count;
  }

  /** The same over all invocations so far. */
  get pendingLines(): number {
    return this.outstanding.size;
  }

  /** Metadata is left to replay in this invocation. */
  get replaying(): boolean {
    return this.replayer.replaying;
  }

  act(now: number): void {
    this.replayer.act(now);
    this.nextAction = this.replayer.wake;
  }

  demand(
    requester: Requester,
    line: number,
    virtualLine: number,
    outcome: Outcome,
    now: number,
    _ready: number,
  ): void {
    if (!this.enabled) return;
    this.settle(line, outcome, now);
    if (requester !== Requester.Fetch || !this.recorder.recording) return;
    // A first demand of a prefetched line would have missed: without it, record and replay would
    // alternate good and empty metadata. A merge was recorded with the miss that it merges into.
    if (outcome === Outcome.Hit || outcome === Outcome.Merge) return;
    if (outcome === Outcome.Miss) this.counters[C.demandMshrMisses]++;
    this.recorder.record(virtualLine, now);
  }

  evictedUnused(line: number, now: number): void {
    if (this.outstanding.end(line, C.pfUnused)) this.release(now);
  }

  /**
   * A line that went into the queue will never be reported as used or evicted: dropped at issue, flushed
   * from the queue, used first by another core. Without this report a paced replay finds it at its next sweep.
   */
  retired(line: number, now: number): void {
    if (this.outstanding.end(line, C.pfLost)) this.release(now);
  }

  beginInvocation(instance: number, now: number): void {
    if (!this.enabled) return;
    this.endInvocation(instance, now);
    const metadata = this.store.instance(instance);
    metadata.swap();
    this.recorder.begin(metadata.record);
    this.replayer.begin(metadata.replay, now);
    this.nextAction = this.replayer.wake;
  }

  /** Ends the invocation under way, whichever it is; without one, nothing happens. */
  endInvocation(_instance: number, now: number): void {
    if (!this.enabled) return;
    this.recorder.end(now);
    this.replayer.end(now);
    this.nextAction = this.replayer.wake;
  }

  /** What a demand tells of a line that may be pending. */
  private settle(line: number, outcome: Outcome, now: number): void {
    let fate: number;
    switch (outcome) {
      case Outcome.PrefetchHit:
      case Outcome.PrefetchLate:
        fate = C.pfUseful;
        break;
      case Outcome.Hit:
        fate = C.pfLost;
        break;
      default:
        fate = C.pfSquashed;
    }
    if (!this.outstanding.end(line, fate)) return;
    if (outcome === Outcome.PrefetchLate) this.counters[C.pfLate]++;
    this.release(now);
  }

  private release(now: number): void {
    this.replayer.released(now);
    this.nextAction = this.replayer.wake;
  }
}
