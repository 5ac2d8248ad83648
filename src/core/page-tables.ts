import { InputError } from "../errors.js";
import type { PageTable } from "../loader/contract.js";

/** Levels of the radix tree, 9 bits of the virtual page each. */
export const WALK_LEVELS = 4;

/**
 * Page tables of all address spaces of a trace, made up: traces do not say where the guest's tables are.
 * A 4-level radix tree for each address space, 512 entries of 8 bytes a node, each node in a frame of its
 * own; nodes are placed in order of page id, from the top of the machine's memory down, in frames that no
 * page of the trace uses. Neighbouring pages share upper nodes and entry lines as in hardware. Kernel
 * pages are address space 0's.
 */
export class PageTables {
  /** Physical line of the entry read at step s (0 = root) for page p: lines[p * WALK_LEVELS + s]. */
  readonly lines: Int32Array;
  /** Frames that nodes take. */
  readonly nodes: number;
  private readonly pageOf = new Map<number, number>();

  /** @param memoryMiB size of the machine's memory. */
  constructor(
    private readonly pages: PageTable,
    memoryMiB: number,
  ) {
    const used = new Set<number>(pages.ppn.subarray(0, pages.count));
    let frame = memoryMiB * 256;
    let nodes = 0;
    const allocate = (): number => {
      do frame--;
      while (used.has(frame));
      if (frame < 0) throw new InputError(`memory of ${memoryMiB} MiB has no room for page tables`);
      nodes++;
      return frame;
    };
    const tree = new Map<number, number>();
    this.lines = new Int32Array(pages.count * WALK_LEVELS);
    for (let page = 0; page < pages.count; page++) {
      const vpn = pages.vpn[page];
      for (let step = 0; step < WALK_LEVELS; step++) {
        const shift = 2 ** (9 * (WALK_LEVELS - 1 - step));
        const prefix = Math.floor(vpn / (shift * 512));
        // (space, level, prefix) as one integer below 2^53.
        const key = (pages.asid[page] * WALK_LEVELS + step) * 2 ** 27 + prefix;
        let node = tree.get(key);
        if (node === undefined) {
          node = allocate();
          tree.set(key, node);
        }
        const index = Math.floor(vpn / shift) % 512;
        this.lines[page * WALK_LEVELS + step] = node * 64 + (index >> 3);
      }
    }
    this.nodes = nodes;
  }

  private key(asid: number, vpn: number): number {
    return asid * 2 ** 36 + vpn;
  }

  /** A walk for this page has been done: it is now what its virtual page is mapped to. */
  touched(page: number): void {
    this.pageOf.set(this.key(this.pages.asid[page], this.pages.vpn[page]), page);
  }

  /** Page id that (asid, vpn) was last seen mapped to, or -1. Kernel pages: asid 0. */
  current(asid: number, vpn: number): number {
    return this.pageOf.get(this.key(asid, vpn)) ?? -1;
  }
}
