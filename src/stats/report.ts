import { basename } from "node:path";
import type { RunResult } from "../experiment/contract.js";
import type { CacheSpec, MachineSpec, MemorySpec } from "../machine/spec.js";
import { cpiByGroup } from "./cpi-groups.js";
import { type MetricValues, metricsOf, mpkiName, type RunMetrics } from "./metrics.js";
import { cachesOf, measuredPrefetcher } from "./names.js";
import { decimals, formatTable, percent, signedPercent, whole } from "./table.js";
import { measuredTotal } from "./view.js";

export interface ReportOptions {
  /** Adds a table of the cycles of each measured invocation. */
  perInvocation: boolean;
  /** Code that an invocation touches, in kB of 1024 bytes, where it is known. */
  codeKB?: number;
}

/** Headings of protocols; others go by their names. */
const HEADINGS: Readonly<Record<string, string>> = {
  jukebox: "Jukebox",
  "jukebox-paced": "Jukebox paced",
  perfect: "perfect I$",
};

/**
 * One screen for the runs of one trace on one machine, a column for each protocol. The same runs give the same bytes.
 */
export function formatReport(runs: readonly RunResult[], options: ReportOptions): string {
  const all = metricsOf(runs);
  const parts = [headerLines(all[0]), formatTable(comparison(all))];
  const notes = footnotes(all, options.codeKB);
  if (notes.length > 0) parts.push(`${notes.join("\n")}\n`);
  if (options.perInvocation)
    parts.push(`Active cycles of each invocation\n${formatTable(invocationRows(all))}`);
  return parts.join("\n");
}

/** "L1I 16 kB 8-way, ..., LLC 128 kB 8-way shared, memory 30 ns 12.8 GiB/s" */
export function describeCaches(machine: MachineSpec): string {
  const cache = (name: string, spec: CacheSpec) =>
    `${name} ${spec.infinite ? "infinite" : `${size(spec.sizeKiB)} ${spec.ways}-way`}`;
  return [
    cache("L1I", machine.l1i),
    cache("L1D", machine.l1d),
    ...machine.levels.map((l) => `${cache(l.name.toUpperCase(), l.cache)}${l.shared ? " shared" : ""}`),
    describeMemory(machine.memory),
  ].join(", ");
}

/** "memory 30 ns 12.8 GiB/s", "memory DDR4_2400_8x8, 2 channels" */
function describeMemory(memory: MemorySpec): string {
  if (memory.model === "simple") return `memory ${memory.latencyNs} ns ${memory.bandwidthGiBs} GiB/s`;
  return `memory ${memory.device}, ${plural(memory.channels, "channel")}`;
}

/** "2 cores (pipeline) at 2.5 GHz" */
export function describeCores(machine: MachineSpec): string {
  return `${plural(machine.cores, "core")} (${machine.core.model}) at ${machine.clockGHz} GHz`;
}

function size(kiB: number): string {
  return kiB >= 1024 && kiB % 1024 === 0 ? `${kiB / 1024} MB` : `${kiB} kB`;
}

function headerLines({ run, total }: RunMetrics): string {
  const { trace } = run;
  const count = total.get("invocations")!;
  const warm = run.invocations.length - count;
  // The perfect I-cache is a protocol: the machine is described without it.
  const machine = run.protocol.perfectICache
    ? { ...run.machine, l1i: { ...run.machine.l1i, infinite: false } }
    : run.machine;
  return [
    `${trace.function} (${trace.runtime}), ${basename(trace.path)}, on ${machine.name}: ${describeCores(machine)}`,
    describeCaches(machine),
    `${plural(count, "invocation")} measured after ${warm} to warm up: ` +
      `${whole(total.get("instructions")! / count)} instructions an invocation, ${percent(total.get("kernelShare"))} % kernel`,
    "",
  ].join("\n");
}

