import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { FunctionalCacheSpec, FunctionalHierarchy } from "../../src/cache/functional.js";

/** Is valgrind there? */
export function hasValgrind(): boolean {
  return spawnSync("valgrind", ["--version"]).status === 0;
}

/** Counts in the order of cachegrind's summary: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw. */
export type Summary = readonly number[];

export function summaryOf(h: FunctionalHierarchy): Summary {
  return [h.instructions, h.reads, h.writes].flatMap((c) => [c.accesses, c.l1Misses, c.llMisses]);
}

/** The summary line of a cachegrind output file. */
export function parseSummary(text: string): Summary {
  const line = text.split("\n").find((l) => l.startsWith("summary:"));
  if (line === undefined) throw new Error("no summary in cachegrind's output");
  return line.slice("summary:".length).trim().split(/\s+/).map(Number);
}

/** Runs cachegrind itself. */
export function cachegrind(
  program: string,
  i1: FunctionalCacheSpec,
  d1: FunctionalCacheSpec,
  ll: FunctionalCacheSpec,
): Summary {
  const dir = mkdtempSync(join(tmpdir(), "cachegrind-"));
  try {
    const option = (name: string, c: FunctionalCacheSpec) => `--${name}=${c.bytes},${c.ways},64`;
    const out = join(dir, "out");
    const run = spawnSync("valgrind", [
      "--tool=cachegrind",
      "--cache-sim=yes",
      option("I1", i1),
      option("D1", d1),
      option("LL", ll),
      `--cachegrind-out-file=${out}`,
      program,
    ]);
    if (run.status !== 0) throw new Error(`cachegrind: ${run.stderr}`);
    return parseSummary(readFileSync(out, "utf8"));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Runs a program under lackey and sends its accesses through a hierarchy, in order. */
export async function runLackey(program: string, hierarchy: FunctionalHierarchy): Promise<void> {
  const child = spawn("valgrind", ["--tool=lackey", "--trace-mem=yes", "--log-fd=3", program], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const exit = new Promise<number | null>((resolve) => child.on("close", resolve));
  const parser = new LackeyParser(hierarchy);
  for await (const chunk of child.stdio[3] as Readable) parser.push(chunk as Buffer);
  const code = await exit;
  if (code !== 0) throw new Error(`lackey ended with ${code}`);
}

const NEWLINE = 10;
const SPACE = 32;
const COMMA = 44;

/** Lines of lackey: `I  addr,size`, ` L addr,size`, ` S addr,size`, ` M addr,size`; others are its chatter. */
class LackeyParser {
  private rest = Buffer.alloc(0);

  constructor(private readonly to: FunctionalHierarchy) {}

  push(chunk: Buffer): void {
    const bytes = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.line(bytes, start, end);
      start = end + 1;
    }
    this.rest = Buffer.from(bytes.subarray(start));
  }

  private line(bytes: Buffer, start: number, end: number): void {
    const kind = bytes[start] === SPACE ? bytes[start + 1] : bytes[start];
    let i = start + 3;
    if (i >= end || bytes[i - 1] !== SPACE) return;
    let address = 0;
    for (; i < end && bytes[i] !== COMMA; i++) address = address * 16 + hex(bytes[i]);
    let size = 0;
    for (i++; i < end; i++) size = size * 10 + bytes[i] - 48;
    if (kind === 73) this.to.fetch(address, size);
    else if (kind === 76) this.to.load(address, size);
    else if (kind === 83) this.to.store(address, size);
    else if (kind === 77) this.to.modify(address, size);
  }
}

function hex(byte: number): number {
  return byte <= 57 ? byte - 48 : byte - 87;
}
