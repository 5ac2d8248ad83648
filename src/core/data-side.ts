import { type CorePort, NOT_NOW } from "../cache/contract.js";
import { type PageTable, SlotKind } from "../loader/contract.js";
import type { PipelineSpec } from "../machine/spec.js";
import type { CoreParts } from "./core-base.js";
import { Cause, type CoreCounters, Count, levelIndex, TlbCount } from "./counters.js";
import { REP_UOPS, repFrame } from "./repeated.js";
import type { Scoreboard } from "./scoreboard.js";
import { Outstanding, StoreBuffer } from "./store-buffer.js";
import type { Translation } from "./translation.js";

/** What execution waits for on the data side. Above Stores: one request, for `pendingTime`. */
export const Pending = { Nothing: 0, Stores: 1, Load: 2, Half: 3, Rep: 4, RepWrite: 5, Walk: 6 } as const;

/** Issue cycles of one iteration of a repeated string instruction, by SlotKind: its micro-ops, about two a cycle. */
const REP_CYCLES: Record<number, number> = {
  [SlotKind.RepLoad]: 2,
  [SlotKind.RepStore]: 2,
  [SlotKind.RepMove]: 3,
  [SlotKind.RepCompare]: 4,
};

/** When an iteration's first micro-op issues at 0, its branch issues then: stos, lods and scas; movs and cmps. */
const BRANCH_ISSUES: Record<number, number> = {
  [SlotKind.RepLoad]: 1,
  [SlotKind.RepStore]: 1,
  [SlotKind.RepMove]: 4,
  [SlotKind.RepCompare]: 4,
};
/** Decode is so much longer at work on what Fetch2 hands out behind the branch than fetch takes. */
const BACKLOG = 1;

/** More stores than any buffer holds. */
const ALL_STAY = 1 << 30;

/** Translation, misses and oddities of the data side; the common hit is inlined in the core. Times are cycles. */
export class DataSide {
  readonly outstanding: Outstanding;
  readonly stores: StoreBuffer;
  pending: number = Pending.Nothing;
  pendingTime = -0;
  /** State of the micro-op in progress has been changed: `reset` when it is over. */
  dirty = false;
  /** No access of the micro-op before this cycle. */
  floor = -0;
  /** What held it up until then (Cause), where that was not a walk: the load/store unit, the L1D, a store. */
  held = 0;
  /** Cycles of walk that the micro-op waited. */
  walked = -0;
  /** The load whose turn has been: when its data is there, when it went, who served; -1: none. */
  granted = Number.NaN;
  grantedTime = -0;
  grantedLevel = 0;
  /** After `secondHalf`: who served the slower half. */
  secondLevel = 0;
  /** After `rep`: index after its operands. */
  repNext = 0;
  /** Accesses of repeated string instructions. */
  repAccesses = 0;

  private readonly port: CorePort;
  private readonly pages: PageTable;
  private half = Number.NaN;
  private halfLevel = 0;
  /** Bit i: page i of the micro-op is translated. */
  private translated = 0;
  private device = false;
  private line = 0;
  private virtualLine = 0;
  private pc = 0;
  private walkPage = 0;
  private walkStart = -0;
  private repActive = false;
  private repTime = -0;
  private repStart = -0;
  private repSegment = 0;
  private repElement = 0;
  private repOperand = 0;
  private repGranted = Number.NaN;
  /** By SlotKind: cycles of an element, at least. */
  private readonly repCycles = new Int32Array(8);

  constructor(
    spec: PipelineSpec,
    parts: CoreParts,
    private readonly translation: Translation,
    private readonly counters: CoreCounters,
    private readonly board: Scoreboard,
  ) {
    this.port = parts.port;
    this.pages = parts.pages;
    this.outstanding = new Outstanding(spec.maxAccessesInMemory);
    this.stores = new StoreBuffer(spec, parts.port, this.outstanding, board, counters.values);
    const redirect =
      spec.fu.intAlu.opLatency +
      spec.branchFeedbackDelay +
      parts.port.fetchHitLatency +
      spec.fetch1ToFetch2Delay +
      spec.fetch2ToDecodeDelay +
      spec.decodeToExecuteDelay +
      BACKLOG;
    const unpredicted = parts.spec.core.branchPredictor.name === "none";
    for (const kind of [SlotKind.RepLoad, SlotKind.RepStore, SlotKind.RepMove, SlotKind.RepCompare])
      this.repCycles[kind] = unpredicted ? BRANCH_ISSUES[kind] + redirect : REP_CYCLES[kind];
    this.reset();
  }

