import { expect, test } from "vitest";
import { protocol } from "../../src/experiment/protocols.js";
import { runProtocol } from "../../src/experiment/run.js";
import { decodeBlocks } from "../../src/loader/decode/index.js";
import { openTrace } from "../../src/loader/index.js";
import { loadMachine, parseOverride } from "../../src/machine/load.js";
import { metricsOf } from "../../src/stats/metrics.js";

const trace = openTrace(new URL("../../traces/fibonacci-go.trace", import.meta.url).pathname);
const decoded = decodeBlocks(trace.blocks, trace.pages);

/** On the faster core model. Cycles of the measured invocations; the run checks its counters' identities. */
function cycles(name: string, ...changes: string[]): number {
  const run = runProtocol(
    trace,
    decoded,
    loadMachine(name, ["core.model=timing", ...changes].map(parseOverride)),
    protocol("reference"),
    1,
  );
  return metricsOf([run])[0].total.get("cycles")!;
}

test("on a captured function each help for translation saves cycles, and all together most", () => {
  const plain = cycles("simple");
  const one = [
    "core.largeKernelPages=true",
    'core.l2tlb={"entries":1536,"ways":12,"latency":9}',
    'core.pageWalkCaches={"pde":{"entries":32,"ways":4}}',
  ];
  const saved = one.map((change) => cycles("simple", change));
  for (const [i, n] of saved.entries()) expect(n, one[i]).toBeLessThan(plain);
  expect(cycles("simple", ...one)).toBeLessThan(Math.min(...saved));
});

test("on a captured function an LLC that is exclusive holds more than one that is inclusive", () => {
  const [inclusive, plain, exclusive] = ["inclusive", "non-inclusive", "exclusive"].map((policy) =>
    cycles("simple", `levels.0.inclusion=${policy}`),
  );
  expect(plain).toBe(cycles("simple"));
  expect(inclusive).toBeGreaterThan(plain);
  expect(exclusive).toBeLessThan(plain);
});
