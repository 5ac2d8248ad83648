import { type CorePort, NOT_NOW } from "../cache/contract.js";
import type { PageTable } from "../loader/contract.js";
import { type DecodedTable, NEWLINE, UOPS_MASK } from "../loader/decode/rows.js";
import type { PipelineSpec } from "../machine/spec.js";
import { type ControlFlow, NEW_LINE, WAY_MASK, Way } from "./control-flow.js";
import { Count, levelIndex, TlbCount } from "./counters.js";
import type { Units } from "./execute.js";
import { WALK_LEVELS } from "./page-tables.js";
import type { StreamBuffer } from "./stream-buffer.js";
import type { Translation } from "./translation.js";

/** Block executions that are classified (and predicted) at a time. */
const PREPARE = 32;

/** Entries of the rings by number of instruction, micro-op and segment. */
export function ringSize(spec: PipelineSpec): number {
  const queue = (spec.decodeInputBuffer + spec.executeInputBuffer) * spec.decodeWidth;
  return 2 ** Math.ceil(Math.log2(queue + spec.fetch2InputBuffer + spec.fetchLimit + 16));
}

/** What the unit's request is that waits for its turn in the order of shared accesses. */
export const Waiting = { Nothing: 0, Line: 1, Walk: 2, Device: 3 } as const;

/**
 * Fetch1 and Fetch2: which cycle each instruction leaves Fetch2. It works ahead of execution as far as its
 * queues let it: it fetches line after line (`lines`), and hands out instructions (`instructions`). Both stop
 * at the first thing that is not known yet: a redirect, an issue time, a line, or leave to miss.
 * Equations: README.md.
 */
export class FetchUnit {
  /** By instruction number & mask: cycle it leaves Fetch2; line segment if it is the first of one, else -1. */
  private readonly leaves: Float64Array;
  private readonly segmentOf: Int32Array;
  /** By micro-op number & mask: issue cycle. Written by execution. */
  private readonly issued: Float64Array;
  readonly mask: number;
  /** Instructions handed out since the start. */
  handed = 0;
  /** Micro-ops issued since the start. Written by execution. */
  issuedCount = 0;
  /** By segment & mask, for accounting: way it was got to, level that served, cycles beyond a hit, cycles of walk. */
  readonly segmentWay: Uint8Array;
  readonly segmentLevel: Uint8Array;
  readonly segmentMiss: Float64Array;
  readonly segmentWalk: Float64Array;
  /** What waits, and for which cycle. */
  waiting: number = Waiting.Nothing;
  waitTime = -0;
  /** Classified block executions in the buffer. */
  prepared = 0;

  // Fetch1: block execution and line of it that comes next.
  private lineBlk = -1;
  private line = 0;
  private lineEnd = 0;
  private lineWay = 0;
  private previous = -1;
  private segments = 0;
  private readonly response: Float64Array;
  private readonly available: Float64Array;
  private readonly popped: Float64Array;
  private poppedCount = 0;
  private request = -0;
  private walkStep = 0;
  private page = 0;
  private inPage = 0;
  private startCycle = -0;
  /** Cycle in which Fetch2 is, and instructions handed out in it. Execution hands out by itself what it needs at once. */
  cycle = -0;
  inCycle = 0;
  /** After `enter`: segment the instruction is the first of, or -1. */
  first = -1;
  // Fetch2: block execution, instruction in it, micro-ops before it, segment it reads.
  private blk = -1;
  private instr = 0;
  private instrEnd = 0;
  private uops = 0;
  private segment = -1;
  private need = false;
  private crossed = false;

  /** Execution's block and last commit, of the last `run`. */
  private executing = 0;
  private commit = -0;

  private readonly width: number;
  /** Micro-ops between Fetch2 and issue. */
  readonly queue: number;
  private readonly fetchLimit: number;
  private readonly lineBuffer: number;
  private readonly lineDelay: number;
  private readonly feedback: number;

