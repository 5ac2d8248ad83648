// What Jukebox gives back of what lukewarm execution costs, for each LLC size: a research script.
// Run it in the checkout after `npm start` has built the package: node docs/examples/compare.mjs [trace]
import { loadMachine, metricsOf, parseOverride, protocol, simulate } from "muswarm";

const trace = process.argv[2] ?? new URL("../../traces/fibonacci-go.trace", import.meta.url).pathname;
const sizes = [128, 512, 2048];
const protocols = ["reference", "lukewarm", "jukebox"].map(protocol);

const machines = sizes.map((kib) => ({
  ...loadMachine("simple", [parseOverride(`levels.0.cache.sizeKiB=${kib}`)]),
  name: `simple-${kib}k`,
}));
const runs = await simulate({ traces: [trace], machines, protocols });

console.log("LLC kB   reference IPC   lukewarm IPC   Jukebox IPC   speedup %");
for (const [i, kib] of sizes.entries()) {
  const ofMachine = runs.slice(i * protocols.length, (i + 1) * protocols.length);
  const [reference, lukewarm, jukebox] = metricsOf(ofMachine).map((m) => m.total);
  const row = [
    String(kib).padStart(6),
    reference.get("ipc").toFixed(3).padStart(15),
    lukewarm.get("ipc").toFixed(3).padStart(14),
    jukebox.get("ipc").toFixed(3).padStart(13),
    ((jukebox.get("speedup") - 1) * 100).toFixed(1).padStart(11),
  ];
  console.log(row.join(" "));
}
