import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { InputError } from "../errors.js";

/** A step of a capture that failed; the message names the step and where to read more. */
export class CaptureError extends InputError {
  override name = "CaptureError";
}

/** What a capture tells while it goes on. */
export interface ProgressSink {
  /** A step begins. */
  step(text: string): void;
  /** How far the step is, 0..1. */
  progress(fraction: number, text: string): void;
  /** A detail worth keeping. */
  log(text: string): void;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Written to the program's standard input. */
  input?: string;
  signal?: AbortSignal;
}

const KEPT_OUTPUT = 4000;
/** Where mke2fs is; Debian leaves it out of the search path of users other than root. */
const SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin";
/** How long an interrupted program may take to end by itself. */
const INTERRUPT_MS = 500;

/** Runs a program to its end. @returns its standard output; throws CaptureError with the end of its error output. */
export function run(
  step: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = start(command, args, options);
    const out: Buffer[] = [];
    let errors = "";
    child.stdout?.on("data", (data: Buffer) => out.push(data));
    child.stderr?.on("data", (data: Buffer) => {
      errors = (errors + data.toString("utf8")).slice(-KEPT_OUTPUT);
    });
    child.on("error", (error) => reject(failure(step, command, error.message)));
    child.on("close", (code, killedBy) => {
      const text = Buffer.concat(out).toString("utf8");
      if (code === 0) resolve(text);
      else if (options.signal?.aborted) reject(new CaptureError(`${step}: interrupted`));
      else
        reject(
          failure(
            step,
            command,
            errors.trim() || text.trim().slice(-KEPT_OUTPUT) || `ended with ${code ?? killedBy}`,
          ),
        );
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}

/**
 * Starts a program that is ended with this process, whatever ends it, and by the signal: with all the programs
 * that it has started.
 */
export function start(command: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, PATH: searchPath(process.env["PATH"]), LC_ALL: "C", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    // A process group of its own, which can be ended as one.
    detached: true,
  });
  const send = (name: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // It has ended.
    }
  };
  const end = () => send("SIGKILL");
  let deadline: NodeJS.Timeout | undefined;
  const interrupt = () => {
    // fakeroot ends its daemon, which is in no group of ours, when it has time to.
    send("SIGINT");
    deadline = setTimeout(end, INTERRUPT_MS);
  };
  const { signal } = options;
  process.once("exit", end);
  signal?.addEventListener("abort", interrupt, { once: true });
  child.once("close", () => {
    clearTimeout(deadline);
    process.removeListener("exit", end);
    signal?.removeEventListener("abort", interrupt);
  });
  if (signal?.aborted) interrupt();
  return child;
}

/** Where programs are looked for: first where the user has them looked for. */
export function searchPath(own: string | undefined): string {
  return own ? `${own}:${SYSTEM_PROGRAMS}` : `/usr/local/bin:/usr/bin:/bin:${SYSTEM_PROGRAMS}`;
}

function failure(step: string, command: string, message: string): CaptureError {
  return new CaptureError(`${step}: ${command} failed: ${message}`);
}

/** Debian packages that a capture needs on the host: of a function in a guest, of a program alone. */
export const GUEST_PACKAGES = [
  "qemu-system-x86",
  "qemu-utils",
  "gcc",
  "libc6-dev",
  "e2fsprogs",
  "cpio",
  "fakeroot",
] as const;
export const USER_PACKAGES = ["qemu-user", "gcc", "libc6-dev"] as const;

export function missingPackages(needed: readonly string[]): string[] {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const format = "${Package} ${db:Status-Status}\n";
  const asked = spawnSync("dpkg-query", ["-W", "-f", format, ...needed], { encoding: "utf8" });
  if (asked.error !== undefined) {
    throw new InputError("capture: needs a Debian 12 system: the command dpkg-query is not there");
  }
  const installed = new Set(
    asked.stdout
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return needed.filter((name) => !installed.has(name));
}

/** Installs what is missing where that is possible, else throws InputError with the command to run. */
export async function ensureHostPackages(
  progress: ProgressSink,
  needed: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const missing = missingPackages(needed);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new InputError(
      `capture: Debian packages are missing: ${missing.join(", ")}. Run: sudo apt-get update && ` +
        `sudo apt-get install --no-install-recommends ${missing.join(" ")}`,
    );
  }
  progress.step(`Installing Debian packages: ${missing.join(", ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run("install packages", "apt-get", ["update"], { env, signal });
  await run("install packages", "apt-get", ["install", "-y", "--no-install-recommends", ...missing], {
    env,
    signal,
  });
}

/** Version of an installed Debian package, or "". */
export function packageVersion(name: string): string {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
  return spawnSync("dpkg-query", ["-W", "-f", "${Version}", name], { encoding: "utf8" }).stdout ?? "";
}
