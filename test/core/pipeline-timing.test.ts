import { describe, expect, it } from "vitest";
import { build, counter, Program, runAll, testMachine } from "./support.js";

/** `mov eax, 1` and the like: one IntAlu micro-op without sources, 5 bytes. */
const mov = (register: number): string => `${(0xb8 + register).toString(16)} 01 00 00 00`;
const ADD_EAX_ECX = "01 c8";
const none = testMachine({ branchPredictor: { name: "none" } });

describe("the pipeline", () => {
  it("commits a first micro-op 9 cycles after fetch starts: walk 0, L1I 1, stages 1+1+1, IntAlu 3, and the cycle of the request", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [mov(0)]));
    const built = build(p, none);
    expect(runAll(built)).toBe(7);
  });

  it("commits two independent micro-ops in one cycle", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [mov(0), mov(1)]));
    expect(runAll(build(p, none))).toBe(7);
  });

  it("commits a third one a cycle later", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [mov(0), mov(1), mov(2)]));
    expect(runAll(build(p, none))).toBe(8);
  });

  it("issues dependent single-cycle operations one a cycle", () => {
    const p = new Program();
    p.exec(p.block(0x1000, [ADD_EAX_ECX, ADD_EAX_ECX, ADD_EAX_ECX, ADD_EAX_ECX]));
    expect(runAll(build(p, none))).toBe(10);
  });

  it("accounts every slot of every cycle", () => {
    const p = new Program();
    const block = p.block(0x1000, [mov(0), ADD_EAX_ECX, ADD_EAX_ECX]);
    p.exec(block);
    const built = build(p, none);
    runAll(built);
    expect(built.core.checkIdentities()).toEqual([]);
    expect(counter(built, "slots.base")).toBe(3);
  });
});
