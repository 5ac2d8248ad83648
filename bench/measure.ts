/**
 * One measurement in a process of its own: `node measure.js NAME ARGUMENT... SAMPLES` prints its outcome
 * as JSON. Called by run.js.
 */
import Benchmark from "benchmark";
import {
  decodeTrace,
  loadMachine,
  MemorySystem,
  openTrace,
  parseOverride,
  protocol,
  runProtocol,
  scan,
} from "muswarm";

/** Units of work a second: median over the samples, and how far they scatter. */
export interface Outcome {
  perSecond: number;
  /** The same of the fastest sample: others on the machine make samples slower, never faster. */
  best: number;
  /** Relative margin of error at 95 %, as benchmark computes it. */
  errorPercent: number;
  samples: number;
}

function measure(units: number, samples: number, work: () => void): Outcome {
  work(); // warm: compiled, caches filled
  const bench = new Benchmark(work, { minSamples: samples, maxTime: 0.5, initCount: 1 });
  bench.run();
  if (bench.error !== undefined) throw bench.error;
  const times = [...bench.stats.sample].sort((a, b) => a - b);
  const median = times[times.length >> 1];
  return {
    perSecond: units / median,
    best: units / times[0],
    errorPercent: bench.stats.rme,
    samples: times.length,
  };
}

async function simulation(
  path: string,
  model: string,
  machineName: string,
  samples: number,
): Promise<Outcome> {
  const trace = openTrace(path);
  const decoded = await decodeTrace(path);
  const machine = loadMachine(machineName, [parseOverride(`core.model="${model}"`)]);
  const instructions = trace.cores.reduce((sum, core) => sum + core.instructions, 0);
  return measure(instructions, samples, () => {
    runProtocol(trace, decoded, machine, protocol("jukebox"), 1);
  });
}

function reading(path: string, samples: number): Outcome {
  const trace = openTrace(path);
  const instructions = trace.cores.reduce((sum, core) => sum + core.instructions, 0);
  let sink = 0;
  const outcome = measure(instructions, samples, () => {
    for (let core = 0; core < trace.cores.length; core++) sink = (sink + scan(trace, core).sum) | 0;
  });
  if (Number.isNaN(sink)) throw new Error("nothing was read");
  return outcome;
}

const ACCESSES = 200_000;

/** Loads over a working set of `lines` lines: 128 stay in L1D, 1024 in the LLC of `simple`, 65536 in memory. */
function access(lines: number, samples: number): Outcome {
  const memory = new MemorySystem(loadMachine("simple"));
  const port = memory.port(0);
  port.horizon = Number.POSITIVE_INFINITY;
  let now = 0;
  let line = 0;
  return measure(ACCESSES, samples, () => {
    for (let i = 0; i < ACCESSES; i++) {
      const ready = port.load(line, line, 0, now);
      now = ready >= 0 ? ready : port.retryAt;
      if (ready >= 0) line = (line + 1) % lines;
    }
  });
}

const STEPS = 1_000_000;

/** What the machine does in plain JavaScript, to compare with: a chain of look-ups in a table of 256 kB. */
function calibration(samples: number): Outcome {
  const table = new Int32Array(1 << 16);
  for (let i = 0; i < table.length; i++) table[i] = Math.imul(i, 40503) & 65535;
  let at = 0;
  return measure(STEPS, samples, () => {
    for (let i = 0; i < STEPS; i++) at = table[(at + i) & 65535];
    table[at & 1] ^= at & 1;
  });
}

const [name, ...rest] = process.argv.slice(2);
const samples = Number(rest.pop());
const outcomes: Record<string, () => Outcome | Promise<Outcome>> = {
  simulation: () => simulation(rest[0], rest[1], rest[2], samples),
  reading: () => reading(rest[0], samples),
  access: () => access(Number(rest[0]), samples),
  calibration: () => calibration(samples),
};
console.log(JSON.stringify(await outcomes[name]()));
