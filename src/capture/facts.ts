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
export interface Facts {
  kernelSymbols: KernelSymbol[];
  functionPids: number[];
  clientPids: number[];
  /** Processes beside the function, by name. */
  companionPids: Map<string, number>;
  uname: string;
  runtimeVersion: string;
  mitigations: string[];
  /** Offsets in task_struct that the recorder needs. */
  task: Record<string, number>;
  /** What the function answered to the first call. */
  firstReply: string;
  /** By process. */
  mappings: Map<number, Mapping[]>;
}

export function loadFacts(folder: string): Facts {
  const text = (name: string) => readFileSync(join(folder, name), "latin1");
  const pids = (name: string) => text(name).split("\n").filter(Boolean).map(Number);
  const mappings = new Map<number, Mapping[]>();
  const maps = join(folder, "maps");
  for (const file of existsSync(maps) ? readdirSync(maps) : []) {
    if (/^\d+$/.test(file)) mappings.set(Number(file), parseMaps(readFileSync(join(maps, file), "utf8")));
  }
  return {
    kernelSymbols: parseKallsyms(text("kallsyms")),
    functionPids: pids("function-pids"),
    clientPids: pids("client-pids"),
    companionPids: new Map(
      (existsSync(join(folder, "companions")) ? text("companions") : "")
        .split("\n")
        .filter(Boolean)
        .map((line) => line.split(" "))
        .map(([name, pid]) => [name, Number(pid)]),
    ),
    uname: text("uname").trim(),
    runtimeVersion: text("runtime-version").split("\n")[0].trim(),
    mitigations: text("vulnerabilities")
      .split("\n")
      .filter((line) => line.includes("Mitigation") || line.includes("Vulnerable"))
      .map((line) => line.replace("/sys/devices/system/cpu/vulnerabilities/", "").trim()),
    task: structOffsets(readFileSync(join(folder, "btf")), "task_struct", ["mm", "pid", "tgid", "comm"]),
    firstReply: existsSync(join(folder, "first-reply"))
      ? readFileSync(join(folder, "first-reply")).subarray(0, MAX_REPLY_BYTES).toString("utf8")
      : "",
    mappings,
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
