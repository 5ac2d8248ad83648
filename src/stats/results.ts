import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { InputError } from "../errors.js";
import type { RunResult } from "../experiment/contract.js";
import type { Plugin } from "../plugins/load.js";
import { gem5Stats } from "./gem5.js";
import { statsJson, traceJson } from "./json.js";

/**
 * The results folder of one trace on one machine:
 *
 *     config.json             everything that was configured, defaults filled in
 *     stats.json              metrics with units, and all counters of every invocation
 *     <protocol>/stats.txt    the same in gem5's format, a block for each measured invocation
 *     manifest.json           versions, hashes of the trace, the configuration and each file above
 *
 * Two runs of the same command give the same bytes: no time, no host, no path is written.
 */
export const MANIFEST = "manifest.json";
const RESULTS_VERSION = 1;
const WRITER = "muswarm";

export interface WriteOptions {
  /** Replaces a results folder that exists. */
  force: boolean;
  /** Of the program. */
  version: string;
}

/**
 * Can results be written to `folder`? It may be absent or empty; with `force` it may also hold results,
 * but nothing else. Throws InputError.
 */
export function checkResultsFolder(folder: string, force: boolean): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw new InputError(`${folder}: is a file, not a folder`);
  if (readdirSync(folder).length === 0) return;
  if (!force)
    throw new InputError(`${folder}: is not empty; --force replaces results, --out names another folder`);
  if (!holdsResults(folder))
    throw new InputError(`${folder}: does not hold results; --force replaces nothing else`);
}

/** Writes a results folder whole or not at all: into a temporary one beside it, which is then renamed. */
export function writeResults(folder: string, runs: readonly RunResult[], options: WriteOptions): void {
  checkResultsFolder(folder, options.force);
  const target = resolve(folder);
  const suffix = randomBytes(6).toString("hex");
  const partial = `${target}.${suffix}.partial`;
  const old = `${target}.${suffix}.old.tmp`;
  try {
    mkdirSync(dirname(target), { recursive: true });
    mkdirSync(partial);
    const files = resultsFiles(runs, options.version);
    for (const [name, text] of files) {
      mkdirSync(dirname(join(partial, name)), { recursive: true });
      writeFileSync(join(partial, name), text);
    }
    if (existsSync(target)) renameSync(target, old);
    renameSync(partial, target);
  } catch (error) {
    if (existsSync(old) && !existsSync(target)) renameSync(old, target);
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    throw new InputError(`${folder}: cannot be written (${code})`);
  } finally {
    for (const left of [partial, old]) if (existsSync(left)) rmSync(left, { recursive: true, force: true });
  }
}

/** All files of a results folder by name, manifest last. */
export function resultsFiles(runs: readonly RunResult[], version: string): Map<string, string> {
  const files = new Map<string, string>();
  files.set("config.json", json(config(runs)));
  files.set("stats.json", json(statsJson(runs)));
  for (const run of runs) files.set(`${run.protocol.name}/stats.txt`, gem5Stats(run));
  const hashes = Object.fromEntries([...files].map(([name, text]) => [name, sha256(text)]));
  files.set(
    MANIFEST,
    json({
      writer: WRITER,
      versions: { muswarm: version, results: RESULTS_VERSION },
      trace: { file: traceJson(runs[0]).path, sha256: runs[0].trace.sha256 },
      seed: runs[0].seed,
      ...(runs[0].plugins === undefined ? {} : { plugins: runs[0].plugins.map(pluginJson) }),
      configSha256: hashes["config.json"],
      files: hashes,
    }),
  );
  return files;
}

/** A plug-in without the folder that it happens to lie in. */
function pluginJson({ path, ...plugin }: Plugin) {
  return { file: basename(path), ...plugin };
}

function config(runs: readonly RunResult[]) {
  const base = runs.find((run) => !run.protocol.perfectICache) ?? runs[0];
  const machine = json(base.machine);
  return {
    trace: traceJson(base),
    seed: base.seed,
    machine: base.machine,
    protocols: runs.map((run) => ({
      ...run.protocol,
      // Only where the protocol changes the machine.
      ...(json(run.machine) === machine ? {} : { machine: run.machine }),
    })),
  };
}

function holdsResults(folder: string): boolean {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, MANIFEST), "utf8")) as {
      writer?: unknown;
      files?: object;
    };
    const known = new Set([MANIFEST, ...Object.keys(manifest.files ?? {}).map((name) => name.split("/")[0])]);
    return manifest.writer === WRITER && readdirSync(folder).every((entry) => known.has(entry));
  } catch {
    return false;
  }
}

function json(data: unknown): string {
  return `${JSON.stringify(data, null, 2)}\n`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
