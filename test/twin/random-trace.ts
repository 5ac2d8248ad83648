import type { OpenTrace } from "../../src/loader/index.js";
import type { Random } from "../support/random.js";
import { type AddressSpec, type SlotSpec, TraceBuilder } from "../support/trace-builder.js";

/** What a random trace has in it. */
export interface TraceKind {
  cores: number;
  /** Block executions of all cores. */
  executions: number;
  /** The cores write the same lines at the same time. */
  racing?: boolean;
}

type SlotShape = [kind: SlotSpec[1], bytes: number];
interface Made {
  bytes: string;
  slots: SlotShape[];
}

const hex = (n: number): string => n.toString(16).padStart(2, "0");
const SPLIT = 1;
const LOCKED = 2;
const PAGE = 4096;
const KERNEL = 0x800000000000;
/** Pages of code of each half; their lines are no data. */
const USER_CODE = 0x400000;
const KERNEL_CODE = KERNEL + 0x1000000;
const DEVICE = KERNEL + 0x5000000;
const KERNEL_DATA = KERNEL + 0x2000000;
const SHARED = KERNEL + 0x3000000;
const OWNED = KERNEL + 0x4000000;

function instruction(random: Random): Made {
  const [a, b] = [random.int(4), random.int(4)];
  const modrm = (mod: number, reg = a, rm = b): string => hex((mod << 6) | (reg << 3) | rm);
  const made = (bytes: string, ...slots: SlotShape[]): Made => ({ bytes, slots });
  const size = random.pick([1, 2, 4, 8, 8, 8]);
  const rep = random.pick([
    made("f3 48 a5", ["repMove", 8]),
    made("f3 a4", ["repMove", 1]),
    made("f3 48 ab", ["repStore", 8]),
    made("f3 ab", ["repStore", 4]),
    made("f3 ac", ["repLoad", 1]),
    made("f2 ae", ["repLoad", 1]),
    made("f3 a6", ["repCompare", 1]),
  ]);
  const serial = random.pick([
    made("0f a2"),
    made("0f ae f0"),
    made("0f ae e8"),
    made("0f 31"),
    made(`f0 0f c1 ${modrm(0)}`, ["load", 4], ["store", 4]),
    made(`48 87 ${modrm(0)}`, ["load", 8], ["store", 8]),
  ]);
  const vector = random.pick([
    made(`f2 0f 58 ${modrm(3)}`),
    made(`66 0f ef ${modrm(3)}`),
    made(`0f 28 ${modrm(0)}`, ["load", 16]),
    made(`0f 11 ${modrm(0)}`, ["store", 16]),
    made(`c5 fe 6f ${modrm(0)}`, ["load", 32]),
    made(`c5 fe 7f ${modrm(0)}`, ["store", 32]),
    made(`f2 0f 5e ${modrm(3)}`),
  ]);
  const slow = random.pick([
    made(`0f af ${modrm(3)}`),
    made(`48 0f af ${modrm(0)}`, ["load", 8]),
    made(`f7 ${modrm(3, 6)}`),
    made(`48 f7 ${modrm(3, 7)}`),
    made(`0f 45 ${modrm(3)}`),
    made(`c5 f8 92 ${modrm(3, a, b)}`),
  ]);
  const odd = random.pick([
    made("90"),
    made("fb"),
    made("66 66 2e 0f 1f 84 00 00 00 00 00"),
    made("48 b8 01 02 03 04 05 06 07 08"),
    made("d9 e8"),
    made(`d9 ${modrm(0, 0)}`, ["load", 4]),
    made("c9", ["load", 8]),
    made(`ff ${modrm(0, 6)}`, ["load", 8], ["store", 8]),
    made("48 a5", ["load", 8], ["store", 8]),
  ]);
  return random.pick([
    made(`8b ${modrm(0)}`, ["load", 4]),
    made(`48 8b ${modrm(1)} 10`, ["load", size]),
    made(`89 ${modrm(0)}`, ["store", 4]),
    made(`48 89 ${modrm(2)} 00 10 00 00`, ["store", size]),
    made(`01 ${modrm(0)}`, ["load", 4], ["store", 4]),
    made(`48 03 ${modrm(2)} 00 10 00 00`, ["load", 8]),
    made(hex(0x50 + a), ["store", 8]),
    made(hex(0x58 + a), ["load", 8]),
    made(`0f b6 ${modrm(0)}`, ["load", 1]),
    made(`01 ${modrm(3)}`),
    made(`48 8d ${modrm(1)} 08`),
    made(`39 ${modrm(3)}`),
    made(`c1 ${modrm(3, 4)} 05`),
    vector,
    slow,
    odd,
    random.chance(0.35) ? rep : random.chance(0.35) ? serial : made(`29 ${modrm(3)}`),
  ]);
}

