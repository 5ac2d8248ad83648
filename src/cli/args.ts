import { InputError, suggestion } from "../errors.js";
import type { Io } from "./io.js";

/** One option of a command. */
export interface OptionSpec {
  readonly kind: "flag" | "text" | "integer";
  readonly describe: string;
  /** May be given more than once. */
  readonly repeat?: boolean;
  /** One letter. */
  readonly short?: string;
  /** Allowed words. */
  readonly choices?: readonly string[];
  /** Smallest value of an integer; default 0. */
  readonly min?: number;
}

/** What a command's code gets: words that are no options, and the options that were given. */
export interface Args {
  readonly words: readonly string[];
  flag(name: string): boolean;
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  integer(name: string): number | undefined;
}

/** A command, as data; `load` brings in its code when it is run. */
export interface CommandSpec {
  /** "sim", "trace info". */
  readonly name: string;
  /** What stands behind the name: "<trace..>". */
  readonly arguments: string;
  readonly summary: string;
  /** Fewest and most words behind the name. */
  readonly words: readonly [min: number, max: number];
  /** What is missing when there are too few: "a trace file". */
  readonly needs?: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** @returns the exit code */
  readonly load: () => Promise<(args: Args, io: Io) => Promise<number>>;
}

const COMMON: Readonly<Record<string, OptionSpec>> = {
  json: { kind: "flag", describe: "Write one JSON document to stdout, and nothing else there" },
  help: { kind: "flag", describe: "Show this help", short: "h" },
};

export function optionsOf(command: CommandSpec): Readonly<Record<string, OptionSpec>> {
  return { ...command.options, ...COMMON };
}

/** Checks what yargs parsed (with camel-case expansion, negation and dot notation off) against the command. */
export function checkArgs(command: CommandSpec, parsed: Readonly<Record<string, unknown>>): Args {
  const options = optionsOf(command);
  const fail = (problem: string): never => {
    throw new InputError(`${command.name}: ${problem}`);
  };
  const shorts = new Map(Object.entries(options).flatMap(([name, o]) => (o.short ? [[o.short, name]] : [])));
  const values = new Map<string, string[]>();
  for (const [key, value] of Object.entries(parsed)) {
    if (key === "_" || key === "$0" || shorts.has(key) || value === undefined) continue;
    const option = Object.hasOwn(options, key) ? options[key] : undefined;
    if (option === undefined) {
      const dashes = key.length === 1 ? "-" : "--";
      const known = Object.keys(options).map((name) => `--${name}`);
      return fail(`unknown option ${dashes}${key}.${suggestion(`--${key}`, known)}`);
    }
    const given = (Array.isArray(value) ? value : [value]).map(String);
    if (option.kind === "flag") {
      if (given[given.length - 1] === "true") values.set(key, ["true"]);
      continue;
    }
    if (given.length > 1 && !option.repeat) fail(`--${key} is given ${given.length} times`);
    for (const text of given) checkValue(`--${key}`, text, option, fail);
    values.set(key, given);
  }
  const words = (parsed["_"] as unknown[]).map(String);
  const [min, max] = command.words;
  if (words.length > max)
    fail(`unexpected argument "${words[max]}"; usage: muswarm ${command.name} ${command.arguments}`);
  if (words.length < min) fail(`needs ${command.needs}; usage: muswarm ${command.name} ${command.arguments}`);
  return {
    words,
    flag: (name) => values.has(name),
    text: (name) => values.get(name)?.[0],
    texts: (name) => values.get(name) ?? [],
    integer: (name) => {
      const text = values.get(name)?.[0];
      return text === undefined ? undefined : Number(text);
    },
  };
}

function checkValue(name: string, text: string, option: OptionSpec, fail: (problem: string) => never): void {
  if (text === "") fail(`${name} needs a value`);
  if (option.kind === "integer") {
    const min = option.min ?? 0;
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value) || value < min) {
      fail(`${name} needs a whole number of at least ${min}, got "${text}"`);
    }
  }
  if (option.choices !== undefined && !option.choices.includes(text)) {
    fail(`unknown ${name.slice(2)} "${text}".${suggestion(text, option.choices)}`);
  }
}
