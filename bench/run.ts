/** `npm run bench`: speed of the simulator, and IPC with and without Jukebox for each shipped trace. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { loadMachine, metricsOf, protocol, simulate } from "muswarm";
import type { Outcome } from "./measure.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const json = process.argv.includes("--json");
const samples = process.argv.includes("--quick") ? 3 : 9;
const traceFolder = here("../../traces/");
const traces = readdirSync(traceFolder)
  .filter((f) => f.endsWith(".trace"))
  .sort();

function child(...args: string[]): Outcome {
  process.stderr.write(`measuring ${args.map((a) => a.replace(traceFolder, "")).join(" ")}\n`);
  const text = execFileSync(process.execPath, [here("./measure.js"), ...args, String(samples)], {
    encoding: "utf8",
  });
  return JSON.parse(text) as Outcome;
}

const speed: { what: string; unit: string; value: number; errorPercent: number }[] = [];
const add = (what: string, unit: string, value: number, { errorPercent }: Outcome) =>
  speed.push({ what, unit, value, errorPercent });

for (const file of traces) {
  const path = traceFolder + file;
  for (const model of ["pipeline", "timing"]) {
    const outcome = child("simulation", path, model, "simple");
    add(`simulate ${file}, ${model}, Jukebox on`, "MIPS", outcome.perSecond / 1e6, outcome);
  }
  const outcome = child("reading", path);
  add(`read ${file}`, "M instructions/s", outcome.perSecond / 1e6, outcome);
}
for (const [what, lines] of [
  ["L1D hit", 128],
  ["LLC hit", 1024],
  ["memory", 65536],
] as const) {
  const outcome = child("access", String(lines));
  add(`one load, ${what}`, "ns", 1e9 / outcome.perSecond, outcome);
}

const protocols = ["reference", "lukewarm", "jukebox", "jukebox-paced", "perfect"].map(protocol);
const machines = ["simple", "skylake-like"].map((name) => loadMachine(name));
const runs = await simulate({ traces: traces.map((f) => traceFolder + f), machines, protocols });
const ipc: { trace: string; machine: string; ipc: Record<string, number> }[] = [];
for (let i = 0; i < runs.length; i += protocols.length) {
  const metrics = metricsOf(runs.slice(i, i + protocols.length));
  const { trace, machine } = runs[i];
  ipc.push({
    trace: trace.function,
    machine: machine.name,
    ipc: Object.fromEntries(metrics.map((m) => [m.run.protocol.name, m.total.get("ipc") as number])),
  });
}

if (json) {
  console.log(JSON.stringify({ speed, ipc }, null, 2));
} else {
  const speeds = new Table({ head: ["Speed", "median", "unit", "± %"], style: { head: [], border: [] } });
  for (const s of speed) speeds.push([s.what, s.value.toFixed(1), s.unit, s.errorPercent.toFixed(1)]);
  const ipcs = new Table({
    head: ["IPC", "machine", ...protocols.map((p) => p.name)],
    style: { head: [], border: [] },
  });
  for (const row of ipc)
    ipcs.push([row.trace, row.machine, ...protocols.map((p) => row.ipc[p.name].toFixed(3))]);
  console.log(`${speeds.toString()}\n${ipcs.toString()}`);
}
