import type { InvocationResult, RunResult } from "../experiment/contract.js";
import { cpuRows } from "./gem5-cpu.js";
import { formatGem5Block, type Gem5Row } from "./gem5-format.js";
import {
  type CachePlace,
  cachesOf,
  coresOf,
  instructions,
  type Kind,
  memoryBytes,
  mshrMisses,
  prefetchedKinds,
} from "./names.js";
import { type CounterView, invocationView, measuredInvocations } from "./view.js";

export { type Gem5Dump, parseGem5Stats } from "./gem5-format.js";

/**
 * A run as gem5's stats.txt, under the names of gem5 v23 and later (`commitStats0.numInsts`): scripts
 * written for gem5's files read it. One block for each measured invocation, from WorkBegin to WorkEnd.
 *
 * What differs from a file of gem5's: hostSeconds and its kind are left out, for they are not
 * deterministic; rows of inst, data and total are there even when they are 0; a tick is 1 ps and a cycle
 * may be a fraction of ticks (2.6 GHz), sums are rounded; loads and stores are not told apart in the data
 * TLB (mmu.dtb.accesses); numCycles is the active cycles, idleCycles the
 * rest; pfLate is prefetched lines demanded before they had arrived.
 */
export function gem5Stats(run: RunResult): string {
  return measuredInvocations(run)
    .map((invocation) => formatGem5Block(blockRows(run, invocation)))
    .join("");
}

/** Ticks (ps) of a number of cycles. */
function ticks(run: RunResult, cycles: number): number {
  return Math.round((cycles * 1000) / run.machine.clockGHz);
}

function blockRows(run: RunResult, invocation: InvocationResult): Gem5Row[] {
  const view = invocationView(run, invocation);
  const cores = coresOf(run.schema);
  const committed = cores.reduce((sum, core) => {
    const { user, kernel } = instructions(view, core);
    return sum + user + kernel;
  }, 0);
  const ops = cores.reduce((sum, core) => sum + view.get(`cpu${core}.numOps`), 0);
  const spent = ticks(run, invocation.endCycle - invocation.beginCycle);
  const rows: Gem5Row[] = [
    {
      name: "simSeconds",
      value: spent / 1e12,
      sixDecimals: true,
      description: "Simulated time",
      unit: "Second",
    },
    { name: "simTicks", value: spent, description: "Simulated time", unit: "Tick" },
    {
      name: "finalTick",
      value: ticks(run, invocation.endCycle),
      description: "Time since the begin of the run",
      unit: "Tick",
    },
    { name: "simFreq", value: 1e12, description: "Ticks of a simulated second", unit: "(Tick/Second)" },
    { name: "simInsts", value: committed, description: "Instructions committed, all cores", unit: "Count" },
    { name: "simOps", value: ops, description: "Micro-ops committed, all cores", unit: "Count" },
  ];
  for (const core of cores) {
    rows.push(...cpuRows(view, run.machine, core));
    for (const place of cachesOf(run.machine, core)) {
      if (!place.shared) rows.push(...cacheRows(run, view, place, [core]));
    }
  }
  for (const place of cachesOf(run.machine, cores[0]))
    if (place.shared) rows.push(...cacheRows(run, view, place, cores));
  rows.push(...memoryRows(view));
  if (cores.length > 1) return rows;
  // gem5 numbers cores only where there are several.
  return rows.map((row) => ({ ...row, name: row.name.replaceAll(/\bcpu0\b/g, "cpu") }));
}

function cacheName(place: CachePlace): string {
  const [, cpu] = /^(cpu\d+)\./.exec(place.path) ?? [];
  const own = { l1i: "icache", l1d: "dcache", llc: "llc" }[place.level] ?? `${place.level}cache`;
  return cpu === undefined ? `system.${own}` : `system.${cpu}.${own}`;
}

/** Who asks: gem5's name, our requesters, and whether a row is written when it never asked. */
const REQUESTORS = [
  { sub: "inst", who: ["inst"], always: true, demand: true },
  { sub: "data", who: ["load", "store"], always: true, demand: true },
  { sub: "mmu.walker", who: ["walk"], always: false, demand: true },
  { sub: "prefetcher", who: ["prefetch"], always: false, demand: false },
] as const;

type Count = (metric: string) => number;

/** Statistics of a cache: name behind demand or overall, unit, description, value. */
function vectors(
  run: RunResult,
): [name: string, unit: string, description: string, value: (count: Count) => number][] {
  const latency = (count: Count) => ticks(run, count("missLatency"));
  const lines = (count: Count) => count("misses") - count("mshrMerges");
  return [
    ["Hits", "Count", "hits", (count) => count("hits")],
    ["Misses", "Count", "misses, merges into a miss under way included", (count) => count("misses")],
    ["MissLatency", "Tick", "time from misses to their data", latency],
    ["Accesses", "Count", "accesses", (count) => count("accesses")],
    ["MissRate", "Ratio", "misses / accesses", (count) => count("misses") / count("accesses")],
    ["AvgMissLatency", "(Tick/Count)", "time of a miss", (count) => latency(count) / count("misses")],
    ["MshrHits", "Count", "misses merged into a miss under way", (count) => count("mshrMerges")],
    ["MshrMisses", "Count", "misses sent on to the level below", lines],
    ["MshrMissRate", "Ratio", "misses sent on / accesses", (count) => lines(count) / count("accesses")],
  ];
}

