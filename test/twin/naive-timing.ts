import { SlotKind } from "../../src/loader/contract.js";
import type { Process } from "./clockwork.js";
import type { Step } from "./control.js";
import { type AccessKind, NaiveCore, type NaiveParts } from "./naive-core.js";
import { type MicroOp, REP_MICRO_OPS, touched } from "./program.js";
import { levelName } from "./slots.js";
import type { Stretch } from "./stretches.js";

/** One access outstanding, nothing overlapped: all in one process. */
export class NaiveTimingCore extends NaiveCore {
  constructor(id: number, parts: NaiveParts) {
    super(id, parts, 1);
  }

  protected override *stretch(steps: Step[], { end, passing }: Stretch): Process {
    for (const step of steps) {
      this.reach(step.position);
      this.pass(step.passing);
      const operands = [...step.operands];
      for (const instruction of step.block.instructions) {
        yield* this.fetch(step, instruction.page, instruction.offset, instruction.bytes);
        const pc = instruction.page * 4096 + instruction.offset;
        for (const microOp of instruction.microOps) {
          if (microOp.rep) yield* this.rep(microOp, operands, pc);
          else if (microOp.load || microOp.store) yield* this.data(microOp, operands, pc);
        }
      }
      this.countBlock(step);
      this.count("numOps", step.block.microOps);
    }
    this.reach(end);
    this.pass(passing);
  }

  /** The aligned chunks that an instruction touches. */
  private *fetch({ block }: Step, page: number, offset: number, bytes: number): Process {
    const size = this.parts.spec.core.timingFetchBytes;
    for (let at = offset - (offset % size); at < offset + bytes; at += size) {
      yield* this.one("fetch", at < 4096 ? page : block.page2, at % 4096, 0);
      this.count("fetchLines");
    }
  }

  private *data(microOp: MicroOp, operands: number[], pc: number): Process {
    const { lines } = touched(microOp, operands);
    for (const address of lines)
      yield* this.one(microOp.load ? "load" : "store", address >>> 12, address & 4095, pc);
    if (lines.length > 1) this.count("splitAccesses");
  }

  private *rep({ repKind, bytes }: MicroOp, operands: number[], pc: number): Process {
    const two = repKind === SlotKind.RepMove || repKind === SlotKind.RepCompare;
    this.count("numOps", operands[0] > 0 ? 6 : 2);
    for (let segments = operands.shift()!; segments > 0; segments--) {
      const count = operands.shift()!;
      const addresses = operands.splice(0, two ? 2 : 1);
      for (let element = 0; element < Math.abs(count); element++) {
        // Addresses are those of the first iteration.
        const index = count < 0 ? -element : element;
        for (const [i, address] of addresses.entries()) {
          const write = repKind === SlotKind.RepStore || (repKind === SlotKind.RepMove && i === 1);
          const offset = Math.min(4095, (address & 4095) + index * bytes);
          yield* this.one(write ? "store" : "load", address >>> 12, offset, pc);
        }
        this.count("repElements");
        this.count("numOps", REP_MICRO_OPS[repKind]);
      }
    }
  }

  /** One access in one line, with what its translation takes. */
  private *one(kind: AccessKind, page: number, offset: number, pc: number): Process {
    const { spec } = this.parts;
    const which = kind === "fetch" ? "itlb" : "dtlb";
    this.count(`${which}.accesses`);
    if (!this.translated(which, page)) this.spend(yield* this.walk(which, page, this.slots.cycle), which);
    const asked = this.slots.cycle;
    const { at, done, servedBy, device } = yield* this.access(kind, page, offset, pc, () => asked);
    this.spend(at, "structural");
    if (device) this.spend(done, "uncached");
    else if (servedBy === 0) this.spend(done, "base");
    else if (kind === "fetch") this.spend(done, `fetch.${levelName(spec, servedBy, "l1i")}`);
    else if (kind === "load") this.spend(done, `load.${levelName(spec, servedBy, "l1d")}`);
    else this.spend(done, "store");
  }

  private spend(until: number, cause: string): void {
    this.slots.blame(cause, until - this.slots.cycle);
    this.slots.cycle = until;
  }
}
