import type { SymbolDef, Trace } from "../loader/index.js";

const KERNEL_HALF = 2 ** 47;

/** Where an address lies. */
export interface Place {
  /** Name of the function, or undefined where no symbol covers the address. */
  name: string | undefined;
  /** File of the function: "kernel", a path, "jit"; or undefined. */
  object: string | undefined;
  /** Bytes behind the function's first. */
  offset: number;
  /** Index of the symbol in `Symbolizer.symbols`, or -1. */
  index: number;
}

/** Finds the function that an address belongs to. */
export class Symbolizer {
  readonly symbols: readonly SymbolDef[];
  readonly objects: readonly { path: string }[];
  /** By address space: indices of its symbols by ascending address, and the addresses. */
  private readonly spaces = new Map<number, { order: Int32Array; start: Float64Array }>();

  constructor(trace: Pick<Trace, "symbols">) {
    const { symbols, objects } = trace.symbols();
    this.symbols = symbols;
    this.objects = objects;
    const bySpace = new Map<number, number[]>();
    symbols.forEach(({ asid }, i) => {
      const list = bySpace.get(asid) ?? [];
      if (list.length === 0) bySpace.set(asid, list);
      list.push(i);
    });
    for (const [asid, list] of bySpace) {
      list.sort((a, b) => symbols[a].address - symbols[b].address || a - b);
      const start = Float64Array.from(list, (i) => symbols[i].address);
      this.spaces.set(asid, { order: Int32Array.from(list), start });
    }
  }

  get hasKernel(): boolean {
    return this.spaces.has(0);
  }

  /** @param asid of user addresses; the kernel half is the same in all */
  find(asid: number, address: number): Place {
    const none = { name: undefined, object: undefined, offset: 0, index: -1 };
    const space = this.spaces.get(address >= KERNEL_HALF ? 0 : asid);
    if (space === undefined) return none;
    const low = upperBound(space.start, address);
    // Names may nest: an earlier one can cover the address where the nearest does not.
    for (let at = low - 1; at >= 0 && at >= low - 8; at--) {
      const index = space.order[at];
      const symbol = this.symbols[index];
      const next = low < space.start.length ? this.symbols[space.order[low]] : undefined;
      const open = symbol.size === 0 && at === low - 1 && next?.object === symbol.object;
      if (address >= symbol.address + symbol.size && !open) continue;
      const object = this.objects[symbol.object].path;
      return { name: symbol.name, object, offset: address - symbol.address, index };
    }
    return none;
  }

  /** The object whose symbols stand on both sides of an address without a name of its own, or undefined. */
  objectAround(asid: number, address: number): string | undefined {
    const space = this.spaces.get(address >= KERNEL_HALF ? 0 : asid);
    if (space === undefined) return undefined;
    const at = upperBound(space.start, address);
    if (at === 0 || at === space.start.length) return undefined;
    const { object } = this.symbols[space.order[at]];
    return this.symbols[space.order[at - 1]].object === object ? this.objects[object].path : undefined;
  }

  /** "name+0x10", or "" where no name is known. */
  text(asid: number, address: number): string {
    const { name, offset } = this.find(asid, address);
    if (name === undefined) return "";
    return offset === 0 ? name : `${name}+0x${offset.toString(16)}`;
  }
}

/** Index of the first value above `value` in an ascending array. */
function upperBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
