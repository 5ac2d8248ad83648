import { EventKind } from "../../src/loader/contract.js";
import { Program } from "./support.js";

/** Small fast seeded generator (mulberry32). @returns integers below n */
export function seeded(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}

const hex = (n: number): string => n.toString(16).padStart(2, "0");
const modrm = (mod: number, reg: number, rm: number): string => hex((mod << 6) | (reg << 3) | rm);
/** A register that is neither rsp nor rbp nor one of the string registers. */
const reg = (random: (n: number) => number): number => [0, 1, 2, 3][random(4)];

type Made = { bytes: string; slots: [string, number, number?][] };

function instruction(random: (n: number) => number): Made {
  const [a, b] = [reg(random), reg(random)];
  switch (random(16)) {
    case 0:
    case 1:
      return { bytes: `8b ${modrm(0, a, b)}`, slots: [["load", 4]] };
    case 2:
      return { bytes: `89 ${modrm(0, a, b)}`, slots: [["store", 4]] };
    case 3:
      return {
        bytes: `01 ${modrm(0, a, b)}`,
        slots: [
          ["load", 4],
          ["store", 4],
        ],
      };
    case 4:
      return { bytes: `0f af ${modrm(3, a, b)}`, slots: [] };
    case 5:
      return random(4) ? { bytes: "90", slots: [] } : { bytes: `f7 ${modrm(3, 6, b)}`, slots: [] };
    case 6:
      return { bytes: `f2 0f 58 ${modrm(3, a, b)}`, slots: [] };
    case 7:
      return { bytes: `48 03 ${modrm(2, a, b)} 00 10 00 00`, slots: [["load", 8]] };
    case 8:
      return { bytes: hex(0x50 + a), slots: [["store", 8]] };
    case 9:
      return { bytes: hex(0x58 + a), slots: [["load", 8]] };
    case 10:
      return random(8) ? { bytes: `b8 01 00 00 00`, slots: [] } : { bytes: "0f a2", slots: [] };
    case 11:
      return random(6)
        ? { bytes: `0f b6 ${modrm(0, a, b)}`, slots: [["load", 1]] }
        : { bytes: "f3 48 a5", slots: [["repMove", 8]] };
    default:
      return { bytes: `01 ${modrm(3, a, b)}`, slots: [] };
  }
}

/** A random program: blocks that fall through, jump, call and return at random; pages, splits, events. */
export function randomProgram(seed: number, executions: number): { program: Program; lines: number[] } {
  const random = seeded(seed);
  const p = new Program();
  const io = random(4) === 0;
  if (io) p.io.add(40);
  // A chain of blocks, each at the end of the one before: falling through is to the next, jumps are to any.
  const blocks: { id: number; end: string; slots: number; target: number }[] = [];
  const count = 4 + random(12);
  let address = 0x1000 + random(0x1000);
  const shapes = Array.from({ length: count }, () => {
    const body = Array.from({ length: 1 + random(9) }, () => instruction(random));
    return { body, end: ["none", "jcc", "jmp", "ret"][random(4)], target: random(count) };
  });
  const starts: number[] = [];
  for (const { body, end } of shapes) {
    starts.push(address);
    for (const i of body) address += i.bytes.split(" ").length;
    address += end === "jcc" ? 6 : end === "jmp" ? 5 : end === "ret" ? 1 : 0;
  }
  shapes.forEach(({ body, end, target }, i) => {
    const bytes = body.map((b) => b.bytes);
    const slots: [number, "load", number][] = body.flatMap((b, at) =>
      b.slots.map(([kind, size]) => [at, kind, size] as [number, "load", number]),
    );
    const after = i + 1 < count ? starts[i + 1] : address;
    const distance = Buffer.alloc(4);
    distance.writeInt32LE(starts[target] - after);
    const rel = [...distance].map(hex).join(" ");
    if (end === "jcc") bytes.push(`0f 85 ${rel}`);
    if (end === "jmp") bytes.push(`e9 ${rel}`);
    if (end === "ret") {
      bytes.push("c3");
      slots.push([body.length, "load", 8]);
    }
    blocks.push({ id: p.block(starts[i], bytes, slots), end, slots: slots.length, target });
  });
  const page = (): number => (io && random(60) === 0 ? 40 : 8 + random(24));
  let at = random(count);
  for (let n = 0; n < executions; n++) {
    const kinds = shapes[at].body.flatMap((b) => b.slots);
    const operands: number[] = [];
    for (const [kind] of kinds) {
      if (kind !== "repMove") operands.push((page() << 12) | random(4088));
      else {
        const segments = random(3);
        operands.push(segments);
        for (let s = 0; s < segments; s++)
          operands.push(
            (random(2) ? 1 : -1) * (1 + random(40)),
            ((8 + random(24)) << 12) | random(3000),
            ((8 + random(24)) << 12) | random(3000),
          );
      }
    }
    if (blocks[at].end === "ret") operands.push((page() << 12) | (random(500) * 8));
    p.exec(blocks[at].id, ...operands);
    const end = blocks[at].end;
    let next: number;
    if (random(30) === 0) {
      next = random(count);
      if (random(2)) p.event(EventKind.Interrupt, 3);
    } else if (end === "none") next = at + 1;
    else if (end === "jmp") next = blocks[at].target;
    else if (end === "jcc") next = random(2) ? blocks[at].target : at + 1;
    else next = random(count);
    at = next >= count ? 0 : next;
    if (random(40) === 0) p.event(EventKind.Switch, 1, random(3), 1);
    if (random(60) === 0) p.event(random(2) ? EventKind.WorkBegin : EventKind.WorkEnd, 0);
  }
  const lines: number[] = [];
  for (let l = 0; l < 64 * 64; l++) if (random(3) === 0) lines.push(l);
  return { program: p, lines };
}
