import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
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
