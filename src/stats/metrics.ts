import type { RunResult } from "../experiment/contract.js";
import {
  cachesOf,
  cycleParts,
  instructions,
  type Kind,
  type MeasuredPrefetcher,
  measuredPrefetcher,
  memoryBytes,
  mshrMisses,
  prefetchCounter,
  prefetcherPath,
} from "./names.js";
import { type CounterView, invocationView, measuredInvocations, measuredTotal } from "./view.js";

/** A metric's meaning. `<level>`, `<kind>` and `<cause>` in a name stand for what the machine has. */
export interface MetricDef {
  readonly name: string;
  readonly unit: string;
  /** One sentence. */
  readonly definition: string;
}

/** Every metric that statistics files and reports hold. docs/metrics.md is made of this table. */
export const METRICS: readonly MetricDef[] = [
  {
    name: "invocations",
    unit: "invocations",
    definition: "Measured invocations that the other metrics are taken over.",
  },
  {
    name: "instructions",
    unit: "instructions",
    definition: "Instructions that the function's core committed in the region of interest, user and kernel.",
  },
  {
    name: "instructions.user",
    unit: "instructions",
    definition: "Instructions of the function's core in user mode.",
  },
  {
    name: "instructions.kernel",
    unit: "instructions",
    definition: "Instructions of the function's core in the kernel.",
  },
  { name: "kernelShare", unit: "ratio", definition: "instructions.kernel / instructions." },
  {
    name: "cycles",
    unit: "cycles",
    definition:
      "Active cycles of the function's core in the region of interest: neither halted nor waiting for the region to begin or end.",
  },
  {
    name: "cycles.idle",
    unit: "cycles",
    definition:
      "Cycles in the region of interest in which the function's core was halted or waited for the region to end.",
  },
  {
    name: "latency",
    unit: "cycles",
    definition: "Cycles from the begin to the end of the region of interest, as the client sees them.",
  },
  { name: "latency.time", unit: "µs", definition: "latency in simulated time." },
  { name: "ipc", unit: "instructions/cycle", definition: "instructions / cycles." },
  { name: "speedup", unit: "ratio", definition: "Cycles of the lukewarm run / cycles of this run." },
  {
    name: "cpi.<cause>",
    unit: "cycles/instruction",
    definition: "Active cycles that the cause took / instructions; the causes sum to 1 / ipc.",
  },
  {
    name: "mpki.<level>.<kind>",
    unit: "misses/1000 instructions",
    definition:
      "Misses of the function's core in the level that went on to the level below (merges into a miss under way left out) per 1000 of its instructions; kind is inst, or data: loads and stores.",
  },
  {
    name: "prefetch.useful",
    unit: "lines",
    definition:
      "Lines that the protocol's prefetcher (Jukebox, or another) prefetched and that were demanded, in time or late.",
  },
  {
    name: "prefetch.late",
    unit: "lines",
    definition: "Part of prefetch.useful: lines demanded before they had arrived.",
  },
  {
    name: "prefetch.issued",
    unit: "lines",
    definition: "Its prefetches that its level sent to the level below.",
  },
  { name: "prefetch.inserted", unit: "lines", definition: "Lines that Jukebox put into the prefetch queue." },
  {
    name: "coverage",
    unit: "ratio",
    definition:
      "prefetch.useful / (prefetch.useful + misses of the function's core that left the prefetcher's level): instruction misses for Jukebox, else those of the demands that the prefetcher sees.",
  },
  { name: "accuracy", unit: "ratio", definition: "prefetch.useful / prefetch.issued." },
  {
    name: "accuracy.inserted",
    unit: "ratio",
    definition: "prefetch.useful / prefetch.inserted, as the code of Jukebox's authors has it.",
  },
  {
    name: "overprediction",
    unit: "ratio",
    definition: "(prefetch.issued - prefetch.useful) / the misses of coverage in the lukewarm run.",
  },
  { name: "metadata.read", unit: "bytes", definition: "Metadata that the prefetcher read from memory." },
  { name: "metadata.written", unit: "bytes", definition: "Metadata that the prefetcher wrote to memory." },
  {
    name: "traffic",
    unit: "bytes",
    definition:
      "Bytes between the last cache and main memory in the region of interest, all cores and kinds.",
  },
  { name: "traffic.<kind>", unit: "bytes", definition: "Part of traffic: read or written, and what for." },
  {
    name: "traffic.change",
    unit: "ratio",
    definition: "Traffic of this run / traffic of the lukewarm run - 1.",
  },
];

/** Values by name. A metric that the run has no meaning for (no Jukebox, no lukewarm run beside it) is absent; 0/0 is NaN. */
export type MetricValues = ReadonlyMap<string, number>;

