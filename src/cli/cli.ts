import { readFileSync } from "node:fs";
import { InputError, suggestion } from "../errors.js";
import { type CommandSpec, checkArgs, optionsOf } from "./args.js";
import { COMMANDS } from "./commands.js";
import { type Io, writeJson } from "./io.js";

/** Exit codes. */
export const Exit = { Ok: 0, Internal: 1, Input: 2, Interrupted: 130 } as const;

/**
 * The whole command line: `argv` is what stands behind the program's name. Writes to `io` only.
 * @returns the exit code
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    if (io.signal.aborted) return Exit.Interrupted;
    if (error instanceof InputError) {
      io.stderr.write(`muswarm: ${oneLine(error.message)}\n`);
      return Exit.Input;
    }
    // A capture can fail in its guest, and a plug-in of the user's in a run: nobody's mistake here.
    const outside = error instanceof Error && ["CaptureError", "PluginError"].includes(error.name);
    const kind = outside ? "" : "internal error: ";
    io.stderr.write(`muswarm: ${kind}${oneLine(error instanceof Error ? error.message : String(error))}\n`);
    if (io.env["MUSWARM_DEBUG"]) io.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    else io.stderr.write("muswarm: MUSWARM_DEBUG=1 shows where it happened\n");
    return Exit.Internal;
  }
}

export function version(): string {
  return (
    JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
  ).version;
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const found = findCommand(argv);
  if (found === undefined) return await withoutCommand(argv, io);
  const { command, rest } = found;
  const parser = await commandParser(command, rest, io);
  const parsed = parser.parse() as Record<string, unknown>;
  if (parsed["help"] === true) {
    io.stdout.write(`${await parser.getHelp()}\n`);
    return Exit.Ok;
  }
  const args = checkArgs(command, parsed);
  const run = await command.load();
  return await run(args, io);
}

/** The command whose words come first among what is no option. */
function findCommand(argv: readonly string[]): { command: CommandSpec; rest: string[] } | undefined {
  const at = argv.findIndex((arg) => !arg.startsWith("-"));
  if (at < 0) return undefined;
  const word = argv[at];
  const without = (count: number) => [...argv.slice(0, at), ...argv.slice(at + count)];
  const simple = COMMANDS.find((c) => c.name === word);
  if (simple !== undefined) return { command: simple, rest: without(1) };
  const group = COMMANDS.filter((c) => c.name.startsWith(`${word} `));
  if (group.length > 0) {
    const names = group.map((c) => c.name.slice(word.length + 1));
    const next = argv[at + 1];
    if (next === undefined || (next.startsWith("-") && next !== "--help" && next !== "-h")) {
      throw new InputError(`${word}: needs one of: ${names.join(", ")}`);
    }
    if (next.startsWith("-")) return { command: group[0], rest: without(1) };
    const nested = group.find((c) => c.name === `${word} ${next}`);
    if (nested === undefined)
      throw new InputError(`unknown command "${word} ${next}".${suggestion(next, names)}`);
    return { command: nested, rest: without(2) };
  }
  const words = [...new Set(COMMANDS.map((c) => c.name.split(" ")[0]))];
  const hint = /\.trace$/.test(word) ? ` To simulate a trace: muswarm sim ${word}` : suggestion(word, words);
  throw new InputError(`unknown command "${word}".${hint}`);
}

async function withoutCommand(argv: readonly string[], io: Io): Promise<number> {
  const known = ["--help", "-h", "--version", "--json"];
  const wrong = argv.find((arg) => !known.includes(arg));
  if (wrong !== undefined) throw new InputError(`unknown option ${wrong}.${suggestion(wrong, known)}`);
  if (argv.includes("--version")) {
    if (argv.includes("--json")) writeJson(io, { muswarm: version(), node: process.versions.node });
    else io.stdout.write(`${version()}\n`);
    return Exit.Ok;
  }
  if (argv.includes("--json") && !argv.includes("--help") && !argv.includes("-h")) {
    throw new InputError("--json needs a command, for example: muswarm machines --json");
  }
  const parser = (await newParser([], io)).usage(
    "muswarm <command> [options]\n\nCycle-level, trace-driven microarchitecture simulation of serverless functions.",
  );
  for (const c of COMMANDS) parser.command(`${c.name} ${c.arguments}`.trim(), c.summary);
  parser
    .option("version", { type: "boolean", describe: "Show the version" })
    .option("help", { type: "boolean", alias: "h", describe: "Show this help" })
    .example("muswarm start", "The shipped trace on two machines")
    .example("muswarm sim my.trace --machine skylake-like", "One screen, and a results folder")
    .epilogue("muswarm <command> --help says more. Exit codes: 0 done, 1 internal error, 2 wrong input.");
  io.stdout.write(`${await parser.getHelp()}\n`);
  return Exit.Ok;
}

async function newParser(argv: readonly string[], io: Io) {
  const { default: yargs } = await import("yargs");
  return yargs([...argv])
    .scriptName("muswarm")
    .locale("en")
    .exitProcess(false)
    .help(false)
    .version(false)
    .wrap(Math.min(100, io.stdout.columns))
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
    });
}

async function commandParser(command: CommandSpec, argv: readonly string[], io: Io) {
  const usage = `muswarm ${command.name} ${command.arguments}`.trim();
  const parser = (await newParser(argv, io)).usage(`${usage} [options]\n\n${command.summary}.`);
  const asksForHelp = argv.includes("--help") || argv.includes("-h");
  for (const [name, o] of Object.entries(optionsOf(command))) {
    // Values are checked by checkArgs: to the parser all but flags is text. The help says what they are.
    const value = asksForHelp && o.kind === "integer" ? "number" : "string";
    parser.option(name, {
      type: o.kind === "flag" ? "boolean" : value,
      describe: o.repeat ? `${o.describe} (repeatable)` : o.describe,
      ...(o.short ? { alias: o.short } : {}),
      ...(asksForHelp && o.choices ? { choices: o.choices } : {}),
    });
  }
  for (const [example, what] of command.examples) parser.example(example, what);
  return parser;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " | ");
}
