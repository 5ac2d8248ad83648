import Table from "cli-table3";
import type { CoreInfo, InvocationInfo, PartInfo, TraceInfo } from "./info.js";

const HEAD = [
  "",
  "instructions",
  "user %",
  "kernel %",
  "blocks",
  "loads",
  "stores",
  "code kB",
  "data kB",
  "common",
];

/** A text screen of what `traceInfo` found; no colours, ends with a line feed. */
export function formatTraceInfo(info: TraceInfo): string {
  const { header } = info;
  const { provenance } = header;
  const facts: [string, string][] = [
    ["trace", info.path],
    ["function", `${header.function} (${header.runtime})`],
    ["machine", `${header.cores} cores, ${header.clockGHz} GHz, ${header.memoryMiB} MiB`],
    ["function core, client core", `${header.functionCore}, ${header.clientCore}`],
    ["invocations", `${header.warmInvocations} warm-up, ${header.measuredInvocations} measured`],
    ["made", `${provenance.date} by ${provenance.command}`],
    ["versions", list(provenance.versions)],
    ["containers", list(header.containers)],
    ["size", `${count(info.fileBytes)} bytes, ${fixed(info.bytesPerInstruction, 3)} bytes an instruction`],
    ["executed", `${count(info.instructions)} instructions in ${count(info.blockExecutions)} blocks`],
    [
      "static",
      `${count(info.blocks)} blocks, ${count(info.staticInstructions)} instructions, ${count(info.pages)} pages`,
    ],
    ["symbols", `${count(info.symbols)} of ${count(info.objects)} files`],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  for (const core of info.cores)
    lines.push("", `core ${core.core}${role(info, core.core)}`, coreTable(core), interruptLine(core));
  lines.push(
    "",
    "blocks: block executions. code, data: distinct 64-byte physical lines touched, kB of 1024 bytes.",
    "common: Jaccard index of the code lines with those of the invocation before. loads, stores: accesses, string",
    "instructions by the iteration.",
  );
  return `${lines.join("\n")}\n`;
}

function coreTable(core: CoreInfo): string {
  const table = new Table({
    head: HEAD,
    colAligns: HEAD.map((_, i) => (i === 0 ? "left" : "right")),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    chars: BLANK,
  });
  for (const invocation of core.invocations) {
    table.push([name(invocation), ...cells(invocation), commonality(invocation)]);
  }
  table.push(["whole stream", ...cells(core.total), ""]);
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Who interrupts, by the vectors of x86-64 Linux. */
const SENDERS = new Map([
  [0xec, "timer"],
  [0xfb, "another core"],
  [0xfc, "another core"],
  [0xfd, "another core"],
]);

function interruptLine({ interrupts, total }: CoreInfo): string {
  const bySender = new Map<string, number>();
  for (const { vector, count: n } of interrupts) {
    const sender = SENDERS.get(vector) ?? (vector < 0 ? "unknown" : `vector 0x${vector.toString(16)}`);
    bySender.set(sender, (bySender.get(sender) ?? 0) + n);
  }
  const rates = [...bySender].map(([sender, n]) => `${sender} ${fixed((1e6 * n) / total.instructions, 1)}`);
  return `  interrupts in a million instructions: ${rates.length === 0 ? "none" : rates.join(", ")}`;
}

const BLANK = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "  ",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

function cells(part: PartInfo): string[] {
  return [
    count(part.instructions),
    percent(part.userInstructions, part.instructions),
    percent(part.kernelInstructions, part.instructions),
    count(part.blockExecutions),
    count(part.loads),
    count(part.stores),
    fixed(part.instructionKB, 1),
    fixed(part.dataKB, 1),
  ];
}

function name({ invocation, isWarmUp }: InvocationInfo): string {
  return `invocation ${invocation}${isWarmUp ? " (warm-up)" : ""}`;
}

function commonality({ commonality: value }: InvocationInfo): string {
  return value === undefined ? "-" : fixed(value, 3);
}

function role({ header }: TraceInfo, core: number): string {
  const roles = [core === header.functionCore ? "function" : "", core === header.clientCore ? "client" : ""];
  const named = roles.filter((text) => text !== "");
  return named.length === 0 ? "" : ` (${named.join(", ")})`;
}

function list(record: Record<string, string>): string {
  const items = Object.entries(record).map(([key, value]) => `${key} ${value}`);
  return items.length === 0 ? "-" : items.join(", ");
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : fixed((100 * part) / whole, 1);
}

function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "-";
}

/** An integer with a space between groups of three digits. */
function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}
