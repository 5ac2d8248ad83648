import { describe, expect, it, test } from "vitest";
import {
  createReplacement,
  type ReplacementPolicy,
  replacementNames,
} from "../../src/cache/replacement/index.js";
import { TagArray } from "../../src/cache/tag-array.js";
import { InputError } from "../../src/errors.js";
import { Random } from "../support/random.js";
import { type Entry, NAIVE_POLICIES } from "./naive-replacement.js";

const make = (name: string, sets: number, ways: number, seed = 1) =>
  createReplacement(name, sets, ways, seed, "levels[0].cache.replacement");

/** Runs lines through a cache of one policy. @returns "h" or "m" for each. */
function hits(
  name: string,
  sets: number,
  ways: number,
  lines: readonly (readonly [number, number])[],
): string {
  const array = new TagArray({ sets, ways }, make(name, sets, ways));
  return lines.map(([line, signature]) => access(array, line, signature)).join("");
}

function access(array: TagArray, line: number, signature: number): "h" | "m" {
  const slot = array.find(line);
  if (slot >= 0) {
    array.policy.touch(slot);
    return "h";
  }
  array.put(array.choose(line), line, signature);
  return "m";
}

const plain = (lines: readonly number[]) => lines.map((line) => [line, 0] as const);

describe("by hand", () => {
  // a1 a2 a2 a1 b1 b2 b3 b4 a1 a2: figure 3 of the RRIP paper (ISCA 2010), four ways.
  const mixed = plain([1, 2, 2, 1, 11, 12, 13, 14, 1, 2]);

  test.each([
    ["lru", "mmhhmmmmmm"],
    ["fifo", "mmhhmmmmmm"],
    ["nru", "mmhhmmmmmm"],
    ["srrip", "mmhhmmmmhh"],
    ["brrip", "mmhhmmmmhh"],
  ])("%s on the mixed pattern of the RRIP paper", (name, expected) => {
    expect(hits(name, 1, 4, mixed)).toBe(expected);
  });

  it("fifo replaces in order of arrival, whatever is used", () => {
    expect(hits("fifo", 1, 2, plain([1, 2, 1, 3, 1]))).toBe("mmhmm");
    expect(hits("lru", 1, 2, plain([1, 2, 1, 3, 1]))).toBe("mmhmh");
  });

  it("tree-plru follows its bits", () => {
    const policy = make("tree-plru", 1, 4);
    for (const way of [0, 1, 2, 3]) policy.fill(way, 0);
    expect(policy.victim(0)).toBe(0);
    // Root to the right, left pair to 1, right pair to 2.
    policy.touch(0);
    expect(policy.victim(0)).toBe(2);
    policy.touch(2);
    expect(policy.victim(0)).toBe(1);
    policy.touch(1);
    // LRU would name 3 as well; after 3 and 0, the tree names 2, LRU 2; after 3, 1, 3: the left pair's older.
    expect(policy.victim(0)).toBe(3);
    policy.touch(3);
    policy.touch(1);
    policy.touch(3);
    expect(policy.victim(0)).toBe(0);
  });

  it("nru sets all bits when none is left, and then names the lowest way", () => {
    const policy = make("nru", 1, 3);
    for (const way of [0, 1, 2]) policy.fill(way, 0);
    expect(policy.victim(0)).toBe(0);
    policy.fill(0, 0);
    expect(policy.victim(0)).toBe(1);
    policy.touch(1);
    expect(policy.victim(0)).toBe(2);
  });

  it("brrip keeps a part of a cyclic pattern that is too large, where lru keeps nothing", () => {
    const cycle = plain(Array.from({ length: 6000 }, (_, i) => i % 6));
    expect(hits("lru", 1, 4, cycle)).not.toContain("h");
    expect(hits("brrip", 1, 4, cycle).split("h").length - 1).toBeGreaterThan(2000);
  });

  it("drrip comes near the better of srrip and brrip on both a cyclic and a recency-friendly pattern", () => {
    const count = (name: string, lines: readonly (readonly [number, number])[]) =>
      hits(name, 512, 4, lines).split("h").length - 1;
    const cyclic = plain(Array.from({ length: 100_000 }, (_, i) => i % (512 * 6)));
    const random = new Random(3);
    const friendly = plain(
      Array.from({ length: 100_000 }, (_, i) => Math.floor(i / 40) * 28 + random.int(2000)),
    );
    for (const pattern of [cyclic, friendly]) {
      const best = Math.max(count("srrip", pattern), count("brrip", pattern));
      expect(count("drrip", pattern)).toBeGreaterThan(best * 0.85);
    }
    expect(count("brrip", cyclic)).toBeGreaterThan(2 * count("srrip", cyclic));
    expect(count("srrip", friendly)).toBeGreaterThan(count("brrip", friendly));
  });

  it("ship learns that lines of one instruction are not used again, and then keeps those of another", () => {
    // Instruction 0x80 uses three lines twice, then instruction 0x40 scans 20 lines; eight ways.
    const rounds = Array.from({ length: 40 }, (_, round) => [
      ...[1, 2, 3, 1, 2, 3].map((line) => [line, 0x80] as const),
      ...Array.from({ length: 20 }, (_, i) => [100 + round * 20 + i, 0x40] as const),
    ]).flat();
    const scan = "m".repeat(20);
    expect(hits("srrip", 1, 8, rounds)).not.toContain("hhhhhh");
    expect(hits("ship", 1, 8, rounds)).toBe(`mmmhhh${scan}${`hhhhhh${scan}`.repeat(39)}`);
  });

  it("an unknown name is an error that names the nearest, and a shape that does not suit one that names the key", () => {
    expect(() => make("srip", 1, 4)).toThrow(InputError);
    expect(() => make("srip", 1, 4)).toThrow(
      'levels[0].cache.replacement: no replacement policy "srip". Did you mean "srrip"?',
    );
    expect(() => make("tree-plru", 1, 12)).toThrow(
      "levels[0].cache.replacement: tree-plru: expected ways to be a power of two; got 12",
    );
  });
});

