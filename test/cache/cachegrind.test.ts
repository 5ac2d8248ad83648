import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type FunctionalCacheSpec, FunctionalHierarchy } from "../../src/cache/functional.js";
import { cachegrind, hasValgrind, parseSummary, runLackey, summaryOf } from "./lackey.js";

const PROGRAMS = ["qsort", "sha256", "bc110"];
const place = (path: string) => fileURLToPath(new URL(`../validation/${path}`, import.meta.url));
const kiB = (size: number, ways: number): FunctionalCacheSpec => ({ bytes: size * 1024, ways });
const here = hasValgrind();
const why = here ? "" : " (skipped: valgrind is not installed)";

/** Caches that the shorter programs miss in often, beside those of the stored runs. */
const GEOMETRIES: [i1: FunctionalCacheSpec, d1: FunctionalCacheSpec, ll: FunctionalCacheSpec][] = [
  [kiB(16, 4), kiB(16, 4), kiB(128, 8)],
  [kiB(2, 1), kiB(1, 16), kiB(8, 2)],
];

describe.skipIf(!here)(`the tag arrays miss where cachegrind's do${why}`, () => {
  for (const program of PROGRAMS) {
    it(`to the last miss on ${program}, shortened, in caches large and small`, async () => {
      const path = place(`small/${program}`);
      for (const [i1, d1, ll] of GEOMETRIES) {
        const hierarchy = new FunctionalHierarchy(i1, d1, ll);
        await runLackey(path, hierarchy);
        expect(summaryOf(hierarchy)).toEqual(cachegrind(path, i1, d1, ll));
      }
    });
  }
});

/** Minutes of valgrind, for those who ask. */
const full = here && process.env.FULL_VALIDATION !== undefined;
const fullWhy = full ? "" : here ? " (skipped: set FULL_VALIDATION=1)" : why;
/** Where the stack lies, and with it qsort's misses, depends on the environment that the program is run in. */
const INDEPENDENT_OF_THE_STACK = ["sha256", "bc110"];

describe.skipIf(!full)(`the tag arrays miss where cachegrind's do, on whole programs${fullWhy}`, () => {
  for (const program of PROGRAMS) {
    it(`to the last miss on the whole of ${program}`, { timeout: 600_000 }, async () => {
      const [i1, d1, ll] = GEOMETRIES[0];
      const hierarchy = new FunctionalHierarchy(i1, d1, ll);
      await runLackey(place(`programs/${program}`), hierarchy);
      expect(summaryOf(hierarchy)).toEqual(cachegrind(place(`programs/${program}`), i1, d1, ll));
      if (!INDEPENDENT_OF_THE_STACK.includes(program)) return;
      const stored = parseSummary(readFileSync(place(`cachegrind/${program}.cgout`), "utf8"));
      expect(summaryOf(hierarchy)).toEqual(stored);
    });
  }
});
