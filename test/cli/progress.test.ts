import { expect, test } from "vitest";
import { Progress, progressText } from "../../src/cli/progress.js";

/** Progress with a clock that is set by hand. */
function progressOn(isTTY: boolean, columns = 80) {
  let written = "";
  let now = 0;
  const stderr = {
    write: (text: string) => {
      written += text;
    },
    isTTY,
    columns,
  };
  const io = { stdout: stderr, stderr, env: {}, signal: new AbortController().signal };
  const progress = new Progress(io, () => now);
  return {
    progress,
    at: (ms: number, done: number) => {
      now = ms;
      progress.update({ done, total: 100e6, finishedRuns: 1, runs: 5 });
    },
    text: () => written,
  };
}

test("percent, speed, time left and runs", () => {
  const text = progressText({ done: 25e6, total: 100e6, finishedRuns: 1, runs: 5 }, 10);
  expect(text).toBe("25 %, 2.50 MIPS, 0:30 left, 1 of 5 runs done");
});

test("nothing is promised before anything is done", () => {
  expect(progressText({ done: 0, total: 100e6, finishedRuns: 0, runs: 5 }, 0)).toBe("0 %, 0 of 5 runs done");
});

test("without a terminal there is a plain line every ten seconds", () => {
  const { at, text } = progressOn(false);
  for (let ms = 0; ms <= 25_000; ms += 100) at(ms, ms * 1000);
  expect(text().split("\n")).toEqual([
    "muswarm: 10 %, 1.00 MIPS, 1:30 left, 1 of 5 runs done",
    "muswarm: 20 %, 1.00 MIPS, 1:20 left, 1 of 5 runs done",
    "",
  ]);
});

test("on a terminal one line is overwritten, cut to its width, and taken away at the end", () => {
  const { at, text, progress } = progressOn(true, 20);
  at(50, 1e6);
  at(150, 2e6);
  at(160, 2e6);
  progress.clear();
  const clear = "\r\x1b[K";
  expect(text()).toBe(`${clear}${"2 %, 13.33 MIPS, 0:08 left, 1 of 5 runs done".slice(0, 19)}${clear}`);
});
