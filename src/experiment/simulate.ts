import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel } from "node:worker_threads";
import { Tinypool } from "tinypool";
import { InputError, PluginError } from "../errors.js";
import { decodeTrace } from "../loader/decode/thread.js";
import { openTrace } from "../loader/reader.js";
import { withPrefetcher } from "../machine/load.js";
import type { MachineSpec } from "../machine/spec.js";
import { loadPlugins } from "../plugins/load.js";
import type { ProtocolSpec, RunProgress, RunResult } from "./contract.js";
import { type Job, runJob } from "./job.js";
import { PROTOCOLS } from "./protocols.js";
import type { WorkOutcome } from "./worker.js";

/** What to simulate: every trace on every machine under every protocol. */
export interface SimulateOptions {
  /** Paths of trace files. */
  traces: readonly string[];
  machines: readonly MachineSpec[];
  /** Default: all of PROTOCOLS. */
  protocols?: readonly ProtocolSpec[];
  /** Seed of everything random in the machine (random replacement). Default 1. */
  seed?: number;
  /** Files of plug-ins that the machines name things of; see `loadPlugins`. */
  plugins?: readonly string[];
  /** Runs at a time, each on a thread of its own. Default: one a processor; 0: on the caller's thread. */
  jobs?: number;
  /** Stops the runs; `simulate` then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Progress of all runs of one call together. */
export interface SimulateProgress {
  /** Instructions done and to do. */
  done: number;
  total: number;
  /** Runs finished and in all. */
  finishedRuns: number;
  runs: number;
}

/**
 * Runs all combinations and returns their results in the order traces × machines × protocols, whatever
 * the order in which they end. Bad input throws InputError before anything is simulated.
 */
export async function simulate(
  options: SimulateOptions,
  onProgress?: (progress: SimulateProgress) => void,
): Promise<RunResult[]> {
  const protocols = options.protocols ?? PROTOCOLS;
  const seed = options.seed ?? 1;
  if (!Number.isSafeInteger(seed) || seed < 0 || seed > 0xffff_ffff) {
    throw new InputError(`seed: expected an integer from 0 to 4294967295, got ${seed}`);
  }
  const plugins = (options.plugins ?? []).map((path) => resolve(path));
  await loadPlugins(options.plugins ?? []);
  const jobs: Omit<Job, "decoded">[] = [];
  const totals: number[] = [];
  for (const path of options.traces) {
    const trace = openTrace(path);
    const instructions = trace.cores.reduce((sum, c) => sum + c.instructions, 0);
    const cores = trace.header.cores;
    trace.close();
    for (const machine of options.machines) {
      if (cores > machine.cores) {
        throw new InputError(
          `${path}: has ${cores} cores, machine ${machine.name} has ${machine.cores}; --set cores=${cores} gives it that many`,
        );
      }
      for (const protocol of protocols) {
        if (protocol.jukebox && !machine.jukebox) {
          throw new InputError(
            `machine ${machine.name} has no "jukebox", which protocol ${protocol.name} needs`,
          );
        }
        if (protocol.prefetcher) withPrefetcher(machine, protocol.prefetcher, `protocol ${protocol.name}`);
        jobs.push({ path, machine, protocol, seed, plugins });
        totals.push(instructions);
      }
    }
  }
  const done = jobs.map(() => 0);
  const total = totals.reduce((a, b) => a + b, 0);
  let finishedRuns = 0;
  const progress = (index: number, p: RunProgress) => {
    done[index] = p.done;
    onProgress?.({ done: done.reduce((a, b) => a + b, 0), total, finishedRuns, runs: jobs.length });
  };
  const finished = (index: number) => {
    finishedRuns++;
    done[index] = totals[index];
    onProgress?.({ done: done.reduce((a, b) => a + b, 0), total, finishedRuns, runs: jobs.length });
  };

  const decoding = new Map<string, ReturnType<typeof decodeTrace>>();
  const decoded = (path: string) => {
    const known = decoding.get(path) ?? decodeTrace(path);
    decoding.set(path, known);
    return known;
  };
  const worker = fileURLToPath(new URL("./worker.js", import.meta.url));
  const threads = Math.min(options.jobs ?? availableParallelism(), jobs.length);
  if (threads === 0 || !existsSync(worker)) {
    const results: RunResult[] = [];
    for (const [i, job] of jobs.entries()) {
      options.signal?.throwIfAborted();
      results.push(await runJob({ ...job, decoded: await decoded(job.path) }, (p) => progress(i, p)));
      finished(i);
    }
    return results;
  }
  const pool = new Tinypool({
    filename: worker,
    minThreads: threads,
    maxThreads: threads,
    runtime: "worker_threads",
  });
  try {
    return await Promise.all(
      jobs.map(async (job, i) => {
        const { port1, port2 } = new MessageChannel();
        port1.on("message", (p: RunProgress) => progress(i, p));
        try {
          const task = { job: { ...job, decoded: await decoded(job.path) }, port: port2 };
          const outcome: WorkOutcome = await pool.run(task, {
            transferList: [port2],
            signal: options.signal,
          });
          if ("inputError" in outcome) throw new InputError(outcome.inputError);
          if ("pluginError" in outcome)
            throw new PluginError(outcome.pluginError.message, outcome.pluginError.stack);
          finished(i);
          return outcome.result;
        } finally {
          port1.close();
        }
      }),
    );
  } finally {
    await pool.destroy();
  }
}