function cacheRows(
  run: RunResult,
  view: CounterView,
  place: CachePlace,
  cores: readonly number[],
): Gem5Row[] {
  const name = cacheName(place);
  const rows: Gem5Row[] = [];
  const all = cores.flatMap((core) =>
    REQUESTORS.filter((r) => place.kinds.length > 1 || r.sub === place.kinds[0] || !r.always).map((r) => ({
      sub: `cpu${core}.${r.sub}`,
      demand: r.demand,
      always: r.always,
      count: (metric: string) => view.sum(r.who.map((who) => `${place.path}.${metric}.cpu${core}.${who}`)),
    })),
  );
  const present = all.filter((r) => r.always || r.count("accesses") > 0);
  for (const [stat, unit, description, value] of vectors(run)) {
    for (const scope of ["demand", "overall"]) {
      const part = scope === "demand" ? present.filter((r) => r.demand) : present;
      const total: Count = (metric) => part.reduce((sum, r) => sum + r.count(metric), 0);
      for (const r of [...part, { sub: "total", count: total }]) {
        rows.push({
          name: `${name}.${scope}${stat}::${r.sub}`,
          value: value(r.count),
          description: `${scope} ${description}`,
          unit,
        });
      }
    }
  }
  const single = (stat: string, counter: string, description: string) =>
    rows.push({
      name: `${name}.${stat}`,
      value: view.get(`${place.path}.${counter}`),
      description,
      unit: "Count",
    });
  single("replacements", "replacements", "lines put out to make room");
  single("writebacks::writebacks", "writebacks", "dirty lines sent to the level below");
  single("writebacks::total", "writebacks", "dirty lines sent to the level below");
  const kinds = prefetchedKinds(run, place.level);
  if (kinds.length > 0) rows.push(...prefetcherRows(`${name}.prefetcher`, view, place, cores, kinds));
  for (const { path, defs } of run.schema.groups) {
    const [, core, prefetcher] = new RegExp(`^cpu(\\d+)\\.${place.level}\\.(.+)$`).exec(path) ?? [];
    if (core === undefined || !cores.includes(Number(core))) continue;
    for (const { name: counter, unit, description } of defs)
      rows.push({
        name: `${name}.${prefetcher}.${counter}${place.shared ? `::cpu${core}` : ""}`,
        value: view.get(`${path}.${counter}`),
        description,
        unit,
      });
  }
  return rows;
}

function prefetcherRows(
  name: string,
  view: CounterView,
  place: CachePlace,
  cores: readonly number[],
  kinds: readonly Kind[],
): Gem5Row[] {
  const sum = (metric: string) =>
    cores.reduce((s, core) => s + view.get(`${place.path}.${metric}.cpu${core}`), 0);
  const missed = cores.reduce(
    (s, core) => s + kinds.reduce((of, kind) => of + mshrMisses(view, place.path, core, kind), 0),
    0,
  );
  const issued = sum("pfIssued");
  const useful = sum("pfUseful");
  const row = (stat: string, value: number, description: string, unit = "Count"): Gem5Row => ({
    name: `${name}.${stat}`,
    value,
    description,
    unit,
  });
  return [
    row(
      "demandMshrMisses",
      missed,
      `${kinds.length > 1 ? "demand" : kinds[0] === "inst" ? "instruction" : "data"} misses sent on to the level below`,
    ),
    row("pfIssued", issued, "prefetches sent to the level below"),
    row("pfUnused", sum("pfUnused"), "prefetched lines that left without having been demanded"),
    row("pfUseful", useful, "prefetched lines that were demanded"),
    row("accuracy", useful / issued, "pfUseful / pfIssued", "Ratio"),
    row("coverage", useful / (useful + missed), "pfUseful / (pfUseful + demandMshrMisses)", "Ratio"),
    row("pfInCache", sum("pfInCache"), "prefetches not needed: present, on the way or queued"),
    row("pfLate", sum("pfLate"), "prefetched lines demanded before they had arrived"),
  ];
}

function memoryRows(view: CounterView): Gem5Row[] {
  const rows: Gem5Row[] = [];
  for (const direction of ["read", "written"]) {
    const stat = direction === "read" ? "bytesRead" : "bytesWritten";
    const parts = memoryBytes(view)
      .filter(({ kind }) => kind.startsWith(`${direction}.`))
      .map(({ kind, bytes }) => ({ sub: kind.slice(direction.length + 1), bytes }));
    const total = { sub: "total", bytes: parts.reduce((sum, p) => sum + p.bytes, 0) };
    for (const { sub, bytes } of [...parts, total]) {
      rows.push({
        name: `system.mem_ctrls.${stat}::${sub}`,
        value: bytes,
        description: `Bytes ${direction}`,
        unit: "Byte",
      });
    }
  }
  rows.push({
    name: "system.mem_ctrls.numReads::total",
    value: view.get("memory.reads"),
    description: "Lines read",
    unit: "Count",
  });
  rows.push({
    name: "system.mem_ctrls.numWrites::total",
    value: view.get("memory.writes"),
    description: "Lines written",
    unit: "Count",
  });
  return rows;
}
