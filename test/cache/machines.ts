import { readFileSync } from "node:fs";
import { type MachineInput, type MachineSpec, machineSchema } from "../../src/machine/spec.js";

/** A machine of machines/, with parts replaced. */
export function machine(name: string, change: (input: MachineInput) => void = () => {}): MachineSpec {
  const text = readFileSync(new URL(`../../machines/${name}.json`, import.meta.url), "utf8");
  const input = JSON.parse(text) as MachineInput;
  change(input);
  return machineSchema.parse(input);
}
