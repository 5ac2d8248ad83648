import { InputError, suggestion } from "../errors.js";
import { INPUTS, type Inputs } from "./calls.js";
import { type ImageOptions, imageWords } from "./image-spec.js";
import { DEFAULT_KERNEL } from "./kernel.js";
import { shellWord } from "./words.js";

/** What to capture, and how. */
export interface CaptureOptions {
  /** Name of a function under capture/functions, or the path of a folder with a function.json; not with `image`. */
  function?: string;
  /** Instead, a container image and how to call it. */
  image?: ImageOptions;
  /** Trace file to write. */
  output: string;
  /** Calls before the measured ones, in all. Default 20. */
  warm?: number;
  /** How many of them, the last, are recorded in the trace. Default 5. */
  recordedWarm?: number;
  /** Measured calls. Default 10. */
  invocations?: number;
  /** OCI runtime of the guest. Default "runc". */
  runtime?: string;
  /** Cores of the guest; the function has the last one, the client the first. Default 2. */
  cores?: number;
  /** The guest's kernel: see KernelSource. Default "cloud-amd64". */
  kernel?: string;
  /** Guest time that an instruction takes: 1, 2 (the default), 4 or 8. */
  nsPerInstruction?: number;
  /** Record the start of the container, too: from before it is created. All warm-up calls are recorded then. */
  startup?: boolean;
  /** Have the runtime write down the names of code that it makes while it runs (Node.js, .NET). */
  jitNames?: boolean;
  /** How the inputs of the calls are chosen: "unique" (the default: always the same), "linear" or "random". */
  inputs?: string;
  /** Of random inputs. Default 1. */
  seed?: number;
  /** Folder for packages, images, snapshots; kept between captures. Default `muswarm` in the user's cache folder. */
  workDir?: string;
  /** Keep the recorder's raw file. */
  keep?: boolean;
  /** Ends the capture and everything that it started. */
  signal?: AbortSignal;
}

export const RUNTIMES = ["runc", "crun"] as const;

/** Options with every default filled in. */
export interface Plan {
  /** The words of the command that name what is captured. */
  subject: string[];
  output: string;
  warm: number;
  recordedWarm: number;
  invocations: number;
  runtime: string;
  cores: number;
  kernel: string;
  nsPerInstruction: number;
  startup: boolean;
  jitNames: boolean;
  inputs: Inputs;
  seed: number;
  keep: boolean;
}

const MAX_CALLS = 1_000_000;
const MAX_CORES = 8;
/** The emulator's clock shifts. */
const INSTRUCTION_TIMES: readonly number[] = [1, 2, 4, 8];

export function planOf(options: CaptureOptions): Plan {
  const startup = options.startup ?? false;
  const usual = startup ? (options.recordedWarm ?? 5) : 20;
  const warm = count(options.warm ?? usual, "warm", 0);
  const plan = {
    subject: options.image === undefined ? [options.function ?? ""] : imageWords(options.image),
    output: options.output,
    warm,
    recordedWarm: count(options.recordedWarm ?? (startup ? warm : Math.min(5, warm)), "recorded-warm", 0),
    invocations: count(options.invocations ?? 10, "invocations", 1),
    runtime: options.runtime ?? "runc",
    cores: count(options.cores ?? 2, "cores", 2, MAX_CORES),
    kernel: options.kernel ?? DEFAULT_KERNEL,
    nsPerInstruction: options.nsPerInstruction ?? 2,
    startup,
    jitNames: options.jitNames ?? false,
    inputs: inputsOf(options.inputs ?? "unique"),
    seed: options.seed ?? 1,
    keep: options.keep ?? false,
  };
  if (plan.recordedWarm > plan.warm) {
    throw new InputError(
      `recorded-warm: ${plan.recordedWarm} of the ${plan.warm} warm-up calls cannot be recorded; give warm ${plan.recordedWarm} or more`,
    );
  }
  if (startup && plan.recordedWarm !== plan.warm) {
    throw new InputError(
      `recorded-warm: with startup all ${plan.warm} warm-up calls are recorded; leave recorded-warm out`,
    );
  }
  if (!(RUNTIMES as readonly string[]).includes(plan.runtime)) {
    throw new InputError(`runtime: no container runtime "${plan.runtime}". Known: ${RUNTIMES.join(", ")}.`);
  }
  if (!INSTRUCTION_TIMES.includes(plan.nsPerInstruction)) {
    throw new InputError(
      `ns-per-instruction: ${plan.nsPerInstruction} is not one of ${INSTRUCTION_TIMES.join(", ")}`,
    );
  }
  return plan;
}

function inputsOf(name: string): Inputs {
  const found = INPUTS.find((known) => known === name);
  if (found === undefined) throw new InputError(`inputs: no generator "${name}".${suggestion(name, INPUTS)}`);
  return found;
}

function count(value: number, name: string, least: number, most = MAX_CALLS): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new InputError(`${name}: ${value} is not a whole number from ${least} to ${most}`);
  }
  return value;
}

/**
 * How the calls are shared out: before the snapshot (fast, unrecorded), after it (the recorder's clock,
 * unrecorded: the guest settles), recorded.
 */
export function callsOf(plan: Plan): { before: number; settle: number; recorded: number } {
  const unrecorded = plan.warm - plan.recordedWarm;
  const settle = Math.min(5, Math.floor(unrecorded / 2));
  return { before: unrecorded - settle, settle, recorded: plan.recordedWarm + plan.invocations };
}

/** The command that makes the same trace. */
export function commandOf(plan: Plan): string {
  const runtime = plan.runtime === "runc" ? "" : ` --runtime ${plan.runtime}`;
  const cores = plan.cores === 2 ? "" : ` --cores ${plan.cores}`;
  const kernel = plan.kernel === DEFAULT_KERNEL ? "" : ` --kernel ${shellWord(plan.kernel)}`;
  const time = plan.nsPerInstruction === 2 ? "" : ` --ns-per-instruction ${plan.nsPerInstruction}`;
  const seed = plan.inputs === "random" ? ` --seed ${plan.seed}` : "";
  const inputs = plan.inputs === "unique" ? "" : ` --inputs ${plan.inputs}${seed}`;
  const flags = `${plan.startup ? " --startup" : ""}${plan.jitNames ? " --jit-names" : ""}`;
  const [subject, rest] = splitAtDashes(plan.subject);
  return (
    `muswarm capture ${subject} -o ${plan.output} --warm ${plan.warm} --recorded-warm ${plan.recordedWarm} ` +
    `--invocations ${plan.invocations}${runtime}${cores}${kernel}${time}${inputs}${flags}${rest}`
  );
}

/** The options before the container's own arguments, and these. */
function splitAtDashes(words: readonly string[]): [string, string] {
  const at = words.indexOf("--");
  const text = (some: readonly string[]) => some.map(shellWord).join(" ");
  return at < 0 ? [text(words), ""] : [text(words.slice(0, at)), ` ${text(words.slice(at))}`];
}
