import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { muswarm, temporaryFolder } from "../cli/harness.js";

const TRACE = new URL("../../traces/fibonacci-go.trace", import.meta.url).pathname;
const METHODS = ["act", "demand", "evictedUnused", "beginInvocation", "endInvocation"];

/** A prefetcher that does nothing, with some of its members changed. */
function prefetcher(changes: Record<string, string> = {}, without = ""): string {
  const members = ["nextAction: Infinity", ...METHODS.map((m) => `${m}: ${changes[m] ?? "() => {}"}`)];
  for (const [name, text] of Object.entries(changes))
    if (!METHODS.includes(name)) members.push(`${name}: ${text}`);
  return `({ ${members.filter((m) => without === "" || !m.startsWith(`${without}:`)).join(", ")} })`;
}

let count = 0;

/** Names belong to the process: each plug-in of a test has names of its own. */
function plugin(text: (name: string) => string): { file: string; name: string } {
  const name = `mine-${++count}`;
  const file = join(temporaryFolder(), "mine.mjs");
  writeFileSync(file, text(name));
  return { file, name };
}

const made = (create: string, more = "") =>
  plugin((name) => `export default { prefetchers: { "${name}": { create: ${create}, ${more} } } };`);

async function refused(file: string, ...more: string[]): Promise<string> {
  const { code, stdout, stderr } = await muswarm(["sim", TRACE, "--no-out", "--plugin", file, ...more]);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^muswarm: [^\n]+\n$/);
  expect(code).toBe(2);
  return stderr;
}

