import { describe, expect, it, test } from "vitest";
import { NOT_NOW } from "../../src/cache/contract.js";
import { CoreCounters, TlbCount } from "../../src/core/counters.js";
import { largeRegions, PageTables } from "../../src/core/page-tables.js";
import { Translation } from "../../src/core/translation.js";
import type { PageTable } from "../../src/loader/contract.js";
import { type CoreSpec, coreSchema } from "../../src/machine/spec.js";
import { seeded } from "./random-program.js";
import { MockPort, testMachine } from "./support.js";

const KERNEL = 2 ** 35;

function table(entries: { asid: number; vpn: number; ppn: number; io?: number }[]): PageTable {
  return {
    count: entries.length,
    asid: Int32Array.from(entries, (e) => e.asid),
    vpn: Float64Array.from(entries, (e) => e.vpn),
    ppn: Int32Array.from(entries, (e) => e.ppn),
    io: Uint8Array.from(entries, (e) => e.io ?? 0),
    kernel: Uint8Array.from(entries, (e) => (e.vpn >= KERNEL ? 1 : 0)),
  };
}

/** Lists of at most so many keys for each set, most recent first. */
class NaiveLru {
  private sets = new Map<number, string[]>();
  constructor(
    private readonly spec: { entries: number; ways: number } | undefined,
    private readonly shared?: NaiveLru,
  ) {}
  private set(index: number): string[] {
    const i = index % (this.spec!.entries / this.spec!.ways);
    if (!this.sets.has(i)) this.sets.set(i, []);
    return this.sets.get(i)!;
  }
  lookup(index: number, key: string): boolean {
    if (this.shared) return this.shared.lookup(index, key);
    if (!this.spec) return false;
    const set = this.set(index);
    if (!set.includes(key)) return false;
    set.splice(set.indexOf(key), 1);
    set.unshift(key);
    return true;
  }
  fill(index: number, key: string): void {
    this.shared?.fill(index, key);
    if (this.shared || !this.spec) return;
    const set = this.set(index);
    if (set.includes(key)) return;
    set.unshift(key);
    if (set.length > this.spec.ways) set.pop();
  }
  flush(): void {
    this.sets.clear();
    this.shared?.flush();
  }
}

/** The whole of a core's translation, written from the description: keys are texts, structures are lists. */
class NaiveMmu {
  private readonly tlbs: Record<string, { small: NaiveLru; large: NaiveLru }> = {};
  private readonly caches: NaiveLru[];
  readonly large = new Set<number>();

  constructor(
    private readonly spec: CoreSpec,
    private readonly pages: PageTable,
  ) {
    for (const name of ["itlb", "dtlb", "l2tlb"] as const) {
      const tlb = spec[name];
      const small = new NaiveLru(tlb);
      this.tlbs[name] = {
        small,
        large: tlb?.large ? new NaiveLru(tlb.large) : new NaiveLru(undefined, small),
      };
    }
    const { pml4e, pdpte, pde } = spec.pageWalkCaches ?? {};
    this.caches = [pml4e, pdpte, pde].map((c) => new NaiveLru(c));
    if (spec.largeKernelPages)
      for (let p = 0; p < pages.count; p++) {
        const same = [...Array(pages.count).keys()].filter(
          (q) => pages.kernel[q] && Math.floor(pages.vpn[q] / 512) === Math.floor(pages.vpn[p] / 512),
        );
        const offset = pages.vpn[p] - pages.ppn[p];
        const fits = same.every((q) => pages.vpn[q] - pages.ppn[q] === offset && !pages.io[q]);
        if (pages.kernel[p] && offset % 512 === 0 && fits) this.large.add(p);
      }
  }

  /** @returns cycles of an access to the page through a first-level TLB, each read taking `read` cycles. */
  access(which: "itlb" | "dtlb", page: number, read: number): number {
    const { asid, vpn, ppn } = this.pages;
    const large = this.large.has(page);
    const index = large ? Math.floor(vpn[page] / 512) : vpn[page];
    const key = large ? `large ${index}` : `${asid[page]} ${vpn[page]} ${ppn[page]}`;
    const part = (name: string) => (large ? this.tlbs[name].large : this.tlbs[name].small);
    if (part(which).lookup(index, key)) return 0;
    let cycles = this.spec.l2tlb?.latency ?? 0;
    if (!part("l2tlb").lookup(index, key)) {
      cycles += this.spec.pageWalkCaches?.latency ?? 0;
      const levels = large ? 3 : 4;
      // What an entry of a level stands for: the bits of the address above it.
      const prefix = (level: number) => Math.floor(vpn[page] / 512 ** (3 - level));
      const name = (level: number) => `${asid[page]} ${prefix(level)}`;
      let level = levels - 2;
      while (level >= 0 && !this.caches[level].lookup(prefix(level), name(level))) level--;
      for (level++; level < levels; level++) {
        cycles += read;
        if (level < levels - 1) this.caches[level].fill(prefix(level), name(level));
      }
      part("l2tlb").fill(index, key);
    }
    part(which).fill(index, key);
    return cycles;
  }

