import { beforeAll, describe, expect, test } from "vitest";
import type { ProtocolSpec, RunResult } from "../../src/experiment/contract.js";
import { protocol } from "../../src/experiment/protocols.js";
import { runProtocol } from "../../src/experiment/run.js";
import { type DecodedTable, decodeBlocks } from "../../src/loader/decode/index.js";
import { openTrace, type Trace } from "../../src/loader/index.js";
import { loadMachine } from "../../src/machine/load.js";
import { metricsOf } from "../../src/stats/metrics.js";

const PATH = new URL("../../traces/fibonacci-go.trace", import.meta.url).pathname;

/** The counters that two runs have both, as one text. */
function statistics(run: RunResult): string {
  return run.invocations
    .map(({ counters }) => {
      let at = 0;
      const lines: string[] = [];
      for (const { path, defs } of run.schema.groups) {
        for (const { name } of defs) {
          if (!path.endsWith(".jukebox") && !name.startsWith("pf"))
            lines.push(`${path}.${name} ${counters[at]}`);
          at++;
        }
      }
      return lines.join("\n");
    })
    .join("\n\n");
}

describe("a captured function", () => {
  let trace: Trace;
  let decoded: DecodedTable;
  const runs = new Map<string, RunResult>();
  const run = (spec: ProtocolSpec, machine = "simple") =>
    runProtocol(trace, decoded, loadMachine(machine), spec, 1);
  const once = (name: string, machine = "simple") => {
    const key = `${name} on ${machine}`;
    const known = runs.get(key) ?? run(protocol(name), machine);
    runs.set(key, known);
    return known;
  };

  beforeAll(() => {
    trace = openTrace(PATH);
    decoded = decodeBlocks(trace.blocks, trace.pages);
  });

  test("commits in each invocation the instructions that the trace has, on each core", () => {
    const result = once("lukewarm");
    trace.cores.forEach(({ invocations }, core) => {
      const metrics = result.invocations.map(({ counters }) => {
        let at = 0;
        for (const { path, defs } of result.schema.groups) {
          const i = defs.findIndex((d) => path === `cpu${core}` && d.name === "numInsts");
          if (i >= 0) return counters[at + i];
          at += defs.length;
        }
        return -1;
      });
      expect(metrics).toEqual(invocations.map((i) => i.instructions));
    });
  });

  test("gives identical statistics when it is run again", () => {
    const again = run(protocol("lukewarm"));
    expect(statistics(again)).toBe(statistics(once("lukewarm")));
    expect(again.invocations.map((i) => [i.beginCycle, i.endCycle])).toEqual(
      once("lukewarm").invocations.map((i) => [i.beginCycle, i.endCycle]),
    );
  });

  test("with a metadata store of 0 bytes Jukebox equals the baseline in every counter and cycle", () => {
    const empty = run({ ...protocol("jukebox"), jukebox: { replayDistance: -1, metadataBytes: 0 } });
    expect(statistics(empty)).toBe(statistics(once("lukewarm")));
    expect(empty.invocations.map((i) => i.endCycle)).toEqual(
      once("lukewarm").invocations.map((i) => i.endCycle),
    );
  });

  test("on a private L2 that holds the code, replay covers most of what lukewarm execution misses", () => {
    const machine = "skylake-like";
    const [lukewarm, jukebox, perfect, reference] = metricsOf(
      ["lukewarm", "jukebox", "perfect", "reference"].map((name) => once(name, machine)),
    ).map((m) => m.total);
    expect(jukebox.get("coverage")).toBeGreaterThan(0.75);
    expect(jukebox.get("accuracy")).toBeGreaterThan(0.8);
    expect(jukebox.get("ipc")).toBeGreaterThan(lukewarm.get("ipc")! * 1.1);
    expect(perfect.get("ipc")).toBeGreaterThan(jukebox.get("ipc")!);
    expect(reference.get("ipc")).toBeGreaterThan(lukewarm.get("ipc")! * 1.3);
  });

  test("where the cache is smaller than the code, pacing saves the prefetches from being evicted unused", () => {
    const [, unpaced, paced] = metricsOf(
      ["lukewarm", "jukebox", "jukebox-paced"].map((name) => once(name)),
    ).map((m) => m.total);
    expect(unpaced.get("coverage")).toBeLessThan(0.2);
    expect(paced.get("coverage")).toBeGreaterThan(0.3);
    expect(paced.get("overprediction")).toBeLessThan(unpaced.get("overprediction")!);
  });

  test("the first invocation finds no metadata: it costs what it costs without Jukebox", () => {
    const first = (name: string) => once(name, "skylake-like").invocations[0];
    expect(first("jukebox").endCycle - first("jukebox").beginCycle).toBeGreaterThan(0);
    const cycles = (name: string) => first(name).endCycle - first(name).beginCycle;
    // Metadata is written meanwhile, which takes a little of the memory's time.
    expect(Math.abs(cycles("jukebox") / cycles("lukewarm") - 1)).toBeLessThan(0.01);
  });
});