/** Metrics of one run. */
export interface RunMetrics {
  readonly run: RunResult;
  /** Over all measured invocations together: sums, and ratios of sums. */
  readonly total: MetricValues;
  /** Each measured invocation by itself. */
  readonly invocations: readonly { readonly invocation: number; readonly values: MetricValues }[];
  /** Of the active cycles of single invocations. */
  readonly cycleSpread: Spread;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What lukewarm is compared by: sums over the same invocations. */
interface Baseline {
  readonly cycles: number;
  readonly traffic: number;
  readonly view: CounterView;
}

/**
 * Metrics of runs of one trace on one machine. Comparisons are with the run whose protocol is called
 * lukewarm; without one they are absent. Throws when runs do not belong together, or when a run lacks a counter.
 */
export function metricsOf(runs: readonly RunResult[]): RunMetrics[] {
  for (const run of runs) {
    if (run.trace.sha256 !== runs[0].trace.sha256 || run.machine.name !== runs[0].machine.name) {
      throw new Error("runs of different traces or machines cannot be compared");
    }
    if (measuredInvocations(run).length === 0)
      throw new Error(`${run.protocol.name}: no invocation was measured`);
  }
  const lukewarm = runs.find((run) => run.protocol.name === "lukewarm");
  const lukewarmTotal = lukewarm && baseline(lukewarm, measuredTotal(lukewarm));
  return runs.map((run) => {
    const measured = measuredInvocations(run);
    const latency = measured.reduce((sum, i) => sum + i.endCycle - i.beginCycle, 0);
    const invocations = measured.map((i) => {
      const same = lukewarm?.invocations.find((other) => other.invocation === i.invocation);
      const beside = same && baseline(lukewarm!, invocationView(lukewarm!, same));
      const values = compute(run, invocationView(run, i), 1, i.endCycle - i.beginCycle, beside);
      return { invocation: i.invocation, values };
    });
    return {
      run,
      total: compute(run, measuredTotal(run), measured.length, latency, lukewarmTotal),
      invocations,
      cycleSpread: spread(invocations.map((i) => i.values.get("cycles")!)),
    };
  });
}

function baseline(run: RunResult, view: CounterView): Baseline {
  const { active } = cycleParts(view, run.machine, run.trace.functionCore);
  return { cycles: active, traffic: totalTraffic(view), view };
}

function compute(
  run: RunResult,
  view: CounterView,
  count: number,
  latency: number,
  lukewarm: Baseline | undefined,
): MetricValues {
  const values = new Map<string, number>();
  const core = run.trace.functionCore;
  const { user, kernel } = instructions(view, core);
  const total = user + kernel;
  const { active: cycles, idle, causes } = cycleParts(view, run.machine, core);
  values.set("invocations", count);
  values.set("instructions", total);
  values.set("instructions.user", user);
  values.set("instructions.kernel", kernel);
  values.set("kernelShare", kernel / total);
  values.set("cycles", cycles);
  values.set("cycles.idle", idle);
  values.set("latency", latency);
  values.set("latency.time", latency / (run.machine.clockGHz * 1000));
  values.set("ipc", total / cycles);
  if (lukewarm !== undefined) values.set("speedup", lukewarm.cycles / cycles);
  for (const part of causes) values.set(`cpi.${part.cause}`, part.cycles / total);
  for (const place of cachesOf(run.machine, core)) {
    for (const kind of place.kinds) {
      values.set(mpkiName(place.level, kind), (1000 * mshrMisses(view, place.path, core, kind)) / total);
    }
  }
  const prefetcher = measuredPrefetcher(run);
  if (prefetcher !== undefined) addPrefetch(values, prefetcher, core, view, lukewarm?.view);
  const traffic = totalTraffic(view);
  values.set("traffic", traffic);
  for (const { kind, bytes } of memoryBytes(view)) values.set(`traffic.${kind}`, bytes);
  if (lukewarm !== undefined) values.set("traffic.change", traffic / lukewarm.traffic - 1);
  return values;
}

function addPrefetch(
  values: Map<string, number>,
  prefetcher: MeasuredPrefetcher,
  core: number,
  view: CounterView,
  lukewarm: CounterView | undefined,
): void {
  const misses = (of: CounterView) =>
    prefetcher.kinds.reduce((sum, kind) => sum + mshrMisses(of, prefetcher.place.path, core, kind), 0);
  const useful = prefetchCounter(view, prefetcher, "pfUseful", core);
  const issued = prefetchCounter(view, prefetcher, "pfIssued", core);
  const jukebox = prefetcher.name === "jukebox";
  values.set("prefetch.useful", useful);
  values.set("prefetch.late", prefetchCounter(view, prefetcher, "pfLate", core));
  values.set("prefetch.issued", issued);
  if (jukebox) values.set("prefetch.inserted", view.get(`cpu${core}.jukebox.pfInsertedInQueue`));
  values.set("coverage", useful / (useful + misses(view)));
  values.set("accuracy", useful / issued);
  if (jukebox) values.set("accuracy.inserted", useful / values.get("prefetch.inserted")!);
  if (lukewarm !== undefined) values.set("overprediction", (issued - useful) / misses(lukewarm));
  const [path, read, written] = jukebox
    ? [`cpu${core}.jukebox`, "bytesRead", "bytesWritten"]
    : [prefetcherPath(prefetcher, core), "metadataRead", "metadataWritten"];
  values.set("metadata.read", view.get(`${path}.${read}`));
  values.set("metadata.written", view.get(`${path}.${written}`));
}

export function mpkiName(level: string, kind: Kind): string {
  return `mpki.${level}.${kind}`;
}

/** The definition behind a value's name, patterns resolved: "mpki.l1i.inst". Throws when there is none. */
export function metricDef(name: string): MetricDef {
  const exact = METRICS.find((def) => def.name === name);
  const def = exact ?? METRICS.find((d) => d.name.includes("<") && patternOf(d.name).test(name));
  if (def === undefined) throw new Error(`metric "${name}" has no definition`);
  return def;
}

function patternOf(name: string): RegExp {
  return new RegExp(`^${name.replaceAll(".", "\\.").replaceAll(/<\w+>/g, ".+")}$`);
}

function totalTraffic(view: CounterView): number {
  return memoryBytes(view).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Median (of an even number: the mean of the middle two), smallest and largest. */
export function spread(numbers: readonly number[]): Spread {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}
