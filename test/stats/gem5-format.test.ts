import { expect, test } from "vitest";
import { formatGem5Block, parseGem5Stats } from "../../src/stats/gem5-format.js";

const row = (name: string, value: number, unit = "Count") => ({
  name,
  value,
  description: "what it is",
  unit,
});

test("a block has gem5's lines and columns to the blank", () => {
  const text = formatGem5Block([
    row("simInsts", 27972868),
    row("system.cpu0.ipc", 0.3857229),
    row("system.cpu0.dcache.demandMissLatency::cpu0.data", 2709729200, "Tick"),
    { ...row("simSeconds", 1, "Second"), sixDecimals: true },
    row("system.llc.demandMissRate::total", Number.NaN, "Ratio"),
  ]);
  // Columns as in a file of gem5 v24: name to 40, value right in 12, two empty columns of 10, comment.
  expect(text).toBe(
    [
      "",
      "---------- Begin Simulation Statistics ----------",
      "simInsts                                     27972868                       # what it is (Count)",
      "system.cpu0.ipc                              0.385723                       # what it is (Count)",
      "system.cpu0.dcache.demandMissLatency::cpu0.data   2709729200                       # what it is (Tick)",
      "simSeconds                                   1.000000                       # what it is (Second)",
      "system.llc.demandMissRate::total                  nan                       # what it is (Ratio)",
      "",
      "---------- End Simulation Statistics   ----------",
      "",
    ].join("\n"),
  );
});

test("what was written is read back, block by block", () => {
  const blocks = [
    [row("a", 2 ** 52 + 1), row("b::total", 0.25)],
    [row("a", -3), row("c", Number.NaN), row("d", Number.POSITIVE_INFINITY)],
  ];
  const dumps = parseGem5Stats(blocks.map(formatGem5Block).join(""));
  expect(dumps.map((d) => [...d.values])).toEqual(blocks.map((rows) => rows.map((r) => [r.name, r.value])));
});

test("a distribution's percentages are passed over, and its value is read", () => {
  const text = [
    "---------- Begin Simulation Statistics ----------",
    "system.membus.snoopFanout::0                    46479    100.00%    100.00% # fanout (Count)",
    "---------- End Simulation Statistics   ----------",
  ].join("\n");
  expect(parseGem5Stats(text)[0].values.get("system.membus.snoopFanout::0")).toBe(46479);
});

test.each([
  [
    "a row that is none",
    "---------- Begin X\nsimInsts   many # no\n",
    /f\.txt: line 2: expected a name and a number/,
  ],
  ["a name that stands twice", "---------- Begin X\na 1\na 2\n", /f\.txt: line 3: a stands twice/],
  ["a block without an end", "\n---------- Begin X\na 1\n", /f\.txt: the block of line 2 has no end/],
  [
    "a block inside a block",
    "---------- Begin X\n---------- Begin X\n",
    /line 2: a block begins inside the one of line 1/,
  ],
  ["an end without a begin", "---------- End X\n", /line 1: a block ends that has not begun/],
])("%s is an error with its line", (_, text, message) => {
  expect(() => parseGem5Stats(text, "f.txt")).toThrow(message);
});
