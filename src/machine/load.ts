import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { replacementNames } from "../cache/replacement/index.js";
import { branchUnitNames } from "../core/branch/index.js";
import { InputError, nearest, suggestion } from "../errors.js";
import { dramParameters } from "../memory/dram/devices.js";
import { type ResolvedPrefetcher, resolvePrefetcher } from "../prefetch/index.js";
import {
  type CacheSpec,
  type DramMemorySpec,
  type EntriesSpec,
  type MachineSpec,
  machineSchema,
  type PrefetcherInput,
  prefetcherSchema,
} from "./spec.js";

const MACHINES = fileURLToPath(new URL("../../machines/", import.meta.url));

/** Names of the machines that come with the package, sorted. */
export function machineNames(): string[] {
  return readdirSync(MACHINES)
    .filter((f) => f.endsWith(".json"))
    .map((f) => basename(f, ".json"))
    .sort();
}

/** A change to a machine's description: `levels.0.cache.sizeKiB` = 256. */
export interface Override {
  path: string;
  value: unknown;
}

/** Parses `key.path=value`; the value is JSON, or else a string. */
export function parseOverride(text: string): Override {
  const at = text.indexOf("=");
  if (at <= 0)
    throw new InputError(`--set ${text}: expected key.path=value, for example levels.0.cache.sizeKiB=256`);
  const raw = text.slice(at + 1);
  let value: unknown = raw;
  try {
    value = JSON.parse(raw);
  } catch {
    // a bare word is a string
  }
  return { path: text.slice(0, at), value };
}

/**
 * Loads a machine by name (`simple`) or from a JSON file (anything with a slash or ending in .json).
 * Throws InputError naming the file and the key.
 */
