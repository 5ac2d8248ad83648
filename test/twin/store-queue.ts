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

/** A committed store: what it writes, in one line or two. */
export interface NaiveStore {
  parts: { page: number; offset: number }[];
  /** Physical address of its first byte; bytes, those on a second page apart. */
  address: number;
  bytes: number;
  device: boolean;
  pc: number;
  committed: number;
  /** undefined: has not left. */
  done?: number;
}

/** All stores ever, in order; `stores` on their way to the L1D. README.md of src/core: Stores. */
export class StoreQueue {
  readonly stores: NaiveStore[] = [];
  /** All before are done long ago. */
  private first = 0;

  constructor(
    private readonly perCycle: number,
    private readonly outstanding: NaiveOutstanding,
    private readonly access: (
      part: { page: number; offset: number; pc: number },
      at: () => number,
    ) => Process<Answer>,
  ) {}

  get allLeft(): boolean {
    return this.stores.at(-1)?.done !== undefined || this.stores.length === 0;
  }

  /** Stores that are not done at `now`, the youngest first. Nobody asks for an earlier time afterwards. */
  inside(now: number): NaiveStore[] {
    const inside = (store: NaiveStore) => store.done === undefined || store.done > now;
    while (this.first < this.stores.length && !inside(this.stores[this.first])) this.first++;
    return this.stores.slice(this.first).filter(inside).reverse();
  }

  /** What the youngest store inside that has any of the bytes has of them. */
  covers(now: number, address: number, bytes: number): "nothing" | "part" | "all" {
    for (const store of this.inside(now)) {
      if (store.device) continue;
      const end = store.address + store.bytes;
      if (address >= end || address + bytes <= store.address) continue;
      return address >= store.address && address + bytes <= end ? "all" : "part";
    }
    return "nothing";
  }

  *leave(): Process {
    let last = -Infinity;
    let inCycle = 0;
    for (let n = 0; ; n++) {
      yield* until(() => this.stores.length > n);
      const { parts, pc, committed } = this.stores[n];
      let all = -Infinity;
      for (const [i, part] of parts.entries()) {
        // As many before it in one cycle as may leave: it is the next cycle's.
        const earliest = Math.max(committed + 1, inCycle < this.perCycle ? last : last + 1);
        const { at, done } = yield* this.access({ ...part, pc }, () =>
          Math.max(earliest, this.outstanding.room),
        );
        this.outstanding.take(done);
        all = Math.max(all, done);
        inCycle = at === last ? inCycle + 1 : 1;
        last = at;
        // A first half is the last to leave in its cycle.
        if (i + 1 < parts.length) inCycle = this.perCycle;
      }
      this.stores[n].done = all;
    }
  }
}
