import { InputError } from "../errors.js";
import type { PageTable } from "../loader/contract.js";

/** Levels of the radix tree, 9 bits of the virtual page each. */
export const WALK_LEVELS = 4;
/** Pages of 4 kB in one of 2 MB. */
const PAGES_A_LARGE = 512;

/**
 * Page tables of all address spaces of a trace, made up: traces do not say where the guest's tables are.
 * A 4-level radix tree for each address space, 512 entries of 8 bytes a node, each node in a frame of its
 * own; nodes are placed in order of page id, from the top of the machine's memory down, in frames that no
 * page of the trace uses. Neighbouring pages share upper nodes and entry lines as in hardware. Kernel
 * pages are address space 0's. With `largeKernelPages` (see coreSchema) 2 MB regions are leaves a level higher.
 */
export class PageTables {
  /** Physical line of the entry read at step s (0 = root) for page p: lines[p * WALK_LEVELS + s]. */
  readonly lines: Int32Array;
  /** Frames that nodes take. */
  readonly nodes: number;
  /** Node read at step s for page p, from 0 in order of placing: nodeOf[p * WALK_LEVELS + s]; `nodeIndex`: its number among all that there can be at its level. */
  readonly nodeOf: Int32Array;
  readonly nodeIndex: Float64Array;
  /** Reads of a walk for each page: 4, or 3 for a part of a 2 MB page. */
  readonly steps: Uint8Array;
  /**
   * What a TLB holds for each page: the page itself, or of a 2 MB page the least page id of its parts. `entryIndex` of
   * it chooses the set: the number of the page in units of its own size.
   */
  readonly entryOf: Int32Array;
  readonly entryIndex: Float64Array;
  /** Parts of each 2 MB page, by its entry, until it is first walked for. */
  private readonly parts: Map<number, number[]>;
  /** Virtual pages by number: of (space, page), of each page id; page id that each was last seen mapped to, or -1. */
  private readonly numberOf = new Map<number, number>();
  private readonly virtual: Int32Array;
  private readonly mapped: Int32Array;

  /** @param memoryMiB size of the machine's memory. */
  constructor(pages: PageTable, memoryMiB: number, largeKernelPages = false) {
    this.entryOf = Int32Array.from({ length: pages.count }, (_, page) => page);
    this.entryIndex = Float64Array.from(pages.vpn.subarray(0, pages.count));
    this.steps = new Uint8Array(pages.count).fill(WALK_LEVELS);
    this.parts = largeKernelPages ? largeRegions(pages) : new Map();
    for (const [entry, parts] of this.parts)
      for (const page of parts) {
        this.entryOf[page] = entry;
        this.entryIndex[page] = Math.floor(pages.vpn[page] / PAGES_A_LARGE);
        this.steps[page] = WALK_LEVELS - 1;
      }
    const used = new Set<number>(pages.ppn.subarray(0, pages.count));
    let frame = memoryMiB * 256;
    const allocate = (): number => {
      do frame--;
      while (used.has(frame));
      if (frame < 0) throw new InputError(`memory of ${memoryMiB} MiB has no room for page tables`);
      return frame;
    };
    const tree = new Map<number, number>();
    const frames: number[] = [];
    const prefixes: number[] = [];
    this.nodeOf = new Int32Array(pages.count * WALK_LEVELS);
    this.lines = new Int32Array(pages.count * WALK_LEVELS);
    for (let page = 0; page < pages.count; page++) {
      const vpn = pages.vpn[page];
      for (let step = 0; step < this.steps[page]; step++) {
        const shift = 2 ** (9 * (WALK_LEVELS - 1 - step));
        const prefix = Math.floor(vpn / (shift * 512));
        // (space, level, prefix) as one integer below 2^53.
        const key = (pages.asid[page] * WALK_LEVELS + step) * 2 ** 27 + prefix;
        let node = tree.get(key);
        if (node === undefined) {
          node = frames.length;
          frames.push(allocate());
          prefixes.push(prefix);
          tree.set(key, node);
        }
        const index = Math.floor(vpn / shift) % 512;
        this.nodeOf[page * WALK_LEVELS + step] = node;
        this.lines[page * WALK_LEVELS + step] = frames[node] * 64 + (index >> 3);
      }
    }
    this.nodes = frames.length;
    this.nodeIndex = Float64Array.from(prefixes);
    this.virtual = new Int32Array(pages.count);
    for (let page = 0; page < pages.count; page++) {
      const key = this.key(pages.asid[page], pages.vpn[page]);
      const number = this.numberOf.get(key) ?? this.numberOf.size;
      this.numberOf.set(key, number);
      this.virtual[page] = number;
    }
    this.mapped = new Int32Array(this.numberOf.size).fill(-1);
  }

  private key(asid: number, vpn: number): number {
    return asid * 2 ** 36 + vpn;
  }

  /** A walk for this page has been done: it is now what its virtual page is mapped to, and with it all of a 2 MB page. */
  touched(page: number): void {
    const { virtual, mapped } = this;
    mapped[virtual[page]] = page;
    if (this.parts.size === 0) return;
    const parts = this.parts.get(this.entryOf[page]);
    if (parts === undefined) return;
    for (const part of parts) mapped[virtual[part]] = part;
    this.parts.delete(this.entryOf[page]);
  }

  /** Page id that (asid, vpn) was last seen mapped to, or -1. Kernel pages: asid 0. */
  current(asid: number, vpn: number): number {
    const number = this.numberOf.get(this.key(asid, vpn));
    return number === undefined ? -1 : this.mapped[number];
  }
}

/** The 2 MB pages of the kernel, as coreSchema's `largeKernelPages` has it: page ids by the least of them, ascending. */
export function largeRegions(pages: PageTable): Map<number, number[]> {
  const regions = new Map<number, number[]>();
  const broken = new Set<number>();
  for (let page = 0; page < pages.count; page++) {
    if (!pages.kernel[page]) continue;
    const region = Math.floor(pages.vpn[page] / PAGES_A_LARGE);
    const first = regions.get(region);
    if (first === undefined) regions.set(region, [page]);
    else first.push(page);
    // The place in 2 MB is the same in virtual and physical memory, and all parts lie in the same 2 MB.
    const aligned = pages.vpn[page] % PAGES_A_LARGE === pages.ppn[page] % PAGES_A_LARGE;
    const together = first === undefined || pages.ppn[first[0]] >> 9 === pages.ppn[page] >> 9;
    if (pages.io[page] || !aligned || !together) broken.add(region);
  }
  const large = new Map<number, number[]>();
  for (const [region, parts] of regions) if (!broken.has(region)) large.set(parts[0], parts);
  return large;
}
