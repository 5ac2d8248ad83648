import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InputError } from "../errors.js";
import { PROTOCOLS } from "../experiment/protocols.js";
import { loadMachine } from "../machine/load.js";
import { comparisonJson } from "../stats/json.js";
import { formatReport } from "../stats/report.js";
import type { Args } from "./args.js";
import { version } from "./cli.js";
import { codeFootprintKB } from "./footprint.js";
import { type Io, writeJson } from "./io.js";
import { runAll } from "./sim.js";

const TRACE = fileURLToPath(new URL("../../traces/fibonacci-go.trace", import.meta.url));
const MACHINES = ["simple", "skylake-like"];

const WHAT_ONE_SEES = `What one sees: one serverless function (its container, gRPC and guest kernel included) was captured once and
is simulated here under five protocols. Between two invocations of a rarely used function others run and
take the caches, TLBs and branch predictors: it is "lukewarm", in memory but out of the core's reach.
"reference" is the same function back to back. Jukebox records the instruction lines that an invocation
misses and prefetches them at the next one; "paced" holds its replay back so that prefetches are not
evicted before their use, which matters where the cache is smaller than the code. "perfect" is the bound:
an instruction cache that never forgets.

Next: muswarm sim FILE writes a results folder; muswarm capture --list names functions to capture.
`;

/** `muswarm start`: what `npm start` runs. */
export async function start(args: Args, io: Io): Promise<number> {
  if (!existsSync(TRACE))
    throw new InputError("start: traces/fibonacci-go.trace is missing from this package");
  const machines = MACHINES.map((name) => loadMachine(name));
  const runs = await runAll([TRACE], machines, PROTOCOLS, args, io);
  const screens = machines.map((_, i) => runs.slice(i * PROTOCOLS.length, (i + 1) * PROTOCOLS.length));
  if (args.flag("json")) {
    writeJson(io, {
      muswarm: version(),
      comparisons: screens.map((results) => ({
        folder: null,
        ...comparisonJson(results, { perInvocation: false }),
      })),
    });
    return 0;
  }
  const codeKB = codeFootprintKB(TRACE);
  for (const results of screens)
    io.stdout.write(`${formatReport(results, { perInvocation: false, codeKB })}\n`);
  io.stdout.write(WHAT_ONE_SEES);
  return 0;
}
