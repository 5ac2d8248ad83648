import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { loadMachine, machineNames, parseOverride } from "../../src/machine/load.js";

const message = (machine: string, ...sets: string[]) => {
  try {
    loadMachine(machine, sets.map(parseOverride));
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message;
  }
  return "no error";
};

describe("a machine's description", () => {
  test.each(machineNames())("%s is valid and named like its file", (name) => {
    expect(loadMachine(name).name).toBe(name);
  });

  test("an override changes one key and leaves the others", () => {
    const plain = loadMachine("simple");
    const changed = loadMachine("simple", [parseOverride("levels[0].cache.sizeKiB=256")]);
    expect(changed.levels[0].cache).toEqual({ ...plain.levels[0].cache, sizeKiB: 256 });
    expect(changed.l1i).toEqual(plain.l1i);
  });

  test("an override may name a key that stands at its default", () => {
    expect(
      loadMachine("simple", [parseOverride("core.pipeline.decodeWidth=4")]).core.pipeline.decodeWidth,
    ).toBe(4);
  });

  test.each([
    ["an unknown machine", message("simpel"), /unknown machine "simpel"\. Did you mean "simple"\?/],
    [
      "an unknown key",
      message("simple", "levels.0.cache.sizKiB=3"),
      /levels\[0\]\.cache\.sizKiB: unknown key\. Did you mean "sizeKiB"\?/,
    ],
    [
      "an unknown key on the way",
      message("simple", "core.pipline.decodeWidth=3"),
      /unknown key "pipline"\. Did you mean "pipeline"\?/,
    ],
    [
      "a key inside a default",
      message("simple", "core.pipeline.decodeWith=3"),
      /core\.pipeline\.decodeWith: unknown key\. Did you mean "decodeWidth"\?/,
    ],
    ["a value out of range", message("simple", "levels.0.cache.ways=0"), /levels\[0\]\.cache\.ways: .*got 0/],
    ["a level that is not there", message("simple", "levels.3.cache.ways=1"), /levels has 1 entries/],
    [
      "a level that Jukebox cannot work at",
      message("simple", "jukebox.level=l2"),
      /jukebox\.level: no level "l2"/,
    ],
    [
      "a private level below a shared one",
      message("skylake-like", "levels.0.shared=true", "levels.1.shared=false"),
      /levels\[1\]\.shared/,
    ],
    [
      "a TLB with an impossible number of sets",
      message("simple", "core.itlb.ways=24"),
      /core\.itlb: entries \/ ways must be a power of two/,
    ],
    [
      "a second-level TLB with an impossible number of sets",
      message("simple", 'core.l2tlb={"entries":1536,"ways":10,"latency":9}'),
      /core\.l2tlb: entries \/ ways must be a power of two, got 1536 \/ 10/,
    ],
    [
      "a page-walk cache of a misspelt name",
      message("simple", 'core.pageWalkCaches={"pdp":{"entries":4,"ways":4}}'),
      /core\.pageWalkCaches\.pdp: unknown key\. Did you mean "pde"\?/,
    ],
    [
      "a part for 2 MB pages where there are none",
      message("simple", 'core.itlb.large={"entries":8,"ways":8}'),
      /core\.itlb\.large: has no use without core\.largeKernelPages/,
    ],
    [
      "a kind of memory that is not there",
      message("simple", "memory.model=dran"),
      /memory\.model: no such kind: "dran"\. Did you mean "dram"\?/,
    ],
    [
      "an unknown key of a DRAM",
      message("gem5-ddr4", "memory.timing.tBRUST=3"),
      /memory\.timing\.tBRUST: unknown key\. Did you mean "tBURST"\?/,
    ],
    [
      "an unknown DRAM device",
      message("gem5-ddr4", "memory.device=DDR4_2400_8x9"),
      /machine gem5-ddr4: memory\.device: no device "DDR4_2400_8x9"\. Did you mean "DDR4_2400_8x8"\?/,
    ],
    ["a missing file", message("./no-such.json"), /no-such\.json: cannot be read \(ENOENT\)/],
    [
      "an override without a value",
      (() => {
        try {
          parseOverride("a.b");
          return "";
        } catch (e) {
          return (e as Error).message;
        }
      })(),
      /expected key\.path=value/,
    ],
  ])("%s is one clear line", (_, text, expected) => {
    expect(text).toMatch(expected);
    expect(text).not.toContain("\n");
  });

  test("a syntax error names the file", () => {
    const file = join(mkdtempSync(join(tmpdir(), "muswarm-")), "m.json");
    writeFileSync(file, '{\n "name": "x",\n "cores": 2,,\n}');
    expect(message(file)).toMatch(/m\.json: not JSON: .*(line 3|position)/);
  });
});
