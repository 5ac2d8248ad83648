import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ObjectDef, SymbolDef } from "../loader/contract.js";
import { type ElfFile, readElf } from "./elf.js";
import type { Mapping } from "./facts.js";
import type { JitName } from "./jit.js";
import type { KernelSymbol } from "./kernel-entries.js";

/** A run of executed code. asid 0 = the kernel. */
export interface ExecutedRange {
  asid: number;
  address: number;
}

/** A name for a range of addresses of one address space; `end` is exclusive. */
interface Named {
  address: number;
  end: number;
  name: string;
  object: number;
}

/** Names for the functions that a trace executes, and only for those. */
export class SymbolCollector {
  readonly objects: ObjectDef[] = [];
  private readonly objectIds = new Map<string, number>();
  private readonly spaces = new Map<number, Named[]>();
  private readonly jit = new Map<number, Named[]>();
  private readonly files = new Map<string, ElfFile | undefined>();

  addKernel(symbols: readonly KernelSymbol[]): void {
    const code = symbols
      .filter((s) => /[tTwW]/.test(s.type))
      .sort((a, b) => a.address - b.address || (a.type < b.type ? -1 : 1));
    const named: Named[] = [];
    for (const { address, name, module } of code) {
      const before = named.at(-1);
      if (before !== undefined && before.address === address) continue; // aliases: the first name will do
      if (before !== undefined) before.end = address;
      named.push({
        address,
        end: address + 4096,
        name,
        object: this.object(module === "" ? "kernel" : `kernel module ${module}`, ""),
      });
    }
    this.spaces.set(0, named);
  }

  /** @param hostFile finds the host's copy of a file of the guest, or undefined */
  addProcess(
    asid: number,
    mappings: readonly Mapping[],
    hostFile: (path: string) => string | undefined,
  ): void {
    const named: Named[] = [];
    for (const mapping of mappings) {
      const elf = this.file(mapping.path, hostFile);
      if (elf === undefined) continue;
      const bias = biasOf(mapping, elf);
      if (bias === undefined) continue;
      const object = this.object(mapping.path, elf.buildId);
      for (let i = 0; i < elf.symbols.length; i++) {
        const symbol = elf.symbols[i];
        const address = symbol.address + bias;
        if (address < mapping.from || address >= mapping.to) continue;
        const end =
          symbol.size > 0
            ? address + symbol.size
            : (elf.symbols[i + 1]?.address ?? symbol.address + 16) + bias;
        named.push({ address, end, name: symbol.name, object });
      }
    }
    named.sort((a, b) => a.address - b.address);
    this.spaces.set(asid, named);
  }

  /** Code that was made at run time; what lies in a mapped file (the runtime's built-in functions) is that file's. */
  addJit(asid: number, names: readonly JitName[], mappings: readonly Mapping[]): void {
    this.jit.set(
      asid,
      names.map((each) => {
        const file = mappings.find((m) => each.address >= m.from && each.address < m.to);
        return { ...each, object: this.object(file?.path ?? "jit", "") };
      }),
    );
  }

  /** The names of the functions in which the ranges begin. */
  collect(executed: Iterable<ExecutedRange>): SymbolDef[] {
    const used = new Map<Named, number>();
    for (const { asid, address } of executed) {
      const symbol = find(this.spaces.get(asid), address) ?? find(this.jit.get(asid), address);
      if (symbol !== undefined) used.set(symbol, asid);
    }
    return [...used]
      .map(([{ address, end, name, object }, asid]) => ({ asid, address, size: end - address, name, object }))
      .sort((a, b) => a.asid - b.asid || a.address - b.address);
  }

  private object(path: string, buildId: string): number {
    const known = this.objectIds.get(path);
    if (known !== undefined) return known;
    this.objectIds.set(path, this.objects.length);
    return this.objects.push({ path, buildId }) - 1;
  }

  private file(path: string, hostFile: (path: string) => string | undefined): ElfFile | undefined {
    if (this.files.has(path)) return this.files.get(path);
    const host = hostFile(path);
    const elf = host === undefined ? undefined : readElf(readFileSync(host));
    this.files.set(path, elf);
    return elf;
  }
}

/** What an ELF file's own addresses differ by from those where it is mapped; undefined where the mapping is of no segment. */
export function biasOf(mapping: Mapping, elf: ElfFile): number | undefined {
  const segment = elf.segments.find(
    (s) => mapping.fileOffset >= pageOf(s.offset) && mapping.fileOffset < s.offset + s.size,
  );
  if (segment === undefined) return undefined;
  return mapping.from - (segment.address + mapping.fileOffset - segment.offset);
}

function pageOf(offset: number): number {
  return offset - (offset % 4096);
}

function find(named: Named[] | undefined, address: number): Named | undefined {
  if (named === undefined || named.length === 0 || address < named[0].address) return undefined;
  let low = 0;
  let high = named.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (named[middle].address <= address) low = middle;
    else high = middle - 1;
  }
  return address < named[low].end ? named[low] : undefined;
}

/** Finds files of a container: its own over those of the guest. */
export function overlay(...folders: string[]): (path: string) => string | undefined {
  return (path) => folders.map((folder) => join(folder, path)).find((file) => existsSync(file));
}
