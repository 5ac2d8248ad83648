import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { muswarm, temporaryFolder } from "./harness.js";

describe("wrong input is one line that names the place and the right word, and exit code 2", () => {
  test.each<[string, string, RegExp]>([
    ["an unknown command", "simm x.trace", /unknown command "simm"\. Did you mean "sim"\?/],
    ["an unknown command far from all", "flamingo", /unknown command "flamingo"\. Known: start, sim, trace/],
    ["a trace where a command should stand", "fib.trace", /To simulate a trace: muswarm sim fib\.trace/],
    ["an unknown nested command", "trace inof x", /unknown command "trace inof"\. Did you mean "info"\?/],
    ["a group without its command", "trace", /trace: needs one of: info/],
    [
      "an unknown option",
      "sim x.trace --protocl jukebox",
      /sim: unknown option --protocl\. Did you mean "--protocol"\?/,
    ],
    ["an unknown letter", "sim x.trace -x", /sim: unknown option -x\./],
    [
      "an unknown option before any command",
      "--versoin",
      /unknown option --versoin\. Did you mean "--version"\?/,
    ],
    ["a missing trace", "sim", /sim: needs a trace file; usage: muswarm sim <trace\.\.>/],
    ["a word too many", "machines simple other", /machines: unexpected argument "other"/],
    ["an option without its value", "sim x.trace --out", /sim: --out needs a value/],
    ["an option given twice", "sim x.trace --seed 1 --seed 2", /sim: --seed is given 2 times/],
    [
      "a number that is none",
      "sim x.trace --seed 1e3",
      /sim: --seed needs a whole number of at least 0, got "1e3"/,
    ],
    [
      "a negative number",
      "sim x.trace --jobs -1",
      /sim: --jobs needs a whole number of at least 0, got "-1"/,
    ],
    [
      "an unknown core model",
      "sim x.trace --core-model timng",
      /unknown core-model "timng"\. Did you mean "timing"\?/,
    ],
    [
      "an unknown machine",
      "sim x.trace --machine simpel",
      /unknown machine "simpel"\. Did you mean "simple"\?/,
    ],
    [
      "an unknown key",
      "sim x.trace --set levels.0.cache.sizKiB=2",
      /sizKiB: unknown key\. Did you mean "sizeKiB"\?/,
    ],
    ["a key without a value", "sim x.trace --set seed", /--set seed: expected key\.path=value/],
    [
      "an unknown protocol",
      "sim x.trace --protocol jukbox",
      /unknown protocol "jukbox"\. Did you mean "jukebox"\?/,
    ],
    [
      "a protocol given twice",
      "sim x.trace --protocol lukewarm --protocol lukewarm",
      /lukewarm is given twice/,
    ],
    [
      "a distance without its protocol",
      "sim x.trace --protocol jukebox --replay-distance 8",
      /--replay-distance is for the protocol jukebox-paced/,
    ],
    ["--out and --no-out", "sim x.trace --out y --no-out", /exclude each other/],
    [
      "two results in one folder",
      "sim a/x.trace b/x.trace",
      /two of the results would be written to results\/x-simple/,
    ],
    [
      "a trace that is not there",
      "sim /nowhere/x.trace --no-out",
      /\/nowhere\/x\.trace: .*no such file|\/nowhere\/x\.trace/,
    ],
    ["a capture without a name", "capture", /capture: needs the name of a function; --list shows them/],
    [
      "a capture without a file",
      "capture fibonacci-go",
      /capture: needs a file to write: -o fibonacci-go\.trace/,
    ],
    ["a setting for no machine", "machines --set cores=1", /machines: --set needs the name of a machine/],
  ])("%s", async (_, line, message) => {
    const { code, stdout, stderr } = await muswarm(line.split(" "));
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^muswarm: [^\n]+\n$/);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  test("a machine file that is no JSON names itself, on one line", async () => {
    const file = join(temporaryFolder(), "my.json");
    writeFileSync(file, '{\n  "name": "x",,\n}');
    const { code, stderr } = await muswarm(["machines", file]);
    expect(stderr).toMatch(/^muswarm: .*my\.json: not JSON[^\n]*\n$/);
    expect(code).toBe(2);
  });

  test("a file that is no trace is refused", async () => {
    const file = join(temporaryFolder(), "no.trace");
    writeFileSync(file, "this is no trace, however long one reads it\n".repeat(20));
    const { code, stdout, stderr } = await muswarm(["sim", file, "--no-out"]);
    expect(stderr).toMatch(/^muswarm: .*no\.trace: [^\n]+\n$/);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
});

test("a folder that is not empty is refused before anything is simulated", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "thesis.tex"), "all of it");
  const refused = await muswarm(["sim", "x.trace", "--out", folder]);
  expect(refused.stderr).toMatch(/is not empty; --force replaces results/);
  const forced = await muswarm(["sim", "x.trace", "--out", folder, "--force"]);
  expect(forced.stderr).toMatch(/does not hold results; --force replaces nothing else/);
  expect([refused.code, forced.code]).toEqual([2, 2]);
});
