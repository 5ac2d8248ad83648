import type { MessagePort } from "node:worker_threads";
import { InputError } from "../errors.js";
import type { RunResult } from "./contract.js";
import { type Job, runJob } from "./job.js";

const REPORT_EVERY_MS = 100;

/** Entry point of a simulation thread. Errors of the user's are returned: classes do not survive the passage. */
export default function work(task: {
  job: Job;
  port: MessagePort;
}): { result: RunResult } | { inputError: string } {
  let reported = performance.now();
  try {
    const result = runJob(task.job, (progress) => {
      const now = performance.now();
      if (now - reported < REPORT_EVERY_MS) return;
      reported = now;
      task.port.postMessage(progress);
    });
    return { result };
  } catch (error) {
    if (error instanceof InputError) return { inputError: error.message };
    throw error;
  } finally {
    task.port.close();
  }
}