export function loadMachine(nameOrPath: string, overrides: readonly Override[] = []): MachineSpec {
  const isPath = nameOrPath.includes("/") || nameOrPath.endsWith(".json");
  if (!isPath && !machineNames().includes(nameOrPath)) {
    throw new InputError(`unknown machine "${nameOrPath}".${suggestion(nameOrPath, machineNames())}`);
  }
  const file = isPath ? nameOrPath : join(MACHINES, `${nameOrPath}.json`);
  const label = isPath ? nameOrPath : `machine ${nameOrPath}`;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new InputError(`${label}: cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`);
  }
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${label}: not JSON: ${(error as Error).message}${place(text, error as Error)}`);
  }
  for (const override of overrides) applyOverride(data, override, label);
  return parseMachine(data, label);
}

/** Validates a machine description. Throws InputError with the first key that is wrong. */
export function parseMachine(data: unknown, label: string): MachineSpec {
  const result = machineSchema.safeParse(data);
  if (!result.success) throw new InputError(`${label}: ${explain(result.error.issues[0], data)}`);
  const spec = result.data;
  crossCheck(spec, label);
  if (spec.prefetchers === undefined) return spec;
  return { ...spec, prefetchers: labelled(label, () => resolvedPrefetchers(spec)) };
}

/**
 * The machine with one prefetcher more, on the function's core alone. Throws InputError with the key that is wrong,
 * its path beginning with `path`.
 */
export function withPrefetcher(spec: MachineSpec, input: PrefetcherInput, path: string): MachineSpec {
  const parsed = prefetcherSchema.safeParse({ ...input, cores: "function" });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InputError(`${path}.${pathText(issue.path)}: ${issue.message}`);
  }
  const entry = resolvePrefetcher(parsed.data, path, prefetcherLevels(spec), defaultPrefetcherLevel(spec));
  const prefetchers = [...(spec.prefetchers ?? []), entry];
  checkPrefetchers(prefetchers as ResolvedPrefetcher[], () => path);
  return { ...spec, prefetchers };
}

function resolvedPrefetchers(spec: MachineSpec): ResolvedPrefetcher[] {
  const levels = prefetcherLevels(spec);
  const fallback = defaultPrefetcherLevel(spec);
  const resolved = spec.prefetchers!.map((p, i) =>
    resolvePrefetcher(p, `prefetchers[${i}]`, levels, fallback),
  );
  checkPrefetchers(resolved, (i) => `prefetchers[${i}]`);
  return resolved;
}

/** Counters of a prefetcher are found by its level and name. */
function checkPrefetchers(list: readonly ResolvedPrefetcher[], path: (i: number) => string): void {
  list.forEach((p, i) => {
    if (p.name === "jukebox")
      throw new InputError(`${path(i)}.name: Jukebox has a key of its own: "jukebox"`);
    if (list.findIndex((other) => other.name === p.name && other.level === p.level) !== i)
      throw new InputError(`${path(i)}: there is a "${p.name}" at ${p.level} already`);
  });
}

function prefetcherLevels(spec: MachineSpec): string[] {
  return ["l1i", "l1d", ...spec.levels.map((level) => level.name)];
}

function defaultPrefetcherLevel(spec: MachineSpec): string {
  return spec.jukebox?.level ?? spec.levels[spec.levels.length - 1].name;
}

function crossCheck(spec: MachineSpec, label: string): void {
  const names = spec.levels.map((l) => l.name);
  const fail = (text: string) => {
    throw new InputError(`${label}: ${text}`);
  };
  names.forEach((name, i) => {
    if (name === "l1i" || name === "l1d" || name === "memory") fail(`levels[${i}].name: "${name}" is taken`);
    if (names.indexOf(name) !== i) fail(`levels[${i}].name: "${name}" is used twice`);
    if (i > 0 && spec.levels[i - 1].shared && !spec.levels[i].shared)
      fail(`levels[${i}].shared: a private level cannot lie below a shared one`);
    if (spec.levels[i].cache.infinite) fail(`levels[${i}].cache.infinite: only the l1i can be infinite`);
  });
  if (!spec.levels[names.length - 1].shared && spec.cores > 1)
    fail(
      `levels[${names.length - 1}].shared: the last level of a machine with ${spec.cores} cores must be shared`,
    );
  const known = (key: string, what: string, name: string, all: string[]) => {
    if (!all.includes(name)) fail(`${key}: unknown ${what} "${name}".${suggestion(name, all)}`);
  };
  known("core.branchPredictor.name", "branch predictor", spec.core.branchPredictor.name, branchUnitNames());
  for (const [key, cache] of cachesOf(spec))
    known(`${key}.replacement`, "replacement policy", cache.replacement, replacementNames());
  if (spec.memory.model === "dram") labelled(label, () => dramParameters(spec.memory as DramMemorySpec));
  if (spec.l1d.infinite) fail("l1d.infinite: only the l1i can be infinite");
  const walkers = ["memory", "none", ...names];
  if (!walkers.includes(spec.core.walker))
    fail(`core.walker: no level "${spec.core.walker}".${suggestion(spec.core.walker, walkers)}`);
  if (spec.jukebox !== undefined && !names.includes(spec.jukebox.level))
    fail(`jukebox.level: no level "${spec.jukebox.level}".${suggestion(spec.jukebox.level, names)}`);
  for (const [key, { entries, ways }] of tlbsOf(spec)) {
    const sets = entries / ways;
    if (!Number.isInteger(sets) || (sets & (sets - 1)) !== 0)
      fail(`${key}: entries / ways must be a power of two, got ${entries} / ${ways}`);
    if (key.endsWith(".large") && !spec.core.largeKernelPages)
      fail(`${key}: has no use without core.largeKernelPages`);
  }
}

/** Every TLB, part of one and page-walk cache with its key. */
function tlbsOf({ core }: MachineSpec): [key: string, spec: EntriesSpec][] {
  const out: [string, EntriesSpec][] = [];
  for (const which of ["itlb", "dtlb", "l2tlb"] as const) {
    const tlb = core[which];
    if (tlb !== undefined) out.push([`core.${which}`, tlb]);
    if (tlb?.large !== undefined) out.push([`core.${which}.large`, tlb.large]);
  }
  for (const which of ["pml4e", "pdpte", "pde"] as const) {
    const cache = core.pageWalkCaches?.[which];
    if (cache !== undefined) out.push([`core.pageWalkCaches.${which}`, cache]);
  }
  return out;
}

/** Every cache with its key. */
function cachesOf(spec: MachineSpec): [key: string, cache: CacheSpec][] {
  return [
    ["l1i", spec.l1i],
    ["l1d", spec.l1d],
    ...spec.levels.map(({ cache }, i): [string, CacheSpec] => [`levels[${i}].cache`, cache]),
  ];
}

/** Puts the label of the machine in front of what `check` finds wrong. */
function labelled<T>(label: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${label}: ${error.message}`);
    throw error;
  }
}

