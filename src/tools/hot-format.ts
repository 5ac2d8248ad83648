import type { HotReport } from "./hot.js";

/** The screen of `muswarm trace hot`. */
export function formatHot(report: HotReport): string {
  const { instructions, lineFetches, functions } = report;
  const rows = functions.map((f) => [
    `${((100 * f.instructions) / Math.max(1, instructions)).toFixed(1)} %`,
    f.instructions.toLocaleString("en"),
    f.footprintKB.toFixed(2),
    `${((100 * f.lineFetches) / Math.max(1, lineFetches)).toFixed(1)} %`,
    f.name,
    f.privilege === "kernel" && f.object === "kernel" ? "kernel" : f.object || `unknown, ${f.privilege}`,
  ]);
  const head = ["share", "instructions", "code kB", "line fetches", "function", "object"];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i < 4 ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return [
    `${report.path}: core ${report.core}, block executions ${report.from} to ${report.to}`,
    `${instructions.toLocaleString("en")} instructions in ${report.functionCount} functions, ` +
      `${report.footprintKB.toFixed(1)} kB of code, ${lineFetches.toLocaleString("en")} line fetches, ` +
      `${(100 * report.named).toFixed(1)} % of the instructions have a name`,
    "",
    line(head),
    ...rows.map(line),
    "",
  ].join("\n");
}