describe("random streams", () => {
  it("have a twin for every policy", () => {
    expect(Object.keys(NAIVE_POLICIES).sort()).toEqual(replacementNames().sort());
  });

  test.each(Object.keys(NAIVE_POLICIES))(
    "leave in a cache under %s what they leave in its naive twin",
    (name) => {
      for (let seed = 1; seed <= 12; seed++) {
        const random = new Random(seed);
        const sets = [1, 4, 16, 256][seed % 4];
        const ways = name === "tree-plru" ? 2 ** (1 + random.int(4)) : 1 + random.int(16);
        const array = new TagArray({ sets, ways }, make(name, sets, ways));
        const twin = NAIVE_POLICIES[name](sets, ways, 1);
        const rows: (Entry | undefined)[][] = Array.from({ length: sets }, () => Array(ways).fill(undefined));
        for (let i = 1; i < 6000; i++) {
          const line = random.chance(0.5) ? random.int(sets * ways) : random.int(sets * ways * 4);
          // Below 2^14, so that the fold changes nothing.
          const signature = 1 + random.int(9);
          const set = line % sets;
          const row = rows[set];
          const entry = row.find((e) => e?.line === line);
          if (entry !== undefined && random.chance(0.05)) {
            array.remove(array.find(line));
            row[entry.way] = undefined;
            twin.gone?.(entry, false, set);
            continue;
          }
          const got = access(array, line, signature);
          const expected = entry === undefined ? "m" : "h";
          if (got !== expected) expect({ seed, i, got }).toEqual({ seed, i, got: expected });
          if (entry !== undefined) {
            entry.used = i;
            twin.touch(entry, set);
            continue;
          }
          let way = row.indexOf(undefined);
          if (way < 0) {
            const old = twin.victim(row as Entry[], set);
            twin.gone?.(old, true, set);
            way = old.way;
          }
          const fresh = { line, way, signature, arrived: i, used: i, distance: 0, reused: false };
          row[way] = fresh;
          twin.fill(fresh, set);
        }
      }
    },
  );
});

test("every policy gives the same victims when it is run again, all of the set asked for", () => {
  for (const name of replacementNames()) {
    const run = () => {
      const random = new Random(7);
      const policy: ReplacementPolicy = make(name, 8, 4, 5);
      for (let slot = 0; slot < 32; slot++) policy.fill(slot, slot);
      return Array.from({ length: 400 }, () => {
        const set = random.int(8);
        policy.touch(random.int(32));
        const slot = policy.victim(set);
        expect(Math.floor(slot / 4)).toBe(set);
        policy.fill(slot, random.int(100));
        return slot;
      });
    };
    expect(run(), name).toEqual(run());
  }
});
