import { capture, listFunctions, type ProgressSink } from "../capture/index.js";
import { InputError } from "../errors.js";
import type { Args } from "./args.js";
import { type Io, writeJson } from "./io.js";
import { StatusLine } from "./progress.js";

/** `muswarm capture [function]` */
export async function captureCommand(args: Args, io: Io): Promise<number> {
  if (args.flag("list")) return list(args, io);
  const [name] = args.words;
  if (name === undefined) throw new InputError("capture: needs the name of a function; --list shows them");
  const output = args.text("output");
  if (output === undefined) throw new InputError(`capture: needs a file to write: -o ${name}.trace`);
  const line = new StatusLine(io);
  const progress: ProgressSink = {
    step: (text) => line.say(text),
    progress: (fraction, text) => line.update(() => `${Math.floor(fraction * 100)} %, ${text}`),
    log: (text) => {
      if (io.env["MUSWARM_DEBUG"]) line.say(text);
    },
  };
  try {
    const made = await capture(
      {
        function: name,
        output,
        warm: args.integer("warm"),
        recordedWarm: args.integer("recorded-warm"),
        invocations: args.integer("invocations"),
        runtime: args.text("runtime"),
        workDir: args.text("work-dir"),
        signal: io.signal,
      },
      progress,
    );
    for (const warning of made.warnings) line.say(`warning: ${warning}`);
    line.clear();
    if (args.flag("json")) writeJson(io, made);
    else io.stdout.write(`${output} written; muswarm sim ${output} simulates it\n`);
  } finally {
    line.clear();
  }
  return 0;
}

function list(args: Args, io: Io): number {
  const functions = listFunctions();
  if (args.flag("json")) {
    writeJson(io, functions);
    return 0;
  }
  const width = Math.max(...functions.map((f) => f.name.length));
  for (const { name, description } of functions) io.stdout.write(`${name.padEnd(width)}  ${description}\n`);
  return 0;
}
