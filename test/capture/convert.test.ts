import { describe, expect, test } from "vitest";
import { EntryKind, TIMER_VECTOR } from "../../src/capture/kernel-entries.js";
import { pageKey } from "../../src/capture/pages.js";
import { EventKind, SlotFlag, SlotKind } from "../../src/loader/contract.js";
import { convert } from "./raw-builder.js";

const CODE = 0x40_0000;
const HANDLER = 0xffff_81c0_0be0;
const DATA_VPN = 0x500;
const DATA = DATA_VPN * 4096;
const APIC_VPN = 0xf_ffff_f5fd;
const NOP = "90";
const RET = "c3";
const LOAD = "48 8b 03"; // mov rax, [rbx]
const STORE = "48 89 03"; // mov [rbx], rax
const JMP = "eb 10";
const HLT = "f4";

const fault = new Map([[HANDLER, { kind: EntryKind.Fault, vector: -1 }]]);
const interrupt = new Map([[HANDLER, { kind: EntryKind.Interrupt, vector: 0xfb }]]);
const timer = new Map([[HANDLER, { kind: EntryKind.Interrupt, vector: TIMER_VECTOR }]]);
const at = (page: number, offset: number) => (page << 12) | offset;

describe("blocks", () => {
  test("a block that ran to its end is one entry with its accesses as slots", () => {
    const { sink, report } = convert((raw) => {
      const b = raw.block(CODE + 8, [LOAD, STORE, RET], 0x77);
      raw
        .exec(1, b, 3)
        .map(1, DATA_VPN, 0x99)
        .load(0, 8, DATA + 16)
        .store(1, 4, DATA + 24)
        .load(2, 8, DATA + 32);
    });
    const [{ block, addresses }] = sink.executions(1);
    const def = sink.blocks[block];
    expect(sink.pages[def.page]).toEqual({ asid: 1, vpn: 0x400, ppn: 0x77, io: false });
    expect([def.offset, def.page2, ...def.lengths]).toEqual([8, -1, 3, 3, 1]);
    expect(def.slots).toEqual([
      { instr: 0, kind: SlotKind.Load, size: 8, flags: 0 },
      { instr: 1, kind: SlotKind.Store, size: 4, flags: 0 },
      { instr: 2, kind: SlotKind.Load, size: 8, flags: 0 },
    ]);
    const page = addresses[0] >>> 12;
    expect(sink.pages[page]).toEqual({ asid: 1, vpn: DATA_VPN, ppn: 0x99, io: false });
    expect(addresses).toEqual([at(page, 16), at(page, 24), at(page, 32)]);
    expect(report.instructions).toEqual([0, 3]);
  });

  test("executions of a block with the same accesses share an entry, with others they do not", () => {
    const { sink } = convert((raw) => {
      const b = raw.block(CODE, [LOAD, RET], 1);
      raw.map(1, DATA_VPN, 2);
      raw.exec(1, b, 2).load(0, 8, DATA).load(1, 8, DATA);
      raw
        .exec(1, b, 2)
        .load(0, 8, DATA + 8)
        .load(1, 8, DATA);
      raw
        .exec(1, b, 2)
        .load(0, 4, DATA + 8)
        .load(1, 8, DATA);
    });
    expect(sink.executions(1).map((e) => e.block)).toEqual([0, 0, 1]);
  });

  test("a block that the emulator translates twice is one block", () => {
    const { sink } = convert((raw) => {
      const first = raw.block(CODE, [NOP, JMP], 1);
      const again = raw.block(CODE, [NOP, JMP], 1);
      raw.exec(1, first, 2).exec(1, again, 2);
    });
    expect(sink.blocks).toHaveLength(1);
  });

  test("an instruction that is cut off at the end of the page and never ran is left out", () => {
    const { sink, report } = convert((raw) => {
      const listed = raw.block(CODE + 4094, [NOP, "48"], 1);
      const whole = raw.block(CODE + 4095, [LOAD], 1, 2);
      raw.exec(1, listed, 1).exec(1, whole, 1);
    });
    expect(sink.executions(1).map((e) => sink.blocks[e.block].lengths.length)).toEqual([1, 1]);
    expect(sink.pages[sink.blocks[1].page2]).toEqual({ asid: 1, vpn: 0x401, ppn: 2, io: false });
    expect([report.unexplained, report.guessedPages]).toEqual([0, 0]);
  });

  test("the second page of a block comes from elsewhere in the recording where the block does not tell it", () => {
    const { sink, report } = convert(
      (raw) => {
        raw.exec(1, raw.block(CODE + 4095, [LOAD], 1), 1);
      },
      { pages: new Map([[pageKey(1, 0x401), 0x55]]) },
    );
    expect(sink.pages[sink.blocks[0].page2].ppn).toBe(0x55);
    expect(report.guessedPages).toBe(0);
  });

  test("a successor that nothing explains is counted and named", () => {
    const { report } = convert((raw) => {
      const a = raw.block(CODE, [NOP, JMP], 1);
      const right = raw.block(CODE + 0x13, [NOP, JMP], 1);
      raw.exec(1, a, 2).exec(1, right, 2).exec(1, a, 2);
    });
    expect(report.unexplained).toBe(1);
    expect(report.unexplainedExamples[0]).toContain("core 1: 400000 after 2 of 2 instructions at 400013");
  });

  describe("the handlers of a program's signals", () => {
    const record = (alone: boolean) =>
      convert(
        (raw) => {
          const call = raw.block(CODE, [NOP, "0f 05"], 1);
          const behind = raw.block(CODE + 3, [NOP, JMP], 1);
          const handler = raw.block(CODE + 0x100, [NOP, "0f 05"], 1);
          raw.exec(1, call, 2).exec(1, handler, 2).exec(1, behind, 2);
          raw.exec(1, handler, 2).exec(1, raw.block(CODE + 0x103, [NOP, RET], 1), 1);
        },
        { alone },
      );

    test("begin and end with a switch of the task to itself", () => {
      const { sink, report } = record(true);
      const kinds = sink.lines[1].map((line) => ("event" in line ? line : "block"));
      const marked = { event: EventKind.Switch, a: 11, b: 0, c: 1 };
      // Called, handled, returned from; then interrupted behind a jump.
      expect(kinds).toEqual(["block", marked, "block", marked, "block", marked, "block", "block"]);
      expect([report.unexplained, report.signals]).toEqual([0, 3]);
    });

    test("are told behind an indirect branch by their frame, which is nobody's access", () => {
      const { sink, report } = convert(
        (raw) => {
          const call = raw.block(CODE, [NOP, "ff 13"], 1); // call [rbx]
          const handler = raw.block(CODE + 0x100, [NOP, JMP], 1);
          raw
            .exec(1, call, 2)
            .load(1, 8, DATA)
            .store(1, 8, DATA + 64);
          for (const [size, offset] of [[2, 0x200], [2, 0x202], [8, 0x208], [8, 0x180]]) raw.store(1, size, DATA + offset); // biome-ignore format: pairs
          raw
            .load(1, 8, DATA + 0x208)
            .exec(1, handler, 2)
            .storeOfLast(8, DATA + 0x300);
          raw.exec(1, raw.block(CODE + 0x113, [NOP], 1), 1);
        },
        { alone: true },
      );
      expect(sink.blocks[0].slots.map(({ kind, size }) => [kind, size])).toEqual([
        [SlotKind.Load, 8],
        [SlotKind.Store, 8],
      ]);
      expect(sink.blocks[1].slots).toEqual([]);
      expect(sink.events(1)).toEqual([{ event: EventKind.Switch, a: 11, b: 0, c: 1 }]);
      expect(report.signals).toBe(1);
    });

    test("leave out an instruction that faulted until it is repeated", () => {
      const { sink, report } = convert(
        (raw) => {
          raw.exec(1, raw.block(CODE, [NOP, STORE, RET], 1), 2);
          raw.exec(1, raw.block(CODE + 0x100, [NOP, RET], 1), 1);
        },
        { alone: true },
      );
      expect([...sink.blocks[0].lengths]).toEqual([1]);
      expect([report.faulted, report.signals]).toEqual([1, 1]);
    });

    test("are not looked for where a kernel is recorded", () => {
      const { sink } = record(false);
      expect(sink.events(1)).toEqual([]);
    });
  });

  test("a block that was never described is an error that names it", () => {
    expect(() => convert((raw) => void raw.exec(1, 7, 1))).toThrow("block 7, which it never described");
  });
});

