import { type BlockTable, EventKind, type PageTable, type Trace } from "../loader/index.js";
import { hexAddress } from "./code.js";
import type { StreamRange } from "./range.js";
import { Symbolizer } from "./symbolizer.js";
import type { ToolProgress } from "./validate.js";

/** What functions are ranked by. */
export const HOT_ORDERS = ["instructions", "footprint", "l1i-lines"] as const;
export type HotOrder = (typeof HOT_ORDERS)[number];

/** One function, or what stands for one where no name is known. */
export interface HotFunction {
  name: string;
  /** "kernel", a file of the guest, "jit", or "" when unknown. */
  object: string;
  privilege: "user" | "kernel";
  /** 0 for the kernel half. */
  addressSpace: number;
  instructions: number;
  blockExecutions: number;
  /** Distinct 64-byte physical lines of the code that ran. */
  lines: number;
  /** The same in kB of 1024 bytes. */
  footprintKB: number;
  /** Times that fetch went on to another line: what an instruction cache is asked. */
  lineFetches: number;
}

export interface HotReport {
  path: string;
  core: number;
  from: number;
  to: number;
  by: HotOrder;
  instructions: number;
  lineFetches: number;
  /** Over all functions; a line that two share counts once. */
  footprintKB: number;
  functionCount: number;
  /** Share of the instructions that a symbol names, 0..1. */
  named: number;
  /** The first of them in the order asked for. */
  functions: HotFunction[];
}

/** Bytes of address space that unnamed code is put together by. */
const RANGE_BYTES = 1 << 20;

/** Ranks the functions of a part of a stream. */
export function hotFunctions(
  trace: Trace,
  range: StreamRange,
  by: HotOrder,
  top: number,
  progress?: ToolProgress,
): HotReport {
  const { blocks } = trace;
  const lines = new CodeLines(blocks, trace.pages);
  const executions = new Float64Array(blocks.count);
  const fetches = new Float64Array(blocks.count);
  count(trace, range, lines, executions, fetches, progress);
  const groups = new Map<string, HotFunction & { lineSet: Set<number> }>();
  const symbols = new Symbolizer(trace);
  const all = new Set<number>();
  let named = 0;
  for (let block = 0; block < blocks.count; block++) {
    if (executions[block] === 0) continue;
    const { key, hasName, group } = place(trace, symbols, block);
    const known = groups.get(key) ?? { ...group, lineSet: new Set<number>() };
    groups.set(key, known);
    const instructions = executions[block] * (blocks.instrStart[block + 1] - blocks.instrStart[block]);
    if (hasName) named += instructions;
    known.instructions += instructions;
    known.blockExecutions += executions[block];
    known.lineFetches += fetches[block];
    for (let i = 0; i < lines.count[block]; i++) {
      known.lineSet.add(lines.nth(block, i));
      all.add(lines.nth(block, i));
    }
  }
  const functions = [...groups.values()].map(({ lineSet, ...rest }) => {
    return { ...rest, lines: lineSet.size, footprintKB: (lineSet.size * 64) / 1024 };
  });
  const value: Record<HotOrder, (f: HotFunction) => number> = {
    instructions: (f) => f.instructions,
    footprint: (f) => f.lines,
    "l1i-lines": (f) => f.lineFetches,
  };
  const of = value[by];
  functions.sort((a, b) => of(b) - of(a) || b.instructions - a.instructions || (a.name < b.name ? -1 : 1));
  const sum = (f: (x: HotFunction) => number) => functions.reduce((total, x) => total + f(x), 0);
  const instructions = sum((f) => f.instructions);
  return {
    path: trace.path,
    ...range,
    by,
    instructions,
    lineFetches: sum((f) => f.lineFetches),
    footprintKB: (all.size * 64) / 1024,
    functionCount: functions.length,
    named: instructions === 0 ? 0 : named / instructions,
    functions: functions.slice(0, top),
  };
}

/** The function a block belongs to: by name, else a range of addresses. */
function place(trace: Trace, symbols: Symbolizer, block: number) {
  const { blocks, pages } = trace;
  const page = blocks.page[block];
  const asid = pages.asid[page];
  const address = pages.vpn[page] * 4096 + blocks.offset[block];
  const found = symbols.find(asid, address);
  const base = address - (address % RANGE_BYTES);
  const privilege: HotFunction["privilege"] = pages.kernel[page] === 1 ? "kernel" : "user";
  const object = found.object ?? symbols.objectAround(asid, address);
  const range =
    object === undefined ? `[${hexAddress(base)}..${hexAddress(base + RANGE_BYTES)})` : "[no symbol]";
  const group = {
    name: found.name ?? range,
    object: object ?? "",
    privilege,
    addressSpace: asid,
    instructions: 0,
    blockExecutions: 0,
    lines: 0,
    footprintKB: 0,
    lineFetches: 0,
  };
  const key = found.index >= 0 ? `#${found.index}` : `${asid},${object ?? base}`;
  return { key, hasName: found.index >= 0, group };
}

function count(
  trace: Trace,
  { core, from, to }: StreamRange,
  lines: CodeLines,
  executions: Float64Array,
  fetches: Float64Array,
  progress?: ToolProgress,
): void {
  if (from === to) return;
  const stream = trace.stream(core, from);
  let line = -1;
  while (stream.next()) {
    const { blocks, position, blockCount } = stream;
    const first = Math.max(0, from - position);
    const end = Math.min(blockCount, to - position);
    let event = 0;
    for (let i = first; i < end; i++) {
      while (event < stream.eventCount && stream.eventAt[event] <= i) {
        // An interrupt starts its fetch anew.
        if (stream.eventKind[event++] === EventKind.Interrupt) line = -1;
      }
      const block = blocks[i];
      executions[block]++;
      fetches[block] += lines.count[block] - (lines.nth(block, 0) === line ? 1 : 0);
      line = lines.last(block);
    }
    progress?.(Math.max(0, Math.min(position + blockCount, to) - from), to - from);
    if (position + blockCount >= to) return;
  }
}

/** The physical 64-byte lines of each block. */
class CodeLines {
  readonly count: Uint16Array;
  private readonly first: Float64Array;
  private readonly onFirstPage: Uint16Array;
  private readonly second: Float64Array;

  constructor(blocks: BlockTable, pages: PageTable) {
    this.count = new Uint16Array(blocks.count);
    this.onFirstPage = new Uint16Array(blocks.count);
    this.first = new Float64Array(blocks.count);
    this.second = new Float64Array(blocks.count);
    for (let block = 0; block < blocks.count; block++) {
      const bytes =
        blocks.byteStart[blocks.instrStart[block + 1]] - blocks.byteStart[blocks.instrStart[block]];
      const offset = blocks.offset[block];
      const onFirst = (Math.min(offset + bytes, 4096) - 1) >>> 6;
      this.first[block] = pages.ppn[blocks.page[block]] * 64 + (offset >>> 6);
      this.onFirstPage[block] = onFirst - (offset >>> 6) + 1;
      this.count[block] = this.onFirstPage[block];
      if (blocks.page2[block] < 0) continue;
      this.second[block] = pages.ppn[blocks.page2[block]] * 64;
      this.count[block] += ((offset + bytes - 4096 - 1) >>> 6) + 1;
    }
  }

  nth(block: number, i: number): number {
    const first = this.onFirstPage[block];
    return i < first ? this.first[block] + i : this.second[block] + i - first;
  }

  last(block: number): number {
    return this.nth(block, this.count[block] - 1);
  }
}
