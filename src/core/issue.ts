import { NOT_NOW } from "../cache/contract.js";
import * as rowBits from "../loader/decode/rows.js";
import { Cause, Count, levelIndex } from "./counters.js";
import { Pending } from "./data-side.js";
import { Slot } from "./execute.js";
import * as rareCases from "./rare.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { CLASS_MASK, CROSSES, LAST, LOAD, SERIAL, SIZE_MASK, SIZE_SHIFT, SPLIT, STORE } = rowBits;
const { DEVICE, ANY, FRONT } = rareCases;
const ROW = rowBits.ROW_WORDS;
const MEM = rowBits.UopClass.Mem;
/** Upper half of word 1 of a micro-op with at most two sources. */
const NO_UPPER_SOURCES = rowBits.NO_REG * 257;
const SLOTS = Count.Slots;
const { Execute: EXECUTE, Dependency: DEPENDENCY, Structural: STRUCTURAL } = Cause;
const STORE_CAUSE = Cause.Store;
const LOAD_CAUSE = Cause.Load;
const { Latency: LATENCY, Relative: RELATIVE } = Slot;
const NOT_DONE = NOT_NOW;
const { Pending: RARE_PENDING, Again: AGAIN } = rareCases.Outcome;

/** Why execution came back. */
export const Left = {
  /** A line that is not there yet. */
  Dry: 0,
  /** The data side waits for its turn. */
  Pending: 1,
  /** At the block limit. */
  Boundary: 2,
  /** Far past the horizon. */
  Ahead: 3,
} as const;
const { Dry: DRY, Pending: PENDING, Boundary: BOUNDARY, Ahead: AHEAD } = Left;
/** Stores that a micro-op leaves behind when it commits. */
const Leaves = { Nothing: 0, Plain: 1, Odd: 2 } as const;
const { Nothing: NOTHING, Plain: PLAIN, Odd: ODD } = Leaves;

/**
 * Issue and commit of the pipeline: micro-op by micro-op, all equations of README.md from Fetch2 on. The
 * common micro-op is done in `execute` itself, which is kept small so that it is soon and well compiled;
 * what is rare is in methods.
 */
export abstract class IssueCommit extends rareCases.RareCases {
  // Row of the block in progress, its end, instruction number, that of the block's first.
  protected row = 0;
  protected rowEnd = 0;
  protected instr = 0;
  private firstInstr = 0;
  // Cycles, and what is used of them.
  private decodeCycle = -0;
  private decodeUsed = 0;
  protected issueCycle = -0;
  protected issueUsed = 0;
  protected issueMemory = 0;
  private commitMemory = 0;

