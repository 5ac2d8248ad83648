import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { InputError } from "../../src/errors.js";
import { openTrace } from "../../src/loader/index.js";
import { CLOUDSUITE, PLAIN } from "../../src/tools/convert/champsim.js";
import { ChampSimSource, champSimLayout } from "../../src/tools/convert/champsim-read.js";
import { writeChampSim } from "../../src/tools/convert/champsim-write.js";
import { convertToTrace } from "../../src/tools/convert/convert.js";
import type { FlatSource } from "../../src/tools/convert/flat.js";
import { LackeySource } from "../../src/tools/convert/lackey-read.js";
import { dumpTrace } from "../../src/tools/dump.js";
import { streamRange } from "../../src/tools/range.js";
import { validateTrace } from "../../src/tools/validate.js";
import { muswarm } from "../cli/harness.js";
import { Random } from "../support/random.js";
import { TraceBuilder, temporaryPath } from "../support/trace-builder.js";

interface Record64 {
  ip: number;
  branch?: "conditional" | "jump" | "call" | "return" | "indirect";
  taken?: boolean;
  load?: number[];
  store?: number[];
}

const REGISTERS = {
  conditional: [[26], [26, 25]],
  jump: [[26], []],
  call: [
    [26, 6],
    [26, 6],
  ],
  return: [[26, 6], [6]],
  indirect: [[26], [3]],
} as const;

function champSim(records: readonly Record64[], layout = PLAIN): Buffer {
  const out = Buffer.alloc(records.length * layout.bytes);
  records.forEach(({ ip, branch, taken, load = [], store = [] }, i) => {
    const at = i * layout.bytes;
    out.writeBigUInt64LE(BigInt(ip), at);
    if (branch !== undefined) {
      out[at + 8] = 1;
      out[at + 9] = taken === false ? 0 : 1;
      const [written, read] = REGISTERS[branch];
      written.forEach((r, n) => {
        out[at + layout.destinationRegisters + n] = r;
      });
      read.forEach((r, n) => {
        out[at + layout.sourceRegisters + n] = r;
      });
    }
    load.forEach((address, n) => {
      out.writeBigUInt64LE(BigInt(address), at + layout.sourceMemory + 8 * n);
    });
    store.forEach((address, n) => {
      out.writeBigUInt64LE(BigInt(address), at + layout.destinationMemory + 8 * n);
    });
  });
  return out;
}

const OPTIONS = { command: "test", version: "0", date: "2024-01-01T00:00:00Z" };

function file(name: string, content: Buffer | string): string {
  const path = temporaryPath(name);
  writeFileSync(path, content);
  return path;
}

/** Converts, checks that the result is sound, and says what it does. */
async function converted(source: FlatSource, input: string) {
  const path = temporaryPath("converted.trace");
  const report = await convertToTrace(source, input, path, OPTIONS);
  const trace = openTrace(path);
  const checks = validateTrace(trace).checks.flatMap((check) => check.examples);
  const texts: string[] = [];
  for (const entry of dumpTrace(trace, streamRange(trace, {}))) {
    if ("event" in entry) {
      if (entry.event === "Switch") texts.push("Switch");
      continue;
    }
    for (const { address, text, accesses } of entry.instructions) {
      const done = accesses.map((a) => `${a.iterations ?? ""}${a.kind[0]}${a.size}@${a.virtual}`);
      texts.push([address, text, ...done].join(" "));
    }
  }
  trace.close();
  return { report, texts, checks };
}

const PROGRAM: Record64[] = [
  { ip: 0x401000, load: [0x7000] },
  { ip: 0x401003, branch: "conditional", taken: false },
  { ip: 0x401005, branch: "call", store: [0x8ff8] },
  { ip: 0x402000, store: [0x9000] },
  { ip: 0x402004, branch: "return", load: [0x8ff8] },
  { ip: 0x40100a, branch: "conditional" },
  { ip: 0x401003, branch: "conditional" },
  { ip: 0x401000, load: [0x7ffc] },
  { ip: 0x401003 + 0x1000, load: [0xa000], store: [0xb000] },
  { ip: 0x401003 + 0x1000, load: [0xa008], store: [0xb008] },
  { ip: 0x401006 + 0x1000, branch: "indirect" },
  { ip: 0x403000, branch: "jump" },
];

