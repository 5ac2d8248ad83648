import type { DramParameters } from "../../src/memory/dram/devices.js";

/** A request to the twin; what came of it is written into it. */
export interface Request {
  time: number;
  line: number;
  write: boolean;
  /** When the data of a read is there, ps. */
  ready?: number;
  /** When it was decided to serve it. */
  decided?: number;
  fromQueue?: boolean;
}

interface Bank {
  id: number;
  group: number;
  row: number | undefined;
  read: number;
  write: number;
  pre: number;
  act: number;
  uses: number;
}

interface Rank {
  id: number;
  banks: Bank[];
  activates: number[];
  state: "idle" | "drain" | "close" | "refresh";
  due: number;
  /** Ends of all commands so far. */
  ends: number[];
}

interface Packet extends Request {
  rank: Rank;
  bank: Bank;
  row: number;
}

type Event = { at: number; urgency: number; order: number; run: () => void };

/**
 * A channel with its whole future known: an event queue, objects, lists, the state machine of a refresh step by
 * step, and gem5's limit of commands in each 10 ns window. Slow.
 */
export class NaiveDram {
  readonly counts = {
    readBursts: 0,
    writeBursts: 0,
    readRowHits: 0,
    writeRowHits: 0,
    bankConflicts: 0,
    activates: 0,
    refreshes: 0,
    servedByWriteQueue: 0,
    mergedWrites: 0,
    readToWrite: 0,
    writeToRead: 0,
    busBusy: 0,
    readQueueing: 0,
  };
  /** Commands that had to wait because their window was full. */
  windowsFull = 0;
  private now = 0;
  private events: Event[] = [];
  private order = 0;
  private readonly ranks: Rank[];
  private reads: Packet[] = [];
  private writes: Packet[] = [];
  private answering: number[] = [];
  private decision: Event | undefined;
  private nextBurst: number;
  private bus: "read" | "write" = "read";
  private busNext: "read" | "write" = "read";
  private burstsThisTime = 0;
  private activeRank = 0;
  private readonly windows = new Map<number, number>();
  private readonly perWindow: number;

  constructor(
    private readonly p: DramParameters,
    private readonly locate: (line: number) => { rank: number; bank: number; row: number },
    tCK: number,
  ) {
    this.perWindow = Math.floor(10_000 / tCK);
    this.nextBurst = p.tRP + Math.max(p.tRCD, p.tRCD_WR);
    this.ranks = [...Array(p.ranks).keys()].map((id) => ({
      id,
      activates: [],
      state: "idle",
      due: 0,
      ends: [],
      banks: [...Array(p.banks).keys()].map((bank) => ({
        id: bank,
        group: p.bankGroups === 0 ? bank : bank % p.bankGroups,
        row: undefined,
        read: 0,
        write: 0,
        pre: 0,
        act: 0,
        uses: 0,
      })),
    }));
    for (const rank of this.ranks) this.schedule(p.tREFI - p.tRP, 1, () => this.refreshDue(rank));
  }

  /** Serves all requests, which are sorted by time, and goes on to `end`. */
  run(requests: readonly Request[], end: number): void {
    const waiting = [...requests];
    for (;;) {
      this.events.sort((a, b) => a.at - b.at || a.urgency - b.urgency || a.order - b.order);
      const event = this.events[0];
      const first = waiting[0];
      const takeAt = first === undefined ? Infinity : Math.max(first.time, this.now, this.placeFor(first));
      if (takeAt <= Math.min(event.at, end)) {
        this.now = takeAt;
        this.take(waiting.shift()!);
        continue;
      }
      if (event.at > end) return;
      this.events.shift();
      this.now = event.at;
      event.run();
    }
  }

  /** When there is a place in the queue: -Infinity now, Infinity not before something else happens. */
  private placeFor(request: Request): number {
    if (request.write) return this.writes.length < this.p.writeQueue ? -Infinity : Infinity;
    const at = Math.max(request.time, this.now);
    const out = this.answering.filter((t) => t > at).sort((a, b) => a - b);
    const over = this.reads.length + out.length + 1 - this.p.readQueue;
    if (over <= 0) return -Infinity;
    return out[over - 1] ?? Infinity;
  }

  private take(request: Request): void {
    const { rank, bank, row } = this.locate(request.line);
    const packet = Object.assign(request, {
      rank: this.ranks[rank],
      bank: this.ranks[rank].banks[bank],
      row,
    }) as Packet;
    const twin = this.writes.some((w) => w.line === request.line);
    if (request.write && twin) this.counts.mergedWrites++;
    else if (request.write) this.writes.push(Object.assign(packet, { time: this.now }));
    else if (twin) {
      this.counts.servedByWriteQueue++;
      request.fromQueue = true;
      request.ready = this.now;
      request.decided = this.now;
      return;
    } else this.reads.push(Object.assign(packet, { time: this.now }));
    this.wake(this.now);
  }

