import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Comparison, cachegrindMisses, GEM5, MACHINES, PROGRAMS } from "./compare.js";

const PAGE = new URL("../../docs/validation.md", import.meta.url);
const comparison = new Comparison();
const share = (ours: number, theirs: number): number => Math.abs(ours / theirs - 1);
/** Of lines: so many, or this part of them, whichever is more. */
const lines = (theirs: number, part: number): number => Math.max(10, theirs * part);

describe.each(MACHINES)("on %s", (machine) => {
  it.each(PROGRAMS)("%s takes MinorCPU's cycles to 2 per cent", (program) => {
    const ours = comparison.ours(program, machine, "pipeline");
    const theirs = GEM5[machine].pipeline[program];
    expect(share(ours.cycles, theirs.cycles)).toBeLessThan(0.02);
    expect(Math.abs(ours.instructions - theirs.instructions)).toBeLessThanOrEqual(3);
    expect(share(ours.microOps, theirs.microOps)).toBeLessThan(0.0002);
  });

  it.each(PROGRAMS)("%s fetches lines of right and wrong paths as MinorCPU does", (program) => {
    const ours = comparison.ours(program, machine, "pipeline");
    const theirs = GEM5[machine].pipeline[program];
    expect(share(ours.l1iAccesses, theirs.l1iAccesses)).toBeLessThan(program === "qsort" ? 0.035 : 0.005);
    if (program === "bc110") expect(share(ours.l1iMisses, theirs.l1iMisses)).toBeLessThan(0.003);
    else expect(ours.l1iMisses).toBe(theirs.l1iMisses);
  });

  it.each(PROGRAMS)("%s takes TimingSimpleCPU's cycles", (program) => {
    const ours = comparison.ours(program, machine, "timing");
    const theirs = GEM5[machine].timing[program];
    expect(ours.dataAccesses).toBe(theirs.dataAccesses);
    // On qsort it depends on where pages lie which lines conflict; with DRAM, which rows and banks they are in.
    if (machine === "simple" && program !== "qsort") expect(ours.cycles).toBe(theirs.cycles);
    else expect(share(ours.cycles, theirs.cycles)).toBeLessThan(0.0005);
  });

  it.each(PROGRAMS)("%s misses and writes back as TimingSimpleCPU does", (program) => {
    const ours = comparison.ours(program, machine, "timing");
    const theirs = GEM5[machine].timing[program];
    expect(Math.abs(ours.l1iMisses - theirs.l1iMisses)).toBeLessThanOrEqual(lines(theirs.l1iMisses, 0.003));
    expect(Math.abs(ours.l1dMisses - theirs.l1dMisses)).toBeLessThanOrEqual(lines(theirs.l1dMisses, 0.003));
    expect(Math.abs(ours.llcMisses - theirs.llcMisses)).toBeLessThanOrEqual(lines(theirs.llcMisses, 0.003));
    expect(Math.abs(ours.l1dWritebacks - theirs.l1dWritebacks)).toBeLessThanOrEqual(
      lines(theirs.l1dWritebacks, 0.003),
    );
    expect(Math.abs(ours.llcWritebacks - theirs.llcWritebacks)).toBeLessThanOrEqual(
      lines(theirs.llcWritebacks, 0.003),
    );
  });
});

it.each(PROGRAMS)("%s misses where cachegrind's caches do", (program) => {
  const ours = comparison.ours(program, "gem5-ddr4", "timing");
  const theirs = cachegrindMisses(program);
  for (const count of ["l1iMisses", "l1dMisses", "llcMisses"] as const)
    expect(Math.abs(ours[count] - theirs[count])).toBeLessThanOrEqual(lines(theirs[count], 0.02));
});

it("docs/validation.md says what is so today (npm run validate writes it anew)", () => {
  let page = readFileSync(PAGE, "utf8");
  if (process.env.WRITE_VALIDATION !== undefined) {
    for (const [name, table] of comparison.tables())
      page = page.replace(
        new RegExp(`(<!-- ${name} -->\n)[^]*?\n?(<!-- end -->)`),
        (_, begin: string, end: string) => `${begin}${table}\n${end}`,
      );
    writeFileSync(PAGE, page);
  }
  for (const [name, table] of comparison.tables())
    expect(page).toContain(`<!-- ${name} -->\n${table}\n<!-- end -->`);
});
