/** Replacement policies once more, with objects. */

/** A line of a naive set; what a policy knows of it. */
export interface Entry {
  line: number;
  way: number;
  signature: number;
  arrived: number;
  used: number;
  distance: number;
  reused: boolean;
}

export interface NaivePolicy {
  touch(entry: Entry, set: number): void;
  fill(entry: Entry, set: number): void;
  /** Of a full set, by way. */
  victim(entries: Entry[], set: number): Entry;
  gone?(entry: Entry, replaced: boolean, set: number): void;
}

const oldest = (entries: Entry[], key: "arrived" | "used") =>
  entries.reduce((a, b) => (b[key] < a[key] ? b : a));
const agedVictim = (entries: Entry[], limit: number) => {
  for (;;) {
    const found = entries.find((e) => e.distance === limit);
    if (found !== undefined) return found;
    for (const e of entries) e.distance++;
  }
};
const near = (entry: Entry) => {
  entry.distance = 0;
};
/** A tree of ways: each node remembers the half that was used last. */
type Tree = { halves: [Tree, Tree]; last: 0 | 1 } | number;
const treeOf = (first: number, count: number): Tree =>
  count === 1 ? first : { halves: [treeOf(first, count / 2), treeOf(first + count / 2, count / 2)], last: 1 };
const waysOf = (tree: Tree): number[] => (typeof tree === "number" ? [tree] : tree.halves.flatMap(waysOf));
const use = (tree: Tree, way: number, away: boolean): void => {
  if (typeof tree === "number") return;
  const half = waysOf(tree.halves[1]).includes(way) ? 1 : 0;
  tree.last = away ? half : half === 1 ? 0 : 1;
  use(tree.halves[half], way, away);
};
const follow = (tree: Tree): number =>
  typeof tree === "number" ? tree : follow(tree.halves[tree.last === 1 ? 0 : 1]);

/** By name; a policy for one cache. */
export const NAIVE_POLICIES: Record<string, (sets: number, ways: number, seed: number) => NaivePolicy> = {
  lru: () => ({ touch: () => {}, fill: () => {}, victim: (entries) => oldest(entries, "used") }),
  fifo: () => ({ touch: () => {}, fill: () => {}, victim: (entries) => oldest(entries, "arrived") }),
  "tree-plru": (sets, ways) => {
    const trees = Array.from({ length: sets }, () => treeOf(0, ways));
    return {
      touch: (e, set) => use(trees[set], e.way, true),
      fill: (e, set) => use(trees[set], e.way, true),
      victim: (entries, set) => entries.find((e) => e.way === follow(trees[set]))!,
      gone: (e, replaced, set) => replaced || use(trees[set], e.way, false),
    };
  },
  nru: () => ({ touch: near, fill: near, victim: (entries) => agedVictim(entries, 1) }),
  srrip: () => ({
    touch: near,
    fill: (e) => {
      e.distance = 2;
    },
    victim: (entries) => agedVictim(entries, 3),
  }),
  brrip: () => {
    let fills = 0;
    return {
      touch: near,
      fill: (e) => {
        e.distance = ++fills % 32 === 0 ? 2 : 3;
      },
      victim: (entries) => agedVictim(entries, 3),
    };
  },
  drrip: (sets) => {
    let selector = 512;
    let bimodal = 0;
    const stride = sets >= 128 ? sets / 32 : 4;
    return {
      touch: near,
      fill: (e, set) => {
        const leader = set % stride === 0 ? "static" : set % stride === stride / 2 ? "bimodal" : "none";
        if (leader === "static") selector = Math.min(1023, selector + 1);
        if (leader === "bimodal") selector = Math.max(0, selector - 1);
        const useStatic = leader === "static" || (leader === "none" && selector < 512);
        e.distance = useStatic || ++bimodal % 32 === 0 ? 2 : 3;
      },
      victim: (entries) => agedVictim(entries, 3),
    };
  },
  ship: () => {
    const counters = new Map<number, number>();
    /** The signature folded to 14 bits. */
    const key = (signature: number) => (signature ^ (signature >>> 14) ^ (signature >>> 28)) & 16383;
    const at = (signature: number) => counters.get(key(signature)) ?? 1;
    return {
      touch: (e) => {
        near(e);
        e.reused = true;
        counters.set(key(e.signature), Math.min(7, at(e.signature) + 1));
      },
      fill: (e) => {
        e.distance = at(e.signature) === 0 ? 3 : 2;
      },
      victim: (entries) => agedVictim(entries, 3),
      gone: (e, replaced) => {
        if (replaced && !e.reused) counters.set(key(e.signature), Math.max(0, at(e.signature) - 1));
      },
    };
  },
  random: (_sets, _ways, seed) => {
    // xorshift32
    let x = Math.imul(seed + 1, 0x9e3779b1) | 1;
    return {
      touch: () => {},
      fill: () => {},
      victim: (entries) => {
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        return entries[(x >>> 0) % entries.length];
      },
    };
  },
};
