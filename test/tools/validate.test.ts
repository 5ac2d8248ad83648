import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openTrace } from "../../src/loader/index.js";
import { validateTrace } from "../../src/tools/validate.js";
import { muswarm } from "../cli/harness.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";

const FLOW = "each block follows from the one before";
const ACCESSES = "loads and stores are what the instruction can do";
const KERNEL = 2 ** 48 - 2 ** 31;

/** The checks that found something, with their examples. */
function wrong(t: TraceBuilder): Record<string, readonly string[]> {
  const trace = t.open();
  const report = validateTrace(trace);
  trace.close();
  const found = report.checks.filter((check) => check.wrong > 0);
  expect(report.ok).toBe(found.length === 0);
  return Object.fromEntries(found.map((check) => [check.name, check.examples]));
}

function transitions(t: TraceBuilder): Record<string, number> {
  const trace = t.open();
  const report = validateTrace(trace);
  trace.close();
  expect(report.checks.flatMap((check) => check.examples)).toEqual([]);
  return report.cores[0].transitions;
}

/** One block, executed with the addresses, in an invocation of its own. */
function single(
  bytes: string,
  slots: Parameters<TraceBuilder["block"]>[2],
  ...addresses: number[]
): TraceBuilder {
  const t = new TraceBuilder();
  const block = t.block(0x401000, [bytes], slots);
  return t
    .begin(0)
    .exec(0, block, ...addresses)
    .end(0);
}

