import type { CoreValidation, ValidateReport } from "./validate.js";

/** The screen of `muswarm trace validate`. */
export function formatValidation(report: ValidateReport): string {
  const lines = [
    `${report.path}: ${report.function}, ${number(report.instructions)} instructions, ${number(report.blocks)} blocks, ${number(report.pages)} pages`,
    "",
  ];
  for (const { name, tested, wrong, examples } of report.checks) {
    const what =
      wrong === 0 ? `ok     ${name}` : `WRONG  ${name}: ${number(wrong)} of ${number(tested)} do not`;
    lines.push(tested > 1 && wrong === 0 ? `${what} (${number(tested)} tested)` : what);
    for (const example of examples) lines.push(`         ${example}`);
    if (wrong > examples.length && examples.length > 0)
      lines.push(`         and ${number(wrong - examples.length)} more`);
  }
  for (const core of report.cores) lines.push("", ...formatCore(core));
  if (report.remappedCodePages > 0)
    lines.push("", `${number(report.remappedCodePages)} virtual code pages are on several physical pages`);
  lines.push("", report.ok ? "The trace is sound." : "The trace is NOT sound.", "");
  return lines.join("\n");
}

function formatCore(core: CoreValidation): string[] {
  const { instructions, kernelInstructions, blockExecutions, transitions } = core;
  const kernel = instructions === 0 ? 0 : (100 * kernelInstructions) / instructions;
  const total = Object.values(transitions).reduce((a, b) => a + b, 0);
  const lines = [
    `core ${core.core}: ${number(instructions)} instructions (${kernel.toFixed(1)} % kernel) in ${number(blockExecutions)} block executions`,
  ];
  for (const [name, count] of Object.entries(transitions))
    lines.push(
      `  ${name.padEnd(30)} ${number(count).padStart(12)}  ${((100 * count) / total).toFixed(3).padStart(7)} %`,
    );
  lines.push(
    `  unexplained: ${number(core.unexplained)} of ${number(total)} transitions`,
    `  interrupts: ${number(core.interrupts)}, ${core.interruptsPerMillion.toFixed(1)} in a million instructions`,
    `  exceptions ${number(core.exceptions)}, system calls ${number(core.systemCalls)}, task switches ${number(core.taskSwitches)}, idle periods ${number(core.idlePeriods)}`,
  );
  if (core.deliveries > 0) {
    lines.push(
      `  accesses of an interrupt's delivery (gate, stack) given to the instruction before it: ${number(core.deliveries)} times`,
    );
  }
  return lines;
}

function number(value: number): string {
  return value.toLocaleString("en");
}
