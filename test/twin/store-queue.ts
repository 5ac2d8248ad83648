import { type Process, until } from "./clockwork.js";
import type { Answer } from "./naive-core.js";

/** Accesses of the data side in the memory system. */
export class NaiveOutstanding {
  private readonly free: number[];

  constructor(limit: number) {
    this.free = new Array(limit).fill(-Infinity);
  }

  /** First cycle at which one more may go. */
  get room(): number {
    return Math.min(...this.free);
  }

  take(until: number): void {
    this.free[this.free.indexOf(this.room)] = until;
  }
}

/** A committed store, or half of one that touches two lines. */
export interface NaiveStore {
  page: number;
  offset: number;
  pc: number;
  committed: number;
  /** undefined: has not left. */
  done?: number;
}

/** All stores ever, in order; `stores` on their way to the L1D. README.md of src/core: Stores. */
export class StoreQueue {
  readonly stores: NaiveStore[] = [];

  constructor(
    private readonly perCycle: number,
    private readonly outstanding: NaiveOutstanding,
    private readonly access: (store: NaiveStore, at: () => number) => Process<Answer>,
  ) {}

  get allLeft(): boolean {
    return this.stores.at(-1)?.done !== undefined || this.stores.length === 0;
  }

  /** By when store `n` is done; undefined: not known; before the first store: long ago. */
  doneAt(n: number): number | undefined {
    return n < 0 ? -Infinity : this.stores[n].done;
  }

  *leave(): Process {
    const left: number[] = [];
    for (let n = 0; ; n++) {
      yield* until(() => this.stores.length > n);
      const store = this.stores[n];
      // As many before it in one cycle as may leave: it is the next cycle's.
      const before = left.at(-1) ?? -Infinity;
      const full = left.length >= this.perCycle && left[n - this.perCycle] === before;
      const earliest = Math.max(store.committed + 1, full ? before + 1 : before);
      const { at, done } = yield* this.access(store, () => Math.max(earliest, this.outstanding.room));
      this.outstanding.take(done);
      store.done = done;
      left.push(at);
    }
  }
}
