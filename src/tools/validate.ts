import { EventKind, type OpenTrace, TraceError } from "../loader/index.js";
import { Check } from "./check.js";
import { StaticCode } from "./code.js";
import { ControlFlow, TRANSITION_NAMES, Transition } from "./control-flow.js";
import { SYNTHESISED } from "./provenance.js";
import { Symbolizer } from "./symbolizer.js";
import { checkBlocks } from "./validate-static.js";
import { StreamValidator, type WakeUp } from "./validate-stream.js";

/** What `validate` says of one core. */
export interface CoreValidation {
  core: number;
  blockExecutions: number;
  instructions: number;
  kernelInstructions: number;
  /** How often each kind of transition occurred, by TRANSITION_NAMES; kinds that did not are left out. */
  transitions: Record<string, number>;
  unexplained: number;
  /** Share of the transitions, 0..1. */
  unexplainedShare: number;
  interrupts: number;
  exceptions: number;
  systemCalls: number;
  /** Interrupts and exceptions whose own accesses (gate, stack) the instruction before them has. */
  deliveries: number;
  taskSwitches: number;
  idlePeriods: number;
  /** Interrupt events in a million instructions. */
  interruptsPerMillion: number;
}

export interface CheckResult {
  name: string;
  tested: number;
  wrong: number;
  /** The first few. */
  examples: readonly string[];
}

export interface ValidateReport {
  path: string;
  function: string;
  ok: boolean;
  instructions: number;
  blocks: number;
  staticInstructions: number;
  pages: number;
  /** Virtual code pages that are on more than one physical page in the course of the trace. */
  remappedCodePages: number;
  checks: CheckResult[];
  cores: CoreValidation[];
}

/** Called now and then with the number of instructions read so far and of all. */
export type ToolProgress = (done: number, all: number) => void;

/** Reads a whole trace and tests all that must hold of one. */
export function validateTrace(trace: OpenTrace, progress?: ToolProgress): ValidateReport {
  const code = new StaticCode(trace.blocks, trace.pages);
  try {
    return validate(trace, code, progress);
  } finally {
    code.free();
  }
}

function validate(trace: OpenTrace, code: StaticCode, progress?: ToolProgress): ValidateReport {
  const file = new Check("the file is whole, its checksums right and its events in order");
  file.tested = 1;
  const synthesised = trace.header.provenance.notes?.includes(SYNTHESISED) === true;
  const statics = checkBlocks(code, synthesised);
  const checks = {
    accesses: statics.accesses,
    delivers: statics.delivers,
    synthesised,
    flow: new Check("each block follows from the one before"),
    pages: new Check("code that runs on stays on its physical page"),
    spaces: new Check("user code and data are of the address space that the last switch named"),
    privilege: new Check("user code does not access the kernel's pages"),
    counts: new Check("counts are those of the index"),
  };
  const wakes = new Check("wake-ups come in an order that can have happened");
  const symbols = new Symbolizer(trace);
  const flow = new ControlFlow(code, symbols);
  const instructions = trace.cores.reduce((sum, core) => sum + core.instructions, 0);
  const damages = new Set<TraceError>();
  const wakeUps: WakeUp[][] = [];
  let before = 0;
  const cores = trace.cores.map((summary, core) => {
    const stream = new StreamValidator(trace, core, code, flow, symbols, checks);
    try {
      stream.run((done) => progress?.(before + done, instructions));
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      damages.add(error);
    }
    before += summary.instructions;
    wakeUps.push(stream.wakeUps);
    return coreValidation(core, stream);
  });
  for (const damage of damages) file.fail(() => damage.message);
  checkWakes(
    wakes,
    wakeUps,
    cores.map((core) => core.blockExecutions),
  );
  const all = [file, checks.flow, statics.decode, statics.branches, statics.accesses, checks.pages];
  all.push(checks.spaces, checks.privilege, checks.counts, wakes);
  return {
    path: trace.path,
    function: trace.header.function,
    ok: all.every((check) => check.wrong === 0),
    instructions,
    blocks: trace.blocks.count,
    staticInstructions: trace.blocks.instrStart[trace.blocks.count],
    pages: trace.pages.count,
    remappedCodePages: remapped(trace),
    checks: all.map(({ name, tested, wrong, examples }) => ({ name, tested, wrong, examples })),
    cores,
  };
}

function coreValidation(core: number, stream: StreamValidator): CoreValidation {
  const { transitions, events, instructions } = stream;
  const total = transitions.reduce((a, b) => a + b, 0);
  const unexplained = transitions[Transition.Unexplained];
  const interrupts = events[EventKind.Interrupt];
  return {
    core,
    blockExecutions: stream.executions,
    instructions,
    kernelInstructions: stream.kernelInstructions,
    transitions: Object.fromEntries(
      TRANSITION_NAMES.flatMap((name, kind) => (transitions[kind] > 0 ? [[name, transitions[kind]]] : [])),
    ),
    unexplained,
    unexplainedShare: total === 0 ? 0 : unexplained / total,
    interrupts,
    exceptions: transitions[Transition.Exception],
    systemCalls: transitions[Transition.SystemCall],
    deliveries: stream.deliveries,
    taskSwitches: events[EventKind.Switch],
    idlePeriods: events[EventKind.IdleBegin],
    interruptsPerMillion: instructions === 0 ? 0 : (interrupts / instructions) * 1e6,
  };
}

/** Lets the cores run as far as their wake-ups allow: all must come to their ends. */
function checkWakes(check: Check, wakeUps: readonly WakeUp[][], ends: readonly number[]): void {
  const next = wakeUps.map(() => 0);
  const reached = (core: number) => wakeUps[core][next[core]]?.position ?? ends[core];
  let moved = true;
  while (moved) {
    moved = false;
    for (let core = 0; core < wakeUps.length; core++) {
      while (next[core] < wakeUps[core].length) {
        const { by, reached: needed } = wakeUps[core][next[core]];
        if (reached(by) < needed) break;
        next[core]++;
        check.tested++;
        moved = true;
      }
    }
  }
  for (let core = 0; core < wakeUps.length; core++) {
    const stuck = wakeUps[core][next[core]];
    if (stuck === undefined) continue;
    check.tested++;
    check.fail(
      () =>
        `core ${core}, position ${stuck.position}: waits for core ${stuck.by} to reach ${stuck.reached}, which cannot get there before`,
    );
  }
}

/** Virtual pages of code with more than one physical page. */
function remapped(trace: OpenTrace): number {
  const { blocks, pages } = trace;
  const seen = new Map<string, number>();
  const moved = new Set<string>();
  const add = (page: number) => {
    const key = `${pages.asid[page]},${pages.vpn[page]}`;
    const known = seen.get(key);
    if (known === undefined) seen.set(key, pages.ppn[page]);
    else if (known !== pages.ppn[page]) moved.add(key);
  };
  for (let block = 0; block < blocks.count; block++) {
    add(blocks.page[block]);
    if (blocks.page2[block] >= 0) add(blocks.page2[block]);
  }
  return moved.size;
}