const ENDS = ["none", "none", "jcc", "jcc", "jmp", "call", "ret", "jmp*", "call*", "system"] as const;
type End = (typeof ENDS)[number];
const ENDING: Record<End, Made> = {
  none: { bytes: "", slots: [] },
  jcc: { bytes: "0f 85", slots: [] },
  jmp: { bytes: "e9", slots: [] },
  call: { bytes: "e8", slots: [["store", 8]] },
  ret: { bytes: "c3", slots: [["load", 8]] },
  "jmp*": { bytes: "ff e0", slots: [] },
  "call*": {
    bytes: "ff 10",
    slots: [
      ["load", 8],
      ["store", 8],
    ],
  },
  system: { bytes: "0f 05", slots: [] },
};
const DIRECT: readonly End[] = ["jcc", "jmp", "call"];

/** A block as it was put into the trace. */
interface Chunk {
  id: number;
  slots: SlotSpec[];
  end: End;
  target: number;
  asid: number;
}

/** A chain of blocks, each at the end of the one before: falling through is to the next, jumps are to any. */
function chain(t: TraceBuilder, random: Random, base: number, count: number): Chunk[] {
  let address = base + random.int(3 * PAGE);
  const shapes = Array.from({ length: count }, () => {
    const body = Array.from({ length: 1 + random.int(9) }, () => instruction(random));
    const end = random.pick(ENDS);
    if (end !== "none") body.push(ENDING[end]);
    const start = address;
    const bytes = body.map((made) => made.bytes.split(" ").length);
    address += bytes.reduce((x, y) => x + y, 0) + (DIRECT.includes(end) ? 4 : 0);
    const next = address;
    if (random.chance(0.1)) address += random.int(500);
    return { body, end, start, next, target: random.int(count) };
  });
  return shapes.map(({ body, end, start, next, target }) => {
    const bytes = body.map((made) => made.bytes);
    if (DIRECT.includes(end)) {
      const distance = Buffer.alloc(4);
      distance.writeInt32LE(shapes[target].start - next);
      bytes.push(`${bytes.pop()} ${[...distance].map(hex).join(" ")}`);
    }
    const slots: SlotSpec[] = body.flatMap(({ slots, bytes: text }, i) =>
      slots.flatMap(([kind, size]): SlotSpec[] => {
        const flags = text.startsWith("f0") ? LOCKED : 0;
        const plain = kind === "load" || kind === "store";
        if (!plain || size < 2 || !random.chance(0.06)) return [[i, kind, size, flags]];
        const before = 1 + random.int(size - 1);
        return [
          [i, kind, before, flags],
          [i, kind, size - before, flags | SPLIT],
        ];
      }),
    );
    return { id: t.block(start, bytes, slots), slots, end, target, asid: t.asid };
  });
}

/** What one core does. */
interface Runner {
  core: number;
  chains: Chunk[][];
  chain: number;
  at: number;
  idle: boolean;
}

/**
 * A random trace: user code of several address spaces and code of the kernel, that fall through, jump, call and
 * return; accesses of all shapes to pages of a core's own, to pages that all read, to pages that one core at a time
 * writes (from one work event to the next), to devices; interrupts, idle times ended by timers and by the other
 * core, work events.
 */
export function randomTrace(random: Random, kind: TraceKind): OpenTrace {
  const t = new TraceBuilder({ cores: kind.cores, memoryMiB: 64 });
  return new Maker(t, random, kind).make();
}

class Maker {
  private readonly runners: Runner[];
  private readonly positions: number[];
  private readonly pages: number;
  private readonly devices: boolean;
  private readonly eventful: number;
  /** Chance of a work event, after some block executions. */
  private readonly often: number;
  private phase = 0;

  constructor(
    private readonly t: TraceBuilder,
    private readonly random: Random,
    private readonly kind: TraceKind,
  ) {
    const { cores } = kind;
    this.devices = random.chance(0.4);
    this.pages = random.pick([2, 6, 24]);
    this.eventful = random.pick([0, 0.3, 1, 1]);
    this.often = random.pick([0.02, 0.1, 0.3]);
    if (this.devices) t.map(DEVICE, 0x7fee0, true);
    // 2 MB of the kernel in one piece of memory, or page by page.
    [KERNEL_CODE, KERNEL_DATA, SHARED, OWNED].forEach((base, i) => {
      if (random.chance(0.4)) return;
      for (let n = 0; n < 3 * 64 + 24; n++) t.map(base + n * PAGE, 0x1000 + i * 512 + n);
    });
    const kernel = chain(t, random, KERNEL_CODE, 4 + random.int(20));
    const spaces = Array.from({ length: 2 }, (_, i) => {
      t.asid = 1 + i;
      // A page of one's own code, and one that another address space has as well.
      t.map(USER_CODE, 0x4000 + (random.chance(0.5) ? 0 : i));
      return chain(t, random, USER_CODE, 4 + random.int(30));
    });
    this.runners = Array.from({ length: cores }, (_, core) => ({
      core,
      chains: [kernel, random.pick(spaces), random.pick(spaces)],
      chain: 0,
      at: 0,
      idle: false,
    }));
    this.positions = this.runners.map(() => 0);
  }