  /** Executes until something is missing. `ahead`: latest cycle for L1 hits. */
  protected execute(ahead: number): number {
    const { buffer, data, units, fetch, pipeline, values, port, translation, frames, decoded } = this;
    const { rows, rowStart } = decoded;
    const { times, marks } = units;
    // `| 0` and `+` tell V8 what a number is; a local that it does not know is a tagged value, ten times slower.
    const mask = fetch.mask | 0;
    const queue = fetch.queue | 0;
    const issued = units.ringStart | 0;
    const leaves = (issued + units.ring) | 0;
    const { addresses, blocks } = buffer;
    const stores = data.stores;
    const free = data.outstanding.free;
    const decodeDelay = +pipeline.fetch2ToDecodeDelay;
    const executeDelay = +pipeline.decodeToExecuteDelay;
    const decodeWidth = pipeline.decodeWidth | 0;
    const issueLimit = pipeline.executeIssueLimit | 0;
    const memoryIssueLimit = pipeline.executeMemoryIssueLimit | 0;
    const commitLimit = pipeline.executeCommitLimit | 0;
    const memoryCommitLimit = pipeline.executeMemoryCommitLimit | 0;
    const assumed = +pipeline.memExtraAssumedLatency;
    const memoryLatency = +times[LATENCY + MEM];
    const limit = this.runLimit() | 0;
    let row = this.row | 0;
    let rowEnd = this.rowEnd | 0;
    let instr = this.instr | 0;
    let firstInstr = this.firstInstr | 0;
    let addressAt = this.addressAt | 0;
    let blk = this.blk | 0;
    let decodeCycle = +this.decodeCycle;
    let decodeUsed = this.decodeUsed | 0;
    let issueCycle = +this.issueCycle;
    let issueUsed = this.issueUsed | 0;
    let issueMemory = this.issueMemory | 0;
    let commitCycle = +this.commitCycle;
    let commitSlots = this.commitSlots | 0;
    let commitMemory = this.commitMemory | 0;
    let handed = fetch.handed | 0;
    let fetchCycle = +fetch.cycle;
    let fetchUsed = fetch.inCycle | 0;
    let uop = fetch.issuedCount | 0;
    let block = row < rowEnd ? blocks[blk] : 0;
    let left: number;
    /** The next instruction may be the first of its line whatever its row says. */
    let entering = true;
    /** Fetch2 is where execution is: it did not run ahead, or all it handed out then is executed. */
    let abreast = false;
    /** The micro-op in progress has been begun before. */
    let again = data.dirty;
    const firstBlk = blk;
    const firstUop = uop;
    for (;;) {
      if (row === rowEnd) {
        if (blk >= limit) {
          left = BOUNDARY;
          break;
        }
        if (issueCycle > ahead) {
          left = AHEAD;
          break;
        }
        block = blocks[blk];
        row = rowStart[block];
        rowEnd = rowStart[block + 1];
        firstInstr = instr;
        entering = true;
      }
      const word0 = rows[row];
      if (instr === handed) {
        // Fetch2 hands it out.
        abreast = true;
        let at = fetchCycle;
        let first = -1;
        if (entering || (word0 & CROSSES) !== 0) {
          fetch.cycle = fetchCycle;
          at = +fetch.enter(blk, (word0 & CROSSES) !== 0, commitCycle);
          if (at < 0) {
            left = DRY;
            break;
          }
          entering = false;
          first = fetch.first | 0;
        }
        const room = times[issued + ((uop - queue) & mask)] + 1;
        if (room > at) at = room;
        if (at > fetchCycle) {
          fetchCycle = at;
          fetchUsed = 1;
        } else if (fetchUsed < decodeWidth) fetchUsed++;
        else {
          fetchCycle++;
          fetchUsed = 1;
        }
        times[leaves + (instr & mask)] = fetchCycle;
        marks[leaves + (instr & mask)] = first;
        handed = (instr + 1) | 0;
      }
      const word1 = rows[row + 1];
      const klass = word0 & CLASS_MASK;
      // Decode: `decodeWidth` a cycle, after Fetch2.
      let dCycle = times[leaves + (instr & mask)] + decodeDelay;
      let dUsed = 1;
      if (dCycle <= decodeCycle) {
        dCycle = decodeCycle;
        dUsed = decodeUsed + 1;
        if (dUsed > decodeWidth) {
          dCycle++;
          dUsed = 1;
        }
      }
      // Issue.
      let why: number = EXECUTE;
      let at = issueCycle;
      if (issueUsed >= issueLimit || issueMemory >= memoryIssueLimit) at++;
      if (dCycle + executeDelay > at) {
        at = dCycle + executeDelay;
        why = FRONT;
      }
      const early = times[RELATIVE + klass];
      let source = word1 & 255;
      if (times[source] - early > at) {
        at = times[source] - early;
        why = marks[source];
      }
      source = (word1 >>> 8) & 255;
      if (times[source] - early > at) {
        at = times[source] - early;
        why = marks[source];
      }
      if (word1 >>> 16 !== NO_UPPER_SOURCES) {
        source = (word1 >>> 16) & 255;
        if (times[source] - early > at) {
          at = times[source] - early;
          why = marks[source];
        }
        source = word1 >>> 24;
        if (times[source] - early > at) {
          at = times[source] - early;
          why = marks[source];
        }
      }
      const held = marks[RELATIVE + klass];
      if (times[held] > at) {
        at = times[held];
        why = STRUCTURAL;
      }
      let unit = -1;
      if (marks[LATENCY + klass] !== 0) {
        unit = this.freeUnit(klass) | 0;
        if (units.free[unit] > at) {
          at = units.free[unit];
          why = STRUCTURAL;
        }
      }
      let commit: number;
      let done: number;
      let doneBlame: number = DEPENDENCY;
      let next = addressAt;
      let leaving: number = NOTHING;
      if ((word0 & (LOAD | STORE | SERIAL)) === 0) {
        commit = at + times[LATENCY + klass];
        done = commit;
      } else {
        let address = 0;
        let page = 0;
        if ((word0 & (LOAD | STORE)) !== 0) {
          address = addresses[addressAt];
          page = address >>> 12;
        }
        if (
          again ||
          (word0 & (SERIAL | SPLIT)) !== 0 ||
          (address & 63) + ((word0 >> SIZE_SHIFT) & SIZE_MASK) > 64 ||
          frames[page] === DEVICE
        ) {
          // Not the common case.
          const outcome = this.rare(word0, row, block, addressAt, at, why, commitCycle);
          if (outcome === RARE_PENDING) {
            left = PENDING;
            break;
          }
          again = data.dirty;
          if (outcome === AGAIN) continue;
          at = +this.at;
          why = this.why | 0;
          commit = +this.commit;
          done = +this.done;
          doneBlame = this.doneBlame | 0;
          next = this.next | 0;
          if ((word0 & STORE) !== 0) leaving = ODD;
        } else {
          if (page !== translation.lastDPage && !data.translate(page, 0, at + memoryLatency)) {
            left = PENDING;
            break;
          }
          next = addressAt + 1;
          if ((word0 & LOAD) !== 0) {
            if (stores.earliest <= at + memoryLatency && !stores.drain(at + memoryLatency, ANY)) {
              data.pending = Pending.Stores;
              left = PENDING;
              break;
            }
            let slot = 0;
            for (let i = 1; i < free.length; i++) if (free[i] < free[slot]) slot = i;
            if (free[slot] > at + memoryLatency) {
              at = free[slot] - memoryLatency;
              why = STRUCTURAL;
              if (stores.left !== stores.taken) {
                // Stores may leave before; they take slots too.
                data.floor = at + memoryLatency;
                data.dirty = again = true;
                continue;
              }
            }
            done = +port.load(frames[page] | ((address >>> 6) & 63), address >>> 6, 0, at + memoryLatency);
            if (done === NOT_DONE) {
              this.waitForLoad(word0, block, address, at + memoryLatency);
              left = PENDING;
              break;
            }
            free[slot] = done;
            commit = at + memoryLatency;
            const served = port.servedBy | 0;
            if (done > commit) {
              if (served !== 0 && done - at > memoryLatency + assumed)
                why = LOAD_CAUSE + (levelIndex(served) | 0);
              commit = done;
            }
            if (at + memoryLatency + assumed > done) done = at + memoryLatency + assumed;
            else if (served !== 0) doneBlame = LOAD_CAUSE + (levelIndex(served) | 0);
          } else {
            if (!stores.known(1) && !stores.drain(at, stores.size - 1)) {
              data.pending = Pending.Stores;
              left = PENDING;
              break;
            }
            const room = +stores.freeAt(1);
            if (room > at) {
              at = room;
              why = STORE_CAUSE;
            }
            commit = at + memoryLatency + 1;
            done = at + memoryLatency;
            leaving = PLAIN;
          }
        }
      }
      // All is known: nothing below fails. Commit in order.
      decodeCycle = dCycle;
      decodeUsed = dUsed;
      if (at > issueCycle) {
        issueCycle = at;
        issueUsed = 1;
        issueMemory = 0;
      } else issueUsed++;
      times[issued + (uop & mask)] = at;
      uop = (uop + 1) | 0;
      if (unit >= 0) units.free[unit] = at + units.issueLatency[klass];
      const memory = klass === MEM;
      if (memory) issueMemory++;
      if (commit <= commitCycle) {
        if (commitSlots < commitLimit && !(memory && commitMemory >= memoryCommitLimit)) commitSlots++;
        else {
          if (commitSlots < commitLimit) values[SLOTS + STRUCTURAL] += commitLimit - commitSlots;
          commitCycle++;
          commitSlots = 1;
          commitMemory = 0;
        }
        commit = commitCycle;
      } else {
        const lost = (commit - commitCycle) * commitLimit - commitSlots;
        if (lost > 0) {
          if (why === FRONT || again) this.blame(lost, why, marks[leaves + (instr & mask)]);
          else values[SLOTS + why] += lost;
        }
        commitCycle = commit;
        commitSlots = 1;
        commitMemory = 0;
      }
      if (again) {
        data.reset();
        again = false;
      }
      if (memory) {
        commitMemory++;
        times[held] = commit - memoryLatency;
      } else times[held] = commit;
      marks[RELATIVE + klass] = marks[held];
      const word2 = rows[row + 2];
      times[word2 & 255] = done;
      marks[word2 & 255] = doneBlame;
      times[(word2 >>> 8) & 255] = done;
      marks[(word2 >>> 8) & 255] = doneBlame;
      if (leaving !== NOTHING) {
        if (leaving === PLAIN) {
          const address = addresses[addressAt];
          stores.push(frames[address >>> 12] | ((address >>> 6) & 63), address >>> 6, 0, false, commit);
        } else this.pushOdd(word0, block, addressAt, commit);
      }
      if ((word0 & SERIAL) !== 0 && commit > issueCycle) {
        issueCycle = commit;
        issueUsed = issueMemory = 0;
      }
      addressAt = next;
      row += ROW;
      if ((word0 & LAST) !== 0) {
        instr = (instr + 1) | 0;
        if (row === rowEnd) blk++;
      }
    }
    if (abreast) {
      // Fetch goes on from here.
      let uops = uop;
      if (handed !== instr) {
        for (let at = row; (rows[at] & LAST) === 0; at += ROW) uops++;
        uops = (uops + 1) | 0;
      }
      fetch.cycle = fetchCycle;
      fetch.inCycle = fetchUsed;
      fetch.handed = handed;
      if (row === rowEnd) fetch.follow(blk - 1, 0, 0, uops);
      else {
        const start = decoded.instrStart[block];
        fetch.follow(blk, start + ((handed - firstInstr) | 0), decoded.instrStart[block + 1], uops);
        // The limits apply once more before the block is begun.
        if (left === DRY && instr === firstInstr) row = rowEnd;
      }
    }
    fetch.issuedCount = uop;
    this.row = row;
    this.rowEnd = rowEnd;
    this.instr = instr;
    this.firstInstr = firstInstr;
    this.addressAt = addressAt;
    this.blk = blk;
    this.decodeCycle = decodeCycle;
    this.decodeUsed = decodeUsed;
    this.issueCycle = issueCycle;
    this.issueUsed = issueUsed;
    this.issueMemory = issueMemory;
    this.commitCycle = commitCycle;
    this.commitSlots = commitSlots;
    this.commitMemory = commitMemory;
    const done = (uop - firstUop) | 0;
    values[Count.Ops] += done;
    values[SLOTS + Cause.Base] += done;
    if (blk !== firstBlk) this.countBlocks(firstBlk, blk);
    return left;
  }

  /** As `blockLimit`, and while there is more to come, as many blocks as fetch may want to see stay in the buffer. */
  private runLimit(): number {
    const limit = this.blockLimit();
    const { buffer } = this;
    return buffer.ended ? limit : Math.min(limit, buffer.count - this.lookahead);
  }
}
