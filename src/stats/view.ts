import type { CounterSchema, InvocationResult, RunResult } from "../experiment/contract.js";
import type { CounterDef, Snapshot } from "./counters.js";

/** Values of counters by full name. An unknown name throws: a number is never made up. */
export class CounterView {
  private constructor(
    private readonly slots: ReadonlyMap<string, number>,
    private readonly values: Snapshot,
  ) {}

  /** The counters of one snapshot. */
  static of(schema: CounterSchema, values: Snapshot): CounterView {
    const slots = slotsOf(schema);
    if (slots.size !== values.length) {
      throw new Error(`${values.length} values for ${slots.size} counters`);
    }
    return new CounterView(slots, values);
  }

  get(name: string): number {
    const slot = this.slots.get(name);
    if (slot === undefined) throw new Error(`no counter "${name}" in this run`);
    return this.values[slot];
  }

  has(name: string): boolean {
    return this.slots.has(name);
  }

  /** Sum of several counters. */
  sum(names: readonly string[]): number {
    return names.reduce((total, name) => total + this.get(name), 0);
  }

  /** Names that begin with `prefix`, in the sheet's order, without it. */
  under(prefix: string): string[] {
    return [...this.slots.keys()].filter((n) => n.startsWith(prefix)).map((n) => n.slice(prefix.length));
  }

  /** All that mean something, in the sheet's order. */
  entries(): [name: string, value: number][] {
    return [...this.slots]
      .filter(([name]) => !isReserved(name))
      .map(([name, slot]) => [name, this.values[slot]]);
  }
}

/** All counters of a schema with their full names, in the order of a snapshot. */
export function counterDefs(schema: CounterSchema): { name: string; def: CounterDef }[] {
  return schema.groups.flatMap((g) => g.defs.map((def) => ({ name: `${g.path}.${def.name}`, def })));
}

/** Slots that a component keeps free: "cpu0.reserved14". */
export function isReserved(name: string): boolean {
  return /\.reserved\d+$/.test(name);
}

const known = new WeakMap<CounterSchema, ReadonlyMap<string, number>>();

function slotsOf(schema: CounterSchema): ReadonlyMap<string, number> {
  let slots = known.get(schema);
  if (slots === undefined) {
    slots = new Map(counterDefs(schema).map(({ name }, i) => [name, i]));
    known.set(schema, slots);
  }
  return slots;
}

export function measuredInvocations(run: RunResult): InvocationResult[] {
  return run.invocations.filter((i) => i.measured);
}

/** The counters of all measured invocations together. */
export function measuredTotal(run: RunResult): CounterView {
  const invocations = measuredInvocations(run);
  const total = new Float64Array(slotsOf(run.schema).size);
  for (const { counters } of invocations) for (let i = 0; i < total.length; i++) total[i] += counters[i];
  return CounterView.of(run.schema, total);
}

export function invocationView(run: RunResult, invocation: InvocationResult): CounterView {
  return CounterView.of(run.schema, invocation.counters);
}
