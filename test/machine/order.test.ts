import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { protocol } from "../../src/experiment/protocols.js";
import { runProtocol } from "../../src/experiment/run.js";
import { type DecodedTable, decodeBlocks } from "../../src/loader/decode/index.js";
import { openTrace, type Trace } from "../../src/loader/index.js";
import { loadMachine } from "../../src/machine/load.js";
import { Scheduler } from "../../src/machine/scheduler.js";
import { Random } from "../support/random.js";

const PATH = new URL("../../traces/fibonacci-go.trace", import.meta.url).pathname;

/** What the scheduler's choice of the core that runs next looks at. */
interface Insides {
  cores: { time: number }[];
  wait: number[];
  earliest(): number;
}
const scheduler = Scheduler.prototype as unknown as Insides;

let trace: Trace;
let decoded: DecodedTable;
beforeAll(() => {
  trace = openTrace(PATH);
  decoded = decodeBlocks(trace.blocks, trace.pages);
});
afterEach(() => vi.restoreAllMocks());

const invocations = () =>
  runProtocol(trace, decoded, loadMachine("simple"), protocol("jukebox"), 1).invocations.map(
    ({ beginCycle, endCycle, counters }) => ({ beginCycle, endCycle, counters: [...counters] }),
  );

test.each([1, 2])(
  "all counters are the same when cores that can run are stepped in random order, seed %i",
  (seed) => {
    const expected = invocations();
    const random = new Random(seed);
    const inOrder = scheduler.earliest;
    let others = 0;
    vi.spyOn(scheduler, "earliest").mockImplementation(function (this: Insides) {
      const first = inOrder.call(this);
      const runnable = this.wait.flatMap((w, i) => (w === 0 ? [i] : []));
      // Now and then another than the earliest; not always, so that the earliest gets on.
      if (runnable.length < 2 || !random.chance(0.3)) return first;
      const chosen = random.pick(runnable);
      if (chosen !== first) others++;
      return chosen;
    });
    expect(invocations()).toEqual(expected);
    expect(others).toBeGreaterThan(1000);
  },
);
