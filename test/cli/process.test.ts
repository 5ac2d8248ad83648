import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
// @ts-expect-error plain JavaScript, without types
import { checkNode } from "../../bin/setup.js";

const BIN = fileURLToPath(new URL("../../bin/muswarm.js", import.meta.url));
const TRACE = fileURLToPath(new URL("../../traces/fibonacci-go.trace", import.meta.url));

test("the program runs from any folder and ends with the code that it should", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [BIN, ...args], { cwd: tmpdir(), encoding: "utf8" });
  const good = run("machines", "simple");
  expect([JSON.parse(good.stdout).name, good.stderr, good.status]).toEqual(["simple", "", 0]);
  const bad = run("machins");
  expect([bad.stdout, bad.status]).toEqual(["", 2]);
  expect(bad.stderr).toBe('muswarm: unknown command "machins". Did you mean "machines"?\n');
});

test("a reader that goes away early is no error", async () => {
  const child = spawn(process.execPath, [BIN, "machines", "skylake-like"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect([code, stderr]).toEqual([0, ""]);
});

test("an interrupt ends a simulation with 130 and leaves nothing behind", async () => {
  expect(existsSync(TRACE)).toBe(true);
  const folder = mkdtempSync(join(tmpdir(), "muswarm-test-"));
  const args = [BIN, "sim", TRACE, "--out", join(folder, "out"), "--jobs", "1"];
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  setTimeout(() => child.kill("SIGINT"), 3000);
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code).toBe(130);
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});

test("a Node.js that is too old is told so", () => {
  expect(() => checkNode("20.18.3")).toThrow("needs Node.js 20.19 or later, this is 20.18.3");
  expect(() => checkNode("18.20.0")).toThrow();
  expect(checkNode("20.19.0")).toBeUndefined();
  expect(checkNode("24.0.0")).toBeUndefined();
});