describe("reading ChampSim", () => {
  const expected = [
    "401000 mov rax, [rdi] l8@7000",
    "401003 jne short 0x401000",
    "401005 call 0x402000 s8@8ff8",
    "402000 mov [rdi], rax s8@9000",
    "402004 ret l8@8ff8",
    "40100a jne short 0x401003",
    "401003 jne short 0x401000",
    "401000 mov rax, [rdi] l4@7ffc l4@8000",
    "Switch",
    "402003 rep movsq [rdi], [rsi] 2l8@a000 2s8@b000",
    "402006 jmp rax",
    "403000 notrack jmp rax",
  ];

  test.each([
    ["plain", PLAIN, ".champsimtrace"],
    ["packed", PLAIN, ".champsimtrace.gz"],
    ["cloudsuite", CLOUDSUITE, ".trace"],
  ] as const)(
    "%s: lengths, branches, accesses and repeated instructions are made out",
    async (_, layout, suffix) => {
      const bytes = champSim(PROGRAM, layout);
      const path = file(`in${suffix}`, suffix.endsWith(".gz") ? gzipSync(bytes) : bytes);
      expect(await champSimLayout(path)).toBe(layout);
      const { report, texts, checks } = await converted(new ChampSimSource(path, layout), path);
      expect(checks).toEqual([]);
      expect(texts).toEqual(expected);
      expect(report).toMatchObject({
        read: 12,
        instructions: 11,
        iterations: 1,
        breaks: 1,
        indirect: 1,
        pages: 8,
      });
    },
  );

  test("refuses what is cut off or no record, with the offset", async () => {
    const bytes = champSim(PROGRAM);
    const read = (content: Buffer, name = "in.trace") => {
      const path = file(name, content);
      return new ChampSimSource(path, PLAIN).read(
        () => true,
        () => {},
      );
    };
    await expect(read(bytes.subarray(0, 100))).rejects.toThrow(
      "at byte 64: the last record has 36 of 64 bytes",
    );
    const wrong = Buffer.from(bytes);
    wrong[64 + 9] = 7;
    await expect(read(wrong)).rejects.toThrow("at byte 64: is_branch 1 and branch_taken 7 must be 0 or 1");
    const zero = Buffer.concat([bytes, Buffer.alloc(64)]);
    await expect(read(gzipSync(zero), "in.gz")).rejects.toThrow(
      "at byte 768 of the unpacked content: the instruction pointer is 0",
    );
    await expect(read(gzipSync(bytes).subarray(0, 60), "in.gz")).rejects.toThrow(
      "cannot be unpacked or read further (unexpected end of file)",
    );
  });
});

describe("reading lackey", () => {
  const text = `==12== Lackey, an example Valgrind tool
I  401000,3
 L 7000,8
I  401003,2
I  401000,3
 L 7008,8
I  401003,2
I  401005,5
 S 8ff8,8
I  402000,4
 M 9000,4
I  402004,2
 L a000,1
 S b000,1
I  402004,2
 L a001,1
 S b001,1
I  402006,1
 L 8ff8,8
I  40100a,1
==12== the end
`;

  test("kinds of branches are guessed from where they go and what they access", async () => {
    const path = file("in.txt", text);
    const { report, texts, checks } = await converted(new LackeySource(path), path);
    expect(checks).toEqual([]);
    expect(texts).toEqual([
      "401000 mov rax, [rdi] l8@7000",
      "401003 jne short 0x401000",
      "401000 mov rax, [rdi] l8@7008",
      "401003 jne short 0x401000",
      "401005 call 0x402000 s8@8ff8",
      "402000 add [rdi], eax l4@9000 s4@9000",
      "402004 rep movsb [rdi], [rsi] 2l1@a000 2s1@b000",
      "402006 ret l8@8ff8",
      "40100a nop",
    ]);
    expect(report).toMatchObject({ read: 10, instructions: 9, iterations: 1, breaks: 0, indirect: 0 });
  });

  test.each([
    ["I  401000,3\nX 5\n", 'at byte 12: "X 5" is no line of lackey\'s'],
    ["I  401000,16\n", "at byte 0: an instruction of 16 bytes"],
    [" L 401000,8\n", "at byte 0: an access before the first instruction"],
    ["I  401000,3\n L 1,0\n", "at byte 12: an access of 0 bytes"],
    ["I  401000,3\nI  4010", "at byte 12: the last line is not complete"],
  ])("%j is refused", async (content, message) => {
    const path = file("in.txt", content);
    await expect(
      new LackeySource(path).read(
        () => true,
        () => {},
      ),
    ).rejects.toThrow(message);
  });
});

