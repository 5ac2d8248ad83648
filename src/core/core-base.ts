import type { CorePort } from "../cache/contract.js";
import { type CoreStream, EventKind, type PageTable } from "../loader/contract.js";
import { KERNEL, R, RECORD_SHIFT } from "../loader/decode/records.js";
import type { DecodedTable } from "../loader/decode/rows.js";
import type { MachineSpec } from "../machine/spec.js";
import type { CounterGroup } from "../stats/counters.js";
import { type BranchUnit, createBranchUnit } from "./branch/index.js";
import { type Core, type CoreFlush, RunStatus } from "./contract.js";
import { ControlFlow } from "./control-flow.js";
import { Cause, CoreCounters, Count } from "./counters.js";
import type { PageTables } from "./page-tables.js";
import { StreamBuffer } from "./stream-buffer.js";
import { Translation } from "./translation.js";

// A constant of this module is folded into the code; one of another module is looked up at each use.
const SHIFT = RECORD_SHIFT;
const KERNEL_BLOCK = KERNEL;
const { Instructions: INSTRUCTIONS, Shape: SHAPE, Loads: LOADS, Stores: STORES } = R;

/** Horizon under which every access that leaves the L1s is put off. */
export const CLOSED = -1;
/** A core leaves `run` when it is this many cycles past the horizon, on L1 hits alone. */
export const RUN_AHEAD = 16;

/** Of a device's page, in `frames`. */
export const DEVICE = -1;

/** What the machine gives a core beside its number. */
export interface CoreParts {
  spec: MachineSpec;
  port: CorePort;
  pages: PageTable;
  decoded: DecodedTable;
  /** One for all cores of a machine. */
  pageTables: PageTables;
}

/** What both core models share: the stream, events, counters, translation, the order of slots. */
export abstract class CoreBase implements Core {
  readonly port: CorePort;
  readonly counters: CoreCounters;
  readonly translation: Translation;
  stopPosition = Number.POSITIVE_INFINITY;
  position = 0;
  time = -0;
  eventKind = 0;
  eventA = 0;
  eventB = 0;
  eventC = 0;
  onSwitch: ((container: number, task: number, asid: number, now: number) => void) | undefined;
  /** Address space and container that the core last switched to; 0 before. */
  asid = 0;
  container = 0;

  protected readonly unit: BranchUnit;
  protected readonly control: ControlFlow;
  protected readonly buffer = new StreamBuffer();
  protected readonly decoded: DecodedTable;
  protected readonly pages: PageTable;
  /** By page: physical line of its first byte, or DEVICE. */
  protected readonly frames: Int32Array;
  protected readonly values: Float64Array;
  /** Block execution in progress, as an index into the buffer; its address operands begin at `addressAt`. */
  protected blk = 0;
  protected addressAt = 0;
  /** Cycle of the last commit, and slots used in it. */
  protected commitCycle = -0;
  protected commitSlots: number;

  constructor(
    readonly id: number,
    parts: CoreParts,
    protected readonly slotsPerCycle: number,
  ) {
    const { spec, port, pages, decoded } = parts;
    this.port = port;
    this.pages = pages;
    this.frames = Int32Array.from({ length: pages.count }, (_, page) =>
      pages.io[page] !== 0 ? DEVICE : pages.ppn[page] << 6,
    );
    this.decoded = decoded;
    this.unit = createBranchUnit(spec.core.branchPredictor);
    this.counters = new CoreCounters(id, spec, this.unit.counts, slotsPerCycle, () => this.settle());
    this.values = this.counters.values;
    this.control = new ControlFlow(decoded, this.unit, this.values);
    this.translation = new Translation(
      spec.core,
      pages,
      parts.pageTables,
      port,
      this.counters.itlb,
      this.counters.dtlb,
      this.counters.walks,
    );
    this.commitSlots = slotsPerCycle;
  }

  get committedAt(): number {
    return this.commitCycle;
  }

  /** Counters of the core, its TLBs and its branch predictor. */
  get groups(): readonly CounterGroup[] {
    return this.counters.groups;
  }

