import type { PrefetcherHost, PrefetchTarget } from "../../src/cache/contract.js";
import type { Jukebox } from "../../src/jukebox/jukebox.js";
import { type JukeboxSpec, jukeboxSchema } from "../../src/machine/spec.js";

export function specOf(overrides: Partial<JukeboxSpec> = {}): JukeboxSpec {
  return jukeboxSchema.parse({ level: "l2", replayDistance: -1, ...overrides });
}

/** Seeded generator of integers (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export interface Page {
  asid: number;
  vpn: number;
  ppn: number;
}

/** Pages of two address spaces, contiguous virtual pages, scattered physical ones. Kernel pages are at vpn 2^35 up. */
export function makePages(perSpace: number): Page[] {
  const pages: Page[] = [];
  for (let i = 0; i < perSpace; i++)
    pages.push({ asid: 0, vpn: 2 ** 35 + 7 + i, ppn: 1000 + ((i * 37) % 512) });
  for (let i = 0; i < perSpace; i++) pages.push({ asid: 1, vpn: 1024 + i, ppn: 5000 + ((i * 91) % 512) });
  for (let i = 0; i < perSpace; i++) pages.push({ asid: 2, vpn: 1024 + i, ppn: 9000 + ((i * 53) % 512) });
  return pages;
}

/** A prefetch queue that a test drains by hand, over a set of present lines. */
export class MockTarget implements PrefetchTarget {
  readonly queue: number[] = [];
  readonly present = new Set<number>();
  readonly enqueued: { line: number; virtualLine: number; now: number }[] = [];

  constructor(readonly capacity: number) {}

  get queueFree(): number {
    return this.capacity - this.queue.length;
  }

  enqueue(line: number, virtualLine: number, now: number): boolean {
    if (this.queue.length === this.capacity) return false;
    if (this.present.has(line) || this.queue.includes(line)) return true;
    this.queue.push(line);
    this.enqueued.push({ line, virtualLine, now });
    return true;
  }

  probe(line: number): boolean {
    return this.present.has(line);
  }
}

export class MockHost implements PrefetcherHost {
  readonly core = 1;
  readonly metadataLine = 1 << 26;
  readonly target: MockTarget;
  readonly pages: { asid: Int32Array; vpn: Float64Array; ppn: Int32Array };
  translatedPage = -1;
  readonly reads: { line: number; now: number }[] = [];
  readonly writes: { line: number; now: number }[] = [];
  readonly translations: { asid: number; vpn: number; now: number }[] = [];
  /** Pages that cannot be translated. */
  readonly unmapped = new Set<number>();

  constructor(
    pages: Page[],
    readonly options: { metadataLatency?: number; walkLatency?: number; queue?: number } = {},
  ) {
    this.target = new MockTarget(options.queue ?? 100_000);
    this.pages = {
      asid: Int32Array.from(pages, (p) => p.asid),
      vpn: Float64Array.from(pages, (p) => p.vpn),
      ppn: Int32Array.from(pages, (p) => p.ppn),
    };
  }

  readMetadata(line: number, now: number): number {
    this.reads.push({ line, now });
    return now + (this.options.metadataLatency ?? 100);
  }

  writeMetadata(line: number, now: number): void {
    this.writes.push({ line, now });
  }

  translate(asid: number, vpn: number, now: number): number {
    this.translations.push({ asid, vpn, now });
    this.translatedPage = -1;
    for (let i = 0; i < this.pages.asid.length; i++) {
      if (this.pages.asid[i] === asid && this.pages.vpn[i] === vpn && !this.unmapped.has(i))
        this.translatedPage = i;
    }
    return now + (this.options.walkLatency ?? 0);
  }

  /** Physical line of a virtual one. */
  physical(virtualLine: number): number {
    return this.pages.ppn[virtualLine >>> 6] * 64 + (virtualLine & 63);
  }
}

/** Calls `act` at each `nextAction` up to and including `until`. @returns calls made. */
export function runUntil(jukebox: Jukebox, until: number): number {
  let calls = 0;
  while (jukebox.nextAction <= until) {
    const at = jukebox.nextAction;
    jukebox.act(at);
    if (jukebox.nextAction <= at) throw new Error(`no progress at ${at}`);
    if (++calls > 1_000_000) throw new Error("act called for ever");
  }
  return calls;
}

/** Value of a Jukebox counter by name. */
export function count(jukebox: Jukebox, name: string): number {
  const i = jukebox.group.defs.findIndex((def) => def.name === name);
  if (i < 0) throw new Error(`no counter ${name}`);
  return jukebox.group.values[i];
}