  constructor(
    spec: PipelineSpec,
    private readonly buffer: StreamBuffer,
    private readonly decoded: DecodedTable,
    private readonly pages: PageTable,
    private readonly translation: Translation,
    private readonly port: CorePort,
    private readonly control: ControlFlow,
    private readonly values: Float64Array,
    private readonly itlb: Float64Array,
    units: Units,
  ) {
    this.width = spec.decodeWidth;
    this.queue = (spec.decodeInputBuffer + spec.executeInputBuffer) * spec.decodeWidth;
    this.fetchLimit = spec.fetchLimit;
    this.lineBuffer = spec.fetch2InputBuffer;
    this.lineDelay = spec.fetch1ToFetch2Delay;
    this.feedback = spec.branchFeedbackDelay;
    const size = units.ring;
    this.mask = size - 1;
    const { times, marks, ringStart } = units;
    this.issued = times.subarray(ringStart, ringStart + size);
    this.leaves = times.subarray(ringStart + size);
    this.segmentOf = marks.subarray(ringStart + size);
    this.segmentWay = new Uint8Array(size);
    this.segmentLevel = new Uint8Array(size);
    this.segmentMiss = new Float64Array(size);
    this.segmentWalk = new Float64Array(size);
    this.response = new Float64Array(size).fill(-1);
    this.available = new Float64Array(size);
    this.popped = new Float64Array(size);
  }

  /** Begins anew at block execution `blk`, which execution is at, in cycle `now`. */
  restart(blk: number, now: number): void {
    this.lineBlk = blk - 1;
    this.line = this.lineEnd = 0;
    this.previous = -1;
    this.prepared = blk;
    this.poppedCount = this.segments;
    this.segment = this.segments - 1;
    this.startCycle = now;
    this.blk = blk - 1;
    this.instr = this.instrEnd = 0;
    this.need = false;
    this.crossed = false;
    this.uops = this.issuedCount;
    this.cycle = Math.max(this.cycle, now);
    this.inCycle = this.width;
    this.waiting = Waiting.Nothing;
  }

  /** The buffer dropped its first `blocks` blocks, which are all executed. */
  rebase(blocks: number): void {
    if (this.lineBlk < blocks - 1) {
      // Blocks that needed no line of their own.
      this.lineBlk = blocks - 1;
      this.line = this.lineEnd = 0;
    }
    this.lineBlk -= blocks;
    this.blk -= blocks;
    this.prepared -= blocks;
  }

  /**
   * Hands out instructions as far as it can. `blk`, `commit`: execution's block, and the cycle of its last
   * commit. @returns whether there are any new ones.
   */
  run(blk: number, commit: number): boolean {
    const { handed } = this;
    this.executing = blk;
    this.commit = commit;
    this.instructions();
    return this.handed !== handed;
  }

  /** Runs as far as it can, and asks for the lines after that: what waits then is its next miss. */
  runAhead(blk: number, commit: number): boolean {
    const more = this.run(blk, commit);
    // A line that is asked for early is not handed out earlier: nothing new for `instructions`.
    if (this.waiting === Waiting.Nothing) this.lines(blk, commit);
    return more;
  }

  /**
   * Execution hands out the next instruction itself: all before are issued. Finds the line it ends in.
   * `blk`: its block, `more`: it ends in a line after the one before. @returns the cycle from which it can
   * leave as far as lines are concerned, or -1 when a line is not there yet.
   */
  enter(blk: number, more: boolean, commit: number): number {
    const { available, popped } = this;
    const mask = this.mask | 0;
    const cycle = +this.cycle;
    this.executing = blk;
    this.commit = commit;
    if (this.blk !== blk) {
      if (blk >= this.prepared) this.prepare(this.prepared);
      this.blk = blk;
      if (this.buffer.how[blk] & NEW_LINE) this.need = true;
    }
    // Not handed out yet.
    this.instr = -1;
    let segment = this.segment | 0;
    let first = -1;
    let at = cycle;
    if (this.need) {
      if (segment >= 0) {
        popped[segment & mask] = cycle;
        this.poppedCount = segment + 1;
      }
      if (segment + 1 >= this.segments && segment + 1 >= this.moreLines()) return -1;
      this.segment = ++segment;
      this.need = false;
      this.crossed = true;
    }
    if (this.crossed) {
      first = segment;
      if (available[segment & mask] > at) at = available[segment & mask];
    }
    if (more) {
      popped[segment & mask] = Math.max(cycle, available[segment & mask]);
      this.poppedCount = segment + 1;
      if (segment + 1 >= this.segments && segment + 1 >= this.moreLines()) return -1;
      this.segment = ++segment;
      first = segment;
      if (available[segment & mask] > at) at = available[segment & mask];
    }
    this.crossed = false;
    this.first = first;
    return at;
  }

  /** Execution has handed out by itself: up to instruction `instr` of block `blk`, `uops` micro-ops since the start. */
  follow(blk: number, instr: number, instrEnd: number, uops: number): void {
    this.blk = blk;
    this.instr = instr;
    this.instrEnd = instrEnd;
    this.uops = uops;
  }

