import { type MainMemory, Traffic } from "../memory/contract.js";
import { type Cache, LineFlag, LineState } from "./cache.js";
import { Requester } from "./contract.js";
import { Metric, Single } from "./counters.js";
import { NO_LINE } from "./tag-array.js";

// Constants of this module are folded into the code; those of another module are looked up at each use.
const { Exclusive: EXCLUSIVE, Modified: MODIFIED } = LineState;
const WRITEBACK = Requester.Writeback;
const { Accesses: ACCESSES, Hits: HITS, Misses: MISSES } = Metric;
const PASSED = Single.Passed;
const ARRIVING = LineFlag.Arriving;
const NONE = NO_LINE;

/**
 * The way down of lines that leave a cache: victims, and dirty lines that move. Nobody waits for them; they charge write
 * buffers, buses and memory. `now`: the cycle of the request that they belong to.
 */
export class Victims {
  /** A line on its way up, which is written back at the same time: exclusive levels do not take it. */
  private moving: number = NONE;

  constructor(private readonly memory: MainMemory) {}

  /** What `install` has just driven out of `c` leaves when the line that replaces it is there, at `back`. */
  leave(c: Cache, core: number, back: number, now: number): void {
    const victim = c.dirtyVictim;
    if (victim !== NONE)
      this.writeBack(c, core, victim, Math.max(back, c.dirtyVictimReady) + c.tagLatency, now);
    else if (c.cleanVictim !== NONE)
      this.spill(c, core, c.cleanVictim, Math.max(back, c.dirtyVictimReady) + c.tagLatency, now);
  }

  /** A dirty line leaves an exclusive level for a cache above that cannot take the duty to write it back. */
  passOn(c: Cache, core: number, line: number, leave: number, now: number): void {
    this.moving = line;
    this.writeBack(c, core, line, leave, now);
    this.moving = NONE;
  }

  /** A dirty line leaves `c` at `leave` or when the write buffer has room. */
  private writeBack(c: Cache, core: number, line: number, leave: number, now: number): void {
    const grant = c.bus.grantData(Math.max(leave, c.writeBuffer.availableAt));
    c.writeBuffer.take(grant);
    this.writeInto(c.below, core, line, c.bus.arrival(grant), now);
  }

  /** A clean victim of `c` goes to the exclusive level below, unless another cache above that holds it. */
  private spill(c: Cache, core: number, line: number, leave: number, now: number): void {
    const below = c.below!;
    if (below.heldAbove(line)) return;
    // Only a private level can know that others may hold it.
    const state = below.isPrivate ? c.cleanVictimState : EXCLUSIVE;
    const grant = c.bus.grantData(Math.max(leave, c.writeBuffer.availableAt));
    c.writeBuffer.take(grant);
    below.count(ACCESSES, core, WRITEBACK);
    const slot = below.find(line);
    if (slot >= 0) {
      below.count(HITS, core, WRITEBACK);
      below.array.policy.touch(slot);
      return;
    }
    below.count(MISSES, core, WRITEBACK);
    this.takeWhole(below, core, line, state, c.bus.arrival(grant), now);
  }

  /** A dirty line arrives at a level, which takes it whole: nothing is fetched. */
  writeInto(below: Cache | null, core: number, line: number, at: number, now: number): void {
    if (below === null) {
      this.memory.write(line, Traffic.Writeback, at);
      return;
    }
    below.count(ACCESSES, core, WRITEBACK);
    if (below.exclusive && (line === this.moving || below.heldAbove(line))) {
      below.count(MISSES, core, WRITEBACK);
      below.countSingle(PASSED);
      this.writeBack(below, core, line, at + below.tagLatency, now);
      return;
    }
    const slot = below.find(line);
    if (slot >= 0) {
      below.count(HITS, core, WRITEBACK);
      below.state[slot] = MODIFIED;
      below.array.policy.touch(slot);
      return;
    }
    below.count(MISSES, core, WRITEBACK);
    this.takeWhole(below, core, line, MODIFIED, at, now);
  }

  /** A level takes in a line from above that it does not hold. */
  private takeWhole(c: Cache, core: number, line: number, state: number, at: number, now: number): void {
    const slot = c.install(line, state, at, now);
    c.flags[slot] &= ~ARRIVING;
    this.leave(c, core, at, now);
  }
}
