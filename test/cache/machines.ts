import { readFileSync } from "node:fs";
import type { MemorySystem } from "../../src/cache/system.js";
import { type MachineInput, type MachineSpec, machineSchema } from "../../src/machine/spec.js";

/** A machine of machines/, with parts replaced. */
export function machine(name: string, change: (input: MachineInput) => void = () => {}): MachineSpec {
  const text = readFileSync(new URL(`../../machines/${name}.json`, import.meta.url), "utf8");
  const input = JSON.parse(text) as MachineInput;
  change(input);
  return machineSchema.parse(input);
}

/** The value of a counter by its full name. */
export function counter(system: MemorySystem, name: string): number {
  for (const { path, defs, values } of system.counterGroups()) {
    const i = defs.findIndex((def) => `${path}.${def.name}` === name);
    if (i >= 0) return values[i];
  }
  throw new Error(`no counter ${name}`);
}

/** State of a line in a cache: "I", "S", "E" or "M". */
export function stateOf(system: MemorySystem, path: string, line: number): string {
  const cache = system.allCaches().find((c) => c.path === path);
  if (cache === undefined) throw new Error(`no cache ${path}`);
  const slot = cache.find(line);
  return slot < 0 ? "I" : "ISEM"[cache.state[slot]];
}
