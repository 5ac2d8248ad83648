import type { DumpEntry, DumpedAccess, DumpedEvent } from "./dump.js";

/** One entry as lines of text. */
export function formatDumpEntry(entry: DumpEntry): string {
  if ("event" in entry) return `@${entry.position} ${entry.event}${eventText(entry)}\n`;
  const { position, block, privilege, addressSpace, physical, symbol } = entry;
  const space = privilege === "user" ? ` ${addressSpace}` : "";
  const name = symbol === "" ? "" : ` <${symbol}>`;
  const lines = [`@${position} ${privilege}${space}, block ${block}, physical ${physical}${name}`];
  for (const { address, bytes, text, accesses } of entry.instructions) {
    const shown = bytes.replaceAll(/../g, "$& ").trimEnd();
    const line = `  ${address.padStart(16)}  ${shown.padEnd(23)}  ${text}`;
    lines.push(accesses.length === 0 ? line : `${line.padEnd(80)}  ; ${accesses.map(accessText).join(", ")}`);
  }
  return `${lines.join("\n")}\n`;
}

function accessText(access: DumpedAccess): string {
  const { kind, size, virtual, physical, iterations } = access;
  const times = iterations === undefined ? "" : `${iterations} x `;
  const flags = `${access.locked ? " locked" : ""}${access.split ? " second page" : ""}${access.io ? " device" : ""}`;
  return `${times}${kind} ${size} at ${virtual} (${physical})${flags}`;
}

const OPERANDS: Readonly<Record<string, (e: DumpedEvent) => string>> = {
  WorkBegin: ({ a }) => ` invocation ${a}`,
  WorkEnd: ({ a }) => ` invocation ${a}`,
  Switch: ({ a, b, c }) => ` task ${a}, container ${b}, address space ${c}`,
  IdleEnd: ({ a, b, c }) => ` after ${c} ns${a < 0 ? "" : `, woken by core ${a} at position ${b}`}`,
  Interrupt: ({ a }) => (a < 0 ? "" : ` vector 0x${a.toString(16)}`),
  Phase: ({ a }) => ` ${a}`,
};

function eventText(entry: DumpedEvent): string {
  return OPERANDS[entry.event]?.(entry) ?? "";
}
