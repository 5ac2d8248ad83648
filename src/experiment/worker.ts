import type { MessagePort } from "node:worker_threads";
import { InputError, PluginError } from "../errors.js";
import type { RunResult } from "./contract.js";
import { type Job, runJob } from "./job.js";

const REPORT_EVERY_MS = 100;

/** What comes back of a thread. Errors of the user's are returned: classes do not survive the passage. */
export type WorkOutcome =
  | { result: RunResult }
  | { inputError: string }
  | { pluginError: { message: string; stack?: string } };

/** Entry point of a simulation thread. */
export default async function work(task: { job: Job; port: MessagePort }): Promise<WorkOutcome> {
  let reported = performance.now();
  try {
    const result = await runJob(task.job, (progress) => {
      const now = performance.now();
      if (now - reported < REPORT_EVERY_MS) return;
      reported = now;
      task.port.postMessage(progress);
    });
    return { result };
  } catch (error) {
    if (error instanceof InputError) return { inputError: error.message };
    if (error instanceof PluginError) return { pluginError: { message: error.message, stack: error.stack } };
    throw error;
  } finally {
    task.port.close();
  }
}
