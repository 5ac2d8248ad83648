import { NOT_NOW } from "../cache/contract.js";
import { SlotKind } from "../loader/contract.js";
import * as rowBits from "../loader/decode/rows.js";
import { exponent } from "../numbers.js";
import { AccessPlace } from "./access-place.js";
import { RunStatus } from "./contract.js";
import * as base from "./core-base.js";
import { Cause, Count, levelIndex, TlbCount } from "./counters.js";
import { REP_UOPS, repFrame } from "./repeated.js";
import * as plan from "./timing-plan.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const { NO_PLAN, PLAN_BEHIND_SHIFT, PLAN_BYTES, PLAN_LINE_WORDS, PLAN_SAME_SLOT, PLAN_STORE } = plan;
const { DEVICE, RUN_AHEAD } = base;
const { LAST, LOAD, OFFSET_SHIFT, PAGE2, REP, ROW_WORDS, SIZE_MASK, SIZE_SHIFT, STORE } = rowBits;
const { Ops: OPS, FetchLines: FETCH_LINES, Splits: SPLITS, Slots: SLOTS, Uncached: UNCACHED } = Count;
const TLB_ACCESSES = TlbCount.Accesses;
const { Base: BASE, Fetch: FETCH, Load: LOAD_CAUSE, Store: STORE_CAUSE } = Cause;
const NOT_DONE = NOT_NOW;
const LINE_BYTES = 64;
/** Block executions that are classified (and predicted) at a time. */
const PREPARE = 32;

/** What an access that could not be done yet is for. */
const Op = { Fetch: 0, Load: 1, Store: 2 } as const;

/**
 * gem5's TimingSimpleCPU: one access outstanding, nothing overlapped. Each instruction fetches the aligned
 * chunks (`timingFetchBytes`) that it touches, one after the other, then does its accesses one after the
 * other (an access that touches two lines is two, a vector is accessed 8 bytes at a time); executing takes no time. So cycles are the sum of the
 * latencies of all accesses, which is exactly what gem5 reports.
 */
export class TimingCore extends base.CoreBase {
  private readonly chunkShift: number;
  /** Progress inside the block: row, instruction, steps done in this row, and chunks fetched. */
  private row = 0;
  private rowEnd = 0;
  private instr = 0;
  private chunks = 0;
  /** It touches two lines, and the first has been accessed. */
  private second = false;
  /** The access in progress walks, or has walked. */
  private walking = false;
  private inBlock = false;
  /** Of a Rep row: segment, segments, elements done in it, operand. */
  private segment = 0;
  private element = 0;
  private operand = 0;
  /** The last block that was classified; block executions in the buffer that are. */
  private previous = -1;
  private prepared = 0;
  private readonly place = new AccessPlace();
  private readonly planStart: Int32Array;
  private readonly plans: Int32Array;

  constructor(id: number, parts: base.CoreParts) {
    super(id, parts, 1);
    const { decoded, pages } = parts;
    this.chunkShift = exponent(parts.spec.core.timingFetchBytes);
    const { start, words } = plan.timingPlans(decoded, pages, this.chunkShift);
    this.planStart = start;
    this.plans = words;
  }

  protected override restart(): void {
    this.prepared = this.blk;
    this.previous = -1;
    this.inBlock = false;
  }

  override run(): RunStatus {
    const { buffer } = this;
    const { horizon } = this.port;
    for (;;) {
      if (buffer.count === this.blk && !buffer.ended) {
        this.prepared -= this.blk;
        buffer.refill(this.blk, this.addressAt);
        this.blk = 0;
        this.addressAt = 0;
        continue;
      }
      const limit = this.blockLimit();
      if (!this.inBlock && this.blk >= limit) {
        const status = this.boundary();
        if (status >= 0) {
          this.time = this.commitCycle;
          return status as RunStatus;
        }
        continue;
      }
      const from = this.blk;
      const done = this.blocks(limit, horizon);
      this.count(from, this.blk);
      if (!done) return RunStatus.Blocked;
    }
  }

