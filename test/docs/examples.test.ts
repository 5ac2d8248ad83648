import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

// `npm test` builds the package first; the example imports it as a user would.
test.skipIf(!existsSync(`${root}dist/index.js`))(
  "docs/examples/compare.mjs runs and prints a row for each LLC size",
  () => {
    const out = execFileSync(process.execPath, [`${root}docs/examples/compare.mjs`], { encoding: "utf8" });
    const rows = out.trim().split("\n").slice(1);
    expect(rows.map((r) => Number(r.trim().split(/\s+/)[0]))).toEqual([128, 512, 2048]);
    for (const row of rows)
      for (const figure of row.trim().split(/\s+/)) expect(Number(figure)).not.toBeNaN();
  },
);

test.skipIf(!existsSync(`${root}dist/index.js`))(
  "docs/examples/miss-list.js gains something, and stands beside Jukebox in the table and the plot of all traces",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "muswarm-test-"));
    try {
      const traces = ["go", "python"].map((runtime) => `${root}traces/fibonacci-${runtime}.trace`);
      const [script, plugin] = ["compare-prefetchers.mjs", "miss-list.js"].map(
        (f) => `${root}docs/examples/${f}`,
      );
      execFileSync(process.execPath, [script, folder, plugin, "simple", ...traces]);
      const [head, ...rows] = readFileSync(join(folder, "speedup.csv"), "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(","));
      expect(rows.map(([name]) => name)).toEqual(["fibonacci-go", "fibonacci-python", "geometric mean"]);
      for (const row of rows) expect(Number(row[head.indexOf("speedup miss-list")])).toBeGreaterThan(1);
      for (const row of rows.slice(0, 2)) {
        const coverage = Number(row[head.indexOf("coverage miss-list")]);
        expect(coverage).toBeGreaterThan(0.05);
        expect(coverage).toBeLessThan(1);
      }
      const bars = readFileSync(join(folder, "speedup.svg"), "utf8").match(/<rect /g)!;
      expect(bars.length).toBe(5 * rows.length + 5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test.skipIf(!existsSync(`${root}dist/index.js`))(
  "docs/examples/replay-distance.mjs prints the rows of docs/experiments.md",
  () => {
    const trace = `${root}traces/fibonacci-go.trace`;
    const script = `${root}docs/examples/replay-distance.mjs`;
    const out = execFileSync(process.execPath, [script, "skylake-like", trace], { encoding: "utf8" });
    expect(readFileSync(`${root}docs/experiments.md`, "utf8")).toContain(out.trim().split("\n").at(-1));
  },
);