describe("control flow", () => {
  test("falls through, and takes and does not take a conditional branch", () => {
    const t = new TraceBuilder();
    const first = t.block(0x401000, ["90"]);
    const loop = t.block(0x401001, ["48 ff c7", "75 fb"]);
    const after = t.block(0x401006, ["90"]);
    t.begin(0).exec(0, first).exec(0, loop).exec(0, loop).exec(0, after).end(0);
    expect(transitions(t)).toEqual({
      "fall through": 1,
      "conditional branch, taken": 1,
      "conditional branch, not taken": 1,
    });
  });

  test("goes anywhere after indirect branches and returns, but not across privilege", () => {
    const t = new TraceBuilder();
    const jump = t.block(0x401000, ["ff e0"]);
    const call = t.block(0x402000, ["ff d0"], [[0, "store", 8]]);
    const ret = t.block(0x403000, ["c3"], [[0, "load", 8]]);
    t.begin(0).exec(0, jump).exec(0, call, 0x7000).exec(0, ret, 0x7000).exec(0, jump).end(0);
    expect(transitions(t)).toEqual({ "indirect jump": 1, "indirect call": 1, return: 1 });

    const wild = new TraceBuilder();
    const from = wild.block(KERNEL, ["ff e0"]);
    const to = wild.block(0x401000, ["90"]);
    wild.begin(0).exec(0, from).exec(0, to).end(0);
    expect(wrong(wild)[FLOW]).toEqual([
      "core 0, position 1: after ffffffff80000000 jmp rax comes 401000 nop",
    ]);
  });

  test("follows direct jumps and calls to their targets only", () => {
    const t = new TraceBuilder();
    const call = t.block(0x401000, ["e8 fb 0f 00 00"], [[0, "store", 8]]);
    const jump = t.block(0x402000, ["e9 fb ef ff ff"]);
    t.begin(0).exec(0, call, 0x7000).exec(0, jump).exec(0, call, 0x7000).end(0);
    expect(transitions(t)).toEqual({ "direct call": 1, "direct jump": 1 });

    const wild = new TraceBuilder();
    const a = wild.block(0x401000, ["eb 10"]);
    const b = wild.block(0x401013, ["90"]);
    wild.begin(0).exec(0, a).exec(0, b).end(0);
    expect(wrong(wild)[FLOW]).toEqual([
      "core 0, position 1: after 401000 jmp short 0x401012 comes 401013 nop",
    ]);
  });

  test("enters the kernel by system calls at one address, and comes back", () => {
    const t = new TraceBuilder();
    const user = t.block(0x401000, ["0f 05"]);
    const entry = t.block(KERNEL, ["48 0f 07"]);
    const other = t.block(
      KERNEL + 64,
      ["48 cf"],
      [
        [0, "load", 8],
        [0, "load", 8],
        [0, "load", 8],
        [0, "load", 8],
        [0, "load", 8],
      ],
    );
    t.begin(0).exec(0, user).exec(0, entry).exec(0, user).exec(0, entry).end(0);
    expect(transitions(t)).toEqual({ "system call": 2, "system call return": 1 });
    t.exec(0, user)
      .exec(0, other, ...Array(5).fill(KERNEL + 0x2000))
      .exec(0, user);
    expect(wrong(t)).toEqual({
      [FLOW]: ["core 0, position 5: after 401000 syscall comes ffffffff80000040 iretq"],
    });
  });

  test("comes back from a system call at once where there is no kernel, and there only", () => {
    const make = (kernel: boolean) => {
      const t = new TraceBuilder();
      const call = t.block(0x401000, ["0f 05"]);
      const behind = t.block(0x401002, ["eb fc"]);
      const elsewhere = t.block(0x401010, ["90"]);
      if (kernel) t.block(KERNEL, ["48 0f 07"]);
      return { t, call, behind, elsewhere };
    };
    const alone = make(false);
    alone.t.exec(0, alone.call).exec(0, alone.behind).exec(0, alone.call).exec(0, alone.behind);
    expect(transitions(alone.t)).toEqual({ "system call": 2, "direct jump": 1 });

    const astray = make(false);
    astray.t.exec(0, astray.call).exec(0, astray.elsewhere);
    expect(Object.keys(wrong(astray.t))).toEqual([FLOW]);

    const guest = make(true);
    guest.t.exec(0, guest.call).exec(0, guest.behind);
    expect(wrong(guest.t)).toEqual({
      [FLOW]: ["core 0, position 1: after 401000 syscall comes 401002 jmp short 0x401000"],
    });
  });

  test("an Interrupt event explains the kernel, not user code", () => {
    const t = new TraceBuilder();
    const user = t.block(0x401000, ["90"]);
    const elsewhere = t.block(0x405000, ["90"]);
    const handler = t.block(
      KERNEL,
      ["48 cf"],
      [
        [0, "load", 8],
        [0, "load", 8],
        [0, "load", 8],
        [0, "load", 8],
        [0, "load", 8],
      ],
    );
    const stack = Array(5).fill(KERNEL + 0x2000);
    t.begin(0)
      .exec(0, user)
      .event(0, "Interrupt", 0xec)
      .exec(0, handler, ...stack)
      .exec(0, elsewhere)
      .end(0);
    expect(transitions(t)).toEqual({ interrupt: 1, "interrupt return": 1 });
    t.event(0, "Interrupt", 0xec).exec(0, user);
    expect(Object.keys(wrong(t))).toEqual([FLOW]);
  });

  test("an exception enters the kernel where its symbols say that one may", () => {
    const build = (name: string) => {
      const t = new TraceBuilder();
      const user = t.block(0x401000, ["90"]);
      const entry = t.block(KERNEL, ["0f 01 ca"]);
      t.symbols([{ path: "kernel", buildId: "" }], [{ asid: 0, address: KERNEL, size: 48, name, object: 0 }]);
      return t.begin(0).exec(0, user).exec(0, entry).end(0);
    };
    expect(transitions(build("asm_exc_page_fault"))).toEqual({ exception: 1 });
    expect(wrong(build("schedule"))[FLOW]).toHaveLength(1);
  });

  test("an interrupted string instruction goes on", () => {
    const t = new TraceBuilder();
    const block = t.block(0x401000, ["f3 48 ab"], [[0, "repStore", 8]]);
    t.begin(0)
      .exec(0, block, [[2, 0x7000]])
      .exec(0, block, [[1, 0x7010]])
      .end(0);
    expect(transitions(t)).toEqual({ "string instruction goes on": 1 });
  });

  test("a task switch stands for what nothing else explains, idle time for what follows a halt", () => {
    const t = new TraceBuilder();
    const a = t.block(KERNEL, ["f4"]);
    const b = t.block(KERNEL + 1, ["90"]);
    const c = t.block(KERNEL + 64, ["90"]);
    t.begin(0).exec(0, a).event(0, "IdleBegin").event(0, "IdleEnd", -1, 0, 100).exec(0, b);
    t.event(0, "Switch", 1, 0, 1).exec(0, c).end(0);
    expect(transitions(t)).toEqual({ "fall through": 1, "task switch": 1 });
  });
});

