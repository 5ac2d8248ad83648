import { expect, test } from "vitest";
import { PendingLines } from "../../src/jukebox/pending.js";
import { random } from "./support.js";

test("it equals a Map under random sets, deletes and sweeps", () => {
  const below = random(5);
  const pending = new PendingLines();
  const map = new Map<number, number>();
  for (let i = 0; i < 40_000; i++) {
    const line = below(600) - 10;
    const choice = below(1000);
    if (choice < 450) {
      const generation = 1 + below(3);
      pending.set(line, generation);
      map.set(line, generation);
    } else if (choice < 998) {
      expect(pending.delete(line)).toBe(map.get(line) ?? 0);
      map.delete(line);
    } else {
      const salt = below(3);
      const probe = (l: number) => (l + salt) % 3 !== 0;
      const gone = [...map].filter(([l]) => !probe(l));
      expect(pending.sweep({ probe }, 2)).toBe(gone.filter(([, g]) => g === 2).length);
      expect(pending.swept).toBe(gone.length);
      for (const [l] of gone) map.delete(l);
      for (let l = -10; l < 600; l++) expect(pending.get(l)).toBe(map.get(l) ?? 0);
    }
    expect(pending.size).toBe(map.size);
    const other = below(600) - 10;
    expect(pending.get(other)).toBe(map.get(other) ?? 0);
  }
});

test("a table that has to grow often keeps every line", () => {
  const pending = new PendingLines();
  for (let line = 0; line < 10_000; line++) pending.set(line * 64, 1 + (line % 5));
  expect(pending.size).toBe(10_000);
  for (let line = 0; line < 10_000; line++) expect(pending.get(line * 64)).toBe(1 + (line % 5));
});
