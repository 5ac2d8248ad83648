import { InputError, suggestion } from "../../errors.js";
import type { ReplacementFactory, ReplacementPolicy } from "./contract.js";
import { FifoPolicy } from "./fifo.js";
import { LruPolicy } from "./lru.js";
import { NruPolicy } from "./nru.js";
import { RandomPolicy } from "./random.js";
import { BrripPolicy, DrripPolicy, SrripPolicy } from "./rrip.js";
import { ShipPolicy } from "./ship.js";
import { TreePlruPolicy } from "./tree-plru.js";

export type { ReplacementFactory, ReplacementPolicy, ReplacementShape } from "./contract.js";
export { LruPolicy } from "./lru.js";

/** Replacement policies by name. A new one is an ordinary class and a line here, or a plug-in. */
const POLICIES = new Map<string, ReplacementFactory>([
  ["lru", ({ sets, ways }) => new LruPolicy(sets, ways)],
  ["fifo", ({ sets, ways }) => new FifoPolicy(sets, ways)],
  ["random", ({ sets, ways, seed }) => new RandomPolicy(sets, ways, seed)],
  ["tree-plru", ({ sets, ways }) => new TreePlruPolicy(sets, ways)],
  ["nru", ({ sets, ways }) => new NruPolicy(sets, ways)],
  ["srrip", ({ sets, ways }) => new SrripPolicy(sets, ways)],
  ["brrip", ({ sets, ways }) => new BrripPolicy(sets, ways)],
  ["drrip", ({ sets, ways }) => new DrripPolicy(sets, ways)],
  ["ship", ({ sets, ways }) => new ShipPolicy(sets, ways)],
]);

export function replacementNames(): string[] {
  return [...POLICIES.keys()];
}

/** Adds a plug-in's policy. Throws InputError when the name is taken. */
export function registerReplacement(name: string, factory: ReplacementFactory): void {
  if (POLICIES.has(name)) throw new InputError(`replacement policy "${name}": the name is taken`);
  POLICIES.set(name, factory);
}

/** @param path key path of the policy's name, for the message. Throws InputError. */
export function createReplacement(
  name: string,
  sets: number,
  ways: number,
  seed: number,
  path: string,
): ReplacementPolicy {
  const make = POLICIES.get(name);
  if (make === undefined)
    throw new InputError(`${path}: no replacement policy "${name}".${suggestion(name, replacementNames())}`);
  try {
    return make({ sets, ways, seed });
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${path}: ${name}: ${error.message}`);
    throw error;
  }
}
