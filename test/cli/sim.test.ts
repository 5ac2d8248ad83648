import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { ProtocolSpec, RunResult } from "../../src/experiment/contract.js";
import type { SimulateOptions, SimulateProgress } from "../../src/experiment/simulate.js";
import { sampleRuns } from "../stats/sample.js";
import { muswarm, temporaryFolder } from "./harness.js";

/** What the command line asked the simulator for. */
let asked: SimulateOptions | undefined;
let failure: Error | undefined;

vi.mock("../../src/experiment/simulate.js", () => ({
  async simulate(options: SimulateOptions, onProgress?: (p: SimulateProgress) => void): Promise<RunResult[]> {
    asked = options;
    onProgress?.({ done: 1, total: 2, finishedRuns: 0, runs: 1 });
    if (failure !== undefined) throw failure;
    return options.traces.flatMap((path) =>
      options.machines.flatMap((machine) => {
        const wanted = (options.protocols ?? []).map((p) => p.name);
        const runs = sampleRuns(machine.name).filter((run) => wanted.includes(run.protocol.name));
        const core = { ...machine.core, model: "pipeline" as const }; // which the sample's counters are of
        return runs.map((run) => ({ ...run, machine: { ...machine, core }, trace: { ...run.trace, path } }));
      }),
    );
  },
}));

vi.mock("../../src/cli/footprint.js", () => ({ codeFootprintKB: () => 312.4 }));

beforeEach(() => {
  asked = undefined;
  failure = undefined;
});

const names = (protocols: readonly ProtocolSpec[] = []) => protocols.map((p) => p.name);

describe("what is simulated", () => {
  test("by default all protocols on the machine simple", async () => {
    await muswarm(["sim", "fib.trace", "--no-out"]);
    expect(asked?.traces).toEqual(["fib.trace"]);
    expect(asked?.machines.map((m) => m.name)).toEqual(["simple"]);
    expect(names(asked?.protocols)).toEqual(["reference", "lukewarm", "jukebox", "jukebox-paced", "perfect"]);
  });

  test("options choose machines, protocols, core model, keys, distance, seed and threads", async () => {
    const line =
      "sim a.trace b.trace --machine simple --machine skylake-like --protocol lukewarm --protocol jukebox-paced " +
      "--core-model timing --set levels.0.cache.ways=16 --replay-distance 12 --seed 7 --jobs 3 --no-out";
    expect((await muswarm(line.split(" "))).code).toBe(0);
    expect(asked?.machines.map((m) => m.name)).toEqual(["simple", "skylake-like"]);
    expect(asked?.machines.map((m) => m.core.model)).toEqual(["timing", "timing"]);
    expect(asked?.machines.map((m) => m.levels[0].cache.ways)).toEqual([16, 16]);
    expect(names(asked?.protocols)).toEqual(["lukewarm", "jukebox-paced"]);
    expect(asked?.protocols?.[1].jukebox?.replayDistance).toBe(12);
    expect([asked?.seed, asked?.jobs]).toEqual([7, 3]);
  });
});

