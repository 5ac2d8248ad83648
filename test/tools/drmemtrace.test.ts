import { writeFileSync } from "node:fs";
import { crc32, deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { openTrace } from "../../src/loader/index.js";
import { convertToTrace } from "../../src/tools/convert/convert.js";
import { DrMemtraceSource } from "../../src/tools/convert/drmemtrace-read.js";
import { dumpTrace } from "../../src/tools/dump.js";
import { streamRange } from "../../src/tools/range.js";
import { validateTrace } from "../../src/tools/validate.js";
import { muswarm } from "../cli/harness.js";
import { Random } from "../support/random.js";
import { temporaryPath } from "../support/trace-builder.js";

/** A zip archive; files with an odd index are deflated. */
function zip(files: Record<string, Buffer>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  Object.entries(files).forEach(([name, content], i) => {
    const packed = i % 2 === 1 ? deflateRawSync(content) : content;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(i % 2 === 1 ? 8 : 0, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed);
    const where = Buffer.alloc(14);
    where.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00"), common, where, Buffer.from(name));
    offset += 30 + name.length + packed.length;
  });
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

type Entry = [type: number, size: number, value: number | string];

/** Packed entries; a text is bytes in hexadecimal. */
function entries(list: readonly Entry[]): Buffer {
  const out = Buffer.alloc(list.length * 12);
  list.forEach(([type, size, value], i) => {
    out.writeUInt16LE(type, i * 12);
    out.writeUInt16LE(size, i * 12 + 2);
    if (typeof value === "string") Buffer.from(value, "hex").copy(out, i * 12 + 4);
    else out.writeBigUInt64LE(BigInt(value), i * 12 + 4);
  });
  return out;
}

const FIRST: Entry[] = [
  [25, 0, 5],
  [28, 9, 0x40],
  [22, 0, 77],
  [24, 0, 77],
  [47, 3, "488b07"],
  [10, 3, 0x401000],
  [0, 8, 0x7000],
  [47, 2, "75fb"],
  [48, 2, 0x401003],
  [10, 3, 0x401000],
  [0, 8, 0x7ffc],
  [49, 2, 0x401003],
];
const SECOND: Entry[] = [
  [28, 2, 12345],
  [47, 3, "f348a5"],
  [30, 3, 0x401005],
  [0, 8, 0x8000],
  [1, 8, 0x9000],
  [29, 3, 0x401005],
  [0, 8, 0x8008],
  [1, 8, 0x9008],
  [47, 8, "48b8010203040506"],
  [47, 2, "0708"],
  [10, 10, 0x401008],
  [47, 2, "0f05"],
  [10, 2, 0x401012],
  [47, 1, "c3"],
  [16, 1, 0x401014],
  [0, 8, 0xa000],
  [47, 1, "90"],
  [10, 1, 0x405000],
  [23, 0, 77],
  [26, 0, 0],
];
const OPTIONS = { command: "test", version: "0", date: "2024-01-01T00:00:00Z" };

function archive(first: readonly Entry[] = FIRST, second: readonly Entry[] = SECOND): Buffer {
  return zip({
    "chunk.0000": entries(first),
    "chunk.0001": entries(second),
    "instr_count.txt": Buffer.from("x"),
  });
}

function file(content: Buffer): string {
  const path = temporaryPath("in.trace.zip");
  writeFileSync(path, content);
  return path;
}

describe("reading drmemtrace", () => {
  test("takes the program's own bytes, accesses and iterations; the result is sound in all checks", async () => {
    const input = file(archive());
    const path = temporaryPath("out.trace");
    const report = await convertToTrace(new DrMemtraceSource(input), input, path, OPTIONS);
    expect(report).toMatchObject({ read: 10, instructions: 9, iterations: 1, breaks: 1, indirect: 0 });
    const trace = openTrace(path);
    const validation = validateTrace(trace);
    expect(validation.checks.flatMap((check) => check.examples)).toEqual([]);
    expect(validation.checks.find(({ name }) => name.startsWith("loads and stores"))?.tested).toBeGreaterThan(
      6,
    );
    expect(trace.header.provenance.notes).not.toContain("instruction bytes are synthesised");
    const texts = [...dumpTrace(trace, streamRange(trace, {}))].flatMap((entry) =>
      "event" in entry
        ? [entry.event]
        : entry.instructions.map(({ text, accesses }) =>
            [text, ...accesses.map((a) => `${a.iterations ?? ""}${a.kind[0]}${a.size}@${a.virtual}`)].join(
              " ",
            ),
          ),
    );
    expect(texts).toEqual([
      "WorkBegin",
      "mov rax, [rdi] l8@7000",
      "jne short 0x401000",
      "mov rax, [rdi] l4@7ffc l4@8000",
      "jne short 0x401000",
      "rep movsq [rdi], [rsi] 2l8@8000 2s8@9000",
      "mov rax, 0x807060504030201",
      "syscall",
      "Switch",
      "ret l8@a000",
      "nop",
      "WorkEnd",
    ]);
  });

  test("the command tells it by its content", async () => {
    const { code, stdout } = await muswarm([
      "trace",
      "convert",
      file(archive()),
      "-o",
      temporaryPath("o.trace"),
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("from DynamoRIO drmemtrace");
  });

  test.each([
    [
      archive([
        [47, 2, "9090"],
        [10, 1, 0x401000],
      ]),
      "chunk.0000, at byte 12 of the unpacked content: 2 bytes of an instruction of 1",
    ],
    [archive([[0, 8, 1]]), "at byte 0 of the unpacked content: an access before the first instruction"],
    [archive([[28, 9, 0x08]]), "the trace is of another architecture than x86-64"],
    [
      archive([
        [22, 0, 1],
        [22, 0, 2],
      ]),
      "several threads in one file are not supported",
    ],
    [archive([[99, 0, 1]]), "entry type 99 is unknown"],
    [
      zip({ "chunk.0000": Buffer.concat([entries([[25, 0, 5]]), Buffer.alloc(1)]) }),
      "the last entry has 1 of 12 bytes",
    ],
    [zip({ a: Buffer.alloc(13) }), "no chunk of a drmemtrace in this archive"],
    [archive().subarray(0, 200), "the end of the archive's directory is missing"],
  ])("refuses case %#", async (content, message) => {
    const input = file(content);
    const convert = async () =>
      await convertToTrace(new DrMemtraceSource(input), input, temporaryPath("o.trace"), OPTIONS);
    await expect(convert()).rejects.toThrow(message);
    await expect(convert()).rejects.toBeInstanceOf(InputError);
  });

  test("damaged archives by the thousand are read or refused, never otherwise", async () => {
    const random = new Random(11);
    const good = archive();
    let refused = 0;
    for (let i = 0; i < 1000; i++) {
      let bytes: Buffer = Buffer.from(good);
      for (let n = 1 + random.int(3); n > 0; n--) {
        if (random.chance(0.2)) bytes = bytes.subarray(0, random.int(bytes.length + 1));
        else if (bytes.length > 0) bytes[random.int(bytes.length)] ^= 1 << random.int(8);
      }
      // Half of them with checksums that are right: the damage is in the entries.
      if (random.chance(0.5)) {
        const first = entries(FIRST);
        const second = entries(SECOND);
        for (const part of [first, second]) part[random.int(part.length)] ^= 1 << random.int(8);
        bytes = zip({ "chunk.0000": first, "chunk.0001": second });
      }
      const input = file(bytes);
      try {
        await convertToTrace(new DrMemtraceSource(input), input, temporaryPath("o.trace"), OPTIONS);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        expect(error.message).not.toContain("\n");
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(300);
  }, 60_000);
});
