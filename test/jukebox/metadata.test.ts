import { expect, test } from "vitest";
import {
  layoutOf,
  metadataLinesPerInstance,
  popcount,
  regionPointerBitsFor,
} from "../../src/jukebox/layout.js";
import { MetadataBuffer, MetadataStore } from "../../src/jukebox/metadata.js";
import { random, specOf } from "./support.js";

test("16 kB hold 2427 entries of 54 bits", () => {
  const layout = layoutOf(specOf());
  expect(layout.entryBits).toBe(54);
  expect(layout.capacity).toBe(2427);
});

test("a full buffer drops and does not wrap", () => {
  const buffer = new MetadataBuffer(layoutOf(specOf()), 0);
  const vector = new Int32Array([1]);
  for (let i = 0; i < 2427; i++) expect(buffer.append(1, i, vector, 0)).toBe(true);
  expect(buffer.append(1, 2427, vector, 0)).toBe(false);
  expect(buffer.entries).toBe(2427);
  expect(buffer.region[0]).toBe(0);
  expect(buffer.region[2426]).toBe(2426);
});

test("a full 16 kB buffer takes 256 lines", () => {
  const buffer = new MetadataBuffer(layoutOf(specOf()), 0);
  buffer.entries = 2427;
  expect(buffer.bits).toBe(131_058);
  expect(buffer.lines).toBe(256);
  expect(buffer.fullLines).toBe(255);
});

test("the tenth 54-bit entry straddles the first two lines", () => {
  const buffer = new MetadataBuffer(layoutOf(specOf()), 0);
  expect(buffer.lastLineOf(8)).toBe(0);
  expect(buffer.lastLineOf(9)).toBe(1);
});

test("a region of 8 kB has 128 lines in four words", () => {
  const layout = layoutOf(specOf({ regionBytes: 8192 }));
  expect(layout.linesPerRegion).toBe(128);
  expect(layout.words).toBe(4);
  expect(layout.entryBits).toBe(166);
});

test("a region of 1 kB is named by 38 bits of a 48-bit address", () => {
  expect(regionPointerBitsFor(1024)).toBe(38);
  expect(regionPointerBitsFor(128)).toBe(41);
});

test("instances get disjoint buffers in order of appearance", () => {
  const store = new MetadataStore(specOf(), 5000);
  const lines = [7, 3, 7, -1].map((id) => [
    store.instance(id).record.baseLine,
    store.instance(id).replay.baseLine,
  ]);
  expect(lines).toEqual([
    [5000, 5256],
    [5512, 5768],
    [5000, 5256],
    [6024, 6280],
  ]);
  expect(store.lines).toBe(3 * metadataLinesPerInstance(specOf()));
});

test("a swap exchanges the buffers and clears the one to be recorded", () => {
  const metadata = new MetadataStore(specOf(), 0).instance(1);
  const first = metadata.record;
  first.append(1, 9, new Int32Array([3]), 0);
  metadata.swap();
  expect(metadata.replay).toBe(first);
  expect(first.entries).toBe(1);
  metadata.swap();
  expect(metadata.record).toBe(first);
  expect(first.entries).toBe(0);
});

test("popcount counts the ones of any word", () => {
  const below = random(1);
  for (const word of [0, -1, 1, 1 << 31, ...Array.from({ length: 200 }, () => below(2 ** 32) | 0)]) {
    expect(popcount(word)).toBe([...(word >>> 0).toString(2)].filter((c) => c === "1").length);
  }
});

test("an entry that ends with the last bit of a line lies in that line", () => {
  const buffer = new MetadataBuffer(layoutOf(specOf({ regionPointerBits: 48 })), 0);
  expect(buffer.lastLineOf(7)).toBe(0);
  expect(buffer.lastLineOf(8)).toBe(1);
});
