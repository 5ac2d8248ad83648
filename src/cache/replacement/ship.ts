import { DISTANT, LONG, RripPolicy } from "./rrip.js";

/** Entries of the signature history counter table, and their largest value: three bits. */
const ENTRIES = 1 << 14;
const COUNTER_MAX = 7;
/** Lines of signatures not seen before are taken for reused. */
const INITIAL = 1;

/**
 * Signature-based hit predictor over SRRIP (Wu et al., _SHiP: Signature-based Hit Predictor for High Performance
 * Caching_, MICRO 2011; SHiP-PC): 14 bits of the instruction that brings a line; a table of counters tells
 * whether lines of a signature were reused. Those that were not are predicted a distant interval. Lines that nobody
 * known brings share signature 0.
 */
export class ShipPolicy extends RripPolicy {
  private readonly counters = new Uint8Array(ENTRIES).fill(INITIAL);
  private readonly signature: Uint16Array;
  /** 0: no line; 1: a line that was not used since its fill; 2: one that was. */
  private readonly outcome: Uint8Array;

  constructor(sets: number, ways: number) {
    super(sets, ways);
    this.signature = new Uint16Array(sets * ways);
    this.outcome = new Uint8Array(sets * ways);
  }

  override touch(slot: number): void {
    super.touch(slot);
    this.outcome[slot] = 2;
    const at = this.signature[slot];
    if (this.counters[at] < COUNTER_MAX) this.counters[at]++;
  }

  fill(slot: number, signature: number): void {
    const { counters } = this;
    // The line that goes was never used: its signature loses.
    if (this.outcome[slot] === 1) {
      const old = this.signature[slot];
      if (counters[old] > 0) counters[old]--;
    }
    const at = fold(signature);
    this.signature[slot] = at;
    this.outcome[slot] = 1;
    this.interval[slot] = counters[at] === 0 ? DISTANT : LONG;
  }

  /** Taken away, not replaced: says nothing of its reuse. */
  override invalidate(slot: number): void {
    super.invalidate(slot);
    this.outcome[slot] = 0;
  }
}

/** 14 bits of an address. */
function fold(signature: number): number {
  return (signature ^ (signature >>> 14) ^ (signature >>> 28)) & (ENTRIES - 1);
}
