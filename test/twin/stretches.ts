import { type BlockTable, type CoreStream, EventKind, SlotKind } from "../../src/loader/contract.js";

export interface StreamEvent {
  kind: number;
  a: number;
  b: number;
  c: number;
}

/** One execution of a block. */
export interface Execution {
  block: number;
  /** What its slots take, flat, as in TraceSink.exec. */
  operands: number[];
  /** Block executions before it. */
  position: number;
  /** An interrupt stands right before it. */
  interrupted: boolean;
  /** Events before it that the core handles in passing. */
  passing: StreamEvent[];
}

/** Block executions between two events that the system handles. */
export interface Stretch {
  executions: Execution[];
  /** Position after its last. */
  end: number;
  /** Events in passing after its last. */
  passing: StreamEvent[];
  /** What it ends at; undefined: the end of the stream. */
  barrier: StreamEvent | undefined;
}

const BARRIERS: number[] = [EventKind.WorkBegin, EventKind.WorkEnd, EventKind.IdleBegin, EventKind.IdleEnd];

/** A core's whole stream. */
export function readStretches(stream: CoreStream, blocks: BlockTable): Stretch[] {
  const stretches: Stretch[] = [];
  let executions: Execution[] = [];
  let passing: StreamEvent[] = [];
  let position = 0;
  const close = (barrier: StreamEvent | undefined) => {
    stretches.push({ executions, end: position, passing, barrier });
    executions = [];
    passing = [];
  };
  while (stream.next()) {
    let operand = 0;
    let event = 0;
    for (let i = 0; i <= stream.blockCount; i++) {
      for (; event < stream.eventCount && stream.eventAt[event] === i; event++) {
        const e = {
          kind: stream.eventKind[event],
          a: stream.eventA[event],
          b: stream.eventB[event],
          c: stream.eventC[event],
        };
        if (BARRIERS.includes(e.kind)) close(e);
        else passing.push(e);
      }
      if (i === stream.blockCount) break;
      const block = stream.blocks[i];
      const count = operandsOf(blocks, block, stream.addresses, operand);
      executions.push({
        block,
        operands: [...stream.addresses.subarray(operand, operand + count)],
        position,
        interrupted: passing.some((e) => e.kind === EventKind.Interrupt),
        passing,
      });
      passing = [];
      operand += count;
      position++;
    }
  }
  close(undefined);
  return stretches;
}

function operandsOf(blocks: BlockTable, block: number, addresses: Int32Array, from: number): number {
  let at = from;
  for (let slot = blocks.slotStart[block]; slot < blocks.slotStart[block + 1]; slot++) {
    const kind = blocks.slotKind[slot];
    if (kind === SlotKind.Load || kind === SlotKind.Store) at++;
    else at += 1 + addresses[at] * (kind === SlotKind.RepMove || kind === SlotKind.RepCompare ? 3 : 2);
  }
  return at - from;
}
