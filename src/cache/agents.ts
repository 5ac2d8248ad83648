import type { Cache } from "./cache.js";
import { Requester } from "./contract.js";
import { Metric, PfMetric } from "./counters.js";
import type { Hierarchy } from "./hierarchy.js";
import type { AttachedPrefetcher } from "./prefetch.js";

/**
 * All that happens in the memory system of its own accord: prefetchers act, queues issue. `run` brings
 * them up to a time, in order of time; at the same time lower cores come first, and acting before issuing.
 */
export class Agents {
  /** In order of core. */
  private readonly prefetchers: AttachedPrefetcher[] = [];
  /** Caches with a queue. */
  private readonly caches: Cache[] = [];
  /** Set while agents run: what they ask of the memory system is part of their own turn. */
  running = false;

  constructor(private readonly hierarchy: Hierarchy) {}

  get none(): boolean {
    return this.prefetchers.length === 0;
  }

  add(prefetcher: AttachedPrefetcher): void {
    const list = this.prefetchers;
    let i = list.length;
    while (i > 0 && list[i - 1].core > prefetcher.core) i--;
    list.splice(i, 0, prefetcher);
    if (!this.caches.includes(prefetcher.cache)) this.caches.push(prefetcher.cache);
  }

  /** Runs everything that is due at or before `until`. */
  run(until: number): void {
    const prefetchers = this.prefetchers;
    const caches = this.caches;
    const hierarchy = this.hierarchy;
    this.running = true;
    for (;;) {
      let time = Infinity;
      let core = Infinity;
      let actor = -1;
      let issuer = -1;
      for (let i = 0; i < prefetchers.length; i++) {
        const p = prefetchers[i];
        const t = Math.max(p.nextAct, hierarchy.time);
        if (t < time) {
          time = t;
          core = p.core;
          actor = i;
        }
      }
      for (let i = 0; i < caches.length; i++) {
        const queue = caches[i].queue!;
        const t = Math.max(queue.nextIssue, hierarchy.time);
        if (t > time || t === Infinity) continue;
        const by = queue.headPrefetcher.core;
        if (t < time || by < core) {
          time = t;
          core = by;
          actor = -1;
          issuer = i;
        }
      }
      if (time > until || time === Infinity) break;
      hierarchy.time = time;
      if (actor >= 0) prefetchers[actor].act(time);
      else this.issue(caches[issuer], time);
    }
    this.running = false;
  }

  /** Sends the head of a cache's queue below, if it is still wanted and an MSHR is free beyond the reserved ones. */
  private issue(c: Cache, now: number): void {
    const queue = c.queue!;
    const by = queue.headPrefetcher;
    const line = queue.headLine;
    // A line that a cache above holds is not prefetched (gem5: an upward snoop squashes the prefetch).
    if (c.holds(line) || c.heldAbove(line)) {
      c.countPrefetch(PfMetric.InCache, by);
      queue.pop();
      by.prefetcher.retired?.(line, now);
      return;
    }
    if (c.mshrs.free(now) <= c.spec.demandReservedMshrs) {
      queue.block(c.mshrs.nextRelease(now));
      return;
    }
    if (c.writeBuffer.availableAt > now) {
      queue.block(c.writeBuffer.availableAt);
      return;
    }
    const virtualLine = queue.headVirtualLine;
    queue.issued(now);
    c.countPrefetch(PfMetric.Issued, by);
    c.count(Metric.Accesses, by.core, Requester.Prefetch);
    c.count(Metric.Misses, by.core, Requester.Prefetch);
    const m = c.mshrs.find(now);
    const ready = this.hierarchy.prefetch(c, by.core, line, virtualLine, now, m);
    c.count(Metric.MissLatency, by.core, Requester.Prefetch, ready - now);
    c.markPrefetched(c.find(line), by.index + 1);
    by.prefetcher.issued?.(line, now, ready);
  }
}
