import type { Trace } from "../loader/contract.js";
import type { DecodedTable } from "../loader/decode/index.js";
import { Machine } from "../machine/machine.js";
import { Scheduler } from "../machine/scheduler.js";
import type { MachineSpec } from "../machine/spec.js";
import { difference } from "../stats/counters.js";
import type { InvocationResult, ProtocolSpec, RunProgress, RunResult } from "./contract.js";

/** A run broke one of its own identities: the numbers cannot be trusted. */
export class IdentityError extends Error {
  override name = "IdentityError";
}

/**
 * Simulates a whole trace on a machine under a protocol: recorded warm-up invocations, then the measured
 * ones. Deterministic: the same arguments give the same counters.
 * Throws IdentityError when at the end an identity of the counters does not hold.
 */
export function runProtocol(
  trace: Trace,
  decoded: DecodedTable,
  spec: MachineSpec,
  protocol: ProtocolSpec,
  seed: number,
  onProgress?: (progress: RunProgress) => void,
): RunResult {
  const { header } = trace;
  const started = performance.now();
  const machine = new Machine(spec, trace, decoded, {
    jukebox: protocol.jukebox,
    prefetcher: protocol.prefetcher,
    perfectICache: protocol.perfectICache,
    seed,
  });
  const invocations: InvocationResult[] = [];
  let before = machine.sheet.snapshot();
  let beginCycle = 0;
  const total = trace.cores.reduce((sum, c) => sum + c.instructions, 0);
  const report = () =>
    onProgress?.({
      protocol: protocol.name,
      machine: spec.name,
      done: machine.committedInstructions(),
      total,
    });

  const scheduler = new Scheduler(
    machine.cores,
    trace.cores.map((c) => c.wakePositions),
    spec.clockGHz,
    {
      workBegin(_invocation, now) {
        machine.flush(protocol.flush);
        machine.beginInvocation(now);
        before = machine.sheet.snapshot();
        beginCycle = now;
      },
      workEnd(invocation, now) {
        machine.endInvocation(now);
        const counters = difference(machine.sheet.snapshot(), before);
        const measured = invocation >= header.warmInvocations;
        invocations.push({ invocation, measured, beginCycle, endCycle: now, counters });
        report();
      },
      turn: report,
    },
  );
  scheduler.run();
  report();
  const violated = machine.checkIdentities();
  if (violated.length > 0) {
    throw new IdentityError(`${spec.name}, ${protocol.name}: ${violated.join("; ")}`);
  }
  return {
    protocol,
    machine: machine.spec,
    trace: {
      path: trace.path,
      sha256: trace.sha256,
      function: header.function,
      runtime: header.runtime,
      cores: header.cores,
      functionCore: header.functionCore,
      clientCore: header.clientCore,
    },
    seed,
    schema: { groups: machine.sheet.groups.map(({ path, defs }) => ({ path, defs })) },
    invocations,
    simulatedInstructions: machine.committedInstructions(),
    hostSeconds: (performance.now() - started) / 1000,
  };
}