  flush(): void {
    for (const { small, large } of Object.values(this.tlbs)) {
      small.flush();
      large.flush();
    }
    for (const cache of this.caches) cache.flush();
  }
}

const MMU = { entries: 8, ways: 4 };
const SPECS: Record<string, object> = {
  "no second level": {},
  "a second level": { l2tlb: { entries: 24, ways: 3, latency: 7 } },
  "page-walk caches": {
    pageWalkCaches: {
      pml4e: { entries: 1, ways: 1 },
      pdpte: { entries: 2, ways: 2 },
      pde: { entries: 8, ways: 2 },
    },
  },
  "one page-walk cache": { pageWalkCaches: { pde: { entries: 4, ways: 4 }, latency: 0 } },
  "2 MB pages among the others": { largeKernelPages: true },
  "2 MB pages in parts of their own": {
    largeKernelPages: true,
    itlb: { ...MMU, large: { entries: 2, ways: 2 } },
    dtlb: { ...MMU, large: { entries: 4, ways: 2 } },
  },
  everything: {
    largeKernelPages: true,
    itlb: { ...MMU, large: { entries: 2, ways: 2 } },
    l2tlb: { entries: 32, ways: 4, latency: 9, large: { entries: 4, ways: 4 } },
    pageWalkCaches: {
      pml4e: { entries: 2, ways: 2 },
      pdpte: { entries: 2, ways: 1 },
      pde: { entries: 8, ways: 4 },
      latency: 2,
    },
  },
};

/** Two address spaces and the kernel: its direct map in part, pages of it that are not, a device. */
function randomPages(random: (n: number) => number): PageTable {
  const seen = new Set<string>();
  const entries: { asid: number; vpn: number; ppn: number; io?: number }[] = [];
  const add = (asid: number, vpn: number, ppn: number, io = 0) => {
    const key = `${asid} ${vpn} ${ppn}`;
    if (!seen.has(key)) entries.push({ asid, vpn, ppn, io });
    seen.add(key);
  };
  for (let i = 0; i < 60; i++)
    add(
      1 + random(2),
      random(4) * 2 ** 27 + random(3) * 2 ** 18 + random(3) * 512 + random(40),
      20_000 + random(9000),
    );
  for (let i = 0; i < 60; i++) {
    const ppn = random(12) * 512 + random(512);
    add(0, KERNEL + 2 ** 20 + ppn, ppn);
  }
  for (let i = 0; i < 40; i++) add(0, KERNEL + 2 ** 30 + random(3000), 7000 + random(3000));
  add(0, KERNEL + 2 ** 20 + 5 * 512 + 3, 5 * 512 + 4);
  add(0, KERNEL + 2 ** 20 + 7 * 512 + 3, 7 * 512 + 3, 1);
  return table(entries);
}

function translation(spec: CoreSpec, pages: PageTable) {
  const tables = new PageTables(pages, 256, spec.largeKernelPages);
  const machine = { ...testMachine(), core: spec };
  const counters = new CoreCounters(0, machine, new Float64Array(10), 2, () => {});
  const port = new MockPort();
  const mmu = new Translation(spec, pages, tables, port, counters.itlb, counters.dtlb, counters.walks);
  return { mmu, tables, port, counters };
}

const coreSpec = (changes: object) => coreSchema.parse({ itlb: MMU, dtlb: MMU, ...changes });

