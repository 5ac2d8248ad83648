import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";

/** The recorder's raw file; capture/plugin/raw.h describes it. Change both together. */
export const RAW_MAGIC = Uint8Array.from([0x4d, 0x55, 0x53, 0x52, 0x41, 0x57, 0x31, 0]); // "MUSRAW1"

/** Index of a MEM record that belongs to whatever instruction of the block was executed last. */
export const RAW_LAST_INSN = 1023;
export const RAW_UNKNOWN_PAGE = 0xffff_ffff;

export const RawControl = { Block: 1, Map: 2, Switch: 3, Mark: 4, Core: 5, End: 6 } as const;
/** Start: the container is about to be created. Named: the guest was given one of the names that the recorder was told. */
export const Marker = { Arm: 1, Begin: 2, End: 3, Finish: 4, Start: 0x10, Named: 0x20 } as const;

/** A translated block as the emulator described it, executed or not. */
export interface RawBlock {
  id: number;
  /** 48-bit virtual address. */
  address: number;
  /** Physical pages of the first byte and of the next page, or RAW_UNKNOWN_PAGE. */
  ppn: number;
  ppn2: number;
  lengths: Uint8Array;
  bytes: Uint8Array;
}

export interface RawTask {
  /** Address of the kernel's task structure and of its address space (0 = a kernel thread). */
  task: number;
  mm: number;
  pid: number;
  tgid: number;
  comm: string;
}

/** Called by readRaw for each record, in file order. Addresses are 48 bits wide. */
export interface RawHandler {
  block(block: RawBlock): void;
  /** @param doneBefore instructions that the execution before this one (of any vcpu) really did */
  exec(vcpu: number, block: number, doneBefore: number): void;
  /** An access of the vcpu of the last exec or core record. */
  mem(index: number, store: boolean, size: number, vpn: number, offset: number): void;
  map(vcpu: number, vpn: number, ppn: number, io: boolean): void;
  switch(vcpu: number, task: RawTask): void;
  mark(vcpu: number, operation: number): void;
  core(vcpu: number): void;
  end(doneBefore: number): void;
}

const CHUNK_BYTES = 1 << 22;
/** Longest record: a block of 512 instructions of 15 bytes. */
const MAX_RECORD_BYTES = 16 * 1024;

/**
 * Reads a raw file from start to end; memory use does not depend on its length. Throws Error at damage, and the
 * signal's reason.
 */
export async function readRaw(
  path: string,
  handler: RawHandler,
  progress?: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES + MAX_RECORD_BYTES);
    let kept = 0;
    let done = 0;
    let started = false;
    for (;;) {
      const n = readSync(fd, buffer, kept, CHUNK_BYTES, null);
      const bytes = buffer.subarray(0, kept + n);
      let from = 0;
      if (!started) {
        if (bytes.length < 8 || !RAW_MAGIC.every((byte, i) => bytes[i] === byte)) {
          throw new Error("the recorder's file has no beginning: the recorder did not start");
        }
        from = 8;
        started = true;
      }
      const used = from + parseRaw(bytes.subarray(from), n === 0, handler);
      done += used;
      progress?.(done);
      // A long file takes minutes: others, the user's interrupt among them, get their turn.
      await setImmediate();
      signal?.throwIfAborted();
      if (n === 0) return;
      bytes.copyWithin(0, used);
      kept = bytes.length - used;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Hands on the whole records in `bytes`.
 * @param last no more bytes follow: a record that is cut short is an error
 * @returns bytes used
 */
export function parseRaw(bytes: Uint8Array, last: boolean, handler: RawHandler): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.byteLength;
  let at = 0;
  while (at + 8 <= end) {
    const low = view.getUint32(at, true);
    const high = view.getUint32(at + 4, true);
    const type = high >>> 30;
    if (type === 1) {
      const vpn = (high & 0xffff) * 0x10_0000 + (low >>> 12);
      handler.mem((high >>> 20) & 1023, (high & 0x8_0000) !== 0, 1 << ((high >>> 16) & 7), vpn, low & 4095);
      at += 8;
    } else if (type === 0) {
      handler.exec((high >>> 24) & 63, low, (high >>> 8) & 0xffff);
      at += 8;
    } else if (type === 2) {
      const length = controlBytes(view, at, end, high);
      if (at + length > end) break;
      control(view, bytes, at, low, high, handler);
      at += length;
    } else {
      throw new Error(`the recorder's file is damaged: record type ${type}`);
    }
  }
  if (last && at !== end) throw new Error("the recorder's file ends within a record");
  return at;
}

function controlBytes(view: DataView, at: number, end: number, high: number): number {
  switch ((high >>> 26) & 15) {
    case RawControl.Block: {
      if (at + 32 > end) return 32;
      const text = view.getUint32(at + 24, true) + view.getUint32(at + 28, true);
      if (text > 512 * 16) throw new Error(`the recorder's file is damaged: a block of ${text} bytes`);
      return 32 + Math.ceil(text / 8) * 8;
    }
    case RawControl.Map:
    case RawControl.End:
      return 16;
    case RawControl.Switch:
      return 40;
    default:
      return 8;
  }
}

function control(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  low: number,
  high: number,
  handler: RawHandler,
): void {
  const vcpu = (high >>> 16) & 1023;
  const value = (high & 0xffff) * 2 ** 32 + low;
  switch ((high >>> 26) & 15) {
    case RawControl.Block: {
      const count = view.getUint32(at + 24, true);
      const size = view.getUint32(at + 28, true);
      const text = at + 32;
      handler.block({
        id: value,
        address: address48(view, at + 8),
        ppn: view.getUint32(at + 16, true),
        ppn2: view.getUint32(at + 20, true),
        lengths: new Uint8Array(bytes.subarray(text, text + count)),
        bytes: new Uint8Array(bytes.subarray(text + count, text + count + size)),
      });
      return;
    }
    case RawControl.Map: {
      const top = view.getUint32(at + 12, true);
      handler.map(
        vcpu,
        value,
        (top & 0x7fff_ffff) * 2 ** 32 + view.getUint32(at + 8, true),
        top >>> 31 === 1,
      );
      return;
    }
    case RawControl.Switch: {
      const comm = Buffer.from(bytes.buffer, bytes.byteOffset + at + 24, 16).toString("latin1");
      handler.switch(vcpu, {
        task: value,
        mm: address48(view, at + 8),
        pid: view.getUint32(at + 16, true),
        tgid: view.getUint32(at + 20, true),
        comm: comm.slice(0, (comm.indexOf("\0") + 17) % 17),
      });
      return;
    }
    case RawControl.Mark:
      handler.mark(vcpu, value);
      return;
    case RawControl.Core:
      handler.core(vcpu);
      return;
    case RawControl.End:
      handler.end(view.getUint32(at + 8, true));
      return;
    default:
      throw new Error(`the recorder's file is damaged: control record ${(high >>> 26) & 15}`);
  }
}

function address48(view: DataView, at: number): number {
  return (view.getUint32(at + 4, true) & 0xffff) * 2 ** 32 + view.getUint32(at, true);
}
