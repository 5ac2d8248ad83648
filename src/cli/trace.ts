import { formatTraceInfo, openTrace, traceInfo } from "../loader/index.js";
import type { Args } from "./args.js";
import { type Io, writeJson } from "./io.js";
import { StatusLine } from "./progress.js";

/** `muswarm trace info <file>` */
export async function info(args: Args, io: Io): Promise<number> {
  const line = new StatusLine(io);
  const trace = openTrace(args.words[0]);
  try {
    const about = traceInfo(trace, (done, all) =>
      line.update(() => `${Math.floor((100 * done) / all)} % read`),
    );
    line.clear();
    if (args.flag("json")) writeJson(io, about);
    else io.stdout.write(`${formatTraceInfo(about).trimEnd()}\n`);
  } finally {
    line.clear();
    trace.close();
  }
  return 0;
}
