import { expect, test } from "vitest";
import { hotFunctions } from "../../src/tools/hot.js";
import { streamRange } from "../../src/tools/range.js";
import { muswarm } from "../cli/harness.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";

const KERNEL = 2 ** 48 - 2 ** 31;

/** f: 30 instructions in one line; g: 4 in three lines, one of them without a new fetch; one without a name; the kernel's h. */
function builder(): TraceBuilder {
  const t = new TraceBuilder();
  const f = t.block(0x401000, ["90", "90", "90"]);
  const g = t.block(0x40203e, ["90", "0f 1f 80 00 00 00 00", "90", "90"]);
  const wide = t.block(0x40207e, ["66 90", "90"]);
  const unnamed = t.block(0x900000, ["90"]);
  const h = t.block(KERNEL, ["90"]);
  t.symbols(
    [
      { path: "kernel", buildId: "" },
      { path: "/app", buildId: "" },
    ],
    [
      { asid: 1, address: 0x401000, size: 16, name: "f", object: 1 },
      { asid: 1, address: 0x402000, size: 4096, name: "g", object: 1 },
      { asid: 0, address: KERNEL, size: 16, name: "h", object: 0 },
    ],
  );
  t.begin(0).execs(0, f, 10).exec(0, g).exec(0, wide).end(0);
  return t.begin(1).exec(0, unnamed).execs(0, h, 2).end(1);
}

function names(by: "instructions" | "footprint" | "l1i-lines") {
  const trace = builder().open();
  const report = hotFunctions(trace, streamRange(trace, {}), by, 10);
  trace.close();
  return report.functions.map((x) => [x.name, x.object, x.instructions, x.lines, x.lineFetches]);
}

test("ranks by instructions, by distinct lines and by lines fetched", () => {
  const f = ["f", "/app", 30, 1, 1];
  const g = ["g", "/app", 6, 3, 3];
  const h = ["h", "kernel", 2, 1, 1];
  const unnamed = ["[900000..a00000)", "", 1, 1, 1];
  expect(names("instructions")).toEqual([f, g, h, unnamed]);
  expect(names("footprint")).toEqual([g, f, h, unnamed]);
  expect(names("l1i-lines")).toEqual([g, f, h, unnamed]);
});

test("counts an invocation by itself", () => {
  const trace = builder().open();
  const report = hotFunctions(trace, streamRange(trace, { invocations: "1" }), "instructions", 1);
  trace.close();
  expect(report).toMatchObject({ instructions: 3, functionCount: 2, footprintKB: 0.125, from: 12, to: 15 });
  expect(report.named).toBeCloseTo(2 / 3);
  expect(report.functions).toHaveLength(1);
});

test("code between two symbols of an object is that object's", () => {
  const t = new TraceBuilder();
  const middle = t.block(0x401800, ["90"]);
  t.symbols(
    [{ path: "/lib", buildId: "" }],
    [0x401000, 0x402000].map((address, i) => ({ asid: 1, address, size: 16, name: `s${i}`, object: 0 })),
  );
  const trace = t.begin(0).exec(0, middle).end(0).open();
  const report = hotFunctions(trace, streamRange(trace, {}), "instructions", 5);
  trace.close();
  expect(report.functions).toMatchObject([{ name: "[no symbol]", object: "/lib", instructions: 1 }]);
});

test("muswarm trace hot prints a table, and JSON", async () => {
  const path = builder().write(temporaryPath("hot.trace"));
  const { code, stdout } = await muswarm(["trace", "hot", path, "--by", "footprint", "--top", "2"]);
  expect(code).toBe(0);
  expect(stdout).toContain("39 instructions in 4 functions, 0.4 kB of code, 6 line fetches, 97.4 % of the");
  expect(stdout).toMatch(/15\.4 % +6 +0\.19 +50\.0 % {2}g +\/app\n76\.9 %/);
  const json = await muswarm(["trace", "hot", path, "--json"]);
  expect(JSON.parse(json.stdout).functions).toHaveLength(4);
});
