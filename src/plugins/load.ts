import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type ReplacementFactory, registerReplacement } from "../cache/replacement/index.js";
import { BRANCH_COUNTERS, type BranchUnitFactory, registerBranchUnit } from "../core/branch/index.js";
import { InputError, suggestion } from "../errors.js";
import {
  type ParameterSpec,
  type PrefetcherDefinition,
  registerPrefetcher,
  seen,
} from "../prefetch/index.js";
import { GuardedPrefetcher } from "./guard.js";

/** A plug-in that is loaded. */
export interface Plugin {
  /** As it was asked for. */
  readonly path: string;
  /** Of the file's bytes; files that it imports are not in it. */
  readonly sha256: string;
  /** Names that it adds. */
  readonly prefetchers: readonly string[];
  readonly replacementPolicies: readonly string[];
  readonly branchPredictors: readonly string[];
}

/** What a plug-in's default export holds: definitions by name; at least one. */
export interface PluginDefinition {
  readonly prefetchers?: Readonly<Record<string, PrefetcherDefinition>>;
  readonly replacementPolicies?: Readonly<Record<string, ReplacementFactory>>;
  readonly branchPredictors?: Readonly<Record<string, BranchUnitFactory>>;
}

const KINDS = ["prefetchers", "replacementPolicies", "branchPredictors"] as const;
const DEFINITION_KEYS = ["description", "level", "on", "parameters", "create"];
const SEES = ["all", "instructions", "data"];
const PREFETCHER_METHODS = ["act", "demand", "evictedUnused", "beginInvocation", "endInvocation"];
const POLICY_METHODS = ["touch", "fill", "victim", "invalidate"];
const UNIT_METHODS = ["predict", "flush"];

// By absolute path. Names belong to the process: a file is registered once.
const loaded = new Map<string, Plugin>();

/**
 * Loads plug-ins from ES modules and adds what they export to the names that machine descriptions may use; see
 * docs/plugins.md. Call it before `loadMachine`. A file that is loaded already is not loaded again.
 * Throws InputError that names the file, the export and what was expected.
 */
export async function loadPlugins(paths: readonly string[]): Promise<Plugin[]> {
  const plugins: Plugin[] = [];
  for (const path of paths) plugins.push(await loadPlugin(path));
  return plugins;
}

