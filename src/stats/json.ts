import { basename } from "node:path";
import type { RunResult } from "../experiment/contract.js";
import { METRICS, type MetricValues, metricDef, metricsOf } from "./metrics.js";
import { counterDefs, invocationView, isReserved } from "./view.js";

export interface ComparisonJsonOptions {
  /** Adds the metrics of each measured invocation. */
  perInvocation: boolean;
}

/** Metrics of the runs of one trace on one machine, as JSON data: `protocols.lukewarm.metrics.ipc.value`. 0/0 is null. */
export function comparisonJson(runs: readonly RunResult[], options: ComparisonJsonOptions) {
  const protocols = metricsOf(runs).map(({ run, total, invocations, cycleSpread }) => [
    run.protocol.name,
    {
      description: run.protocol.description,
      metrics: withUnits(total),
      cyclesOfInvocations: cycleSpread,
      ...(options.perInvocation
        ? {
            invocations: invocations.map(({ invocation, values }) => ({
              invocation,
              metrics: plain(values),
            })),
          }
        : {}),
    },
  ]);
  return {
    trace: traceJson(runs[0]),
    machine: runs[0].machine.name,
    protocols: Object.fromEntries(protocols),
  };
}

/** What stats.json holds: metrics with units and definitions, for each invocation too, and every counter of every invocation. */
export function statsJson(runs: readonly RunResult[]) {
  const counters = new Map(
    runs.flatMap((run) => counterDefs(run.schema)).map(({ name, def }) => [name, def]),
  );
  const protocols = metricsOf(runs).map(({ run, total, invocations, cycleSpread }) => [
    run.protocol.name,
    {
      metrics: withUnits(total),
      cyclesOfInvocations: cycleSpread,
      invocations: run.invocations.map((i) => ({
        invocation: i.invocation,
        measured: i.measured,
        beginCycle: i.beginCycle,
        endCycle: i.endCycle,
        metrics: plain(invocations.find((m) => m.invocation === i.invocation)?.values ?? new Map()),
        counters: Object.fromEntries(invocationView(run, i).entries()),
      })),
    },
  ]);
  return {
    trace: traceJson(runs[0]),
    machine: runs[0].machine.name,
    definitions: Object.fromEntries(
      METRICS.map(({ name, unit, definition }) => [name, { unit, definition }]),
    ),
    protocols: Object.fromEntries(protocols),
    counters: Object.fromEntries(
      [...counters]
        .filter(([name]) => !isReserved(name))
        .map(([name, { unit, description }]) => [name, { unit, description }]),
    ),
  };
}

/** The trace without the folder it happens to lie in. */
export function traceJson({ trace }: RunResult) {
  return { ...trace, path: basename(trace.path) };
}

function withUnits(values: MetricValues) {
  return Object.fromEntries(
    [...values].map(([name, value]) => [name, { value: finite(value), unit: metricDef(name).unit }]),
  );
}

function plain(values: MetricValues) {
  return Object.fromEntries([...values].map(([name, value]) => [name, finite(value)]));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