function explain(issue: z.core.$ZodIssue, data: unknown): string {
  const path = pathText(issue.path);
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0];
    const where = path === "" ? key : `${path}.${key}`;
    return `${where}: unknown key.${suggestion(key, knownKeys(issue.path))}`;
  }
  if (issue.code === "invalid_union" && issue.discriminator !== undefined) return explainUnion(issue, data);
  const got = valueAt(data, issue.path);
  const shown = got === undefined ? "nothing" : JSON.stringify(got);
  return `${path || "top level"}: ${issue.message}; got ${shown.length > 60 ? `${shown.slice(0, 57)}...` : shown}`;
}

/** The key that says which of several kinds an object is has a wrong value. */
function explainUnion(issue: z.core.$ZodIssueInvalidUnion, data: unknown): string {
  const key = issue.discriminator!;
  const at = issue.path.at(-1) === key ? issue.path : [...issue.path, key];
  const known = optionsAt(at.slice(0, -1)).flatMap((option) => {
    const literal = option.shape?.[key] as { def?: { values?: unknown[] } } | undefined;
    return literal?.def?.values?.map(String) ?? [];
  });
  const got = valueAt(data, at);
  const text = got === undefined ? `is missing. Known: ${known.join(", ")}.` : `no such kind: "${got}".`;
  return `${pathText(at)}: ${text}${got === undefined ? "" : suggestion(String(got), known)}`;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`,
    "",
  );
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let at = data;
  for (const key of path) {
    if (at === null || typeof at !== "object") return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

/** Keys that the schema knows at a path, for the nearest right word. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  return [...new Set(optionsAt(path).flatMap(({ shape }) => Object.keys(shape ?? {})))];
}

interface SchemaNode {
  shape?: Record<PropertyKey, unknown>;
  def?: { element?: unknown; innerType?: unknown; options?: unknown[] };
}

/** The schema at a path; of a union, each of its members. */
function optionsAt(path: readonly PropertyKey[]): SchemaNode[] {
  let nodes = members(machineSchema);
  for (const key of path)
    nodes = nodes.flatMap((node) => members(typeof key === "number" ? node.def?.element : node.shape?.[key]));
  return nodes;
}

function members(schema: unknown): SchemaNode[] {
  const node = unwrap(schema);
  if (node === undefined) return [];
  return node.def?.options === undefined ? [node] : node.def.options.flatMap(members);
}

function unwrap(schema: unknown): SchemaNode | undefined {
  let at = schema as SchemaNode | undefined;
  while (at?.def?.innerType !== undefined) at = at.def.innerType as SchemaNode;
  return at;
}

function applyOverride(data: unknown, override: Override, label: string): void {
  const keys = override.path.split(".").flatMap((part) => part.replaceAll(/\[(\d+)\]/g, ".$1").split("."));
  let at = data as Record<string, unknown>;
  for (const [i, key] of keys.entries()) {
    if (at === null || typeof at !== "object") {
      throw new InputError(`${label}: --set ${override.path}: ${keys.slice(0, i).join(".")} has no keys`);
    }
    if (Array.isArray(at) && !(Number(key) < at.length)) {
      throw new InputError(
        `${label}: --set ${override.path}: ${keys.slice(0, i).join(".")} has ${at.length} entries`,
      );
    }
    if (i === keys.length - 1) at[key] = override.value;
    else {
      if (at[key] === undefined) {
        const known = knownKeys(keys.slice(0, i).map((k) => (/^\d+$/.test(k) ? Number(k) : k)));
        if (!known.includes(key)) {
          const near = nearest(key, known);
          throw new InputError(
            `${label}: --set ${override.path}: unknown key "${key}".${near ? ` Did you mean "${near}"?` : suggestion(key, known)}`,
          );
        }
        at[key] = {};
      }
      at = at[key] as Record<string, unknown>;
    }
  }
}

function place(text: string, error: Error): string {
  const match = /position (\d+)/.exec(error.message);
  if (!match || /line \d+/.test(error.message)) return "";
  const before = text.slice(0, Number(match[1])).split("\n");
  return ` (line ${before.length}, column ${before[before.length - 1].length + 1})`;
}
