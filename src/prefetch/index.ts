import type { Prefetcher, PrefetcherHost } from "../cache/contract.js";
import { InputError, suggestion } from "../errors.js";
import { type PrefetcherSpec, prefetcherSchema } from "../machine/spec.js";
import { bestOffset } from "./best-offset.js";
import type { ParameterSpec, ParameterValue, PrefetcherDefinition, ResolvedPrefetcher } from "./contract.js";
import { nextLine } from "./next-line.js";
import { stream } from "./stream.js";
import { stride } from "./stride.js";

export { seen } from "./base.js";
export type {
  ParameterSpec,
  Parameters,
  PrefetcherDefinition,
  ResolvedPrefetcher,
  Sees,
} from "./contract.js";

/** Prefetchers by name. A new one is a file and a line here, or a plug-in. (Jukebox has a key of its own.) */
const DEFINITIONS = new Map<string, PrefetcherDefinition>([
  ["next-line", nextLine],
  ["stride", stride],
  ["stream", stream],
  ["best-offset", bestOffset],
]);
/** Keys of an entry of `prefetchers` that are no parameters. */
const OWN_KEYS: readonly string[] = Object.keys(prefetcherSchema.shape);

export function prefetcherNames(): string[] {
  return [...DEFINITIONS.keys()];
}

/** Adds a plug-in's prefetcher. Throws InputError when the name is taken. */
export function registerPrefetcher(name: string, definition: PrefetcherDefinition): void {
  if (DEFINITIONS.has(name)) throw new InputError(`prefetcher "${name}": the name is taken`);
  for (const key of Object.keys(definition.parameters ?? {}))
    if (OWN_KEYS.includes(key))
      throw new InputError(`prefetcher "${name}": parameters: "${key}" is taken (${OWN_KEYS.join(", ")})`);
  DEFINITIONS.set(name, definition);
}

/**
 * An entry of a machine's `prefetchers` with defaults filled in. Throws InputError naming the key, what was expected and
 * the nearest right word.
 * @param path of the entry: `prefetchers[0]`
 * @param levels of the machine: "l1i", "l1d", then its levels' names
 * @param defaultLevel where neither the entry nor the prefetcher says one
 */
export function resolvePrefetcher(
  spec: PrefetcherSpec,
  path: string,
  levels: readonly string[],
  defaultLevel: string,
): ResolvedPrefetcher {
  const definition = definitionOf(spec.name, path);
  const known = definition.parameters ?? {};
  const parameters: Record<string, ParameterValue> = {};
  for (const [key, { default: value }] of Object.entries(known)) parameters[key] = value;
  for (const [key, value] of Object.entries(spec)) {
    if (OWN_KEYS.includes(key)) continue;
    if (!Object.hasOwn(known, key))
      throw new InputError(
        `${path}.${key}: unknown key.${suggestion(key, [...OWN_KEYS, ...Object.keys(known)])}`,
      );
    parameters[key] = checked(value, known[key], `${path}.${key}`);
  }
  const level = spec.level ?? definition.level ?? defaultLevel;
  if (!levels.includes(level))
    throw new InputError(`${path}.level: no level "${level}".${suggestion(level, levels)}`);
  return { name: spec.name, level, on: spec.on ?? definition.on ?? "all", cores: spec.cores, ...parameters };
}

/** Makes one core's prefetcher of an entry that `resolvePrefetcher` returned. */
export function createPrefetcher(entry: ResolvedPrefetcher, host: PrefetcherHost): Prefetcher {
  const parameters = Object.fromEntries(Object.entries(entry).filter(([key]) => !OWN_KEYS.includes(key)));
  return definitionOf(entry.name, "prefetchers").create(host, parameters, entry.on);
}

function definitionOf(name: string, path: string): PrefetcherDefinition {
  const definition = DEFINITIONS.get(name);
  if (definition === undefined)
    throw new InputError(`${path}.name: no prefetcher "${name}".${suggestion(name, prefetcherNames())}`);
  return definition;
}

function checked(value: unknown, spec: ParameterSpec, path: string): ParameterValue {
  const expected = (what: string): never => {
    throw new InputError(`${path}: expected ${what}; got ${JSON.stringify(value)}`);
  };
  if (typeof spec.default === "boolean")
    return typeof value === "boolean" ? value : expected("true or false");
  if (typeof spec.default === "string") {
    const { choices } = spec;
    if (typeof value !== "string")
      return expected(choices === undefined ? "a word" : `one of ${choices.join(", ")}`);
    if (choices !== undefined && !choices.includes(value))
      throw new InputError(`${path}: unknown word "${value}".${suggestion(value, choices)}`);
    return value;
  }
  const { min = 0, max = 2 ** 31 - 1 } = spec;
  const range = `a whole number from ${min} to ${max}${spec.powerOfTwo ? ", a power of two" : ""}`;
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max)
    return expected(range);
  if (spec.powerOfTwo && (value & (value - 1)) !== 0) return expected(range);
  return value;
}
