import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { InputError } from "../../errors.js";
import { openTrace } from "../reader.js";
import { decodeBlocks } from "./decode.js";
import type { DecodedTable } from "./rows.js";

/** What the thread answers. */
export type Decoded = { decoded: DecodedTable } | { inputError: string };

/**
 * Decodes all blocks of a trace file on a thread of its own.
 *
 * Not for parallelism: the x86 decoder is WebAssembly, and when its memory grows, V8 from then on checks
 * at every access to a typed array whether its buffer was detached, everywhere in that isolate (measured: a
 * plain loop takes twice as long). So the thread that simulates must never have decoded.
 *
 * Without a built package beside it (tests of the sources) it decodes on the caller's thread.
 */
export function decodeTrace(path: string): Promise<DecodedTable> {
  const file = fileURLToPath(new URL("./worker.js", import.meta.url));
  if (!existsSync(file)) return Promise.resolve(decodeFile(path));
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { workerData: path });
    worker.once("message", (answer: Decoded) => {
      if ("decoded" in answer) resolve(answer.decoded);
      else reject(new InputError(answer.inputError));
    });
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the decoding thread ended without an answer")));
  });
}

/** Decodes on this thread. */
export function decodeFile(path: string): DecodedTable {
  const trace = openTrace(path);
  try {
    return decodeBlocks(trace.blocks, trace.pages);
  } finally {
    trace.close();
  }
}
