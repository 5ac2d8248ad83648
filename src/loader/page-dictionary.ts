import { InputError } from "../errors.js";
import { ByteWriter } from "./bytes.js";
import { MAX_PAGES, type PageDef } from "./contract.js";

/** Bit 35 of a virtual page number: the kernel half. */
export const KERNEL_VPN = 2 ** 35;
export const MAX_VPN = 2 ** 36 - 1;
export const MAX_PPN = 2 ** 31 - 1;
export const MAX_ASID = 2 ** 31 - 1;

/** The writer's pages: gives each distinct definition its id and encodes those not yet in the file. */
export class PageDictionary {
  private readonly ids = new Map<string, number>();
  private readonly pending = new ByteWriter(4096);
  private pendingCount = 0;
  private asid = 0;
  private vpn = 0;
  private ppn = 0;

  get count(): number {
    return this.ids.size;
  }

  /** @returns the page's id. Throws InputError for an impossible page and past MAX_PAGES. */
  add(def: PageDef): number {
    const { asid, vpn, ppn, io } = def;
    const key = `${asid},${vpn},${ppn},${io}`;
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    checkPage(def);
    const id = this.ids.size;
    if (id >= MAX_PAGES) throw new InputError(`trace writer: more than ${MAX_PAGES} distinct pages`);
    this.ids.set(key, id);
    const out = this.pending;
    out.uvarint53(zigzag(asid - this.asid) * 2 + (io ? 1 : 0));
    out.uvarint53(zigzag(vpn - this.vpn));
    out.uvarint53(zigzag(ppn - this.ppn));
    this.asid = asid;
    this.vpn = vpn;
    this.ppn = ppn;
    this.pendingCount++;
    return id;
  }

  /** Bytes waiting to be written. */
  get pendingBytes(): number {
    return this.pending.length;
  }

  /** Content of a pages chunk with all pages not yet written, or undefined when there is none. */
  flush(): Uint8Array | undefined {
    if (this.pendingCount === 0) return undefined;
    const chunk = new ByteWriter(this.pending.length + 16);
    chunk.uvarint(this.count - this.pendingCount);
    chunk.uvarint(this.pendingCount);
    chunk.raw(this.pending.view());
    this.pending.clear();
    this.pendingCount = 0;
    this.asid = 0;
    this.vpn = 0;
    this.ppn = 0;
    return chunk.view();
  }
}

/** Zigzag of an integer below 2^51. */
export function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function checkPage({ asid, vpn, ppn, io }: PageDef): void {
  const bad = (what: string) =>
    new InputError(`trace writer: page (asid ${asid}, vpn ${vpn}, ppn ${ppn}, io ${io}): ${what}`);
  if (!isWithin(asid, MAX_ASID)) throw bad(`asid must be an integer 0..${MAX_ASID}`);
  if (!isWithin(vpn, MAX_VPN)) throw bad(`vpn must be an integer 0..${MAX_VPN}`);
  if (!isWithin(ppn, MAX_PPN)) throw bad(`ppn must be an integer 0..${MAX_PPN}`);
  if (typeof io !== "boolean") throw bad("io must be true or false");
  if (vpn >= KERNEL_VPN !== (asid === 0))
    throw bad("asid 0 is the kernel half (vpn bit 35 set), and only that");
}

export function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
