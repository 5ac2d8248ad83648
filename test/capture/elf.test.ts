import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readElf } from "../../src/capture/elf.js";
import { SymbolCollector } from "../../src/capture/symbols.js";

const folder = mkdtempSync(join(tmpdir(), "muswarm-elf-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** An ELF64 file with a code segment (file 0x1000 at 0x401000), functions `alpha`, `beta` and an object. */
function elf(): Buffer {
  const file = Buffer.alloc(0x3000);
  file.write("\x7fELF", "latin1");
  file.set([2, 1, 1], 4);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32);
  file.writeBigUInt64LE(0x2000n, 40);
  for (const [at, value] of [
    [52, 64],
    [54, 56],
    [56, 1],
    [58, 64],
    [60, 5],
    [62, 3],
  ])
    file.writeUInt16LE(value, at);
  file.writeUInt32LE(1, 64);
  file.writeUInt32LE(5, 68);
  for (const [i, value] of [0x1000n, 0x401000n, 0x401000n, 0x800n, 0x800n, 0x1000n].entries()) {
    file.writeBigUInt64LE(value, 72 + i * 8);
  }
  const names = "\0alpha\0beta\0data\0";
  file.write(names, 0x1a00, "latin1");
  const sections = "\0.symtab\0.strtab\0.shstrtab\0.note.gnu.build-id\0";
  file.write(sections, 0x1b00, "latin1");
  const symbol = (i: number, name: string, type: number, address: number, size: number) => {
    const at = 0x1900 + i * 24;
    file.writeUInt32LE(names.indexOf(name), at);
    file[at + 4] = 16 | type;
    file.writeBigUInt64LE(BigInt(address), at + 8);
    file.writeBigUInt64LE(BigInt(size), at + 16);
  };
  symbol(1, "beta", 2, 0x401100, 0);
  symbol(2, "alpha", 2, 0x401000, 0x40);
  symbol(3, "data", 1, 0x402000, 8);
  file.writeUInt32LE(4, 0x1c00);
  file.writeUInt32LE(4, 0x1c04);
  file.writeUInt32LE(3, 0x1c08);
  file.write("GNU\0", 0x1c0c, "latin1");
  file.set([0xde, 0xad, 0xbe, 0xef], 0x1c10);
  const section = (i: number, name: string, type: number, from: number, size: number, link = 0) => {
    const at = 0x2000 + i * 64;
    file.writeUInt32LE(sections.indexOf(name), at);
    file.writeUInt32LE(type, at + 4);
    file.writeBigUInt64LE(BigInt(from), at + 24);
    file.writeBigUInt64LE(BigInt(size), at + 32);
    file.writeUInt32LE(link, at + 40);
  };
  section(1, ".symtab", 2, 0x1900, 96, 2);
  section(2, ".strtab", 3, 0x1a00, names.length);
  section(3, ".shstrtab", 3, 0x1b00, sections.length);
  section(4, ".note.gnu.build-id", 7, 0x1c00, 20);
  return file;
}

describe("an ELF file", () => {
  test("gives functions in the order of their addresses, and its build id", () => {
    const { symbols, buildId, segments } = readElf(elf());
    expect(symbols).toEqual([
      { address: 0x401000, size: 0x40, name: "alpha" },
      { address: 0x401100, size: 0, name: "beta" },
    ]);
    expect(buildId).toBe("deadbeef");
    expect(segments).toEqual([{ offset: 0x1000, address: 0x401000, size: 0x800 }]);
  });

  test("names code where a process mapped it", () => {
    const path = join(folder, "program");
    writeFileSync(path, elf());
    const collector = new SymbolCollector();
    const mappings = [
      { from: 0x7f00_0000_0000, to: 0x7f00_0000_1000, fileOffset: 0x1000, path: "/app/program" },
    ];
    collector.addProcess(4, mappings, () => path);
    const named = collector.collect([
      { asid: 4, address: 0x7f00_0000_0010 },
      { asid: 4, address: 0x7f00_0000_0050 },
    ]);
    expect(named).toEqual([{ asid: 4, address: 0x7f00_0000_0000, size: 0x40, name: "alpha", object: 0 }]);
    expect(collector.objects).toEqual([{ path: "/app/program", buildId: "deadbeef" }]);
  });
});