async function loadPlugin(path: string): Promise<Plugin> {
  const file = resolve(path);
  const bytes = read(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const known = loaded.get(file);
  if (known !== undefined) {
    if (known.sha256 !== sha256)
      throw new InputError(`${path}: has changed since it was loaded; begin a new process`);
    return known;
  }
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw new InputError(`${path}: cannot be loaded as an ES module: ${oneLine(error)}`);
  }
  const plugin = register(path, sha256, module);
  loaded.set(file, plugin);
  return plugin;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new InputError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`);
  }
}

/** Checks all that it has, then registers it: a plug-in is taken whole or not at all. */
function register(path: string, sha256: string, module: Record<string, unknown>): Plugin {
  const definition = module["default"] as Record<string, unknown> | undefined;
  if (definition === undefined)
    throw new InputError(`${path}: has no default export; expected export default { ${KINDS.join(", ")} }`);
  if (definition === null || typeof definition !== "object")
    throw new InputError(
      `${path}: default export: expected an object { ${KINDS.join(", ")} }, got ${typeof definition}`,
    );
  for (const key of Object.keys(definition))
    if (!(KINDS as readonly string[]).includes(key))
      throw new InputError(`${path}: default export: unknown key "${key}".${suggestion(key, KINDS)}`);
  if (!KINDS.some((kind) => definition[kind] !== undefined))
    throw new InputError(`${path}: default export: expected at least one of ${KINDS.join(", ")}`);
  const label = basename(path);
  const prefetchers = entries(path, "prefetchers", definition).map(
    ([name, value]) => [name, prefetcher(label, name, value, `${path}: prefetchers.${name}`)] as const,
  );
  const policies = entries(path, "replacementPolicies", definition).map(
    ([name, value]) => [name, policy(label, name, value, `${path}: replacementPolicies.${name}`)] as const,
  );
  const units = entries(path, "branchPredictors", definition).map(
    ([name, value]) => [name, unit(label, name, value, `${path}: branchPredictors.${name}`)] as const,
  );
  try {
    for (const [name, definition] of prefetchers) registerPrefetcher(name, definition);
    for (const [name, factory] of policies) registerReplacement(name, factory);
    for (const [name, factory] of units) registerBranchUnit(name, factory);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
  const names = (list: readonly (readonly [string, unknown])[]) => list.map(([name]) => name);
  return {
    path,
    sha256,
    prefetchers: names(prefetchers),
    replacementPolicies: names(policies),
    branchPredictors: names(units),
  };
}

function entries(path: string, kind: string, definition: Record<string, unknown>): [string, unknown][] {
  const value = definition[kind];
  if (value === undefined) return [];
  if (value === null || typeof value !== "object")
    throw new InputError(`${path}: ${kind}: expected an object of definitions by name`);
  for (const key of Object.keys(value))
    if (!/^[a-z][a-z0-9-]*$/.test(key))
      throw new InputError(`${path}: ${kind}: expected names of small letters, digits and "-"; got "${key}"`);
  return Object.entries(value);
}

function prefetcher(label: string, name: string, value: unknown, where: string): PrefetcherDefinition {
  const definition = (value ?? {}) as PrefetcherDefinition;
  for (const key of Object.keys(definition))
    if (!DEFINITION_KEYS.includes(key))
      throw new InputError(`${where}: unknown key "${key}".${suggestion(key, DEFINITION_KEYS)}`);
  const { parameters = {}, level, on } = definition;
  if (typeof definition.create !== "function")
    throw new InputError(`${where}: expected a function create(host, parameters, on)`);
  if (level !== undefined && typeof level !== "string")
    throw new InputError(`${where}.level: expected "l1i", "l1d" or a level's name`);
  if (on !== undefined && !SEES.includes(on))
    throw new InputError(`${where}.on: expected one of ${SEES.join(", ")}; got ${JSON.stringify(on)}`);
  for (const [key, spec] of Object.entries(parameters)) checkParameter(spec, `${where}.parameters.${key}`);
  return {
    ...definition,
    create(host, given, sees) {
      const who = `${label}: prefetcher "${name}"`;
      return new GuardedPrefetcher(who, label, host, seen(sees), (guardedHost) => {
        const made = definition.create(guardedHost, given, sees);
        checkMade(made, PREFETCHER_METHODS, `${who}: create`);
        return made;
      });
    },
  };
}

function checkParameter(spec: ParameterSpec | undefined, where: string): void {
  const type = typeof spec?.default;
  if (type !== "number" && type !== "string" && type !== "boolean")
    throw new InputError(`${where}: expected { default: a number, word or boolean, describe: text }`);
}

function policy(label: string, name: string, value: unknown, where: string): ReplacementFactory {
  if (typeof value !== "function")
    throw new InputError(`${where}: expected a function ({ sets, ways, seed }) that makes a policy`);
  return (shape) => {
    const made = (value as ReplacementFactory)(shape);
    checkMade(made, POLICY_METHODS, `${label}: replacement policy "${name}": the factory`);
    return made;
  };
}

function unit(label: string, name: string, value: unknown, where: string): BranchUnitFactory {
  if (typeof value !== "function")
    throw new InputError(`${where}: expected a function (spec) that makes a branch prediction unit`);
  return (spec) => {
    const made = (value as BranchUnitFactory)(spec);
    checkMade(made, UNIT_METHODS, `${label}: branch predictor "${name}": the factory`);
    if (!(made.counts instanceof Float64Array) || made.counts.length !== BRANCH_COUNTERS.length)
      throw new InputError(
        `${label}: branch predictor "${name}": expected counts to be a Float64Array of ${BRANCH_COUNTERS.length}`,
      );
    return made;
  };
}

function checkMade(made: unknown, methods: readonly string[], where: string): void {
  if (made === null || typeof made !== "object")
    throw new InputError(
      `${where}: expected it to return an object; got ${made === null ? "null" : typeof made}`,
    );
  for (const method of methods)
    if (typeof (made as Record<string, unknown>)[method] !== "function")
      throw new InputError(
        `${where}: expected an object with the functions ${methods.join(", ")}; "${method}" is missing`,
      );
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
