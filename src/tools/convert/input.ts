import { spawn } from "node:child_process";
import { createReadStream, statSync } from "node:fs";
import { createGunzip } from "node:zlib";
import { InputError } from "../../errors.js";

/** A file that is read from its start, unpacked where its name ends in .gz or .xz. */
export class Input {
  readonly packed: boolean;
  /** Bytes of the file. */
  readonly size: number;

  constructor(readonly path: string) {
    this.packed = /\.(gz|xz)$/.test(path);
    try {
      const stat = statSync(path);
      if (!stat.isFile()) throw new InputError(`${path}: not a file`);
      this.size = stat.size;
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new InputError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  /** @param taken told how many bytes of the file were read so far */
  async *chunks(taken: (bytes: number) => void = () => {}): AsyncGenerator<Uint8Array> {
    let read = 0;
    let unpacked = 0;
    const file = createReadStream(this.path, { highWaterMark: 1 << 18 });
    file.on("data", (data) => {
      read += data.length;
      taken(read);
    });
    try {
      const unpacking = this.path.endsWith(".gz")
        ? gunzip(file)
        : this.path.endsWith(".xz")
          ? unxz(file)
          : file;
      for await (const chunk of unpacking as AsyncIterable<Buffer>) {
        unpacked += chunk.length;
        yield chunk;
      }
    } catch (error) {
      if (error instanceof InputError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw this.damage(
        unpacked,
        `cannot be unpacked or read further (${code === "Z_BUF_ERROR" ? message : (code ?? message)})`,
      );
    } finally {
      file.destroy();
    }
  }

  /** @param offset in the content, unpacked where it is packed */
  damage(offset: number, problem: string): InputError {
    return new InputError(
      `${this.path}: at byte ${offset}${this.packed ? " of the unpacked content" : ""}: ${problem}`,
    );
  }
}

function gunzip(file: NodeJS.ReadableStream): AsyncIterable<Buffer> {
  const unpacker = createGunzip();
  file.on("error", (error) => unpacker.destroy(error));
  return file.pipe(unpacker);
}

async function* unxz(file: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  const child = spawn("xz", ["--decompress", "--stdout"], { stdio: ["pipe", "pipe", "pipe"] });
  let failed: Error | undefined;
  let complaint = "";
  const ended = new Promise<number>((resolve) => {
    child.on("error", (error) => {
      failed = error;
      resolve(-1);
    });
    child.on("close", (code) => resolve(code ?? -1));
  });
  child.stderr.on("data", (text: Buffer) => {
    complaint += text.toString("utf8").slice(0, 200);
  });
  child.stdin.on("error", () => {});
  file.pipe(child.stdin);
  try {
    yield* child.stdout;
    const code = await ended;
    if ((failed as NodeJS.ErrnoException | undefined)?.code === "ENOENT")
      throw new InputError(
        "the program xz, which .xz files need, is not installed (Debian: apt-get install xz-utils)",
      );
    if (code !== 0) throw new Error(complaint.trim() || "xz failed");
  } finally {
    child.kill();
  }
}

/** Cuts a stream of chunks into records of one size. Throws InputError when the last one is not whole. */
export async function* records(
  input: Input,
  size: number,
  taken?: (bytes: number) => void,
): AsyncGenerator<{ bytes: Uint8Array; offset: number }> {
  let rest: Uint8Array = new Uint8Array(0);
  let offset = 0;
  for await (const chunk of input.chunks(taken)) {
    const bytes: Uint8Array = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.length - (bytes.length % size);
    if (whole > 0) yield { bytes: bytes.subarray(0, whole), offset };
    offset += whole;
    rest = bytes.subarray(whole);
  }
  if (rest.length > 0) throw input.damage(offset, `the last record has ${rest.length} of ${size} bytes`);
}