  private lines(blk: number, commit: number): void {
    const { buffer, decoded } = this;
    const mask = this.mask | 0;
    for (;;) {
      while (this.line === this.lineEnd) {
        const next = this.lineBlk + 1;
        if (next >= this.prepared && !this.prepare(next)) return;
        this.lineBlk = next;
        const way = buffer.how[next];
        this.lineWay = way & WAY_MASK;
        this.lineEnd = decoded.lines[buffer.blocks[next]];
        this.line = way & NEW_LINE ? 0 : 1;
      }
      const n = this.segments;
      let request = this.response[(n - this.fetchLimit) & mask] + 1;
      if (n >= this.lineBuffer) {
        if (this.poppedCount <= n - this.lineBuffer) return;
        const free = this.popped[(n - this.lineBuffer) & mask];
        if (free > request) request = free;
      }
      let way: number = Way.Next;
      if (this.line === 0 && this.lineWay !== Way.Next) {
        way = this.lineWay;
        let redirect: number;
        if (way === Way.Predicted) {
          // Fetch2 must have handed out the branch.
          if (this.blk < this.lineBlk - 1 || (this.blk === this.lineBlk - 1 && this.instr !== this.instrEnd))
            return;
          redirect = +this.cycle + this.feedback;
        } else if (way === Way.Start) redirect = +this.startCycle;
        else {
          if (blk !== this.lineBlk) return;
          redirect = commit + this.feedback;
        }
        if (redirect > request) request = redirect;
      }
      const block = buffer.blocks[this.lineBlk];
      const at = decoded.firstLine[block] + this.line;
      this.page = at > 63 ? decoded.page2[block] : decoded.page[block];
      this.inPage = at & 63;
      this.request = request;
      this.segmentWay[n & mask] = way;
      this.segmentWalk[n & mask] = 0;
      if (!this.begin(request)) return;
    }
  }

  private prepare(next: number): boolean {
    const to = Math.min(next + PREPARE, this.buffer.count);
    this.prepared = this.control.prepare(this.buffer, next, to, this.previous);
    if (this.prepared > next) this.previous = this.buffer.blocks[this.prepared - 1];
    return this.prepared > next;
  }

  private begin(now: number): boolean {
    const { translation, page } = this;
    this.values[Count.FetchLines]++;
    this.itlb[TlbCount.Accesses]++;
    if (page !== translation.lastIPage) {
      if (!translation.itlb.lookup(page)) {
        this.itlb[TlbCount.Misses]++;
        this.waiting = Waiting.Walk;
        this.waitTime = now;
        this.walkStep = 0;
        return false;
      }
      translation.lastIPage = page;
    }
    return this.ask(now);
  }

  private ask(now: number): boolean {
    const { page, inPage } = this;
    let done: number = NOT_NOW;
    if (this.pages.io[page] === 0 || this.waiting === Waiting.Device) {
      const line = (this.pages.ppn[page] << 6) | inPage;
      done =
        this.waiting === Waiting.Device
          ? this.port.uncached(line, false, now)
          : this.port.fetch(line, (page << 6) | inPage, now);
    }
    if (done === NOT_NOW) {
      this.waiting = this.pages.io[page] ? Waiting.Device : Waiting.Line;
      this.waitTime = now;
      return false;
    }
    const n = this.segments & this.mask;
    const level = levelIndex(this.port.servedBy);
    this.waiting = Waiting.Nothing;
    this.response[n] = done;
    this.available[n] = done + this.lineDelay;
    this.segmentLevel[n] = level;
    this.segmentMiss[n] = level === 0 ? 0 : done - now;
    this.segments++;
    this.line++;
    return true;
  }

  /**
   * The waiting request's turn has come: the port is open. @returns false when the port put it off; then
   * `waitTime` is when to try again.
   */
  proceed(): boolean {
    const { port, translation, page } = this;
    const now = this.waitTime;
    if (this.waiting !== Waiting.Walk) {
      if (this.ask(now)) return true;
      this.waitTime = Math.max(now, port.retryAt);
      return false;
    }
    const done = port.walk(translation.tables.lines[page * WALK_LEVELS + this.walkStep], now);
    if (done === NOT_NOW) {
      this.waitTime = Math.max(now, port.retryAt);
      return false;
    }
    this.waitTime = done;
    if (++this.walkStep < WALK_LEVELS) return true;
    // A prefetcher may have walked for the page meanwhile.
    if (!translation.itlb.probe(page)) translation.itlb.fill(page);
    translation.tables.touched(page);
    translation.lastIPage = -1;
    const cycles = done - this.request;
    this.itlb[TlbCount.WalkCycles] += cycles;
    this.segmentWalk[this.segments & this.mask] = cycles;
    // The line itself comes next; a hit needs no turn, but time order is kept all the same.
    this.waiting = this.pages.io[page] ? Waiting.Device : Waiting.Line;
    return true;
  }

