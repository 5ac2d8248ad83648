import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { bundleConfig, processOfFunction } from "../../src/capture/bundle.js";
import { Cache, hashTree } from "../../src/capture/cache.js";
import { findFunction, listFunctions } from "../../src/capture/functions.js";
import {
  companionCoresOf,
  functionCoreOf,
  kernelCommandLine,
  machineSummary,
} from "../../src/capture/machine.js";
import { callsOf, commandOf, planOf } from "../../src/capture/options.js";
import { InputError } from "../../src/errors.js";

const root = mkdtempSync(join(tmpdir(), "muswarm-capture-"));
afterAll(() => rmSync(root, { recursive: true }));

describe("capture options", () => {
  const base = { function: "fibonacci-go", output: "out.trace" };

  test("have the documented defaults", () => {
    expect(planOf(base)).toMatchObject({
      warm: 20,
      recordedWarm: 5,
      invocations: 10,
      runtime: "runc",
      cores: 2,
      kernel: "cloud-amd64",
      nsPerInstruction: 2,
      inputs: "unique",
      seed: 1,
      keep: false,
    });
  });

  test("share all calls out: before the snapshot, after it, recorded", () => {
    expect(callsOf(planOf(base))).toEqual({ before: 10, settle: 5, recorded: 15 });
    expect(callsOf(planOf({ ...base, warm: 1, recordedWarm: 1 }))).toEqual({
      before: 0,
      settle: 0,
      recorded: 11,
    });
    expect(callsOf(planOf({ ...base, warm: 3 }))).toEqual({ before: 0, settle: 0, recorded: 13 });
  });

  test("that cannot be are refused by name", () => {
    expect(() => planOf({ ...base, warm: 3, recordedWarm: 4 })).toThrow(InputError);
    expect(() => planOf({ ...base, invocations: 0 })).toThrow("invocations: 0");
    expect(() => planOf({ ...base, runtime: "rkt" })).toThrow(
      'no container runtime "rkt". Known: runc, crun.',
    );
  });

  test.each([
    [{ cores: 1 }, "cores: 1 is not a whole number from 2 to 8"],
    [{ cores: 9 }, "cores: 9 is not a whole number from 2 to 8"],
    [{ nsPerInstruction: 3 }, "ns-per-instruction: 3 is not one of 1, 2, 4, 8"],
  ])("%j is no machine", (wrong, message) => {
    expect(() => planOf({ ...base, ...wrong })).toThrow(new InputError(message));
  });

  test("give the function the last core, the client the first, and the others what is between", () => {
    expect([2, 3, 4, 8].map(functionCoreOf)).toEqual([1, 2, 3, 7]);
    expect([2, 3, 4, 8].map(companionCoresOf)).toEqual(["0", "1", "1-2", "1-6"]);
    expect(kernelCommandLine(2)).toMatch(/ isolcpus=1 /);
    expect(kernelCommandLine(4)).toMatch(/ isolcpus=3 /);
    // What is kept of one machine is not used for another.
    expect(machineSummary(3)).not.toBe(machineSummary(2));
  });

  test("make the command with the machine that is not the usual one", () => {
    const machine = { cores: 3, kernel: "amd64", nsPerInstruction: 4 };
    expect(commandOf(planOf({ ...base, ...machine }))).toMatch(
      / --cores 3 --kernel amd64 --ns-per-instruction 4$/,
    );
  });

  test("name the nearest generator of inputs", () => {
    expect(() => planOf({ ...base, inputs: "randon" })).toThrow('Did you mean "random"?');
  });

  test("make the command with the inputs that are not the usual ones", () => {
    expect(commandOf(planOf({ ...base, inputs: "linear" }))).toMatch(/ --inputs linear$/);
    expect(commandOf(planOf({ ...base, inputs: "random", seed: 4 }))).toMatch(/ --inputs random --seed 4$/);
  });

  test("make the command that makes the trace again", () => {
    expect(commandOf(planOf({ ...base, warm: 30, runtime: "crun" }))).toBe(
      "muswarm capture fibonacci-go -o out.trace --warm 30 --recorded-warm 5 --invocations 10 --runtime crun",
    );
  });
});

describe("functions", () => {
  test("that come with the package are complete", () => {
    const names = listFunctions().map((f) => f.name);
    expect(names).toEqual(expect.arrayContaining(["fibonacci-go", "fibonacci-nodejs", "fibonacci-python"]));
    for (const name of names) expect(findFunction(name).command.length).toBeGreaterThan(0);
  });

  test("that do not exist are answered with the nearest that does", () => {
    expect(() => findFunction("fibonaci-go")).toThrow('Did you mean "fibonacci-go"?');
  });

  test("can be a folder of the user's", () => {
    const folder = join(root, "mine");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "function.json"), '{"runtime":"files","command":["/app/serve"]}');
    expect(findFunction(folder)).toMatchObject({
      name: "mine",
      runtime: "files",
      packages: [],
      calls: [{ method: "helloworld.Greeter/SayHello", request: { name: "" } }],
    });
  });

  test("with a wrong function.json say which key", () => {
    const folder = join(root, "wrong");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "function.json"), '{"runtime":"perl","command":["x"]}');
    expect(() => findFunction(folder)).toThrow(/function\.json: runtime:/);
  });

  test("that give both calls and an input are refused", () => {
    const folder = join(root, "both");
    mkdirSync(folder, { recursive: true });
    const call = { method: "helloworld.Greeter/SayHello" };
    const json = { runtime: "files", command: ["x"], input: "1", calls: [call] };
    writeFileSync(join(folder, "function.json"), JSON.stringify(json));
    expect(() => findFunction(folder)).toThrow(/function\.json: calls: cannot be given together/);
  });

  test("of the suite are twenty-one", () => {
    const bySuite = (suite: string) => listFunctions().filter((f) => f.suite === suite).length;
    expect(["standalone", "hotel", "shop"].map(bySuite)).toEqual([9, 6, 6]);
  });

  test("run in a container that has one core alone", () => {
    const config = bundleConfig(processOfFunction(findFunction("fibonacci-go")), 3);
    expect(config).toMatchObject({
      linux: { resources: { cpu: { cpus: "3" } } },
      process: { args: ["/app/server"] },
    });
  });
});

describe("the cache", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(root, "cache-"));
  });

  test("builds once for the same inputs, again for others", async () => {
    const cache = new Cache(folder);
    let built = 0;
    const build = () => void built++;
    const first = await cache.get("thing", { a: 1 }, build);
    expect(await cache.get("thing", { a: 1 }, build)).toBe(first);
    expect(await cache.get("thing", { a: 2 }, build)).not.toBe(first);
    expect(built).toBe(2);
  });

  test("keeps nothing of a build that failed", async () => {
    const cache = new Cache(folder);
    const failing = cache.get("thing", {}, (into) => {
      writeFileSync(join(into, "half"), "");
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("hashes names and contents of a folder", () => {
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "sub", "x"), "1");
    const before = hashTree(folder);
    writeFileSync(join(folder, "sub", "x"), "2");
    expect(hashTree(folder)).not.toBe(before);
  });
});
