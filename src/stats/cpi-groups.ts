import type { MetricValues } from "./metrics.js";

/** A line of the report's CPI stack: several causes of the core's. */
interface CpiGroup {
  readonly label: string;
  readonly has: (cause: string) => boolean;
}

const below = (kind: string, l1: string) => (cause: string) =>
  cause.startsWith(`${kind}.`) && cause !== `${kind}.${l1}`;
const oneOf =
  (...causes: string[]) =>
  (cause: string) =>
    causes.includes(cause);
const instructionMisses = below("fetch", "l1i");
const loadMisses = below("load", "l1d");

/** First fit; the last takes what is left, so that the lines sum to the CPI. */
const GROUPS: readonly CpiGroup[] = [
  { label: "committing", has: oneOf("base") },
  { label: "instruction misses", has: instructionMisses },
  { label: "data misses and stores", has: (cause) => loadMisses(cause) || cause === "store" },
  { label: "page walks", has: oneOf("itlb", "dtlb") },
  { label: "branches and interrupts", has: oneOf("mispredict", "interrupt") },
  { label: "fetch and decode", has: oneOf("frontend", "fetch.l1i") },
  {
    label: "execution",
    has: oneOf("execute", "dependency", "structural", "load.l1d", "microcode", "serialise"),
  },
  { label: "other", has: () => true },
];

const PREFIX = "cpi.";

/** Cycles per instruction by group, all groups, in order. */
export function cpiByGroup(values: MetricValues): { label: string; cpi: number }[] {
  const sums = GROUPS.map(({ label }) => ({ label, cpi: 0 }));
  for (const [name, value] of values) {
    if (!name.startsWith(PREFIX)) continue;
    const cause = name.slice(PREFIX.length);
    sums[GROUPS.findIndex((group) => group.has(cause))].cpi += value;
  }
  return sums;
}
