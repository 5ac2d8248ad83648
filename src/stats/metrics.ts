import type { RunResult } from "../experiment/contract.js";
import {
  cachesOf,
  cycleParts,
  instructions,
  jukeboxCache,
  type Kind,
  memoryBytes,
  mshrMisses,
  prefetchCounter,
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
    definition: "Lines that Jukebox prefetched and that were demanded, in time or late.",
  },
  {
    name: "prefetch.late",
    unit: "lines",
    definition: "Part of prefetch.useful: lines demanded before they had arrived.",
  },
  {
    name: "prefetch.issued",
    unit: "lines",
    definition: "Prefetches that Jukebox's level sent to the level below.",
  },
  { name: "prefetch.inserted", unit: "lines", definition: "Lines that Jukebox put into the prefetch queue." },
  {
    name: "coverage",
    unit: "ratio",
    definition:
      "prefetch.useful / (prefetch.useful + instruction misses of the function's core that left Jukebox's level).",
  },
  { name: "accuracy", unit: "ratio", definition: "prefetch.useful / prefetch.issued." },
  {
    name: "accuracy.inserted",
    unit: "ratio",
    definition: "prefetch.useful / prefetch.inserted, as the authors' code has it.",
  },
  {
    name: "overprediction",
    unit: "ratio",
    definition:
      "(prefetch.issued - prefetch.useful) / instruction misses of the function's core that left Jukebox's level in the lukewarm run.",
  },
  { name: "metadata.read", unit: "bytes", definition: "Metadata that Jukebox read from memory." },
  { name: "metadata.written", unit: "bytes", definition: "Metadata that Jukebox wrote to memory." },
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
  /** Instruction misses that left Jukebox's level. */
  readonly misses: number | undefined;
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
  const core = run.trace.functionCore;
  const place = jukeboxCache(run.machine, core);
  return {
    cycles: cycleParts(view, run.machine, core).active,
    traffic: totalTraffic(view),
    misses: place && mshrMisses(view, place.path, core, "inst"),
  };
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
  if (run.protocol.jukebox !== undefined) addPrefetch(values, run, view, lukewarm?.misses);
  const traffic = totalTraffic(view);
  values.set("traffic", traffic);
  for (const { kind, bytes } of memoryBytes(view)) values.set(`traffic.${kind}`, bytes);
  if (lukewarm !== undefined) values.set("traffic.change", traffic / lukewarm.traffic - 1);
  return values;
}

function addPrefetch(
  values: Map<string, number>,
  run: RunResult,
  view: CounterView,
  lukewarmMisses: number | undefined,
): void {
  const core = run.trace.functionCore;
  const place = jukeboxCache(run.machine, core);
  if (place === undefined)
    throw new Error(`machine ${run.machine.name} has no Jukebox, protocol ${run.protocol.name} uses it`);
  const useful = prefetchCounter(view, place.path, "pfUseful", core);
  const issued = prefetchCounter(view, place.path, "pfIssued", core);
  const inserted = view.get(`cpu${core}.jukebox.pfInsertedInQueue`);
  values.set("prefetch.useful", useful);
  values.set("prefetch.late", prefetchCounter(view, place.path, "pfLate", core));
  values.set("prefetch.issued", issued);
  values.set("prefetch.inserted", inserted);
  values.set("coverage", useful / (useful + mshrMisses(view, place.path, core, "inst")));
  values.set("accuracy", useful / issued);
  values.set("accuracy.inserted", useful / inserted);
  if (lukewarmMisses !== undefined) values.set("overprediction", (issued - useful) / lukewarmMisses);
  values.set("metadata.read", view.get(`cpu${core}.jukebox.bytesRead`));
  values.set("metadata.written", view.get(`cpu${core}.jukebox.bytesWritten`));
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
