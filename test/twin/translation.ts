import type { PageTable } from "../../src/loader/contract.js";
import type { TlbSpec } from "../../src/machine/spec.js";

/** A TLB: by set, the pages it holds, the most recently used first. */
export class NaiveTlb {
  private sets = new Map<number, number[]>();

  constructor(
    private readonly spec: TlbSpec,
    private readonly pages: PageTable,
  ) {}

  /** Is the page held? Then it is the most recently used. */
  lookup(page: number): boolean {
    const set = this.setOf(page);
    if (!set.includes(page)) return false;
    set.splice(set.indexOf(page), 1);
    set.unshift(page);
    return true;
  }

  fill(page: number): void {
    const set = this.setOf(page);
    set.unshift(page);
    if (set.length > Math.min(this.spec.ways, this.spec.entries)) set.pop();
  }

  flush(): void {
    this.sets = new Map();
  }

  private setOf(page: number): number[] {
    const index = this.pages.vpn[page] % (this.spec.entries / Math.min(this.spec.ways, this.spec.entries));
    const set = this.sets.get(index) ?? [];
    this.sets.set(index, set);
    return set;
  }
}

/** A node of a radix tree: its frame, and what lies below. */
interface Node {
  frame: number;
  children: Map<number, Node>;
}

/**
 * Made-up page tables: for each address space a tree of four levels of 512 entries, its nodes in frames from the top
 * of memory down that no page has, in order of first need by page id. @returns by page: the lines that a walk reads.
 */
export function naivePageTables(pages: PageTable, memoryMiB: number): number[][] {
  const used = new Set([...pages.ppn.subarray(0, pages.count)]);
  let frame = memoryMiB * 256;
  const node = (): Node => {
    do frame--;
    while (used.has(frame));
    return { frame, children: new Map() };
  };
  const roots = new Map<number, Node>();
  return Array.from({ length: pages.count }, (_, page) => {
    const digits = [27, 18, 9, 0].map((bit) => Math.floor(pages.vpn[page] / 2 ** bit) % 512);
    let at = roots.get(pages.asid[page]);
    if (at === undefined) {
      at = node();
      roots.set(pages.asid[page], at);
    }
    return digits.map((digit, step) => {
      // Eight entries of eight bytes a line.
      const line = at!.frame * 64 + Math.floor(digit / 8);
      if (step < 3) {
        const below = at!.children.get(digit) ?? node();
        at!.children.set(digit, below);
        at = below;
      }
      return line;
    });
  });
}
