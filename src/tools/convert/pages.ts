import { InputError } from "../../errors.js";
import { MAX_PAGES, type TraceSink } from "../../loader/index.js";

const KERNEL_VPN = 2 ** 35;

/** Gives each virtual page the next physical page when it is first touched. */
export class FirstTouch {
  private readonly ids = new Map<number, number>();

  constructor(private readonly sink: TraceSink) {}

  page(vpn: number): number {
    const known = this.ids.get(vpn);
    if (known !== undefined) return known;
    if (this.ids.size >= MAX_PAGES)
      throw new InputError(`the trace touches more than ${MAX_PAGES} pages; --limit takes a part of it`);
    const asid = vpn >= KERNEL_VPN ? 0 : 1;
    const id = this.sink.page({ asid, vpn, ppn: this.ids.size + 1, io: false });
    this.ids.set(vpn, id);
    return id;
  }

  address(virtual: number): number {
    return (this.page(Math.floor(virtual / 4096)) << 12) | (virtual % 4096);
  }
}
