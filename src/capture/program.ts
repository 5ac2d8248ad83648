import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { InputError } from "../errors.js";
import type { Mapping } from "./facts.js";

const ELF_MAGIC = 0x7f45_4c46;
const ELF_CLASS_64 = 2;
const EM_X86_64 = 62;
const ET_EXEC = 2;
const ET_DYN = 3;

/** The file that a command's first word names: by its path, or in `path` (the value of PATH). Throws InputError where it is no x86-64 program. */
export function findProgram(name: string, path: string): string {
  const file = name.includes("/") ? name : search(name, path);
  if (file === undefined)
    throw new InputError(
      `capture: no program "${name}" in PATH; a program in this folder is named ./${name}`,
    );
  const head = Buffer.alloc(64);
  let size: number;
  try {
    if (!statSync(file).isFile()) throw new InputError(`capture: ${file} is not a file`);
    const fd = openSync(file, "r");
    try {
      size = readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError(
      code === "ENOENT" ? `capture: no file ${file}` : `capture: cannot read ${file}: ${code}`,
    );
  }
  checkHead(file, head.subarray(0, size));
  try {
    accessSync(file, constants.X_OK);
  } catch {
    throw new InputError(`capture: ${file} may not be executed; chmod +x changes that`);
  }
  return file;
}

function search(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .map((folder) => join(folder || ".", name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

function checkHead(file: string, head: Buffer): void {
  if (head.length >= 2 && head.toString("latin1", 0, 2) === "#!") {
    const interpreter = head.toString("latin1", 2).split("\n")[0].trim();
    throw new InputError(`capture: ${file} is a script; give its interpreter: -- ${interpreter} ${file}`);
  }
  if (head.length < 20 || head.readUInt32BE(0) !== ELF_MAGIC)
    throw new InputError(`capture: ${file} is not a program (it is no ELF file)`);
  const machine = head.readUInt16LE(18);
  if (head[4] !== ELF_CLASS_64 || machine !== EM_X86_64)
    throw new InputError(
      `capture: ${file} is not an x86-64 program (ELF class ${head[4] === ELF_CLASS_64 ? 64 : 32}, machine ${machine})`,
    );
  const type = head.readUInt16LE(16);
  if (type !== ET_EXEC && type !== ET_DYN)
    throw new InputError(`capture: ${file} is not a program (ELF type ${type})`);
}

/** Whether a path names an ELF file: what a program has mapped can be anything. */
export function isElf(path: string): boolean {
  const head = Buffer.alloc(4);
  try {
    if (!statSync(path).isFile()) return false;
    const fd = openSync(path, "r");
    try {
      return readSync(fd, head, 0, 4, 0) === 4 && head.readUInt32BE(0) === ELF_MAGIC;
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}

/** What the recorder wrote beside the recording of a program; see capture/plugin/program.h. */
export interface ProgramFacts {
  threads: number;
  /** The program's files in its own addresses. */
  mappings: Mapping[];
}

export function parseProgramMaps(text: string): ProgramFacts {
  const base = BigInt(`0x${/^base ([0-9a-f]+)$/m.exec(text)?.[1] ?? "0"}`);
  const threads = Number(/^threads (\d+)$/m.exec(text)?.[1] ?? 1);
  const mappings: Mapping[] = [];
  for (const line of text.split("\n")) {
    // The emulator's own permissions: the program's code need not be executable in it.
    const match = /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ [1-9]\d*\s+(\/.*)$/.exec(line);
    if (match === null) continue;
    const from = BigInt(`0x${match[1]}`) - base;
    const to = BigInt(`0x${match[2]}`) - base;
    if (from < 0n || to > 1n << 47n) continue;
    mappings.push({
      from: Number(from),
      to: Number(to),
      fileOffset: Number.parseInt(match[3], 16),
      path: match[4].replace(/ \(deleted\)$/, ""),
    });
  }
  return { threads, mappings };
}
