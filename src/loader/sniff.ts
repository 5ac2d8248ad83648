/** What a file that is no trace looks like, from its first bytes: "an ELF file", "text"... */
export function describeForeign(head: Uint8Array): string {
  for (const [name, offset, ...bytes] of SIGNATURES) {
    if (bytes.every((byte, i) => head[offset + i] === byte)) return name;
  }
  if (head.every((byte) => byte === 0)) return "zeros";
  if (head.every(isText)) {
    const text = Buffer.from(head).toString("latin1").trimStart();
    if (text.startsWith("#!")) return "a script";
    if (text.startsWith("{") || text.startsWith("[")) return "JSON text";
    return text.startsWith("<") ? "HTML or XML text" : "text";
  }
  const shown = Array.from(head.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `unknown data (${shown})`;
}

function isText(byte: number): boolean {
  return byte >= 0x20 ? byte !== 0x7f : byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** Name, offset, bytes. */
const SIGNATURES: [string, number, ...number[]][] = [
  ["an ELF file", 0, 0x7f, 0x45, 0x4c, 0x46],
  ["gzip data", 0, 0x1f, 0x8b],
  ["a zip archive", 0, 0x50, 0x4b, 0x03, 0x04],
  ["zstd data", 0, 0x28, 0xb5, 0x2f, 0xfd],
  ["xz data", 0, 0xfd, 0x37, 0x7a, 0x58, 0x5a],
  ["bzip2 data", 0, 0x42, 0x5a, 0x68],
  ["a tar archive", 257, 0x75, 0x73, 0x74, 0x61, 0x72],
  ["a qcow2 disk image", 0, 0x51, 0x46, 0x49, 0xfb],
  ["a PNG image", 0, 0x89, 0x50, 0x4e, 0x47],
  ["a PDF file", 0, 0x25, 0x50, 0x44, 0x46],
  ["a gem5 packet trace", 0, 0x67, 0x65, 0x6d, 0x35],
  ["Parquet data", 0, 0x50, 0x41, 0x52, 0x31],
];
