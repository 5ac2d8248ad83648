import { NOT_NOW } from "../cache/contract.js";
import * as record from "../loader/decode/records.js";
import * as rowBits from "../loader/decode/rows.js";
import * as flow from "./control-flow.js";
import * as base from "./core-base.js";
import { Cause, Count, levelIndex } from "./counters.js";
import { Pending } from "./data-side.js";
import * as fetching from "./fetch-unit.js";
import * as rareCases from "./rare.js";
import * as stamps from "./scoreboard.js";
import { Covers, Room } from "./store-buffer.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { CLASS_MASK, CROSSES, LAST, LOAD, PIECE, SERIAL, SIZE_MASK, SIZE_SHIFT, SPLIT, STORE } = rowBits;
const { ROW_WORDS } = rowBits;
const { DEVICE } = base;
const { CYCLE, TIME, BLAME, FRONT, CYCLE_SHIFT } = stamps;
const { RECORD_SHIFT } = record;
const { Row: ROW, RowEnd: ROW_END } = record.R;
const MEM = rowBits.UopClass.Mem;
const ACCESS = LOAD | STORE;
const UNCOMMON = SERIAL | SPLIT | PIECE;
/** Upper half of word 1 of a micro-op with at most two sources. */
const NO_UPPER_SOURCES = rowBits.NO_REG * 257;
const SLOTS = Count.Slots;
const { Execute: EXECUTE, Dependency: DEPENDENCY, Structural: STRUCTURAL } = Cause;
const STORE_CAUSE = Cause.Store;
const LOAD_CAUSE = Cause.Load;
const {
  Latency: LATENCY,
  Early: EARLY,
  Oldest: OLDEST,
  Free: FREE,
  Busy: BUSY,
  Lost: LOST,
  Seen: SEEN,
  Transfers: TRANSFERS,
  Requests: REQUESTS,
  LastStore: LAST_STORE,
} = stamps.At;
const { WAY_MASK, WRONG_PATH } = flow;
const NOT_DONE = NOT_NOW;
const NOT_THERE = fetching.NOT_THERE;
const { Pending: RARE_PENDING, Again: AGAIN } = rareCases.Outcome;
const PENDING_STORES = Pending.Stores;
const { Nothing: UNCOVERED, All: COVERED, Part: PARTLY } = Covers;
const { NotYet: NO_ROOM_YET } = Room;
const FORWARDED = Count.Forwarded;

/** Why execution came back. */
export const Left = {
  /** A line or an access lies beyond the horizon. */
  Blocked: 0,
  /** At the block limit. */
  Boundary: 1,
  /** Far past the horizon. */
  Ahead: 2,
} as const;
const { Blocked: BLOCKED, Boundary: BOUNDARY, Ahead: AHEAD } = Left;
/** Stores that a micro-op leaves behind when it commits. */
const Leaves = { Nothing: 0, Plain: 1, Odd: 2 } as const;
const { Nothing: NOTHING, Plain: PLAIN, Odd: ODD } = Leaves;
/** No line begins at the instruction. */
const NO_SEGMENT = -1;
/** A micro-op that takes so many cycles moves the base at once: stamps have room for twice REBASE_AT. */
const FAR = stamps.REBASE_AT >> (CYCLE_SHIFT + 2);

/**
 * Issue and commit of the pipeline: micro-op by micro-op, all equations of README.md from Fetch2 on. The
 * common micro-op is done in `execute` itself; what is rare is in methods. Times are stamps (scoreboard.ts);
 * where the host's branch predictor would have to guess, maxima and conditions are computed, not branched on:
 * `a - ((a - b) & ((a - b) >> 31))` is the larger of two, `x >> 31` is -1 where x is negative and else 0.
 */
export abstract class IssueCommit extends rareCases.RareCases implements fetching.Execution {
  // Row of the block in progress, its end, instruction number.
  row = 0;
  rowEnd = 0;
  instr = 0;
  // The instruction in progress: has it been handed out and begun? When it left Fetch2, line segment it is the first of.
  begun = false;
  left2 = 0;
  private segment = NO_SEGMENT;
  /** Block before the one in progress or next. */
  private previous = 0;
  // Stamps, and what is used of their cycles; of decode both in one.
  decode = 0;
  issue = 0;
  protected issueUsed = 0;
  protected issueMemory = 0;
  /** Issue as the front end sees it, and when the last memory micro-op left the requests queue. */
  protected shown = 0;
  private lastSent = 0;
  private commitMemory = 0;
  /** `commitCycle` as a stamp. */
  protected commitStamp = 0;