  /** Its state in a line, for the watchdog. */
  describe(): string {
    return (
      `fetch: block ${this.blk}, instruction ${this.instr}/${this.instrEnd}, segment ${this.segment}/${this.segments}, ` +
      `popped ${this.poppedCount}, need ${this.need}, lines of block ${this.lineBlk}: ${this.line}/${this.lineEnd}, ` +
      `way ${this.lineWay}, prepared ${this.prepared}, micro-ops ${this.uops}/${this.issuedCount}, waiting ${this.waiting}`
    );
  }

  /** @returns segments there are, after asking for more where possible. */
  private moreLines(): number {
    if (this.waiting === Waiting.Nothing) this.lines(this.executing, this.commit);
    return this.segments;
  }

  private instructions(): void {
    const { leaves, segmentOf, issued, available, buffer } = this;
    const { instrInfo, instrStart } = this.decoded;
    const mask = this.mask | 0;
    const width = this.width | 0;
    const queue = this.queue | 0;
    const issuedCount = this.issuedCount | 0;
    let segments = this.segments | 0;
    let cycle = +this.cycle;
    let inCycle = this.inCycle | 0;
    let uops = this.uops | 0;
    let instr = this.instr | 0;
    let instrEnd = this.instrEnd | 0;
    let handed = this.handed | 0;
    let segment = this.segment | 0;
    let { need } = this;
    for (;;) {
      if (instr === instrEnd) {
        if (this.blk + 1 >= this.prepared && !this.prepare(this.prepared)) break;
        this.blk++;
        const block = buffer.blocks[this.blk];
        instr = instrStart[block];
        instrEnd = instrStart[block + 1];
        if (buffer.how[this.blk] & NEW_LINE) need = true;
      }
      const info = instrInfo[instr];
      let at = cycle;
      let first = -1;
      if (need || info & NEWLINE || this.crossed) {
        // One line at a time: the one left behind makes room for the next.
        let lacking = false;
        if (need) {
          if (segment >= 0) {
            this.popped[segment & mask] = cycle;
            this.poppedCount = segment + 1;
          }
          if (segment + 1 >= segments) {
            this.cycle = cycle;
            this.instr = instr;
            this.instrEnd = instrEnd;
            segments = this.moreLines() | 0;
            if (segment + 1 >= segments) break;
          }
          segment++;
          need = false;
          this.crossed = true;
        }
        if (info & NEWLINE) {
          if (segments <= segment + 1) {
            this.popped[segment & mask] = Math.max(cycle, available[segment & mask]);
            this.poppedCount = segment + 1;
            this.cycle = cycle;
            this.instr = instr;
            this.instrEnd = instrEnd;
            segments = this.moreLines() | 0;
            lacking = segments <= segment + 1;
          }
        }
        if (lacking) break;
        if (this.crossed) {
          first = segment;
          if (available[segment & mask] > at) at = available[segment & mask];
        }
      }
      const waitFor = (uops - queue) | 0;
      if (((issuedCount - waitFor) | 0) <= 0) break;
      const free = issued[waitFor & mask] + 1;
      if (free > at) at = free;
      if (info & NEWLINE) {
        this.popped[segment & mask] = Math.max(cycle, available[segment & mask]);
        this.poppedCount = segment + 1;
        segment++;
        first = segment;
        if (available[segment & mask] > at) at = available[segment & mask];
      }
      this.crossed = false;
      if (at > cycle) {
        cycle = at;
        inCycle = 1;
      } else if (inCycle < width) inCycle++;
      else {
        cycle++;
        inCycle = 1;
      }
      leaves[handed & mask] = cycle;
      segmentOf[handed & mask] = first;
      handed = (handed + 1) | 0;
      uops = (uops + (info & UOPS_MASK)) | 0;
      instr++;
    }
    this.cycle = cycle;
    this.inCycle = inCycle;
    this.uops = uops;
    this.instr = instr;
    this.instrEnd = instrEnd;
    this.handed = handed;
    this.need = need;
    this.segment = segment;
  }
}
