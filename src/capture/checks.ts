import { rmSync } from "node:fs";
import { openTrace } from "../loader/index.js";
import type { ConvertReport } from "./convert.js";
import { CaptureError } from "./host.js";

/** Throws where the recording contradicts itself; returns what is only worth knowing. */
export function checkReport(report: ConvertReport): string[] {
  const wrong: string[] = [];
  if (report.misplacedPages > 0)
    wrong.push(`${report.misplacedPages} pages of the kernel's fixed mappings are elsewhere`);
  if (report.overrun > 0)
    wrong.push(`${report.overrun} executions did more instructions than their block has`);
  if (report.unmapped > 0) wrong.push(`${report.unmapped} accesses to pages of unknown place`);
  if (report.switches === 0) wrong.push("no task was ever seen");
  if (wrong.length > 0) throw new CaptureError(`check the recording: ${wrong.join("; ")}`);
  if (report.unexplained === 0) return [];
  return [`${report.unexplained} successors are unexplained, for example ${report.unexplainedExamples[0]}`];
}

/** Reads the trace back. @returns by core, instructions of each invocation */
export function checkTrace(path: string, report: ConvertReport, expected: number): number[][] {
  const trace = openTrace(path);
  let whole = false;
  try {
    for (const [core, summary] of trace.cores.entries()) {
      if (summary.instructions !== report.instructions[core] || summary.invocations.length !== expected) {
        throw new CaptureError(
          `check the trace: core ${core} has ${summary.instructions} instructions and ${summary.invocations.length} invocations, written were ${report.instructions[core]} and ${expected}`,
        );
      }
    }
    whole = true;
    return trace.cores.map((summary) => summary.invocations.map((invocation) => invocation.instructions));
  } finally {
    trace.close();
    if (!whole) rmSync(path);
  }
}