describe("faults and interrupts", () => {
  test("an instruction that faults is left out, and is there when it is repeated", () => {
    const { sink, report } = convert(
      (raw) => {
        const b = raw.block(CODE, [NOP, LOAD, RET], 1);
        const handler = raw.block(HANDLER, [NOP, "48 cf"], 3);
        const rest = raw.block(CODE + 1, [LOAD, RET], 1);
        raw
          .exec(1, b, 2)
          .exec(1, handler, 2)
          .map(1, DATA_VPN, 4)
          .exec(1, rest, 2)
          .load(0, 8, DATA)
          .load(1, 8, DATA);
      },
      { entries: fault },
    );
    expect(sink.executions(1).map((e) => sink.blocks[e.block].lengths.length)).toEqual([1, 2, 2]);
    expect([report.faulted, report.unexplained]).toEqual([1, 0]);
  });

  test.each([
    ["add [rax], rsi", "48 01 30"],
    ["xchg [rax], rcx", "48 87 08"],
  ])(
    "%s at a block's end that read, and whose write faults, is left out until it is repeated",
    (_, bytes) => {
      const { sink, report } = convert(
        (raw) => {
          const b = raw.block(CODE, [NOP, bytes], 1);
          const handler = raw.block(HANDLER, [NOP, "48 cf"], 3);
          const rest = raw.block(CODE + 1, [bytes, RET], 1);
          raw.map(1, DATA_VPN, 4);
          raw.exec(1, b, 2).load(1, 8, DATA);
          raw.exec(1, handler, 2);
          raw
            .exec(1, rest, 2)
            .load(0, 8, DATA)
            .store(0, 8, DATA)
            .load(1, 8, DATA + 8);
        },
        { entries: fault },
      );
      expect(sink.executions(1).map((e) => sink.blocks[e.block].lengths.length)).toEqual([1, 2, 2]);
      expect([report.faulted, report.unexplained]).toEqual([1, 0]);
    },
  );

  test("the last instruction is kept when it did its accesses: fetching the next one faulted", () => {
    const { sink, report } = convert(
      (raw) => {
        raw.map(1, DATA_VPN, 4);
        raw
          .exec(1, raw.block(CODE, [NOP, RET], 1), 2)
          .load(1, 8, DATA)
          .exec(1, raw.block(HANDLER, [NOP], 3), 1);
      },
      { entries: fault },
    );
    expect(sink.blocks[0].lengths).toHaveLength(2);
    expect(report.faulted).toBe(0);
  });

  test("an interrupt leaves the block whole and is an event with its vector", () => {
    const { sink, report } = convert(
      (raw) => {
        raw.exec(1, raw.block(CODE, [NOP, NOP], 1), 2).exec(1, raw.block(HANDLER, [NOP], 3), 1);
      },
      { entries: interrupt },
    );
    expect(sink.lines[1]).toMatchObject([
      { block: 0 },
      { event: EventKind.Interrupt, a: 0xfb },
      { block: 1 },
    ]);
    expect(report.interrupts).toBe(1);
  });

  describe("the accesses by which the processor takes an interrupt", () => {
    /** An interrupt's accesses behind those of a store. @param words pushed, `stack`: the stack's address is read */
    const taken = (words: number, stack: boolean, entries = interrupt) =>
      convert(
        (raw) => {
          raw.map(1, DATA_VPN, 4);
          raw.exec(1, raw.block(CODE, [NOP, STORE], 1), 2).store(1, 8, DATA);
          for (const at of [0x100, 0x104, 0x108, 0x210, 0x214]) raw.load(1, 4, DATA + at);
          if (stack) raw.load(1, 8, DATA + 0x304);
          for (let i = 1; i <= words; i++) raw.store(1, 8, DATA + 0x800 - 8 * i);
          raw.exec(1, raw.block(HANDLER, [NOP], 3), 1);
        },
        { entries },
      );

    test.each([
      [5, true],
      [5, false],
      [6, true],
    ])("are left out: %i words, another stack %s", (words, stack) => {
      const { sink, report } = taken(words, stack);
      expect(sink.blocks[0].slots).toEqual([{ instr: 1, kind: SlotKind.Store, size: 8, flags: 0 }]);
      expect(report.deliveries).toBe(1);
    });

    test("do not make an instruction that faulted look complete", () => {
      const { sink, report } = convert(
        (raw) => {
          raw.map(1, DATA_VPN, 4);
          raw.exec(1, raw.block(CODE, [NOP, LOAD], 1), 2);
          for (const at of [0x100, 0x104, 0x108, 0x210, 0x214]) raw.load(1, 4, DATA + at);
          for (let i = 1; i <= 6; i++) raw.store(1, 8, DATA + 0x800 - 8 * i);
          raw.exec(1, raw.block(HANDLER, [NOP], 3), 1);
        },
        { entries: fault },
      );
      expect([...sink.blocks[0].lengths]).toEqual([1]);
      expect([report.faulted, report.deliveries]).toEqual([1, 1]);
    });

    test("are not looked for where no interrupt follows, nor found in four words", () => {
      expect(taken(5, true, new Map()).report.deliveries).toBe(0);
      expect(taken(4, true).report.deliveries).toBe(0);
    });
  });
});

