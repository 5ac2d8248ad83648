import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CaptureError, type ProgressSink, run, start } from "./host.js";
import type { Kernel } from "./kernel.js";

/** The captured machine: docs/capture.md says why it is as it is. */
export const CLIENT_CORE = 0;
export const MEMORY_MIB = 2048;

/** The function has the last core to itself. */
export function functionCoreOf(cores: number): number {
  return cores - 1;
}

/** What is neither the function nor the client runs on the cores between, where there are some. */
export function companionCoresOf(cores: number): string {
  return cores === 2 ? "0" : cores === 3 ? "1" : `1-${cores - 2}`;
}

export function kernelCommandLine(cores: number): string {
  return [
    "console=ttyS0",
    "quiet",
    "nokaslr",
    `isolcpus=${functionCoreOf(cores)}`,
    "tsc=reliable",
    "hpet=disable",
    "tsc_early_khz=1000000",
    "random.trust_cpu=on",
  ].join(" ");
}

const SNAPSHOT = "ready";
const POLL_MS = 100;

/** Names of the disks in a folder made by `boot`. */
const DISKS = { root: "root.qcow2", facts: "facts.qcow2" };

/** What a guest is started from. */
export interface Parts {
  cores: number;
  kernel: Kernel;
  baseImage: string;
  functionImage: string;
}

function machineArguments(parts: Parts, folder: string, console: string): string[] {
  const { cores, kernel, functionImage } = parts;
  const drive = (file: string, rest: string) => ["-drive", `file=${quoted(file)},if=virtio,${rest}`];
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // Guest memory as a memfd: the recorder finds it by that name.
    ...["-machine", "q35,smm=off,memory-backend=ram"],
    ...["-object", `memory-backend-memfd,id=ram,size=${MEMORY_MIB}M`, "-m", `${MEMORY_MIB}M`],
    ...["-smp", String(cores), "-cpu", "max,la57=off"],
    ...["-rtc", "base=2024-01-01T00:00:00,clock=vm", "-seed", "1"],
    ...["-kernel", join(kernel.folder, "vmlinuz"), "-initrd", join(kernel.folder, "initrd.img")],
    ...["-append", kernelCommandLine(cores)],
    ...drive(join(folder, DISKS.root), "format=qcow2"),
    ...drive(functionImage, "format=raw,readonly=on"),
    ...drive(join(folder, DISKS.facts), "format=qcow2"),
    ...[
      "-chardev",
      `file,id=console,path=${quoted(console)}`,
      "-serial",
      "chardev:console",
      "-monitor",
      "stdio",
    ],
  ];
}

/** Commas separate options; a comma in a value is written twice. */
function quoted(path: string): string {
  return path.replaceAll(",", ",,");
}

/** Boots the guest up to the point where the function is warm, and saves its state in `folder`. */
export async function boot(
  parts: Parts,
  folder: string,
  console: string,
  timeoutSeconds: number,
  progress: ProgressSink,
  signal?: AbortSignal,
): Promise<void> {
  await run(
    "make the guest's disks",
    "qemu-img",
    ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", parts.baseImage, join(folder, DISKS.root)],
    { signal },
  );
  await run(
    "make the guest's disks",
    "qemu-img",
    ["create", "-q", "-f", "qcow2", join(folder, DISKS.facts), "64M"],
    { signal },
  );
  const args = [...machineArguments(parts, folder, console), "-accel", "tcg,thread=multi"];
  const commands = `stop\nsavevm ${SNAPSHOT}\nquit\n`;
  await runGuest(
    "boot the guest",
    args,
    console,
    "MUSWARM-READY",
    commands,
    timeoutSeconds,
    progress,
    signal,
  );
  const listed = await run(
    "save the guest's state",
    "qemu-img",
    ["snapshot", "-l", join(folder, DISKS.root)],
    { signal },
  );
  if (!listed.includes(SNAPSHOT))
    throw new CaptureError(`save the guest's state: no snapshot was made. ${consoleHint(console)}`);
}

/** Unpacks what the guest said of itself into `into`. @param least file that must be among it */
export async function readFacts(
  folder: string,
  into: string,
  least: string,
  signal?: AbortSignal,
): Promise<void> {
  const raw = join(folder, "facts.raw");
  await run("read the guest's facts", "qemu-img", ["convert", "-O", "raw", join(folder, DISKS.facts), raw], {
    signal,
  });
  // The archive is followed by the rest of the disk, which gzip complains about and tar does not need.
  await run(
    "read the guest's facts",
    "bash",
    [
      "-c",
      'gzip -dcq "$1" 2>/dev/null | tar -x --no-same-owner --no-same-permissions -C "$2"',
      "facts",
      raw,
      into,
    ],
    { signal },
  );
  rmSync(raw);
  if (!existsSync(join(into, least)))
    throw new CaptureError("read the guest's facts: the guest handed over none");
}

export interface Recording {
  plugin: string;
  raw: string;
  /** Guest time that an instruction takes: a power of two. */
  nsPerInstruction: number;
  /** Offsets in the kernel's task_struct. */
  task: Record<string, number>;
  /** Names of files whose use is to be marked, and the addresses of the kernel's code that reads such names. */
  names?: { paths: string[]; from: number; to: number };
  /** Folder for what the guest says of itself after the recording. */
  after?: string;
}

