import { describe, expect, it } from "vitest";
import { PageTables } from "../../src/core/index.js";
import { Tlb } from "../../src/core/tlb.js";
import type { PageTable } from "../../src/loader/contract.js";
import { seeded } from "./random-program.js";

/** Naive twin: a list for each set, most recent first. */
class NaiveTlb {
  private readonly sets = new Map<number, number[]>();
  constructor(
    private readonly entries: number,
    private readonly ways: number,
    private readonly vpn: Float64Array,
  ) {}
  private set(page: number): number[] {
    const index = this.vpn[page] % (this.entries / this.ways);
    let set = this.sets.get(index);
    if (set === undefined) {
      set = [];
      this.sets.set(index, set);
    }
    return set;
  }
  lookup(page: number): boolean {
    const set = this.set(page);
    const at = set.indexOf(page);
    if (at < 0) return false;
    set.splice(at, 1);
    set.unshift(page);
    return true;
  }
  fill(page: number): number {
    const set = this.set(page);
    set.unshift(page);
    return set.length > this.ways ? (set.pop() as number) : -1;
  }
  flush(): void {
    this.sets.clear();
  }
}

describe("the TLB", () => {
  for (const [entries, ways] of [
    [64, 64],
    [16, 4],
    [8, 1],
    [1, 1],
    [2, 2],
  ]) {
    it(`of ${entries} entries and ${ways} ways behaves as a naive list on random pages`, () => {
      const random = seeded(entries * 100 + ways);
      const vpn = Float64Array.from({ length: 200 }, () => random(1 << 30) * 64 + random(64));
      const tlb = new Tlb({ entries, ways }, vpn, 200);
      const twin = new NaiveTlb(entries, ways, vpn);
      for (let i = 0; i < 20_000; i++) {
        const page = random(random(2) ? entries + 2 : 200);
        const hit = tlb.lookup(page);
        expect(hit).toBe(twin.lookup(page));
        if (!hit) expect(tlb.fill(page)).toBe(twin.fill(page));
        if (random(2000) === 0) {
          tlb.flush();
          twin.flush();
        }
      }
    });
  }
});

function table(entries: [asid: number, vpn: number, ppn: number][]): PageTable {
  return {
    count: entries.length,
    asid: Int32Array.from(entries, (e) => e[0]),
    vpn: Float64Array.from(entries, (e) => e[1]),
    ppn: Int32Array.from(entries, (e) => e[2]),
    io: new Uint8Array(entries.length),
    kernel: new Uint8Array(entries.length),
  };
}

describe("the page tables", () => {
  it("share all four entry lines between neighbours whose leaf entries are in one line", () => {
    const t = new PageTables(
      table([
        [1, 0x1000, 5],
        [1, 0x1001, 6],
      ]),
      16,
    );
    expect([...t.lines.subarray(0, 4)]).toEqual([...t.lines.subarray(4, 8)]);
  });

  it("share upper nodes only between pages that are 512 apart", () => {
    const t = new PageTables(
      table([
        [1, 0x1000, 5],
        [1, 0x1200, 6],
      ]),
      16,
    );
    expect([...t.lines.subarray(0, 3)]).toEqual([...t.lines.subarray(4, 7)]);
    expect(t.lines[3] >> 6).not.toBe(t.lines[7] >> 6);
  });

  it("share nothing between address spaces", () => {
    const t = new PageTables(
      table([
        [1, 0x1000, 5],
        [2, 0x1000, 6],
      ]),
      16,
    );
    expect(t.nodes).toBe(8);
  });

  it("lie at the top of memory in frames that no page uses", () => {
    const t = new PageTables(table([[1, 0, 16 * 256 - 2]]), 16);
    expect([...t.lines].map((l) => l >> 6)).toEqual([4095, 4093, 4092, 4091]);
  });

  it("know a virtual page only after its walk", () => {
    const t = new PageTables(table([[1, 0x1000, 5]]), 16);
    expect(t.current(1, 0x1000)).toBe(-1);
    t.touched(0);
    expect(t.current(1, 0x1000)).toBe(0);
  });
});