describe("accesses", () => {
  const one = (code: string, accesses: (raw: Parameters<Parameters<typeof convert>[0]>[0]) => void) => {
    const { sink } = convert((raw) => {
      raw.map(1, DATA_VPN, 4).map(1, DATA_VPN + 1, 9);
      raw.exec(1, raw.block(CODE, [code], 1), 1);
      accesses(raw);
    });
    const { block, addresses } = sink.executions(1)[0];
    return { slots: sink.blocks[block].slots, addresses, sink };
  };

  test("the two halves of a 16-byte access are one slot", () => {
    const { slots, addresses } = one("0f 10 03", (raw) => raw.load(0, 8, DATA).load(0, 8, DATA + 8));
    expect(slots).toEqual([{ instr: 0, kind: SlotKind.Load, size: 16, flags: 0 }]);
    expect(addresses).toHaveLength(1);
  });

  test("the four parts of a 32-byte access are one slot", () => {
    const parts = [0, 8, 16, 24];
    const { slots } = one("c5 fe 7f 03", (raw) => parts.forEach((p) => void raw.store(0, 8, DATA + p)));
    expect(slots).toEqual([{ instr: 0, kind: SlotKind.Store, size: 32, flags: 0 }]);
  });

  test("two neighbouring 8-byte accesses of an 8-byte instruction stay two slots", () => {
    const { slots } = one("ff 33", (raw) => raw.load(0, 8, DATA).store(0, 8, DATA + 8)); // push [rbx]
    expect(slots.map((s) => [s.kind, s.size])).toEqual([
      [SlotKind.Load, 8],
      [SlotKind.Store, 8],
    ]);
  });

  test("an access that straddles two pages is two slots, the second marked", () => {
    const { slots, addresses, sink } = one(LOAD, (raw) => raw.load(0, 8, DATA + 4093));
    expect(slots).toEqual([
      { instr: 0, kind: SlotKind.Load, size: 3, flags: 0 },
      { instr: 0, kind: SlotKind.Load, size: 5, flags: SlotFlag.Split },
    ]);
    expect(addresses.map((a) => [sink.pages[a >>> 12].ppn, a & 4095])).toEqual([
      [4, 4093],
      [9, 0],
    ]);
  });

  test("a locked read-modify-write is a load and a store that say so", () => {
    const { slots } = one("f0 48 ff 03", (raw) => raw.load(0, 8, DATA).store(0, 8, DATA));
    expect(slots.map((s) => [s.kind, s.flags])).toEqual([
      [SlotKind.Load, SlotFlag.Locked],
      [SlotKind.Store, SlotFlag.Locked],
    ]);
  });

  test.each([
    ["lock inc [rbx]", "f0 48 ff 03"],
    ["xchg [rbx], rax", "48 87 03"],
  ])("%s of which only the store is told has its load, too", (_, code) => {
    const { slots, addresses } = one(code, (raw) => raw.store(0, 8, DATA + 16));
    expect(slots).toEqual([
      { instr: 0, kind: SlotKind.Load, size: 8, flags: SlotFlag.Locked },
      { instr: 0, kind: SlotKind.Store, size: 8, flags: SlotFlag.Locked },
    ]);
    expect(addresses[0]).toBe(addresses[1]);
  });

  test.each([
    ["vfmadd213sd xmm2, xmm0, [rcx+24]", "c4 e2 f9 a9 51 18", 16, 8],
    ["vfmadd213ss xmm2, xmm0, [rcx+24]", "c4 e2 79 a9 51 18", 16, 4],
    ["vpsllq ymm1, ymm1, [rcx]", "c5 f5 f3 09", 32, 16],
    ["cvtdq2pd xmm1, [rbx]", "f3 0f e6 0b", 16, 8],
    ["vcvtdq2pd ymm1, [rbx]", "c5 fe e6 0b", 32, 16],
    ["punpcklwd mm1, [rbx]", "0f 61 0b", 8, 4],
    ["movsxd cx, [rbx]", "66 63 0b", 4, 2],
  ])("of what the emulator reads for %s only the operand is kept", (_, code, read, size) => {
    const from = DATA + 4096 - size;
    const { slots, addresses } = one(code, (raw) => {
      for (let i = 0; i < read; i += 8) raw.load(0, Math.min(8, read), from + i);
    });
    // Not what would be on the next page.
    expect(slots).toEqual([{ instr: 0, kind: SlotKind.Load, size, flags: 0 }]);
    expect(addresses).toEqual([at(addresses[0] >>> 12, 4096 - size)]);
  });

  test("a masked store that has nothing to store is complete", () => {
    const { sink, report } = convert(
      (raw) => {
        // vmaskmovps [rbx], ymm1, ymm2
        raw.exec(1, raw.block(CODE, [NOP, "c4 e2 75 2e 13"], 1), 2).exec(1, raw.block(HANDLER, [NOP], 3), 1);
      },
      { entries: fault },
    );
    expect([...sink.blocks[0].lengths]).toEqual([1, 5]);
    expect(report.faulted).toBe(0);
  });

  test("a vector of which only the first parts were read faulted", () => {
    const load = "c5 fe 6f 03"; // vmovdqu ymm0, [rbx]
    const { sink, report } = convert(
      (raw) => {
        raw.map(1, DATA_VPN, 4);
        raw
          .exec(1, raw.block(CODE, [NOP, load], 1), 2)
          .load(1, 8, DATA + 4080)
          .load(1, 8, DATA + 4088);
        raw.exec(1, raw.block(HANDLER, [NOP], 3), 1);
      },
      { entries: fault },
    );
    expect([...sink.blocks[0].lengths]).toEqual([1]);
    expect(report.faulted).toBe(1);
  });

  test("an exchange with memory is locked without a prefix", () => {
    const { slots } = one("48 87 03", (raw) => raw.load(0, 8, DATA).store(0, 8, DATA));
    expect(slots.map((s) => s.flags)).toEqual([SlotFlag.Locked, SlotFlag.Locked]);
  });

  test("an access to a device belongs to the last instruction that ran", () => {
    const { sink } = convert((raw) => {
      raw.map(1, APIC_VPN, 0xfee00, true);
      raw.exec(1, raw.block(CODE, [NOP, STORE, NOP], 1), 2).storeOfLast(4, APIC_VPN * 4096 + 0x80);
    });
    const { block, addresses } = sink.executions(1)[0];
    expect(sink.blocks[block].lengths).toHaveLength(2);
    expect(sink.blocks[block].slots).toEqual([{ instr: 1, kind: SlotKind.Store, size: 4, flags: 0 }]);
    expect(sink.pages[addresses[0] >>> 12].io).toBe(true);
  });
});

