import { InputError } from "../errors.js";
import { type OpenTrace, openTrace } from "../loader/index.js";
import { type DumpEntry, dumpTrace } from "../tools/dump.js";
import { formatDumpEntry } from "../tools/dump-format.js";
import { type HotOrder, hotFunctions } from "../tools/hot.js";
import { formatHot } from "../tools/hot-format.js";
import { streamRange } from "../tools/range.js";
import { type ToolProgress, validateTrace } from "../tools/validate.js";
import { formatValidation } from "../tools/validate-format.js";
import type { Args } from "./args.js";
import { type Io, writeJson } from "./io.js";
import { StatusLine } from "./progress.js";

/** Block executions that one JSON document may have. */
const MAX_JSON_EXECUTIONS = 100_000;
const DUMP_EXECUTIONS = 20;
const TOP = 30;

/** Exit code of `trace validate` for a trace that is not sound. */
const UNSOUND = 1;

/** `muswarm trace validate <file>` */
export async function validate(args: Args, io: Io): Promise<number> {
  return await withTrace(args, io, true, (trace, progress) => {
    const report = validateTrace(trace, progress);
    if (args.flag("json")) return { document: report, code: report.ok ? 0 : UNSOUND };
    return { text: formatValidation(report), code: report.ok ? 0 : UNSOUND };
  });
}

/** `muswarm trace dump <file>` */
export async function dump(args: Args, io: Io): Promise<number> {
  return await withTrace(args, io, false, (trace) => {
    const range = streamRange(trace, rangeOf(args), DUMP_EXECUTIONS);
    if (!args.flag("json")) {
      for (const entry of dumpTrace(trace, range)) {
        if (io.signal.aborted) throw new Error("interrupted");
        io.stdout.write(formatDumpEntry(entry));
      }
      return {};
    }
    if (range.to - range.from > MAX_JSON_EXECUTIONS) {
      throw new InputError(
        `trace dump: ${range.to - range.from} block executions are too many for one JSON document; --count at most ${MAX_JSON_EXECUTIONS}`,
      );
    }
    const entries: DumpEntry[] = [...dumpTrace(trace, range)];
    return { document: { path: trace.path, ...range, entries } };
  });
}

/** `muswarm trace hot <file>` */
export async function hot(args: Args, io: Io): Promise<number> {
  return await withTrace(args, io, false, (trace, progress) => {
    const range = streamRange(trace, rangeOf(args));
    const by = (args.text("by") ?? "instructions") as HotOrder;
    const report = hotFunctions(trace, range, by, args.integer("top") ?? TOP, progress);
    return args.flag("json") ? { document: report } : { text: formatHot(report) };
  });
}

function rangeOf(args: Args) {
  return {
    core: args.integer("core"),
    from: args.integer("from"),
    count: args.integer("count"),
    invocations: args.text("invocation"),
  };
}

/** What a tool has to say. */
interface Outcome {
  document?: unknown;
  text?: string;
  code?: number;
}

async function withTrace(
  args: Args,
  io: Io,
  salvage: boolean,
  run: (trace: OpenTrace, progress: ToolProgress) => Outcome,
): Promise<number> {
  const line = new StatusLine(io);
  const trace = openTrace(args.words[0], { salvage });
  try {
    const outcome = run(trace, (done, all) => {
      if (io.signal.aborted) throw new Error("interrupted");
      line.update(() => `${Math.floor((100 * done) / Math.max(1, all))} % read`);
    });
    line.clear();
    if (outcome.document !== undefined) writeJson(io, outcome.document);
    if (outcome.text !== undefined) io.stdout.write(outcome.text);
    return outcome.code ?? 0;
  } finally {
    line.clear();
    trace.close();
  }
}
