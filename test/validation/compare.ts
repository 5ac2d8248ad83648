import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { RunResult } from "../../src/experiment/contract.js";
import { protocol } from "../../src/experiment/protocols.js";
import { runProtocol } from "../../src/experiment/run.js";
import { decodeBlocks } from "../../src/loader/decode/index.js";
import { openTrace } from "../../src/loader/index.js";
import { loadMachine, parseOverride } from "../../src/machine/load.js";
import { parseSummary } from "../cache/lackey.js";

export const PROGRAMS = ["qsort", "sha256", "bc110"] as const;
export const MACHINES = ["simple", "gem5-ddr4"] as const;
export const MODELS = ["pipeline", "timing"] as const;
type Program = (typeof PROGRAMS)[number];
type MachineName = (typeof MACHINES)[number];
type Model = (typeof MODELS)[number];

/** What is compared: counts of one run. */
export interface Figures {
  cycles: number;
  instructions: number;
  microOps: number;
  l1iAccesses: number;
  l1iMisses: number;
  l1dMisses: number;
  l1dWritebacks: number;
  llcMisses: number;
  llcWritebacks: number;
  dataAccesses: number;
  /** With accesses that merge into a miss under way; the other misses are lines. */
  l1dMissesAndMerges: number;
}

const place = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** gem5 v24.0.0.1: pipeline is X86MinorCPU, timing is X86TimingSimpleCPU. */
export const GEM5: Record<MachineName, Record<Model, Record<Program, Figures>>> = JSON.parse(
  readFileSync(place("gem5.json"), "utf8"),
);

/** cachegrind's misses: instructions, data, and both in the last level. */
export function cachegrindMisses(program: Program): Pick<Figures, "l1iMisses" | "l1dMisses" | "llcMisses"> {
  const [, i1, il, , d1r, dlr, , d1w, dlw] = parseSummary(
    readFileSync(place(`cachegrind/${program}.cgout`), "utf8"),
  );
  return { l1iMisses: i1, l1dMisses: d1r + d1w, llcMisses: il + dlr + dlw };
}

/** The machine as gem5 was set up: on x86 it never consults its predictor, it walks no tables, and hands dirty lines up. */
const AS_GEM5 = ['core.branchPredictor.name="none"', 'core.walker="none"', "dirtyHandOver=true"];

/** Simulates a program. */
export function simulate(program: Program, machine: MachineName, model: Model): Figures {
  const trace = openTrace(place(`traces/${program}.trace`));
  try {
    const spec = loadMachine(machine, [...AS_GEM5, `core.model="${model}"`].map(parseOverride));
    const run = runProtocol(trace, decodeBlocks(trace.blocks, trace.pages), spec, protocol("reference"), 1);
    return figures(run, spec.levels[0].name);
  } finally {
    trace.close();
  }
}

function figures(run: RunResult, llc: string): Figures {
  const counters = new Map<string, number>();
  let at = 0;
  for (const { path, defs } of run.schema.groups)
    for (const { name } of defs) counters.set(`${path}.${name}`, run.invocations[0].counters[at++]);
  const sum = (...names: string[]): number =>
    names.reduce((total, name) => {
      const value = counters.get(name);
      if (value === undefined) throw new Error(`no counter ${name}`);
      return total + value;
    }, 0);
  const kinds = (prefix: string, ...of: string[]) => sum(...of.map((kind) => `${prefix}.cpu0.${kind}`));
  const lines = (cache: string, ...of: string[]) =>
    kinds(`${cache}.misses`, ...of) - kinds(`${cache}.mshrMerges`, ...of);
  return {
    cycles: sum("cpu0.numCycles"),
    instructions: sum("cpu0.numInsts"),
    microOps: sum("cpu0.numOps"),
    l1iAccesses: kinds("cpu0.l1i.accesses", "inst"),
    l1iMisses: lines("cpu0.l1i", "inst"),
    l1dMisses: lines("cpu0.l1d", "load", "store"),
    l1dWritebacks: sum("cpu0.l1d.writebacks"),
    llcMisses: lines(llc, "inst", "load", "store"),
    llcWritebacks: sum(`${llc}.writebacks`),
    dataAccesses: kinds("cpu0.l1d.accesses", "load", "store"),
    l1dMissesAndMerges: kinds("cpu0.l1d.misses", "load", "store"),
  };
}

