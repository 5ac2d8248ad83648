import type { FunctionSpec } from "./functions.js";

/** A name for code that was made at run time; `end` is exclusive. */
export interface JitName {
  address: number;
  end: number;
  name: string;
}

/** Has the runtimes that can write down the names of the code that they make, in the form that perf reads. */
export function withJitNames(spec: FunctionSpec): FunctionSpec {
  const options = [spec.env["NODE_OPTIONS"], "--perf-basic-prof"].filter(Boolean).join(" ");
  return { ...spec, env: { ...spec.env, NODE_OPTIONS: options, DOTNET_PerfMapEnabled: "1" } };
}

/**
 * Names that were right while the recording was made. The lines of a perf map ("address size name", in
 * hexadecimal) stand in the order in which the code was made; memory of code that is no longer used is used
 * again, and nothing says when the old code went. So of what was made before the recording the last to be made
 * counts; where code was made over older code while the recording went on, both are named, "new (or old)".
 * @param after the map after the recording
 * @param before the map before it: what `after` begins with
 * @returns by address, none overlapping
 */
export function jitNames(after: string, before: string): JitName[] {
  const live = new JitRanges();
  const lines = after.split("\n");
  // The last line of the first map may have been under way.
  const recordedFrom = Math.max(0, before.split("\n").length - 1);
  for (const [i, line] of lines.entries()) {
    const match = /^(?:0x)?([0-9a-f]+) (?:0x)?([0-9a-f]+) (.+)$/i.exec(line);
    if (match === null) continue;
    const address = Number.parseInt(match[1], 16);
    const size = Number.parseInt(match[2], 16);
    if (size === 0 || address + size > 2 ** 47) continue;
    live.put({ address, end: address + size, name: match[3] }, i >= recordedFrom);
  }
  return live.names();
}

/** Ranges by address; a new one cuts those that it overlaps. */
class JitRanges {
  private ranges: JitName[] = [];

  /** @param keepOld the older names stay known beside the new one */
  put(made: JitName, keepOld: boolean): void {
    const { ranges } = this;
    const from = this.firstEndingAfter(made.address);
    let to = from;
    const pieces: JitName[] = [];
    let at = made.address;
    for (; to < ranges.length && ranges[to].address < made.end; to++) {
      const old = ranges[to];
      if (old.address < made.address) pieces.push({ ...old, end: made.address });
      const begin = Math.max(old.address, made.address);
      const end = Math.min(old.end, made.end);
      if (keepOld && old.name !== made.name) {
        if (at < begin) pieces.push({ ...made, address: at, end: begin });
        pieces.push({ address: begin, end, name: `${made.name} (or ${old.name})` });
        at = end;
      }
      if (old.end > made.end) {
        if (at < made.end) pieces.push({ ...made, address: at });
        at = made.end;
        pieces.push({ ...old, address: made.end });
      }
    }
    if (at < made.end) pieces.push({ ...made, address: at });
    ranges.splice(from, to - from, ...pieces);
  }

  names(): JitName[] {
    return this.ranges;
  }

  private firstEndingAfter(address: number): number {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ranges[middle].end <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
