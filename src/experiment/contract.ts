import type { MachineSpec, PrefetcherInput } from "../machine/spec.js";
import type { Plugin } from "../plugins/load.js";
import type { CounterDef, Snapshot } from "../stats/counters.js";

/** How the machine's state is treated between invocations, and what helps. */
export interface ProtocolSpec {
  /** Name in tables, files and `--protocol`: reference, lukewarm, jukebox, jukebox-paced, perfect, or a prefetcher's. */
  name: string;
  description: string;
  /** What is thrown away before each invocation. */
  flush: { caches: boolean; tlbs: boolean; predictors: boolean };
  /** Jukebox on the function's core. Absent: none. `replayDistance` overrides the machine's. */
  jukebox?: { replayDistance?: number; metadataBytes?: number };
  /** A prefetcher on the function's core. Absent: none beside the machine's. Not together with `jukebox`. */
  prefetcher?: PrefetcherInput;
  /** The function core's L1I never misses on a line it has held before. */
  perfectICache: boolean;
}

/** What one invocation cost. Counters are differences over the region of interest (WorkBegin to WorkEnd). */
export interface InvocationResult {
  /** Number in the trace, 0-based, warm-up ones included. */
  invocation: number;
  measured: boolean;
  /** Cycles of the clock at the region's begin and end: `end - begin` is the client's latency. */
  beginCycle: number;
  endCycle: number;
  counters: Snapshot;
}

/** Names of the counters, in the order of each snapshot. */
export interface CounterSchema {
  groups: { path: string; defs: readonly CounterDef[] }[];
}

/** One trace run on one machine under one protocol. */
export interface RunResult {
  protocol: ProtocolSpec;
  /** As it was run: the machine's description with what the protocol changes. */
  machine: MachineSpec;
  trace: {
    path: string;
    sha256: string;
    function: string;
    runtime: string;
    cores: number;
    functionCore: number;
    clientCore: number;
  };
  seed: number;
  /** Plug-ins that were loaded; absent: none. */
  plugins?: readonly Plugin[];
  schema: CounterSchema;
  /** Warm-up invocations first. */
  invocations: InvocationResult[];
  /** Instructions simulated in all, all cores, warm-up included; host seconds (not deterministic: never written into statistics). */
  simulatedInstructions: number;
  hostSeconds: number;
}

/** Told now and then while a run goes on. */
export interface RunProgress {
  protocol: string;
  machine: string;
  /** Instructions done and to do in this run, all cores. */
  done: number;
  total: number;
}
