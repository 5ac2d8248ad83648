import { describe, expect, test } from "vitest";
import { type Prefetcher, type PrefetcherHost, Requester } from "../../src/cache/contract.js";
import { MemorySystem } from "../../src/cache/system.js";
import { Jukebox } from "../../src/jukebox/index.js";
import { jukeboxSchema, type MachineInput } from "../../src/machine/spec.js";
import { loadPlugins } from "../../src/plugins/load.js";
import { createPrefetcher, prefetcherNames, resolvePrefetcher } from "../../src/prefetch/index.js";
import { machine } from "../cache/machines.js";
import { Random } from "../support/random.js";

const PAGES = 48;
/** Virtual pages in a row, physical ones scattered. */
const pages = {
  asid: new Int32Array(PAGES),
  vpn: Float64Array.from({ length: PAGES }, (_, i) => 1000 + i),
  ppn: Int32Array.from({ length: PAGES }, (_, i) => 77 + ((i * 29) % 400)),
};
const lineOf = (virtualLine: number) => (pages.ppn[virtualLine >> 6] << 6) | (virtualLine & 63);

// A plug-in is held to the same.
await loadPlugins([new URL("../../docs/examples/miss-list.js", import.meta.url).pathname]);

/** What lets a prefetcher do nothing. */
const nothing = (name: string) => (name === "miss-list" ? { entries: 0 } : { degree: 0 });

type Make = (host: PrefetcherHost, off: boolean) => Prefetcher;
const KINDS: Record<string, Make> = {
  ...Object.fromEntries(
    prefetcherNames().map((name): [string, Make] => [
      name,
      (host, off) =>
        createPrefetcher(
          resolvePrefetcher(
            { name, on: "all", cores: "all", ...(off ? nothing(name) : {}) },
            "",
            ["llc"],
            "llc",
          ),
          host,
        ),
    ]),
  ),
  jukebox: (host, off) =>
    new Jukebox(
      jukeboxSchema.parse({ level: "llc", replayDistance: -1, metadataBytes: off ? 0 : 4096 }),
      host,
      2048 * 16384,
    ),
};

/** Lines asked for, wherever the host is used. */
interface Asked {
  line: number;
  virtualLine: number;
}

/** A host that notes what is asked for. */
function watched(host: PrefetcherHost, asked: Asked[]): PrefetcherHost {
  const target = {
    get queueFree() {
      return host.target.queueFree;
    },
    enqueue(line: number, virtualLine: number, now: number) {
      asked.push({ line, virtualLine });
      return host.target.enqueue(line, virtualLine, now);
    },
    probe: (line: number) => host.target.probe(line),
  };
  return {
    core: host.core,
    metadataLine: host.metadataLine,
    target,
    pages: host.pages,
    readMetadata: (line, now) => host.readMetadata(line, now),
    writeMetadata: (line, now) => host.writeMetadata(line, now),
    translate: (asid, vpn, now) => host.translate(asid, vpn, now),
    get translatedPage() {
      return host.translatedPage;
    },
  };
}