  make(): OpenTrace {
    const { random, kind } = this;
    // The function's container, on its core.
    if (random.chance(0.7)) this.t.event(kind.cores - 1, "Switch", 7, 1, 1);
    for (let n = 0; n < kind.executions; n++) {
      const runner = random.pick(this.runners);
      for (let run = random.int(12); run >= 0 && n < kind.executions; run--, n++) this.step(runner);
      if (random.chance(this.often * this.eventful)) this.workEvent();
    }
    if (this.phase % 2 === 1) this.workEvent();
    return this.t.open();
  }

  private workEvent(): void {
    if (this.phase % 2 === 0) this.t.begin(this.phase >> 1);
    else this.t.end(this.phase >> 1);
    this.phase++;
  }

  private step(runner: Runner): void {
    const { random, t, eventful } = this;
    const { core } = runner;
    const chunks = runner.chains[runner.chain];
    const chunk = chunks[runner.at % chunks.length];
    this.t.asid = chunk.asid;
    t.exec(core, chunk.id, ...chunk.slots.map((slot, i) => this.operand(core, slot, chunk.slots[i + 1])));
    this.positions[core]++;
    runner.at = this.next(runner, chunk, chunks.length);
    if (random.chance(0.03)) {
      runner.chain = random.int(runner.chains.length);
      runner.at = random.int(50);
      if (random.chance(0.5 * eventful)) t.event(core, "Interrupt", 32);
    }
    if (random.chance(0.02 * eventful)) t.event(core, "Switch", 1 + core, random.int(3), 1 + random.int(2));
    if (random.chance(0.02 * eventful)) this.idle(core);
    if (random.chance(0.005 * eventful)) t.event(core, "Phase", random.int(4));
  }

  private next({ at }: Runner, chunk: Chunk, count: number): number {
    const { random } = this;
    const place = at % count;
    if (chunk.end === "none") return place + 1;
    if (chunk.end === "jcc") return random.chance(0.6) ? chunk.target : place + 1;
    if (DIRECT.includes(chunk.end)) return chunk.target;
    // Mostly the same target, so that there is something to learn.
    return random.chance(0.6) ? chunk.target : random.int(count);
  }

  private idle(core: number): void {
    const { random, t, kind, positions } = this;
    t.event(core, "IdleBegin");
    const other = random.int(kind.cores);
    if (other === core || random.chance(0.3)) t.event(core, "IdleEnd", -1, 0, random.int(3000));
    else t.event(core, "IdleEnd", other, positions[other], random.int(3000));
  }

  /** What a slot takes. */
  private operand(
    core: number,
    [, kind, size, flags = 0]: SlotSpec,
    next: SlotSpec | undefined,
  ): AddressSpec {
    const { random } = this;
    const two = kind === "repMove" || kind === "repCompare";
    if (kind === "load" || kind === "store") {
      const page = this.page(core, kind === "store");
      // The second half of an access that straddles pages begins its page; the first ends its own.
      if (flags & SPLIT) return page;
      if (next !== undefined && ((next[3] ?? 0) & SPLIT) !== 0) return page + PAGE - size;
      return page + this.offset(size);
    }
    return Array.from({ length: random.int(4) }, () => {
      const count = 1 + random.int(random.chance(0.2) ? 200 : 12);
      const down = random.chance(0.3);
      const place = (write: boolean) =>
        this.page(core, write) + random.int(PAGE - count * size) + (down ? (count - 1) * size : 0);
      const first = place(kind === "repStore");
      const signed = down ? -count : count;
      return two ? [signed, first, place(kind === "repMove")] : [signed, first];
    });
  }

  private offset(size: number): number {
    const { random } = this;
    if (random.chance(0.1)) return random.int(63) * 64 + 64 - Math.max(1, size >> 1);
    return random.chance(0.7) ? random.int(32) * 8 : random.int(PAGE - size);
  }

  private page(core: number, write: boolean): number {
    const { random, kind, pages } = this;
    if (this.devices && random.chance(0.02)) return DEVICE;
    if (kind.racing && random.chance(0.3)) return SHARED;
    const dice = random.int(10);
    if (dice === 0 && !write) return SHARED + PAGE * (1 + random.int(4));
    // Whose turn it is to use these lines changes with each work event.
    if (dice < 4 && kind.cores > 1) return OWNED + PAGE * ((core + this.phase) % kind.cores);
    return KERNEL_DATA + PAGE * (core * 64 + random.int(pages));
  }
}
