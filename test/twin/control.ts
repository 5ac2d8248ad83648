import { BranchKind, type DecodedTable } from "../../src/loader/decode/rows.js";
import type { Tally } from "../cache/naive-parts.js";
import type { NaiveUnit } from "../core/naive-branch.js";
import { type Block, blockOf } from "./program.js";
import type { StreamEvent, Stretch } from "./stretches.js";

/** How fetch gets into a block. */
export type Way = "next" | "predicted" | "mispredict" | "interrupt" | "start" | "system";

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

/** A block execution and the way into it. */
export interface Step {
  block: Block;
  operands: number[];
  position: number;
  passing: StreamEvent[];
  way: Way;
  /** Its first line has to be fetched, though the block before it may have ended in it. */
  newLine: boolean;
}

/** What fetch sees: the blocks of a stretch and the ways between them. Predicts, and counts. */
export class NaiveControl {
  private readonly blocks = new Map<number, Block>();

  constructor(
    private readonly table: DecodedTable,
    private readonly unit: NaiveUnit | undefined,
    private readonly tally: Tally,
    private readonly path: string,
  ) {}

  block(id: number): Block {
    const block = this.blocks.get(id) ?? blockOf(this.table, id);
    this.blocks.set(id, block);
    return block;
  }

  steps({ executions }: Stretch): Step[] {
    let last: Block | undefined;
    return executions.map(({ block: id, operands, position, passing, interrupted }) => {
      const block = this.block(id);
      const way = this.way(last, block, interrupted);
      const newLine = way !== "next" || last!.lines.at(-1) !== block.lines[0];
      last = block;
      return { block, operands, position, passing, way, newLine };
    });
  }

  private way(last: Block | undefined, block: Block, interrupted: boolean): Way {
    const { path, tally } = this;
    if (last === undefined) {
      if (interrupted) tally.add(`${path}.interrupts`);
      return "start";
    }
    const straight = block.start === last.end;
    if (last.kind === BranchKind.None) {
      if (straight && !interrupted) return "next";
      tally.add(`${path}.interrupts`);
      return "interrupt";
    }
    const kind = KINDS[last.kind];
    tally.add(`${path}.branches.${kind}`);
    const taken = !(straight && last.kind === BranchKind.Conditional);
    const elsewhere = taken && last.target >= 0 && last.target !== block.start;
    if (interrupted || elsewhere) {
      tally.add(`${path}.interrupts`);
      return "interrupt";
    }
    if (last.kind === BranchKind.System) return "system";
    const low = (address: number) => address % 2 ** 31;
    const right =
      this.unit?.predict(last.kind, low(last.lastPc), low(last.end), taken, low(block.start)) ?? !taken;
    if (!right) {
      tally.add(`${path}.mispredicts.${kind}`);
      return "mispredict";
    }
    return taken ? "predicted" : "next";
  }
}