function plural(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

/** Rows of the comparison: the function's core, averages over the measured invocations. */
function comparison(all: readonly RunMetrics[]): string[][] {
  const rows: string[][] = [["", ...all.map(({ run }) => HEADINGS[run.protocol.name] ?? run.protocol.name)]];
  const row = (label: string, text: (values: MetricValues, metrics: RunMetrics) => string) =>
    rows.push([label, ...all.map((m) => text(m.total, m))]);
  const title = (label: string) => rows.push([label, ...all.map(() => "")]);
  const average =
    (name: string, scale = 1, digits = 0) =>
    (v: MetricValues) => {
      const sum = v.get(name);
      return decimals(sum === undefined ? undefined : sum / v.get("invocations")! / scale, digits);
    };

  row("Active cycles an invocation", average("cycles"));
  if (all[0].invocations.length > 1) {
    row("  median", (_, m) => whole(m.cycleSpread.median));
    row("  smallest", (_, m) => whole(m.cycleSpread.min));
    row("  largest", (_, m) => whole(m.cycleSpread.max));
  }
  row("Latency seen by the client, µs", average("latency.time", 1, 1));
  row("Instructions per cycle", (v) => decimals(v.get("ipc"), 3));
  if (has(all, "speedup")) row("Speedup over lukewarm, %", (v) => signedPercent(v.get("speedup")! - 1));

  title("Misses per 1000 instructions");
  const { machine, trace } = all[0].run;
  for (const place of cachesOf(machine, trace.functionCore)) {
    for (const kind of place.kinds) {
      const split = place.kinds.length === 1 ? "" : kind === "inst" ? " instructions" : " data";
      row(`  ${place.level.toUpperCase()}${split}`, (v) => decimals(v.get(mpkiName(place.level, kind)), 2));
    }
  }

  if (has(all, "coverage")) {
    title(prefetchersTitle(all));
    row("  coverage, %", (v) => percent(v.get("coverage")));
    row("  accuracy, %", (v) => percent(v.get("accuracy")));
    if (has(all, "overprediction"))
      row("  overprediction, % of lukewarm misses", (v) => percent(v.get("overprediction")));
    row("  metadata read, kB an invocation", average("metadata.read", 1024, 1));
    row("  metadata written, kB an invocation", average("metadata.written", 1024, 1));
  }
  row("Memory traffic, kB an invocation", average("traffic", 1024));
  if (has(all, "traffic.change"))
    row("  change over lukewarm, %", (v) => signedPercent(v.get("traffic.change")));

  title("Cycles per instruction, by cause");
  const stacks = all.map((m) => cpiByGroup(m.total));
  stacks[0].forEach(({ label }, i) => {
    if (stacks.some((stack) => stack[i].cpi > 0))
      rows.push([`  ${label}`, ...stacks.map((s) => decimals(s[i].cpi, 3))]);
  });
  return rows;
}

/** "Jukebox, at the LLC"; "Prefetchers, at the LLC"; "Prefetchers" where they work at different levels. */
function prefetchersTitle(all: readonly RunMetrics[]): string {
  const places = all.flatMap(({ run }) => measuredPrefetcher(run) ?? []);
  const names = new Set(places.map(({ name }) => (name === "jukebox" ? "Jukebox" : name)));
  const levels = new Set(places.map(({ place }) => place.level.toUpperCase()));
  const title = names.size === 1 ? [...names][0] : "Prefetchers";
  return levels.size === 1 ? `${title}, at the ${[...levels][0]}` : title;
}

function has(all: readonly RunMetrics[], name: string): boolean {
  return all.some((m) => m.total.has(name));
}

/** What a reader must know to read the columns right; nothing else. */
function footnotes(all: readonly RunMetrics[], codeKB: number | undefined): string[] {
  const notes: string[] = [];
  const { machine } = all[0].run;
  const level = machine.levels.find((l) => l.name === machine.jukebox?.level);
  if (
    codeKB !== undefined &&
    level !== undefined &&
    all.some(({ run }) => run.protocol.jukebox !== undefined)
  ) {
    const holds = `the ${level.name.toUpperCase()}, which Jukebox fills, holds ${size(level.cache.sizeKiB)}`;
    notes.push(`An invocation touches ${whole(codeKB)} kB of code; ${holds}.`);
  }
  const levels = new Set(all.flatMap(({ run }) => measuredPrefetcher(run)?.place.level ?? []));
  for (const { run } of all) {
    const prefetcher = measuredPrefetcher(run);
    if (prefetcher !== undefined && levels.size > 1)
      notes.push(
        `${HEADINGS[run.protocol.name] ?? run.protocol.name} works at the ${prefetcher.place.level.toUpperCase()}.`,
      );
  }
  for (const { run } of all) {
    const { protocol, trace } = run;
    if (protocol.jukebox === undefined) continue;
    const heading = HEADINGS[protocol.name] ?? protocol.name;
    const distance = run.machine.jukebox?.replayDistance ?? -1;
    if (distance >= 0)
      notes.push(`${heading}: the replay waits while ${distance} prefetched lines are unused.`);
    const view = measuredTotal(run);
    const counter = (name: string) => view.get(`cpu${trace.functionCore}.jukebox.${name}`);
    const lines = counter("totalNumPrefetches");
    const lost = counter("linesOverflowed");
    if (lost > 0) {
      const kB = run.machine.jukebox!.metadataBytes / 1024;
      notes.push(
        `${heading}: ${percent(lost / lines)} % of the recorded lines did not fit into ${kB} kB of metadata.`,
      );
    }
    const left = counter("linesLeft");
    const share = left / (left + counter("pfGenerated"));
    if (share >= 0.01)
      notes.push(
        `${heading}: invocations ended before ${percent(share)} % of the recorded lines were replayed.`,
      );
  }
  return notes;
}

function invocationRows(all: readonly RunMetrics[]): string[][] {
  return [
    ["Invocation", ...all.map(({ run }) => HEADINGS[run.protocol.name] ?? run.protocol.name)],
    ...all[0].invocations.map(({ invocation }, i) => [
      String(invocation),
      ...all.map((m) => whole(m.invocations[i].values.get("cycles")!)),
    ]),
  ];
}
