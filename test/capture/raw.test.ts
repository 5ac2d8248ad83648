import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { pageKey } from "../../src/capture/pages.js";
import { prescan } from "../../src/capture/prescan.js";
import { parseRaw, RAW_MAGIC, type RawHandler, readRaw } from "../../src/capture/raw.js";
import { RawBuilder } from "./raw-builder.js";

const folder = mkdtempSync(join(tmpdir(), "muswarm-raw-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes down each call. */
function recorder(): { calls: unknown[][]; handler: RawHandler } {
  const calls: unknown[][] = [];
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      void calls.push([name, ...args]);
  const handler = Object.fromEntries(
    ["block", "exec", "mem", "map", "switch", "mark", "core", "end"].map((name) => [name, note(name)]),
  );
  return { calls, handler: handler as unknown as RawHandler };
}

function sample(): RawBuilder {
  const raw = new RawBuilder();
  const b = raw.block(0xffff_8100_0010, ["90", "48 8b 03"], 0x1000, 0x1001);
  raw.switch(1, 0x8880_1234_5640, 77, 70, "sixteen-bytes-xy");
  raw
    .map(1, 0xf_ffff_f5fd, 0xfee00, true)
    .exec(1, b, 2)
    .load(1, 8, 0x8880_0000_0ff8)
    .mark(0, "Begin")
    .mark(0, "End");
  return raw.end();
}

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe("the recorder's file", () => {
  test("gives back each record with its 48-bit addresses", () => {
    const { calls, handler } = recorder();
    sample().feed(handler);
    expect(calls[0][1]).toEqual({
      id: 0,
      address: 0xffff_8100_0010,
      ppn: 0x1000,
      ppn2: 0x1001,
      lengths: Uint8Array.of(1, 3),
      bytes: Uint8Array.of(0x90, 0x48, 0x8b, 0x03),
    });
    expect(calls[1]).toMatchObject(["switch", 1, { pid: 77, tgid: 70, comm: "sixteen-bytes-xy" }]);
    expect(calls.slice(2)).toEqual([
      ["map", 1, 0xf_ffff_f5fd, 0xfee00, true],
      ["exec", 1, 0, 0],
      ["mem", 1, false, 8, 0x8_8800_0000, 0xff8],
      ["mark", 0, 2],
      ["mark", 0, 3],
      ["end", 2],
    ]);
  });

  test("reads the same wherever it is cut", () => {
    const bytes = sample().bytes();
    const whole = recorder();
    parseRaw(bytes, true, whole.handler);
    for (let cut = 0; cut < bytes.length; cut++) {
      const parts = recorder();
      const used = parseRaw(bytes.subarray(0, cut), false, parts.handler);
      parseRaw(bytes.subarray(used), true, parts.handler);
      expect(parts.calls).toEqual(whole.calls);
    }
  });

  test("that ends within a record is an error", () => {
    const bytes = sample().bytes();
    expect(() => parseRaw(bytes.subarray(0, 16), true, recorder().handler)).toThrow("ends within a record");
  });

  test("without the magic number is an error", async () => {
    const read = readRaw(file("no-magic", new Uint8Array(64)), recorder().handler);
    await expect(read).rejects.toThrow("did not start");
  });

  test("is left when the user interrupts", async () => {
    const path = file("interrupted", Buffer.concat([RAW_MAGIC, sample().bytes()]));
    const read = readRaw(path, recorder().handler, undefined, AbortSignal.abort());
    await expect(read).rejects.toThrow("aborted");
  });

  test("with an unknown record is an error", () => {
    const bytes = new Uint8Array(8).fill(255);
    expect(() => parseRaw(bytes, true, recorder().handler)).toThrow("record type 3");
  });
});

describe("the first reading", () => {
  test("finds tasks, invocations and pages", async () => {
    const found = await prescan(file("whole", Buffer.concat([RAW_MAGIC, sample().bytes()])));
    expect(found).toMatchObject({ tasks: { 77: "sixteen-bytes-xy" }, begun: 1, finished: 1 });
    expect(found.pages.get(0xf_fff8_1000)).toBe(0x1000);
    expect(found.pages.get(0xf_fff8_1001)).toBe(0x1001);
  });

  test("marks a virtual page that is on two physical pages", async () => {
    const raw = new RawBuilder();
    raw.map(0, 5, 1).map(0, 5, 2).map(0, 5, 1).map(0, 6, 3).end();
    const { pages } = await prescan(file("moved", Buffer.concat([RAW_MAGIC, raw.bytes()])));
    expect([pages.get(5), pages.get(6)]).toEqual([-1, 3]);
  });

  test("keeps a virtual page of two address spaces apart", async () => {
    const raw = new RawBuilder();
    raw
      .switch(0, 0x1000, 7, 7)
      .map(0, 5, 1)
      .switch(0, 0x2000, 8, 8)
      .map(0, 5, 2)
      .switch(0, 0x1000, 7, 7)
      .end();
    const { pages } = await prescan(file("spaces", Buffer.concat([RAW_MAGIC, raw.bytes()])));
    expect([pages.get(pageKey(1, 5)), pages.get(pageKey(2, 5))]).toEqual([1, 2]);
  });

  test("refuses a recording that was cut off", async () => {
    const bytes = sample().bytes();
    const path = file("cut", Buffer.concat([RAW_MAGIC, bytes.subarray(0, bytes.length - 16)]));
    await expect(prescan(path)).rejects.toThrow("has no end");
  });
});