/** Two cores fetch, load and store for a while: runs through pages, strides, and places at random. */
function drive(
  seed: number,
  level: string,
  make: Make | undefined,
  off = false,
  change?: (m: MachineInput) => void,
) {
  const system = new MemorySystem(machine("simple", change), { seed: 1 });
  system.setPages(pages);
  const asked: Asked[] = [];
  const made: Prefetcher[] = [];
  for (const core of [0, 1]) {
    let page = -1;
    system.setTranslator(core, {
      translate(_asid, vpn, now) {
        page = pages.vpn.indexOf(vpn);
        return now + 7;
      },
      get translatedPage() {
        return page;
      },
    });
    if (make !== undefined)
      system.attachPrefetcher(core, level, (host) => {
        made.push(make(watched(host, asked), off));
        return made[made.length - 1];
      });
  }
  const random = new Random(seed);
  let now = 0;
  const answers: number[] = [];
  const at = Array(10).fill(0);
  for (let i = 0; i < 6000; i++) {
    const core = random.int(2);
    if (i % 1500 === 0) {
      system.flush({ l1i: true, l1d: true, levels: "all" });
      for (const p of made) p.beginInvocation(1, now);
    }
    if (i % 1500 === 1200) for (const p of made) p.endInvocation(1, now);
    const kind = random.int(4);
    // Code mostly runs on; each of four instructions of a core loads or stores with a step of its own.
    const walker = kind < 2 ? core : 2 + core * 4 + random.int(4);
    const step = kind < 2 ? [1, 1, 3, -2, 0][random.int(5)] : walker - 1;
    at[walker] = random.chance(0.03)
      ? random.int(PAGES * 64)
      : (at[walker] + step + PAGES * 64) % (PAGES * 64);
    const virtualLine = at[walker];
    const line = lineOf(virtualLine);
    const port = system.port(core);
    const pc = (3 << 12) | walker;
    for (;;) {
      const done =
        kind < 2
          ? port.fetch(line, virtualLine, now)
          : kind === 2
            ? port.load(line, virtualLine, pc, now)
            : port.store(line, virtualLine, pc, now);
      if (done >= 0) {
        answers.push(done);
        break;
      }
      now = Math.max(now + 1, port.retryAt);
    }
    now += random.int(30);
  }
  const counters = system
    .counterGroups()
    .flatMap(({ path, defs, values }) => defs.map((d, i) => [`${path}.${d.name}`, values[i]] as const));
  return { system, asked, answers, counters };
}

describe.each(Object.keys(KINDS))("the prefetcher %s", (name) => {
  test.each(["llc", "l1d", "l1i"])(
    "at %s asks for lines of mapped pages only, virtual and physical alike",
    (level) => {
      const { asked } = drive(1, level, KINDS[name]);
      // Some have nothing to do at some caches; at the LLC all have.
      if (level === "llc") expect(asked.length).toBeGreaterThan(20);
      for (const { line, virtualLine } of asked) {
        const page = virtualLine >> 6;
        if (!(page >= 0 && page < PAGES && lineOf(virtualLine) === line))
          expect({ line, virtualLine }).toEqual("a line of a mapped page");
      }
    },
  );

  test.each([1, 2, 3])("keeps the identities of all counters (seed %i)", (seed) => {
    const { system, counters } = drive(seed, "llc", KINDS[name]);
    expect(system.checkIdentities()).toEqual([]);
    const issued = counters.filter(([key]) => key.startsWith("llc.pfIssued"));
    expect(issued.reduce((sum, [, value]) => sum + value, 0)).toBeGreaterThan(0);
  });

  test("gives the same counters and times when it is run again", () => {
    const [a, b] = [drive(4, "llc", KINDS[name]), drive(4, "llc", KINDS[name])];
    expect(a.counters).toEqual(b.counters);
    expect(a.answers).toEqual(b.answers);
  });

  test("that is allowed nothing changes nothing", () => {
    const off = drive(5, "llc", KINDS[name], true);
    const none = drive(5, "llc", undefined);
    expect(off.answers).toEqual(none.answers);
    expect(off.counters).toEqual(none.counters);
  });

  test("works with a queue of one entry and survives flushes", () => {
    const { system } = drive(6, "llc", KINDS[name], false, (m) => {
      m.levels[0].cache.prefetchQueue = 1;
    });
    system.flush({ l1i: true, l1d: true, levels: "all" });
    expect(system.checkIdentities()).toEqual([]);
  });
});

test("requests of others than cores are not offered to prefetchers", () => {
  expect(Requester.Prefetch).toBe(4);
  const seen: number[] = [];
  drive(7, "llc", (host) => {
    const inner = KINDS["next-line"](host, false);
    const demand = inner.demand.bind(inner);
    inner.demand = (requester, ...rest) => {
      seen.push(requester);
      demand(requester, ...rest);
    };
    return inner;
  });
  expect(new Set(seen)).toEqual(new Set([Requester.Fetch, Requester.Load, Requester.Store]));
});
