import { describe, expect, test } from "vitest";
import { openTrace, type Trace } from "../../src/loader/index.js";
import { type DumpEntry, dumpTrace } from "../../src/tools/dump.js";
import { mergeTraces } from "../../src/tools/merge.js";
import { streamRange } from "../../src/tools/range.js";
import { sliceInvocations, slicePositions } from "../../src/tools/slice.js";
import { validateTrace } from "../../src/tools/validate.js";
import { muswarm } from "../cli/harness.js";
import { writeRandomTrace } from "../loader/random-trace.js";
import { Random } from "../support/random.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";

/** What an invocation does on a core, without the numbers that a slice changes. */
function meaning(trace: Trace, core: number, invocation: number): unknown[] {
  const entries = [...dumpTrace(trace, streamRange(trace, { core, invocations: String(invocation) }))];
  return entries.map(({ position: _, ...entry }) => {
    if ("event" in entry)
      return entry.event === "IdleEnd"
        ? { ...entry, a: 0, b: 0 }
        : { ...entry, a: /^Work/.test(entry.event) ? 0 : entry.a };
    const { block: _b, symbol: _s, ...rest } = entry;
    return rest;
  });
}

const events = (trace: Trace, core: number): string[] =>
  [...dumpTrace(trace, streamRange(trace, { core }))]
    .filter((entry: DumpEntry) => "event" in entry)
    .map((entry) =>
      "event" in entry ? `${entry.position} ${entry.event} ${entry.a} ${entry.b} ${entry.c}` : "",
    );

/** Two cores that wake each other, three invocations. */
function example(): Trace {
  const t = new TraceBuilder({ cores: 2, warmInvocations: 1 });
  const a = t.block(0x401000, ["48 8b 07"], [[0, "load", 8]]);
  const b = t.block(0x401003, ["f3 48 ab"], [[0, "repStore", 8]]);
  const other = t.block(0x409000, ["90"]);
  t.symbols(
    [{ path: "/app", buildId: "" }],
    [
      { asid: 1, address: 0x401000, size: 6, name: "f", object: 0 },
      { asid: 9, address: 0x401000, size: 6, name: "gone", object: 0 },
    ],
  );
  t.event(0, "Switch", 5, 2, 1).event(1, "Switch", 7, 1, 1).event(1, "Phase", 2);
  for (let i = 0; i < 3; i++) {
    t.event(1, "IdleBegin");
    t.begin(i).exec(0, other).exec(0, other);
    t.event(1, "IdleEnd", 0, 2 * i + (i === 2 ? 0 : 1), 100 + i);
    t.exec(1, a, 0x7000 + i)
      .exec(1, b, [[3, 0x8000]])
      .end(i);
  }
  return t.open();
}

describe("slice", () => {
  test("says at its start what each core was doing, and keeps wake-ups from inside", () => {
    const trace = example();
    const path = temporaryPath("slice.trace");
    const report = sliceInvocations(trace, path, [1, 2], undefined);
    expect(report).toEqual({
      path,
      warmInvocations: 0,
      measuredInvocations: 2,
      cores: [
        { core: 0, blockExecutions: 4, from: 2, to: 6 },
        { core: 1, blockExecutions: 4, from: 2, to: 6 },
      ],
      wakesCut: 0,
    });
    const cut = openTrace(path);
    expect(events(cut, 0)).toEqual([
      "0 Switch 5 2 1",
      "0 WorkBegin 0 0 0",
      "2 WorkEnd 0 0 0",
      "2 WorkBegin 1 0 0",
      "4 WorkEnd 1 0 0",
    ]);
    expect(events(cut, 1)).toEqual([
      "0 Switch 7 1 1",
      "0 Phase 2 0 0",
      "0 IdleBegin 0 0 0",
      "0 WorkBegin 0 0 0",
      "0 IdleEnd 0 1 101",
      "2 WorkEnd 0 0 0",
      "2 IdleBegin 0 0 0",
      "2 WorkBegin 1 0 0",
      "2 IdleEnd 0 2 102",
      "4 WorkEnd 1 0 0",
    ]);
    expect(cut.cores[0].wakePositions).toEqual([1, 2]);
    expect(cut.symbols().symbols.map((symbol) => symbol.name)).toEqual(["f"]);
    expect(cut.header.provenance.notes).toEqual([
      `slice: invocations 1 to 2, of ${trace.path.split("/").at(-1)} (SHA-256 ${trace.sha256})`,
    ]);
    expect(
      validateTrace(cut as never)
        .checks.filter((check) => check.wrong > 0)
        .map((check) => check.name),
    ).toEqual(["each block follows from the one before"]);
  });

  test("a wake-up that was sent before its begin becomes one from outside", () => {
    const trace = example();
    const path = temporaryPath("slice.trace");
    expect(sliceInvocations(trace, path, [2, 2], undefined).wakesCut).toBe(1);
    const cut = openTrace(path);
    expect(events(cut, 1)).toContain("0 IdleEnd -1 0 102");
    expect(cut.cores[0].wakePositions).toEqual([]);
  });

  test("warm-up invocations stay warm-up unless nothing else is left, or as asked", () => {
    const trace = example();
    const warm = (first: number, last: number, asked?: number) => {
      const report = sliceInvocations(trace, temporaryPath("slice.trace"), [first, last], asked);
      return [report.warmInvocations, report.measuredInvocations];
    };
    expect(warm(0, 2)).toEqual([1, 2]);
    expect(warm(0, 0)).toEqual([0, 1]);
    expect(warm(1, 2, 1)).toEqual([1, 1]);
    expect(() => warm(1, 2, 3)).toThrow("3 of 2 invocations cannot be warm-up");
  });

  test("positions of one core become one invocation, with the other cores empty", () => {
    const trace = example();
    const path = temporaryPath("slice.trace");
    slicePositions(trace, path, { core: 1, from: 1, to: 4 });
    const cut = openTrace(path);
    expect(cut.cores.map((core) => core.blockExecutions)).toEqual([0, 3]);
    expect(events(cut, 1)).toEqual([
      "0 Switch 7 1 1",
      "0 Phase 2 0 0",
      "0 WorkBegin 0 0 0",
      "1 IdleBegin 0 0 0",
      "1 IdleEnd -1 0 101",
      "3 WorkEnd 0 0 0",
    ]);
  });

  test("of a random trace does what the original does; slices put together again do, too", () => {
    let compared = 0;
    for (let seed = 0; seed < 60; seed++) {
      const path = temporaryPath("random.trace");
      writeRandomTrace(path, seed, 40);
      const trace = openTrace(path);
      const count = trace.cores[0].invocations.length;
      if (count === 0) continue;
      const random = new Random(seed);
      const first = random.int(count);
      const last = first + random.int(count - first);
      const sliced = temporaryPath("slice.trace");
      sliceInvocations(trace, sliced, [first, last], undefined);
      const pieces = [sliced];
      if (last + 1 < count) {
        pieces.push(temporaryPath("slice.trace"));
        sliceInvocations(trace, pieces[1], [last + 1, count - 1], undefined);
      }
      const merged = temporaryPath("merged.trace");
      mergeTraces(
        pieces.map((piece) => openTrace(piece)),
        merged,
        undefined,
      );
      for (const made of [sliced, merged]) {
        const cut = openTrace(made);
        const invocations = cut.cores[0].invocations.length;
        expect(invocations).toBe((made === sliced ? last : Math.max(last, count - 1)) - first + 1);
        for (let core = 0; core < trace.cores.length; core++) {
          for (let i = 0; i < invocations; i++) {
            const found = meaning(cut, core, i);
            const original = meaning(trace, core, first + i);
            // Where pieces meet, the merge may have to say that a core stops or starts being idle.
            if (made === merged && first + i === last + 1)
              expect(found.slice(-original.length + 1)).toEqual(original.slice(1));
            else expect(found).toEqual(original);
            compared++;
          }
        }
        cut.close();
      }
      trace.close();
    }
    expect(compared).toBeGreaterThan(100);
  }, 60_000);
});