  /** Executes up to block `limit` of the buffer. @returns false when it must wait; all progress is kept. */
  private blocks(limit: number, horizon: number): boolean {
    const { blocks } = this.buffer;
    while (this.inBlock || this.blk < limit) {
      const block = blocks[this.blk];
      if (!this.inBlock) {
        if (this.commitCycle > horizon + RUN_AHEAD) return this.blocked(this.commitCycle);
        if (this.prepared === this.blk) this.prepare();
        if (this.hits(block)) {
          this.blk++;
          continue;
        }
        this.enter(block);
      }
      if (!this.block(block, horizon)) return false;
      this.inBlock = false;
      this.blk++;
    }
    return true;
  }

  private prepare(): void {
    const { buffer, blk } = this;
    const to = Math.min(blk + PREPARE, buffer.count);
    this.prepared = this.control.prepare(buffer, blk, to, this.previous);
    if (this.prepared > blk) this.previous = buffer.blocks[this.prepared - 1];
  }

  /** Counts the committed block executions [from, to) of the buffer. */
  private count(from: number, to: number): void {
    this.countBlocks(from, to);
    const { uops } = this.decoded;
    const { blocks } = this.buffer;
    let sum = 0;
    for (let i = from; i < to; i++) sum += uops[blocks[i]];
    this.values[OPS] += sum;
  }

  /**
   * The short way: a block all of whose accesses hit in the L1s and the TLBs. Then their order among each other means
   * nothing. @returns false when it is not so; nothing has happened then.
   */
  private hits(block: number): boolean {
    const { plans, port, translation, frames } = this;
    const { itlb, dtlb } = translation;
    const { addresses } = this.buffer;
    const start = this.planStart[block];
    if (start === NO_PLAN) return false;
    const linesAt = start + 3;
    const accessesAt = linesAt + plans[start] * PLAN_LINE_WORDS;
    const accesses = plans[start + 1];
    let page = translation.lastIPage;
    for (let i = linesAt; i < accessesAt; i += PLAN_LINE_WORDS) {
      if (plans[i] !== page) {
        page = plans[i];
        if (!itlb.probe(page)) return false;
      }
      if (!port.fetchReady(plans[i + 1])) return false;
    }
    page = translation.lastDPage;
    let slot = this.addressAt;
    for (let i = 0; i < accesses; i++) {
      const what = plans[accessesAt + i];
      const address = addresses[slot] + ((what >> PLAN_BEHIND_SHIFT) & PLAN_BYTES);
      if ((address & (LINE_BYTES - 1)) + (what & PLAN_BYTES) > LINE_BYTES) return false;
      if (address >>> 12 !== page) {
        page = address >>> 12;
        if (!dtlb.probe(page)) return false;
      }
      if (frames[page] === DEVICE) return false;
      const line = frames[page] | ((address >>> 6) & 63);
      if (!port.dataReady(line, what >= PLAN_STORE)) return false;
      if ((what & PLAN_SAME_SLOT) === 0) slot++;
    }
    // All hit: now they happen.
    for (let i = linesAt; i < accessesAt; i += PLAN_LINE_WORDS) {
      if (plans[i] !== translation.lastIPage) translation.findInstruction(plans[i]);
      for (let chunk = plans[i + 2]; chunk > 0; chunk--) port.fetchHit(plans[i + 1]);
    }
    slot = this.addressAt;
    for (let i = 0; i < accesses; i++) {
      const what = plans[accessesAt + i];
      const address = addresses[slot] + ((what >> PLAN_BEHIND_SHIFT) & PLAN_BYTES);
      page = address >>> 12;
      if (page !== translation.lastDPage) translation.findData(page);
      const line = frames[page] | ((address >>> 6) & 63);
      if (what < PLAN_STORE) port.loadHit(line);
      else port.storeHit(line);
      if ((what & PLAN_SAME_SLOT) === 0) slot++;
    }
    const chunks = plans[start + 2];
    this.addressAt = slot;
    this.values[FETCH_LINES] += chunks;
    this.counters.itlb[TLB_ACCESSES] += chunks;
    this.counters.dtlb[TLB_ACCESSES] += accesses;
    this.spend(this.commitCycle + chunks * port.fetchHitLatency + accesses * port.dataHitLatency, BASE);
    return true;
  }

