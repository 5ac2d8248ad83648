import type { PageTable } from "../../src/loader/contract.js";
import type { CoreSpec, EntriesSpec, TlbSpec } from "../../src/machine/spec.js";

/** A node of a page table. */
interface Node {
  frame: number;
  /** Its number among all that there can be at its level. */
  index: number;
  children: Map<number, Node>;
}

/** One read of a walk: an entry's line, and the node that the entry points to; undefined: a page. */
export interface WalkRead {
  line: number;
  below: Node | undefined;
}

/** A page as the TLBs see it. */
export interface MappedPage {
  large: boolean;
  /** What stands for it in a TLB; a number that chooses the set. */
  entry: number;
  index: number;
  reads: WalkRead[];
}

/** Sets of entries, the most recently used first. */
class Lru<Key> {
  private sets = new Map<number, Key[]>();
  private readonly ways: number;

  constructor(private readonly spec: EntriesSpec) {
    this.ways = Math.min(spec.ways, spec.entries);
  }

  /** Is it held? Then it is the most recently used. */
  lookup(key: Key, index: number): boolean {
    if (!this.holds(key, index)) return false;
    const set = this.setOf(index);
    set.splice(set.indexOf(key), 1);
    set.unshift(key);
    return true;
  }

  holds(key: Key, index: number): boolean {
    return this.setOf(index).includes(key);
  }

  /** Puts in what is not held. */
  fill(key: Key, index: number): void {
    const set = this.setOf(index);
    if (set.includes(key)) return;
    set.unshift(key);
    if (set.length > this.ways) set.pop();
  }

  flush(): void {
    this.sets = new Map();
  }

  private setOf(index: number): Key[] {
    const number = index % (this.spec.entries / this.ways);
    const set = this.sets.get(number) ?? [];
    this.sets.set(number, set);
    return set;
  }
}

/** A TLB, with a part of its own for 2 MB pages where the description has one. */
export class NaiveTlb {
  private readonly small: Lru<number>;
  private readonly large: Lru<number>;

  constructor(spec: TlbSpec) {
    this.small = new Lru(spec);
    this.large = spec.large === undefined ? this.small : new Lru(spec.large);
  }

  lookup(page: MappedPage): boolean {
    return this.part(page).lookup(page.entry, page.index);
  }

  fill(page: MappedPage): void {
    this.part(page).fill(page.entry, page.index);
  }

  flush(): void {
    this.small.flush();
    this.large.flush();
  }

  private part(page: MappedPage): Lru<number> {
    return page.large ? this.large : this.small;
  }
}

/** What all walks of a core share: second-level TLB, caches of entries that point to nodes. */
export class NaiveWalker {
  readonly plain: boolean;
  private readonly l2: NaiveTlb | undefined;
  private readonly caches: (Lru<Node> | undefined)[];

  constructor(
    private readonly spec: CoreSpec,
    private readonly count: (name: string) => void,
  ) {
    const { l2tlb, pageWalkCaches: caches } = spec;
    this.l2 = l2tlb && new NaiveTlb(l2tlb);
    this.caches = [caches?.pml4e, caches?.pdpte, caches?.pde].map((c) => c && new Lru<Node>(c));
    this.plain = !l2tlb && !caches && !spec.largeKernelPages;
  }

  /** @returns cycles before the first read, and the reads that are left. */
  begin(page: MappedPage): { latency: number; reads: WalkRead[] } {
    const { spec, l2 } = this;
    if (this.plain) return { latency: 0, reads: page.reads };
    let latency = 0;
    if (l2 !== undefined) {
      this.count("l2tlbAccesses");
      latency = spec.l2tlb!.latency;
      if (l2.lookup(page)) return { latency, reads: [] };
      this.count("l2tlbMisses");
    }
    this.count("walks");
    if (page.large) this.count("largeWalks");
    latency += spec.pageWalkCaches?.latency ?? 0;
    for (let step = page.reads.length - 2; step >= 0; step--) {
      const node = page.reads[step].below!;
      if (this.caches[step]?.lookup(node, node.index)) {
        this.count(["pml4eHits", "pdpteHits", "pdeHits"][step]);
        return { latency, reads: page.reads.slice(step + 1) };
      }
    }
    return { latency, reads: page.reads };
  }