describe("writing ChampSim", () => {
  function builder(): TraceBuilder {
    const t = new TraceBuilder();
    const loop = t.block(0x401000, ["48 8b 07", "75 fb"], [[0, "load", 8]]);
    const copy = t.block(0x401005, ["f3 48 a5"], [[0, "repMove", 8]]);
    const call = t.block(
      0x401008,
      ["ff 17"],
      [
        [0, "load", 8],
        [0, "store", 8],
      ],
    );
    t.begin(0).exec(0, loop, 0x7000).exec(0, loop, 0x7008);
    return t
      .exec(0, copy, [[2, 0x8008, 0x9008]])
      .exec(0, call, 0xa000, 0xb000)
      .end(0);
  }

  test("gives kinds of branches by registers, outcomes, addresses, and a record for each iteration", async () => {
    const trace = builder().open();
    const path = temporaryPath("out.champsimtrace");
    const report = await writeChampSim(trace, streamRange(trace, {}), path);
    expect(report).toMatchObject({ instructions: 6, records: 7, accessesLost: 0 });
    const bytes = readFileSync(path);
    const records = Array.from({ length: 7 }, (_, i) => {
      const at = i * 64;
      const memory = [16, 24, 32, 40].map((o) => Number(bytes.readBigUInt64LE(at + o)).toString(16));
      return [bytes.readUInt32LE(at).toString(16), [...bytes.subarray(at + 8, at + 16)].join(" "), ...memory];
    });
    expect(records).toEqual([
      ["401000", "0 0 1 0 8 0 0 0", "0", "0", "7000", "0"],
      ["401003", "1 1 26 0 26 25 0 0", "0", "0", "0", "0"],
      ["401000", "0 0 1 0 8 0 0 0", "0", "0", "7008", "0"],
      ["401003", "1 0 26 0 26 25 0 0", "0", "0", "0", "0"],
      ["401005", expect.stringMatching(/^0 0 /), "9008", "0", "8008", "0"],
      ["401005", expect.stringMatching(/^0 0 /), "9010", "0", "8010", "0"],
      ["401008", "1 1 6 26 6 26 8 0", "b000", "0", "a000", "0"],
    ]);
  });

  test("packs by suffix, and what it writes can be read back", async () => {
    const trace = builder().open();
    const plain = temporaryPath("out.champsimtrace");
    const packed = temporaryPath("out.champsimtrace.gz");
    for (const path of [plain, packed]) await writeChampSim(trace, streamRange(trace, {}), path);
    expect(gunzipSync(readFileSync(packed)).equals(readFileSync(plain))).toBe(true);
    const { texts, checks } = await converted(new ChampSimSource(packed, PLAIN), packed);
    expect(checks).toEqual([]);
    expect(texts).toEqual([
      "401000 mov rax, [rdi] l8@7000",
      "401003 jne short 0x401000",
      "401000 mov rax, [rdi] l8@7008",
      "401003 jne short 0x401000",
      "401005 rep movsq [rdi], [rsi] 2l8@8008 2s8@9008",
      "401008 call rax l8@a000 s8@b000",
    ]);
  });
});

test("damaged files by the thousand are read to their end or refused in one line, never otherwise", async () => {
  const random = new Random(7);
  const good = {
    "in.trace": champSim(PROGRAM),
    "in.gz": gzipSync(champSim(PROGRAM)),
    "in.txt": Buffer.from(
      "I  401000,3\n L 7000,8\nI  401003,2\n M 9000,4\nI  401000,3\n S 7008,8\nI  401003,2\n",
    ),
  };
  let refused = 0;
  let made = 0;
  for (let i = 0; i < 2000; i++) {
    const name = random.pick(Object.keys(good)) as keyof typeof good;
    let bytes = Buffer.from(good[name]);
    for (let n = 1 + random.int(4); n > 0; n--) {
      if (random.chance(0.3)) bytes = bytes.subarray(0, random.int(bytes.length + 1));
      else if (bytes.length > 0) bytes[random.int(bytes.length)] ^= 1 << random.int(8);
    }
    const path = file(name, bytes);
    const source = name === "in.txt" ? new LackeySource(path) : new ChampSimSource(path, PLAIN);
    const out = temporaryPath("out.trace");
    try {
      await convertToTrace(source, path, out, OPTIONS);
      made++;
      const trace = openTrace(out);
      const flow = validateTrace(trace).checks.filter((check) => check.wrong > 0);
      trace.close();
      expect(flow.flatMap((check) => check.examples)).toEqual([]);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      expect(error.message).not.toContain("\n");
      refused++;
    }
  }
  expect(made).toBeGreaterThan(200);
  expect(refused).toBeGreaterThan(200);
}, 60_000);

