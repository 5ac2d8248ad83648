import { InputError } from "../errors.js";

/**
 * The layout of gem5's stats.txt: one block a dump, one statistic a row. Which statistics there are
 * is not known here (see gem5.ts).
 */

/** One row. `value` is printed as gem5 prints it: whole numbers plain, others with six decimals, NaN as "nan". */
export interface Gem5Row {
  name: string;
  value: number;
  /** Six decimals even for a whole number: gem5 does so where a statistic has its own precision (simSeconds, ipc). */
  sixDecimals?: boolean;
  description: string;
  /** As gem5 writes it in the brackets: "Count", "Cycle", "(Cycle/Count)". */
  unit: string;
}

/** One dump, as read: values by full name, in file order. */
export interface Gem5Dump {
  values: Map<string, number>;
}

const BEGIN = "---------- Begin Simulation Statistics ----------";
const END = "---------- End Simulation Statistics   ----------";

const DISTRIBUTION_COLUMNS = " ".repeat(22);

/** One block, from the blank line before `Begin` to the line end after `End`. */
export function formatGem5Block(rows: readonly Gem5Row[]): string {
  const lines = rows.map(
    (row) =>
      `${row.name.padEnd(40)} ${gem5Number(row.value, row.sixDecimals).padStart(12)}${DISTRIBUTION_COLUMNS} # ${row.description} (${row.unit})`,
  );
  return ["", BEGIN, ...lines, "", END, ""].join("\n");
}

/** A number as gem5 prints it. Below 2^53, so whole numbers are exact. */
export function gem5Number(value: number, sixDecimals = false): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  return Number.isInteger(value) && !sixDecimals ? value.toFixed(0) : value.toFixed(6);
}

/**
 * Reads any stats.txt that gem5 (or `muswarm sim`) wrote: one entry a dump. The percentages of
 * distributions are passed over. Text between blocks is ignored, as gem5's users find it there.
 * Throws InputError with the line number on a row that is none, and on a block without an end.
 * @param file name for messages
 */
export function parseGem5Stats(text: string, file = "stats.txt"): Gem5Dump[] {
  const dumps: Gem5Dump[] = [];
  let values: Map<string, number> | undefined;
  let begun = 0;
  text.split("\n").forEach((raw, i) => {
    const line = raw.trimEnd();
    const fail = (problem: string) => {
      throw new InputError(`${file}: line ${i + 1}: ${problem}`);
    };
    if (line.startsWith("---------- Begin")) {
      if (values !== undefined) fail(`a block begins inside the one of line ${begun}`);
      values = new Map();
      begun = i + 1;
    } else if (line.startsWith("---------- End")) {
      if (values === undefined) fail("a block ends that has not begun");
      else dumps.push({ values });
      values = undefined;
    } else if (values !== undefined && line !== "") {
      const row = /^(\S+)\s+(\S+)/.exec(line);
      const value = row === null ? undefined : readNumber(row[2]);
      if (row === null || value === undefined)
        fail(`expected a name and a number, got "${line.slice(0, 60)}"`);
      else if (values.has(row[1])) fail(`${row[1]} stands twice in one block`);
      else values.set(row[1], value);
    }
  });
  if (values !== undefined) throw new InputError(`${file}: the block of line ${begun} has no end`);
  return dumps;
}

function readNumber(text: string): number | undefined {
  if (text === "nan" || text === "-nan") return Number.NaN;
  if (text === "inf" || text === "-inf")
    return text === "inf" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?%?$/i.test(text) ? Number.parseFloat(text) : undefined;
}
