/**
 * `npm run bench:check`: has the simulator become slower? Compares with baseline.json, as ratios to a plain
 * JavaScript loop measured in the same run, so that the machine's own speed does not count.
 * `npm run bench:check -- --update` writes the baseline anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import Table from "cli-table3";
import { child, here, traceFolder } from "./child.js";

interface Baseline {
  /** What is measured, in units of the calibration loop's steps. */
  [measurement: string]: {
    ratio: number;
    /** May fall below `ratio` by this share of it. */
    tolerance: number;
  };
}

const ROUNDS = 3;
const SAMPLES = 5;
const TOLERANCE = 0.3;
const FILE = here("../baseline.json");
const GO = `${traceFolder}fibonacci-go.trace`;

const MEASUREMENTS: Record<string, readonly string[]> = {
  "simulate fibonacci-go, pipeline": ["simulation", GO, "pipeline", "simple"],
  "simulate fibonacci-go, timing": ["simulation", GO, "timing", "simple"],
  "read fibonacci-go": ["reading", GO],
  "load, L1D hit": ["access", "128"],
  "load, LLC hit": ["access", "1024"],
  "load, memory": ["access", "65536"],
};

// The fastest of all samples, of the loop as well: whoever else uses the machine only makes them slower. The loop is measured
// beside each measurement, so both have had their quiet moments.
const fastest: Record<string, number> = {};
let loop = 0;
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, args] of Object.entries(MEASUREMENTS)) {
    fastest[name] = Math.max(fastest[name] ?? 0, child(SAMPLES, ...args).best);
    loop = Math.max(loop, child(SAMPLES, "calibration").best);
  }
}
const ratios: Record<string, number> = {};
for (const name of Object.keys(MEASUREMENTS)) ratios[name] = fastest[name] / loop;

if (process.argv.includes("--update")) {
  const baseline: Baseline = {};
  for (const [name, ratio] of Object.entries(ratios))
    baseline[name] = { ratio: Number(ratio.toPrecision(4)), tolerance: TOLERANCE };
  writeFileSync(FILE, `${JSON.stringify(baseline, null, 2)}\n`);
  console.log(`wrote ${FILE}`);
} else {
  const baseline = JSON.parse(readFileSync(FILE, "utf8")) as Baseline;
  const table = new Table({
    head: ["", "ratio", "baseline", "change, %", "allowed, %"],
    style: { head: [], border: [] },
  });
  let slower = 0;
  for (const [name, ratio] of Object.entries(ratios)) {
    const was = baseline[name];
    if (was === undefined) throw new Error(`bench/baseline.json: no "${name}"; run with --update`);
    const change = ratio / was.ratio - 1;
    if (change < -was.tolerance) slower++;
    table.push([
      name,
      ratio.toPrecision(4),
      String(was.ratio),
      (change * 100).toFixed(1),
      (-was.tolerance * 100).toFixed(0),
    ]);
  }
  console.log(table.toString());
  if (slower > 0) {
    console.error(`${slower} of ${Object.keys(ratios).length} are slower than allowed`);
    process.exit(1);
  }
}
