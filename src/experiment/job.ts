import type { Trace } from "../loader/contract.js";
import type { DecodedTable } from "../loader/decode/rows.js";
import { openTrace } from "../loader/reader.js";
import type { MachineSpec } from "../machine/spec.js";
import { loadPlugins } from "../plugins/load.js";
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
  /** Files of plug-ins that the machine needs. */
  plugins: readonly string[];
}

// The last trace stays open: the next job of a thread mostly takes the same.
let last: Trace | undefined;

/** Runs a job on this thread. */
export async function runJob(job: Job, onProgress?: (progress: RunProgress) => void): Promise<RunResult> {
  const plugins = await loadPlugins(job.plugins);
  if (last?.path !== job.path) {
    last?.close();
    last = undefined;
    last = openTrace(job.path);
  }
  const result = runProtocol(last, job.decoded, job.machine, job.protocol, job.seed, onProgress);
  return plugins.length === 0 ? result : { ...result, plugins };
}
