import { TypedFastBitSet } from "typedfastbitset";
import { describe, expect, it } from "vitest";
import { HeldLines } from "../../src/cache/held.js";
import { MshrFile, WriteBuffer } from "../../src/cache/mshr.js";
import { LruPolicy } from "../../src/cache/replacement/lru.js";
import { RandomPolicy } from "../../src/cache/replacement/random.js";
import { MemorySystem } from "../../src/cache/system.js";
import { TagArray } from "../../src/cache/tag-array.js";
import { InputError } from "../../src/errors.js";
import type { MachineInput } from "../../src/machine/spec.js";
import { machine } from "./machines.js";
import { Random } from "./random.js";

describe("a tag array", () => {
  it("agrees with lists of lines in the order of their last use", () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      const sets = 1 << random.below(4);
      const ways = 1 + random.below(16);
      const array = new TagArray({ sets, ways }, new LruPolicy(sets, ways));
      const lists: number[][] = Array.from({ length: sets }, () => []);
      for (let i = 0; i < 3000; i++) {
        const line = random.below(sets * ways * 3);
        const list = lists[line % sets];
        const at = list.indexOf(line);
        const slot = array.find(line);
        if (slot >= 0 !== at >= 0) expect({ seed, i, found: slot >= 0 }).toEqual({ seed, i, found: at >= 0 });
        if (at >= 0) {
          list.splice(at, 1);
          if (random.chance(10)) array.remove(slot);
          else {
            array.policy.touch(slot);
            list.push(line);
          }
          continue;
        }
        const chosen = array.choose(line);
        const victim = array.tags[chosen];
        const oldest = list.length < ways ? -1 : list.shift();
        if (victim !== oldest) expect({ seed, i, victim }).toEqual({ seed, i, victim: oldest });
        array.put(chosen, line);
        list.push(line);
      }
    }
  });
});

describe("replacement", () => {
  it("at random gives the same victims for the same seed, others for another, and all ways", () => {
    const draw = (seed: number) => {
      const policy = new RandomPolicy(4, 8, seed);
      return Array.from({ length: 200 }, () => policy.victim(2));
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(new Set(draw(1))).toEqual(new Set([16, 17, 18, 19, 20, 21, 22, 23]));
  });
});

describe("MSHRs", () => {
  it("are found free at the cycle of their release, not before", () => {
    const file = new MshrFile(2);
    file.hold(file.find(0), 50);
    file.hold(file.find(1), 40);
    expect(file.find(39)).toBe(-1);
    expect(file.earliest).toBe(40);
    expect(file.find(40)).toBeGreaterThanOrEqual(0);
    expect([file.free(39), file.free(40), file.free(50)]).toEqual([0, 1, 2]);
    expect(file.nextRelease(40)).toBe(50);
  });
});

describe("a write buffer", () => {
  it("drains in order", () => {
    const buffer = new WriteBuffer(2);
    buffer.take(50);
    expect(buffer.availableAt).toBe(0);
    buffer.take(30);
    expect(buffer.availableAt).toBe(50);
    buffer.take(60);
    expect(buffer.availableAt).toBe(50);
  });
});

describe("typedfastbitset, as far as it is relied on", () => {
  it("agrees with Set on add, remove, has and size, up to 2^25", () => {
    const random = new Random(1);
    const mine = new TypedFastBitSet();
    const set = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      const x = random.chance(50) ? random.below(2000) : random.below(2 ** 25);
      if (random.chance(70)) {
        mine.add(x);
        set.add(x);
      } else {
        mine.remove(x);
        set.delete(x);
      }
      const y = random.below(2 ** 25);
      if (mine.has(x) !== set.has(x)) expect({ x, has: mine.has(x) }).toEqual({ x, has: set.has(x) });
      if (mine.has(y) !== set.has(y)) expect({ y, has: mine.has(y) }).toEqual({ y, has: set.has(y) });
    }
    expect(mine.size()).toBe(set.size);
    expect(mine.has(2 ** 26)).toBe(false);
  });
});

describe("lines held without limit", () => {
  it("say when a line on its way arrives, the later when it was asked for twice", () => {
    const held = new HeldLines();
    held.add(5, 100);
    held.remove(5);
    expect(held.has(5)).toBe(false);
    held.add(5, 140);
    expect([held.arrival(5, 90), held.arrival(5, 140)]).toEqual([140, 0]);
    held.settle();
    expect(held.arrival(5, 90)).toBe(0);
  });
});

describe("a machine that cannot be built is refused, naming the key", () => {
  const refuse = (change: (m: MachineInput) => void, message: string | RegExp) => {
    expect(() => new MemorySystem(machine("simple", change))).toThrow(InputError);
    expect(() => new MemorySystem(machine("simple", change))).toThrow(message);
  };

  it("a size that is no power of two of sets", () => {
    refuse((m) => {
      m.levels[0].cache.sizeKiB = 100;
    }, /^levels\[0\]\.cache\.sizeKiB: expected a power of two times .*for example 128; got 100$/);
    refuse((m) => {
      m.l1d.sizeKiB = 0.1;
    }, /^l1d\.sizeKiB/);
  });

  it("an unknown replacement policy", () => {
    refuse((m) => {
      m.l1i.replacement = "lur";
    }, 'l1i.replacement: no replacement policy "lur". Did you mean "lru"?');
  });

  it("a walker that enters at no level", () => {
    refuse((m) => {
      m.core.walker = "lcc";
    }, 'core.walker: no cache level "lcc". Did you mean "llc"?');
  });

  it("a private level below a shared one, and two levels of one name", () => {
    refuse((m) => {
      m.levels.push({ ...m.levels[0], name: "l3", shared: false });
    }, /^levels\[1\]\.shared/);
    refuse((m) => {
      m.levels.push(m.levels[0]);
    }, /^levels\[1\]\.name/);
  });

  it("an infinite cache other than the L1I", () => {
    refuse((m) => {
      m.l1d.infinite = true;
    }, /^l1d\.infinite/);
  });

  it("a prefetcher where no prefetch could be issued", () => {
    const system = new MemorySystem(
      machine("simple", (m) => {
        m.l1i.demandReservedMshrs = 4;
      }),
    );
    expect(() => system.attachPrefetcher(0, "l1i", () => ({}) as never)).toThrow(/^l1i\.demandReservedMshrs/);
    expect(() => system.attachPrefetcher(0, "ll", () => ({}) as never)).toThrow(/Did you mean "llc"/);
  });
});