describe("what is written", () => {
  test("the screen goes to stdout, and the results to the folder that is named", async () => {
    const folder = join(temporaryFolder(), "out");
    const { code, stdout, stderr } = await muswarm(["sim", "fib.trace", "--out", folder]);
    expect(stdout).toMatch(/^fibonacci-go \(go\), fib\.trace, on simple/);
    expect(stdout).toMatch(new RegExp(`Results: ${folder}/\\n$`));
    expect(readdirSync(folder)).toContain("manifest.json");
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("several results go to folders of their own", async () => {
    const folder = temporaryFolder();
    await muswarm([
      "sim",
      "a/fib.trace",
      "aes.trace",
      "--machine",
      "simple",
      "--machine",
      "skylake-like",
      "--out",
      folder,
    ]);
    expect(readdirSync(folder).sort()).toEqual([
      ...["aes-simple", "aes-skylake-like", "fib-simple", "fib-skylake-like"],
    ]);
    expect(
      JSON.parse(readFileSync(join(folder, "fib-skylake-like", "config.json"), "utf8")).machine.name,
    ).toBe("skylake-like");
  });

  test("a changed key is part of the folder's name", async () => {
    const folder = temporaryFolder();
    const two = ["sim", "fib.trace", "aes.trace", "--out", folder, "--protocol", "lukewarm"];
    await muswarm([...two, "--set", "levels.0.cache.sizeKiB=256"]);
    expect(readdirSync(folder).sort()[1]).toBe("fib-simple-levels.0.cache.sizeKiB=256");
  });

  test("--json writes exactly one document to stdout", async () => {
    const folder = join(temporaryFolder(), "out");
    const { code, stdout, stderr } = await muswarm(["sim", "fib.trace", "--json", "--out", folder]);
    const document = JSON.parse(stdout);
    expect(document.comparisons).toHaveLength(1);
    expect(document.comparisons[0].folder).toBe(folder);
    expect(document.comparisons[0].protocols.lukewarm.metrics.speedup).toEqual({ value: 1, unit: "ratio" });
    expect(document.comparisons[0].protocols.lukewarm.invocations).toBeUndefined();
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("--per-invocation adds the invocations to both", async () => {
    const json = await muswarm(["sim", "fib.trace", "--json", "--no-out", "--per-invocation"]);
    const [{ protocols }] = JSON.parse(json.stdout).comparisons;
    expect(
      protocols.reference.invocations.map((i: { metrics: { cycles: number } }) => i.metrics.cycles),
    ).toEqual([...[1_900_000, 2_000_000, 2_100_000]]);
    const screen = await muswarm(["sim", "fib.trace", "--no-out", "--per-invocation"]);
    expect(screen.stdout).toContain("Active cycles of each invocation");
  });

  test("a second run into the same folder is refused, and with --force replaces it", async () => {
    const folder = join(temporaryFolder(), "out");
    await muswarm(["sim", "fib.trace", "--out", folder]);
    asked = undefined;
    expect((await muswarm(["sim", "fib.trace", "--out", folder])).code).toBe(2);
    expect(asked).toBeUndefined();
    expect(
      (await muswarm(["sim", "fib.trace", "--out", folder, "--force", "--protocol", "lukewarm"])).code,
    ).toBe(0);
    expect(readdirSync(folder)).not.toContain("perfect");
  });
});

describe("start", () => {
  test("shows the shipped trace on two machines under all protocols, and says what one sees", async () => {
    const { code, stdout } = await muswarm(["start"]);
    expect(asked?.traces.map((path) => path.split("/").slice(-2).join("/"))).toEqual([
      "traces/fibonacci-go.trace",
    ]);
    expect(names(asked?.protocols)).toHaveLength(5);
    expect(stdout).toMatch(/on simple:[\s\S]*on skylake-like:[\s\S]*What one sees/);
    expect(code).toBe(0);
  });

  test("--json has both as one document", async () => {
    const { stdout } = await muswarm(["start", "--json"]);
    const machines = JSON.parse(stdout).comparisons.map((c: { machine: string }) => c.machine);
    expect(machines).toEqual(["simple", "skylake-like"]);
  });
});

describe("an internal error", () => {
  test("is one line and a hint, and exit code 1", async () => {
    failure = new TypeError("x is not a function");
    const { code, stdout, stderr } = await muswarm(["sim", "fib.trace", "--no-out"]);
    expect(stderr).toBe(
      "muswarm: internal error: x is not a function\nmuswarm: MUSWARM_DEBUG=1 shows where it happened\n",
    );
    expect([code, stdout]).toEqual([1, ""]);
  });

  test("shows its stack when that is asked for", async () => {
    failure = new TypeError("x is not a function");
    const { stderr } = await muswarm(["sim", "fib.trace", "--no-out"], { env: { MUSWARM_DEBUG: "1" } });
    expect(stderr).toMatch(/\n\s+at .*sim\.test\.ts/);
  });

  test("leaves no results", async () => {
    failure = new TypeError("x is not a function");
    const folder = temporaryFolder();
    await muswarm(["sim", "fib.trace", "--out", join(folder, "out")]);
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("an interrupted run says nothing and ends with 130", async () => {
  const interrupt = new AbortController();
  interrupt.abort();
  failure = new Error("aborted");
  expect(await muswarm(["sim", "fib.trace", "--no-out"], { signal: interrupt.signal })).toEqual({
    code: 130,
    stdout: "",
    stderr: "",
  });
});