  private schedule(at: number, urgency: number, run: () => void): Event {
    const event = { at, urgency, order: this.order++, run };
    this.events.push(event);
    return event;
  }

  private wake(at: number): void {
    if (this.decision !== undefined) return;
    this.decision = this.schedule(at, 2, () => {
      this.decision = undefined;
      this.decide();
    });
  }

  private refreshDue(rank: Rank): void {
    rank.due = this.now;
    if (rank.id === this.activeRank && this.decision !== undefined) rank.state = "drain";
    else this.closeRows(rank);
  }

  private closeRows(rank: Rank): void {
    rank.state = "close";
    const open = rank.banks.filter((b) => b.row !== undefined);
    if (open.length > 0) {
      const at = Math.max(this.now, ...rank.banks.map((b) => b.pre));
      for (const b of rank.banks) {
        b.row = undefined;
        b.pre = at;
      }
      rank.ends.push(at + this.p.tRP);
    }
    this.schedule(Math.max(this.now, ...rank.ends), 1, () => this.refresh(rank));
  }

  private refresh(rank: Rank): void {
    rank.state = "refresh";
    this.counts.refreshes++;
    const done = this.now + this.p.tRFC;
    for (const b of rank.banks) b.act = done;
    rank.ends = [];
    this.schedule(done, 1, () => {
      rank.state = "idle";
      this.schedule(rank.due + this.p.tREFI - this.p.tRP, 1, () => this.refreshDue(rank));
      this.wake(this.now);
    });
  }

  private decide(): void {
    const { p, counts } = this;
    const turned = this.bus !== this.busNext;
    if (turned) {
      if (this.busNext === "write") counts.readToWrite++;
      else counts.writeToRead++;
      this.burstsThisTime = 0;
    }
    this.bus = this.busNext;
    const busy = this.ranks.filter((r) => r.state !== "idle");
    for (const rank of busy) if (rank.state === "drain") this.closeRows(rank);
    if (busy.length === this.ranks.length) return;
    if (this.bus === "read") {
      if (this.reads.length === 0) {
        if (this.writes.length <= p.writeLow) return;
        this.busNext = "write";
      } else {
        const packet = this.choose(this.reads, turned ? Math.min(p.tWTR, p.tCS) : 0);
        if (packet === undefined) return;
        packet.decided = this.now;
        packet.ready = this.burst(packet, this.reads);
        this.answering = this.answering.filter((t) => t > this.now);
        this.answering.push(packet.ready);
        this.reads = this.reads.filter((r) => r !== packet);
        const enough = this.burstsThisTime >= p.minReadsPerSwitch || this.reads.length === 0;
        if (this.writes.length > p.writeHigh && enough) this.busNext = "write";
      }
    } else {
      const packet = this.choose(this.writes, turned ? Math.min(p.tRTW, p.tCS) : 0);
      if (packet === undefined) return;
      this.burst(packet, this.writes);
      this.writes = this.writes.filter((w) => w !== packet);
      const few = this.writes.length + p.minWritesPerSwitch < p.writeLow;
      const waited = this.reads.length > 0 && this.burstsThisTime >= p.minWritesPerSwitch;
      if (this.writes.length === 0 || few || waited) this.busNext = "read";
    }
    this.wake(Math.max(this.now, this.nextBurst - p.tRP - Math.max(p.tRCD, p.tRCD_WR)));
  }

  private choose(queue: Packet[], gap: number): Packet | undefined {
    const ready = queue.filter(({ rank }) => rank.state === "idle");
    if (queue.length === 1 || this.p.scheduling === "fcfs") return ready[0];
    const seamless = Math.max(this.nextBurst + gap, this.now);
    const column = ({ bank, write }: Packet) => (write ? bank.write : bank.read);
    const isHit = (q: Packet) => q.bank.row === q.row;
    const gapless = ready.find((q) => isHit(q) && column(q) <= seamless);
    if (gapless !== undefined) return gapless;
    const hit = ready.find(isHit);
    const { banks, hidden } = this.earliest(ready, seamless);
    const miss = ready.find((q) => !isHit(q) && banks.has(q.bank));
    if (miss !== undefined && (hidden || hit === undefined)) return miss;
    return hit;
  }

