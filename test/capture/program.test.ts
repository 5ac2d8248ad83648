import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Converter } from "../../src/capture/convert.js";
import { findProgram, isElf, parseProgramMaps } from "../../src/capture/program.js";
import { shellWord } from "../../src/capture/words.js";
import { EventKind } from "../../src/loader/contract.js";
import { MemorySink, RawBuilder } from "./raw-builder.js";

const root = mkdtempSync(join(tmpdir(), "muswarm-program-"));
afterAll(() => rmSync(root, { recursive: true }));

function elf(name: string, { machine = 62, bits = 64, type = 2, mode = 0o755 } = {}): string {
  const head = Buffer.alloc(64);
  head.writeUInt32BE(0x7f45_4c46, 0);
  head[4] = bits === 64 ? 2 : 1;
  head.writeUInt16LE(type, 16);
  head.writeUInt16LE(machine, 18);
  return file(name, head, mode);
}

function file(name: string, content: string | Buffer, mode = 0o755): string {
  const path = join(root, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe("a program to capture", () => {
  test("is found by its path or in PATH", () => {
    const path = elf("tool");
    expect(findProgram(path, "")).toBe(path);
    expect(findProgram("tool", `/nowhere:${root}`)).toBe(path);
  });

  test.each([
    ["that is not there", () => join(root, "absent"), /no file .*absent/],
    ["that is not in PATH", () => "absent", /no program "absent" in PATH/],
    ["that is a folder", () => `${root}/.`, /is not a file/],
    ["that is no ELF file", () => file("text", "hello"), /it is no ELF file/],
    ["of another processor", () => elf("arm", { machine: 183 }), /not an x86-64 program .*machine 183/],
    ["of 32 bits", () => elf("old", { machine: 3, bits: 32 }), /not an x86-64 program \(ELF class 32/],
    ["that is an object file", () => elf("object.o", { type: 1 }), /ELF type 1/],
    [
      "that is a script",
      () => file("run.sh", "#!/bin/sh -e\n"),
      /script; give its interpreter: -- \/bin\/sh -e/,
    ],
  ])("%s is refused in one line", (_, make, message) => {
    const path = make();
    expect(() => findProgram(path, root)).toThrow(message);
  });

  test("tells other mapped files from ELF files", () => {
    expect(isElf(elf("library.so", { type: 3 }))).toBe(true);
    expect(isElf(file("locale-archive", "x"))).toBe(false);
    expect(isElf(root)).toBe(false);
  });

  test("is named in the command so that a shell reads it back", () => {
    expect(["a", "--x=1", "two words", "it's"].map(shellWord)).toEqual([
      "a",
      "--x=1",
      "'two words'",
      "'it'\\''s'",
    ]);
  });
});

describe("the recorder's list of mapped files", () => {
  test("is in the program's addresses", () => {
    const text = [
      "base 7f0000000000",
      "threads 3",
      "7f0000400000-7f0000402000 r--p 00001000 fe:00 42      /opt/my tool (deleted)",
      "7f0000402000-7f0000403000 rw-p 00000000 00:00 0",
      "55a000000000-55a000001000 r-xp 00000000 fe:00 7       /usr/bin/qemu-x86_64",
      "7f0000500000-7f0000501000 rw-p 00000000 00:00 0       [heap]",
    ].join("\n");
    expect(parseProgramMaps(text)).toEqual({
      threads: 3,
      mappings: [{ from: 0x40_0000, to: 0x40_2000, fileOffset: 0x1000, path: "/opt/my tool" }],
    });
  });

  test("may be missing", () => {
    expect(parseProgramMaps("")).toEqual({ threads: 1, mappings: [] });
  });
});

describe("the recording of a program", () => {
  const CODE = 0x40_0000;
  const DATA = 0x70_0000;
  const LOAD = "48 8b 03"; // mov rax, [rbx]

  function convert(fill: (raw: RawBuilder) => void, memoryMiB = 2048) {
    const sink = new MemorySink();
    const converter = new Converter(sink, {
      cores: 1,
      nsPerInstruction: 1,
      memoryMiB,
      pages: new Map(),
      entries: new Map(),
      firstTouch: true,
      containerOf: () => 1,
    });
    const raw = new RawBuilder();
    raw.switch(0, 1, 1, 1).mark(0, "Begin");
    fill(raw);
    raw.mark(0, "End").end();
    raw.feed(converter);
    return { sink, report: converter.finish() };
  }

  test("gets physical pages in the order in which they are touched, code before its data", () => {
    const { sink, report } = convert((raw) => {
      const first = raw.block(CODE, [LOAD, LOAD], 0xffff_ffff);
      const second = raw.block(CODE + 0x3000, [LOAD], 0xffff_ffff);
      raw
        .exec(0, first, 2)
        .load(0, 8, DATA + 0x5000)
        .load(1, 8, DATA);
      raw.exec(0, second, 1).load(0, 8, DATA + 0x5008);
      raw.exec(0, first, 2).load(0, 8, DATA).load(1, 8, DATA);
    });
    const frames = sink.pages.map(({ vpn, ppn, asid }) => [vpn, ppn, asid]);
    expect(frames).toEqual([
      [0x400, 1, 1],
      [0x705, 2, 1],
      [0x700, 3, 1],
      [0x403, 4, 1],
    ]);
    expect(report).toMatchObject({ instructions: [5], guessedPages: 0, unmapped: 0, misplacedPages: 0 });
  });

  test("gives both pages of an access that straddles them a place", () => {
    const { sink, report } = convert((raw) => {
      raw.exec(0, raw.block(CODE, [LOAD], 0xffff_ffff), 1).load(0, 8, DATA + 0xffc);
    });
    expect(sink.pages.map(({ vpn, ppn }) => [vpn, ppn])).toEqual([
      [0x400, 1],
      [0x700, 2],
      [0x701, 3],
    ]);
    expect(report.guessedPages).toBe(0);
  });

  test("is one invocation from the first instruction to the last", () => {
    const { sink } = convert((raw) => {
      const b = raw.block(CODE, ["eb fe"], 0xffff_ffff);
      raw.exec(0, b, 1).exec(0, b, 1);
    });
    const kinds = sink.lines[0].map((line) => ("event" in line ? line.event : "block"));
    expect(kinds).toEqual([EventKind.Switch, EventKind.WorkBegin, "block", "block", EventKind.WorkEnd]);
    expect(sink.events(0)[0]).toMatchObject({ a: 1, b: 1, c: 1 });
  });

  test("is refused when it touches more than the memory", () => {
    const touch = (raw: RawBuilder) => {
      const b = raw.block(CODE, [LOAD], 0xffff_ffff);
      for (let i = 0; i < 256; i++) raw.exec(0, b, 1).load(0, 8, DATA + i * 4096);
    };
    expect(() => convert(touch, 1)).toThrow("more than the 1 MiB of memory");
  });
});
