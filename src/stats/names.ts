import type { CounterSchema, RunResult } from "../experiment/contract.js";
import type { MachineSpec } from "../machine/spec.js";
import type { CounterView } from "./view.js";

/**
 * The counters that metrics and gem5 files are made of, as the parts of the machine declare them. This
 * is the one place that knows their names; a name that a run does not have is an error when it is read.
 */

/** What a demand access is for: instructions, or data (loads and stores; page walks are apart). */
export type Kind = "inst" | "data";

const REQUESTERS: Readonly<Record<Kind, readonly string[]>> = { inst: ["inst"], data: ["load", "store"] };

/** A cache of the machine as one core sees it. */
export interface CachePlace {
  /** "l1i", "l1d" or the level's name. */
  readonly level: string;
  /** Path of its counters: "cpu1.l2", "llc". */
  readonly path: string;
  readonly shared: boolean;
  /** What can miss in it. */
  readonly kinds: readonly Kind[];
}

/** Cores that a run has counters of, ascending. */
export function coresOf(schema: CounterSchema): number[] {
  return schema.groups
    .flatMap(({ path }) => (/^cpu\d+$/.test(path) ? [Number(path.slice(3))] : []))
    .sort((a, b) => a - b);
}

/** The caches that serve core `core`, from the L1s down. */
export function cachesOf(machine: MachineSpec, core: number): CachePlace[] {
  return [
    { level: "l1i", path: `cpu${core}.l1i`, shared: false, kinds: ["inst"] },
    { level: "l1d", path: `cpu${core}.l1d`, shared: false, kinds: ["data"] },
    ...machine.levels.map((level): CachePlace => {
      const path = level.shared ? level.name : `cpu${core}.${level.name}`;
      return { level: level.name, path, shared: level.shared, kinds: ["inst", "data"] };
    }),
  ];
}

/** One counter of a cache, of one core, for one kind of access. */
export function cacheCounter(
  view: CounterView,
  path: string,
  metric: string,
  core: number,
  kind: Kind,
): number {
  return view.sum(REQUESTERS[kind].map((who) => `${path}.${metric}.cpu${core}.${who}`));
}

/** Misses that went on to the level below: merges into a miss under way left out. gem5: MSHR misses. */
export function mshrMisses(view: CounterView, path: string, core: number, kind: Kind): number {
  return cacheCounter(view, path, "misses", core, kind) - cacheCounter(view, path, "mshrMerges", core, kind);
}

/** The prefetcher that a protocol is about. */
export interface MeasuredPrefetcher {
  /** "jukebox", or as in the machine's `prefetchers`. */
  readonly name: string;
  /** The cache that it fills for the function's core. */
  readonly place: CachePlace;
  /** The misses that it is to save. */
  readonly kinds: readonly Kind[];
}

/** The prefetcher of a run's protocol on the function's core: Jukebox or another; undefined: none. */
export function measuredPrefetcher(run: Measured): MeasuredPrefetcher | undefined {
  const { machine, protocol, trace } = run;
  const at = (level: string) => cachesOf(machine, trace.functionCore).find((place) => place.level === level)!;
  if (protocol.jukebox !== undefined) {
    if (machine.jukebox === undefined)
      throw new Error(`machine ${machine.name} has no Jukebox, protocol ${protocol.name} uses it`);
    return { name: "jukebox", place: at(machine.jukebox.level), kinds: ["inst"] };
  }
  if (protocol.prefetcher === undefined) return undefined;
  // The protocol's stands behind the machine's.
  const { name, level, on } = machine.prefetchers!.at(-1)!;
  return { name, place: at(level!), kinds: kindsOf(on!) };
}

/** What the prefetchers that work at a level are to save misses of, Jukebox among them; none: empty. */
export function prefetchedKinds(run: Measured, level: string): Kind[] {
  const kinds = new Set<Kind>();
  if (run.protocol.jukebox !== undefined && run.machine.jukebox?.level === level) kinds.add("inst");
  for (const p of run.machine.prefetchers ?? [])
    if (p.level === level) for (const kind of kindsOf(p.on!)) kinds.add(kind);
  return [...kinds].sort().reverse();
}