describe("a plug-in that cannot be used is refused in one line with its file's name, and exit code 2", () => {
  test.each<[string, string, RegExp]>([
    [
      "no default export",
      "export const prefetchers = {};",
      /mine\.mjs: has no default export; expected export default \{ prefetchers, /,
    ],
    [
      "an unknown kind",
      "export default { prefetcher: {} };",
      /unknown key "prefetcher"\. Did you mean "prefetchers"/,
    ],
    [
      "nothing in it",
      "export default {};",
      /mine\.mjs: default export: expected at least one of prefetchers/,
    ],
    ["a function", "export default () => {};", /default export: expected an object .* got function/],
    ["no JavaScript", "export default {", /mine\.mjs: cannot be loaded as an ES module: /],
    ["an error", 'throw new Error("not today");', /mine\.mjs: cannot be loaded as an ES module: not today/],
    ["a bad name", "export default { prefetchers: { 'My One': {} } };", /got "My One"/],
    [
      "no create",
      "export default { prefetchers: { p: { } } };",
      /prefetchers\.p: expected a function create/,
    ],
    [
      "an unknown definition key",
      "export default { prefetchers: { p: { create() {}, parameter: {} } } };",
      /prefetchers\.p: unknown key "parameter"\. Did you mean "parameters"\?/,
    ],
    [
      "a parameter without default",
      "export default { prefetchers: { p: { create() {}, parameters: { size: 3 } } } };",
      /prefetchers\.p\.parameters\.size: expected \{ default: /,
    ],
    [
      "a parameter of a taken name",
      'export default { prefetchers: { p: { create() {}, parameters: { level: { default: 1, describe: "" } } } } };',
      /mine\.mjs: prefetcher "p": parameters: "level" is taken/,
    ],
    [
      "a name that is taken",
      "export default { prefetchers: { stride: { create() {} } } };",
      /mine\.mjs: prefetcher "stride": the name is taken/,
    ],
    [
      "demands that are none",
      'export default { prefetchers: { p: { create() {}, on: "code" } } };',
      /prefetchers\.p\.on: expected one of all, instructions, data; got "code"/,
    ],
  ])("%s", async (_, text, message) => {
    expect(await refused(plugin(() => text).file)).toMatch(message);
  });

  test("a file that is not there", async () => {
    expect(await refused("/nowhere/mine.mjs")).toMatch(/\/nowhere\/mine\.mjs: cannot be read \(ENOENT\)/);
  });

  test("a prefetcher that lacks a method, found when it is made", async () => {
    for (const method of METHODS) {
      const { file, name } = made(`() => ${prefetcher({}, method)}`);
      const text = await refused(file, "--protocol", name, "--jobs", "0");
      expect(text).toMatch(new RegExp(`mine\\.mjs: prefetcher "${name}": create: .*"${method}" is missing`));
    }
  });

  test("a parameter that it does not have, or a level that the machine does not have", async () => {
    const { file, name } = made(
      `() => ${prefetcher()}`,
      'parameters: { ahead: { default: 1, describe: "", max: 9 } }',
    );
    expect(await refused(file, "--protocol", `${name},ahed=2`)).toMatch(
      /ahed: unknown key\. Did you mean "ahead"/,
    );
    expect(await refused(file, "--protocol", `${name},ahead=10`)).toMatch(
      /ahead: expected a whole number from 0 to 9/,
    );
    expect(await refused(file, "--protocol", `${name}@l3`)).toMatch(/level: no level "l3"/);
    expect(await refused(file, "--protocol", `${name}x`)).toMatch(new RegExp(`Did you mean "${name}"`));
  });

  test("counters of its own that do not fit", async () => {
    const { file, name } = made(
      `() => ${prefetcher({ ownCounters: "{ defs: [], values: new Float64Array(1) }" })}`,
    );
    expect(await refused(file, "--protocol", name, "--jobs", "0")).toMatch(
      /mine\.mjs: .*ownCounters: expected/,
    );
  });
});

describe("a plug-in that fails in a run ends it with one line: its file, the method, exit code 1", () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ["throws", { demand: "() => {\n undefined.x; }" }, /demand failed: Cannot read .* \(mine\.mjs:2\)/],
    ["throws at the begin", { beginInvocation: "() => { throw 'words' }" }, /beginInvocation failed: words/],
    [
      "asks for a line of no page",
      { demand: "(r, line, v, o, now) => host.target.enqueue(line, 2 ** 30, now)" },
      /enqueue: expected virtualLine of one of the trace's \d+ pages .*, got 1073741824/,
    ],
    [
      "asks for another line than it says",
      { demand: "(r, line, v, o, now) => host.target.enqueue(line + 1, v, now)" },
      /enqueue: virtual line \d+ is physical line \d+ \(host\.pages\.ppn\), got \d+/,
    ],
    [
      "asks for a fraction",
      { demand: "(r, line, v, o, now) => host.target.enqueue(line, v + 0.5, now)" },
      /enqueue: expected virtualLine/,
    ],
    [
      "asks at no time",
      { demand: "(r, line, v) => host.target.enqueue(line, v)" },
      /enqueue: expected the cycle that it was told, got undefined/,
    ],
    [
      "reads metadata nowhere",
      { demand: "(r, line, v, o, now) => host.readMetadata(-1, now)" },
      /readMetadata: expected a physical line number and a cycle, got -1/,
    ],
    [
      "wants to act at no time",
      { demand: "function () { this.nextAction = NaN; }" },
      /expected nextAction to be a cycle or Infinity after demand, got NaN/,
    ],
  ])("one that %s", async (_, changes, message) => {
    const { file, name } = made(`(host) => ${prefetcher(changes)}`);
    const argv = ["sim", TRACE, "--no-out", "--plugin", file, "--protocol", name, "--jobs", "0"];
    const { code, stdout, stderr } = await muswarm(argv);
    expect(stdout).toBe("");
    expect(stderr).toMatch(message);
    expect(stderr).toContain(`mine.mjs: prefetcher "${name}"`);
    expect(stderr).not.toContain("internal error");
    expect(code).toBe(1);
  });
});

