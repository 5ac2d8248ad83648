import { expect, test } from "vitest";
import { muswarm } from "../cli/harness.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";

function example(): string {
  const t = new TraceBuilder();
  t.map(0x401000, 0x100);
  t.map(0x7000, 0x300);
  t.map(0x8000, 0x400);
  const load = t.block(0x401000, ["48 8b 07", "75 fb"], [[0, "load", 8]]);
  const copy = t.block(0x401005, ["f3 48 a5"], [[0, "repMove", 8]]);
  t.symbols([{ path: "/app", buildId: "" }], [{ asid: 1, address: 0x401000, size: 5, name: "f", object: 0 }]);
  t.event(0, "Switch", 7, 1, 1);
  for (const invocation of [0, 1]) {
    t.begin(invocation).exec(0, load, 0x7010 + invocation);
    t.exec(0, copy, [
      [2, 0x7ff0, 0x8000],
      [-1, 0x7018, 0x8010],
    ]);
    t.end(invocation);
  }
  return t.write(temporaryPath("dump.trace"));
}

test("shows disassembly, names, accesses and events", async () => {
  const { code, stdout, stderr } = await muswarm(["trace", "dump", example(), "--count", "2"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toBe(`@0 Switch task 7, container 1, address space 1
@0 WorkBegin invocation 0
@0 user 1, block 0, physical 100000 <f>
            401000  48 8b 07                 mov rax, [rdi]                       ; load 8 at 7010 (300010)
            401003  75 fb                    jne short 0x401000
@1 user 1, block 1, physical 100005
            401005  f3 48 a5                 rep movsq [rdi], [rsi]               ; 2 x load 8 at 7ff0 (300ff0), 2 x store 8 at 8000 (400000), -1 x load 8 at 7018 (300018), -1 x store 8 at 8010 (400010)
`);
});

test("an invocation is shown from its begin to its end, whatever stands at the same positions", async () => {
  const path = example();
  const { stdout } = await muswarm(["trace", "dump", path, "--invocation", "1"]);
  const heads = stdout.split("\n").filter((line) => line.startsWith("@"));
  expect(heads.map((line) => line.split(",")[0])).toEqual([
    "@2 WorkBegin invocation 1",
    "@2 user 1",
    "@3 user 1",
    "@4 WorkEnd invocation 1",
  ]);
  const first = await muswarm(["trace", "dump", path, "--invocation", "0"]);
  expect(first.stdout).toContain("@2 WorkEnd invocation 0\n");
  expect(first.stdout).not.toContain("invocation 1");
});

test("--json is one document with the same content", async () => {
  const { stdout } = await muswarm(["trace", "dump", example(), "--from", "2", "--count", "1", "--json"]);
  const { core, from, to, entries } = JSON.parse(stdout);
  expect([core, from, to]).toEqual([0, 2, 3]);
  expect(entries).toHaveLength(3);
  expect(entries[2]).toEqual({
    position: 2,
    block: 0,
    privilege: "user",
    addressSpace: 1,
    physical: "100000",
    symbol: "f",
    instructions: [
      {
        address: "401000",
        bytes: "488b07",
        text: "mov rax, [rdi]",
        accesses: [{ kind: "load", size: 8, virtual: "7011", physical: "300011" }],
      },
      { address: "401003", bytes: "75fb", text: "jne short 0x401000", accesses: [] },
    ],
  });
});

test.each([
  [["--core", "3"], "no core 3, the trace has core 0 only"],
  [["--from", "99"], "core 0 has no position 99, its last is 4"],
  [["--invocation", "2"], "no invocation 2, the last is 1"],
  [["--invocation", "1..0"], "invocations 1..0: the first comes after the last"],
  [["--invocation", "x"], '"x" is no range of invocations: say 3, or 3..7 for 3 to 7'],
  [["--invocation", "1", "--from", "1"], "--from and an invocation exclude each other"],
])("%j is refused in one line", async (options, message) => {
  const { code, stdout, stderr } = await muswarm(["trace", "dump", example(), ...options]);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stderr).toContain(message);
});
