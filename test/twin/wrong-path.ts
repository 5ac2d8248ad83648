import type { PageTable } from "../../src/loader/contract.js";
import type { DecodedTable } from "../../src/loader/decode/rows.js";
import type { PipelineSpec } from "../../src/machine/spec.js";
import { type AtBranch, AtMost } from "./front-end.js";
import type { Block } from "./program.js";

/** An instruction that lies behind a branch. */
interface Behind {
  /** Ends, or begins its block, in another line than the one before it; begins in that one. */
  crosses: boolean;
  straddles: boolean;
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
        for (const [i, { crosses, offset, microOps }] of block.instructions.entries())
          yield {
            crosses: crosses || (i === 0 && at % 64 === 0),
            straddles: offset % 64 !== 0,
            microOps: microOps.length,
          };
        at = block.end;
        follower = this.follower(follower!);
        continue;
      }
      const padding = begin - at < 16;
      const bytes = padding ? begin - at : 4;
      const crosses = Math.floor((at + bytes - 1) / 64) !== Math.floor((at - 1) / 64);
      yield { crosses, straddles: at % 64 !== 0, microOps: padding ? 1 : 1 + (nth++ % 2) };
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

/** What is known of the branch, or the last instruction, in front of a redirect that comes at commit. */
export interface Branch extends AtBranch {
  /** Fetch2 as it was when it had handed it out, and micro-ops up to it. */
  leaving: AtMost;
  microOps: number;
  /** When the line it ends in was at Fetch2 (0), and those behind; undefined: not known, or not before the redirect. */
  line(nth: number): number | undefined;
  /** Micro-op `n` was issued at; undefined: not yet. */
  issued(n: number): number | undefined;
}

/** What became of the wrong path. What is not known, or does not come before the redirect, is Infinity. */
export interface BehindBranch {
  /** When its lines leave Fetch2's buffer, the branch's first; those not named stay until the redirect. */
  popped: (number | undefined)[];
  decoding: AtMost;
}

/** Lets Decode work through what Fetch2 hands out before it is told. README.md of src/core: Wrong path. */
export function workThrough(spec: PipelineSpec, path: Iterable<Behind>, branch: Branch): BehindBranch {
  const told = branch.commit + spec.branchFeedbackDelay;
  const leaving = branch.leaving.copy();
  const decoding = branch.decoding?.copy() ?? new AtMost(spec.decodeWidth, Infinity);
  const issuing = new AtMost(spec.executeIssueLimit, branch.issue);
  const window = spec.executeInputBuffer * spec.decodeWidth;
  const heldByUnits = spec.fu.intAlu.count * spec.fu.intAlu.opLatency;
  const wrongIssued: number[] = [];
  /** By cycle in which Fetch2 hands out: when the last of it was decoded, and a cycle after what that waited for. */
  const decodedBy = [{ at: decoding.last, waited: -Infinity }];
  const popped: (number | undefined)[] = [];
  let line = branch.line(0)!;
  let waited = -Infinity;
  let held = -Infinity;
  for (const { crosses, straddles, microOps } of path) {
    if (crosses) {
      const done = straddles ? leaving.copy().next(0) : leaving.last;
      popped.push(Math.max(done, held, line));
      line = branch.line(popped.length) ?? Infinity;
    }
    let leaves = leaving.copy().next(line);
    if (leaves > leaving.last) {
      // Another cycle's worth, for which Decode's buffer must have room.
      decodedBy.push({ at: -Infinity, waited: -Infinity });
      const gone = decodedBy.at(-1 - spec.decodeInputBuffer);
      leaves = Math.max(leaves, gone?.at ?? -Infinity);
      held = Math.max(held, gone?.waited ?? -Infinity);
    }
    if (leaving.next(leaves) >= told) break;
    for (let i = 0; i < microOps; i++) {
      const n = branch.microOps + wrongIssued.length - window;
      let room: number;
      if (n < branch.microOps) {
        room = n < 0 ? -Infinity : (branch.issued(n) ?? Infinity);
        waited = room + 1;
      } else room = wrongIssued[n - branch.microOps];
      const decoded = decoding.next(
        Math.max(leaves + spec.fetch2ToDecodeDelay, Math.min(room, branch.commit)),
      );
      const at = issuing.next(decoded + spec.decodeToExecuteDelay);
      wrongIssued.push(wrongIssued.length < heldByUnits ? at : branch.commit);
    }
    decodedBy[decodedBy.length - 1] = { at: decoding.last, waited };
  }
  return { popped: popped.map((at) => (at === Infinity ? undefined : at)), decoding };
}