test("a plug-in is told of the begin and the end of each invocation, and its counters are in the results", async () => {
  const { file, name } = made(
    `(host) => {
      const values = new Float64Array(3);
      return {
        nextAction: Infinity, act() {}, evictedUnused() {},
        ownCounters: { defs: ["begins", "ends", "loads"].map((name) => ({ name, unit: "Count", description: name })), values },
        beginInvocation(instance) { values[0] += instance; },
        endInvocation() { values[1]++; },
        demand(requester) { if (requester === 1 || requester === 2) values[2]++; },
      };
    }`,
    'on: "instructions"',
  );
  const argv = ["sim", TRACE, "--no-out", "--json", "--plugin", file, "--jobs", "0"];
  const { code, stdout } = await muswarm([...argv, "--protocol", "lukewarm", "--protocol", name]);
  expect(code).toBe(0);
  const [{ protocols }] = JSON.parse(stdout).comparisons;
  expect(protocols[name].metrics.speedup.value).toBe(1);
  expect(protocols[name].metrics.coverage.value).toBe(0);
  const folder = join(temporaryFolder(), "out");
  await muswarm([...argv.filter((a) => a !== "--no-out"), "--protocol", name, "--out", folder]);
  const { readFileSync } = await import("node:fs");
  const stats = JSON.parse(readFileSync(join(folder, "stats.json"), "utf8"));
  const { invocations } = stats.protocols[name];
  for (const { counters } of invocations) {
    // Counters are taken after the begin; the begin of invocation i + 1 is in neither.
    expect(counters[`cpu1.llc.${name}.ends`]).toBe(1);
    expect(counters[`cpu1.llc.${name}.loads`]).toBe(0);
  }
  const text = readFileSync(join(folder, name, "stats.txt"), "utf8");
  expect(text).toMatch(new RegExp(`^system\\.llc\\.${name}\\.ends::cpu1 +1 `, "m"));
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  expect(manifest.plugins[0]).toMatchObject({ file: "mine.mjs", prefetchers: [name] });
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  expect(config.machine.prefetchers).toEqual([{ name, level: "llc", on: "instructions", cores: "function" }]);
});

test("a machine file may name a plug-in's prefetcher, and it then works beside Jukebox at the same level", async () => {
  const { file, name } = made(
    `(host) => ({
      nextAction: Infinity, act() {}, evictedUnused() {}, beginInvocation() {}, endInvocation() {},
      demand(requester, line, virtualLine, outcome, now) {
        if (outcome !== 0 && (line & 63) < 63) host.target.enqueue(line + 1, virtualLine + 1, now);
      },
    })`,
  );
  const set = `prefetchers=[{"name":"${name}","level":"llc","cores":"function"}]`;
  const argv = ["sim", TRACE, "--no-out", "--json", "--plugin", file, "--jobs", "0", "--set", set];
  const { stdout } = await muswarm([...argv, "--protocol", "lukewarm", "--protocol", "jukebox"]);
  const [{ protocols }] = JSON.parse(stdout).comparisons;
  const { jukebox } = protocols;
  // The cache's counters are those of both: Jukebox's own are in a group of their own.
  expect(jukebox.metrics["prefetch.issued"].value).toBeGreaterThan(0);
  expect(jukebox.metrics["prefetch.issued"].value).toBeLessThanOrEqual(
    jukebox.metrics["prefetch.inserted"].value,
  );
});

test("replacement policies and branch predictors of a plug-in are used by name", async () => {
  const file = join(temporaryFolder(), "two.mjs");
  writeFileSync(
    file,
    `class First { touch() {} fill() {} invalidate() {} constructor({ ways }) { this.ways = ways; } victim(set) { return set * this.ways; } }
     class Wrong { counts = new Float64Array(10); flush() {} predict() { this.counts[0]++; return false; } }
     export default { replacementPolicies: { first: (shape) => new First(shape) }, branchPredictors: { wrong: () => new Wrong() } };`,
  );
  const base = [
    "sim",
    TRACE,
    "--no-out",
    "--json",
    "--plugin",
    file,
    "--jobs",
    "0",
    "--protocol",
    "reference",
  ];
  const ipc = async (...set: string[]) => {
    const { stdout, stderr } = await muswarm([...base, ...set]);
    expect(stderr).not.toMatch(/error/);
    return JSON.parse(stdout).comparisons[0].protocols.reference.metrics.ipc.value;
  };
  const plain = await ipc();
  expect(await ipc("--set", "levels.0.cache.replacement=first")).toBeLessThan(plain);
  expect(await ipc("--set", "core.branchPredictor.name=wrong")).toBeLessThan(plain);
});