describe("accesses", () => {
  test.each([
    ["push rbx", "53", [[0, "store", 8]]],
    [
      "pop [rdi]",
      "8f 07",
      [
        [0, "load", 8],
        [0, "store", 8],
      ],
    ],
    [
      "call [rdi]",
      "ff 17",
      [
        [0, "load", 8],
        [0, "store", 8],
      ],
    ],
    [
      "add [rdi], rax",
      "48 01 07",
      [
        [0, "load", 8],
        [0, "store", 8],
      ],
    ],
    [
      "lock cmpxchg [rdi], ecx that stores",
      "f0 0f b1 0f",
      [
        [0, "load", 4, 2],
        [0, "store", 4, 2],
      ],
    ],
    ["lock cmpxchg [rdi], ecx that does not", "f0 0f b1 0f", [[0, "load", 4, 2]]],
    [
      "movups in halves",
      "0f 11 07",
      [
        [0, "store", 8],
        [0, "store", 8],
      ],
    ],
    ["vmovups in one", "c5 fc 11 07", [[0, "store", 32]]],
    [
      "fld tbyte",
      "db 2f",
      [
        [0, "load", 8],
        [0, "load", 2],
      ],
    ],
    [
      "fxsave",
      "0f ae 07",
      [
        [0, "store", 2],
        [0, "store", 2],
        [0, "store", 8],
      ],
    ],
    [
      "vpgatherdd with part of its mask",
      "c4 e2 69 90 0c 07",
      [
        [0, "load", 4],
        [0, "load", 4],
      ],
    ],
    [
      "movsq",
      "48 a5",
      [
        [0, "load", 8],
        [0, "store", 8],
      ],
    ],
    ["lea", "48 8d 07", []],
    ["prefetcht0", "0f 18 0f", []],
    ["nop [rax]", "0f 1f 00", []],
    [
      "mov fs, eax",
      "8e e0",
      [
        [0, "load", 4],
        [0, "load", 4],
      ],
    ],
  ] as const)("%s", (_, bytes, slots) => {
    const t = single(bytes, slots as never, ...slots.map(() => 0x7000));
    expect(wrong(t)).toEqual({});
  });

  test.each([
    ["48 8b 07", [[0, "load", 4]], "mov rax, [rdi]: can do load 8, has load 4"],
    ["48 8b 07", [], "mov rax, [rdi]: can do load 8, has no access"],
    ["48 8b 07", [[0, "store", 8]], "mov rax, [rdi]: can do load 8, has store 8"],
    ["48 89 c7", [[0, "load", 8]], "mov rdi, rax: can do no access, has load 8"],
    ["0f 11 07", [[0, "store", 8]], "movups [rdi], xmm0: can do store 16, has store 8"],
    [
      "f3 ab",
      [[0, "store", 4]],
      "rep stosd [rdi]: a repeated string instruction of 4-byte elements has store 4",
    ],
  ] as const)("%s with %j is wrong", (bytes, slots, problem) => {
    const t = single(bytes, slots as never, ...slots.map(() => 0x7000));
    expect(wrong(t)[ACCESSES]).toEqual([`block 0, 401000: ${bytes} ${problem}`]);
  });

  test("those of an interrupt's delivery may stand at a block's end when one follows", () => {
    const build = (interrupt: boolean) => {
      const t = new TraceBuilder();
      const loads = Array(5).fill([0, "load", 4]);
      const stores = Array(5).fill([0, "store", 8]);
      const user = t.block(0x401000, ["90"], [...loads, [0, "load", 8], ...stores] as never);
      const next = t.block(interrupt ? KERNEL : 0x401001, ["90"]);
      t.begin(0).exec(0, user, ...Array(11).fill(KERNEL + 0x2000));
      if (interrupt) t.event(0, "Interrupt", 0xec);
      return t.exec(0, next).end(0);
    };
    expect(wrong(build(true))).toEqual({});
    expect(wrong(build(false))[ACCESSES]).toEqual([
      "core 0, position 1: block 0 has the accesses of an interrupt's delivery, but none follows",
    ]);
  });
});

