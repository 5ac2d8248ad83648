import { NOT_NOW } from "../cache/contract.js";
import {
  CLASS_MASK,
  COUNT_WORDS,
  LAST,
  LOAD,
  NO_REG,
  OFFSET_SHIFT,
  PAGE2,
  REP,
  ROW_WORDS,
  SERIAL,
  SIZE_MASK,
  SIZE_SHIFT,
  SPLIT,
  STORE,
  UopClass,
} from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import { RunStatus } from "./contract.js";
import { CLOSED, CoreBase, type CoreParts, RUN_AHEAD } from "./core-base.js";
import { Cause, Count, levelIndex, TlbCount } from "./counters.js";
import { DataSide, Pending } from "./data-side.js";
import { Units } from "./execute.js";
import { FetchUnit, Waiting } from "./fetch-unit.js";
import { Way } from "./control-flow.js";

/** Why execution came back. */
const Left = {
  /** Nothing handed out by fetch. */
  Dry: 0,
  /** The data side waits for its turn. */
  Pending: 1,
  /** At the block limit. */
  Boundary: 2,
  /** Far past the horizon. */
  Ahead: 3,
} as const;

/** Stands for "the front end" until the slots are blamed on what the front end waited for. */
const FRONT = 255;
/** Upper half of word 1 of a micro-op with at most two sources. */
const NO_UPPER_SOURCES = NO_REG * 257;

/**
 * In-order pipeline after gem5's MinorCPU. Executes micro-op by micro-op, computing times, never ticking;
 * README.md gives the equations. The fetch unit runs decoupled ahead; whatever leaves the L1s takes its turn
 * in order of time: ports are closed (horizon CLOSED) except for the one request whose turn it is.
 */
export class PipelineCore extends CoreBase {
  private readonly pipeline: PipelineSpec;
  private readonly units: Units;
  private readonly fetch: FetchUnit;
  private readonly data: DataSide;
  // Execution: row of the block in progress, instruction number, cycles and what is used of them.
  private row = 0;
  private rowEnd = 0;
  private instr = 0;
  private decodeCycle = 0;
  private decodeUsed = 0;
  private issueCycle = 0;
  private issueUsed = 0;
  private issueMemory = 0;
  private commitMemory = 0;
  /** Blocks that must be in the buffer so that fetch can see as far as it may run ahead. */
  private readonly lookahead: number;

  constructor(id: number, parts: CoreParts) {
    super(id, parts, parts.spec.core.pipeline.executeCommitLimit);
    this.pipeline = parts.spec.core.pipeline;
    const p = this.pipeline;
    this.lookahead =
      (p.decodeInputBuffer + p.executeInputBuffer) * p.decodeWidth + (p.fetch2InputBuffer + p.fetchLimit + 2) * 64;
    this.units = new Units(this.pipeline);
    this.data = new DataSide(this.pipeline, parts, this.translation, this.counters);
    this.fetch = new FetchUnit(
      this.pipeline,
      this.buffer,
      this.decoded,
      this.pages,
      this.translation,
      this.port,
      this.control,
      this.values,
      this.counters.itlb,
    );
  }

  protected override restart(): void {
    this.row = this.rowEnd = 0;
    if (this.issueCycle < this.commitCycle) {
      this.issueCycle = this.commitCycle;
      this.issueUsed = this.issueMemory = 0;
    }
    this.fetch.restart(this.blk, this.commitCycle);
    this.instr = this.fetch.handed;
  }

  override run(): RunStatus {
    const { port } = this;
    const horizon = port.horizon;
    port.horizon = CLOSED;
    const status = this.loop(horizon);
    port.horizon = horizon;
    this.settle();
    return status;
  }