  /** The base of stamps moves on by whole cycles. */
  protected moveBase(cycles: number): void {
    this.tellLost();
    this.board.rebase(cycles);
    this.data.stores.rebase(cycles);
    this.fetch.rebase(cycles);
    this.left2 = stamps.rebased(this.left2, cycles);
    this.decode = stamps.rebased(this.decode, cycles);
    this.issue = stamps.rebased(this.issue, cycles);
    this.shown = stamps.rebased(this.shown, cycles);
    this.lastSent = stamps.rebased(this.lastSent, cycles);
    this.commitStamp = stamps.rebased(this.commitStamp, cycles);
  }

  /** Tells the counters of the slots lost. */
  protected tellLost(): void {
    const { values } = this;
    const { words } = this.board;
    for (let cause = 0; cause < FRONT; cause++) {
      if (words[LOST + cause] !== 0) values[SLOTS + cause] += words[LOST + cause];
      words[LOST + cause] = 0;
    }
    values[SLOTS + Cause.Frontend] += words[LOST + FRONT];
    words[LOST + FRONT] = 0;
  }

  /** Executes until something is missing. `ahead`: latest stamp for L1 hits. */
  protected execute(ahead: number): number {
    const { board, buffer, data, fetch, pipeline, port, translation, frames, decoded } = this;
    const { rows, records } = decoded;
    const { words } = board;
    const { addresses, blocks, how } = buffer;
    const { leaves, segmentOf } = fetch;
    const stores = data.stores;
    const free = data.outstanding.free;
    // `| 0` tells V8 what a number is.
    const mask = fetch.mask | 0;
    const queue = fetch.queue | 0;
    const issuedAt = board.issuedAt | 0;
    const nextOffset = board.nextOffset | 0;
    const scarce = board.scarce | 0;
    const several = board.several | 0;
    const decodeDelay = (pipeline.fetch2ToDecodeDelay * CYCLE + 1) | 0;
    const executeDelay = (pipeline.decodeToExecuteDelay * CYCLE + FRONT) | 0;
    const decodeWidth = pipeline.decodeWidth | 0;
    const issueLimit = pipeline.executeIssueLimit | 0;
    const memoryIssueLimit = pipeline.executeMemoryIssueLimit | 0;
    const commitLimit = pipeline.executeCommitLimit | 0;
    const memoryCommitLimit = pipeline.executeMemoryCommitLimit | 0;
    const assumed = (pipeline.memExtraAssumedLatency * CYCLE) | 0;
    const memoryLatency = words[LATENCY + MEM] | 0;
    const hitLatency = (port.dataHitLatency * CYCLE) | 0;
    const refetch = fetch.microBranches | 0;
    const limit = this.runLimit() | 0;
    let row = this.row | 0;
    let rowEnd = this.rowEnd | 0;
    let instr = this.instr | 0;
    let addressAt = this.addressAt | 0;
    let blk = this.blk | 0;
    let decode = this.decode | 0;
    let issue = this.issue | 0;
    let issueUsed = this.issueUsed | 0;
    let issueMemory = this.issueMemory | 0;
    let shown = this.shown | 0;
    let lastSent = this.lastSent | 0;
    let commitAt = board.stamp(this.commitCycle) | 0;
    let commitSlots = this.commitSlots | 0;
    let commitMemory = this.commitMemory | 0;
    let handed = fetch.handed | 0;
    let position = fetch.position | 0;
    let uop = fetch.issuedCount | 0;
    let begun = this.begun;
    let left2 = this.left2 | 0;
    let segment = this.segment | 0;
    let previous = this.previous | 0;
    let block = row < rowEnd ? blocks[blk] : previous;
    let left: number;
    /** The next instruction may be the first of its line whatever its row says. */
    let entering = true;
    /** Fetch2 is where execution is: it did not run ahead, or all it handed out then is executed. */
    let abreast = false;
    /** The micro-op in progress has been begun before. */
    let again = data.dirty;
    const firstBlk = blk;
    const firstUop = uop;
    program: for (;;) {
      if (row === rowEnd) {
        if (blk >= limit) {
          left = BOUNDARY;
          break;
        }
        if (shown > ahead) {
          left = AHEAD;
          break;
        }
        previous = block;
        block = blocks[blk];
        row = records[(block << RECORD_SHIFT) | ROW];
        rowEnd = records[(block << RECORD_SHIFT) | ROW_END];
        entering = true;
      }
      let word0 = rows[row];
      if (!begun) {
        if (instr === handed) {
          // Fetch2 hands it out.
          abreast = true;
          let at = words[issuedAt + ((uop - queue) & mask)] + CYCLE;
          segment = NO_SEGMENT;
          if (entering || (word0 & CROSSES) !== 0) {
            fetch.position = position;
            fetch.decode = decode;
            fetch.issue = issue;
            fetch.issuedCount = uop;
            let line = fetch.enter(blk, word0, commitAt) | 0;
            if (line === NOT_THERE) {
              do {
                if (!this.serveFetch()) {
                  left = BLOCKED;
                  break program;
                }
                line = fetch.enter(blk, word0, commitAt) | 0;
              } while (line === NOT_THERE);
            }
            entering = false;
            segment = fetch.first | 0;
            at = at - ((at - line) & ((at - line) >> 31));
          }
          at |= 1;
          position++;
          if ((position & BLAME) > decodeWidth) position = (position & TIME) + CYCLE + 1;
          position = position - ((position - at) & ((position - at) >> 31));
          left2 = position & TIME;
          handed = (instr + 1) | 0;
        } else {
          left2 = leaves[instr & mask] | 0;
          segment = segmentOf[instr & mask];
        }
        begun = true;
        if (segment >= 0) {
          // Decode has worked through the wrong path before.
          if (WRONG_PATH[how[blk] & WAY_MASK] !== 0 && row === records[(block << RECORD_SHIFT) | ROW])
            decode = fetch.wrongDecoded | 0;
        }
      }
      // Its micro-ops.
      instruction: for (;;) {
        for (;;) {
          const word1 = rows[row + 1];
          const klass = word0 & CLASS_MASK;
          // Sources.
          let at = words[word1 & 255];
          let other = words[(word1 >>> 8) & 255];
          at = at - ((at - other) & ((at - other) >> 31));
          if (word1 >>> 16 !== NO_UPPER_SOURCES) {
            other = words[(word1 >>> 16) & 255];
            at = at - ((at - other) & ((at - other) >> 31));
            other = words[word1 >>> 24];
            at = at - ((at - other) & ((at - other) >> 31));
          }
          at = at - words[EARLY + klass];
          // The functional unit: seldom waited for.
          const oldest = words[OLDEST + klass];
          other = words[oldest];
          if (other > at) at = other;
          if (((scarce >> klass) & 1) !== 0) {
            other = words[FREE + klass];
            if (other > at) at = other;
          }
          // Decode: `decodeWidth` a cycle, after Fetch2.
          let slot = decode + 1;
          if ((slot & BLAME) > decodeWidth) slot = (slot & TIME) + CYCLE + 1;
          other = left2 + decodeDelay;
          if (other > slot) slot = other;
          other = (slot & TIME) + executeDelay;
          if (other > at) at = other;
          // Issue: the cycle in progress, or the next where that is full. Last, since the next micro-op waits for it.
          const room = ((issueUsed - issueLimit) & (issueMemory - memoryIssueLimit)) >> 31;
          other = (issue + (CYCLE & ~room)) | EXECUTE;
          at = at - ((at - other) & ((at - other) >> 31));
          let unit = -1;
          if (((several >> klass) & 1) !== 0) {
            unit = board.firstFree(klass) | 0;
            if (board.free[unit] > at) at = board.free[unit];
          }
          let commit: number;
          let done: number;
          let next = addressAt;
          let leaving: number = NOTHING;
          // Of memory micro-ops: when it leaves the functional unit, and the requests queue, and what came of that.
          let push = 0;
          let sent = 0;
          let gate = 0;
          let why = at & BLAME;
          if (klass !== MEM && (word0 & SERIAL) === 0) {
            commit = (at & TIME) + words[LATENCY + klass];
            done = commit | DEPENDENCY;
          } else {
            push = at + memoryLatency;
            if (klass === MEM) {
              // What its operands need has committed.
              other = words[SEEN + (word1 & 255)];
              if (other > push) push = other;
              other = words[SEEN + ((word1 >>> 8) & 255)];
              if (other > push) push = other;
              if (word1 >>> 16 !== NO_UPPER_SOURCES) {
                other = words[SEEN + ((word1 >>> 16) & 255)];
                if (other > push) push = other;
                other = words[SEEN + (word1 >>> 24)];
                if (other > push) push = other;
              }
              other = words[words[REQUESTS]];
              if (other > push) push = other;
            }
            // The queues in order, room in the transfers queue; a load: no store in it.
            sent = push;
            other = words[words[TRANSFERS]];
            if ((word0 & LOAD) !== 0 && words[LAST_STORE] > other) other = words[LAST_STORE];
            if (lastSent > other) other = lastSent;
            if (other > (sent & TIME)) sent = ((other & TIME) + CYCLE) | STRUCTURAL;
            let address = 0;
            let frame = 0;
            if ((word0 & ACCESS) !== 0) {
              address = addresses[addressAt];
              frame = frames[address >>> 12];
            }
            if (
              again ||
              (word0 & UNCOMMON) !== 0 ||
              (address & 63) + ((word0 >> SIZE_SHIFT) & SIZE_MASK) > 64 ||
              frame === DEVICE
            ) {
              // Not the common case.
              let front = push;
              if (lastSent > front) front = lastSent + CYCLE;
              if (shown + CYCLE > front) front = shown + CYCLE;
              const outcome = this.rare(word0, row, block, addressAt, at, front, sent, commitAt);
              if (outcome === RARE_PENDING) {
                break;
              }
              again = data.dirty;
              if (outcome === AGAIN) continue;
              next = this.next | 0;
              if ((word0 & STORE) !== 0) leaving = ODD;
              if (this.commit - board.cycle(commitAt) > FAR) {
                // All that was before is long ago, seen from there.
                this.values[SLOTS + this.why] +=
                  (this.commit - board.cycle(commitAt)) * commitLimit - commitSlots;
                const cycles = this.commit - board.base - 1;
                this.moveBase(cycles);
                slot = stamps.rebased(slot, cycles) | 0;
                issue = stamps.rebased(issue, cycles) | 0;
                shown = stamps.rebased(shown, cycles) | 0;
                lastSent = stamps.rebased(lastSent, cycles) | 0;
                push = stamps.rebased(push, cycles) | 0;
                position = stamps.rebased(position, cycles) | 0;
                left2 = stamps.rebased(left2, cycles) | 0;
                ahead = stamps.rebased(ahead, cycles) | 0;
                commitAt = 0;
                commitSlots = commitLimit;
              }
              why = this.why;
              at = board.stamp(this.at) | 0;
              sent = board.stamp(this.sent) | 0;
              gate = board.stamp(this.gate) | 0;
              if ((word0 & SERIAL) !== 0) push = sent;
              commit = board.stamp(this.commit) | 0;
              done = board.stamp(this.done) | DEPENDENCY;
            } else {
              why = sent & BLAME;
              sent &= TIME;
              done = ((at & TIME) + memoryLatency + assumed) | DEPENDENCY;
              const page = address >>> 12;
              const line = frame | ((address >>> 6) & 63);
              if (page !== translation.lastDPage && !translation.findData(page)) {
                let front = push & TIME;
                if (lastSent > front) front = lastSent + CYCLE;
                if (shown + CYCLE > front) front = shown + CYCLE;
                data.walkFor(page, 0, board.cycle(front));
                break;
              }
              next = (addressAt + 1) | 0;
              if ((word0 & LOAD) !== 0) {
                let covered: number = UNCOVERED;
                if (stores.empty > sent) {
                  covered = stores.covers(sent, line, address & 63, (word0 >> SIZE_SHIFT) & SIZE_MASK, true);
                  if (covered > COVERED) {
                    this.waitForStore(covered);
                    if (covered === PARTLY) {
                      again = true;
                      continue;
                    }
                    break;
                  }
                }
                if (covered === COVERED) {
                  this.values[FORWARDED]++;
                  commit = sent;
                } else {
                  let entry = 0;
                  for (let i = 1; i < free.length; i++) if (free[i] < free[entry]) entry = i;
                  if (free[entry] > sent) {
                    if (stores.left !== stores.taken) {
                      // Stores may leave before; they take slots too.
                      data.hold(board.cycle(free[entry]), STRUCTURAL);
                      again = true;
                      continue;
                    }
                    sent = free[entry];
                    why = STRUCTURAL;
                  }
                  if (port.loadHit(line)) commit = sent + hitLatency;
                  else {
                    const end = +port.load(line, address >>> 6, this.pc(word0, block), board.cycle(sent));
                    if (end === NOT_DONE) {
                      this.waitForLoad(word0, block, address, board.cycle(sent), why);
                      break;
                    }
                    commit = board.stamp(end) | 0;
                    const served = port.servedBy | 0;
                    if (served !== 0 && commit > sent + assumed) why = LOAD_CAUSE + levelIndex(served);
                  }
                  free[entry] = commit;
                }
                gate = sent;
              } else {
                commit = gate = sent;
                other = words[LAST_STORE] & TIME;
                if (other > gate) gate = other;
                if (!stores.roomy) {
                  const room = stores.room(gate, commitAt) | 0;
                  if (room === NO_ROOM_YET) {
                    data.pending = PENDING_STORES;
                    break;
                  }
                  gate = room;
                  if (room > commitAt && room > sent) {
                    commit = room;
                    why = STORE_CAUSE;
                  }
                }
                leaving = PLAIN;
              }
            }
          }
          // All is known: nothing below fails.
          decode = slot;
          at &= TIME;
          const later = (issue - at) >> 31;
          const memory = ((klass ^ MEM) - 1) >> 31;
          issue = at;
          issueUsed = (issueUsed & ~later) + 1;
          issueMemory = (issueMemory & ~later) - memory;
          if (at > shown) shown = at;
          if (memory !== 0) {
            lastSent = sent;
            if (gate - CYCLE > shown) shown = gate - CYCLE;
            const ring = words[REQUESTS];
            words[ring] = sent | STRUCTURAL;
            words[REQUESTS] = words[ring + nextOffset];
          }
          words[issuedAt + (uop & mask)] = shown;
          uop = (uop + 1) | 0;
          if (((scarce >> klass) & 1) !== 0) words[FREE + klass] = at + words[BUSY + klass];
          if (unit >= 0) board.free[unit] = (at + board.issueLatency[klass]) | STRUCTURAL;
          // Commit in order: with others in the cycle of the last one, in the next where that is full, or later.
          const waits = (commitAt - commit) >> 31;
          const fits = ((commitSlots - commitLimit) & ((commitMemory - memoryCommitLimit) | ~memory)) >> 31;
          const full = ~waits & ~fits;
          const moved = waits | full;
          const newCommit = commitAt + ((commit - commitAt) & waits) + (CYCLE & full);
          const lost = (((newCommit - commitAt) >> CYCLE_SHIFT) * commitLimit - commitSlots) & moved;
          if (again || segment >= 0) {
            if (lost !== 0) this.blame(lost, full !== 0 ? STRUCTURAL : why, segment);
            segment = NO_SEGMENT;
            if (again) {
              data.reset();
              again = false;
            }
          } else words[LOST + ((why & ~full) | (STRUCTURAL & full))] += lost;
          commitAt = newCommit;
          commitSlots = (commitSlots & ~moved) + 1;
          commitMemory = (commitMemory & ~moved) - memory;
          // Memory micro-ops leave their unit for the requests queue, others when they commit.
          words[oldest] = ((commitAt & ~memory) + (push & memory & TIME)) | STRUCTURAL;
          words[OLDEST + klass] = words[oldest + nextOffset];
          if (memory !== 0) {
            // The first to commit in its cycle is seen by what is pushed in that cycle.
            const seen = commitAt | (commitSlots > 1 ? 1 : 0);
            const ring = words[TRANSFERS];
            words[ring] = seen;
            words[TRANSFERS] = words[ring + nextOffset];
            if ((word0 & STORE) !== 0) words[LAST_STORE] = seen;
          }
          const word2 = rows[row + 2];
          words[word2 & 255] = done;
          words[(word2 >>> 8) & 255] = done;
          // What commits last in its cycle is seen in the next.
          other = (commitAt + (CYCLE & ~((commitSlots - commitLimit) >> 31))) | DEPENDENCY;
          words[SEEN + (word2 & 255)] = other;
          words[SEEN + ((word2 >>> 8) & 255)] = other;
          if (leaving !== NOTHING) {
            if (leaving === PLAIN) {
              const address = addresses[addressAt];
              stores.push(
                frames[address >>> 12] | ((address >>> 6) & 63),
                address >>> 6,
                this.pc(word0, block),
                commitAt,
                address & 63,
                (word0 >> SIZE_SHIFT) & SIZE_MASK,
              );
            } else this.pushOdd(word0, row, block, addressAt, commitAt);
          }
          if (((word0 & SERIAL) | (word2 & refetch)) !== 0) {
            if ((word0 & SERIAL) !== 0 && commitAt > issue) {
              issue = shown = commitAt;
              issueUsed = issueMemory = 0;
            }
            // The rest of the instruction is fetched anew.
            if ((word2 & refetch) !== 0) left2 = (commitAt + this.wayBack) | 0;
          }
          addressAt = next;
          row = (row + ROW_WORDS) | 0;
          if ((word0 & LAST) !== 0) break instruction;
          word0 = rows[row];
        }
        // The data side has to wait for its turn. It comes, and the micro-op is looked at once more.
        if (abreast) this.handOver(blk, row, rowEnd, uop, true, position, handed);
        abreast = false;
        this.keep(row, rowEnd, instr, begun, left2, decode, issue, uop);
        if (!this.serveData(blk, commitAt)) {
          left = BLOCKED;
          break program;
        }
        position = fetch.position | 0;
        handed = fetch.handed | 0;
        entering = true;
        again = data.dirty;
      }
      begun = false;
      instr = (instr + 1) | 0;
      if (row === rowEnd) blk = (blk + 1) | 0;
    }
    if (abreast) {
      this.handOver(blk, row, rowEnd, uop, begun, position, handed);
      // The limits apply once more before the block is begun.
      if (!begun && left === BLOCKED && row === records[(block << RECORD_SHIFT) | ROW]) {
        row = rowEnd;
        block = previous;
      }
    }
    this.keep(row, rowEnd, instr, begun, left2, decode, issue, uop);
    this.segment = segment;
    this.previous = row === rowEnd ? block : previous;
    this.addressAt = addressAt;
    this.blk = blk;
    this.issueUsed = issueUsed;
    this.issueMemory = issueMemory;
    this.shown = shown;
    this.lastSent = lastSent;
    this.commitStamp = commitAt;
    this.commitCycle = board.cycle(commitAt);
    this.commitSlots = commitSlots;
    this.commitMemory = commitMemory;
    const committed = (uop - firstUop) | 0;
    this.values[Count.Ops] += committed;
    this.values[SLOTS + Cause.Base] += committed;
    if (blk !== firstBlk) this.countBlocks(firstBlk, blk);
    return left;
  }