function kindsOf(on: "all" | "instructions" | "data"): Kind[] {
  return on === "all" ? ["inst", "data"] : [on === "data" ? "data" : "inst"];
}

type Measured = Pick<RunResult, "machine" | "protocol"> & { trace: { functionCore: number } };

/** Path of a prefetcher's own counters: `cpu1.llc.stride`. */
export function prefetcherPath({ name, place }: MeasuredPrefetcher, core: number): string {
  return `cpu${core}.${place.level}.${name}`;
}

/** A counter of the prefetches that a prefetcher asked a cache for, for a core: `pfIssued`, `pfUseful`. */
export function prefetchCounter(
  view: CounterView,
  prefetcher: MeasuredPrefetcher,
  metric: string,
  core: number,
): number {
  // Where it is the only one, Jukebox's are those of its cache.
  const own = `${prefetcherPath(prefetcher, core)}.${metric}`;
  return view.has(own) ? view.get(own) : view.get(`${prefetcher.place.path}.${metric}.cpu${core}`);
}

/** Bytes between the last cache and main memory, by kind, as the memory counts them: "read.fetch", "written.writeback". */
export function memoryBytes(view: CounterView): { kind: string; bytes: number }[] {
  const all = [
    ...view
      .under("memory.bytesRead.")
      .map((k) => ({ kind: `read.${k}`, bytes: view.get(`memory.bytesRead.${k}`) })),
    ...view
      .under("memory.bytesWritten.")
      .map((k) => ({ kind: `written.${k}`, bytes: view.get(`memory.bytesWritten.${k}`) })),
  ];
  if (all.length === 0) throw new Error('no counters "memory.bytesRead.*" in this run');
  return all;
}

/** Where a core's cycles went. */
export interface CycleParts {
  /** Active cycles: neither halted nor waiting for the order between cores or for a work event. */
  active: number;
  /** The others. */
  idle: number;
  /** Active cycles by cause, in the core's order; they sum to `active`. */
  causes: { cause: string; cycles: number }[];
}

const SLOTS = "slots.";
const NOT_ACTIVE = new Set(["idle", "sync"]);

/** The core counts the causes in commit slots: this many a cycle. */
function slotsPerCycle(machine: MachineSpec): number {
  return machine.core.model === "pipeline" ? machine.core.pipeline.executeCommitLimit : 1;
}

/** Throws when the causes do not sum to the cycles. */
export function cycleParts(view: CounterView, machine: MachineSpec, core: number): CycleParts {
  const cpu = `cpu${core}`;
  const perCycle = slotsPerCycle(machine);
  const slots = view
    .under(`${cpu}.${SLOTS}`)
    .filter((cause) => !NOT_ACTIVE.has(cause))
    .map((cause) => ({ cause, slots: view.get(`${cpu}.${SLOTS}${cause}`) }));
  const active = view.get(`${cpu}.numCycles`);
  const idle = view.get(`${cpu}.idleCycles`) + view.get(`${cpu}.syncCycles`);
  const sum = slots.reduce((total, part) => total + part.slots, 0);
  if (sum !== active * perCycle) {
    throw new Error(
      `${cpu}: the causes sum to ${sum} commit slots, ${active} active cycles have ${active * perCycle}`,
    );
  }
  return {
    active,
    idle,
    causes: slots.map((part) => ({ cause: part.cause, cycles: part.slots / perCycle })),
  };
}

/** Instructions that a core committed. */
export function instructions(view: CounterView, core: number): { user: number; kernel: number } {
  const all = view.get(`cpu${core}.numInsts`);
  const kernel = view.get(`cpu${core}.kernelInsts`);
  return { user: all - kernel, kernel };
}
