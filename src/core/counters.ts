import { SERVED_BY_MEMORY } from "../cache/contract.js";
import type { MachineSpec } from "../machine/spec.js";
import type { CounterDef, CounterGroup } from "../stats/counters.js";
import { BRANCH_COUNTERS } from "./branch/index.js";

/**
 * Why an issue slot was lost. Slots are counted where instructions commit: a cycle has
 * `executeCommitLimit` of them (one in the timing core). Every slot of every cycle has one cause, so the
 * `slots.*` of a core sum to its cycles times the slots a cycle has.
 */
export const Cause = {
  Base: 0,
  Frontend: 1,
  Mispredict: 2,
  Interrupt: 3,
  Serialise: 4,
  Execute: 5,
  Dependency: 6,
  Structural: 7,
  Store: 8,
  Itlb: 9,
  Dtlb: 10,
  Microcode: 11,
  Uncached: 12,
  Idle: 13,
  Sync: 14,
  Open: 15,
  /** Plus `levelIndex`. The two alternate, so that the levels a machine does not have are at the end. */
  Fetch: 16,
  Load: 17,
} as const;
/** A machine has at most four levels below the L1s. */
export const CAUSES = 28;

/** What to add to Fetch or Load for a `servedBy`: 0 the L1, 2 main memory, 4 and on the levels between. */
export const levelIndex = (servedBy: number): number =>
  servedBy === 0 ? 0 : servedBy === SERVED_BY_MEMORY ? 2 : 2 * servedBy + 2;

const CAUSE_TEXT: readonly (readonly [number, string, string])[] = [
  [Cause.Base, "base", "slots in which a micro-op committed"],
  [Cause.Frontend, "frontend", "fetch and decode bandwidth, L1I hit latency, predicted taken branches"],
  [Cause.Mispredict, "mispredict", "redirect after a branch that was predicted wrongly or not at all"],
  [Cause.Interrupt, "interrupt", "redirect at an interrupt or exception"],
  [Cause.Serialise, "serialise", "serialising instructions, system calls and returns, drained pipeline"],
  [Cause.Execute, "execute", "latency of functional units at in-order commit"],
  [Cause.Dependency, "dependency", "waiting for a result of a functional unit or an L1D hit"],
  [Cause.Structural, "structural", "functional units, load/store queues, issue and commit limits"],
  [Cause.Store, "store", "store buffer full or draining; in the timing core stores that miss"],
  [Cause.Itlb, "itlb", "page walks for instructions"],
  [Cause.Dtlb, "dtlb", "page walks for data"],
  [Cause.Microcode, "microcode", "repeated string instructions"],
  [Cause.Uncached, "uncached", "device accesses"],
  [Cause.Idle, "idle", "halted"],
  [Cause.Sync, "sync", "waiting for another core's or the system's order"],
  [Cause.Open, "open", "slots of the cycle in progress (a level, not a count)"],
];

/** Counters of a core before the slots. Order is that of CORE_COUNTERS. */
export const Count = {
  Cycles: 0,
  IdleCycles: 1,
  SyncCycles: 2,
  Insts: 3,
  KernelInsts: 4,
  Ops: 5,
  Loads: 6,
  Stores: 7,
  Blocks: 8,
  FetchLines: 9,
  Interrupts: 10,
  RepElements: 11,
  Uncached: 12,
  Splits: 13,
  Forwarded: 14,
  PartlyCovered: 15,
  WrongPathLines: 16,
  WrongPathMisses: 17,
  /** Plus BranchKind, from 1 on. */
  Branches: 17,
  Mispredicts: 24,
  /** Plus Cause. */
  Slots: 32,
} as const;
export const COUNTS = Count.Slots + CAUSES;

const KINDS = [
  "none",
  "conditional",
  "directJump",
  "directCall",
  "indirectJump",
  "indirectCall",
  "return",
  "system",
];

const def = (name: string, unit: CounterDef["unit"], description: string): CounterDef => ({
  name,
  unit,
  description,
});

