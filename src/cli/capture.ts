import { join } from "node:path";
import {
  CaptureError,
  type CaptureOptions,
  type CaptureResult,
  capture,
  captureUser,
  type ImageOptions,
  imageName,
  listFunctions,
  type ProgressSink,
} from "../capture/index.js";
import { InputError } from "../errors.js";
import type { Args } from "./args.js";
import { type Io, writeJson } from "./io.js";
import { StatusLine } from "./progress.js";

/** Options that a capture of a program has no use for. */
const OF_FUNCTIONS = [
  "warm",
  "recorded-warm",
  "invocations",
  "runtime",
  "cores",
  "kernel",
  "ns-per-instruction",
  "inputs",
  "seed",
  "startup",
  "jit-names",
];
/** Options that only a capture of an image has a use for. */
const OF_IMAGES = ["port", "grpc", "http", "request", "proto", "header", "env"];

/** `muswarm capture [function]` and `muswarm capture --user -- program args` */
export async function captureCommand(args: Args, io: Io): Promise<number> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    if (io.signal.aborted) io.stderr.write("muswarm: capture: interrupted; no trace was written\n");
    throw error;
  }
}

async function dispatch(args: Args, io: Io): Promise<number> {
  if (args.flag("list")) return list(args, io);
  if (args.flag("user")) return await user(args, io);
  if (args.flag("all")) return await all(args, io);
  const path = args.text("image");
  if (path !== undefined) return await captureOne(args, io, { image: imageOf(args, path) }, imageName(path));
  refuse(args, OF_IMAGES, "needs --image");
  const [name, ...more] = args.words;
  if (name === undefined) throw new InputError("capture: needs the name of a function; --list shows them");
  if (more.length > 0)
    throw new InputError(
      `capture: unexpected argument "${more[0]}"; a program and its arguments need --user`,
    );
  return await captureOne(args, io, { function: name }, name);
}

function refuse(args: Args, names: readonly string[], why: string): void {
  const given = names.find((name) => args.text(name) !== undefined);
  if (given !== undefined) throw new InputError(`capture: --${given} ${why}`);
}

function imageOf(args: Args, path: string): ImageOptions {
  refuse(args, ["inputs", "seed"], "does not go with --image");
  const port = args.integer("port");
  if (port === undefined) throw new InputError("capture: --image needs --port, where its server listens");
  return {
    path,
    port,
    grpc: args.text("grpc"),
    http: args.text("http"),
    request: args.text("request"),
    proto: args.text("proto"),
    headers: args.texts("header"),
    env: args.texts("env"),
    args: args.words,
  };
}

async function captureOne(
  args: Args,
  io: Io,
  what: { function: string } | { image: ImageOptions },
  name: string,
): Promise<number> {
  const output = args.text("output");
  if (output === undefined) throw new InputError(`capture: needs a file to write: -o ${name}.trace`);
  const line = new StatusLine(io);
  try {
    const made = await capture({ ...optionsOf(args, io), ...what, output }, progressOn(line, io));
    for (const warning of made.warnings) line.say(`warning: ${warning}`);
    if ("image" in what) line.say(`the first reply: ${JSON.stringify(made.firstReply.slice(0, 200))}`);
    line.clear();
    if (args.flag("json")) writeJson(io, made);
    else io.stdout.write(`${output} written; muswarm sim ${output} simulates it\n`);
  } finally {
    line.clear();
  }
  return 0;
}

function optionsOf(args: Args, io: Io): Omit<CaptureOptions, "function" | "output"> {
  return {
    warm: args.integer("warm"),
    recordedWarm: args.integer("recorded-warm"),
    invocations: args.integer("invocations"),
    runtime: args.text("runtime"),
    cores: args.integer("cores"),
    kernel: args.text("kernel"),
    nsPerInstruction: args.integer("ns-per-instruction"),
    startup: args.flag("startup"),
    jitNames: args.flag("jit-names"),
    inputs: args.text("inputs"),
    seed: args.integer("seed"),
    workDir: args.text("work-dir"),
    signal: io.signal,
  };
}

