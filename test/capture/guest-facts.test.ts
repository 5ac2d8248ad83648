import { describe, expect, test } from "vitest";
import { structOffsets } from "../../src/capture/btf.js";
import { containerOf, containersOf, type Facts, parseMaps } from "../../src/capture/facts.js";
import { EntryKind, kernelEntries, parseKallsyms } from "../../src/capture/kernel-entries.js";
import { SymbolCollector } from "../../src/capture/symbols.js";

/** A BTF file: int; anonymous union { u32 b }; struct s { int a @0; union @32 bits; int c @96 }. */
function btf(): Uint8Array {
  const strings = "\0int\0s\0a\0b\0c\0";
  const offsetOf = (name: string) => strings.indexOf(`\0${name}\0`) + 1;
  const types = [
    [offsetOf("int"), 1 << 24, 4, 32],
    [0, (5 << 24) | 1, 4, offsetOf("b"), 1, 0],
    [offsetOf("s"), (4 << 24) | 3, 16, offsetOf("a"), 1, 0, 0, 2, 32, offsetOf("c"), 1, 96],
  ].flat();
  const bytes = Buffer.alloc(24 + types.length * 4 + strings.length);
  bytes.writeUInt16LE(0xeb9f, 0);
  bytes[2] = 1;
  for (const [i, value] of [24, 0, types.length * 4, types.length * 4, strings.length].entries()) {
    bytes.writeUInt32LE(value, 4 + i * 4);
  }
  for (const [i, value] of types.entries()) bytes.writeUInt32LE(value >>> 0, 24 + i * 4);
  bytes.write(strings, 24 + types.length * 4, "latin1");
  return bytes;
}

describe("the kernel's type information", () => {
  test("tells offsets of members, those of anonymous members too", () => {
    expect(structOffsets(btf(), "s", ["a", "b", "c"])).toEqual({ a: 0, b: 4, c: 12 });
  });

  test("says what it does not have", () => {
    expect(() => structOffsets(btf(), "t", ["a"])).toThrow("no struct t");
    expect(() => structOffsets(btf(), "s", ["d"])).toThrow("no member d in struct s");
    expect(() => structOffsets(new Uint8Array(30), "s", [])).toThrow("not a BTF file");
  });
});

const KALLSYMS = `ffffffff81000000 T _text
ffffffff81c00290 T irq_entries_start
ffffffff81c00990 T asm_exc_divide_error
ffffffff81c00ba0 T asm_exc_int3
ffffffff81c00ef0 T asm_sysvec_reschedule_ipi
ffffffff81c01510 T asm_exc_nmi
ffffffffc0202430 t virtqueue_dma_map\t[virtio_ring]
`;

describe("kernel symbols", () => {
  const symbols = parseKallsyms(KALLSYMS);

  test("are read with their modules", () => {
    expect(symbols).toHaveLength(7);
    expect(symbols[6]).toEqual({
      address: 0xffff_c020_2430,
      type: "t",
      name: "virtqueue_dma_map",
      module: "virtio_ring",
    });
  });

  test("tell where faults, traps and interrupts enter, and interrupts their vector", () => {
    const entries = kernelEntries(symbols);
    expect(entries.get(0xffff_81c0_0990)?.kind).toBe(EntryKind.Fault);
    expect(entries.get(0xffff_81c0_0ba0)?.kind).toBe(EntryKind.Trap);
    expect(entries.get(0xffff_81c0_0ef0)).toEqual({ kind: EntryKind.Interrupt, vector: 0xfd });
    expect(entries.get(0xffff_81c0_1510)).toEqual({ kind: EntryKind.Interrupt, vector: 2 });
    expect(entries.get(0xffff_81c0_0290 + 8 * 4)).toEqual({ kind: EntryKind.Interrupt, vector: 0x24 });
    expect(entries.has(0xffff_8100_0000)).toBe(false);
  });

  test("name only functions in which something ran", () => {
    const collector = new SymbolCollector();
    collector.addKernel(symbols);
    const named = collector.collect([
      { asid: 0, address: 0xffff_81c0_0ba4 },
      { asid: 0, address: 0xffff_c020_2430 },
      { asid: 3, address: 0x40_0000 },
    ]);
    expect(named.map((s) => [s.name, collector.objects[s.object].path])).toEqual([
      ["asm_exc_int3", "kernel"],
      ["virtqueue_dma_map", "kernel module virtio_ring"],
    ]);
    expect(named[0].size).toBe(0x350);
  });
});

describe("a process's mappings", () => {
  test("are those of executable parts of files", () => {
    const maps =
      parseMaps(`00400000-00729000 r-xp 00000000 fe:10 17                                 /app/server
00729000-00a5f000 r--p 00329000 fe:10 17                                 /app/server
c000000000-c000400000 rw-p 00000000 00:00 0
7f0000000000-7f0000100000 rwxp 00000000 00:00 0
7fbf05185000-7fbf07600000 r-xp 00001000 fe:10 18                         /usr/lib/a b.so
7ffd36bfe000-7ffd36c00000 r-xp 00000000 00:00 0                          [vdso]
`);
    expect(maps).toEqual([
      { from: 0x40_0000, to: 0x72_9000, fileOffset: 0, path: "/app/server" },
      { from: 0x7fbf_0518_5000, to: 0x7fbf_0760_0000, fileOffset: 0x1000, path: "/usr/lib/a b.so" },
    ]);
  });
});

test("companions are the containers from 3 on", () => {
  const facts = {
    functionPids: [40, 41],
    clientPids: [50],
    companionPids: new Map([
      ["redis", 30],
      ["memcached", 31],
    ]),
  } as unknown as Facts;
  expect([41, 50, 30, 31, 1].map((pid) => containerOf(facts, pid))).toEqual([1, 2, 3, 4, 0]);
  expect(containersOf(facts, "rate-go")).toEqual({ 1: "rate-go", 2: "client", 3: "redis", 4: "memcached" });
});
