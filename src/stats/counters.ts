/**
 * Counters: a component declares what it counts once, and counts in a Float64Array of its own.
 * The sheet collects the arrays of a whole machine; regions of interest are differences of snapshots.
 * Nothing of the machine is imported here.
 */

export type Unit = "Count" | "Cycle" | "Byte" | "Tick" | "Ratio" | "Second";

/** One counter: a slot in its component's array. */
export interface CounterDef {
  /** Relative to the component, in the field's words, camelCase: `demandMisses.fetch`. */
  readonly name: string;
  readonly unit: Unit;
  readonly description: string;
}

/** One component's counters. `values[i]` counts `defs[i]`. */
export interface CounterGroup {
  /** Dotted path of the component: `cpu1.l1i`, `llc`, `memory`. */
  readonly path: string;
  readonly defs: readonly CounterDef[];
  readonly values: Float64Array;
}

/** The values of all counters of a sheet at one time, in the sheet's order. */
export type Snapshot = Float64Array;

/** All counters of one machine. */
export class CounterSheet {
  readonly groups: CounterGroup[] = [];
  private readonly base = new Map<string, number>();
  private readonly index = new Map<string, number>();
  private size = 0;

  /** Throws when the path is taken already or `values` does not fit `defs`. */
  add(group: CounterGroup): void {
    if (this.base.has(group.path)) throw new Error(`counters of "${group.path}" added twice`);
    if (group.defs.length !== group.values.length)
      throw new Error(`counters of "${group.path}": length differs`);
    this.base.set(group.path, this.size);
    group.defs.forEach((def, i) => {
      const name = `${group.path}.${def.name}`;
      if (this.index.has(name)) throw new Error(`counter "${name}" declared twice`);
      this.index.set(name, this.size + i);
    });
    this.groups.push(group);
    this.size += group.defs.length;
  }

  get length(): number {
    return this.size;
  }

  /** All full names, in order. */
  names(): string[] {
    return [...this.index.keys()];
  }

  has(name: string): boolean {
    return this.index.has(name);
  }

  /** Slot of a full name (`llc.demandMisses.fetch`). Throws on an unknown one. */
  slot(name: string): number {
    const slot = this.index.get(name);
    if (slot === undefined) throw new Error(`no counter "${name}"`);
    return slot;
  }

  /** Reads one counter's present value, time and again. Throws on an unknown name. */
  reader(name: string): () => number {
    for (const { path, defs, values } of this.groups) {
      const at = defs.findIndex((def) => `${path}.${def.name}` === name);
      if (at >= 0) return () => values[at];
    }
    throw new Error(`no counter "${name}"`);
  }

  snapshot(): Snapshot {
    const out = new Float64Array(this.size);
    let at = 0;
    for (const group of this.groups) {
      out.set(group.values, at);
      at += group.values.length;
    }
    return out;
  }
}

/** `after - before`, slot by slot. */
export function difference(after: Snapshot, before: Snapshot): Snapshot {
  const out = new Float64Array(after.length);
  for (let i = 0; i < out.length; i++) out[i] = after[i] - before[i];
  return out;
}