/** Values live at the indices of `Count`. */
export class CoreCounters {
  /** By index of Count; what the core counts in. */
  readonly values = new Float64Array(COUNTS);
  /** By index of TlbCount. */
  readonly itlb = new Float64Array(TLB_COUNTERS.length);
  readonly dtlb = new Float64Array(TLB_COUNTERS.length);
  /** By index of WalkCount. */
  readonly walks = new Float64Array(WALK_COUNTERS.length);
  readonly groups: CounterGroup[];

  constructor(
    id: number,
    spec: MachineSpec,
    branch: Float64Array,
    readonly slotsPerCycle: number,
    /** Called before the counters are read. */
    beforeRead: () => void,
  ) {
    const defs: CounterDef[] = [];
    const set = (i: number, d: CounterDef) => {
      defs[i] = d;
    };
    set(Count.Cycles, def("numCycles", "Cycle", "cycles that are neither idle nor synchronisation"));
    set(Count.IdleCycles, def("idleCycles", "Cycle", "cycles halted"));
    set(Count.SyncCycles, def("syncCycles", "Cycle", "cycles waiting for the order between cores"));
    set(
      Count.Insts,
      def("numInsts", "Count", "instructions committed; a repeated string instruction is one"),
    );
    set(Count.KernelInsts, def("kernelInsts", "Count", "of them, in the kernel half"));
    set(Count.Ops, def("numOps", "Count", "micro-ops committed"));
    set(Count.Loads, def("numLoads", "Count", "load micro-ops, repeated string instructions apart"));
    set(Count.Stores, def("numStores", "Count", "store micro-ops, repeated string instructions apart"));
    set(Count.Blocks, def("numBlocks", "Count", "block executions committed"));
    set(
      Count.FetchLines,
      def("fetchLines", "Count", "instruction fetches (lines; chunks in the timing core)"),
    );
    set(
      Count.WrongPathLines,
      def(
        "fetchWrongPathLines",
        "Count",
        "of them, lines behind a branch that were thrown away (pipeline core)",
      ),
    );
    set(
      Count.WrongPathMisses,
      def("fetchWrongPathMisses", "Count", "lines behind a branch that a level below the L1I served"),
    );
    set(Count.Interrupts, def("interrupts", "Count", "asynchronous changes of control"));
    set(Count.RepElements, def("repElements", "Count", "iterations of repeated string instructions"));
    set(Count.Uncached, def("uncachedAccesses", "Count", "accesses to device pages"));
    set(Count.Splits, def("splitAccesses", "Count", "accesses that touch two lines"));
    set(
      Count.Forwarded,
      def(
        "forwardedLoads",
        "Count",
        "loads whose data a store in the store buffer had: no access of the L1D",
      ),
    );
    set(
      Count.PartlyCovered,
      def(
        "partlyCoveredLoads",
        "Count",
        "loads that waited for a store in the store buffer that had a part of their data",
      ),
    );
    KINDS.forEach((kind, i) => {
      if (i === 0) return;
      set(Count.Branches + i, def(`branches.${kind}`, "Count", `branches committed: ${kind}`));
      set(
        Count.Mispredicts + i,
        def(`mispredicts.${kind}`, "Count", `of them, redirected when executed: ${kind}`),
      );
    });
    for (const [cause, name, text] of CAUSE_TEXT)
      set(
        Count.Slots + cause,
        def(`slots.${name}`, "Count", `commit slots, ${slotsPerCycle} a cycle: ${text}`),
      );
    const levels = [...spec.levels.map((l) => l.name)];
    for (const [base, kind, l1, text] of [
      [Cause.Fetch, "fetch", "l1i", "instruction fetch served by"],
      [Cause.Load, "load", "l1d", "load served by"],
    ] as const) {
      const name = (servedBy: number, level: string) =>
        set(
          Count.Slots + base + levelIndex(servedBy),
          def(`slots.${kind}.${level}`, "Count", `commit slots: ${text} ${level}`),
        );
      name(0, l1);
      levels.forEach((level, i) => {
        name(i + 1, level);
      });
      name(SERVED_BY_MEMORY, "memory");
    }
    const path = `cpu${id}`;
    const settled = (path: string, defs: readonly CounterDef[], values: Float64Array): CounterGroup => ({
      path,
      defs,
      get values() {
        beforeRead();
        return values;
      },
    });
    this.groups = [
      settled(path, defs, this.values.subarray(0, defs.length)),
      { path: `${path}.itlb`, defs: TLB_COUNTERS, values: this.itlb },
      settled(`${path}.dtlb`, TLB_COUNTERS, this.dtlb),
      {
        path: `${path}.branchPred`,
        defs: BRANCH_COUNTERS.map(([name, text]) => def(name, "Count", text)),
        values: branch,
      },
    ];
    // Without them every miss is a walk of four reads.
    const { l2tlb, pageWalkCaches, largeKernelPages } = spec.core;
    if (l2tlb !== undefined || pageWalkCaches !== undefined || largeKernelPages)
      this.groups.push({ path: `${path}.mmu`, defs: WALK_COUNTERS, values: this.walks });
  }

