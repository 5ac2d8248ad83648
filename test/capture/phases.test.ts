import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ownFiles, PhaseFinder, readsNames } from "../../src/capture/phases.js";
import { EventKind, PhaseKind } from "../../src/loader/contract.js";
import { convert } from "./raw-builder.js";

const root = mkdtempSync(join(tmpdir(), "muswarm-phases-"));
afterAll(() => rmSync(root, { recursive: true }));

const OWN = 0x40_2000;
const LISTENS = 0xffff_81a0_0000;
const plan = { init: 7, pids: [7, 9], ownCode: OWN, listens: LISTENS };
const { ContainerStart, RuntimeInit, FunctionInit, Execution } = PhaseKind;

describe("phases", () => {
  test("begin in their order", () => {
    const finder = new PhaseFinder(plan);
    expect(finder.start()).toBe(ContainerStart);
    expect(finder.executed(OWN, 7)).toBe(-1);
    expect(finder.switched(7, 3)).toBe(-1);
    expect(finder.switched(8, 4)).toBe(-1);
    expect(finder.switched(7, 3)).toBe(-1);
    expect(finder.switched(7, 5)).toBe(RuntimeInit);
    expect(finder.executed(OWN, 8)).toBe(-1);
    expect(finder.executed(OWN, 7)).toBe(FunctionInit);
    expect(finder.executed(OWN, 7)).toBe(-1);
    expect(finder.executed(LISTENS, 8)).toBe(-1);
    expect(finder.executed(LISTENS, 9)).toBe(Execution);
    expect(finder.found).toEqual([true, true, true, true]);
  });

  test("the use of a file begins the function's own only while the runtime starts", () => {
    const finder = new PhaseFinder({ ...plan, ownCode: -1 });
    finder.start();
    expect(finder.named(7)).toBe(-1);
    finder.switched(7, 1);
    finder.switched(7, 2);
    expect(finder.named(8)).toBe(-1);
    expect(finder.named(9)).toBe(FunctionInit);
    expect(finder.named(9)).toBe(-1);
  });

  test("one that was missed is left out", () => {
    const finder = new PhaseFinder(plan);
    finder.switched(7, 1);
    finder.switched(7, 2);
    expect(finder.executed(LISTENS, 7)).toBe(Execution);
    expect(finder.executed(OWN, 7)).toBe(-1);
    expect(finder.found).toEqual([false, true, false, true]);
  });

  test("stand in all streams, before the block that begins one", () => {
    const NOP = "90";
    const { sink } = convert(
      (raw) => {
        const runtime = raw.block(0x40_1000, [NOP], 1);
        const own = raw.block(OWN, [NOP], 2);
        const listens = raw.block(LISTENS, [NOP], 3);
        raw.switch(1, 1, 7, 7).exec(1, runtime, 1).switch(1, 2, 7, 7);
        raw.exec(1, runtime, 1).exec(1, own, 1).exec(1, listens, 1).exec(0, runtime, 1);
      },
      { phases: new PhaseFinder(plan) },
    );
    const phases = (core: number) =>
      sink.lines[core].map((line) =>
        "event" in line ? (line.event === EventKind.Phase ? `phase ${line.a}` : "") : "block",
      );
    expect(phases(1).filter(Boolean)).toEqual([
      "block",
      "phase 1",
      "block",
      "phase 2",
      "block",
      "phase 3",
      "block",
    ]);
    expect(phases(0).filter(Boolean)).toEqual(["phase 1", "phase 2", "phase 3", "block"]);
  });
});

describe("a function's own files", () => {
  mkdirSync(join(root, "app"));
  writeFileSync(join(root, "app/server.js"), "x");
  writeFileSync(join(root, "app/run.sh"), "#!/bin/sh\n");
  writeFileSync(join(root, "node"), Buffer.from("7f454c46", "hex"));
  const file = (path: string) => {
    const host = join(root, path);
    return ["app/server.js", "app/run.sh", "node"].some((known) => host === join(root, known))
      ? host
      : undefined;
  };

  test.each([
    [["/node", "--flag", "/app/server.js", "/app/run.sh"], ["/app/server.js"]],
    [
      ["/node", "server.js"],
      ["server.js", "/app/server.js"],
    ],
    [["/app/run.sh"], ["/app/run.sh"]],
    [["/node"], []],
    [["/node", "-m", "absent"], []],
  ])("of %j", (args, expected) => {
    expect(ownFiles(args, "/app", file)).toEqual(expected);
  });
});

test("the kernel's code that reads names ends at the next symbol", () => {
  const symbol = (address: number, name: string) => ({ address, name, type: "T", module: "" });
  const symbols = [
    symbol(300, "next"),
    symbol(100, "before"),
    symbol(200, "strncpy_from_user"),
    symbol(400, "far"),
  ];
  expect(readsNames(symbols)).toEqual({ from: 200, to: 300 });
  expect(readsNames([symbol(1, "x")])).toBeUndefined();
});
