/** How a foreign trace says that an instruction hands over. */
export const Branch = {
  None: 0,
  Conditional: 1,
  Jump: 2,
  Call: 3,
  IndirectJump: 4,
  IndirectCall: 5,
  Return: 6,
  /** A branch of some other kind: system calls and the like. */
  Other: 7,
  /** The format does not say. */
  Unknown: 8,
} as const;
export type Branch = (typeof Branch)[keyof typeof Branch];

/** Accesses that one instruction can have here; what is beyond is damage. */
export const MAX_ACCESSES = 64;

/** One executed instruction of a foreign trace. Readers reuse the object: it is borrowed. */
export class FlatInstruction {
  /** 48 bits. */
  pc = 0;
  /** Bytes, or 0 where the format does not say. */
  length = 0;
  branch: Branch = Branch.Unknown;
  /** A branch that was taken; only where `branch` is known. */
  taken = false;
  /** The instruction's own bytes, where the format has them. */
  bytes: Uint8Array | undefined;
  accesses = 0;
  readonly store = new Uint8Array(MAX_ACCESSES);
  /** Bytes, or 0 where the format does not say. */
  readonly size = new Int32Array(MAX_ACCESSES);
  /** 48 bits. */
  readonly address = new Float64Array(MAX_ACCESSES);

  clear(): void {
    this.accesses = 0;
    this.bytes = undefined;
  }

  /** @returns false when there are too many */
  access(store: boolean, address: number, size: number): boolean {
    const i = this.accesses;
    if (i === MAX_ACCESSES) return false;
    this.accesses++;
    this.store[i] = store ? 1 : 0;
    this.size[i] = size;
    this.address[i] = address;
    return true;
  }

  copyFrom(other: FlatInstruction): void {
    this.pc = other.pc;
    this.length = other.length;
    this.branch = other.branch;
    this.taken = other.taken;
    this.bytes = other.bytes;
    this.accesses = other.accesses;
    for (let i = 0; i < other.accesses; i++) {
      this.store[i] = other.store[i];
      this.size[i] = other.size[i];
      this.address[i] = other.address[i];
    }
  }
}

/** Takes the instructions of a foreign trace one after the other. @returns false to stop reading */
export type FlatSink = (instruction: FlatInstruction) => boolean;

/** A foreign trace that can be read more than once. */
export interface FlatSource {
  /** "ChampSim", for messages. */
  readonly format: string;
  /** What the format does not tell, one statement each. */
  readonly lost: readonly string[];
  /** Throws InputError at damage, with the offset. */
  read(sink: FlatSink, progress: (done: number, all: number) => void): Promise<void>;
}

/** The lower 48 bits of a 64-bit address given in halves. */
export function address48(low: number, high: number): number {
  return (high & 0xffff) * 2 ** 32 + low;
}

/** Whether bits 47 to 63 are all the same. */
export function isCanonical(high: number): boolean {
  const top = high >>> 15;
  return top === 0 || top === 0x1ffff;
}