  private earliest(ready: Packet[], seamless: number): { banks: Set<Bank>; hidden: boolean } {
    const { p, now } = this;
    let banks = new Set<Bank>();
    let hidden = false;
    let foundSeamless = false;
    let first = Infinity;
    for (const rank of this.ranks) {
      for (const bank of rank.banks) {
        const packet = ready.find((q) => q.bank === bank);
        if (packet === undefined) continue;
        const tRCD = packet.write ? p.tRCD_WR : p.tRCD;
        const act = bank.row === undefined ? Math.max(bank.act, now) : Math.max(bank.pre, now) + p.tRP;
        const column = Math.max(packet.write ? bank.write : bank.read, act + tRCD);
        const smooth = column <= seamless;
        if (smooth || (!foundSeamless && act <= first)) {
          if (!foundSeamless && (smooth || act < first)) banks = new Set();
          foundSeamless ||= smooth;
          hidden = act <= Math.max(seamless - tRCD, now);
          banks.add(bank);
          first = act;
        }
      }
    }
    return { banks, hidden };
  }

  /** The first time from `at` on at which the command bus has room. */
  private command(at: number): number {
    let window = Math.floor(at / 10_000);
    let time = at;
    while ((this.windows.get(window) ?? 0) >= this.perWindow) {
      this.windowsFull++;
      time = ++window * 10_000;
    }
    this.windows.set(window, (this.windows.get(window) ?? 0) + 1);
    return time;
  }

  private burst(packet: Packet, queue: Packet[]): number {
    const { p, now, counts } = this;
    const { rank, bank, row, write } = packet;
    if (bank.row === row) {
      if (write) counts.writeRowHits++;
      else counts.readRowHits++;
    } else {
      if (bank.row !== undefined) {
        counts.bankConflicts++;
        const at = this.command(Math.max(bank.pre, now));
        for (const b of rank.banks) b.pre = Math.max(b.pre, at);
        this.close(rank, bank, at);
      }
      this.open(rank, bank, row, this.command(Math.max(bank.act, now)));
    }
    const at = this.command(Math.max(write ? bank.write : bank.read, this.nextBurst, now));
    const ready = at + (write ? p.tCWL : p.tCL) + p.tBURST;
    rank.ends.push(ready);
    for (const r of this.ranks) {
      for (const b of r.banks) {
        let toRead = p.tBURST + p.tCS;
        let toWrite = p.tBURST + p.tCS;
        if (r === rank) {
          toRead = write ? p.tBURST + p.tWTR + p.tCWL : p.tBURST;
          toWrite = write ? p.tBURST : p.tBURST + p.tRTW;
          if (p.bankGroups > 0 && b.group === bank.group) {
            toRead = write ? Math.max(p.tCCD_L, toRead) : p.tCCD_L;
            toWrite = write ? p.tCCD_L : Math.max(p.tCCD_L, toWrite);
          }
        }
        b.read = Math.max(b.read, at + toRead);
        b.write = Math.max(b.write, at + toWrite);
      }
    }
    bank.pre = Math.max(bank.pre, write ? ready + p.tWR : at + p.tRTP);
    bank.uses++;
    const others = queue.filter((q) => q !== packet && q.bank === bank);
    const more = others.some((q) => q.row === row);
    const close =
      p.pagePolicy === "close" ||
      bank.uses === p.maxAccessesPerRow ||
      (p.pagePolicy === "open_adaptive" && !more && others.length > 0) ||
      (p.pagePolicy === "close_adaptive" && !more);
    if (close) this.close(rank, bank, Math.max(now, bank.pre));
    this.nextBurst = at + p.tBURST;
    this.activeRank = rank.id;
    this.burstsThisTime++;
    counts.busBusy += p.tBURST;
    if (write) counts.writeBursts++;
    else {
      counts.readBursts++;
      counts.readQueueing += at - packet.time;
    }
    return ready;
  }

  private close(rank: Rank, bank: Bank, at: number): void {
    bank.row = undefined;
    bank.pre = at;
    bank.act = Math.max(bank.act, at + this.p.tRP);
    rank.ends.push(at + this.p.tRP);
  }

  private open(rank: Rank, bank: Bank, row: number, at: number): void {
    const { p } = this;
    this.counts.activates++;
    bank.row = row;
    bank.uses = 0;
    bank.pre = at + p.tRAS;
    bank.read = Math.max(bank.read, at + p.tRCD);
    bank.write = Math.max(bank.write, at + p.tRCD_WR);
    rank.activates = [at, ...rank.activates].slice(0, 4);
    for (const b of rank.banks) {
      b.act = Math.max(b.act, at + (p.bankGroups > 0 && b.group === bank.group ? p.tRRD_L : p.tRRD));
      if (rank.activates.length === 4) b.act = Math.max(b.act, rank.activates[3] + p.tXAW);
    }
  }
}