  /** What does not add up; empty when all does. */
  checkIdentities(path: string): string[] {
    const { values: v } = this;
    const wrong: string[] = [];
    let slots = 0;
    for (let i = 0; i < CAUSES; i++) {
      slots += v[Count.Slots + i];
      if (v[Count.Slots + i] < 0) wrong.push(`${path}: slots of cause ${i} are ${v[Count.Slots + i]}`);
    }
    const cycles = v[Count.Cycles] + v[Count.IdleCycles] + v[Count.SyncCycles];
    if (slots !== cycles * this.slotsPerCycle)
      wrong.push(
        `${path}: slots sum to ${slots}, cycles times ${this.slotsPerCycle} are ${cycles * this.slotsPerCycle}`,
      );
    for (const [name, tlb] of [
      ["itlb", this.itlb],
      ["dtlb", this.dtlb],
    ] as const) {
      if (tlb[TlbCount.Misses] > tlb[TlbCount.Accesses])
        wrong.push(`${path}.${name}: more misses than accesses`);
    }
    for (let i = 1; i < KINDS.length; i++) {
      if (v[Count.Mispredicts + i] > v[Count.Branches + i])
        wrong.push(`${path}: more mispredictions than branches (${KINDS[i]})`);
    }
    return wrong;
  }
}

export const TlbCount = { Accesses: 0, Misses: 1, WalkCycles: 2, Prefetches: 3 } as const;
const TLB_COUNTERS: readonly CounterDef[] = [
  def(
    "accesses",
    "Count",
    "translations asked for: lines (timing core: chunks) fetched; or loads and stores, halves of those that touch two lines apart, and lines of repeated string instructions",
  ),
  def("misses", "Count", "of them, walked for"),
  def("walkCycles", "Cycle", "cycles from a miss to the end of its walk"),
  def("prefetchWalks", "Count", "walks done for a prefetcher"),
];

/** CacheHits and the two behind it: by the step whose entry was held. */
export const WalkCount = {
  L2Accesses: 0,
  L2Misses: 1,
  Walks: 2,
  LargeWalks: 3,
  Reads: 4,
  CacheHits: 5,
} as const;
const WALK_COUNTERS: readonly CounterDef[] = [
  def("l2tlbAccesses", "Count", "look-ups in the second-level TLB, for prefetchers too"),
  def("l2tlbMisses", "Count", "of them, walked for"),
  def("walks", "Count", "page walks begun"),
  def("largeWalks", "Count", "of them, for pages of 2 MB: three reads, else four"),
  def("walkReads", "Count", "page-table entries that walks read; the page-walk caches save the others"),
  def("pml4eHits", "Count", "walks that began behind a PML4 entry in its page-walk cache"),
  def("pdpteHits", "Count", "walks that began behind a page-directory-pointer entry in its cache"),
  def("pdeHits", "Count", "walks that began behind a page-directory entry in its cache"),
];
