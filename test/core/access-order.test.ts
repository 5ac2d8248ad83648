import { describe, expect, it } from "vitest";
import { build, Program, runAll, testMachine } from "./support.js";

describe("a repeated string instruction that goes down", () => {
  for (const model of ["pipeline", "timing"] as const) {
    it(`begins at the address that the trace gives, in the ${model} core`, () => {
      const p = new Program();
      p.exec(p.block(0x1000, ["f3 48 ab"], [[0, "repStore", 8]]), 1, -3, 0x8048);
      const built = build(p, testMachine({ model }));
      runAll(built);
      const stores = built.port.log.filter((a) => a.kind === "store").map((a) => a.line);
      // 0x8048, 0x8040 in one line, 0x8038 in the line before it.
      expect([...new Set(stores)]).toEqual([0x201, 0x200]);
    });
  }
});
