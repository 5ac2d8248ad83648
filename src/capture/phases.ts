import { existsSync, readFileSync } from "node:fs";
import { PhaseKind } from "../loader/contract.js";
import { readElf } from "./elf.js";
import type { Mapping, ProcessFacts } from "./facts.js";
import type { KernelSymbol } from "./kernel-entries.js";
import { isElf } from "./program.js";
import { biasOf } from "./symbols.js";

/** The kernel makes a TCP socket listen. */
const LISTENS = "inet_csk_listen_start";
/** The kernel reads the name of a file that a program gave it. */
const READS_NAMES = "strncpy_from_user";
/** First functions of one's own code, in this order: Go's, and C's. */
const FIRST_FUNCTIONS = ["main.main", "main"];

/** How the beginnings of a function's phases are told; see docs/capture.md. */
export interface PhasePlan {
  /** The container's first process, and all of its processes. */
  init: number;
  pids: readonly number[];
  /** Where the function's own code begins; -1 where the use of a file tells it. */
  ownCode: number;
  listens: number;
}

/** Files of the command whose use means that the runtime turns to the function's code. */
export function ownFiles(
  args: readonly string[],
  cwd: string,
  file: (path: string) => string | undefined,
): string[] {
  const found = new Set<string>();
  for (const [i, word] of args.entries()) {
    if (word.startsWith("-") || word === "") continue;
    const absolute = word.startsWith("/") ? word : `${cwd.replace(/\/$/, "")}/${word}`;
    const host = file(absolute);
    if (host === undefined || isElf(host) || !isFile(host)) continue;
    if (i === 0 && !isScript(host)) continue;
    found.add(word).add(absolute);
    break;
  }
  return [...found];
}

function isFile(path: string): boolean {
  try {
    readFileSync(path, { flag: "r" });
    return true;
  } catch {
    return false;
  }
}

function isScript(path: string): boolean {
  return readFileSync(path).subarray(0, 2).toString("latin1") === "#!";
}

/** Range of the kernel's code that reads names of files, or undefined. */
export function readsNames(symbols: readonly KernelSymbol[]): { from: number; to: number } | undefined {
  const from = symbols.find((s) => s.name === READS_NAMES)?.address;
  if (from === undefined) return undefined;
  const to = Math.min(...symbols.filter((s) => s.address > from).map((s) => s.address));
  return { from, to };
}

/** @param hasFiles the use of a file tells where the function's own code begins */
export function phasePlan(
  facts: ProcessFacts,
  kernel: readonly KernelSymbol[],
  hasFiles: boolean,
  file: (path: string) => string | undefined,
): PhasePlan {
  const init = facts.functionInit;
  const ownCode = hasFiles ? -1 : firstFunction(facts.mappings.get(init) ?? [], file);
  const listens = kernel.find((s) => s.name === LISTENS)?.address ?? -1;
  return { init, pids: facts.functionPids, ownCode, listens };
}

/** Address of the program's first own function; of its entry where it has no names. The program is what is mapped first. */
function firstFunction(mappings: readonly Mapping[], file: (path: string) => string | undefined): number {
  const program = mappings.find((each) => !/\/ld[-.][^/]*$/.test(each.path));
  const host = program === undefined ? undefined : file(program.path);
  if (program === undefined || host === undefined || !existsSync(host)) return -1;
  const elf = readElf(readFileSync(host));
  const bias = biasOf(program, elf);
  if (bias === undefined) return -1;
  for (const name of FIRST_FUNCTIONS) {
    const symbol = elf.symbols.find((each) => each.name === name);
    if (symbol !== undefined) return symbol.address + bias;
  }
  return elf.entry + bias;
}

/** Follows a recording and tells when a phase begins. Phases come in their order; what was missed is left out. */
export class PhaseFinder {
  private phase = -1;
  /** Address spaces that the first process has had. */
  private readonly spaces = new Set<number>();
  /** By phase: whether it was found. */
  readonly found: boolean[] = [false, false, false, false];

  constructor(private readonly plan: PhasePlan) {}

  /** The container is about to be created. @returns the phase that begins, or -1 */
  start(): number {
    return this.enter(PhaseKind.ContainerStart);
  }

  /** A core goes on in this process and address space. */
  switched(tgid: number, asid: number): number {
    if (tgid !== this.plan.init || this.spaces.has(asid)) return -1;
    this.spaces.add(asid);
    // The first one is the container runtime's, in which the process was made; in the next its own program runs.
    return this.spaces.size === 2 ? this.enter(PhaseKind.RuntimeInit) : -1;
  }

  /** One of the function's files is used by this process. */
  named(tgid: number): number {
    return this.phase === PhaseKind.RuntimeInit && this.plan.pids.includes(tgid)
      ? this.enter(PhaseKind.FunctionInit)
      : -1;
  }

  /** A block at this address is about to be executed by this process. */
  executed(address: number, tgid: number): number {
    if (address === this.plan.ownCode) {
      return this.phase === PhaseKind.RuntimeInit && this.plan.pids.includes(tgid)
        ? this.enter(PhaseKind.FunctionInit)
        : -1;
    }
    if (address !== this.plan.listens || this.phase < PhaseKind.RuntimeInit) return -1;
    return this.plan.pids.includes(tgid) ? this.enter(PhaseKind.Execution) : -1;
  }

  private enter(phase: number): number {
    if (phase <= this.phase) return -1;
    this.phase = phase;
    this.found[phase] = true;
    return phase;
  }
}
