import type { CommandSpec, OptionSpec } from "./args.js";
import { TRACE_COMMANDS } from "./trace-commands.js";

const PLUGIN: OptionSpec = {
  kind: "text",
  repeat: true,
  describe:
    "ES module with prefetchers, replacement policies or branch predictors of your own (docs/plugins.md)",
};

/** The commands, in the order in which the help shows them. Their code is loaded when they run. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "start",
    arguments: "",
    summary:
      "Simulate the trace that comes with muswarm on the machines simple and skylake-like, and explain the tables",
    words: [0, 0],
    options: {
      jobs: { kind: "integer", describe: "Runs at a time; default: one a processor" },
    },
    examples: [["npm start", "the same, in a source checkout; sets itself up first"]],
    load: async () => (await import("./start.js")).start,
  },
  {
    name: "sim",
    arguments: "<trace..>",
    summary:
      "Simulate traces under several protocols: one screen for each trace and machine, and a results folder",
    words: [1, Number.POSITIVE_INFINITY],
    needs: "a trace file",
    options: {
      machine: {
        kind: "text",
        repeat: true,
        describe: "Machine: a name (muswarm machines) or a JSON file; default simple",
      },
      protocol: {
        kind: "text",
        repeat: true,
        describe:
          "Protocol: reference, lukewarm, jukebox, jukebox-paced, perfect (default all of them, and each prefetcher of a plug-in); or a prefetcher: name[@level][,parameter=value]",
      },
      "core-model": {
        kind: "text",
        choices: ["pipeline", "timing"],
        describe: "pipeline: in-order, two wide; timing: one access at a time, nothing overlapped",
      },
      set: {
        kind: "text",
        repeat: true,
        describe: "Change one key of every machine: key.path=value, e.g. levels.0.cache.sizeKiB=256",
      },
      plugin: PLUGIN,
      "replay-distance": {
        kind: "integer",
        min: 0,
        describe: "Prefetched lines that may stand unused before the replay of jukebox-paced waits",
      },
      "per-invocation": { kind: "flag", describe: "Also show each measured invocation" },
      out: { kind: "text", describe: "Results folder; default results/<trace>-<machine>" },
      "no-out": { kind: "flag", describe: "Write no results folder" },
      force: { kind: "flag", describe: "Replace a results folder that exists" },
      seed: { kind: "integer", describe: "Seed of everything random in the machine; default 1" },
      jobs: { kind: "integer", describe: "Runs at a time, each on a thread; default: one a processor" },
    },
    examples: [
      ["muswarm sim fib.trace", "all protocols on the machine simple"],
      ["muswarm sim fib.trace --machine simple --machine skylake-like", "two machines"],
      ["muswarm sim fib.trace --protocol lukewarm --protocol jukebox --no-out", "two protocols, no folder"],
      [
        "muswarm sim fib.trace --set levels.0.cache.sizeKiB=2048 --set levels.0.cache.ways=16",
        "a larger LLC",
      ],
      [
        "muswarm sim fib.trace --plugin ./mine.js",
        "all protocols, and a column for each prefetcher in mine.js",
      ],
      [
        "muswarm sim fib.trace --protocol lukewarm --protocol jukebox --protocol stream@llc,degree=4",
        "a prefetcher that comes with muswarm beside Jukebox",
      ],
      ["muswarm sim fib.trace --json > fib.json", "numbers for a script"],
    ],
    load: async () => (await import("./sim.js")).sim,
  },
  {
    name: "trace info",
    arguments: "<file>",
    summary:
      "Show what a trace holds: function, machine it was captured on, invocations, instructions, footprint",
    words: [1, 1],
    needs: "a trace file",
    options: {},
    examples: [["muswarm trace info fib.trace", ""]],
    load: async () => (await import("./trace.js")).info,
  },
  ...TRACE_COMMANDS,
  {
    name: "capture",
    arguments: "[function]",
    summary:
      "Capture a trace of a containerised function in a real guest kernel, or of any x86-64 program (--user)",
    words: [0, Number.POSITIVE_INFINITY],
    options: {
      list: { kind: "flag", describe: "List the functions that can be captured" },
      user: { kind: "flag", describe: "Capture a program instead: --user -o FILE -- ./program args" },
      image: {
        kind: "text",
        describe:
          "Capture a container image: OCI bundle, OCI image layout (folder or tar) or docker save tar",
      },
      port: { kind: "integer", min: 1, describe: "Where the server in the image listens" },
      grpc: { kind: "text", describe: "What to call: package.Service/Method" },
      http: { kind: "text", describe: 'What to call over HTTP/1.1 instead: /path or "METHOD /path"' },
      request: {
        kind: "text",
        describe: "File with the request: the encoded message (with --proto as JSON), over HTTP the body",
      },
      proto: { kind: "text", describe: ".proto file of the service, to give the request as JSON" },
      header: { kind: "text", repeat: true, describe: '"Name: value" of an HTTP request' },
      env: { kind: "text", repeat: true, describe: "NAME=value for the container of an image" },
      output: { kind: "text", short: "o", describe: "Trace file to write" },
      warm: { kind: "integer", describe: "Invocations before recording begins" },
      "recorded-warm": {
        kind: "integer",
        describe: "Recorded invocations that only warm up the simulated machine",
      },
      invocations: { kind: "integer", min: 1, describe: "Recorded invocations that are measured" },
      runtime: { kind: "text", describe: "Container runtime of the guest: runc (the default) or crun" },
      cores: {
        kind: "integer",
        min: 2,
        describe: "Cores of the guest, default 2: the client has the first, the function the last",
      },
      kernel: {
        kind: "text",
        describe:
          "Kernel of the guest: cloud-amd64 (the default), another linux-image package of Debian's, or a path",
      },
      "ns-per-instruction": {
        kind: "integer",
        min: 1,
        describe:
          "Guest time that an instruction takes: 1, 2 (the default), 4 or 8; more has more timer interrupts",
      },
      startup: {
        kind: "flag",
        describe: "Record the start of the container and its runtime, too, with a mark at each phase",
      },
      "jit-names": {
        kind: "flag",
        describe: "Have Node.js (or .NET) name the code that it compiles; it works a little more then",
      },
      inputs: {
        kind: "text",
        describe: "Inputs of the calls: unique (always the same, the default), linear or random",
      },
      seed: { kind: "integer", describe: "Of random inputs" },
      all: { kind: "flag", describe: "Capture every function; -o names the folder for the traces" },
      "work-dir": { kind: "text", describe: "Folder for images and raw recordings; kept between captures" },
    },
    examples: [
      ["muswarm capture --list", ""],
      ["muswarm capture fibonacci-go -o fib.trace --invocations 5", "a new trace"],
      [
        "muswarm capture --image app.tar --port 8080 --http /run --request body.json -o app.trace",
        "an image",
      ],
      ["muswarm capture --user -o sort.trace -- /usr/bin/sort names.txt", "a program, its user code only"],
    ],
    load: async () => (await import("./capture.js")).captureCommand,
  },
  {
    name: "machines",
    arguments: "[name]",
    summary: "List the machines, or print one in full, every default filled in",
    words: [0, 1],
    options: {
      set: { kind: "text", repeat: true, describe: "Change one key: key.path=value" },
      plugin: PLUGIN,
    },
    examples: [
      ["muswarm machines", ""],
      ["muswarm machines simple > my.json", "a description to change and give to sim --machine my.json"],
    ],
    load: async () => (await import("./machines.js")).machines,
  },
];
