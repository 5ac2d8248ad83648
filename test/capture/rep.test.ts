import { describe, expect, test } from "vitest";
import { EntryKind } from "../../src/capture/kernel-entries.js";
import { SlotKind } from "../../src/loader/contract.js";
import { convert } from "./raw-builder.js";

describe("the emulator's executions of a repeated string instruction", () => {
  const CODE = 0x40_0000;
  const HANDLER = 0xffff_81c0_0be0;
  const VPN = 0x500;
  const DATA = VPN * 4096;
  const MOVSB = "f3 a4";

  test("become one execution, whose last check of the count adds nothing", () => {
    const { sink, report } = convert((raw) => {
      raw.map(1, VPN, 4);
      const first = raw.block(CODE, ["90", MOVSB], 1);
      const again = raw.block(CODE + 1, [MOVSB], 1);
      const after = raw.block(CODE + 3, ["90"], 1);
      raw
        .exec(1, first, 2)
        .load(1, 1, DATA)
        .store(1, 1, DATA + 64);
      raw
        .exec(1, again, 1)
        .load(0, 1, DATA + 1)
        .store(0, 1, DATA + 65);
      raw.exec(1, again, 1).exec(1, after, 1);
    });
    const [{ block, addresses }] = sink.executions(1);
    expect(sink.blocks[block].slots).toEqual([{ instr: 1, kind: SlotKind.RepMove, size: 1, flags: 0 }]);
    const page = addresses[2] & ~4095;
    expect(addresses).toEqual([1, 2, page, page + 64]);
    expect([report.instructions[1], report.repeats, report.iterations, report.unexplained]).toEqual([
      3, 1, 2, 0,
    ]);
  });

  test("with a count of zero have no segment", () => {
    const { sink } = convert((raw) => {
      raw.exec(1, raw.block(CODE, [MOVSB], 1), 1).exec(1, raw.block(CODE + 2, ["90"], 1), 1);
    });
    expect(sink.executions(1)[0].addresses).toEqual([0]);
  });

  test("are two executions where an interrupt came between iterations", () => {
    const entries = new Map([[HANDLER, { kind: EntryKind.Interrupt, vector: 0xfd }]]);
    const { sink } = convert(
      (raw) => {
        raw.map(1, VPN, 4);
        const rep = raw.block(CODE, ["f3 48 ab"], 1);
        raw.exec(1, rep, 1).store(0, 8, DATA);
        raw.exec(1, raw.block(HANDLER, ["48 cf"], 3), 1);
        raw
          .exec(1, rep, 1)
          .store(0, 8, DATA + 8)
          .exec(1, rep, 1)
          .store(0, 8, DATA + 16);
      },
      { entries },
    );
    const page = sink.executions(1)[0].addresses[2] & ~4095;
    expect(sink.executions(1).map((e) => e.addresses)).toEqual([[1, 1, page], [], [1, 2, page + 8]]);
  });

  test("leave the instruction out where its first access faults", () => {
    const entries = new Map([[HANDLER, { kind: EntryKind.Fault, vector: -1 }]]);
    const { sink, report } = convert(
      (raw) => {
        raw.exec(1, raw.block(CODE, ["90", MOVSB], 1), 2).exec(1, raw.block(HANDLER, ["90"], 3), 1);
      },
      { entries },
    );
    expect(sink.blocks[0].lengths).toHaveLength(1);
    expect(report.faulted).toBe(1);
  });

  test("keep the iterations before a fault in the middle", () => {
    const entries = new Map([[HANDLER, { kind: EntryKind.Fault, vector: -1 }]]);
    const { sink } = convert(
      (raw) => {
        raw.map(1, VPN, 4);
        const rep = raw.block(CODE, ["f3 48 ab"], 1);
        raw
          .exec(1, rep, 1)
          .store(0, 8, DATA)
          .exec(1, rep, 1)
          .exec(1, raw.block(HANDLER, ["90"], 3), 1);
      },
      { entries },
    );
    expect(sink.executions(1)[0].addresses.slice(0, 2)).toEqual([1, 1]);
    expect(sink.executions(1)).toHaveLength(2);
  });
});
