import { closeSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { InputError } from "../errors.js";
import { openTrace } from "../loader/index.js";
import { CLOUDSUITE, PLAIN } from "../tools/convert/champsim.js";
import { ChampSimSource, champSimLayout } from "../tools/convert/champsim-read.js";
import { writeChampSim } from "../tools/convert/champsim-write.js";
import { convertToTrace } from "../tools/convert/convert.js";
import { DrMemtraceSource } from "../tools/convert/drmemtrace-read.js";
import type { FlatSource } from "../tools/convert/flat.js";
import { Input } from "../tools/convert/input.js";
import { LackeySource, looksLikeLackey } from "../tools/convert/lackey-read.js";
import { streamRange } from "../tools/range.js";
import type { Args } from "./args.js";
import { version } from "./cli.js";
import { type Io, writeJson } from "./io.js";
import { StatusLine } from "./progress.js";
import { outputOf } from "./trace-make.js";

const ZIP_MAGIC = Buffer.from("PK\x03\x04", "latin1");
const TRACE_MAGIC = Buffer.from("\x89musw", "latin1");

/** `muswarm trace convert <file>` */
export async function convert(args: Args, io: Io): Promise<number> {
  const input = args.words[0];
  const output = outputOf(args, "trace convert");
  return isTrace(input) ? await write(args, io, input, output) : await read(args, io, input, output);
}

async function read(args: Args, io: Io, input: string, output: string): Promise<number> {
  for (const name of ["core", "from", "count", "invocation"])
    if (args.text(name) !== undefined)
      throw new InputError(
        `trace convert: --${name} is for writing ChampSim traces; --limit takes the first part`,
      );
  const source = await sourceOf(input, args.text("format"));
  const line = new StatusLine(io);
  try {
    const report = await convertToTrace(
      source,
      input,
      output,
      {
        name: args.text("name"),
        limit: args.integer("limit"),
        command: `muswarm trace convert ${basename(input)} -o ${basename(output)}`,
        version: version(),
        date: new Date().toISOString(),
      },
      (pass, done, all) => {
        if (io.signal.aborted) throw new Error("interrupted");
        line.update(() => `pass ${pass + 1} of 2, ${Math.floor((100 * done) / Math.max(1, all))} %`);
      },
    );
    line.clear();
    if (args.flag("json")) writeJson(io, report);
    else {
      io.stdout.write(
        `${output}: ${count(report.instructions)} instructions in ${count(report.blockExecutions)} block executions, from ${report.format}\n`,
      );
      if (report.iterations > 0)
        io.stdout.write(
          `${count(report.iterations)} iterations became part of repeated string instructions\n`,
        );
      if (report.indirect > 0)
        io.stdout.write(
          `${count(report.indirect)} branches are given as indirect: several targets, or out of reach\n`,
        );
      if (report.breaks > 0)
        io.stdout.write(
          `${count(report.breaks)} jumps that no branch explains are marked as task switches\n`,
        );
      lost(io, report.lost);
    }
    return 0;
  } finally {
    line.clear();
  }
}

async function write(args: Args, io: Io, input: string, output: string): Promise<number> {
  const format = args.text("format");
  if (format !== undefined && format !== "champsim")
    throw new InputError(`trace convert: a muswarm trace can be written as champsim, not as ${format}`);
  for (const name of ["limit", "name"])
    if (args.text(name) !== undefined)
      throw new InputError(
        `trace convert: --${name} is for reading; --count says how many block executions are written`,
      );
  const line = new StatusLine(io);
  const trace = openTrace(input);
  try {
    const range = streamRange(trace, {
      core: args.integer("core"),
      from: args.integer("from"),
      count: args.integer("count"),
      invocations: args.text("invocation"),
    });
    const report = await writeChampSim(trace, range, output, (done, all) => {
      if (io.signal.aborted) throw new Error("interrupted");
      line.update(() => `${Math.floor((100 * done) / Math.max(1, all))} % written`);
    });
    line.clear();
    if (args.flag("json")) writeJson(io, report);
    else {
      io.stdout.write(
        `${output}: ${count(report.records)} records of core ${report.core}, ${count(report.instructions)} instructions\n`,
      );
      if (report.accessesLost > 0)
        io.stdout.write(`${count(report.accessesLost)} addresses found no room in their record\n`);
      lost(io, report.lost);
    }
    return 0;
  } finally {
    line.clear();
    trace.close();
  }
}

function lost(io: Io, statements: readonly string[]): void {
  io.stdout.write(`\nWhat is lost or made up:\n${statements.map((text) => `- ${text}\n`).join("")}`);
}

const count = (value: number): string => value.toLocaleString("en");

async function sourceOf(input: string, format: string | undefined): Promise<FlatSource> {
  switch (format) {
    case "lackey":
      return new LackeySource(input);
    case "drmemtrace":
      return new DrMemtraceSource(input);
    case "champsim":
      return new ChampSimSource(input, PLAIN);
    case "cloudsuite":
      return new ChampSimSource(input, CLOUDSUITE);
    default: {
      for await (const head of new Input(input).chunks()) {
        if (Buffer.from(head.subarray(0, 4)).equals(ZIP_MAGIC)) return new DrMemtraceSource(input);
        if (looksLikeLackey(head.subarray(0, 1 << 16))) return new LackeySource(input);
        break;
      }
      return new ChampSimSource(input, await champSimLayout(input));
    }
  }
}

function isTrace(path: string): boolean {
  new Input(path);
  const fd = openSync(path, "r");
  try {
    const head = Buffer.alloc(TRACE_MAGIC.length);
    readSync(fd, head, 0, head.length, 0);
    return head.equals(TRACE_MAGIC);
  } finally {
    closeSync(fd);
  }
}
