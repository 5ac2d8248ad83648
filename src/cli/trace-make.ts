import { existsSync, realpathSync } from "node:fs";
import { InputError } from "../errors.js";
import { type OpenTrace, openTrace } from "../loader/index.js";
import { mergeTraces } from "../tools/merge.js";
import { invocationRange, streamRange } from "../tools/range.js";
import { type SliceReport, sliceInvocations, slicePositions } from "../tools/slice.js";
import type { ToolProgress } from "../tools/validate.js";
import type { Args } from "./args.js";
import { type Io, writeJson } from "./io.js";
import { StatusLine } from "./progress.js";

/** `muswarm trace slice <file>` */
export async function slice(args: Args, io: Io): Promise<number> {
  const output = outputOf(args, "trace slice");
  const invocations = args.text("invocation");
  const byPosition = args.integer("from") !== undefined || args.integer("count") !== undefined;
  if ((invocations === undefined) === !byPosition)
    throw new InputError("trace slice: say --invocation A..B, or --from and --count");
  if (byPosition && args.integer("warm") !== undefined)
    throw new InputError("trace slice: --warm is for --invocation; positions become one measured invocation");
  if (!byPosition && args.integer("core") !== undefined)
    throw new InputError("trace slice: --core is for --from and --count; invocations are cut from all cores");
  return await working(args.words, io, (traces, progress) => {
    const [trace] = traces;
    let report: SliceReport;
    if (invocations !== undefined) {
      report = sliceInvocations(
        trace,
        output,
        invocationRange(trace, invocations),
        args.integer("warm"),
        progress,
      );
    } else {
      const range = streamRange(trace, {
        core: args.integer("core"),
        from: args.integer("from"),
        count: args.integer("count"),
      });
      report = slicePositions(trace, output, range, progress);
    }
    if (args.flag("json")) return writeJson(io, report);
    io.stdout.write(
      `${output}: ${made(report)}` +
        `${report.wakesCut > 0 ? `; ${report.wakesCut} wake-ups came from outside and keep their duration only` : ""}\n`,
    );
  });
}

/** `muswarm trace merge <file..>` */
export async function merge(args: Args, io: Io): Promise<number> {
  const output = outputOf(args, "trace merge");
  return await working(args.words, io, (traces, progress) => {
    const report = mergeTraces(traces, output, args.integer("warm"), progress);
    if (args.flag("json")) writeJson(io, report);
    else io.stdout.write(`${output}: ${made(report)}\n`);
  });
}

/** The file to write, which must not exist, and be none of those that are read. */
export function outputOf(args: Args, command: string): string {
  const output = args.text("output");
  if (output === undefined) throw new InputError(`${command}: say where to write: -o FILE`);
  if (!existsSync(output)) return output;
  if (!args.flag("force")) throw new InputError(`${command}: ${output} exists; --force replaces it`);
  for (const input of args.words)
    if (existsSync(input) && realpathSync(input) === realpathSync(output))
      throw new InputError(`${command}: ${output} is read as well; write to another file`);
  return output;
}

function made(report: {
  warmInvocations: number;
  measuredInvocations: number;
  cores: readonly { core: number; blockExecutions: number }[];
}): string {
  const cores = report.cores.map((c) => `core ${c.core} ${c.blockExecutions.toLocaleString("en")}`);
  const { warmInvocations: warm, measuredInvocations: measured } = report;
  return `${warm} warm-up and ${measured} measured invocations; block executions: ${cores.join(", ")}`;
}

async function working(
  paths: readonly string[],
  io: Io,
  run: (traces: OpenTrace[], progress: ToolProgress) => void,
): Promise<number> {
  const line = new StatusLine(io);
  const traces: OpenTrace[] = [];
  try {
    for (const path of paths) traces.push(openTrace(path));
    run(traces, (done, all) => {
      if (io.signal.aborted) throw new Error("interrupted");
      line.update(() => `${Math.floor((100 * done) / Math.max(1, all))} % copied`);
    });
    return 0;
  } finally {
    line.clear();
    for (const trace of traces) trace.close();
  }
}
