import { PREFETCHER_COUNTERS } from "../cache/counters.js";
import type { AttachedPrefetcher } from "../cache/prefetch.js";
import { InputError } from "../errors.js";
import type { CounterGroup } from "../stats/counters.js";

/**
 * The counters of one prefetcher, `cpu1.llc.stride`: what is counted of each, then its own. Throws InputError where
 * one of its own bears a name that is taken.
 */
export function prefetcherGroup(attached: AttachedPrefetcher, level: string, name: string): CounterGroup {
  const own = attached.prefetcher.ownCounters;
  const path = `cpu${attached.core}.${level}.${name}`;
  if (own === undefined) return { path, defs: PREFETCHER_COUNTERS, values: attached.counts };
  const defs = [...PREFETCHER_COUNTERS, ...own.defs];
  for (const [i, def] of defs.entries())
    if (defs.findIndex((other) => other.name === def.name) !== i)
      throw new InputError(`prefetcher "${name}": ownCounters: "${def.name}" is taken`);
  const common = PREFETCHER_COUNTERS.length;
  const values = new Float64Array(defs.length);
  return {
    path,
    defs,
    get values() {
      values.set(attached.counts);
      values.set(own.values, common);
      return values;
    },
  };
}
