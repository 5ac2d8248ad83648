import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { machineSchema } from "../../src/machine/spec.js";
import { muswarm } from "./harness.js";

const packageVersion = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
).version;

describe("help", () => {
  test("without a command, the commands are listed", async () => {
    const { code, stdout, stderr } = await muswarm(["--help"]);
    for (const command of [
      "start",
      "sim <trace..>",
      "trace info <file>",
      "capture [function]",
      "machines [name]",
    ]) {
      expect(stdout).toContain(`muswarm ${command}`);
    }
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect((await muswarm([])).stdout).toBe(stdout);
  });

  test.each(["start", "sim", "trace info", "capture", "machines"])(
    "of %s has its options and an example",
    async (command) => {
      const { code, stdout } = await muswarm([...command.split(" "), "--help"]);
      expect(stdout).toMatch(new RegExp(`^muswarm ${command}`));
      expect(stdout).toContain("--json");
      expect(stdout).toContain("Examples:");
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
      expect(code).toBe(0);
    },
  );
});

test("--version is the package's", async () => {
  expect(await muswarm(["--version"])).toEqual({ code: 0, stdout: `${packageVersion}\n`, stderr: "" });
  expect(JSON.parse((await muswarm(["--version", "--json"])).stdout).muswarm).toBe(packageVersion);
});

describe("machines", () => {
  test("lists every machine with its caches", async () => {
    const { stdout } = await muswarm(["machines"]);
    expect(stdout).toMatch(/^simple {2,}\S/m);
    expect(stdout).toContain("LLC 8 MB 16-way shared");
  });

  test("prints a whole machine, which is a machine file, with what --set changes", async () => {
    const { stdout } = await muswarm(["machines", "simple", "--set", "levels.0.cache.sizeKiB=256"]);
    const spec = JSON.parse(stdout);
    expect(machineSchema.parse(spec)).toEqual(spec);
    expect(spec.levels[0].cache.sizeKiB).toBe(256);
  });

  test("--json lists them as one document", async () => {
    const { stdout } = await muswarm(["machines", "--json"]);
    expect(JSON.parse(stdout).map((m: { name: string }) => m.name)).toContain("skylake-like");
  });
});