  private enter(block: number): void {
    this.row = this.decoded.rowStart[block];
    this.rowEnd = this.decoded.rowStart[block + 1];
    this.instr = this.decoded.instrStart[block];
    this.chunks = 0;
    this.inBlock = true;
  }

  /** @returns false when it must wait; all progress is kept. */
  private block(block: number, horizon: number): boolean {
    const { rows, instrLength, page, page2 } = this.decoded;
    while (this.row < this.rowEnd) {
      const word0 = rows[this.row];
      if (this.chunks >= 0) {
        if (
          !this.fetch(
            word0 & PAGE2 ? page2[block] : page[block],
            page2[block],
            instrLength[this.instr],
            word0 >>> OFFSET_SHIFT,
            horizon,
          )
        )
          return false;
        this.chunks = -1;
      }
      if (word0 & (LOAD | STORE)) {
        const pc = ((word0 & PAGE2 ? page2[block] : page[block]) << 12) | (word0 >>> OFFSET_SHIFT);
        if (!this.data(word0 & LOAD ? Op.Load : Op.Store, word0, rows[this.row + 2], pc, horizon))
          return false;
      } else if (word0 & REP) {
        const pc = ((word0 & PAGE2 ? page2[block] : page[block]) << 12) | (word0 >>> OFFSET_SHIFT);
        if (!this.rep((rows[this.row + 2] >> 16) & 15, (word0 >> SIZE_SHIFT) & SIZE_MASK, pc, horizon))
          return false;
      }
      if (word0 & LAST) {
        this.instr++;
        this.chunks = 0;
      }
      this.row += ROW_WORDS;
    }
    return true;
  }

  private fetch(page: number, page2: number, length: number, offset: number, horizon: number): boolean {
    const shift = this.chunkShift;
    const first = offset >> shift;
    const chunks = ((offset + length - 1) >> shift) - first + 1;
    while (this.chunks < chunks) {
      const at = (first + this.chunks) << shift;
      const inPage = at & 4095;
      if (!this.access(Op.Fetch, at > 4095 ? page2 : page, inPage, 0, horizon)) return false;
      this.values[FETCH_LINES]++;
      this.chunks++;
    }
    return true;
  }

  /** A load or store; one that touches two lines is two accesses. */
  private data(op: number, word0: number, word2: number, pc: number, horizon: number): boolean {
    const { place } = this;
    place.find(this.buffer.addresses, this.addressAt, word0, word2);
    if (!this.second) {
      if (!this.access(op, place.first >>> 12, place.first & 4095, pc, horizon)) return false;
      if (place.two) {
        this.values[SPLITS]++;
        this.second = true;
      }
    }
    if (this.second && !this.access(op, place.second >>> 12, place.second & 4095, pc, horizon)) return false;
    this.second = false;
    this.addressAt = place.next;
    return true;
  }

  private rep(kind: number, size: number, pc: number, horizon: number): boolean {
    const { addresses } = this.buffer;
    const two = kind === SlotKind.RepMove || kind === SlotKind.RepCompare;
    const words = two ? 3 : 2;
    const segments = addresses[this.addressAt];
    while (this.segment < segments) {
      const at = this.addressAt + 1 + this.segment * words;
      const count = addresses[at];
      const elements = Math.abs(count);
      while (this.element < elements) {
        // Addresses are those of the first iteration; a negative count goes down from there.
        const index = count < 0 ? -this.element : this.element;
        while (this.operand < words - 1) {
          const address = addresses[at + 1 + this.operand];
          const write = kind === SlotKind.RepStore || (kind === SlotKind.RepMove && this.operand === 1);
          const offset = Math.min(4095, (address & 4095) + index * size);
          if (!this.access(write ? Op.Store : Op.Load, address >>> 12, offset, pc, horizon)) return false;
          this.operand++;
        }
        this.operand = 0;
        this.element++;
        this.values[Count.RepElements]++;
        this.values[OPS] += REP_UOPS[kind];
      }
      this.element = 0;
      this.segment++;
    }
    this.segment = 0;
    this.values[OPS] += repFrame(segments);
    this.addressAt += 1 + segments * words;
    return true;
  }