describe("address spaces", () => {
  test("two processes have two pages at one address, the kernel half is everybody's, threads share", () => {
    const KERNEL = 0xffff_8100_0000;
    const { sink } = convert((raw) => {
      const user = raw.block(CODE, [NOP, JMP], 1);
      const kernel = raw.block(KERNEL, [NOP, RET], 0x1000);
      for (const [mm, pid] of [
        [0x1000, 21],
        [0x2000, 22],
        [0x2000, 23],
      ]) {
        raw.exec(1, kernel, 2).switch(1, mm, pid, 20).exec(1, user, 2);
      }
    });
    const asids = sink.executions(1).map((e) => sink.pages[sink.blocks[e.block].page].asid);
    expect(asids).toEqual([0, 1, 0, 2, 0, 2]);
  });

  test("a kernel thread goes on in the address space that it finds and is itself in none", () => {
    const { sink } = convert((raw) => {
      const user = raw.block(CODE, [NOP, JMP], 1);
      raw.exec(1, user, 2).switch(1, 0, 30, 30).exec(1, user, 2);
    });
    expect(sink.events(1)).toEqual([{ event: EventKind.Switch, a: 30, b: 0, c: 0 }]);
    expect(sink.blocks).toHaveLength(1);
  });

  test("a page whose mapping changes is another page", () => {
    const { sink } = convert((raw) => {
      const b = raw.block(CODE, [LOAD], 1);
      raw
        .map(1, DATA_VPN, 4)
        .exec(1, b, 1)
        .load(0, 8, DATA)
        .map(1, DATA_VPN, 5)
        .exec(1, b, 1)
        .load(0, 8, DATA);
    });
    expect(sink.executions(1).map((e) => sink.pages[e.addresses[0] >>> 12].ppn)).toEqual([4, 5]);
  });

  test("a switch says which container the task belongs to", () => {
    const { sink } = convert(
      (raw) => {
        raw.exec(1, raw.block(CODE, [NOP], 1), 1).switch(1, 0x3000, 41, 40);
      },
      { containerOf: (tgid) => (tgid === 40 ? 2 : 0) },
    );
    expect(sink.events(1)).toEqual([{ event: EventKind.Switch, a: 41, b: 2, c: 2 }]);
  });
});

