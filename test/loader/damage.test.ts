import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants, crc32, gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { openTrace, TraceError } from "../../src/loader/index.js";
import { Random } from "../support/random.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";
import { type PlainCore, readCore, readDictionary, writeRandomTrace } from "./random-trace.js";

const scratch = temporaryPath("damaged.trace");
/** Written over in place: making a file anew costs milliseconds on some file systems. */
const scratchFile = openSync(scratch, "w+");
afterAll(() => closeSync(scratchFile));

function writeScratch(bytes: Uint8Array): void {
  writeSync(scratchFile, bytes, 0, bytes.length, 0);
  ftruncateSync(scratchFile, bytes.length);
}

/** What a file gives: its whole content as text, or the error of opening or reading it. */
function readAll(bytes: Uint8Array): string | TraceError {
  writeScratch(bytes);
  let trace: ReturnType<typeof openTrace> | undefined;
  try {
    trace = openTrace(scratch);
    const cores = trace.cores.map((_, core) => readCore(trace as ReturnType<typeof openTrace>, core));
    const dictionary = readDictionary(trace);
    return JSON.stringify({
      header: trace.header,
      dictionary,
      cores,
      all: trace.cores,
      symbols: trace.symbols(),
    });
  } catch (error) {
    if (error instanceof TraceError) return error;
    throw error;
  } finally {
    trace?.close();
  }
}

function sample(seed: number, steps: number): Buffer {
  const path = temporaryPath("sample.trace");
  writeRandomTrace(path, seed, steps);
  return readFileSync(path);
}

/** Offsets of the chunks' headers, and of the footer. */
function chunkOffsets(file: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = 16; at < file.length - 32; at += 32 + file.readUInt32LE(at + 16)) offsets.push(at);
  return [...offsets, file.length - 32];
}

function expectDamage(result: string | TraceError, size: number): void {
  expect(result).toBeInstanceOf(TraceError);
  const { offset, message } = result as TraceError;
  expect(offset).toBeGreaterThanOrEqual(0);
  expect(offset).toBeLessThanOrEqual(size);
  expect(message).toContain(scratch);
  expect(message).not.toContain("\n");
}

describe("damage", () => {
  test("every flipped bit is noticed", () => {
    const random = new Random(1);
    for (const seed of [3, 4, 5]) {
      const file = sample(seed, 30);
      const flips = 350;
      for (let i = 0; i < flips; i++) {
        const bit = random.int(file.length * 8);
        const damaged = Buffer.from(file);
        damaged[bit >> 3] ^= 1 << (bit & 7);
        expectDamage(readAll(damaged), file.length);
      }
    }
  });

  test("a file cut off anywhere is noticed when it is opened", () => {
    const file = sample(6, 40);
    for (let length = 0; length < file.length; length += length < 200 ? 1 : 7) {
      writeScratch(file.subarray(0, length));
      expect(() => openTrace(scratch)).toThrow(TraceError);
    }
  });

  test("foreign bytes written over a part, put in or appended are noticed", () => {
    const random = new Random(2);
    const file = sample(7, 60);
    for (let i = 0; i < 600; i++) {
      const at = random.int(file.length);
      const junk = Buffer.from(Array.from({ length: 1 + random.int(64) }, () => random.int(256)));
      const over = random.chance(0.5) ? junk.length : 0;
      const damaged = Buffer.concat([file.subarray(0, at), junk, file.subarray(at + over)]);
      if (!damaged.equals(file)) expectDamage(readAll(damaged), damaged.length);
    }
    expectDamage(readAll(Buffer.concat([file, Buffer.alloc(100)])), file.length + 100);
  });

  test("chunks swapped, doubled or left out are noticed", () => {
    const random = new Random(3);
    for (const seed of [8, 10, 12]) {
      const file = sample(seed, 80);
      const offsets = chunkOffsets(file);
      const parts = offsets.map((at, i) => file.subarray(at, offsets[i + 1] ?? file.length));
      for (let i = 0; i < 150; i++) {
        const order = parts.slice();
        const [a, b] = [random.int(parts.length), random.int(parts.length)];
        const way = random.int(4);
        if (way < 2) [order[a], order[b]] = [order[b], order[a]];
        else if (way === 2) order[a] = order[b];
        else order.splice(a, random.int(2), ...(random.chance(0.5) ? [order[b]] : []));
        const damaged = Buffer.concat([file.subarray(0, 16), ...order]);
        if (!damaged.equals(file)) expectDamage(readAll(damaged), damaged.length);
      }
    }
  });

  test("a chunk of another trace in the place of one's own is noticed", () => {
    const [one, other] = [sample(20, 50), sample(21, 50)];
    const offsets = chunkOffsets(one);
    const others = chunkOffsets(other);
    const parts = offsets.map((at, i) => one.subarray(at, offsets[i + 1] ?? one.length));
    for (let i = 1; i < Math.min(parts.length, others.length); i++) {
      const order = parts.slice();
      order[i] = other.subarray(others[i], others[i + 1] ?? other.length);
      expectDamage(readAll(Buffer.concat([one.subarray(0, 16), ...order])), one.length + other.length);
    }
  });
});

