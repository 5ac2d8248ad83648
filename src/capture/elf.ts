import elfy from "elfy";

/** A function of an ELF file: where it is in the file's own addresses. */
export interface ElfSymbol {
  address: number;
  size: number;
  name: string;
}

export interface ElfFile {
  buildId: string;
  /** Where the program begins. */
  entry: number;
  symbols: ElfSymbol[];
  /** Loadable parts: file offset, address and bytes. */
  segments: { offset: number; address: number; size: number }[];
}

const ENTRY_AT = 24;
const SYMBOL_BYTES = 24; // of ELF64; elfy reads sh_entsize at a wrong offset
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const GNU_BUILD_ID = 3;

/** Functions, segments and build id of an ELF64 file. Stripped of its symbol table: of its dynamic one. */
export function readElf(file: Buffer): ElfFile {
  const { body } = elfy.parse(file);
  const table =
    body.sections.find((s) => s.type === "symtab") ?? body.sections.find((s) => s.type === "dynsym");
  const symbols: ElfSymbol[] = [];
  if (table !== undefined) {
    const strings = body.sections[table.link];
    const names = file.subarray(strings.off, strings.off + strings.size);
    for (let at = table.off; at + SYMBOL_BYTES <= table.off + table.size; at += SYMBOL_BYTES) {
      const type = file[at + 4] & 15;
      const address = Number(file.readBigUInt64LE(at + 8));
      if ((type !== STT_FUNC && type !== STT_GNU_IFUNC) || address === 0) continue;
      const from = file.readUInt32LE(at);
      const name = names.toString("utf8", from, names.indexOf(0, from));
      symbols.push({ address, size: Number(file.readBigUInt64LE(at + 16)), name });
    }
  }
  symbols.sort((a, b) => a.address - b.address || b.size - a.size);
  const segments = body.programs
    .filter((p) => p.type === "load")
    .map((p) => ({ offset: p.offset, address: p.vaddr, size: p.filesz }));
  const entry = Number(file.readBigUInt64LE(ENTRY_AT));
  return { buildId: buildId(file, body.sections), entry, symbols, segments };
}

function buildId(file: Buffer, sections: readonly { name: string; off: number; size: number }[]): string {
  const note = sections.find((s) => s.name === ".note.gnu.build-id" || s.name === ".note.go.buildid");
  if (note === undefined) return "";
  const nameBytes = file.readUInt32LE(note.off);
  const bytes = file.readUInt32LE(note.off + 4);
  const from = note.off + 12 + Math.ceil(nameBytes / 4) * 4;
  const id = file.subarray(from, from + bytes);
  return file.readUInt32LE(note.off + 8) === GNU_BUILD_ID
    ? id.toString("hex")
    : Buffer.from(id).toString("hex");
}
