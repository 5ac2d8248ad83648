import { SlotKind } from "./contract.js";

/**
 * The iterations of one repeated string instruction, as a recorder sees them: one by one. The trace has
 * segments (iterations, address of operand A [, of operand B]), each within one page for each operand.
 */
export class RepRun {
  iterations = 0;
  private kind = 0;
  private size = 0;
  private readonly a: number[] = [];
  private readonly b: number[] = [];

  start(kind: number, size: number): void {
    this.kind = kind;
    this.size = size;
    this.iterations = 0;
    this.a.length = 0;
    this.b.length = 0;
  }

  get operands(): number {
    return this.kind >= SlotKind.RepMove ? 2 : 1;
  }

  /** One iteration: page addresses of its operands. */
  add(a: number, b: number): void {
    this.a.push(a);
    this.b.push(b);
    this.iterations++;
  }

  /** Appends the run's numbers to `out`. */
  append(out: number[]): void {
    const { a, b, size, operands } = this;
    const countAt = out.length;
    out.push(0);
    for (let i = 0; i < a.length; ) {
      let n = 1;
      let step = 0;
      if (fits(a[i], size) && (operands === 1 || fits(b[i], size))) {
        for (; i + n < a.length; n++) {
          const next = a[i + n] - a[i + n - 1];
          if (n === 1 && Math.abs(next) === size) step = next;
          if (step === 0 || next !== step || !samePage(a[i], a[i + n], size)) break;
          if (operands === 2 && (b[i + n] - b[i + n - 1] !== step || !samePage(b[i], b[i + n], size))) break;
        }
      }
      out.push(step < 0 && n > 1 ? -n : n, a[i]);
      if (operands === 2) out.push(b[i]);
      out[countAt]++;
      i += n;
    }
  }
}

function fits(address: number, size: number): boolean {
  return (address & 4095) + size <= 4096;
}

function samePage(first: number, other: number, size: number): boolean {
  return first >>> 12 === other >>> 12 && fits(other, size);
}
