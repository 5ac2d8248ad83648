import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { structOffsets } from "./btf.js";
import { type KernelSymbol, parseKallsyms } from "./kernel-entries.js";

/** One line of /proc/PID/maps that maps a file, executable. */
export interface Mapping {
  from: number;
  to: number;
  fileOffset: number;
  path: string;
}

/** What the guest says of its processes: when the function was warm, and, where asked for, after the recording. */
export interface ProcessFacts {
  functionPids: number[];
  /** The container's first process; 0 where there is none yet. */
  functionInit: number;
  clientPids: number[];
  /** Processes beside the function, by name. */
  companionPids: Map<string, number>;
  /** What the function answered to the first call. */
  firstReply: string;
  /** By process. */
  mappings: Map<number, Mapping[]>;
  /** By process: names of code that it made at run time, as it wrote them down for perf. */
  perfMaps: Map<number, string>;
}

const MAX_REPLY_BYTES = 1000;

/** First number of the containers of companions. */
const FIRST_COMPANION = 3;

/** Container id of a process; see EventKind.Switch. */
export function containerOf(facts: Facts, tgid: number): number {
  if (facts.functionPids.includes(tgid)) return 1;
  if (facts.clientPids.includes(tgid)) return 2;
  const at = [...facts.companionPids.values()].indexOf(tgid);
  return at < 0 ? 0 : FIRST_COMPANION + at;
}

/** Names of the containers, by id. */
export function containersOf(facts: Facts, name: string): Record<string, string> {
  const companions = [...facts.companionPids.keys()].map((key, i) => [String(FIRST_COMPANION + i), key]);
  return { 1: name, 2: "client", ...Object.fromEntries(companions) };
}

/** What the guest said of itself when the function was warm. */
export interface Facts extends ProcessFacts {
  kernelSymbols: KernelSymbol[];
  uname: string;
  runtimeVersion: string;
  mitigations: string[];
  /** Offsets in task_struct and mm_struct that the recorder needs. */
  task: Record<string, number>;
}

export function loadFacts(folder: string): Facts {
  const text = (name: string) => readFileSync(join(folder, name), "latin1");
  const btf = readFileSync(join(folder, "btf"));
  return {
    ...loadProcessFacts(folder),
    kernelSymbols: parseKallsyms(text("kallsyms")),
    uname: text("uname").trim(),
    runtimeVersion: text("runtime-version").split("\n")[0].trim(),
    mitigations: text("vulnerabilities")
      .split("\n")
      .filter((line) => line.includes("Mitigation") || line.includes("Vulnerable"))
      .map((line) => line.replace("/sys/devices/system/cpu/vulnerabilities/", "").trim()),
    task: {
      ...structOffsets(btf, "task_struct", ["mm", "pid", "tgid", "comm"]),
      ...structOffsets(btf, "mm_struct", ["context"]),
    },
  };
}

export function loadProcessFacts(folder: string): ProcessFacts {
  const lines = (name: string) =>
    existsSync(join(folder, name))
      ? readFileSync(join(folder, name), "latin1").split("\n").filter(Boolean)
      : [];
  const mappings = new Map<number, Mapping[]>();
  const perfMaps = new Map<number, string>();
  const maps = join(folder, "maps");
  for (const file of existsSync(maps) ? readdirSync(maps) : []) {
    const pid = Number.parseInt(file, 10);
    if (/^\d+$/.test(file)) mappings.set(pid, parseMaps(readFileSync(join(maps, file), "utf8")));
    if (/^\d+\.perf$/.test(file)) perfMaps.set(pid, readFileSync(join(maps, file), "utf8"));
  }
  const reply = join(folder, "first-reply");
  return {
    functionPids: lines("function-pids").map(Number),
    functionInit: Number(lines("function-init")[0] ?? 0),
    clientPids: lines("client-pids").map(Number),
    companionPids: new Map(
      lines("companions")
        .map((line) => line.split(" "))
        .map(([name, pid]) => [name, Number(pid)]),
    ),
    firstReply: existsSync(reply) ? readFileSync(reply).subarray(0, MAX_REPLY_BYTES).toString("utf8") : "",
    mappings,
    perfMaps,
  };
}

export function parseMaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) \S+ [1-9]\d*\s+(\/.*)$/.exec(line);
    // The first inode field may be "0" for memory without a file: those lines do not match.
    if (match === null) continue;
    mappings.push({
      from: Number.parseInt(match[1], 16),
      to: Number.parseInt(match[2], 16),
      fileOffset: Number.parseInt(match[3], 16),
      path: match[4].replace(/ \(deleted\)$/, ""),
    });
  }
  return mappings;
}
