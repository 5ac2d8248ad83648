import { type StdioOptions, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { createTraceWriter, type TraceHeaderInput } from "../loader/index.js";
import { Cache, defaultWorkDir, hashOf } from "./cache.js";
import { checkReport, checkTrace } from "./checks.js";
import { Converter, type ConvertReport } from "./convert.js";
import {
  CaptureError,
  ensureHostPackages,
  type ProgressSink,
  packageVersion,
  USER_PACKAGES,
} from "./host.js";
import { findProgram, isElf, type ProgramFacts, parseProgramMaps } from "./program.js";
import { readRaw } from "./raw.js";
import { buildRecorder, type Recorder } from "./recorder.js";
import { SymbolCollector } from "./symbols.js";
import { shellWord } from "./words.js";

/** The processor that the program finds: fixed, so that run-time dispatch chooses the same everywhere. */
export const USER_CPU = "max";
const MEMORY_MIB = 2048;
const TASK = 1;

export interface UserCaptureOptions {
  /** Program and its arguments. */
  command: readonly string[];
  /** Trace file to write. */
  output: string;
  /** Where the program's input comes from and its output goes to; default: those of this process. */
  stdio?: StdioOptions;
  workDir?: string;
  keep?: boolean;
  signal?: AbortSignal;
}

export interface UserCaptureResult {
  path: string;
  bytes: number;
  /** The recorder's file, where it was kept. */
  raw?: string;
  exitCode: number;
  /** Threads that the program started in all; only the first is in the trace. */
  threads: number;
  instructions: number;
  report: ConvertReport;
  warnings: string[];
  seconds: { record: number; convert: number };
}

/**
 * Captures one program without a guest: user code only, from its first instruction to its last, as one
 * invocation. Throws InputError for what is no x86-64 program.
 */
export async function captureUser(
  options: UserCaptureOptions,
  progress: ProgressSink,
): Promise<UserCaptureResult> {
  const program = findProgram(options.command[0], process.env["PATH"] ?? "");
  const { signal } = options;
  const output = resolve(options.output);
  mkdirSync(dirname(output), { recursive: true });
  const cache = new Cache(resolve(options.workDir ?? defaultWorkDir()));
  await ensureHostPackages(progress, USER_PACKAGES, signal);
  const recorder = await buildRecorder(cache, signal);
  const scratch = cache.temporary("record");
  mkdirSync(scratch);
  const raw = join(scratch, "recording.raw");
  try {
    const started = Date.now();
    const exitCode = await runProgram(program, options, recorder, raw);
    const recorded = Date.now();
    const maps = `${raw}.maps`;
    const facts = parseProgramMaps(existsSync(maps) ? readFileSync(maps, "utf8") : "");
    const name = basename(program);
    const header = headerOf(options, name, program, recorder);
    const { report, warnings } = await convert(raw, output, header, facts, name, progress, signal);
    const { bytes, instructions } = finished(output, report);
    return {
      path: output,
      bytes,
      exitCode,
      threads: facts.threads,
      instructions,
      report,
      warnings,
      seconds: { record: (recorded - started) / 1000, convert: (Date.now() - recorded) / 1000 },
      ...(options.keep ? { raw } : {}),
    };
  } finally {
    if (!options.keep) rmSync(scratch, { recursive: true, force: true });
  }
}

function finished(output: string, report: ConvertReport): { bytes: number; instructions: number } {
  const [[instructions]] = checkTrace(output, report, 1);
  return { bytes: statSync(output).size, instructions };
}

/** Runs the program under the recorder. @returns its exit code */
function runProgram(
  program: string,
  { command, stdio, signal }: UserCaptureOptions,
  recorder: Recorder,
  raw: string,
): Promise<number> {
  const plugin = `${recorder.plugin.replaceAll(",", ",,")},out=${raw.replaceAll(",", ",,")}`;
  const args = ["-cpu", USER_CPU, "-seed", "1", "-0", command[0], "-plugin", plugin, program];
  return new Promise((resolve, reject) => {
    const child = spawn("qemu-x86_64", [...args, ...command.slice(1)], {
      stdio: stdio ?? "inherit",
      signal,
      killSignal: "SIGKILL",
    });
    const end = () => child.kill("SIGKILL");
    process.once("exit", end);
    child.on("error", (error) => {
      process.removeListener("exit", end);
      reject(new CaptureError(signal?.aborted ? "record: interrupted" : `record: ${error.message}`));
    });
    child.on("close", (code, killedBy) => {
      process.removeListener("exit", end);
      if (signal?.aborted) reject(new CaptureError("record: interrupted"));
      else if (code === null)
        reject(new CaptureError(`record: ${program} was ended by ${killedBy}; no trace was written`));
      else resolve(code);
    });
  });
}

function headerOf(
  { command, output }: UserCaptureOptions,
  name: string,
  program: string,
  recorder: Recorder,
): TraceHeaderInput {
  return {
    function: name,
    runtime: "native",
    clockGHz: 1,
    cores: 1,
    functionCore: 0,
    clientCore: 0,
    warmInvocations: 0,
    measuredInvocations: 1,
    memoryMiB: MEMORY_MIB,
    containers: { 1: name },
    tasks: { [TASK]: name },
    provenance: {
      command: ["muswarm", "capture", "--user", "-o", output, "--", ...command].map(shellWord).join(" "),
      date: new Date().toISOString(),
      versions: { "qemu-user": packageVersion("qemu-user"), recorder: recorder.hash },
      notes: [
        `user code of one program, without a kernel; processor: ${USER_CPU}`,
        `sha256 of ${name}: ${hashOf(readFileSync(program))}`,
      ],
    },
  };
}

async function convert(
  raw: string,
  output: string,
  header: TraceHeaderInput,
  facts: ProgramFacts,
  name: string,
  progress: ProgressSink,
  signal?: AbortSignal,
): Promise<{ report: ConvertReport; warnings: string[] }> {
  const sink = createTraceWriter(output, header, { quality: 9 });
  try {
    const converter = new Converter(sink, {
      cores: 1,
      nsPerInstruction: 1,
      memoryMiB: MEMORY_MIB,
      pages: new Map(),
      entries: new Map(),
      firstTouch: true,
      containerOf: () => 1,
    });
    const bytes = statSync(raw).size;
    // Of a program that was short until another took its place, not even the beginning was written.
    if (bytes > 0)
      await readRaw(raw, converter, (done) => progress.progress(done / bytes, "Writing the trace"), signal);
    if (!converter.hasEnded)
      throw new CaptureError(
        `record: ${name} has no end: it was ended by a signal, or ran another program in its own place (exec)`,
      );
    const report = converter.finish();
    const names = new SymbolCollector();
    for (const asid of converter.processes.keys())
      names.addProcess(asid, facts.mappings, (path) => (isElf(path) ? path : undefined));
    sink.symbols(names.objects, names.collect(converter.executed()));
    const warnings = checkReport(report);
    if (report.signals > 0)
      warnings.push(`${report.signals} times a signal's handler began or ended: marked as a task switch`);
    if (facts.threads > 1)
      warnings.push(`${name} started ${facts.threads - 1} more threads; the trace has the first one only`);
    sink.close();
    return { report, warnings };
  } catch (error) {
    sink.abort();
    throw error;
  }
}
