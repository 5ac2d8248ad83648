import { SERVED_BY_MEMORY } from "../../src/cache/contract.js";
import type { MachineSpec } from "../../src/machine/spec.js";
import type { Tally } from "../cache/naive-parts.js";

/** Who is to blame for a slot: the name of a counter `slots.*`. */
export type Cause = string;

/** Of several causes that bind at the same cycle the one that stands last here is blamed. */
const ORDER = ["execute", "dependency", "structural", "load.l1d", "load.memory"];

/** A reason to wait. */
export interface Reason {
  at: number;
  cause: Cause;
}

/** Name of a level by its number. */
export function levelName(spec: MachineSpec, servedBy: number, l1: string): string {
  if (servedBy === 0) return l1;
  return servedBy === SERVED_BY_MEMORY ? "memory" : spec.levels[servedBy - 1].name;
}

/** The reason that binds: the latest, of several the last in order: levels by depth, after them the front end. */
export function binding(reasons: Reason[], spec: MachineSpec): Reason {
  const order = [...ORDER, ...spec.levels.map((level) => `load.${level.name}`), "frontend"];
  return reasons.reduce((best, r) =>
    r.at > best.at || (r.at === best.at && order.indexOf(r.cause) > order.indexOf(best.cause)) ? r : best,
  );
}

/**
 * Commit slots of a core: where it has got to, and whom the slots before belong to. `slots.*` of the tally, as
 * it goes on.
 */
export class NaiveSlots {
  /** Cycle of the last commit, and slots used in it. */
  cycle = 0;
  used: number;
  idle = 0;
  sync = 0;

  constructor(
    readonly width: number,
    private readonly tally: Tally,
    private readonly path: string,
  ) {
    this.used = width;
  }

  blame(cause: Cause, slots: number): void {
    if (slots > 0) this.tally.add(`${this.path}.slots.${cause}`, slots);
  }

  /** The core goes on at `now`: what lies before is halted or waits for others. */
  goOn(now: number, idle: boolean): void {
    const gap = now - this.cycle;
    if (gap <= 0) return;
    this.blame("serialise", this.width - this.used);
    this.blame(idle ? "idle" : "sync", gap * this.width);
    if (idle) this.idle += gap;
    else this.sync += gap;
    this.cycle = now;
    this.used = this.width;
  }

  /** Counters that follow from where the core is. */
  settled(): [string, number][] {
    return [
      ["numCycles", this.cycle - this.idle - this.sync],
      ["idleCycles", this.idle],
      ["syncCycles", this.sync],
      ["slots.open", this.width - this.used],
    ];
  }
}
