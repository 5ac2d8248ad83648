import type { Trace } from "../../src/loader/contract.js";
import type { DecodedTable } from "../../src/loader/decode/rows.js";
import { Machine, type MachineFlush } from "../../src/machine/machine.js";
import { Scheduler } from "../../src/machine/scheduler.js";
import type { MachineSpec } from "../../src/machine/spec.js";

/** Counters that are not zero, by full name. */
export type Counts = Record<string, number>;

/** What the simulator and its twin must agree on. */
export interface Outcome {
  /** At each work event: cycle and counters. */
  marks: { now: number; counts: Counts }[];
  end: Counts;
}

export interface RunOptions {
  seed: number;
  /** What is thrown away where an invocation begins. */
  flush: MachineFlush;
  /** Jukebox on the function's core, with these parameters changed. */
  jukebox?: { replayDistance?: number };
}

/** The simulator's outcome; its machine wired as for an experiment. Throws where an identity does not hold. */
export function simulated(
  spec: MachineSpec,
  trace: Trace,
  decoded: DecodedTable,
  { seed, flush, jukebox }: RunOptions,
): Outcome {
  const machine = new Machine(spec, trace, decoded, { seed, jukebox });
  const counts = (): Counts => {
    const out: Counts = {};
    for (const { path, defs, values } of machine.sheet.groups)
      defs.forEach((def, i) => {
        if (values[i] !== 0) out[`${path}.${def.name}`] = values[i];
      });
    return out;
  };
  const marks: Outcome["marks"] = [];
  const scheduler = new Scheduler(
    machine.cores,
    trace.cores.map((c) => c.wakePositions),
    spec.clockGHz,
    {
      workBegin(_invocation, now) {
        machine.flush(flush);
        machine.beginInvocation(now);
        marks.push({ now, counts: counts() });
      },
      workEnd(_invocation, now) {
        machine.endInvocation(now);
        marks.push({ now, counts: counts() });
      },
    },
  );
  scheduler.run();
  const wrong = machine.checkIdentities();
  if (wrong.length > 0) throw new Error(wrong.join("; "));
  return { marks, end: counts() };
}