const FAST = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

/** Changes bytes of chunks' contents and makes all checksums and sizes right again. */
function forge(file: Buffer, random: Random): Buffer {
  const offsets = chunkOffsets(file);
  const out: Buffer[] = [file.subarray(0, 16)];
  const sums: number[] = [];
  const target = 1 + random.int(offsets.length - 2);
  let length = 16;
  let indexOffset = 0;
  for (let i = 0; i < offsets.length - 1; i++) {
    const header = Buffer.from(file.subarray(offsets[i], offsets[i] + 32));
    const stored = file.subarray(offsets[i] + 32, offsets[i + 1]);
    let content: Buffer = Buffer.from(header[5] === 1 ? brotliDecompressSync(stored) : stored);
    const isIndex = header[4] === 6;
    if (isIndex) {
      indexOffset = length;
      patchIndex(content, sums);
    }
    if (i === target) content = mutate(content, random);
    const packed = header[5] === 1 ? brotliCompressSync(content, FAST) : content;
    const smaller = packed.length < content.length ? packed : content;
    header[5] = smaller === content ? 0 : 1;
    header.writeUInt32LE(content.length, 12);
    header.writeUInt32LE(smaller.length, 16);
    header.writeUInt32LE(crc32(smaller), 20);
    header.writeUInt32LE(crc32(header.subarray(0, 28)), 28);
    sums.push(smaller.length, crc32(smaller));
    out.push(header, smaller);
    length += 32 + smaller.length;
  }
  const footer = Buffer.from(file.subarray(file.length - 32));
  footer.writeUInt32LE(indexOffset, 8);
  footer.writeUInt32LE(length + 32, 16);
  footer.writeUInt32LE(crc32(footer.subarray(0, 28)), 28);
  return Buffer.concat([...out, footer]);
}

function mutate(content: Buffer, random: Random): Buffer {
  const out = Buffer.from(content);
  for (let n = 1 + random.int(4); n > 0 && out.length > 0; n--) {
    const at = random.int(out.length);
    if (random.chance(0.4)) out[at] ^= 1 << random.int(8);
    else if (random.chance(0.5)) out[at] = random.pick([0, 1, 127, 128, 255]);
    else out.copyWithin(at, random.int(out.length));
  }
  return random.chance(0.1) ? out.subarray(0, random.int(out.length + 1)) : out;
}

/** Writes new sizes (only where they take as many bytes) and checksums into an index. */
function patchIndex(content: Buffer, sums: number[]): void {
  let at = 0;
  const skip = () => {
    while (content[at++] > 127);
  };
  const putSame = (value: number) => {
    const start = at;
    skip();
    let rest = value;
    for (let i = start; i < at; i++) {
      content[i] = (rest & 127) | (i < at - 1 ? 128 : 0);
      rest >>>= 7;
    }
  };
  for (let i = 0; i < 3; i++) skip();
  for (let i = 0; i < sums.length; i += 2) {
    const kind = content[at++];
    putSame(sums[i]);
    content.writeUInt32LE(sums[i + 1], at);
    at += 4;
    if (kind === 4) for (let n = 0; n < 3; n++) skip();
  }
}

describe("content that is wrong under right checksums", () => {
  test("never gives an index out of range, nor any other error than TraceError", () => {
    const random = new Random(4);
    let accepted = 0;
    let refused = 0;
    for (let seed = 30; seed < 50; seed++) {
      const file = sample(seed, 60);
      for (let i = 0; i < 40; i++) {
        const result = readAll(forge(file, random));
        if (result instanceof TraceError) refused++;
        else {
          accepted++;
          expectInRange(JSON.parse(result));
        }
      }
    }
    expect(refused).toBeGreaterThan(200);
    expect(accepted).toBeGreaterThan(20);
  });

  test("with nothing changed passes, so that the forgery itself is sound", () => {
    const file = sample(31, 60);
    const nothing = {
      int: () => 0,
      chance: () => false,
      pick: (items: number[]) => items[0],
    } as unknown as Random;
    const forged = forge(file, Object.assign(nothing, { int: (n: number) => (n === 4 ? -1 : 0) }));
    expect(typeof readAll(forged)).toBe("string");
  });
});

interface Everything {
  dictionary: ReturnType<typeof readDictionary>;
  cores: PlainCore[];
}