function progressOn(line: StatusLine, io: Io): ProgressSink {
  return {
    step: (text) => line.say(text),
    progress: (fraction, text) => line.update(() => `${Math.floor(fraction * 100)} %, ${text}`),
    log: (text) => {
      if (io.env["MUSWARM_DEBUG"]) line.say(text);
    },
  };
}

async function user(args: Args, io: Io): Promise<number> {
  refuse(args, ["image", ...OF_FUNCTIONS, ...OF_IMAGES], "does not go with --user");
  if (args.words.length === 0)
    throw new InputError("capture: --user needs a program: muswarm capture --user -o FILE -- ./program args");
  const output = args.text("output");
  if (output === undefined) throw new InputError("capture: needs a file to write: -o program.trace");
  const json = args.flag("json");
  const line = new StatusLine(io);
  try {
    const made = await captureUser(
      {
        command: args.words,
        output,
        workDir: args.text("work-dir"),
        // What the program prints is no part of the document.
        stdio: ["inherit", json ? 2 : "inherit", "inherit"],
        signal: io.signal,
      },
      progressOn(line, io),
    );
    for (const warning of made.warnings) line.say(`warning: ${warning}`);
    if (made.exitCode !== 0) line.say(`${args.words[0]} ended with exit code ${made.exitCode}`);
    line.clear();
    if (json) writeJson(io, made);
    else line.say(`${made.instructions} instructions; ${output} written; muswarm sim ${output} simulates it`);
  } finally {
    line.clear();
  }
  return 0;
}

/** One function after the other; a failed one does not keep the others from it. */
async function all(args: Args, io: Io): Promise<number> {
  refuse(args, ["image", ...OF_IMAGES], "does not go with --all");
  if (args.words.length > 0) throw new InputError("capture: --all does not go with the name of a function");
  const folder = args.text("output");
  if (folder === undefined) throw new InputError("capture: --all needs a folder to write to: -o traces");
  const names = listFunctions().map((f) => f.name);
  const line = new StatusLine(io);
  const made: CaptureResult[] = [];
  const failed: { function: string; error: string }[] = [];
  try {
    for (const [i, name] of names.entries()) {
      line.say(`${name}, ${i + 1} of ${names.length}`);
      try {
        const output = join(folder, `${name}.trace`);
        const result = await capture(
          { ...optionsOf(args, io), function: name, output },
          progressOn(line, io),
        );
        for (const warning of result.warnings) line.say(`warning: ${name}: ${warning}`);
        made.push(result);
      } catch (error) {
        // Only what a guest or a build fails with is this function's alone.
        if (!(error instanceof CaptureError) || io.signal.aborted) throw error;
        failed.push({ function: name, error: error.message });
        line.say(`${name} failed: ${error.message}`);
      }
    }
  } finally {
    line.clear();
  }
  if (args.flag("json")) writeJson(io, { made, failed });
  else io.stdout.write(`${made.length} of ${names.length} functions captured in ${folder}\n`);
  return failed.length === 0 ? 0 : 1;
}

/** In the order in which --list shows them. */
const SUITES: Record<string, string> = {
  standalone: "Functions on their own",
  hotel: "Hotel application",
  shop: "Online shop",
  "": "Others",
};

function list(args: Args, io: Io): number {
  const functions = listFunctions();
  if (args.flag("json")) {
    writeJson(io, functions);
    return 0;
  }
  const width = Math.max(...functions.map((f) => f.name.length));
  for (const suite of new Set([...Object.keys(SUITES), ...functions.map((f) => f.suite)])) {
    const members = functions.filter((f) => f.suite === suite);
    if (members.length === 0) continue;
    io.stdout.write(`${SUITES[suite] ?? suite}\n`);
    for (const { name, description } of members) io.stdout.write(`  ${name.padEnd(width)}  ${description}\n`);
  }
  return 0;
}