const number = (n: number): string => n.toLocaleString("en-US");

/** Figures against theirs, in per cent; small counts as a difference. */
export function difference(ours: number, theirs: number): string {
  if (ours === theirs) return "0";
  const signed = (text: string, value: number) => (value > 0 ? `+${text}` : text.replace("-", "−"));
  if (theirs < 1000) return signed(String(ours - theirs), ours - theirs);
  const percent = (ours / theirs - 1) * 100;
  return signed(`${percent.toFixed(2)} %`, percent);
}

const table = (head: string[], rows: string[][]): string =>
  [head, head.map((_, i) => (i < 2 ? "---" : "---:")), ...rows].map((r) => `| ${r.join(" | ")} |`).join("\n");

/** Runs everything once. */
export class Comparison {
  private readonly runs = new Map<string, Figures>();

  ours(program: Program, machine: MachineName, model: Model): Figures {
    const key = `${program} ${machine} ${model}`;
    const known = this.runs.get(key) ?? simulate(program, machine, model);
    this.runs.set(key, known);
    return known;
  }

  /** Tables of docs/validation.md, by the name that stands before each. */
  tables(): Map<string, string> {
    const cycles = (model: Model): string =>
      table(
        ["machine", "program", "muswarm", "gem5", "difference"],
        MACHINES.flatMap((machine) =>
          PROGRAMS.map((program) => {
            const ours = this.ours(program, machine, model).cycles;
            const theirs = GEM5[machine][model][program].cycles;
            return [`\`${machine}\``, program, number(ours), number(theirs), difference(ours, theirs)];
          }),
        ),
      );
    const counts = (machine: MachineName, model: Model, names: readonly (keyof Figures)[]): string =>
      table(
        ["program", "count", "muswarm", "gem5", "difference"],
        PROGRAMS.flatMap((program) =>
          names.map((name) => {
            const ours = this.ours(program, machine, model)[name];
            const theirs = GEM5[machine][model][program][name];
            return [program, LABEL[name], number(ours), number(theirs), difference(ours, theirs)];
          }),
        ),
      );
    const valgrind = table(
      ["program", "count", "muswarm", "cachegrind", "difference"],
      PROGRAMS.flatMap((program) =>
        (["l1iMisses", "l1dMisses", "llcMisses"] as const).map((name) => {
          const ours = this.ours(program, "gem5-ddr4", "timing")[name];
          const theirs = cachegrindMisses(program)[name];
          return [program, LABEL[name], number(ours), number(theirs), difference(ours, theirs)];
        }),
      ),
    );
    return new Map([
      ["cycles-pipeline", cycles("pipeline")],
      ["cycles-timing", cycles("timing")],
      ["counts-simple", counts("simple", "timing", CACHE_COUNTS)],
      ["counts-gem5-ddr4", counts("gem5-ddr4", "timing", CACHE_COUNTS)],
      ["counts-pipeline", counts("simple", "pipeline", PIPELINE_COUNTS)],
      ["counts-pipeline-gem5-ddr4", counts("gem5-ddr4", "pipeline", PIPELINE_COUNTS)],
      ["cachegrind", valgrind],
    ]);
  }
}

const CACHE_COUNTS = ["l1iMisses", "l1dMisses", "l1dWritebacks", "llcMisses", "llcWritebacks"] as const;
const PIPELINE_COUNTS = [
  "instructions",
  "microOps",
  "l1iAccesses",
  "l1iMisses",
  "dataAccesses",
  "l1dMisses",
  "l1dMissesAndMerges",
] as const;
const LABEL: Record<keyof Figures, string> = {
  cycles: "cycles",
  instructions: "instructions",
  microOps: "micro-ops",
  l1iAccesses: "L1I accesses",
  l1iMisses: "L1I misses",
  l1dMisses: "L1D misses",
  l1dWritebacks: "L1D writebacks",
  llcMisses: "LLC misses",
  llcWritebacks: "LLC writebacks",
  dataAccesses: "L1D accesses",
  l1dMissesAndMerges: "L1D misses with merges",
};
