import { expect, test } from "vitest";
import { protocol } from "../../src/experiment/protocols.js";
import { runProtocol } from "../../src/experiment/run.js";
import { decodeBlocks } from "../../src/loader/decode/index.js";
import { openTrace } from "../../src/loader/index.js";
import { loadMachine, parseOverride } from "../../src/machine/load.js";

test("on a captured function the better predictors mispredict less", () => {
  const trace = openTrace(new URL("../../traces/fibonacci-go.trace", import.meta.url).pathname);
  const decoded = decodeBlocks(trace.blocks, trace.pages);
  const mispredictions = (name: string) => {
    const spec = loadMachine("simple", [parseOverride(`core.branchPredictor.name=${name}`)]);
    const run = runProtocol(trace, decoded, spec, protocol("reference"), 1);
    const names = run.schema.groups.flatMap(({ path, defs }) => defs.map((d) => `${path}.${d.name}`));
    const at = names.indexOf("cpu1.branchPred.condIncorrect");
    return run.invocations.filter((i) => i.measured).reduce((sum, i) => sum + i.counters[at], 0);
  };
  const names = ["always-taken", "bimodal", "tournament", "tage", "ltage"];
  const wrong = names.map(mispredictions);
  for (let i = 1; i < names.length; i++)
    expect(wrong[i], `${names[i]} against ${names[i - 1]}: ${wrong}`).toBeLessThan(wrong[i - 1]);
});
