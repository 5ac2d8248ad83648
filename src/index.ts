/**
 * muswarm as a library: all that the command line does. Start with `openTrace`, `loadMachine` and
 * `simulate`; `metricsOf` turns results into named figures, whose definitions are `METRICS`.
 */
export {
  Outcome,
  type Prefetcher,
  type PrefetcherCounters,
  type PrefetcherHost,
  type PrefetchTarget,
  Requester,
} from "./cache/contract.js";
export type { ReplacementFactory, ReplacementPolicy } from "./cache/replacement/index.js";
export { MemorySystem } from "./cache/system.js";
export {
  type CaptureOptions,
  type CaptureResult,
  capture,
  captureUser,
  listFunctions,
  type UserCaptureOptions,
  type UserCaptureResult,
} from "./capture/index.js";
export {
  BRANCH_COUNTERS,
  BranchCount,
  type BranchUnit,
  type BranchUnitFactory,
} from "./core/branch/index.js";
export { InputError, PluginError } from "./errors.js";
export type {
  CounterSchema,
  InvocationResult,
  ProtocolSpec,
  RunProgress,
  RunResult,
} from "./experiment/contract.js";
export { PROTOCOLS, protocol } from "./experiment/protocols.js";
export { IdentityError, runProtocol } from "./experiment/run.js";
export { type SimulateOptions, type SimulateProgress, simulate } from "./experiment/simulate.js";
export { type DecodedTable, decodeBlocks } from "./loader/decode/index.js";
export { decodeTrace } from "./loader/decode/thread.js";
export * from "./loader/index.js";
export { loadMachine, machineNames, type Override, parseMachine, parseOverride } from "./machine/load.js";
export type { MachineInput, MachineSpec } from "./machine/spec.js";
export { loadPlugins, type Plugin, type PluginDefinition } from "./plugins/load.js";
export type { ParameterSpec, PrefetcherDefinition } from "./prefetch/index.js";
export { gem5Stats, parseGem5Stats } from "./stats/gem5.js";
export { comparisonJson, statsJson } from "./stats/json.js";
export { METRICS, type MetricDef, metricDef, metricsOf } from "./stats/metrics.js";
export { formatReport } from "./stats/report.js";
export { writeResults } from "./stats/results.js";
