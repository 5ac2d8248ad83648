import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { METRICS } from "../../src/stats/metrics.js";

const PAGE = new URL("../../docs/metrics.md", import.meta.url);

/** The page's table, as it must stand there. */
const table = () =>
  [
    "| metric | unit | definition |",
    "|---|---|---|",
    ...METRICS.map((m) => `| \`${m.name}\` | ${m.unit} | ${m.definition} |`),
  ].join("\n");

test("docs/metrics.md holds the definition of every metric, as the program has it", () => {
  expect(readFileSync(PAGE, "utf8")).toContain(table());
});
