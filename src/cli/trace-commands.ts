import type { CommandSpec, OptionSpec } from "./args.js";

const RANGE: Readonly<Record<string, OptionSpec>> = {
  core: { kind: "integer", describe: "Core; default: the function's" },
  from: { kind: "integer", describe: "Position (number of block executions before) to start at; default 0" },
  count: { kind: "integer", min: 1, describe: "Block executions" },
};

/** The tools of `muswarm trace`, besides `info`. */
export const TRACE_COMMANDS: readonly CommandSpec[] = [
  {
    name: "trace validate",
    arguments: "<file>",
    summary: "Prove that a trace is sound: control flow, instruction bytes, accesses, pages, events, counts",
    words: [1, 1],
    needs: "a trace file",
    options: {},
    examples: [["muswarm trace validate fib.trace", "exit code 0: sound, 1: not sound"]],
    load: async () => (await import("./trace-tools.js")).validate,
  },
  {
    name: "trace dump",
    arguments: "<file>",
    summary: "Show a trace as text: disassembly, memory accesses with addresses, events",
    words: [1, 1],
    needs: "a trace file",
    options: {
      ...RANGE,
      count: {
        kind: "integer",
        min: 1,
        describe: "Block executions; default 20, of an invocation all of them",
      },
      invocation: { kind: "text", describe: "An invocation (3), or several (3..7)" },
    },
    examples: [
      ["muswarm trace dump fib.trace --from 1000 --count 50", "50 block executions"],
      ["muswarm trace dump fib.trace --core 0 --invocation 3", "one invocation as core 0 saw it"],
    ],
    load: async () => (await import("./trace-tools.js")).dump,
  },
  {
    name: "trace hot",
    arguments: "<file>",
    summary: "Rank the functions by instructions, code footprint or instruction lines fetched",
    words: [1, 1],
    needs: "a trace file",
    options: {
      ...RANGE,
      invocation: { kind: "text", describe: "An invocation (3), or several (3..7)" },
      by: {
        kind: "text",
        choices: ["instructions", "footprint", "l1i-lines"],
        describe: "Order; default instructions",
      },
      top: { kind: "integer", min: 1, describe: "Functions shown; default 30" },
    },
    examples: [
      ["muswarm trace hot fib.trace --by footprint --top 20", "what fills the instruction cache"],
      ["muswarm trace hot fib.trace --invocation 5..14", "without warm-up"],
    ],
    load: async () => (await import("./trace-tools.js")).hot,
  },
  {
    name: "trace slice",
    arguments: "<file>",
    summary: "Cut invocations, or positions of one core, out of a trace: the result is a trace",
    words: [1, 1],
    needs: "a trace file",
    options: {
      output: { kind: "text", short: "o", describe: "Trace file to write" },
      invocation: { kind: "text", describe: "An invocation (3), or several (3..7); renumbered from 0" },
      ...RANGE,
      warm: {
        kind: "integer",
        describe: "Invocations of the slice that only warm up; default: those that did before",
      },
      force: { kind: "flag", describe: "Replace a file that exists" },
    },
    examples: [
      ["muswarm trace slice fib.trace --invocation 5..7 -o short.trace", "three invocations, all cores"],
      ["muswarm trace slice fib.trace --core 1 --from 5000 --count 100 -o tiny.trace", "a piece of one core"],
    ],
    load: async () => (await import("./trace-make.js")).slice,
  },
  {
    name: "trace merge",
    arguments: "<file..>",
    summary: "Put slices of one capture one behind the other",
    words: [2, Number.POSITIVE_INFINITY],
    needs: "two or more trace files",
    options: {
      output: { kind: "text", short: "o", describe: "Trace file to write" },
      warm: {
        kind: "integer",
        describe: "Invocations that only warm up; default: those of the first file",
      },
      force: { kind: "flag", describe: "Replace a file that exists" },
    },
    examples: [["muswarm trace merge a.trace b.trace -o both.trace", ""]],
    load: async () => (await import("./trace-make.js")).merge,
  },
  {
    name: "trace convert",
    arguments: "<file>",
    summary:
      "Turn ChampSim, Valgrind lackey or drmemtrace files into traces, or a trace into ChampSim's format",
    words: [1, 1],
    needs: "a file to convert",
    options: {
      output: {
        kind: "text",
        short: "o",
        describe: "File to write; ChampSim's is packed where the name ends in .gz or .xz",
      },
      format: {
        kind: "text",
        choices: ["champsim", "cloudsuite", "lackey", "drmemtrace"],
        describe: "Format of the foreign trace; default: by its content",
      },
      limit: { kind: "integer", min: 1, describe: "Instructions read, at most" },
      name: { kind: "text", describe: "Name of the program, for the header" },
      ...RANGE,
      invocation: { kind: "text", describe: "An invocation (3), or several (3..7)" },
      force: { kind: "flag", describe: "Replace a file that exists" },
    },
    examples: [
      ["muswarm trace convert 600.perlbench.champsimtrace.xz -o perlbench.trace", ""],
      ["muswarm trace convert fib.trace --invocation 5..14 -o fib.champsimtrace.gz", "for ChampSim"],
    ],
    load: async () => (await import("./trace-convert.js")).convert,
  },
];