  /** The micro-op is over. */
  reset(): void {
    this.dirty = false;
    this.floor = 0;
    this.held = 0;
    this.walked = 0;
    this.granted = -1;
    this.half = -1;
    this.translated = 0;
    this.repActive = false;
    this.repSegment = this.repElement = this.repOperand = 0;
    this.repGranted = -1;
  }

  /** @param which 0, 1: which page of the micro-op. @returns false when a walk is needed, which is pending then. */
  translate(page: number, which: number, now: number): boolean {
    const { translation } = this;
    if ((this.translated & (1 << which)) !== 0) return true;
    if (page === translation.lastDPage || translation.findData(page)) {
      // Also when the micro-op is looked at once more, and its other page has taken this one's place.
      this.translated |= 1 << which;
      this.dirty = true;
      return true;
    }
    this.walkFor(page, which, now);
    return false;
  }

  /** The page is not in the D-TLB: its walk is pending. */
  walkFor(page: number, which: number, now: number): void {
    this.counters.dtlb[TlbCount.Misses]++;
    this.dirty = true;
    this.pending = Pending.Walk;
    this.pendingTime = now;
    this.walkPage = page;
    this.translation.dataWalk.begin(page);
    this.walkStart = now;
    // The second page is looked at when the first is translated: its walk may drive the first out, which no longer matters.
    this.translated |= which === 0 ? 1 : 3;
  }

  wait(kind: number, device: boolean, line: number, virtualLine: number, pc: number, now: number): void {
    this.pending = kind;
    this.pendingTime = now;
    this.device = device;
    this.line = line;
    this.virtualLine = virtualLine;
    this.pc = pc;
    this.dirty = true;
  }

  /** The pending request's turn has come: the port is open. @returns false when put off to `pendingTime`. */
  proceed(): boolean {
    const { port, pending } = this;
    const now = this.pendingTime;
    if (pending === Pending.Walk) return this.walk(now);
    const write = pending === Pending.RepWrite;
    const done = this.device
      ? port.uncached(this.line, write, now)
      : write
        ? port.store(this.line, this.virtualLine, this.pc, now)
        : port.load(this.line, this.virtualLine, this.pc, now);
    if (done === NOT_NOW) {
      this.pendingTime = Math.max(now, port.retryAt);
      // A load that the L1D refuses is looked at anew then: stores may have gone, and taken its place.
      if (pending === Pending.Load && port.retryAt > now) {
        this.hold(port.retryAt, Cause.Structural);
        this.pending = Pending.Nothing;
      }
      return false;
    }
    const level = this.device ? 0 : levelIndex(port.servedBy);
    if (this.device) this.counters.values[Count.Uncached]++;
    this.pending = Pending.Nothing;
    if (pending === Pending.Load) {
      this.granted = done;
      this.grantedTime = now;
      this.grantedLevel = level;
      this.outstanding.free[this.outstanding.first()] = this.board.stamp(done);
    } else if (pending === Pending.Half) {
      this.half = done;
      this.halfLevel = level;
      // What follows waits while the L1D refuses.
      this.grantedTime = now - 1;
    } else this.repGranted = done;
    return true;
  }

  private walk(now: number): boolean {
    const { port, translation } = this;
    const done = translation.dataWalk.proceed(now);
    if (done === NOT_NOW) {
      this.pendingTime = Math.max(now, port.retryAt);
      return false;
    }
    this.pendingTime = done;
    if (!translation.dataWalk.over) return true;
    translation.dtlb.fill(this.walkPage);
    translation.lastDPage = this.walkPage;
    this.counters.dtlb[TlbCount.WalkCycles] += done - this.walkStart;
    this.walked += done - this.walkStart;
    this.floor = done;
    this.held = 0;
    this.pending = Pending.Nothing;
    return true;
  }

  /** The access cannot go before `cycle`. */
  hold(cycle: number, why: number): void {
    this.floor = cycle;
    this.held = why;
    this.dirty = true;
  }

