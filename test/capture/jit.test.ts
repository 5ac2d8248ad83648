import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findFunction } from "../../src/capture/functions.js";
import { type JitName, jitNames, withJitNames } from "../../src/capture/jit.js";
import { SymbolCollector } from "../../src/capture/symbols.js";

const lines = (...entries: [number, number, string][]) =>
  entries.map(([address, size, name]) => `${address.toString(16)} ${size.toString(16)} ${name}\n`).join("");
const ranges = (names: readonly JitName[]) => names.map(({ address, end, name }) => [address, end, name]);

describe("names of code that was made at run time", () => {
  test("are read as perf reads them; what is no line is left out", () => {
    const map = "10 8 JS:*f /app/x.js:1:2\n0x20 0x4 g\n\n30 0 empty\nhalf";
    expect(ranges(jitNames(map, ""))).toEqual([
      [0x10, 0x18, "JS:*f /app/x.js:1:2"],
      [0x20, 0x24, "g"],
    ]);
  });

  test("of what was made before the recording the last counts", () => {
    const map = lines([0x100, 0x40, "old"], [0x110, 0x10, "new"]);
    expect(ranges(jitNames(map, map))).toEqual([
      [0x100, 0x110, "old"],
      [0x110, 0x120, "new"],
      [0x120, 0x140, "old"],
    ]);
  });

  test("where code was made over older code during the recording both are named", () => {
    const before = lines([0x100, 0x20, "a"]);
    expect(ranges(jitNames(before + lines([0x110, 0x20, "b"]), before))).toEqual([
      [0x100, 0x110, "a"],
      [0x110, 0x120, "b (or a)"],
      [0x120, 0x130, "b"],
    ]);
  });

  test("agree with a table of every byte", () => {
    const entry = fc.tuple(
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom("a", "b", "c", "d"),
    );
    const made = fc.tuple(fc.array(entry, { maxLength: 8 }), fc.array(entry, { maxLength: 6 }));
    fc.assert(
      fc.property(made, ([early, late]) => {
        const before = lines(...early);
        const bytes: string[] = [];
        early.forEach(([at, size, name]) => {
          bytes.length = Math.max(bytes.length, at + size);
          bytes.fill(name, at, at + size);
        });
        for (const [at, size, name] of late) {
          for (let i = at; i < at + size; i++)
            bytes[i] = bytes[i] === undefined || bytes[i] === name ? name : `${name} (or ${bytes[i]})`;
        }
        const found: string[] = [];
        let end = 0;
        for (const range of jitNames(before + lines(...late), before)) {
          expect(range.address).toBeGreaterThanOrEqual(end);
          end = range.end;
          for (let i = range.address; i < range.end; i++) found[i] = range.name;
        }
        for (let i = 0; i < 90; i++) expect(found[i]).toBe(bytes[i]);
      }),
      { seed: 3, numRuns: 3000 },
    );
  });

  test("are of the object jit, or of the file that is mapped there", () => {
    const names = new SymbolCollector();
    const mapped = { from: 0x4000, to: 0x5000, fileOffset: 0, path: "/usr/lib/libnode.so" };
    names.addJit(3, jitNames(lines([0x100, 0x10, "f"], [0x4010, 0x10, "Builtin:Call"]), ""), [mapped]);
    const symbols = names.collect([0x108, 0x4010, 0x200].map((address) => ({ asid: 3, address })));
    expect(symbols.map(({ asid, name, object }) => [asid, name, names.objects[object].path])).toEqual([
      [3, "f", "jit"],
      [3, "Builtin:Call", "/usr/lib/libnode.so"],
    ]);
  });

  test("are asked for without losing the function's own options", () => {
    const spec = { ...findFunction("aes-nodejs"), env: { NODE_OPTIONS: "--max-lazy" } };
    expect(withJitNames(spec).env["NODE_OPTIONS"]).toBe("--max-lazy --perf-basic-prof");
  });
});
