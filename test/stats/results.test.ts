import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { parseGem5Stats } from "../../src/stats/gem5.js";
import { MANIFEST, resultsFiles, writeResults } from "../../src/stats/results.js";
import { sampleRuns } from "./sample.js";

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "muswarm-test-"));
});
afterEach(() => {
  chmodSync(parent, 0o755);
  rmSync(parent, { recursive: true });
});

const options = { force: false, version: "1.2.3" };
const read = (...path: string[]) => readFileSync(join(parent, ...path), "utf8");

test("a results folder has gem5 statistics for each protocol, all numbers, the configuration and a manifest", () => {
  writeResults(join(parent, "new", "fib"), sampleRuns(), options);
  const folder = join(parent, "new", "fib");
  expect(readdirSync(folder).sort()).toEqual([
    ...[
      "config.json",
      "jukebox",
      "jukebox-paced",
      "lukewarm",
      "manifest.json",
      "perfect",
      "reference",
      "stats.json",
    ],
  ]);
  expect(parseGem5Stats(read("new/fib/lukewarm/stats.txt"))).toHaveLength(3);

  const stats = JSON.parse(read("new/fib/stats.json"));
  expect(stats.protocols.lukewarm.metrics.ipc).toEqual({ value: 1 / 3, unit: "instructions/cycle" });
  expect(stats.protocols.jukebox.invocations.map((i: { measured: boolean }) => i.measured)).toEqual([
    ...[false, false, true, true, true],
  ]);
  expect(stats.protocols.jukebox.invocations[2].counters["llc.pfIssued.cpu1"]).toBe(9000);
  expect(stats.counters["llc.pfIssued.cpu1"].unit).toBe("Count");
  expect(stats.definitions.coverage.definition).toMatch(/prefetch\.useful/);

  const config = JSON.parse(read("new/fib/config.json"));
  expect(config.machine.core.pipeline.decodeWidth).toBe(2);
  expect(config.protocols.map((p: { name: string }) => p.name)).toContain("perfect");
});

test("the manifest's hashes are those of the files", () => {
  const files = resultsFiles(sampleRuns(), "1.2.3");
  const manifest = JSON.parse(files.get(MANIFEST)!);
  const hash = (name: string) => createHash("sha256").update(files.get(name)!).digest("hex");
  const others = [...files.keys()].filter((name) => name !== MANIFEST);
  expect(manifest.files).toEqual(Object.fromEntries(others.map((name) => [name, hash(name)])));
  expect(manifest.configSha256).toBe(hash("config.json"));
  expect(manifest.versions.muswarm).toBe("1.2.3");
});

test("two runs of one command give the same bytes, wherever the trace lies", () => {
  const elsewhere = sampleRuns().map((run) => ({
    ...run,
    trace: { ...run.trace, path: "fib.trace" },
    hostSeconds: 9,
  }));
  expect(resultsFiles(elsewhere, "1.2.3")).toEqual(resultsFiles(sampleRuns(), "1.2.3"));
});

test("a folder that is not empty is left alone without force", () => {
  const folder = join(parent, "fib");
  writeResults(folder, sampleRuns(), options);
  const before = read("fib/manifest.json");
  expect(() => writeResults(folder, sampleRuns().slice(0, 2), options)).toThrow(InputError);
  expect(read("fib/manifest.json")).toBe(before);
});

test("force replaces results as a whole", () => {
  const folder = join(parent, "fib");
  writeResults(folder, sampleRuns(), options);
  writeResults(folder, sampleRuns().slice(0, 2), { ...options, force: true });
  expect(readdirSync(folder).sort()).toEqual([
    "config.json",
    "lukewarm",
    "manifest.json",
    "reference",
    "stats.json",
  ]);
  expect(readdirSync(parent)).toEqual(["fib"]);
});

test("force replaces nothing but results", () => {
  const folder = join(parent, "fib");
  writeResults(folder, sampleRuns(), options);
  writeFileSync(join(folder, "notes.txt"), "precious");
  expect(() => writeResults(folder, sampleRuns(), { ...options, force: true })).toThrow(
    /does not hold results/,
  );
  expect(read("fib/notes.txt")).toBe("precious");
});

test("an empty folder may be written to, a file may not", () => {
  mkdirSync(join(parent, "empty"));
  writeResults(join(parent, "empty"), sampleRuns(), options);
  expect(readdirSync(join(parent, "empty"))).toContain(MANIFEST);
  writeFileSync(join(parent, "file"), "");
  expect(() => writeResults(join(parent, "file"), sampleRuns(), options)).toThrow(/is a file, not a folder/);
});

test("when writing fails, nothing is left behind", () => {
  const broken = sampleRuns();
  broken[4] = { ...broken[4], schema: { groups: broken[4].schema.groups.slice(1) } };
  expect(() => writeResults(join(parent, "fib"), broken, options)).toThrow();
  expect(readdirSync(parent)).toEqual([]);
});

test("a place that cannot be written to is one line", () => {
  writeFileSync(join(parent, "file"), "");
  expect(() => writeResults(join(parent, "file", "fib"), sampleRuns(), options)).toThrow(
    /file\/fib: cannot be written \(E\w+\)/,
  );
});
