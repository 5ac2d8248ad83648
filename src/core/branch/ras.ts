/** Return address stack: a ring that overwrites its oldest entry; an empty one predicts nothing. */
export class ReturnStack {
  private readonly ring: Int32Array;
  private top = 0;
  private used = 0;

  constructor(private readonly entries: number) {
    this.ring = new Int32Array(entries);
  }

  push(address: number): void {
    this.top = this.top + 1 === this.entries ? 0 : this.top + 1;
    this.ring[this.top] = address;
    if (this.used < this.entries) this.used++;
  }

  /** @returns the newest address, taken off, or -1 when empty. */
  pop(): number {
    if (this.used === 0) return -1;
    const address = this.ring[this.top];
    this.top = this.top === 0 ? this.entries - 1 : this.top - 1;
    this.used--;
    return address;
  }

  flush(): void {
    this.ring.fill(0);
    this.top = 0;
    this.used = 0;
  }
}
