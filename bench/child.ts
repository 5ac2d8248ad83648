import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Outcome } from "./measure.js";

export const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** Folder of the shipped traces. */
export const traceFolder = here("../../traces/");

/** Runs one measurement in a process of its own. `args`: see measure.ts. */
export function child(samples: number, ...args: string[]): Outcome {
  process.stderr.write(`measuring ${args.map((a) => a.replace(traceFolder, "")).join(" ")}\n`);
  const text = execFileSync(process.execPath, [here("./measure.js"), ...args, String(samples)], {
    encoding: "utf8",
  });
  return JSON.parse(text) as Outcome;
}

/** The median of several fresh processes: what the compiler makes of the code differs from one to the next. */
export function children(processes: number, samples: number, ...args: string[]): Outcome {
  const outcomes = Array.from({ length: processes }, () => child(samples, ...args));
  return outcomes.sort((a, b) => a.perSecond - b.perSecond)[processes >> 1];
}