  /** What does not add up; empty when all does. */
  checkIdentities(): string[] {
    this.settle();
    return this.counters.checkIdentities(`cpu${this.id}`);
  }

  attach(stream: CoreStream): void {
    this.buffer.attach(stream);
    this.blk = 0;
    this.addressAt = 0;
    this.position = 0;
    this.restart();
  }

  /** Throws away all that was begun and not committed; fetch begins anew at `commitCycle`. */
  protected abstract restart(): void;
  abstract run(): RunStatus;

  flush(what: CoreFlush): void {
    if (what.tlb) this.translation.flush();
    if (what.predictor) this.unit.flush();
  }

  takeEvent(now: number, idle: boolean): void {
    if (this.eventKind === 0) throw new Error(`cpu${this.id}: takeEvent without an event`);
    const { values } = this;
    const gap = now - this.commitCycle;
    if (gap > 0) {
      values[Count.Slots + Cause.Serialise] += this.slotsPerCycle - this.commitSlots;
      values[idle ? Count.IdleCycles : Count.SyncCycles] += gap;
      values[Count.Slots + (idle ? Cause.Idle : Cause.Sync)] += gap * this.slotsPerCycle;
      this.commitCycle = now;
      this.commitSlots = this.slotsPerCycle;
    }
    this.eventKind = 0;
    this.buffer.shiftEvent();
    this.time = this.commitCycle;
    this.restart();
  }

  /** Brings the counters that follow from others up to date: called before they are read. */
  protected settle(): void {
    const { values } = this;
    values[Count.Cycles] = this.commitCycle - values[Count.IdleCycles] - values[Count.SyncCycles];
    values[Count.Slots + Cause.Open] = this.slotsPerCycle - this.commitSlots;
  }

  /** Buffer index at which execution must stop before the next block: an event, the stop position, the end. */
  protected blockLimit(): number {
    const { buffer } = this;
    let limit = buffer.count;
    if (buffer.eventAt.length > 0 && buffer.eventAt[0] < limit) limit = buffer.eventAt[0];
    const stop = this.blk + this.stopPosition - this.position;
    return stop < limit ? Math.max(stop, this.blk) : limit;
  }

  /**
   * At a block boundary where `blockLimit` stopped: handles what the core handles itself.
   * @returns the status to leave with, or -1 to go on.
   */
  protected boundary(): RunStatus | -1 {
    if (this.position >= this.stopPosition) return RunStatus.Position;
    const { buffer } = this;
    while (buffer.eventAt.length > 0 && buffer.eventAt[0] <= this.blk) {
      if (buffer.barrierFirst) {
        this.eventKind = buffer.eventKind[0];
        this.eventA = buffer.eventA[0];
        this.eventB = buffer.eventB[0];
        this.eventC = buffer.eventC[0];
        return RunStatus.Event;
      }
      if (buffer.eventKind[0] === EventKind.Switch) {
        this.container = buffer.eventB[0];
        this.asid = buffer.eventC[0];
        this.onSwitch?.(this.container, buffer.eventA[0], this.asid, this.commitCycle);
      }
      buffer.eventAt.shift();
      buffer.eventKind.shift();
      buffer.eventA.shift();
      buffer.eventB.shift();
      buffer.eventC.shift();
    }
    return this.blk === buffer.count && buffer.ended ? RunStatus.End : -1;
  }

  /** Counts the committed block executions [from, to) of the buffer. */
  protected countBlocks(from: number, to: number): void {
    const { values, buffer } = this;
    const { records } = this.decoded;
    const { blocks } = buffer;
    let instructions = 0;
    let kernel = 0;
    let loads = 0;
    let stores = 0;
    for (let i = from; i < to; i++) {
      const record = blocks[i] << SHIFT;
      const count = records[record | INSTRUCTIONS];
      instructions += count;
      if ((records[record | SHAPE] & KERNEL_BLOCK) !== 0) kernel += count;
      loads += records[record | LOADS];
      stores += records[record | STORES];
    }
    values[Count.Insts] += instructions;
    values[Count.KernelInsts] += kernel;
    values[Count.Loads] += loads;
    values[Count.Stores] += stores;
    values[Count.Blocks] += to - from;
    this.position += to - from;
  }
}