function expectInRange({ dictionary, cores }: Everything): void {
  const { pages, blocks } = dictionary;
  for (const block of blocks) {
    if (block.page >= pages.length || block.page2 >= pages.length) throw new Error("page");
    if (
      block.slots.some(
        ({ kind, size, instr }) => kind > 5 || size < 1 || instr >= Object.keys(block.lengths).length,
      )
    ) {
      throw new Error("slot");
    }
  }
  const exists = (address: number) => {
    if (address >>> 12 >= pages.length) throw new Error(`page ${address >>> 12} of ${pages.length}`);
  };
  for (const core of cores) {
    let at = 0;
    for (const id of core.blocks) {
      for (const { kind, size } of blocks[id].slots) {
        if (kind < 2) {
          exists(core.addresses[at]);
          if ((core.addresses[at++] & 4095) + size > 4096) throw new Error("leaves its page");
          continue;
        }
        const operands = kind >= 4 ? 2 : 1;
        for (let left = core.addresses[at++]; left > 0; left--) {
          at++;
          for (let o = 0; o < operands; o++) exists(core.addresses[at++]);
        }
      }
    }
    expect(at).toBe(core.addresses.length);
    for (const { kind } of core.events) if (kind < 1 || kind > 7) throw new Error("event kind");
  }
}

describe("salvage", () => {
  test("gives a prefix of every stream, then the error with the offset of the damage", () => {
    const random = new Random(5);
    const path = temporaryPath("whole.trace");
    for (let seed = 100; seed < 130; seed++) {
      const expected = writeRandomTrace(path, seed, 120);
      const file = readFileSync(path);
      const offsets = chunkOffsets(file);
      const damaged = Buffer.from(file);
      const at = offsets[1] + random.int(file.length - offsets[1]);
      const isCut = random.chance(0.5);
      if (!isCut) damaged[at] ^= 0x10;
      writeScratch(isCut ? damaged.subarray(0, at) : damaged);
      const trace = openTrace(scratch, { salvage: true });
      const chunkStart = offsets.filter((offset) => offset <= at).at(-1) as number;
      expected.cores.forEach((core, i) => {
        const stream = trace.stream(i);
        const blocks: number[] = [];
        let error: unknown;
        try {
          while (stream.next()) blocks.push(...stream.blocks.subarray(0, stream.blockCount));
        } catch (thrown) {
          error = thrown;
        }
        expect(blocks).toEqual(core.blocks.slice(0, blocks.length));
        if (error === undefined) {
          // The index is whole and the damage is in another core's chunk or in the symbols.
          expect(trace.damage).toBeUndefined();
          expect(blocks.length).toBe(core.blocks.length);
          return;
        }
        expect(error).toBeInstanceOf(TraceError);
        expect((error as TraceError).offset).toBeGreaterThanOrEqual(chunkStart);
        if (trace.damage !== undefined) expect(trace.cores[i].blockExecutions).toBe(blocks.length);
        for (const span of trace.cores[i].invocations)
          expect(span.end).toBeLessThanOrEqual(core.blocks.length);
      });
      trace.close();
    }
  });

  test("of a whole file changes nothing", () => {
    const path = temporaryPath("whole.trace");
    const expected = writeRandomTrace(path, 9, 100);
    const trace = openTrace(path, { salvage: true });
    expect(trace.damage).toBeUndefined();
    expect(readCore(trace, 0).blocks).toEqual(expected.cores[0].blocks);
    trace.close();
  });
});

describe("a file that is no trace gets one line that says what it is", () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ["empty", new Uint8Array(0), /empty/],
    ["ELF", Buffer.from("\x7fELF\x02\x01\x01", "latin1"), /ELF/],
    ["gzip", gzipSync("hello"), /gzip/],
    ["zip", Buffer.from("PK\x03\x04rest"), /zip/],
    ["text", Buffer.from("hello, world\n"), /text/],
    ["JSON", Buffer.from('{"a": 1}'), /JSON/],
    ["zeros", new Uint8Array(4096), /zeros/],
    ["noise", Uint8Array.from({ length: 100 }, (_, i) => (i * 37 + 129) & 255), /unknown data \(81 a6/],
  ];
  test.each(cases)("%s", (_, bytes, expected) => {
    writeScratch(bytes);
    expect(() => openTrace(scratch)).toThrow(expected);
    expect(() => openTrace(scratch)).toThrow(TraceError);
  });

  test("missing files and directories", () => {
    expect(() => openTrace(`${scratch}.none`)).toThrow(`${scratch}.none: no such file`);
    mkdirSync(`${scratch}.d`, { recursive: true });
    expect(() => openTrace(`${scratch}.d`)).toThrow(/is a directory/);
    expect(() => openTrace(dirname(scratch))).toThrow(InputError);
  });

  test("a later format version", () => {
    const file = sample(1, 5);
    file.writeUInt32LE(2, 8);
    file.writeUInt32LE(crc32(file.subarray(0, 12)), 12);
    writeScratch(file);
    expect(() => openTrace(scratch)).toThrow(/format version 2; this program reads version 1/);
  });
});

test("a stream of a closed trace says so", () => {
  const t = new TraceBuilder();
  const trace = t.exec(0, t.block(0x1000, ["90"])).open();
  const stream = trace.stream(0);
  trace.close();
  expect(() => stream.next()).toThrow(/closed/);
  expect(() => trace.stream(1)).toThrow(/no core 1/);
  expect(() => trace.stream(0, 2)).toThrow(/no position 2/);
});
