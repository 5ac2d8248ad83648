import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import elfy from "elfy";
import { InputError } from "../errors.js";

const PROGRAMS: Record<string, string> = { xz: "xz", zst: "zstd" };
const MAX_MODULE_BYTES = 256 << 20;

/**
 * Files of the modules with these names and of all that they need, in the order in which they load. What is built in has
 * none. Throws InputError for one that the kernel does not have.
 */
export function findModules(folder: string, names: readonly string[]): string[] {
  const files = new Map<string, string>();
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" }))
    if (/\.ko(\.\w+)?$/.test(path)) files.set(moduleName(path), join(folder, path));
  const list = join(folder, "modules.builtin");
  const builtIn = new Set(existsSync(list) ? readFileSync(list, "utf8").split("\n").map(moduleName) : []);
  const found = new Set<string>();
  const visit = (name: string) => {
    const file = files.get(name);
    if (file === undefined) {
      if (builtIn.has(name)) return;
      throw new InputError(`kernel: no module ${name} in ${folder}, and it is not built in`);
    }
    if (found.has(file)) return;
    const { needs, before } = dependencies(unpackModule(file));
    // "crypto-crc32c" is whatever does crc32c: crc32c_generic is enough here.
    for (const wish of before.map((each) => each.replace(/^crypto_/, "")))
      for (const each of [wish, `${wish}_generic`]) if (files.has(each)) visit(each);
    for (const need of needs) visit(need);
    found.add(file);
  };
  for (const name of names) visit(name);
  return [...found];
}

/** A module's name as others give it: with underscores. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko.*$/, "")
    .replaceAll("-", "_");
}

/** Modules that one needs, and those that it asks for. */
function dependencies(module: Buffer): { needs: string[]; before: string[] } {
  const section = elfy.parse(module).body.sections.find((s) => s.name === ".modinfo");
  const text =
    section === undefined ? "" : module.toString("latin1", section.off, section.off + section.size);
  const lines = text.split("\0");
  const values = (key: string) =>
    lines
      .filter((line) => line.startsWith(key))
      .flatMap((line) => line.slice(key.length).split(" post:")[0].split(/[ ,]+/));
  const names = (some: string[]) => some.filter(Boolean).map((name) => name.replaceAll("-", "_"));
  return { needs: names(values("depends=")), before: names(values("softdep=pre:")) };
}

/** A module's file as it is loaded. */
export function unpackModule(file: string): Buffer {
  const data = readFileSync(file);
  const ending = /\.ko\.(\w+)$/.exec(file)?.[1];
  if (ending === undefined) return data;
  if (ending === "gz") return gunzipSync(data);
  const program = PROGRAMS[ending];
  const made =
    program === undefined
      ? undefined
      : spawnSync(program, ["-dc"], { input: data, maxBuffer: MAX_MODULE_BYTES });
  if (made === undefined || made.error !== undefined || made.status !== 0)
    throw new InputError(`kernel: cannot unpack ${file}${program === undefined ? "" : ` with ${program}`}`);
  return made.stdout;
}
