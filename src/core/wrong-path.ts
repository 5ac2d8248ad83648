import type { PipelineSpec } from "../machine/spec.js";
import * as code from "./code-layout.js";
import type { CoreParts } from "./core-base.js";
import * as stamps from "./scoreboard.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { CYCLE, TIME, BLAME, LONG_AGO, NEVER } = stamps;
const { NEXT_LINE, STRADDLES, PATH_OPS } = code;

/** A line of the wrong path waits for its turn in the order of shared accesses. */
export const WAITS = -(2 ** 30);

/** Fetch1, to Fetch2 on the wrong path. */
interface Lines {
  /**
   * Fetch2 is done with a line at a stamp and goes on in the next. @returns when that is at Fetch2; WAITS: it waits for its
   * turn, NEVER: it is not asked for before `limit`.
   */
  nextWrong(stamp: number, limit: number): number;
}

/**
 * What Fetch2 and Decode do behind a branch that redirects fetch when it commits: until fetch is told, Fetch2
 * goes on handing out what lies behind the branch in memory, and Decode, which is told nothing, works through
 * that before it comes to the right path. Nothing of it is executed here. Times are stamps, a place in a cycle is the
 * cycle's stamp plus 1, 2, ... What is not known yet is NEVER: it is later than all that is asked for. Nothing is kept
 * from one call to the next but what Fetch1 keeps: who comes back knowing more begins at the branch. Equations: README.md.
 */
export class WrongPath {
  private readonly paths: code.Paths;
  private readonly width: number;
  private readonly issueLimit: number;
  private readonly toDecode: number;
  private readonly toExecute: number;
  /** From a line to the next at Fetch2 where none is asked for: both hit. */
  private readonly perLine: number;
  private readonly wrongLines: boolean;
  /** Micro-ops of the wrong path that issue before the branch commits, at most: what the integer units hold. */
  private readonly issuable: number;
  /** Micro-ops that fit between Decode and issue. */
  private readonly window: number;
  /** What Fetch2 handed out in each of its last cycles: place at which that was decoded. As many as Decode's buffer holds. */
  private readonly groups: Int32Array;
  /** A cycle after the last issue on the right path that Decode waited for to be done with that. */
  private readonly seen: Int32Array;
  /** Issue of the first micro-ops of the wrong path, before the branch commits; the others do not issue. */
  private readonly issues: Int32Array;
  private readonly mask: number;

  constructor(
    spec: PipelineSpec,
    { decoded, pages, port }: CoreParts,
    private readonly board: stamps.Scoreboard,
  ) {
    this.mask = board.ring - 1;
    this.width = spec.decodeWidth;
    this.issueLimit = spec.executeIssueLimit;
    this.toDecode = spec.fetch2ToDecodeDelay * CYCLE;
    this.toExecute = spec.decodeToExecuteDelay * CYCLE;
    this.perLine = (1 + port.fetchHitLatency) * CYCLE;
    this.wrongLines = spec.wrongPathLines;
    this.issuable = spec.fu.intAlu.count * spec.fu.intAlu.opLatency;
    this.window = spec.executeInputBuffer * spec.decodeWidth;
    this.groups = new Int32Array(spec.decodeInputBuffer);
    this.seen = new Int32Array(spec.decodeInputBuffer);
    this.issues = new Int32Array(this.issuable);
    // What can be handed out before Decode is stuck, and from the commit until fetch is told.
    const groups = this.groups.length + 2 + spec.branchFeedbackDelay;
    const length = this.issuable + this.window + groups * this.width;
    this.paths = code.pathsOf(decoded, pages, length);
  }

  /**
   * @param block ends with the branch
   * @param left place at which the branch left Fetch2
   * @param available when the line it ends in was at Fetch2
   * @param decode place at which its last micro-op is decoded
   * @param issue when that is issued
   * @param commit when it commits
   * @param ops micro-ops up to it, since the start
   * @param issued micro-ops issued since the start
   * @param limit until when Fetch2 works on it
   * @returns place at which the last micro-op of the wrong path is decoded, or WAITS
   */
  follow(
    lines: Lines,
    block: number,
    left: number,
    available: number,
    decode: number,
    issue: number,
    commit: number,
    ops: number,
    issued: number,
    limit: number,
  ): number {
    const { paths, perLine, wrongLines, groups, seen, issues, width, issueLimit, issuable, window, mask } =
      this;
    const { words, issuedAt } = this.board;
    for (let i = 0; i < groups.length; i++) groups[i] = seen[i] = LONG_AGO;
    groups[0] = decode;
    let group = 0;
    let line = available & TIME;
    let at = issue & TIME;
    let used = issueLimit;
    let count = 0;
    /** A cycle after the last issue on the right path that Decode waited for; that Fetch2 did. */
    let waited = LONG_AGO;
    let held = LONG_AGO;
    let next = paths.behind(block);
    const stop = next + paths.length;
    const path = paths.all;
    for (;;) {
      if (next === stop) throw new Error("a wrong path is longer than the buffers can hold");
      const instruction = path[next++];
      let more = instruction & PATH_OPS;
      // Fetch2.
      if ((instruction & NEXT_LINE) !== 0) {
        if (!wrongLines) line += perLine;
        else {
          const done = (instruction & STRADDLES) !== 0 ? stamps.nextPlace(left, width) : left;
          line = lines.nextWrong((done > held ? done : held) & TIME, limit);
          if (line === WAITS) return WAITS;
        }
      }
      left = stamps.nextPlace(left, width);
      if (line > left) left = line | 1;
      if ((left & BLAME) === 1) {
        group = group + 1 === groups.length ? 0 : group + 1;
        const room = groups[group] & TIME;
        if (room > left) left = room | 1;
        if (seen[group] > held) held = seen[group];
      }
      if ((left & TIME) >= limit) return decode;
      const there = (left & TIME) + this.toDecode;
      for (; more > 0; more--) {
        // Decode.
        decode = stamps.nextPlace(decode, width);
        if (there > decode) decode = there | 1;
        let room: number;
        if (count < window) {
          const before = (ops + count - window) | 0;
          room = ((issued - before) | 0) > 0 ? words[issuedAt + (before & mask)] & TIME : NEVER;
          waited = room + CYCLE;
        } else {
          const before = count - window;
          room = before < issuable ? issues[before] : commit;
        }
        // What has not been issued is thrown away when the branch commits.
        if (room > commit) room = commit;
        if (room > decode) decode = room | 1;
        if (count < issuable) {
          const ready = (decode & TIME) + this.toExecute;
          used++;
          if (used > issueLimit || ready > at) {
            at = ready > at ? ready : at + CYCLE;
            used = 1;
          }
          issues[count] = at;
        }
        count++;
      }
      groups[group] = decode;
      seen[group] = waited;
    }
  }
}
