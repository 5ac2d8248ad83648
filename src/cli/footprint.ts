import { openTrace, traceInfo } from "../loader/index.js";

/** Code that a measured invocation touches on the function's core, on average: kB of 1024 bytes, in lines of 64. */
export function codeFootprintKB(path: string): number {
  const trace = openTrace(path);
  try {
    const { invocations } = traceInfo(trace).cores[trace.header.functionCore];
    const measured = invocations.filter((invocation) => !invocation.isWarmUp);
    return measured.reduce((sum, invocation) => sum + invocation.instructionKB, 0) / measured.length;
  } finally {
    trace.close();
  }
}
