import type { Trace } from "../loader/contract.js";
import type { DecodedTable } from "../loader/decode/rows.js";
import { openTrace } from "../loader/reader.js";
import type { MachineSpec } from "../machine/spec.js";
import type { ProtocolSpec, RunProgress, RunResult } from "./contract.js";
import { runProtocol } from "./run.js";

/** One run, as it is handed to a thread. */
export interface Job {
  path: string;
  /** Decoded elsewhere: see decodeTrace. */
  decoded: DecodedTable;
  machine: MachineSpec;
  protocol: ProtocolSpec;
  seed: number;
}

// The last trace stays open: the next job of a thread mostly takes the same.
let last: Trace | undefined;

/** Runs a job on this thread. */
export function runJob(job: Job, onProgress?: (progress: RunProgress) => void): RunResult {
  if (last?.path !== job.path) {
    last?.close();
    last = undefined;
    last = openTrace(job.path);
  }
  return runProtocol(last, job.decoded, job.machine, job.protocol, job.seed, onProgress);
}
