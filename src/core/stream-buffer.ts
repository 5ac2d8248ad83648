import { type CoreStream, EventKind } from "../loader/contract.js";

/** What stands before a block in the stream. */
export const Mark = {
  /** An event that the system handles: all before is committed first. */
  Barrier: 1,
  /** An asynchronous entry. */
  Interrupt: 2,
  /** An event that the core handles in passing. */
  Passing: 4,
} as const;

const isBarrier = (kind: number): boolean =>
  kind === EventKind.WorkBegin ||
  kind === EventKind.WorkEnd ||
  kind === EventKind.IdleBegin ||
  kind === EventKind.IdleEnd;

/**
 * The part of a core's stream between what is executed next and what has been read: a copy, so that fetch
 * can run ahead over the ends of batches, which mean nothing.
 */
export class StreamBuffer {
  blocks = new Int32Array(1 << 12);
  /** By block: Or of Mark; one entry more than blocks. */
  marks = new Uint8Array((1 << 12) + 1);
  /** By block: how fetch gets to it; the core's. */
  how = new Uint8Array(1 << 12);
  addresses = new Int32Array(1 << 13);
  count = 0;
  addressCount = 0;
  /** The stream has nothing beyond what is here. */
  ended = true;
  /** Events, oldest first, from `eventHead` on: block index, kind, operands. */
  readonly eventAt: number[] = [];
  readonly eventKind: number[] = [];
  readonly eventA: number[] = [];
  readonly eventB: number[] = [];
  readonly eventC: number[] = [];
  private stream: CoreStream | undefined;

  attach(stream: CoreStream): void {
    this.stream = stream;
    this.count = 0;
    this.addressCount = 0;
    this.ended = false;
    this.marks.fill(0);
    for (const list of [this.eventAt, this.eventKind, this.eventA, this.eventB, this.eventC]) list.length = 0;
  }

  /**
   * Drops the first `blocks` blocks and `addresses` addresses and reads one batch more. Indices of what
   * stays sink by as much.
   */
  refill(blocks: number, addresses: number): void {
    this.blocks.copyWithin(0, blocks, this.count);
    this.how.copyWithin(0, blocks, this.count);
    this.marks.copyWithin(0, blocks, this.count + 1);
    this.addresses.copyWithin(0, addresses, this.addressCount);
    this.count -= blocks;
    this.addressCount -= addresses;
    for (let i = 0; i < this.eventAt.length; i++) this.eventAt[i] -= blocks;
    const stream = this.stream;
    if (stream === undefined || !stream.next()) {
      this.ended = true;
      return;
    }
    this.append(stream);
  }

  private append(stream: CoreStream): void {
    const base = this.count;
    const count = base + stream.blockCount;
    if (count > this.blocks.length) {
      const size = Math.max(count, this.blocks.length * 2);
      this.blocks = grown(this.blocks, new Int32Array(size));
      this.how = grown(this.how, new Uint8Array(size));
      this.marks = grown(this.marks, new Uint8Array(size + 1));
    }
    const addressCount = this.addressCount + stream.addressCount;
    if (addressCount > this.addresses.length) {
      this.addresses = grown(
        this.addresses,
        new Int32Array(Math.max(addressCount, this.addresses.length * 2)),
      );
    }
    this.blocks.set(stream.blocks.subarray(0, stream.blockCount), base);
    this.addresses.set(stream.addresses.subarray(0, stream.addressCount), this.addressCount);
    this.marks.fill(0, base + 1, count + 1);
    for (let i = 0; i < stream.eventCount; i++) {
      const at = base + stream.eventAt[i];
      const kind = stream.eventKind[i];
      this.eventAt.push(at);
      this.eventKind.push(kind);
      this.eventA.push(stream.eventA[i]);
      this.eventB.push(stream.eventB[i]);
      this.eventC.push(stream.eventC[i]);
      this.marks[at] |= isBarrier(kind)
        ? Mark.Barrier
        : kind === EventKind.Interrupt
          ? Mark.Interrupt
          : Mark.Passing;
    }
    this.count = count;
    this.addressCount = addressCount;
  }

  /** Takes the oldest event off. A barrier that goes clears its block's mark when it was the last there. */
  shiftEvent(): void {
    const at = this.eventAt.shift() as number;
    this.eventKind.shift();
    this.eventA.shift();
    this.eventB.shift();
    this.eventC.shift();
    let marks = 0;
    for (let i = 0; i < this.eventAt.length && this.eventAt[i] === at; i++) {
      const kind = this.eventKind[i];
      marks |= isBarrier(kind) ? Mark.Barrier : kind === EventKind.Interrupt ? Mark.Interrupt : Mark.Passing;
    }
    this.marks[at] = marks;
  }

  /** Whether the oldest event is the system's. */
  get barrierFirst(): boolean {
    return isBarrier(this.eventKind[0]);
  }
}

function grown<T extends Int32Array | Uint8Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
