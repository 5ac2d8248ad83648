import { describe, expect, it } from "vitest";
import { Reservations } from "../../src/memory/reservations.js";
import { NaiveResource } from "../cache/naive-parts.js";
import { Random } from "../cache/random.js";

describe("reservations of a resource", () => {
  it("grant a free resource at once", () => {
    const r = new Reservations();
    expect(r.reserve(10, 3)).toBe(10);
  });

  it("make the second of two requests wait until the first is done", () => {
    const r = new Reservations();
    r.reserve(10, 3);
    expect(r.reserve(10, 3)).toBe(13);
    expect(r.reserve(16, 1)).toBe(16);
  });

  it("let a request that comes early go before one that was charged first", () => {
    const r = new Reservations();
    r.reserve(100, 2);
    expect(r.reserve(20, 2)).toBe(20);
  });

  it("use a gap that just fits, and none that is a cycle too short", () => {
    const r = new Reservations();
    r.reserve(10, 2);
    r.reserve(15, 2);
    expect(r.reserve(10, 4)).toBe(17);
    expect(r.reserve(10, 3)).toBe(12);
  });

  it("agree with a plain list of intervals", () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = new Random(seed);
      const mine = new Reservations();
      const naive = new NaiveResource();
      let base = 0;
      for (let i = 0; i < 2000; i++) {
        base += random.below(8);
        const at = base + random.below(60);
        const length = 1 + random.below(4);
        const got = mine.reserve(at, length);
        const want = naive.reserve(at, length);
        if (got !== want) expect({ seed, i, got }).toEqual({ seed, i, got: want });
      }
    }
  });

  it("keep their relative times when the origin of time moves", () => {
    const r = new Reservations();
    r.reserve(1000, 5);
    r.rebase(900);
    expect(r.reserve(98, 3)).toBe(105);
  });
});
