import { existsSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import {
  type BlockDef,
  createTraceWriter,
  EventKind,
  type PageDef,
  SlotFlag,
  SlotKind,
  type TraceSink,
} from "../../src/loader/index.js";
import { temporaryPath, testHeader } from "../support/trace-builder.js";

const PAGE: PageDef = { asid: 1, vpn: 0x401, ppn: 0x100, io: false };
const LOAD = { instr: 0, kind: SlotKind.Load, size: 8, flags: 0 };

function blockDef(changes: Partial<BlockDef> = {}): BlockDef {
  return {
    page: 0,
    offset: 0,
    page2: -1,
    lengths: Uint8Array.of(3),
    bytes: Uint8Array.of(1, 2, 3),
    slots: [],
    ...changes,
  };
}

function withSink(work: (sink: TraceSink) => void, header = testHeader({ cores: 2 })): void {
  const sink = createTraceWriter(temporaryPath("bad.trace"), header);
  try {
    work(sink);
    sink.close();
  } finally {
    sink.abort();
  }
}

function refuses(message: RegExp, work: (sink: TraceSink) => void, header = testHeader({ cores: 2 })): void {
  const run = () => withSink(work, header);
  expect(run).toThrow(InputError);
  expect(run).toThrow(message);
}

function exec(sink: TraceSink, slots: BlockDef["slots"], ...addresses: number[]): void {
  sink.page(PAGE);
  sink.exec(0, sink.block(blockDef({ slots })), Int32Array.from(addresses), addresses.length);
}

test("a page that cannot be", () => {
  refuses(/vpn must be/, (sink) => void sink.page({ ...PAGE, vpn: 2 ** 36 }));
  refuses(/ppn must be/, (sink) => void sink.page({ ...PAGE, ppn: -1 }));
  refuses(/asid 0 is the kernel half/, (sink) => void sink.page({ ...PAGE, asid: 0 }));
  refuses(/asid 0 is the kernel half/, (sink) => void sink.page({ ...PAGE, vpn: 2 ** 35 }));
});

test("a block that cannot be", () => {
  const bad = (message: RegExp, changes: Partial<BlockDef>) =>
    refuses(message, (sink) => {
      sink.page(PAGE);
      sink.block(blockDef(changes));
    });
  bad(/page 1 is not defined/, { page: 1 });
  bad(/offset must be/, { offset: 4096 });
  bad(/at least one instruction/, { lengths: new Uint8Array(0), bytes: new Uint8Array(0) });
  bad(/an instruction of 16 bytes/, { lengths: Uint8Array.of(16) });
  bad(/3 bytes for instructions of 4/, { lengths: Uint8Array.of(4) });
  bad(/page2 is -1/, { offset: 4094 });
  bad(/but page2 is 0/, { page2: 0 });
  bad(/slot 0: instruction 1 of a block of 1/, { slots: [{ ...LOAD, instr: 1 }] });
  bad(/slot 0: size 256/, { slots: [{ ...LOAD, size: 256 }] });
  bad(/slot 0: a Split slot follows/, { slots: [{ ...LOAD, flags: SlotFlag.Split }] });
  bad(/a Rep element of 3 bytes/, { slots: [{ ...LOAD, kind: SlotKind.RepStore, size: 3 }] });
});

test("an execution that does not fit its block", () => {
  const rep = { ...LOAD, kind: SlotKind.RepMove };
  refuses(/block 0 is not defined/, (sink) => sink.exec(0, 0, new Int32Array(0), 0));
  refuses(/core 2, the header has 2/, (sink) => sink.exec(2, 0, new Int32Array(0), 0));
  refuses(/block 0 has 1 slots, 2 addresses/, (sink) => exec(sink, [LOAD], 0, 0));
  refuses(/page 1 of address 4096 is not defined/, (sink) => exec(sink, [LOAD], 4096));
  refuses(/straddle two pages/, (sink) => exec(sink, [LOAD], 4089));
  refuses(/a Split slot starts its page/, (sink) =>
    exec(sink, [LOAD, { ...LOAD, flags: SlotFlag.Split }], 8, 0),
  );
  refuses(/end within its 1 slots/, (sink) => exec(sink, [rep], 1, 5, 0));
  refuses(/take 1 addresses, got 2/, (sink) => exec(sink, [rep], 0, 0));
  refuses(/at least one iteration/, (sink) => exec(sink, [rep], 1, 0, 0, 0));
  refuses(/513 iterations of 8 bytes/, (sink) => exec(sink, [rep], 1, 513, 0, 0));
  refuses(/-3 iterations of 8 bytes from page offset 8/, (sink) => exec(sink, [rep], 1, -3, 64, 8));
});

test("events out of order", () => {
  const header = testHeader({ cores: 2, measuredInvocations: 2 });
  const bad = (message: RegExp, work: (sink: TraceSink) => void) => refuses(message, work, header);
  bad(/invocation 1 begins where 0/, (sink) => sink.event(0, EventKind.WorkBegin, 1, 0, 0));
  bad(/invocation 0 ends while none/, (sink) => sink.event(0, EventKind.WorkEnd, 0, 0, 0));
  bad(/core 0 has 0 invocations, the header says 2/, () => {});
  bad(/invocation 0 has no WorkEnd/, (sink) => sink.event(0, EventKind.WorkBegin, 0, 0, 0));
  bad(/kind 9 is unknown/, (sink) => sink.event(0, 9 as EventKind, 0, 0, 0));
  bad(/operands/, (sink) => sink.event(0, EventKind.Switch, 0.5, 0, 0));
  bad(/idle already/, (sink) => {
    sink.event(0, EventKind.IdleBegin, 0, 0, 0);
    sink.event(0, EventKind.IdleBegin, 0, 0, 0);
  });
  refuses(/between IdleBegin and IdleEnd/, (sink) => {
    sink.event(0, EventKind.IdleBegin, 0, 0, 0);
    exec(sink, []);
  });
  refuses(/core 1 had done 5 block executions/, (sink) => sink.event(0, EventKind.IdleEnd, 1, 5, 0));
});

test("a header that is not right names the key", () => {
  refuses(/functionCore: is not one of the cores/, () => {}, testHeader({ functionCore: 3 }));
  refuses(/clockGHz/, () => {}, testHeader({ clockGHz: 0 }));
  refuses(/provenance.date/, () => {}, testHeader({ provenance: { command: "x", versions: {} } as never }));
});

test("abort and an error on close leave no file; close leaves only the trace", () => {
  const path = temporaryPath("dir/x.trace");
  const sink = createTraceWriter(path, testHeader());
  expect(readdirSync(dirname(path))).toHaveLength(1);
  sink.abort();
  expect(readdirSync(dirname(path))).toHaveLength(0);
  const unfinished = createTraceWriter(path, testHeader({ measuredInvocations: 1 }));
  expect(() => unfinished.close()).toThrow(InputError);
  expect(readdirSync(dirname(path))).toHaveLength(0);
  const whole = createTraceWriter(path, testHeader());
  expect(existsSync(path)).toBe(false);
  whole.close();
  whole.abort();
  expect(readdirSync(dirname(path))).toEqual([path.slice(dirname(path).length + 1)]);
  expect(() => whole.position(0)).toThrow(/closed/);
});

test("the same page or block is the same id", () => {
  withSink((sink) => {
    expect([sink.page(PAGE), sink.page({ ...PAGE, ppn: 5 }), sink.page({ ...PAGE })]).toEqual([0, 1, 0]);
    expect([sink.block(blockDef()), sink.block(blockDef({ offset: 1 })), sink.block(blockDef())]).toEqual([
      0, 1, 0,
    ]);
  });
});