  /** An entry has been read. */
  read(page: MappedPage, read: WalkRead): void {
    if (this.plain) return;
    this.count("walkReads");
    if (read.below === undefined) this.l2?.fill(page);
    else this.caches[page.reads.indexOf(read)]?.fill(read.below, read.below.index);
  }

  flush(): void {
    this.l2?.flush();
    for (const cache of this.caches) cache?.flush();
  }
}

/**
 * Made-up page tables: for each address space a tree of four levels of 512 entries, its nodes in frames from the top
 * of memory down that no page has, in order of first need by page id. @returns all pages, by id.
 */
export function naivePageTables(pages: PageTable, memoryMiB: number, largePages: boolean): MappedPage[] {
  const ids = Array.from({ length: pages.count }, (_, page) => page);
  const used = new Set(ids.map((page) => pages.ppn[page]));
  let frame = memoryMiB * 256;
  const node = (index: number): Node => {
    do frame--;
    while (used.has(frame));
    return { frame, index, children: new Map() };
  };
  const roots = new Map<number, Node>();
  const large = largePages ? largeRegions(pages, ids) : new Map<number, number>();
  return ids.map((page) => {
    const vpn = pages.vpn[page];
    const first = large.get(page);
    const bits = first === undefined ? [27, 18, 9, 0] : [27, 18, 9];
    let at = roots.get(pages.asid[page]) ?? node(0);
    roots.set(pages.asid[page], at);
    const reads = bits.map((bit, step): WalkRead => {
      const number = Math.floor(vpn / 2 ** bit);
      // Eight entries of eight bytes a line.
      const line = at.frame * 64 + Math.floor((number % 512) / 8);
      if (step === bits.length - 1) return { line, below: undefined };
      const below = at.children.get(number) ?? node(number);
      at.children.set(number, below);
      at = below;
      return { line, below };
    });
    const index = first === undefined ? vpn : Math.floor(vpn / 512);
    return { large: first !== undefined, entry: first ?? page, index, reads };
  });
}

/** Which page each virtual page was last seen mapped to: what prefetchers may know. */
export class KnownPages {
  private readonly known = new Map<string, number>();
  private readonly whole = new Set<number>();

  constructor(
    private readonly pages: PageTable,
    private readonly mapped: MappedPage[],
  ) {}

  /** A page has been translated: of a 2 MB page all parts, the first time. */
  translated(page: number): void {
    const { entry, large } = this.mapped[page];
    const all = large && !this.whole.has(entry);
    if (all) this.whole.add(entry);
    this.mapped.forEach((other, id) => {
      if (id === page || (all && other.large && other.entry === entry))
        this.known.set(`${this.pages.asid[id]} ${this.pages.vpn[id]}`, id);
    });
  }

  find(asid: number, vpn: number): number | undefined {
    return this.known.get(`${asid} ${vpn}`);
  }
}

/** Pages of the kernel that are parts of 2 MB pages, each with the first of them. */
function largeRegions(pages: PageTable, ids: number[]): Map<number, number> {
  const regions = new Map<number, number[]>();
  for (const page of ids.filter((id) => pages.kernel[id])) {
    const region = Math.floor(pages.vpn[page] / 512);
    regions.set(region, [...(regions.get(region) ?? []), page]);
  }
  const parts = new Map<number, number>();
  for (const region of regions.values()) {
    const start = pages.ppn[region[0]] - (pages.ppn[region[0]] % 512);
    if (region.every((page) => !pages.io[page] && pages.ppn[page] === start + (pages.vpn[page] % 512)))
      for (const page of region) parts.set(page, region[0]);
  }
  return parts;
}
