/** A name of the guest's kernel, from /proc/kallsyms. Addresses are 48 bits wide. */
export interface KernelSymbol {
  address: number;
  type: string;
  name: string;
  module: string;
}

export function parseKallsyms(text: string): KernelSymbol[] {
  const symbols: KernelSymbol[] = [];
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]{16}) (\S) (\S+)(?:\s+\[(\S+)\])?$/.exec(line);
    if (match === null) continue;
    symbols.push({
      address: Number.parseInt(match[1].slice(4), 16),
      type: match[2],
      name: match[3],
      module: match[4] ?? "",
    });
  }
  return symbols;
}

export const EntryKind = {
  None: 0,
  /** Instead of an instruction, which is repeated afterwards. */
  Fault: 1,
  /** Between two instructions, from outside. */
  Interrupt: 2,
  /** After an instruction, because of it. */
  Trap: 3,
} as const;

/** Where the processor enters the kernel by itself: address to kind and vector (-1 = unknown). */
export interface KernelEntry {
  kind: number;
  vector: number;
}

/** Each core's own timer. */
export const TIMER_VECTOR = 0xec;

/** Vectors that x86-64 Linux 6.1 gives its system interrupts. */
const SYSTEM_VECTORS: Record<string, number> = {
  asm_sysvec_spurious_apic_interrupt: 0xff,
  asm_sysvec_error_interrupt: 0xfe,
  asm_sysvec_reschedule_ipi: 0xfd,
  asm_sysvec_call_function: 0xfc,
  asm_sysvec_call_function_single: 0xfb,
  asm_sysvec_thermal: 0xfa,
  asm_sysvec_threshold: 0xf9,
  asm_sysvec_reboot: 0xf8,
  asm_sysvec_x86_platform_ipi: 0xf7,
  asm_sysvec_irq_work: 0xf6,
  asm_sysvec_apic_timer_interrupt: TIMER_VECTOR,
};

const FIRST_EXTERNAL_VECTOR = 0x20;
const STUB_BYTES = 8;

const TRAPS = new Set(["asm_exc_int3", "asm_exc_debug", "asm_exc_overflow"]);

/** Entry points of interrupts and faults. `asm_exc_nmi` is an interrupt. */
export function kernelEntries(symbols: readonly KernelSymbol[]): Map<number, KernelEntry> {
  const entries = new Map<number, KernelEntry>();
  for (const { address, name } of symbols) {
    if (name === "asm_exc_nmi") entries.set(address, { kind: EntryKind.Interrupt, vector: 2 });
    else if (TRAPS.has(name)) entries.set(address, { kind: EntryKind.Trap, vector: -1 });
    else if (name.startsWith("asm_exc_")) entries.set(address, { kind: EntryKind.Fault, vector: -1 });
    else if (name.startsWith("asm_sysvec_"))
      entries.set(address, { kind: EntryKind.Interrupt, vector: SYSTEM_VECTORS[name] ?? -1 });
    else if (name === "irq_entries_start") {
      for (let vector = FIRST_EXTERNAL_VECTOR; vector < TIMER_VECTOR; vector++) {
        const stub = address + (vector - FIRST_EXTERNAL_VECTOR) * STUB_BYTES;
        entries.set(stub, { kind: EntryKind.Interrupt, vector });
      }
    }
  }
  return entries;
}