describe("the rest", () => {
  test("bytes must be instructions of the lengths given, and branches stand last", () => {
    expect(Object.keys(wrong(single("06", [])))).toEqual([
      "instruction bytes decode, with the lengths that the trace says",
    ]);
    expect(Object.keys(wrong(single("90 90", [])))).toEqual([
      "instruction bytes decode, with the lengths that the trace says",
    ]);
    const t = new TraceBuilder();
    const block = t.block(0x401000, ["eb 00", "90"]);
    t.begin(0).exec(0, block).end(0);
    expect(wrong(t)).toEqual({ "branches end their blocks": ["block 0, 401000: eb 00 jmp short 0x401002"] });
  });

  test("code that runs on must stay on its physical page", () => {
    const t = new TraceBuilder();
    t.map(0x401000, 0x100);
    const a = t.block(0x401000, ["90"]);
    t.map(0x401000, 0x200);
    const b = t.block(0x401001, ["90"]);
    t.begin(0).exec(0, a).exec(0, b).end(0);
    expect(wrong(t)).toEqual({
      "code that runs on stays on its physical page": [
        "core 0, position 1: code goes on at 401001, from physical page 100 to 200",
      ],
    });
  });

  test("user code stays in the address space of the last switch and off the kernel's pages", () => {
    const t = new TraceBuilder();
    const a = t.block(0x401000, ["48 8b 07"], [[0, "load", 8]]);
    t.begin(0).event(0, "Switch", 7, 1, 2).exec(0, a, KERNEL).end(0);
    expect(wrong(t)).toEqual({
      "user code and data are of the address space that the last switch named": [
        "core 0, position 0: code at 401000 is of address space 1, the core is in 2",
      ],
      "user code does not access the kernel's pages": [
        "core 0, position 0: user code, 401000 mov rax, [rdi], accesses a page of the kernel",
      ],
    });
  });

  test("wake-ups that wait for each other cannot have happened", () => {
    const t = new TraceBuilder({ cores: 2 });
    const a = t.block(KERNEL, ["90"]);
    t.begin(0);
    for (const core of [0, 1]) {
      t.event(core, "IdleBegin")
        .event(core, "IdleEnd", 1 - core, 1, 10)
        .exec(core, a);
    }
    t.end(0);
    expect(wrong(t)["wake-ups come in an order that can have happened"]).toHaveLength(2);
  });

  test("made-up instruction bytes are not asked for their accesses", () => {
    const t = single("90", [[0, "load", 8]], 0x7000);
    t.header.provenance.notes = ["instruction bytes are synthesised"];
    expect(wrong(t)).toEqual({});
  });
});

describe("muswarm trace validate", () => {
  test("ends with 0 for a sound trace and with 1 for one that is not", async () => {
    const good = single("90", []).write(temporaryPath("good.trace"));
    expect(await muswarm(["trace", "validate", good])).toMatchObject({ code: 0, stderr: "" });
    const bad = single("06", []).write(temporaryPath("bad.trace"));
    const { code, stdout } = await muswarm(["trace", "validate", bad]);
    expect(code).toBe(1);
    expect(stdout).toContain("WRONG  instruction bytes decode");
    expect(stdout).toContain("The trace is NOT sound.");
    const json = await muswarm(["trace", "validate", bad, "--json"]);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout).ok).toBe(false);
  });

  test("reports damage with its place", async () => {
    const path = single("90", []).write(temporaryPath("damaged.trace"));
    const bytes = readFileSync(path);
    bytes[bytes.length - 10] ^= 1;
    writeFileSync(path, bytes);
    const { code, stdout } = await muswarm(["trace", "validate", path]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/WRONG {2}the file is whole.*\n.*at byte \d+/);
  });

  test("what is no trace at all is wrong input", async () => {
    const path = temporaryPath("foreign.trace");
    writeFileSync(path, "hello");
    expect((await muswarm(["trace", "validate", path])).code).toBe(2);
  });
});

describe("the traces that come with muswarm", () => {
  const folder = new URL("../../traces/", import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith(".trace"));

  test.each(names)("%s: no transition is unexplained, no other check fails", (name) => {
    const trace = openTrace(fileURLToPath(new URL(name, folder)));
    const report = validateTrace(trace);
    trace.close();
    for (const core of report.cores) expect(core.unexplained).toBe(0);
    for (const core of report.cores) expect(core.deliveries).toBe(0);
    expect(report.checks.filter((check) => check.wrong > 0)).toEqual([]);
  });
});
