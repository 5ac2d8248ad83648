/** `npm run bench`: speed of the simulator, and IPC with and without Jukebox. */
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import Table from "cli-table3";
import { loadMachine, metricsOf, protocol, simulate } from "muswarm";
import { children, traceFolder } from "./child.js";
import type { Outcome } from "./measure.js";

const args = process.argv.slice(2);
const json = args.includes("--json");
const [processes, samples] = args.includes("--quick") ? [1, 3] : [3, 3];
for (const arg of args)
  if (arg.startsWith("--") && !["--json", "--quick"].includes(arg)) {
    console.error(`npm run bench -- [NAME...] [--json] [--quick]; got ${arg}`);
    process.exit(2);
  }
const shipped = readdirSync(traceFolder)
  .filter((f) => f.endsWith(".trace"))
  .sort();
const names = args.filter((a) => !a.startsWith("--"));
for (const name of names)
  if (!shipped.includes(`${name}.trace`)) {
    console.error(`no shipped trace "${name}"; there are ${shipped.map((f) => f.slice(0, -6)).join(", ")}`);
    process.exit(2);
  }
// IPC of all shipped traces; speed of the first suite, whose traces differ by runtime, and of the validation programs.
const ipcTraces = names.length > 0 ? names.map((n) => `${n}.trace`) : shipped;
const speedTraces =
  names.length > 0
    ? ipcTraces
    : [
        ...shipped.filter((f) => f.startsWith("fibonacci-")),
        ...["bc110", "qsort", "sha256"].map((program) => `../test/validation/traces/${program}.trace`),
      ];

const speed: { what: string; unit: string; value: number; errorPercent: number }[] = [];
const add = (what: string, unit: string, value: number, { errorPercent }: Outcome) =>
  speed.push({ what, unit, value, errorPercent });

for (const name of speedTraces) {
  const path = traceFolder + name;
  const file = basename(name);
  for (const model of ["pipeline", "timing"]) {
    const outcome = children(processes, samples, "simulation", path, model, "simple");
    add(`simulate ${file}, ${model}, Jukebox on`, "MIPS", outcome.perSecond / 1e6, outcome);
  }
  const outcome = children(processes, samples, "reading", path);
  add(`read ${file}`, "M instructions/s", outcome.perSecond / 1e6, outcome);
}
for (const [what, lines] of [
  ["L1D hit", 128],
  ["LLC hit", 1024],
  ["memory", 65536],
] as const) {
  const outcome = children(processes, samples, "access", String(lines));
  add(`one load, ${what}`, "ns", 1e9 / outcome.perSecond, outcome);
}

const protocols = ["reference", "lukewarm", "jukebox", "jukebox-paced", "perfect"].map(protocol);
const machines = ["simple", "skylake-like"].map((name) => loadMachine(name));
const runs = await simulate({ traces: ipcTraces.map((f) => traceFolder + f), machines, protocols });
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
