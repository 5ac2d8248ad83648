import type { Prefetcher, PrefetcherHost } from "../cache/contract.js";
import type { PrefetcherSpec } from "../machine/spec.js";

export type ParameterValue = number | boolean | string;

/** A parameter of a prefetcher, as a machine file may set it. */
export interface ParameterSpec {
  /** Its type is the parameter's. */
  readonly default: ParameterValue;
  readonly describe: string;
  /** Of a number, which is an integer. Default 0 to 2^31 - 1. */
  readonly min?: number;
  readonly max?: number;
  readonly powerOfTwo?: boolean;
  /** Of a word. */
  readonly choices?: readonly string[];
}

export type Parameters = Readonly<Record<string, ParameterValue>>;

/** The demands that a prefetcher sees. */
export type Sees = NonNullable<PrefetcherSpec["on"]>;

/** A kind of prefetcher: what a name in a machine file stands for. */
export interface PrefetcherDefinition {
  /** One line, for tables of what there is. */
  readonly description?: string;
  /** Where it works unless the machine says so: "l1i", "l1d" or a level's name. Default: Jukebox's level; else the last. */
  readonly level?: string;
  /** What it sees unless the machine says so. Default "all". */
  readonly on?: Sees;
  readonly parameters?: Readonly<Record<string, ParameterSpec>>;
  /** Makes one prefetcher, of one core at one cache. Parameters are valid and complete. */
  create(host: PrefetcherHost, parameters: Parameters, on: Sees): Prefetcher;
}

/** An entry of a machine's `prefetchers` with nothing left out: parameters stand beside the keys. */
export interface ResolvedPrefetcher {
  readonly name: string;
  readonly level: string;
  readonly on: Sees;
  readonly cores: "all" | "function";
  readonly [parameter: string]: ParameterValue;
}
