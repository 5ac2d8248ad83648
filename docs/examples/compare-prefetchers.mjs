// Jukebox and a prefetcher of one's own over many functions: the table as CSV, and the plot.
// node docs/examples/compare-prefetchers.mjs <folder> <plug-in.js> <machine> <trace..>
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadMachine, loadPlugins, metricsOf, protocol, simulate } from "muswarm";

const [folder, file, machine, ...traces] = process.argv.slice(2);
const [plugin] = await loadPlugins([file]);
const columns = ["reference", "jukebox", "jukebox-paced", ...plugin.prefetchers, "perfect"];
const protocols = ["lukewarm", ...columns].map(protocol);
const runs = await simulate({ traces, machines: [loadMachine(machine)], protocols, plugins: [file] });

const rows = traces.map((_, i) => {
  const ofTrace = runs.slice(i * protocols.length, (i + 1) * protocols.length);
  const metrics = metricsOf(ofTrace).slice(1);
  return {
    name: ofTrace[0].trace.function,
    speedups: metrics.map((m) => m.total.get("speedup")),
    coverage: metrics.map((m) => m.total.get("coverage") ?? ""),
  };
});
rows.push({
  name: "geometric mean",
  speedups: columns.map((_, k) =>
    Math.exp(rows.reduce((s, r) => s + Math.log(r.speedups[k]), 0) / rows.length),
  ),
  coverage: columns.map(() => ""),
});

mkdirSync(folder, { recursive: true });
const head = ["function", ...columns.map((c) => `speedup ${c}`), ...columns.map((c) => `coverage ${c}`)];
const csv = [head, ...rows.map((r) => [r.name, ...r.speedups, ...r.coverage])];
writeFileSync(join(folder, "speedup.csv"), csv.map((row) => `${row.join(",")}\n`).join(""));
writeFileSync(join(folder, "speedup.svg"), plot());
console.log(
  csv.map((row) => row.map((v) => (typeof v === "number" ? v.toFixed(3) : v)).join("  ")).join("\n"),
);

/** Grouped bars: a group for each function, a bar for each column, speedup over lukewarm. */
function plot() {
  const colours = ["#888888", "#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#cc79a7", "#009e73"];
  const [bar, gap, height, left] = [9, 14, 240, 46];
  const group = bar * columns.length + gap;
  const top = Math.max(1.1, ...rows.flatMap((r) => r.speedups)) * 1.05;
  const y = (v) => 30 + height * (1 - v / top);
  const width = Math.max(left + group * rows.length, left + 105 * columns.length) + 10;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + 130}" font-family="sans-serif" font-size="11">`,
  ];
  for (let v = 0; v <= top; v += 0.25)
    out.push(
      `<path d="M${left} ${y(v)}H${width - 10}" stroke="${v === 1 ? "#000" : "#ddd"}"/>`,
      `<text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${v.toFixed(2)}</text>`,
    );
  rows.forEach((row, i) => {
    const x = left + gap / 2 + i * group;
    for (const [k, v] of row.speedups.entries())
      out.push(
        `<rect x="${x + k * bar}" y="${y(v)}" width="${bar - 1}" height="${y(0) - y(v)}" fill="${colours[k % colours.length]}"/>`,
      );
    out.push(
      `<text transform="translate(${x + group / 2 - 4} ${y(0) + 12}) rotate(-40)" text-anchor="end">${row.name}</text>`,
    );
  });
  for (const [k, name] of columns.entries())
    out.push(
      `<rect x="${left + k * 105}" y="8" width="9" height="9" fill="${colours[k % colours.length]}"/>`,
      `<text x="${left + 13 + k * 105}" y="16">${name}</text>`,
    );
  return `${out.join("\n")}\n</svg>\n`;
}
