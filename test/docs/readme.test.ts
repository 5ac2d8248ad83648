import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

test.skipIf(!existsSync(`${root}dist/index.js`))("README.md shows what npm start prints", () => {
  const out = execFileSync(
    process.execPath,
    [`${root}bin/muswarm.js`, "sim", `${root}traces/fibonacci-go.trace`, "--no-out"],
    { encoding: "utf8" },
  );
  const shown = readFileSync(`${root}README.md`, "utf8").split("```")[3].trim().split("\n");
  expect(shown.length).toBeGreaterThan(30);
  // Fewer columns are not shown, nor lines left out.
  expect(out.trim().split("\n").slice(0, shown.length)).toEqual(shown);
});
