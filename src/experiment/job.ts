import type { Trace } from "../loader/contract.js";
import { type DecodedTable, decodeBlocks } from "../loader/decode/index.js";
import { openTrace } from "../loader/index.js";
import type { MachineSpec } from "../machine/spec.js";
import type { ProtocolSpec, RunProgress, RunResult } from "./contract.js";
import { runProtocol } from "./run.js";

/** One run, as it is handed to a thread. */
export interface Job {
  path: string;
  machine: MachineSpec;
  protocol: ProtocolSpec;
  seed: number;
}

// The last trace and its decoded instructions: the next job of a thread mostly takes the same.
let last: { trace: Trace; decoded: DecodedTable } | undefined;

/** Runs a job on this thread. */
export function runJob(job: Job, onProgress?: (progress: RunProgress) => void): RunResult {
  if (last?.trace.path !== job.path) {
    last?.trace.close();
    last = undefined;
    const trace = openTrace(job.path);
    last = { trace, decoded: decodeBlocks(trace.blocks, trace.pages) };
  }
  return runProtocol(last.trace, last.decoded, job.machine, job.protocol, job.seed, onProgress);
}