describe("files packed by xz", () => {
  const hasXz = spawnSync("xz", ["--version"]).status === 0;

  test.skipIf(!hasXz)("are written and read by that program", async () => {
    const input = file("prog.champsimtrace", champSim(PROGRAM));
    const ours = temporaryPath("prog.trace");
    await muswarm(["trace", "convert", input, "-o", ours]);
    const packed = temporaryPath("prog.champsimtrace.xz");
    expect((await muswarm(["trace", "convert", ours, "-o", packed])).code).toBe(0);
    const back = await muswarm(["trace", "convert", packed, "-o", temporaryPath("b.trace"), "--json"]);
    expect(JSON.parse(back.stdout)).toMatchObject({ read: 12, instructions: 11 });
    const cut = file("cut.xz", readFileSync(packed).subarray(0, 90));
    const damaged = await muswarm(["trace", "convert", cut, "-o", temporaryPath("c.trace")]);
    expect(damaged).toMatchObject({ code: 2, stdout: "" });
    expect(damaged.stderr).toContain("cannot be unpacked or read further");
  });

  test("need the program", async () => {
    const input = file("prog.champsimtrace", champSim(PROGRAM));
    const ours = temporaryPath("prog.trace");
    await muswarm(["trace", "convert", input, "-o", ours]);
    vi.stubEnv("PATH", "/nowhere");
    try {
      for (const [from, to] of [
        [ours, "out.xz"],
        [file("in.xz", "x"), "out.trace"],
      ]) {
        const { code, stderr } = await muswarm(["trace", "convert", from, "-o", temporaryPath(to)]);
        expect(code).toBe(2);
        expect(stderr).toContain("the program xz, which .xz files need, is not installed");
      }
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe("muswarm trace convert", () => {
  test("tells the formats by their content, both ways", async () => {
    const input = file("prog.champsimtrace", champSim(PROGRAM));
    const out = temporaryPath("prog.trace");
    const there = await muswarm(["trace", "convert", input, "-o", out]);
    expect(there).toMatchObject({ code: 0, stderr: "" });
    expect(there.stdout).toContain("11 instructions in 9 block executions, from ChampSim\n");
    expect(there.stdout).toContain("What is lost or made up:\n- ChampSim records have no instruction bytes");
    expect(openTrace(out).header.provenance.notes).toContain("instruction bytes are synthesised");
    const back = await muswarm(["trace", "convert", out, "-o", temporaryPath("back.gz"), "--json"]);
    expect(JSON.parse(back.stdout)).toMatchObject({ records: 12, instructions: 11 });
    const lackey = file("log.txt", "==1== x\nI  401000,3\n");
    const third = await muswarm(["trace", "convert", lackey, "-o", temporaryPath("l.trace")]);
    expect(third.stdout).toContain("from Valgrind lackey");
  });

  test("--limit reads the first part", async () => {
    const input = file("prog.champsimtrace", champSim(PROGRAM));
    const out = temporaryPath("prog.trace");
    const { stdout } = await muswarm(["trace", "convert", input, "-o", out, "--limit", "3", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ read: 3, instructions: 3 });
  });

  test.each([
    [Buffer.alloc(0), [], "the file is empty"],
    [Buffer.from("hello world"), [], "the records fit neither"],
    [champSim(PROGRAM), ["--core", "1"], "--core is for writing ChampSim traces"],
    [champSim(PROGRAM), ["--format", "lackey"], "is no line of lackey's"],
    [champSim(PROGRAM), ["--format", "champsin"], 'Did you mean "champsim"?'],
  ])("refuses case %#", async (content, more, message) => {
    const input = file("in.bin", content);
    const { code, stdout, stderr } = await muswarm([
      "trace",
      "convert",
      input,
      "-o",
      temporaryPath("o.trace"),
      ...more,
    ]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toContain(message);
  });
});
