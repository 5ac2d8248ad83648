import type { CorePort } from "../../src/cache/contract.js";
import type { MemorySystem } from "../../src/cache/system.js";

/** Every access long after the one before. */
export class Calm {
  private now = 0;

  constructor(private readonly system: MemorySystem) {}

  load(core: number, line: number): number {
    return this.at((port, now) => port.load(line, line, 0, now), core);
  }

  store(core: number, line: number): number {
    return this.at((port, now) => port.store(line, line, 0, now), core);
  }

  fetch(core: number, line: number): number {
    return this.at((port, now) => port.fetch(line, line, now), core);
  }

  walk(core: number, line: number): number {
    return this.at((port, now) => port.walk(line, now), core);
  }

  /** @returns latency */
  private at(access: (port: CorePort, now: number) => number, core: number): number {
    this.now += 1000;
    return access(this.system.port(core), this.now) - this.now;
  }
}
