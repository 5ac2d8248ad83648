import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join, relative } from "node:path";

/** A temporary folder that is not the work of a capture under way. */
const STALE_MS = 24 * 3600 * 1000;

/**
 * Folder of results that are kept between captures. Each is a folder of its own, named by a hash of all
 * that it was made from, built under a temporary name and renamed when complete.
 */
export class Cache {
  constructor(readonly folder: string) {
    mkdirSync(folder, { recursive: true });
    // What captures that were ended by force have left.
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (!name.endsWith(".tmp") || Date.now() - statSync(path).mtimeMs < STALE_MS) continue;
      rmSync(path, { recursive: true, force: true });
    }
  }

  /** The folder `<name>-<hash of inputs>`; calls `build` with an empty folder to fill where there is none. */
  async get(name: string, inputs: unknown, build: (folder: string) => Promise<void> | void): Promise<string> {
    const path = join(this.folder, `${name}-${hashOf(JSON.stringify(inputs)).slice(0, 16)}`);
    if (existsSync(path)) return path;
    const temporary = this.temporary(name);
    try {
      mkdirSync(temporary);
      await build(temporary);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      if (existsSync(path)) return path; // somebody else was faster
      throw error;
    }
    return path;
  }

  /** A name in the folder that nothing has yet. */
  temporary(name: string): string {
    return join(this.folder, `${name}.${randomBytes(4).toString("hex")}.tmp`);
  }
}

export function defaultWorkDir(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "muswarm");
}

export function hashOf(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Hash of names and contents of a file, or of all files below a folder. */
export function hashTree(path: string): string {
  if (!statSync(path).isDirectory()) return hashOf(`${basename(path)}\0${hashOf(readFileSync(path))}`);
  const lines = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => `${relative(path, file)}\0${hashOf(readFileSync(file))}`);
  return hashOf(lines.join("\n"));
}