  /** Serves what fetch waits for, and what comes before it. @returns false when that lies beyond the horizon. */
  protected abstract serveFetch(): boolean;
  /** Serves what the data side waits for, and what comes before it. @returns false when that lies beyond the horizon. */
  protected abstract serveData(blk: number, commit: number): boolean;

  /** Writes down where execution is, for who looks from outside: micro-op `uop`, which comes next. */
  private keep(
    row: number,
    rowEnd: number,
    instr: number,
    begun: boolean,
    left2: number,
    decode: number,
    issue: number,
    uop: number,
  ): void {
    this.row = row;
    this.rowEnd = rowEnd;
    this.instr = instr;
    this.begun = begun;
    this.left2 = left2;
    this.decode = decode;
    this.issue = issue;
    this.fetch.issuedCount = uop;
  }

  /** Fetch goes on by itself from where execution is: in the instruction at `row`, if it is `begun`, else before it. */
  private handOver(
    blk: number,
    row: number,
    rowEnd: number,
    uop: number,
    begun: boolean,
    position: number,
    handed: number,
  ): void {
    const { fetch } = this;
    fetch.position = position;
    fetch.handed = handed;
    if (row === rowEnd) {
      fetch.follow(blk - 1, row, row, uop);
      return;
    }
    let at = row;
    let uops = uop;
    if (begun) {
      const { rows } = this.decoded;
      for (; (rows[at] & LAST) === 0; at += ROW_WORDS) uops++;
      at += ROW_WORDS;
      uops++;
    }
    fetch.follow(blk, at, rowEnd, uops | 0);
  }

  /** As `blockLimit`, and while there is more to come, as many blocks as fetch may want to see stay in the buffer. */
  private runLimit(): number {
    const limit = this.blockLimit();
    const { buffer } = this;
    return buffer.ended ? limit : Math.min(limit, buffer.count - this.lookahead);
  }
}
