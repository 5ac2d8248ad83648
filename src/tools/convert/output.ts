import { spawn } from "node:child_process";
import { createWriteStream, renameSync, rmSync } from "node:fs";
import { finished, type Writable } from "node:stream";
import { promisify } from "node:util";
import { createGzip } from "node:zlib";
import { InputError } from "../../errors.js";

/** A file that is written as a stream and has its name when it is complete. */
export interface Output {
  write(bytes: Uint8Array): Promise<void>;
  /** Waits until all is written; gives the file its name. */
  close(): Promise<void>;
  abort(): void;
}

/** Packed where the name ends in .gz or .xz. */
export function openOutput(path: string): Output {
  const temporary = `${path}.tmp`;
  const file = createWriteStream(temporary);
  const done = promisify(finished)(file);
  let failed: Error | undefined;
  const fail = (error: Error) => {
    failed ??= error;
  };
  done.catch(fail);
  let entry: Writable = file;
  let packed: Promise<unknown> = Promise.resolve();
  if (path.endsWith(".gz")) {
    const gzip = createGzip();
    gzip.pipe(file);
    entry = gzip;
  } else if (path.endsWith(".xz")) {
    const child = spawn("xz", ["--compress", "--stdout", "-T1", "-3"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    packed = new Promise<void>((resolve) => {
      child.on("error", () => {
        fail(
          new InputError(
            "the program xz, which .xz files need, is not installed (Debian: apt-get install xz-utils)",
          ),
        );
        file.end();
        resolve();
      });
      child.on("close", () => resolve());
    });
    child.stdin.on("error", fail);
    child.stdout.pipe(file);
    entry = child.stdin;
  }
  // A stream that fails closes.
  const room = () =>
    new Promise<void>((resolve) => {
      const go = () => {
        entry.off("drain", go).off("close", go);
        file.off("close", go);
        resolve();
      };
      entry.on("drain", go).on("close", go);
      file.on("close", go);
    });
  const check = () => {
    if (failed === undefined) return;
    if (failed instanceof InputError) throw failed;
    throw new InputError(
      `${path}: cannot be written (${(failed as NodeJS.ErrnoException).code ?? failed.message})`,
    );
  };
  return {
    async write(bytes) {
      check();
      if (!entry.write(bytes)) await room();
      check();
    },
    async close() {
      entry.end();
      await packed;
      await done.catch(fail);
      check();
      renameSync(temporary, path);
    },
    abort() {
      entry.destroy();
      file.destroy();
      rmSync(temporary, { force: true });
    },
  };
}