  /** Second half of a load that touches two lines, a cycle after the first. @returns when both are there, or -1. */
  secondHalf(address: number, pc: number, now: number, first: number, firstLevel: number): number {
    let done = this.half;
    let level = this.halfLevel;
    if (done < 0) {
      this.granted = first;
      this.grantedTime = now - 1;
      this.grantedLevel = firstLevel;
      this.dirty = true;
      // Stores of the same cycle go first.
      if (!this.stores.drain(this.board.stamp(now), ALL_STAY)) {
        this.pending = Pending.Stores;
        return -1;
      }
      const page = address >>> 12;
      const line = (this.pages.ppn[page] << 6) | ((address >>> 6) & 63);
      const device = this.pages.io[page] !== 0;
      done = device ? NOT_NOW : this.port.load(line, address >>> 6, pc, now);
      if (done === NOT_NOW) {
        this.wait(Pending.Half, device, line, address >>> 6, pc, now);
        return -1;
      }
      level = levelIndex(this.port.servedBy);
    }
    this.counters.values[Count.Splits]++;
    this.secondLevel = done > first ? level : firstLevel;
    return Math.max(done, first);
  }

  /**
   * A repeated string instruction, from cycle `now` on: line by line, each operand's access waited for, no
   * faster than its microcode issues. @returns the cycle it is done, or -1 when something is pending.
   */
  rep(addresses: Int32Array, at: number, kind: number, size: number, pc: number, now: number): number {
    const { values } = this.counters;
    const segments = addresses[at];
    if (!this.repActive) {
      this.dirty = true;
      this.repActive = true;
      this.repTime = this.repStart = now;
      values[Count.Ops] += repFrame(segments);
    }
    const operands = kind === SlotKind.RepMove || kind === SlotKind.RepCompare ? 2 : 1;
    const cycles = this.repCycles[kind];
    while (this.repSegment < segments) {
      const base = at + 1 + this.repSegment * (operands + 1);
      const count = addresses[base];
      const elements = Math.abs(count);
      while (this.repElement < elements) {
        const left = elements - this.repElement;
        // Addresses are those of the first iteration; a negative count goes down from there.
        const index = count < 0 ? -this.repElement : this.repElement;
        let run = left;
        for (let i = 0; i < operands; i++) {
          const offset = ((addresses[base + 1 + i] & 4095) + index * size) & 63;
          const inLine = count < 0 ? Math.floor(offset / size) + 1 : Math.ceil((64 - offset) / size);
          if (inLine < run) run = inLine;
        }
        while (this.repOperand < operands) {
          const i = this.repOperand;
          const write = kind === SlotKind.RepStore || (kind === SlotKind.RepMove && i === 1);
          if (!this.repAccess(addresses[base + 1 + i], index * size, write, pc)) return -1;
          this.translated = 0;
          this.repOperand++;
        }
        this.repOperand = 0;
        this.repElement += run;
        values[Count.RepElements] += run;
        values[Count.Ops] += run * REP_UOPS[kind];
        this.repStart = Math.max(this.repTime, this.repStart + run * cycles);
        this.repTime = this.repStart;
      }
      this.repElement = 0;
      this.repSegment++;
    }
    this.repNext = at + 1 + segments * (operands + 1);
    return Math.max(this.repTime, now + 1);
  }

  private repAccess(first: number, distance: number, write: boolean, pc: number): boolean {
    const page = first >>> 12;
    if (!this.translate(page, 0, this.repTime)) return false;
    if (this.floor > this.repTime) this.repTime = this.floor;
    let done = this.repGranted;
    if (done < 0) {
      const offset = Math.min(4095, (first & 4095) + distance);
      const line = (this.pages.ppn[page] << 6) | (offset >> 6);
      const virtualLine = (page << 6) | (offset >> 6);
      const device = this.pages.io[page] !== 0;
      done = device
        ? NOT_NOW
        : write
          ? this.port.store(line, virtualLine, pc, this.repTime)
          : this.port.load(line, virtualLine, pc, this.repTime);
      if (done === NOT_NOW) {
        this.wait(write ? Pending.RepWrite : Pending.Rep, device, line, virtualLine, pc, this.repTime);
        return false;
      }
    }
    this.repGranted = -1;
    this.repAccesses++;
    this.repTime = done;
    return true;
  }
}