  /** One access of one line, walk included; moves the time on. @returns false when it must wait. */
  private access(op: number, page: number, offset: number, pc: number, horizon: number): boolean {
    const { port, pages, translation, values } = this;
    const fetch = op === Op.Fetch;
    const line = (pages.ppn[page] << 6) | (offset >> 6);
    const virtualLine = (page << 6) | (offset >> 6);
    if (page !== (fetch ? translation.lastIPage : translation.lastDPage) || this.walking) {
      if (!this.translate(fetch, page, horizon)) return false;
    }
    const io = pages.io[page] !== 0;
    for (;;) {
      const now = this.commitCycle;
      if (io && now > horizon) return this.blocked(now);
      const done = io
        ? port.uncached(line, op === Op.Store, now)
        : fetch
          ? port.fetch(line, virtualLine, now)
          : op === Op.Load
            ? port.load(line, virtualLine, pc, now)
            : port.store(line, virtualLine, pc, now);
      if (done === NOT_DONE) {
        if (!this.later(now, horizon, Cause.Structural)) return false;
        continue;
      }
      const level = levelIndex(port.servedBy);
      this.spend(
        done,
        io
          ? Cause.Uncached
          : level === 0
            ? BASE
            : fetch
              ? FETCH + level
              : op === Op.Load
                ? LOAD_CAUSE + level
                : STORE_CAUSE,
      );
      if (io) values[UNCACHED]++;
      (fetch ? this.counters.itlb : this.counters.dtlb)[TLB_ACCESSES]++;
      this.walking = false;
      return true;
    }
  }

  private translate(fetch: boolean, page: number, horizon: number): boolean {
    const { translation } = this;
    const tlb = fetch ? translation.itlb : translation.dtlb;
    const counts = fetch ? this.counters.itlb : this.counters.dtlb;
    const walk = fetch ? translation.fetchWalk : translation.dataWalk;
    if (!this.walking) {
      if (tlb.lookup(page)) {
        if (fetch) translation.lastIPage = page;
        else translation.lastDPage = page;
        return true;
      }
      counts[TlbCount.Misses]++;
      walk.begin(page);
      this.walking = true;
    }
    while (!walk.over) {
      const now = this.commitCycle;
      const done = walk.proceed(now);
      if (done === NOT_DONE) {
        if (!this.later(now, horizon, fetch ? Cause.Itlb : Cause.Dtlb)) return false;
        continue;
      }
      counts[TlbCount.WalkCycles] += done - now;
      this.spend(done, fetch ? Cause.Itlb : Cause.Dtlb);
    }
    if (!tlb.probe(page)) tlb.fill(page);
    if (fetch) translation.lastIPage = page;
    else translation.lastDPage = page;
    return true;
  }

  private spend(until: number, cause: number): void {
    const { values } = this;
    values[SLOTS + cause] += until - this.commitCycle;
    this.commitCycle = until;
  }

  /** After NOT_NOW: waits for the time the port named when that is within the horizon. */
  private later(now: number, horizon: number, cause: number): boolean {
    const at = this.port.retryAt;
    if (at > now) this.spend(at, cause);
    return (at > now && at <= horizon) || this.blocked(Math.max(at, now));
  }

  private blocked(time: number): false {
    this.time = time;
    return false;
  }
}
