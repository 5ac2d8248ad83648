import { basename, join } from "node:path";
import { InputError } from "../errors.js";
import type { ProtocolSpec, RunResult } from "../experiment/contract.js";
import { PROTOCOLS, protocol } from "../experiment/protocols.js";
import { loadMachine, type Override, parseOverride } from "../machine/load.js";
import type { MachineSpec } from "../machine/spec.js";
import type { Plugin } from "../plugins/load.js";
import { comparisonJson } from "../stats/json.js";
import { formatReport } from "../stats/report.js";
import { checkResultsFolder, writeResults } from "../stats/results.js";
import type { Args } from "./args.js";
import { version } from "./cli.js";
import { codeFootprintKB } from "./footprint.js";
import { type Io, writeJson } from "./io.js";
import { Progress } from "./progress.js";

/** One trace on one machine: what becomes one screen and one folder. */
interface Comparison {
  trace: string;
  machine: MachineSpec;
  /** Results folder, or undefined for none. */
  folder: string | undefined;
}

/** `muswarm sim <trace..>` */
export async function sim(args: Args, io: Io): Promise<number> {
  const plugins = await usePlugins(args);
  const overrides = overridesOf(args);
  const names = args.texts("machine").length > 0 ? args.texts("machine") : ["simple"];
  const machines = names.map((name) => loadMachine(name, overrides));
  const protocols = protocolsOf(args, plugins);
  const force = args.flag("force");
  const comparisons = planned(args, machines, overrides);
  for (const { folder } of comparisons) if (folder !== undefined) checkResultsFolder(folder, force);

  const runs = await runAll(args.words, machines, protocols, args, io);
  const documents: unknown[] = [];
  comparisons.forEach(({ trace, folder }, i) => {
    const results = runs.slice(i * protocols.length, (i + 1) * protocols.length);
    if (folder !== undefined) writeResults(folder, results, { force, version: version() });
    const perInvocation = args.flag("per-invocation");
    if (args.flag("json"))
      documents.push({ folder: folder ?? null, ...comparisonJson(results, { perInvocation }) });
    else {
      io.stdout.write(
        `${i > 0 ? "\n" : ""}${formatReport(results, { perInvocation, codeKB: codeFootprintKB(trace) })}`,
      );
      if (folder !== undefined) io.stdout.write(`Results: ${folder}/\n`);
    }
  });
  if (args.flag("json")) writeJson(io, { muswarm: version(), comparisons: documents });
  return 0;
}

/** Simulates with progress on stderr. */
export async function runAll(
  traces: readonly string[],
  machines: readonly MachineSpec[],
  protocols: readonly ProtocolSpec[],
  args: Args,
  io: Io,
): Promise<RunResult[]> {
  // Loaded when the options are known to be right: the simulator takes longer to load than to be refused.
  const { simulate } = await import("../experiment/simulate.js");
  const progress = new Progress(io);
  try {
    const runs = await simulate(
      {
        traces,
        machines,
        protocols,
        seed: args.integer("seed"),
        jobs: args.integer("jobs"),
        plugins: args.texts("plugin"),
        signal: io.signal,
      },
      (work) => progress.update(work),
    );
    progress.finish(runs.reduce((sum, run) => sum + run.simulatedInstructions, 0));
    return runs;
  } finally {
    progress.clear();
  }
}

/** Machine descriptions may name what plug-ins add: they are loaded first. */
export async function usePlugins(args: Args): Promise<readonly Plugin[]> {
  const paths = args.texts("plugin");
  if (paths.length === 0) return [];
  const { loadPlugins } = await import("../plugins/load.js");
  return await loadPlugins(paths);
}

function overridesOf(args: Args): Override[] {
  const model = args.text("core-model");
  const sets = args.texts("set").map(parseOverride);
  return model === undefined ? sets : [{ path: "core.model", value: model }, ...sets];
}

/** Those asked for; else all, and one for each prefetcher of a plug-in. */
function protocolsOf(args: Args, plugins: readonly Plugin[]): readonly ProtocolSpec[] {
  const names = args.texts("protocol");
  names.forEach((name, i) => {
    if (names.indexOf(name) !== i) throw new InputError(`sim: --protocol ${name} is given twice`);
  });
  const chosen =
    names.length > 0
      ? names.map(protocol)
      : [...PROTOCOLS, ...plugins.flatMap((p) => p.prefetchers).map(protocol)];
  const distance = args.integer("replay-distance");
  if (distance === undefined) return chosen;
  if (!chosen.some((p) => p.name === "jukebox-paced")) {
    throw new InputError(
      "sim: --replay-distance is for the protocol jukebox-paced, which is not among the chosen",
    );
  }
  return chosen.map((p) =>
    p.name === "jukebox-paced" ? { ...p, jukebox: { ...p.jukebox, replayDistance: distance } } : p,
  );
}

/** All comparisons in the order of the results, each with a folder of its own. */
function planned(args: Args, machines: readonly MachineSpec[], overrides: readonly Override[]): Comparison[] {
  if (args.flag("no-out") && args.text("out") !== undefined)
    throw new InputError("sim: --out and --no-out exclude each other");
  const several = args.words.length * machines.length > 1;
  const taken = new Set<string>();
  return args.words.flatMap((trace) =>
    machines.map((machine) => {
      if (args.flag("no-out")) return { trace, machine, folder: undefined };
      const name = folderName(trace, machine, overrides);
      const out = args.text("out");
      const folder = out === undefined ? join("results", name) : several ? join(out, name) : out;
      if (taken.has(folder)) {
        throw new InputError(
          `sim: two of the results would be written to ${folder}; simulate them one by one with --out`,
        );
      }
      taken.add(folder);
      return { trace, machine, folder };
    }),
  );
}

/** "fib-simple", "fib-simple-levels.0.cache.sizeKiB=256". */
function folderName(trace: string, machine: MachineSpec, overrides: readonly Override[]): string {
  const changes = overrides.map(
    (o) => `-${o.path}=${typeof o.value === "string" ? o.value : JSON.stringify(o.value)}`,
  );
  const name = `${basename(trace).replace(/\.trace$/, "")}-${machine.name}${changes.join("")}`;
  return name.replaceAll(/[^\w.=+-]/g, "_").slice(0, 200);
}
