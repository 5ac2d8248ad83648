import { basename } from "node:path";
import { InputError } from "../../errors.js";
import { createTraceWriter, EventKind, type TraceHeaderInput } from "../../loader/index.js";
import { SYNTHESISED } from "../provenance.js";
import { Assembler, type AssemblyCounts } from "./assemble.js";
import type { FlatInstruction, FlatSource } from "./flat.js";
import { FirstTouch } from "./pages.js";
import { Survey } from "./survey.js";

/** How a foreign trace becomes one of ours. */
export interface ConvertOptions {
  /** Name of the program; default: the file's. */
  name?: string;
  /** Instructions read, at most. */
  limit?: number;
  /** The exact command and the program's version, for the header. */
  command: string;
  version: string;
  /** ISO 8601. */
  date: string;
}

export interface ConvertReport extends AssemblyCounts {
  input: string;
  path: string;
  format: string;
  /** Instructions read. */
  read: number;
  staticInstructions: number;
  pages: number;
  blockExecutions: number;
  /** What the result lacks. */
  lost: readonly string[];
}

/** @param pass 0 or 1: the source is read twice */
export type ConvertProgress = (pass: number, done: number, all: number) => void;

/** Turns a foreign trace into one of ours: one core, one measured invocation around everything. */
export async function convertToTrace(
  source: FlatSource,
  input: string,
  path: string,
  options: ConvertOptions,
  progress: ConvertProgress = () => {},
): Promise<ConvertReport> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const survey = new Survey();
  let real = true;
  await source.read(
    (instruction: FlatInstruction) => {
      if (instruction.bytes === undefined) real = false;
      survey.add(instruction);
      return survey.executed < limit;
    },
    (done, all) => progress(0, done, all),
  );
  if (survey.executed === 0) throw new InputError(`${input}: there is no instruction in it`);
  survey.finish();
  const sink = createTraceWriter(path, header(source, input, options, survey, real));
  try {
    const assembler = new Assembler(sink, survey, new FirstTouch(sink));
    sink.event(0, EventKind.WorkBegin, 0, 0, 0);
    let read = 0;
    await source.read(
      (instruction) => {
        assembler.add(instruction);
        return ++read < limit;
      },
      (done, all) => progress(1, done, all),
    );
    assembler.finish();
    sink.event(0, EventKind.WorkEnd, 0, 0, 0);
    const blockExecutions = sink.position(0);
    sink.close();
    return {
      input,
      path,
      format: source.format,
      read: survey.executed,
      staticInstructions: survey.instructions.size,
      pages: survey.pages.size,
      blockExecutions,
      ...assembler.counts,
      lost: source.lost,
    };
  } catch (error) {
    sink.abort();
    throw error;
  }
}

function header(
  source: FlatSource,
  input: string,
  options: ConvertOptions,
  survey: Survey,
  real: boolean,
): TraceHeaderInput {
  return {
    function:
      options.name ??
      basename(input)
        .replace(/\.(gz|xz|zip)$/, "")
        .replace(/\.(trace|champsim|champsimtrace|txt|lackey)$/, ""),
    runtime: "unknown",
    clockGHz: 1,
    cores: 1,
    functionCore: 0,
    clientCore: 0,
    warmInvocations: 0,
    measuredInvocations: 1,
    provenance: {
      command: options.command,
      date: options.date,
      versions: { muswarm: options.version },
      notes: [
        `converted from ${source.format}: ${basename(input)}`,
        ...(real ? [] : [SYNTHESISED]),
        ...source.lost,
      ],
    },
    memoryMiB: Math.ceil((survey.pages.size + 1) / 256),
    containers: {},
  };
}
