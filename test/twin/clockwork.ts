/**
 * What a process of the twin waits for: its turn, at a cycle that may move while others have theirs (Infinity: not
 * yet), or something that others do, or whichever comes first.
 */
export interface Wait {
  turn?: () => number;
  until?: () => boolean;
}
/** A part of a core, as a story told in order: it yields whenever it has to wait. */
export type Process<Result = void> = Generator<Wait, Result, void>;

/** Goes on when `condition` holds. */
export function* until(condition: () => boolean): Process {
  while (!condition()) yield { until: condition };
}

/** Order of turns at equal times: the lower core, and of one core the lower rank. */
export const Rank = { Store: 0, Data: 1, Fetch: 2 } as const;

interface Running {
  core: number;
  rank: number;
  process: Process;
  wait: Wait | undefined;
}

/**
 * Runs processes in order of simulated time: whoever can go on without a turn does; when nobody can, the one
 * whose turn is the earliest has it.
 */
export class Clockwork {
  private running: Running[] = [];
  private latest = 0;
  /** Turns that came after one of a later time. */
  late = 0;

  add(core: number, rank: number, process: Process): void {
    this.running.push({ core, rank, process, wait: undefined });
  }

  /** Takes away the processes of a core's front end or stores. */
  remove(core: number, rank: number): void {
    this.running = this.running.filter((r) => r.core !== core || r.rank !== rank);
  }

  /** @param quiet called when nobody can go on and no turn is asked for. @returns whether somebody can now. */
  run(quiet: () => boolean): void {
    for (;;) {
      if (this.goOn()) continue;
      const next = this.earliest();
      if (next === undefined) {
        if (!quiet()) return;
        continue;
      }
      this.resume(next);
    }
  }

  private goOn(): boolean {
    let any = false;
    for (const r of [...this.running]) {
      if (r.wait !== undefined && !r.wait.until?.()) continue;
      this.resume(r);
      any = true;
    }
    return any;
  }

  private earliest(): Running | undefined {
    let best: Running | undefined;
    let bestAt = Infinity;
    for (const r of this.running) {
      const at = r.wait?.turn?.();
      if (at === undefined || at === Infinity) continue;
      const before =
        best === undefined ||
        at < bestAt ||
        (at === bestAt && (r.core < best.core || (r.core === best.core && r.rank < best.rank)));
      if (before) {
        best = r;
        bestAt = at;
      }
    }
    if (best !== undefined) {
      if (bestAt < this.latest) this.late++;
      this.latest = Math.max(this.latest, bestAt);
    }
    return best;
  }

  private resume(r: Running): void {
    if (!this.running.includes(r)) return;
    const { done, value } = r.process.next();
    if (done) this.running = this.running.filter((other) => other !== r);
    else r.wait = value;
  }
}
