import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "../../errors.js";
import { type Decoded, decodeFile } from "./thread.js";

/** The decoding thread: `workerData` is the trace's path. Arrays are copied, not transferred. */
function answer(): Decoded {
  try {
    return { decoded: decodeFile(workerData as string) };
  } catch (error) {
    if (error instanceof InputError) return { inputError: error.message };
    throw error;
  }
}

parentPort?.postMessage(answer());
