import type { PageTable } from "../../src/loader/contract.js";
import type { DecodedTable } from "../../src/loader/decode/rows.js";
import type { PipelineSpec } from "../../src/machine/spec.js";
import { AtMost } from "./front-end.js";
import type { Block } from "./program.js";

/** An instruction that lies behind a branch. */
interface Behind {
  /** Ends, or begins its block, in another line than the one before it. */
  crosses: boolean;
  microOps: number;
}

/** What lies behind each block in memory, as far as the trace tells. */
export class CodeLayout {
  private readonly followers = new Map<number, number | undefined>();

  constructor(
    private readonly table: DecodedTable,
    private readonly pages: PageTable,
    private readonly blockOf: (id: number) => Block,
  ) {}

  /** Instructions without end. */
  *behind(id: number): Generator<Behind, never, void> {
    let at = this.table.end[id];
    let follower = this.follower(id);
    for (let nth = 0; ; ) {
      const begin = follower === undefined ? Infinity : this.table.start[follower];
      if (at === begin) {
        const block = this.blockOf(follower!);
        for (const [i, { crosses, microOps }] of block.instructions.entries())
          yield { crosses: crosses || (i === 0 && at % 64 === 0), microOps: microOps.length };
        at = block.end;
        follower = this.follower(follower!);
        continue;
      }
      const padding = begin - at < 16;
      const bytes = padding ? begin - at : 4;
      const crosses = Math.floor((at + bytes - 1) / 64) !== Math.floor((at - 1) / 64);
      yield { crosses, microOps: padding ? 1 : 1 + (nth++ % 2) };
      at += bytes;
    }
  }

  /** The first block that begins at its end or later, in the same address space. */
  private follower(id: number): number | undefined {
    if (this.followers.has(id)) return this.followers.get(id);
    const { start, end, page } = this.table;
    const space = (block: number) => this.pages.asid[page[block]];
    let found: number | undefined;
    for (let other = 0; other < start.length; other++) {
      if (start[other] < end[id] || space(other) !== space(id)) continue;
      if (found === undefined || start[other] < start[found]) found = other;
    }
    this.followers.set(id, found);
    return found;
  }
}

/** The branch, or the last instruction, in front of a redirect that comes at commit. */
export interface BeforeRedirect {
  block: number;
  /** Fetch2 as it was when it had handed it out; when its line was there. */
  leaving: AtMost;
  available: number;
  /** Its last micro-op's issue, its commit. */
  issue: number;
  commit: number;
  /** Issues of all micro-ops up to it. */
  issued: readonly number[];
}

/** Lets Decode work through what Fetch2 hands out before it is told. README.md of src/core: Wrong path. */
export function decodeWrongPath(
  spec: PipelineSpec,
  hitLatency: number,
  layout: CodeLayout,
  before: BeforeRedirect,
  decoding: AtMost,
): void {
  const told = before.commit + spec.branchFeedbackDelay;
  const leaving = before.leaving.copy();
  const issuing = new AtMost(spec.executeIssueLimit, before.issue);
  const window = spec.executeInputBuffer * spec.decodeWidth;
  const heldByUnits = spec.fu.intAlu.count * spec.fu.intAlu.opLatency;
  const issued = [...new Array(window).fill(-Infinity), ...before.issued.slice(-window)];
  /** By cycle in which Fetch2 hands out: when the last of it was decoded. */
  const decodedBy = [decoding.last];
  let line = before.available;
  let wrong = 0;
  for (const { crosses, microOps } of layout.behind(before.block)) {
    if (crosses) line += 1 + hitLatency;
    let leaves = leaving.copy().next(line);
    if (leaves > leaving.last) {
      // Another cycle's worth, for which Decode's buffer must have room.
      decodedBy.push(-Infinity);
      leaves = Math.max(leaves, decodedBy.at(-1 - spec.decodeInputBuffer) ?? -Infinity);
    }
    if (leaving.next(leaves) >= told) return;
    for (let i = 0; i < microOps; i++) {
      const room = Math.min(issued[issued.length - window], before.commit);
      const decoded = decoding.next(Math.max(leaves + spec.fetch2ToDecodeDelay, room));
      const at = issuing.next(decoded + spec.decodeToExecuteDelay);
      issued.push(wrong++ < heldByUnits ? at : before.commit);
    }
    decodedBy[decodedBy.length - 1] = decoding.last;
  }
}
