// How far may Jukebox's replay run ahead? Sweeps `jukebox.replayDistance` and prints a table in Markdown: speedup over
// lukewarm in per cent, coverage in brackets. The table in docs/experiments.md was printed by this, without arguments.
//
//   node docs/examples/replay-distance.mjs [machine] [trace...]
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { loadMachine, metricsOf, protocol, simulate } from "muswarm";

const distances = [-1, 16, 32, 48, 64, 96, 128, 256, 512];
const [machine, ...given] = process.argv.slice(2);
const machines = machine === undefined ? ["simple", "skylake-like"] : [machine];
const shipped = (name) => fileURLToPath(new URL(`../../traces/fibonacci-${name}.trace`, import.meta.url));
const traces = given.length > 0 ? given : ["go", "python", "nodejs"].map(shipped);

const jukebox = protocol("jukebox");
const protocols = [
  protocol("lukewarm"),
  ...distances.map((d) => ({ ...jukebox, name: `distance ${d}`, jukebox: { replayDistance: d } })),
];
const percent = (x) => `${x < 0 ? "-" : "+"}${Math.abs(100 * x).toFixed(1)}`;

console.log(`| machine, function | unpaced | ${distances.slice(1).join(" | ")} |`);
console.log(`|---|${distances.map(() => "---").join("|")}|`);
for (const name of machines)
  for (const trace of traces) {
    const runs = await simulate({ traces: [trace], machines: [loadMachine(name)], protocols });
    const cells = metricsOf(runs)
      .slice(1)
      .map(
        ({ total }) => `${percent(total.get("speedup") - 1)} (${Math.round(100 * total.get("coverage"))})`,
      );
    console.log(`| ${name}, ${basename(trace, ".trace")} | ${cells.join(" | ")} |`);
  }