describe("merge", () => {
  test("numbers invocations and wake-ups on, and says what each core goes on with", () => {
    const trace = example();
    const paths = [temporaryPath("a.trace"), temporaryPath("b.trace")];
    sliceInvocations(trace, paths[0], [1, 1], undefined);
    sliceInvocations(trace, paths[1], [0, 0], undefined);
    const path = temporaryPath("merged.trace");
    const report = mergeTraces(
      paths.map((piece) => openTrace(piece)),
      path,
      1,
    );
    expect([report.warmInvocations, report.measuredInvocations]).toEqual([1, 1]);
    const merged = openTrace(path);
    expect(events(merged, 1).slice(6)).toEqual([
      "2 Switch 7 1 1",
      "2 Phase 2 0 0",
      "2 IdleBegin 0 0 0",
      "2 WorkBegin 1 0 0",
      "2 IdleEnd 0 3 100",
      "4 WorkEnd 1 0 0",
    ]);
    expect(merged.header.provenance.notes).toHaveLength(4);
  });

  test("of different captures is refused", () => {
    const traces = ["a", "b"].map((name) => new TraceBuilder({ function: name }).open());
    expect(() => mergeTraces(traces, temporaryPath("merged.trace"), undefined)).toThrow(
      "not of the same capture as",
    );
  });
});

describe("the commands", () => {
  test("write a file once, and say what they made", async () => {
    const source = example().path;
    const out = temporaryPath("out.trace");
    const first = await muswarm(["trace", "slice", source, "--invocation", "0..1", "-o", out]);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toBe(
      `${out}: 1 warm-up and 1 measured invocations; block executions: core 0 4, core 1 4\n`,
    );
    const again = await muswarm(["trace", "slice", source, "--invocation", "0", "-o", out]);
    expect(again).toMatchObject({
      code: 2,
      stderr: `muswarm: trace slice: ${out} exists; --force replaces it\n`,
    });
    const onto = await muswarm(["trace", "slice", out, "--invocation", "0", "-o", out, "--force"]);
    expect(onto).toMatchObject({
      code: 2,
      stderr: `muswarm: trace slice: ${out} is read as well; write to another file\n`,
    });
    const merged = await muswarm(["trace", "merge", out, out, "-o", temporaryPath("twice.trace"), "--json"]);
    expect(JSON.parse(merged.stdout)).toMatchObject({ warmInvocations: 1, measuredInvocations: 3 });
  });

  test.each([
    [["slice", "x.trace", "--invocation", "0"], "say where to write: -o FILE"],
    [["slice", "x.trace", "-o", "y"], "say --invocation A..B, or --from and --count"],
    [["slice", "x.trace", "-o", "y", "--invocation", "0", "--count", "3"], "say --invocation A..B, or"],
    [["merge", "x.trace", "-o", "y"], "needs two or more trace files"],
  ])("refuses %j", async (argv, message) => {
    const { code, stderr } = await muswarm(["trace", ...argv]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