describe("work and idleness", () => {
  test("a marker on the client's core stands in both streams, after the blocks under execution", () => {
    const { sink, report } = convert((raw) => {
      const b = raw.block(CODE, [NOP, JMP], 1);
      raw
        .exec(1, b, 2)
        .exec(0, b, 2)
        .mark(0, "Begin")
        .exec(0, raw.block(CODE + 0x13, [NOP], 1), 1)
        .mark(0, "End");
    });
    expect(sink.lines[1].map((l) => ("event" in l ? l.event : "block"))).toEqual([
      "block",
      EventKind.WorkBegin,
      EventKind.WorkEnd,
    ]);
    expect(sink.lines[0].map((l) => ("event" in l ? l.event : "block"))).toEqual([
      "block",
      EventKind.WorkBegin,
      "block",
      EventKind.WorkEnd,
    ]);
    expect(report.invocations).toBe(1);
  });

  test("a halted core names the core that woke it, how far that was, and how long it slept", () => {
    const { sink } = convert(
      (raw) => {
        const idle = raw.block(CODE, [HLT], 1);
        const work = raw.block(CODE + 64, [NOP, JMP], 1);
        const more = raw.block(CODE + 64 + 0x13, [NOP, STORE], 1);
        raw.exec(1, idle, 1).exec(0, work, 2).map(0, APIC_VPN, 0xfee00, true);
        raw.exec(0, more, 2).store(1, 4, APIC_VPN * 4096 + 0x300);
        raw.exec(1, raw.block(HANDLER, [NOP], 3), 1);
      },
      { entries: interrupt },
    );
    expect(sink.lines[1]).toMatchObject([
      { addresses: [] },
      { event: EventKind.IdleBegin },
      { event: EventKind.IdleEnd, a: 0, b: 2, c: 8 },
      { event: EventKind.Interrupt },
      { addresses: [] },
    ]);
  });

  test("a core that its timer woke was not woken by another core, which interrupted a third", () => {
    const { sink } = convert(
      (raw) => {
        const work = raw.block(CODE + 64, [NOP, STORE], 1);
        raw.exec(1, raw.block(CODE, [HLT], 1), 1).map(0, APIC_VPN, 0xfee00, true);
        raw.exec(0, work, 2).store(1, 4, APIC_VPN * 4096 + 0x300);
        raw.exec(1, raw.block(HANDLER, [NOP], 3), 1);
      },
      { entries: timer },
    );
    expect(sink.events(1)).toContainEqual({ event: EventKind.IdleEnd, a: -1, b: 0, c: 4 });
  });

  test("a core that no other core woke was woken by a device", () => {
    const { sink } = convert(
      (raw) => {
        raw.exec(1, raw.block(CODE, [HLT], 1), 1).exec(1, raw.block(HANDLER, [NOP], 3), 1);
      },
      { entries: interrupt },
    );
    expect(sink.events(1)).toContainEqual({ event: EventKind.IdleEnd, a: -1, b: 0, c: 0 });
  });
});
