import { InputError } from "../errors.js";
import type { TraceSink } from "../loader/contract.js";
import { RAW_UNKNOWN_PAGE } from "./raw.js";

/** Bit 35 of a virtual page number: the kernel half. */
const KERNEL_VPN = 2 ** 35;
/** Linux x86-64 without KASLR: all physical memory, and the kernel's image, at fixed places. */
const DIRECT_MAP_VPN = 0x8_8800_0000;
const IMAGE_VPN = 0xf_fff8_0000;
const IMAGE_PAGES = 0x4_0000;
/** The local interrupt controller's registers. */
export const APIC_PPN = 0xfee00;

/** Numbers address spaces from 1 on, in the order in which they first appear. */
export class AddressSpaces {
  private readonly numbers = new Map<number, number>();

  /** @param mm the kernel's address of the space, not 0 */
  of(mm: number): number {
    const known = this.numbers.get(mm) ?? this.numbers.size + 1;
    this.numbers.set(mm, known);
    return known;
  }
}

/** One number for a virtual page of a space; the kernel half is everybody's. */
export function pageKey(asid: number, vpn: number): number {
  return PageMap.space(vpn, asid) * 2 ** 36 + vpn;
}

/** Which physical page each virtual page is on, as the recorder says, and its page id in the trace. */
export class PageMap {
  /** Pages whose physical page nobody told: the second part of what straddles two pages. */
  guessed = 0;
  /** Places of the kernel's fixed mappings that the recorder saw elsewhere; anything but 0 is an error. */
  misplaced = 0;

  private readonly ids = new Map<number, number>();
  private readonly ppns = new Map<number, number>();

  constructor(
    private readonly sink: TraceSink,
    protected readonly memoryPages: number,
    /** Physical pages by pageKey, from anywhere in the recording; -1 = more than one. */
    private readonly hints: ReadonlyMap<number, number>,
  ) {}

  /** The space that a page belongs to: the kernel half is everybody's. */
  static space(vpn: number, asid: number): number {
    return vpn >= KERNEL_VPN ? 0 : asid;
  }

  /** From here on the virtual page is on this physical page. @returns page id */
  map(asid: number, vpn: number, ppn: number, io: boolean): number {
    const space = PageMap.space(vpn, asid);
    const key = pageKey(asid, vpn);
    this.check(vpn, ppn, io);
    const id = this.sink.page({ asid: space, vpn, ppn, io });
    this.ids.set(key, id);
    this.ppns.set(key, ppn);
    return id;
  }

  /** @returns page id, or -1 where the page was never mapped */
  id(asid: number, vpn: number): number {
    return this.ids.get(pageKey(asid, vpn)) ?? -1;
  }

  /**
   * The page after one that is known: where the recorder said it is or says so elsewhere in the recording,
   * else a guess.
   */
  next(asid: number, vpn: number): number {
    const known = this.id(asid, vpn + 1);
    if (known >= 0) return known;
    const hint = this.hints.get(pageKey(asid, vpn + 1)) ?? -1;
    if (hint >= 0) return this.map(asid, vpn + 1, hint, false);
    this.guessed++;
    const ppn = this.ppns.get(pageKey(asid, vpn)) ?? 0;
    return this.map(asid, vpn + 1, ppn + 1, false);
  }

  /** A page of code. Does not touch where data is: both say the same or the kernel is rewriting code. */
  code(asid: number, vpn: number, ppn: number): number {
    if (ppn === RAW_UNKNOWN_PAGE) return this.next(asid, vpn - 1);
    const known = this.ppns.get(pageKey(asid, vpn));
    if (known === undefined) return this.map(asid, vpn, ppn, false);
    this.check(vpn, ppn, false);
    return this.sink.page({ asid: PageMap.space(vpn, asid), vpn, ppn, io: false });
  }

  private check(vpn: number, ppn: number, io: boolean): void {
    if (io) return;
    const direct = vpn - DIRECT_MAP_VPN;
    if (direct >= 0 && direct < this.memoryPages && direct !== ppn) this.misplaced++;
    const image = vpn - IMAGE_VPN;
    if (image >= 0 && image < IMAGE_PAGES && image !== ppn) this.misplaced++;
  }
}

/** For a program without a guest's kernel: a virtual page gets the next physical page when it is first touched, and keeps it. */
export class FirstTouchPages extends PageMap {
  private nextFrame = 1;

  constructor(sink: TraceSink, memoryPages: number) {
    super(sink, memoryPages, new Map());
  }

  override id(asid: number, vpn: number): number {
    const known = super.id(asid, vpn);
    if (known >= 0) return known;
    if (this.nextFrame >= this.memoryPages) {
      throw new InputError(
        `capture: the program touches more than the ${this.memoryPages / 256} MiB of memory that a trace of one program has`,
      );
    }
    return this.map(asid, vpn, this.nextFrame++, false);
  }

  override code(asid: number, vpn: number): number {
    return this.id(asid, vpn);
  }
}
