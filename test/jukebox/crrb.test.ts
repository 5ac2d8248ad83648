import { expect, test } from "vitest";
import { Crrb } from "../../src/jukebox/crrb.js";
import { random } from "./support.js";

test("a hit leaves the order of the entries alone", () => {
  const crrb = new Crrb(2, 1);
  crrb.push(1, 10);
  crrb.push(1, 20);
  expect(crrb.probe(1, 10)).toBe(0);
  expect(crrb.region[crrb.oldest]).toBe(10);
});

test("the same region of two address spaces is two entries", () => {
  const crrb = new Crrb(4, 1);
  crrb.push(1, 10);
  expect(crrb.probe(2, 10)).toBe(-1);
});

test("marking a line twice sets one bit", () => {
  const crrb = new Crrb(4, 4);
  const slot = crrb.push(1, 10);
  expect(crrb.mark(slot, 127)).toBe(true);
  expect(crrb.mark(slot, 127)).toBe(false);
  expect([...crrb.vector.subarray(slot * 4, slot * 4 + 4)]).toEqual([0, 0, 0, 1 << 31]);
});

test("a popped region is not found, even when it was found last", () => {
  const crrb = new Crrb(3, 1);
  crrb.push(1, 10);
  expect(crrb.probe(1, 10)).toBe(0);
  crrb.pop();
  expect(crrb.probe(1, 10)).toBe(-1);
});

test("it equals a list under random regions", () => {
  for (const entries of [1, 2, 3, 16]) {
    const below = random(entries);
    const crrb = new Crrb(entries, 1);
    let list: string[] = [];
    for (let i = 0; i < 5000; i++) {
      const asid = below(2);
      const region = below(entries + 3);
      const key = `${asid}:${region}`;
      const slot = crrb.probe(asid, region);
      expect(slot >= 0).toBe(list.includes(key));
      if (slot >= 0) {
        expect(`${crrb.asid[slot]}:${crrb.region[slot]}`).toBe(key);
      } else {
        if (crrb.full) {
          expect(`${crrb.asid[crrb.oldest]}:${crrb.region[crrb.oldest]}`).toBe(list[0]);
          crrb.pop();
          list = list.slice(1);
        }
        crrb.push(asid, region);
        list.push(key);
      }
      expect(crrb.count).toBe(list.length);
    }
  }
});