  private loop(horizon: number): RunStatus {
    const { buffer, data, fetch, lookahead } = this;
    // Left with something pending: that comes first.
    if (data.pending !== Pending.Nothing) {
      fetch.runAhead(this.blk, this.commitCycle);
      do {
        if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
        fetch.runAhead(this.blk, this.commitCycle);
      } while (data.pending !== Pending.Nothing);
    }
    for (;;) {
      if (buffer.count - this.blk < lookahead && !buffer.ended) this.refill();
      const left = this.execute(horizon + RUN_AHEAD);
      if (left === Left.Dry) {
        if (fetch.run(this.blk, this.commitCycle)) continue;
        if (fetch.waiting === Waiting.Nothing) this.stuck();
        if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
        fetch.run(this.blk, this.commitCycle);
      } else if (left === Left.Pending) {
        // What fetch asks for before the miss goes first.
        fetch.runAhead(this.blk, this.commitCycle);
        if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
      } else if (left === Left.Boundary) {
        if (this.blk === buffer.count && !buffer.ended) continue;
        const status = this.boundary();
        if (status < 0) continue;
        // All that is before is done in order of time, also what has committed but not left yet.
        if (status !== RunStatus.Position && data.stores.taken !== data.stores.left) {
          this.eventKind = 0;
          fetch.runAhead(this.blk, this.commitCycle);
          if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
          continue;
        }
        this.time = this.commitCycle;
        return status as RunStatus;
      } else {
        fetch.runAhead(this.blk, this.commitCycle);
        const next = this.earliest(this.issueCycle + 1);
        if (next > horizon) {
          if (next > this.time) this.time = next;
          return RunStatus.Blocked;
        }
        if (!this.turn(horizon, this.issueCycle + 1)) return RunStatus.Blocked;
      }
      // The data side's requests one after the other; fetch's among them.
      while (data.pending !== Pending.Nothing) {
        const segments = fetch.waiting;
        if (!this.turn(horizon, Number.POSITIVE_INFINITY)) return RunStatus.Blocked;
        if (fetch.waiting !== segments) fetch.runAhead(this.blk, this.commitCycle);
      }
    }
  }

  private refill(): void {
    const { blk } = this;
    this.buffer.refill(blk, this.addressAt);
    this.fetch.rebase(blk);
    this.addressAt = 0;
    this.blk = 0;
  }

  /** Time of the first thing that waits for its turn, or `bound` when that is earlier. */
  private earliest(bound: number): number {
    const { fetch, data } = this;
    let at = bound;
    data.stores.schedule();
    if (data.stores.next < at) at = data.stores.next;
    if (data.pending > Pending.Stores && data.pendingTime < at) at = data.pendingTime;
    if (fetch.waiting !== Waiting.Nothing && fetch.waitTime < at) at = fetch.waitTime;
    return at;
  }

  /**
   * Does the one request whose turn it is: the earliest; at equal times stores before loads before fetch.
   * @returns false when it lies beyond the horizon, `time` says where.
   */
  private turn(horizon: number, bound: number): boolean {
    const { fetch, data, port } = this;
    const at = this.earliest(bound);
    if (at > this.time) this.time = at;
    if (at > horizon) return false;
    port.horizon = horizon;
    let done: boolean;
    let next: number;
    if (data.stores.next === at) {
      done = data.stores.leave();
      if (!done) data.stores.putOff(Math.max(at, port.retryAt));
      else if (data.pending === Pending.Stores) data.pending = Pending.Nothing;
      next = data.stores.next;
    } else if (data.pending > Pending.Stores && data.pendingTime === at) {
      done = data.proceed();
      next = data.pendingTime;
    } else {
      done = fetch.proceed();
      next = fetch.waitTime;
    }
    port.horizon = CLOSED;
    // Put off to a later time: that time takes part in the order. Else only another horizon helps.
    return done || next > at;
  }

  private stuck(): never {
    throw new Error(
      `cpu${this.id}: no progress at cycle ${this.commitCycle}: block execution ${this.position} of the stream, ` +
        `row ${this.row}/${this.rowEnd}, instruction ${this.instr}/${this.fetch.handed}, ` +
        `stores ${this.data.stores.taken - this.data.stores.left}, ${this.fetch.describe()}`,
    );
  }

