import { expect, test } from "vitest";
import { formatReport } from "../../src/stats/report.js";
import { decimals, percent, signedPercent, whole } from "../../src/stats/table.js";
import { sampleRuns } from "./sample.js";

test("one screen compares the protocols", () => {
  expect(formatReport(sampleRuns(), { perInvocation: true, codeKB: 312.4 })).toBe(
    `fibonacci-go (go), fib.trace, on simple: 2 cores (pipeline) at 2.5 GHz
L1I 16 kB 8-way, L1D 16 kB 8-way, LLC 128 kB 8-way shared, memory 30 ns 12.8 GiB/s
3 invocations measured after 2 to warm up: 1,000,000 instructions an invocation, 60.0 % kernel

                                        reference   lukewarm    Jukebox  Jukebox paced  perfect I$
Active cycles an invocation             2,000,000  3,000,000  2,900,000      2,500,000   1,800,000
  median                                2,000,000  3,000,000  2,900,000      2,500,000   1,800,000
  smallest                              1,900,000  3,000,000  2,800,000      2,500,000   1,800,000
  largest                               2,100,000  3,000,000  3,000,000      2,500,000   1,800,000
Latency seen by the client, µs                4.0        4.0        4.0            4.0         4.0
Instructions per cycle                      0.500      0.333      0.345          0.400       0.556
Speedup over lukewarm, %                    +50.0        0.0       +3.4          +20.0       +66.7
Misses per 1000 instructions
  L1I                                       30.00      30.00      30.00          30.00       30.00
  L1D                                       15.00      15.00      15.00          15.00       15.00
  LLC instructions                           8.00      20.00      15.00           8.00        0.30
  LLC data                                   2.50       2.50       2.50           2.50        2.50
Jukebox, at the LLC
  coverage, %                                   -          -       25.0           60.0           -
  accuracy, %                                   -          -       55.6           92.3           -
  overprediction, % of lukewarm misses          -          -       20.0            5.0           -
  metadata read, kB an invocation               -          -       10.0           10.0           -
  metadata written, kB an invocation            -          -       11.0           11.0           -
Memory traffic, kB an invocation              656      1,406      1,677          1,490         175
  change over lukewarm, %                   -53.3        0.0      +19.3           +5.9       -87.6
Cycles per instruction, by cause
  committing                                0.500      0.500      0.500          0.500       0.500
  instruction misses                        0.800      1.800      1.700          1.300       0.600
  data misses and stores                    0.300      0.300      0.300          0.300       0.300
  branches and interrupts                   0.150      0.150      0.150          0.150       0.150
  execution                                 0.250      0.250      0.250          0.250       0.250

An invocation touches 312 kB of code; the LLC, which Jukebox fills, holds 128 kB.
Jukebox: 5.0 % of the recorded lines did not fit into 16 kB of metadata.
Jukebox paced: the replay waits while 128 prefetched lines are unused.
Jukebox paced: 5.0 % of the recorded lines did not fit into 16 kB of metadata.

Active cycles of each invocation
Invocation  reference   lukewarm    Jukebox  Jukebox paced  perfect I$
2           1,900,000  3,000,000  2,800,000      2,500,000   1,800,000
3           2,000,000  3,000,000  2,900,000      2,500,000   1,800,000
4           2,100,000  3,000,000  3,000,000      2,500,000   1,800,000
`,
  );
});

test.each(["simple", "skylake-like"])(
  "the screen for %s has at most 45 lines of 110 characters",
  (machine) => {
    const lines = formatReport(sampleRuns(machine), { perInvocation: false }).split("\n");
    expect(lines.length).toBeLessThanOrEqual(45);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(110);
  },
);

test("host speed leaves no trace in a report", () => {
  const once = sampleRuns();
  const again = sampleRuns().map((run) => ({ ...run, hostSeconds: run.hostSeconds + 100 }));
  const options = { perInvocation: true };
  expect(formatReport(again, options)).toBe(formatReport(once, options));
});

test("a report of one protocol has no columns to compare with", () => {
  const text = formatReport([sampleRuns()[0]], { perInvocation: false });
  expect(text).not.toMatch(/lukewarm|Jukebox|overprediction/);
});

test("numbers are grouped and rounded, and what has no value is a dash", () => {
  expect([whole(1234567.5), whole(999), whole(-0.2)]).toEqual(["1,234,568", "999", "0"]);
  expect([decimals(-1234.567, 2), decimals(undefined, 1), decimals(Number.NaN, 1)]).toEqual([
    "-1,234.57",
    "-",
    "-",
  ]);
  expect([percent(0.12345), signedPercent(0.0004), signedPercent(0.05), signedPercent(-0.05)]).toEqual([
    "12.3",
    "0.0",
    "+5.0",
    "-5.0",
  ]);
});
