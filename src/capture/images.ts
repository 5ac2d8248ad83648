import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { bundleConfig } from "./bundle.js";
import { type Cache, hashOf, hashTree } from "./cache.js";
import { CAPTURE_FOLDER, type Companion, type FunctionSpec } from "./functions.js";
import { run } from "./host.js";
import type { ContainerProcess } from "./image/index.js";
import { closure, fetchPackages, type Package, unpack } from "./packages.js";

/** What every guest has. */
const BASE_PACKAGES = [
  "busybox-static",
  "bash",
  "coreutils",
  "dash",
  "grep",
  "gzip",
  "hostname",
  "iproute2",
  "mount",
  "procps",
  "sed",
  "tar",
  "util-linux",
];
export interface Base {
  /** Folder with `root/` (the guest's files) and `base.img`. */
  folder: string;
  packages: Package[];
}

/** The guest's root file system: container runtime, tools and what the function's runtime needs. */
export async function buildBase(
  extra: readonly string[],
  runtime: string,
  cache: Cache,
  signal?: AbortSignal,
): Promise<Base> {
  const packages = await closure([...BASE_PACKAGES, runtime, ...extra], cache, signal);
  const python = packages.find(({ name }) => /^python3\.\d+$/.test(name))?.name;
  const inputs = { packages, layout: 2, ...(python === undefined ? {} : { compiled: 1 }) };
  const folder = await cache.get("base", inputs, async (into) => {
    const root = join(into, "root");
    await unpack(await fetchPackages(packages, join(cache.folder, "packages"), signal), root, signal);
    if (python !== undefined) await compilePython(root, python, signal);
    mkdirSync(join(root, "muswarm"));
    mkdirSync(join(root, "etc"), { recursive: true });
    writeFileSync(
      join(root, "etc/passwd"),
      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    );
    writeFileSync(join(root, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
    writeFileSync(join(root, "etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n");
    await makeImage(root, join(into, "base.img"), 256, signal);
  });
  return { folder, packages };
}

/**
 * What installing Debian's Python packages does: their modules as byte code, made by the root's own Python. Without it
 * each start of a function would compile all that it imports, as no container of the field does.
 */
async function compilePython(root: string, python: string, signal?: AbortSignal): Promise<void> {
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  const loader = [join(libraries, "ld-linux-x86-64.so.2"), "--library-path", libraries];
  const folders = ["python3", python].map((name) => join(root, "usr/lib", name));
  // The names in the byte code are those that the guest will see.
  const compile = ["-m", "compileall", "-q", "-s", root, "-p", "/", ...folders];
  const env = { PYTHONHOME: join(root, "usr"), PYTHONHASHSEED: "0" };
  const [command, ...args] = [...loader, join(root, "usr/bin", python), ...compile];
  await run("compile the Python modules", command, args, { env, signal });
}

/**
 * An ext4 image of a folder, with that much room left in it. Everything in it is root's, except what was
 * unpacked under fakeroot, which remembers it in the file `state`.
 */
async function makeImage(
  from: string,
  image: string,
  roomMiB: number,
  signal?: AbortSignal,
  state?: string,
): Promise<void> {
  const used = Number(
    (await run("measure a folder", "du", ["-s", "-m", "--apparent-size", from], { signal })).split("\t")[0],
  );
  const blocks = Number((await run("measure a folder", "du", ["-s", "-m", from], { signal })).split("\t")[0]);
  const size = `${Math.ceil(Math.max(used, blocks) * 1.15) + roomMiB}M`;
  const args = [
    "-q",
    "-t",
    "ext4",
    "-E",
    "root_owner=0:0,hash_seed=6d757377-6172-6d00-0000-000000000000",
    "-U",
    "6d757377-6172-6d00-0000-000000000001",
    "-d",
    from,
    image,
    size,
  ];
  if (state !== undefined)
    await run("make a disk image", "fakeroot", ["-i", state, "mke2fs", ...args], { signal });
  else if (process.getuid?.() === 0) await run("make a disk image", "mke2fs", args, { signal });
  else await run("make a disk image", "fakeroot", ["mke2fs", ...args], { signal });
}

export interface FunctionImageParts {
  spec: FunctionSpec;
  process: ContainerProcess;
  /** The container's core. */
  core: number;
  /** Folder that becomes /app over the guest's files; or archive of all files of the container. */
  app?: string;
  rootfs?: string;
  /** Folder that holds the client. */
  client: string;
  /** Functions that run beside it: folders by name. */
  companions: Record<string, string>;
  /** The client's calls. */
  calls: readonly string[];
  settings: Record<string, string>;
}

/** Folder with `tree/` and `function.img`: the disk that makes a guest run this function. */
export async function buildFunctionImage(
  parts: FunctionImageParts,
  cache: Cache,
  signal?: AbortSignal,
): Promise<string> {
  const init = join(CAPTURE_FOLDER, "guest", "init");
  const config = bundleConfig(parts.process, parts.core);
  const script = companionScript(parts.spec.companions);
  const inputs = {
    app: basename(parts.app ?? dirname(parts.rootfs ?? "")),
    client: basename(parts.client),
    init: hashTree(init),
    config,
    companions: parts.companions,
    script,
    calls: hashOf(parts.calls.join("\n")),
    settings: parts.settings,
  };
  return cache.get(`disk-${parts.spec.name}`, inputs, async (into) => {
    const tree = join(into, "tree");
    mkdirSync(join(tree, "rootfs"), { recursive: true });
    if (parts.app !== undefined) cpSync(parts.app, join(tree, "rootfs/app"), { recursive: true });
    cpSync(join(parts.client, "client"), join(tree, "client"));
    cpSync(init, join(tree, "init"));
    chmodSync(join(tree, "init"), 0o755);
    writeFileSync(join(tree, "config.json"), JSON.stringify(config));
    for (const [name, from] of Object.entries(parts.companions))
      cpSync(from, join(tree, "companions", name), { recursive: true });
    writeFileSync(join(tree, "companions.sh"), script);
    writeFileSync(join(tree, "calls"), parts.calls.map((line) => `${line}\n`).join(""));
    const lines = Object.entries(parts.settings).map(([name, value]) => `${name}=${quoted(value)}\n`);
    writeFileSync(join(tree, "settings"), lines.join(""));
    let state: string | undefined;
    if (parts.rootfs !== undefined) {
      // Owners and devices of the image's files are remembered, not made: that takes no root.
      state = join(into, "fakeroot");
      const unpack = [
        "-x",
        "-p",
        "--numeric-owner",
        "--same-owner",
        "-C",
        join(tree, "rootfs"),
        "-f",
        parts.rootfs,
      ];
      await run("unpack the image", "fakeroot", ["-s", state, "tar", ...unpack], { signal });
    }
    await makeImage(tree, join(into, "function.img"), 16, signal, state);
  });
}

/** What init reads to start the companions: `companion NAME PORT command...` lines. */
export function companionScript(companions: readonly Companion[]): string {
  return companions
    .map(({ name, port, command, env }) => {
      const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
      const words = variables.length === 0 ? command : ["env", ...variables, ...command];
      return `companion ${name} ${port} ${words.map(quoted).join(" ")}\n`;
    })
    .join("");
}

/** A word for the guest's shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export function versionOf(base: Base, name: string): string {
  return base.packages.find((p) => p.name === name)?.version ?? "";
}