  /** Executes until something is missing. `ahead`: latest cycle for L1 hits. */
  private execute(ahead: number): number {
    const { buffer, data, units, fetch, pipeline, values, port, translation } = this;
    const { rows, rowStart, page, page2, counts } = this.decoded;
    const { latency, relative, limited, ready, blame, hold, holdAt, holdNext } = units;
    const { leaves, issued, mask } = fetch;
    const { ppn, io } = this.pages;
    const { addresses, blocks } = buffer;
    const stores = data.stores;
    const free = data.outstanding.free;
    const handed = fetch.handed;
    const decodeDelay = pipeline.fetch2ToDecodeDelay;
    const decodeWidth = pipeline.decodeWidth;
    const executeDelay = pipeline.decodeToExecuteDelay;
    const issueLimit = pipeline.executeIssueLimit;
    const memoryIssueLimit = pipeline.executeMemoryIssueLimit;
    const commitLimit = pipeline.executeCommitLimit;
    const memoryCommitLimit = pipeline.executeMemoryCommitLimit;
    const assumed = pipeline.memExtraAssumedLatency;
    const memoryLatency = latency[UopClass.Mem];
    const limit = this.blockLimit();
    let { row, rowEnd, instr, addressAt, blk } = this;
    let { decodeCycle, decodeUsed, issueCycle, issueUsed, issueMemory, commitCycle, commitSlots, commitMemory } = this;
    let uop = fetch.issuedCount;
    let block = row < rowEnd ? blocks[blk] : 0;
    let left: number;
    let insts = 0;
    let kernelInsts = 0;
    let loads = 0;
    let storeCount = 0;
    const firstBlk = blk;
    const firstUop = uop;
    for (;;) {
      if (row === rowEnd) {
        if (blk >= limit) {
          left = Left.Boundary;
          break;
        }
        if (issueCycle > ahead) {
          left = Left.Ahead;
          break;
        }
        if (instr === handed) {
          left = Left.Dry;
          break;
        }
        block = blocks[blk];
        row = rowStart[block];
        rowEnd = rowStart[block + 1];
      }
      if (instr === handed) {
        left = Left.Dry;
        break;
      }
      const word0 = rows[row];
      const word1 = rows[row + 1];
      const klass = word0 & CLASS_MASK;
      // Decode: `decodeWidth` a cycle, after Fetch2.
      let dCycle = leaves[instr & mask] + decodeDelay;
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
      let why: number = Cause.Execute;
      let at = issueCycle;
      if (issueUsed >= issueLimit || issueMemory >= memoryIssueLimit) at++;
      if (dCycle + executeDelay > at) {
        at = dCycle + executeDelay;
        why = FRONT;
      }
      const early = relative[klass];
      let source = word1 & 255;
      if (ready[source] - early > at) {
        at = ready[source] - early;
        why = blame[source];
      }
      source = (word1 >>> 8) & 255;
      if (ready[source] - early > at) {
        at = ready[source] - early;
        why = blame[source];
      }
      if (word1 >>> 16 !== NO_UPPER_SOURCES) {
        source = (word1 >>> 16) & 255;
        if (ready[source] - early > at) {
          at = ready[source] - early;
          why = blame[source];
        }
        source = word1 >>> 24;
        if (ready[source] - early > at) {
          at = ready[source] - early;
          why = blame[source];
        }
      }
      const held = holdAt[klass];
      if (hold[held] > at) {
        at = hold[held];
        why = Cause.Structural;
      }
      let unit = -1;
      if (limited[klass] !== 0) {
        unit = this.freeUnit(klass);
        if (units.free[unit] > at) {
          at = units.free[unit];
          why = Cause.Structural;
        }
      }
      if ((word0 & SERIAL) !== 0) {
        if (commitCycle > at) {
          at = commitCycle;
          why = Cause.Serialise;
        }
        if (!stores.drain(at, 0)) {
          data.pending = Pending.Stores;
          left = Left.Pending;
          break;
        }
        const drained = stores.doneAt();
        if (drained > at) {
          at = drained;
          why = Cause.Store;
        }
      }
      let commit = at + latency[klass];
      let done = commit;
      let doneBlame: number = Cause.Dependency;
      let storePage = -1;
      let storeOffset = 0;
      let next = addressAt;
      if ((word0 & (LOAD | STORE)) !== 0) {
        const address = addresses[addressAt];
        const dataPage = address >>> 12;
        next = addressAt + ((word0 & SPLIT) !== 0 ? 2 : 1);
        const size = (word0 >> SIZE_SHIFT) & SIZE_MASK;
        const crosses = (word0 & SPLIT) !== 0 || (address & 63) + size > 64;
        if (data.floor > at + memoryLatency) {
          at = data.floor - memoryLatency;
          why = data.floorCause;
        }
        const device = io[dataPage] !== 0;
        if (dataPage !== translation.lastDPage || crosses || device) {
          // Not the common case: pages, device accesses, second halves.
          if (!data.translate(dataPage, 0, at + memoryLatency)) {
            left = Left.Pending;
            break;
          }
          if ((word0 & SPLIT) !== 0 && !data.translate(addresses[addressAt + 1] >>> 12, 1, at + memoryLatency)) {
            left = Left.Pending;
            break;
          }
        }
        if ((word0 & LOAD) !== 0) {
          let served: number;
          if (data.granted >= 0) {
            // Its turn has been; the time is that of the turn.
            if (data.grantedTime > at + memoryLatency) at = data.grantedTime - memoryLatency;
            done = data.granted;
            served = data.grantedLevel;
          } else {
            if (stores.left !== stores.taken && !stores.drain(at + memoryLatency, 1 << 30)) {
              data.pending = Pending.Stores;
              left = Left.Pending;
              break;
            }
            let slot = 0;
            for (let i = 1; i < free.length; i++) if (free[i] < free[slot]) slot = i;
            if (free[slot] > at + memoryLatency) {
              at = free[slot] - memoryLatency;
              why = Cause.Structural;
              if (stores.left !== stores.taken) {
                // Stores may leave before; they take slots too.
                data.floor = at + memoryLatency;
                data.floorCause = Cause.Structural;
                data.dirty = true;
                continue;
              }
            }
            const pc = ((word0 & PAGE2 ? page2[block] : page[block]) << 12) | (word0 >>> OFFSET_SHIFT);
            const line = (ppn[dataPage] << 6) | ((address >>> 6) & 63);
            if (device) done = NOT_NOW;
            else done = port.load(line, address >>> 6, pc, at + memoryLatency);
            if (done === NOT_NOW) {
              data.wait(Pending.Load, device, line, address >>> 6, pc, at + memoryLatency);
              left = Left.Pending;
              break;
            }
            served = levelIndex(port.servedBy);
            free[slot] = done;
          }
          if (crosses) {
            const second = (word0 & SPLIT) !== 0 ? addresses[addressAt + 1] : (address | 63) + 1;
            const pc = ((word0 & PAGE2 ? page2[block] : page[block]) << 12) | (word0 >>> OFFSET_SHIFT);
            const end = data.secondHalf(second, pc, at + memoryLatency + 1, done, served);
            if (end < 0) {
              left = Left.Pending;
              break;
            }
            done = end;
            served = data.secondLevel;
          }
          commit = at + memoryLatency;
          if (done > commit) {
            if (served !== 0 && done - at > memoryLatency + assumed) why = Cause.Load + served;
            else if (device) why = Cause.Uncached;
            commit = done;
          }
          if (at + memoryLatency + assumed > done) done = at + memoryLatency + assumed;
          else if (served !== 0) doneBlame = Cause.Load + served;
        } else {
          const entries = crosses ? 2 : 1;
          if (!stores.known(entries)) {
            if (!stores.drain(at, Math.max(0, stores.size - entries))) {
              data.pending = Pending.Stores;
              left = Left.Pending;
              break;
            }
          }
          const room = stores.freeAt(entries);
          if (room > at) {
            at = room;
            why = Cause.Store;
          }
          commit = at + memoryLatency + 1;
          storePage = dataPage;
          storeOffset = address & 4095;
        }
      } else if ((word0 & REP) !== 0) {
        const pc = ((word0 & PAGE2 ? page2[block] : page[block]) << 12) | (word0 >>> OFFSET_SHIFT);
        const end = data.rep(addresses, addressAt, (rows[row + 2] >> 16) & 15, (word0 >> SIZE_SHIFT) & SIZE_MASK, pc, at + memoryLatency);
        if (end < 0) {
          left = Left.Pending;
          break;
        }
        next = data.repNext;
        commit = done = end;
        why = Cause.Microcode;
      } else {
        commit = done = at + latency[klass];
      }
      // All is known: nothing below fails. Commit in order.
      decodeCycle = dCycle;
      decodeUsed = dUsed;
      if (at > issueCycle) {
        issueCycle = at;
        issueUsed = 1;
        issueMemory = 0;
      } else issueUsed++;
      issued[uop & mask] = at;
      uop++;
      if (unit >= 0) units.free[unit] = at + units.issueLatency[klass];
      const memory = klass === UopClass.Mem;
      if (memory) issueMemory++;
      if (commit <= commitCycle) {
        if (commitSlots < commitLimit && !(memory && commitMemory >= memoryCommitLimit)) commitSlots++;
        else {
          if (commitSlots < commitLimit) values[Count.Slots + Cause.Structural] += commitLimit - commitSlots;
          commitCycle++;
          commitSlots = 1;
          commitMemory = 0;
        }
        commit = commitCycle;
      } else {
        const lost = (commit - commitCycle) * commitLimit - commitSlots;
        if (lost > 0) {
          if (why === FRONT) this.blameFront(lost, fetch.segmentOf[instr & mask]);
          else if (data.walked > 0) this.blameWalk(lost, why);
          else values[Count.Slots + why] += lost;
        }
        commitCycle = commit;
        commitSlots = 1;
        commitMemory = 0;
      }
      if (data.dirty) data.reset();
      if (memory) commitMemory++;
      hold[held] = memory ? commit - memoryLatency : commit;
      holdAt[klass] = holdNext[held];
      const word2 = rows[row + 2];
      ready[word2 & 255] = done;
      blame[word2 & 255] = doneBlame;
      ready[(word2 >>> 8) & 255] = done;
      blame[(word2 >>> 8) & 255] = doneBlame;
      if (storePage >= 0) {
        const pc = ((word0 & PAGE2 ? page2[block] : page[block]) << 12) | (word0 >>> OFFSET_SHIFT);
        stores.push((ppn[storePage] << 6) | (storeOffset >> 6), (storePage << 6) | (storeOffset >> 6), pc, io[storePage] !== 0, commit);
        if ((word0 & SPLIT) !== 0 || (storeOffset & 63) + ((word0 >> SIZE_SHIFT) & SIZE_MASK) > 64) {
          const second = (word0 & SPLIT) !== 0 ? addresses[addressAt + 1] : ((storePage << 12) | storeOffset | 63) + 1;
          stores.push((ppn[second >>> 12] << 6) | ((second >>> 6) & 63), second >>> 6, pc, io[second >>> 12] !== 0, commit);
          values[Count.Splits]++;
        }
      }
      if ((word0 & SERIAL) !== 0 && commit > issueCycle) {
        issueCycle = commit;
        issueUsed = issueMemory = 0;
      }
      addressAt = next;
      row += ROW_WORDS;
      if ((word0 & LAST) !== 0) {
        instr++;
        if (row === rowEnd) {
          const words = block * COUNT_WORDS;
          insts += counts[words];
          kernelInsts += counts[words + 1];
          loads += counts[words + 2];
          storeCount += counts[words + 3];
          blk++;
        }
      }
    }
    this.row = row;
    this.rowEnd = rowEnd;
    this.instr = instr;
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
    fetch.issuedCount = uop;
    values[Count.Blocks] += blk - firstBlk;
    this.position += blk - firstBlk;
    values[Count.Insts] += insts;
    values[Count.KernelInsts] += kernelInsts;
    values[Count.Loads] += loads;
    values[Count.Stores] += storeCount;
    values[Count.Ops] += uop - firstUop;
    values[Count.Slots + Cause.Base] += uop - firstUop;
    return left;
  }