describe.each(Object.entries(SPECS))("the translation of a core with %s", (_, changes) => {
  test.each([1, 2, 3])("takes as long as a naive one's on random pages (seed %i)", (seed) => {
    const random = seeded(seed);
    const pages = randomPages(random);
    const spec = coreSpec(changes);
    const { mmu, port, counters } = translation(spec, pages);
    const naive = new NaiveMmu(spec, pages);
    let now = 0;
    let reads = 0;
    let walked = 0;
    port.walkCycles = 40;
    const walk = port.walk.bind(port);
    port.walk = (line, at) => {
      reads++;
      return walk(line, at);
    };
    const readTime = walk(1, 0);
    expect(readTime).toBe(40);
    let page = 0;
    for (let i = 0; i < 3000; i++) {
      page = random(3) ? Math.min(pages.count - 1, page - (page % 8) + random(8)) : random(pages.count);
      const fetch = random(2) === 0;
      const begin = now;
      mmu.lastIPage = mmu.lastDPage = -1;
      if (!(fetch ? mmu.findInstruction(page) : mmu.findData(page))) {
        const w = fetch ? mmu.fetchWalk : mmu.dataWalk;
        w.begin(page);
        while (!w.over) {
          const done = w.proceed(now);
          expect(done).not.toBe(NOT_NOW);
          now = done;
        }
        (fetch ? mmu.itlb : mmu.dtlb).fill(page);
        walked++;
      }
      expect(now - begin).toBe(naive.access(fetch ? "itlb" : "dtlb", page, readTime));
      if (random(700) === 0) {
        mmu.flush();
        naive.flush();
      }
    }
    expect(walked).toBeGreaterThan(200);
    if (spec.largeKernelPages) expect(naive.large.size).toBeGreaterThan(20);
    const group = counters.groups.find((g) => g.path === "cpu0.mmu");
    if (group === undefined) {
      expect(reads).toBe(4 * walked);
      return;
    }
    const c = Object.fromEntries(group.defs.map((d, k) => [d.name, group.values[k]]));
    if (spec.l2tlb) expect(c.l2tlbAccesses).toBe(walked);
    if (spec.l2tlb) expect(c.walks).toBe(c.l2tlbMisses);
    else expect(c.walks).toBe(walked);
    expect(c.walkReads).toBe(reads);
    expect(reads).toBe(4 * c.walks - c.largeWalks - c.pml4eHits - 2 * c.pdpteHits - 3 * c.pdeHits);
  });
});

it("a kernel region is a 2 MB page where all that is known of it lies in one aligned 2 MB of memory", () => {
  const at = (region: number, place: number, ppn: number, io = 0) => ({
    asid: 0,
    vpn: KERNEL + region * 512 + place,
    ppn,
    io,
  });
  const pages = table([
    at(0, 3, 512 + 3),
    at(0, 511, 1023),
    at(1, 3, 5 * 512 + 4), // not aligned
    at(2, 3, 5 * 512 + 3),
    at(2, 4, 6 * 512 + 4), // two regions of memory
    at(3, 1, 7 * 512 + 1),
    at(3, 2, 7 * 512 + 2, 1), // a device
    { asid: 1, vpn: 512 + 3, ppn: 9 * 512 + 3 }, // a user page
  ]);
  expect([...largeRegions(pages)]).toEqual([[0, [0, 1]]]);
});

it("a walk for one part of a 2 MB page is enough for a prefetcher to know the others", () => {
  const pages = table([
    { asid: 0, vpn: KERNEL + 5, ppn: 5 },
    { asid: 0, vpn: KERNEL + 6, ppn: 6 },
  ]);
  for (const largeKernelPages of [false, true]) {
    const { mmu } = translation(coreSpec({ largeKernelPages }), pages);
    mmu.fetchWalk.begin(0);
    for (let now = 0; !mmu.fetchWalk.over; ) now = mmu.fetchWalk.proceed(now);
    mmu.translate(0, KERNEL + 6, 1000);
    expect(mmu.translatedPage).toBe(largeKernelPages ? 1 : -1);
  }
});

it("a prefetcher's question is answered by the second level, and fills it", () => {
  const pages = table([{ asid: 1, vpn: 5, ppn: 5 }]);
  const { mmu, counters } = translation(coreSpec({ l2tlb: { entries: 4, ways: 4, latency: 9 } }), pages);
  mmu.dataWalk.begin(0);
  for (let now = 0; !mmu.dataWalk.over; ) now = mmu.dataWalk.proceed(now);
  expect(mmu.translate(1, 5, 1000)).toBe(1009);
  expect(mmu.translate(1, 5, 2000)).toBe(2000);
  const group = counters.groups.find((g) => g.path === "cpu0.mmu")!;
  expect(group.values[0]).toBe(2);
});

test("without a walker every page is there at once, and the TLBs count what they did not hold", () => {
  const random = seeded(7);
  const pages = randomPages(random);
  const { mmu, port, counters } = translation(coreSpec({ walker: "none" }), pages);
  const walked = translation(coreSpec({}), pages);
  let missed = 0;
  for (let i = 0; i < 2000; i++) {
    const page = random(pages.count);
    expect(mmu.findData(page)).toBe(true);
    if (!walked.mmu.findData(page)) {
      missed++;
      walked.mmu.dtlb.fill(page);
    }
  }
  expect(missed).toBeGreaterThan(100);
  expect(counters.dtlb[TlbCount.Misses]).toBe(missed);
  expect(port.log).toEqual([]);
});