/** Goes on from the saved state under the recorder, on a clock that counts instructions. */
export async function record(
  parts: Parts,
  snapshot: string,
  scratch: string,
  console: string,
  recording: Recording,
  timeoutSeconds: number,
  progress: ProgressSink,
  signal?: AbortSignal,
): Promise<void> {
  // The guest writes to its disks: it gets copies, the cached state stays as it is.
  for (const disk of Object.values(DISKS)) copyFileSync(join(snapshot, disk), join(scratch, disk));
  const settings = Object.entries(recording.task).map(([name, offset]) => `,${name}=${offset}`);
  if (recording.names !== undefined) {
    const { paths, from, to } = recording.names;
    settings.push(`,names-from=${address(from)},names-to=${address(to)}`);
    for (const path of paths) settings.push(`,name=${quoted(path)}`);
  }
  const args = [
    ...machineArguments(parts, scratch, console),
    ...[
      "-accel",
      "tcg,thread=single",
      "-icount",
      `shift=${Math.log2(recording.nsPerInstruction)},sleep=off,align=off`,
      "-loadvm",
      SNAPSHOT,
    ],
    ...["-plugin", `${quoted(recording.plugin)},out=${quoted(recording.raw)}${settings.join("")}`],
  ];
  try {
    await runGuest("record", args, console, "MUSWARM-DONE", "quit\n", timeoutSeconds, progress, signal);
    if (recording.after !== undefined) {
      mkdirSync(recording.after, { recursive: true });
      await readFacts(scratch, recording.after, "function-pids", signal);
    }
  } finally {
    for (const disk of Object.values(DISKS)) rmSync(join(scratch, disk), { force: true });
  }
}

/** A kernel address of 48 bits as the recorder sees it. */
function address(value: number): string {
  return BigInt.asUintN(64, BigInt.asIntN(48, BigInt(value))).toString(16);
}

/** Runs the emulator until the guest's console says `until`, then gives it the monitor commands. */
async function runGuest(
  step: string,
  args: string[],
  console: string,
  until: string,
  commands: string,
  timeoutSeconds: number,
  progress: ProgressSink,
  signal?: AbortSignal,
): Promise<void> {
  const child = start("qemu-system-x86_64", args, { signal });
  let errors = "";
  let ended = false;
  child.stderr?.on("data", (data: Buffer) => {
    errors = (errors + data.toString("utf8")).slice(-4000);
  });
  child.stdout?.resume();
  child.stdin?.on("error", () => {});
  const end = new Promise<number | null>((resolve, reject) => {
    child.on("error", (error) =>
      reject(
        new CaptureError(
          signal?.aborted ? `${step}: interrupted` : `${step}: qemu-system-x86_64: ${error.message}`,
        ),
      ),
    );
    child.on("close", (code) => {
      ended = true;
      resolve(code);
    });
  });
  end.catch(() => {});
  const deadline = Date.now() + timeoutSeconds * 1000;
  const started = Date.now();
  let said = "";
  try {
    for (;;) {
      const text = existsSync(console) ? readFileSync(console, "utf8") : "";
      const failed = /^MUSWARM-FAIL (.*)$/m.exec(text);
      if (failed !== null)
        throw new CaptureError(`${step}: the guest says: ${failed[1].trim()}. ${consoleHint(console)}`);
      if (text.includes("Kernel panic"))
        throw new CaptureError(`${step}: the guest's kernel panicked. ${consoleHint(console)}`);
      if (text.includes(until)) break;
      const doing = [...text.matchAll(/^MUSWARM-STEP (\w+)/gm)].at(-1)?.[1] ?? "";
      if (doing !== said) progress.log(`guest: ${doing}`);
      said = doing;
      const seconds = (Date.now() - started) / 1000;
      progress.progress(Math.min(0.99, seconds / (seconds + 10)), `${step} (${seconds.toFixed(0)} s)`);
      if (ended) {
        await end;
        if (signal?.aborted) throw new CaptureError(`${step}: interrupted`);
        throw new CaptureError(
          `${step}: the emulator ended early: ${errors.trim() || "no message"}. ${consoleHint(console)}`,
        );
      }
      if (Date.now() > deadline)
        throw new CaptureError(`${step}: nothing after ${timeoutSeconds} s. ${consoleHint(console)}`);
      await Promise.race([new Promise((resolve) => setTimeout(resolve, POLL_MS)), end]);
    }
    child.stdin?.write(commands);
    const code = await end;
    if (code !== 0)
      throw new CaptureError(
        `${step}: the emulator ended with ${code}: ${errors.trim()}. ${consoleHint(console)}`,
      );
  } finally {
    if (!ended) child.kill("SIGKILL");
  }
}

function consoleHint(console: string): string {
  return `The guest's console is in ${console}`;
}

export function machineSummary(cores: number): string {
  return `q35, ${cores} cores (max), ${MEMORY_MIB} MiB; kernel command line: ${kernelCommandLine(cores)}`;
}