  private freeUnit(klass: number): number {
    const { unitBase, free } = this.units;
    let best = unitBase[klass];
    for (let i = best + 1; i < unitBase[klass + 1]; i++) if (free[i] < free[best]) best = i;
    return best;
  }

  /** Slots lost to the front end go to what it waited for: the miss, the walk, then the redirect. */
  private blameFront(lost: number, segment: number): void {
    const { values, fetch, slotsPerCycle } = this;
    if (segment < 0) {
      values[Count.Slots + Cause.Frontend] += lost;
      return;
    }
    const n = segment & fetch.mask;
    let rest = lost;
    const miss = Math.min(rest, fetch.segmentMiss[n] * slotsPerCycle);
    if (miss > 0) {
      values[Count.Slots + Cause.Fetch + fetch.segmentLevel[n]] += miss;
      rest -= miss;
    }
    const walk = Math.min(rest, fetch.segmentWalk[n] * slotsPerCycle);
    values[Count.Slots + Cause.Itlb] += walk;
    rest -= walk;
    const way = fetch.segmentWay[n];
    const cause =
      way === Way.Mispredict
        ? Cause.Mispredict
        : way === Way.Interrupt
          ? Cause.Interrupt
          : way === Way.System || way === Way.Start
            ? Cause.Serialise
            : Cause.Frontend;
    values[Count.Slots + cause] += rest;
  }

  /** A walk's share of the lost slots, then the rest. */
  private blameWalk(lost: number, why: number): void {
    const { values, data, slotsPerCycle } = this;
    const walk = Math.min(lost, data.walked * slotsPerCycle);
    values[Count.Slots + Cause.Dtlb] += walk;
    values[Count.Slots + why] += lost - walk;
  }

  protected override settle(): void {
    super.settle();
    const { values } = this;
    this.counters.dtlb[TlbCount.Accesses] =
      values[Count.Loads] + values[Count.Stores] + values[Count.Splits] + this.data.repAccesses;
  }
}
