import { mkdirSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { InputError } from "../errors.js";
import { PhaseKind } from "../loader/contract.js";
import { createTraceWriter, type TraceHeaderInput } from "../loader/index.js";
import {
  buildClient,
  buildCompanions,
  buildFunction,
  goVersions,
  guestPackages,
  npmVersions,
  protosOf,
} from "./builds.js";
import { processOfFunction } from "./bundle.js";
import { Cache, defaultWorkDir } from "./cache.js";
import { callLines, drawInputs } from "./calls.js";
import { checkReport, checkTrace } from "./checks.js";
import { Converter, type ConvertReport } from "./convert.js";
import {
  containerOf,
  containersOf,
  type Facts,
  loadFacts,
  loadProcessFacts,
  type ProcessFacts,
} from "./facts.js";
import { type FunctionSpec, findFunction } from "./functions.js";
import {
  CaptureError,
  ensureHostPackages,
  GUEST_PACKAGES,
  type ProgressSink,
  packageVersion,
} from "./host.js";
import { type ContainerProcess, type FlatImage, flattenImage, processOf } from "./image/index.js";
import { imageSpec } from "./image-spec.js";
import { type Base, buildBase, buildFunctionImage, versionOf } from "./images.js";
import { jitNames, withJitNames } from "./jit.js";
import { buildKernel, findKernel } from "./kernel.js";
import { kernelEntries } from "./kernel-entries.js";
import {
  boot,
  CLIENT_CORE,
  companionCoresOf,
  functionCoreOf,
  kernelCommandLine,
  MEMORY_MIB,
  machineSummary,
  type Parts,
  type Recording,
  readFacts,
  record,
} from "./machine.js";
import { type CaptureOptions, callsOf, commandOf, type Plan, planOf } from "./options.js";
import { ownFiles, PhaseFinder, phasePlan, readsNames } from "./phases.js";
import { prescan } from "./prescan.js";
import { readRaw } from "./raw.js";
import { buildRecorder, type Recorder } from "./recorder.js";
import { type Step, Steps } from "./steps.js";
import { overlay, SymbolCollector } from "./symbols.js";

export { listFunctions } from "./functions.js";
export { CaptureError, type ProgressSink } from "./host.js";
export { imageName } from "./image/index.js";
export type { ImageOptions } from "./image-spec.js";
export { type CaptureOptions, RUNTIMES } from "./options.js";
export { captureUser, type UserCaptureOptions, type UserCaptureResult } from "./user.js";

export interface CaptureResult {
  /** The trace file. */
  path: string;
  bytes: number;
  /** The recorder's file, where it was kept. */
  raw?: string;
  /** Figures of the conversion, and its checks. */
  report: ConvertReport;
  /** By core, instructions of each invocation. */
  invocations: number[][];
  /** What is not as it should be but does not spoil the trace. */
  warnings: string[];
  seconds: { boot: number; record: number; convert: number };
  /** Time and disk of each step. */
  steps: Step[];
  /** What the function answered to the first call, at most 1000 bytes as text. */
  firstReply: string;
}

/** Everything that a capture has built, and what it knows. */
interface Guest {
  spec: FunctionSpec;
  base: Base;
  recorder: Recorder;
  /** Folder with the files of the function's disk. */
  tree: string;
  parts: Parts;
  /** Folder of the saved state. */
  snapshot: string;
  facts: Facts;
  /** Files whose use tells that the runtime turns to the function's own code. */
  ownFiles: string[];
  /** What function and client were built with. */
  versions: Record<string, string>;
}

/**
 * Captures a function: installs and builds what is missing, boots a guest, warms the function up, records
 * it and writes the trace. Throws InputError for what the user can mend and CaptureError for a step that
 * failed; the trace appears under its name only when it is complete.
 */
export async function capture(options: CaptureOptions, progress: ProgressSink): Promise<CaptureResult> {
  const plan = planOf(options);
  if ((options.function === undefined) === (options.image === undefined))
    throw new InputError("capture: needs either a function or an image");
  const spec = options.image === undefined ? findFunction(options.function ?? "") : imageSpec(options.image);
  const { signal } = options;
  const cache = new Cache(resolve(options.workDir ?? defaultWorkDir()));
  const output = resolve(plan.output);
  mkdirSync(dirname(output), { recursive: true });
  await ensureHostPackages(progress, GUEST_PACKAGES, signal);

  const steps = new Steps(progress, cache.folder);
  const started = Date.now();
  let guest = await prepare(spec, plan, cache, progress, steps, signal);
  const booted = Date.now();
  const scratch = cache.temporary("record");
  mkdirSync(scratch);
  const raw = join(scratch, "recording.raw");
  try {
    await steps.begin("Recording");
    const after = plan.startup || plan.jitNames ? join(scratch, "after") : undefined;
    const recordingOf = ({ recorder, facts, ownFiles: paths }: Guest): Recording => {
      const range = paths.length > 0 ? readsNames(facts.kernelSymbols) : undefined;
      const names = range === undefined ? {} : { names: { paths, ...range } };
      const { nsPerInstruction } = plan;
      return { plugin: recorder.plugin, raw, nsPerInstruction, task: facts.task, after, ...names };
    };
    const timeout = 300 + callsOf(plan).recorded * 10 + (plan.startup ? 600 : 0);
    const console = join(cache.folder, `console-record-${spec.name}.log`);
    rmSync(console, { force: true });
    const go = () =>
      record(guest.parts, guest.snapshot, scratch, console, recordingOf(guest), timeout, progress, signal);
    try {
      await go();
    } catch (error) {
      if (!(error instanceof CaptureError) || !error.message.includes("clock jumped")) throw error;
      // Seen once in many: the emulated timers of a saved state go astray. Another state does not have it.
      progress.log(`${error.message}; once more from a new boot`);
      rmSync(guest.snapshot, { recursive: true });
      guest = await prepare(spec, plan, cache, progress, steps, signal);
      rmSync(console, { force: true });
      await go();
    }
    const recorded = Date.now();
    await steps.begin("Writing the trace");
    const perfBefore = guest.facts.perfMaps;
    if (after !== undefined) guest.facts = { ...guest.facts, ...later(guest.facts, loadProcessFacts(after)) };
    const result = await convert(guest, perfBefore, plan, raw, output, progress, signal);
    await steps.end();
    const seconds = {
      boot: (booted - started) / 1000,
      record: (recorded - booted) / 1000,
      convert: (Date.now() - recorded) / 1000,
    };
    const { firstReply } = guest.facts;
    return { ...result, seconds, steps: steps.done, firstReply, ...(plan.keep ? { raw } : {}) };
  } finally {
    if (!plan.keep) rmSync(scratch, { recursive: true, force: true });
  }
}

/** Builds, boots and warms; all from the cache where nothing has changed. */
async function prepare(
  spec: FunctionSpec,
  plan: Plan,
  cache: Cache,
  progress: ProgressSink,
  steps: Steps,
  signal?: AbortSignal,
): Promise<Guest> {
  // First of all, so that a mistake in a function.json costs no time.
  const drawn = drawInputs(spec, plan.inputs, plan.seed, plan.warm + plan.invocations);
  const lines = callLines(spec, protosOf(spec), drawn);
  const kernelSource = await findKernel(plan.kernel, cache, signal);
  if (spec.image !== undefined) await steps.begin("Reading the image");
  const image =
    spec.image === undefined
      ? undefined
      : await flattenImage(resolve(spec.folder, spec.image), cache, progress, signal);
  await steps.begin("Building the recorder");
  const recorder = await buildRecorder(cache, signal);
  await steps.begin("Building the guest");
  const base = await buildBase(guestPackages(spec), plan.runtime, cache, signal);
  const kernel = await buildKernel(kernelSource, base, cache, signal);
  await steps.begin(`Building ${spec.name}`);
  const client = await buildClient(cache, signal);
  const app = image === undefined ? await buildFunction(spec, cache, signal) : undefined;
  const calls = callsOf(plan);
  const { cores } = plan;
  const settings = {
    RUNTIME: plan.runtime,
    BEFORE: String(calls.before),
    SETTLE: String(calls.settle),
    RECORDED: String(calls.recorded),
    PORT: String(spec.port),
    FUNCTION_CORE: String(functionCoreOf(cores)),
    CLIENT_CORE: String(CLIENT_CORE),
    COMPANION_CORES: companionCoresOf(cores),
    STARTUP: plan.startup ? "1" : "",
    AFTER: plan.startup || plan.jitNames ? "1" : "",
    LOWER: image === undefined ? "/muswarm/rootfs:/" : "/muswarm/rootfs",
  };
  const companions = await buildCompanions(spec, cache, signal);
  const process = processOfSpec(plan.jitNames ? withJitNames(spec) : spec, image);
  const rootfs = image?.rootfs;
  const core = functionCoreOf(cores);
  const disk_ = { spec, process, core, app, rootfs, client, companions, calls: lines, settings };
  const disk = await buildFunctionImage(disk_, cache, signal);
  const tree = join(disk, "tree");
  const parts = {
    cores,
    kernel,
    baseImage: join(base.folder, "base.img"),
    functionImage: join(disk, "function.img"),
  };

  await steps.begin("Booting the guest and warming the function up");
  const inputs = {
    base: basename(base.folder),
    kernel: basename(kernel.folder),
    disk: basename(disk),
    qemu: qemuVersion(),
    machine: machineSummary(cores),
  };
  const console = join(cache.folder, `console-boot-${spec.name}.log`);
  const snapshot = await cache.get(`snapshot-${spec.name}`, inputs, async (folder) => {
    rmSync(console, { force: true });
    await boot(parts, folder, console, 300 + plan.warm, progress, signal);
    mkdirSync(join(folder, "facts"));
    await readFacts(folder, join(folder, "facts"), "kallsyms", signal);
  });
  const facts = loadFacts(join(snapshot, "facts"));
  const versions = {
    ...(await goVersions(cache, signal)),
    ...(app === undefined ? {} : npmVersions(app)),
    ...(image === undefined ? {} : { image: `${image.reference} sha256:${image.digest}`.trim() }),
  };
  const paths = plan.startup ? ownFiles(process.args, process.cwd, filesOf(spec, tree, base).container) : [];
  return { spec, base, recorder, tree, parts, snapshot, facts, ownFiles: paths, versions };
}

/** Turns the recording into the trace and checks it. */
async function convert(
  guest: Guest,
  perfBefore: ReadonlyMap<number, string>,
  plan: Plan,
  raw: string,
  output: string,
  progress: ProgressSink,
  signal?: AbortSignal,
): Promise<Omit<CaptureResult, "seconds" | "steps" | "firstReply">> {
  const { facts, spec } = guest;
  const files = filesOf(spec, guest.tree, guest.base);
  const phases = plan.startup
    ? new PhaseFinder(phasePlan(facts, facts.kernelSymbols, guest.ownFiles.length > 0, files.container))
    : undefined;
  const expected = plan.recordedWarm + plan.invocations;
  const found = await prescan(raw, signal);
  if (found.finished !== expected) {
    throw new CaptureError(`record: ${found.finished} of ${expected} invocations were recorded`);
  }
  const sink = createTraceWriter(output, headerOf(guest, plan, found.tasks), { quality: 9 });
  try {
    const converter = new Converter(sink, {
      cores: plan.cores,
      nsPerInstruction: plan.nsPerInstruction,
      memoryMiB: MEMORY_MIB,
      pages: found.pages,
      entries: kernelEntries(facts.kernelSymbols),
      phases,
      containerOf: (tgid) => containerOf(facts, tgid),
    });
    const bytes = statSync(raw).size;
    await readRaw(raw, converter, (done) => progress.progress(done / bytes, "Writing the trace"), signal);
    const report = converter.finish();
    const names = new SymbolCollector();
    names.addKernel(facts.kernelSymbols);
    // A process that has got another program has only the last one's names.
    const last = new Map([...converter.processes].map(([asid, tgid]) => [tgid, asid]));
    for (const [tgid, asid] of last) {
      const isFunction = facts.functionPids.includes(tgid);
      const mappings = facts.mappings.get(tgid) ?? [];
      names.addProcess(asid, mappings, isFunction ? files.container : files.guest);
      const perf = facts.perfMaps.get(tgid);
      if (perf !== undefined) names.addJit(asid, jitNames(perf, perfBefore.get(tgid) ?? ""), mappings);
    }
    sink.symbols(names.objects, names.collect(converter.executed()));
    const warnings = checkReport(report);
    const missing = Object.entries(PhaseKind).filter(([, kind]) => phases?.found[kind] === false);
    if (missing.length > 0)
      warnings.push(`phases without a beginning: ${missing.map(([name]) => name).join(", ")}`);
    sink.close();
    const invocations = checkTrace(output, report, expected);
    for (const warning of warnings) progress.log(`warning: ${spec.name}: ${warning}`);
    return { path: output, bytes: statSync(output).size, report, invocations, warnings };
  } catch (error) {
    sink.abort();
    throw error;
  }
}

/** What was said after the recording, over what was said before: some processes have ended since. */
function later(before: ProcessFacts, after: ProcessFacts): ProcessFacts {
  return { ...after, mappings: new Map([...before.mappings, ...after.mappings]) };
}

/** How the container's process is started. */
function processOfSpec(spec: FunctionSpec, image: FlatImage | undefined): ContainerProcess {
  if (image === undefined) return processOfFunction(spec);
  const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`);
  return processOf(image.config, image.accounts, { args: spec.command, env });
}

/** Where this machine has the files of the container and of the guest around it. */
function filesOf(spec: FunctionSpec, tree: string, base: Base) {
  const root = join(base.folder, "root");
  const guest = overlay(root);
  return {
    container: overlay(join(tree, "rootfs"), ...(spec.image === undefined ? [root] : [])),
    guest: (path: string) =>
      path.startsWith("/muswarm/") ? join(tree, path.slice("/muswarm/".length)) : guest(path),
  };
}

function headerOf(guest: Guest, plan: Plan, tasks: Record<string, string>): TraceHeaderInput {
  const { spec, base, recorder, facts } = guest;
  const versions: Record<string, string> = {
    qemu: qemuVersion(),
    kernel: guest.parts.kernel.version,
    [plan.runtime]: versionOf(base, plan.runtime),
    recorder: recorder.hash,
    ...guest.versions,
  };
  for (const name of ["nodejs", "python3.11", "python3-grpcio", "memcached", "redis-server"]) {
    const version = versionOf(base, name);
    if (version !== "") versions[name] = version;
  }
  return {
    function: spec.name,
    runtime: spec.runtime,
    clockGHz: 1 / plan.nsPerInstruction,
    cores: plan.cores,
    functionCore: functionCoreOf(plan.cores),
    clientCore: CLIENT_CORE,
    warmInvocations: plan.recordedWarm,
    measuredInvocations: plan.invocations,
    memoryMiB: MEMORY_MIB,
    containers: containersOf(facts, spec.name),
    tasks,
    provenance: {
      command: commandOf(plan),
      date: new Date().toISOString(),
      versions,
      notes: [
        `kernel command line: ${kernelCommandLine(plan.cores)}`,
        `container runtime: ${facts.runtimeVersion}`,
        ...facts.mitigations,
      ],
    },
  };
}

function qemuVersion(): string {
  return packageVersion("qemu-system-x86");
}
