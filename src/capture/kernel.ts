import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { InputError, nearest } from "../errors.js";
import { type Cache, hashOf, hashTree } from "./cache.js";
import { CAPTURE_FOLDER } from "./functions.js";
import { CaptureError, run } from "./host.js";
import { type Base, versionOf } from "./images.js";
import { findModules, unpackModule } from "./modules.js";
import { closure, ensureLists, fetchPackages, type Package, unpack } from "./packages.js";

export const DEFAULT_KERNEL = "cloud-amd64";

/** What the guest's root and network need, where it is not built in. */
const MODULES = ["virtio_pci", "virtio_blk", "ext4", "overlay", "veth"];

/** Where a kernel comes from: a package of the archive, one that somebody has built, or an image with modules beside it. */
export type KernelSource =
  | { kind: "package"; package: Package }
  | { kind: "file"; file: string; hash: string }
  | { kind: "image"; image: string; version: string; modules: string; hash: string };

/** Folder with `vmlinuz` and `initrd.img`. */
export interface Kernel {
  folder: string;
  version: string;
}

/**
 * @param name what stands behind "linux-image-" in the name of one of Debian's packages ("amd64",
 *   "6.1.0-47-cloud-amd64"), the path of such a package or of a kernel image; throws InputError where there is none
 */
export async function findKernel(name: string, cache: Cache, signal?: AbortSignal): Promise<KernelSource> {
  if (name.includes("/") || name.endsWith(".deb")) return kernelFile(resolve(name));
  const flavour = name.replace(/^linux-image-/, "");
  await ensureLists(signal);
  const known = await archiveKernels(signal);
  if (!known.includes(flavour))
    throw new InputError(
      `kernel: the archive has no linux-image-${flavour}.${nearestKernel(flavour, known)}`,
    );
  const asked = `linux-image-${flavour}`;
  const kernels = (await closure([asked], cache, signal)).filter((p) => /^linux-image-\d/.test(p.name));
  // A package that only depends on the newest of its kind has no kernel.
  const found = kernels.find((p) => p.name !== asked) ?? kernels[0];
  if (found === undefined) throw new CaptureError(`kernel: ${asked} depends on no kernel`);
  return { kind: "package", package: found };
}

async function archiveKernels(signal?: AbortSignal): Promise<string[]> {
  const names = await run("list the kernels", "apt-cache", ["pkgnames", "linux-image-"], { signal });
  return names
    .split("\n")
    .filter((name) => /^linux-image-(\d.*-)?([a-z]+-)?amd64$/.test(name))
    .map((name) => name.slice("linux-image-".length))
    .sort();
}

/** " Did you mean X?": the archive has dozens of versions, whose names are much alike. */
export function nearestKernel(name: string, known: readonly string[]): string {
  const near = known.find((each) => each.startsWith(name)) ?? nearest(name, known);
  if (near !== undefined) return ` Did you mean "${near}"?`;
  const flavours = known.filter((each) => !/^\d/.test(each));
  return ` Known: ${flavours.join(", ")}, and what apt-cache pkgnames linux-image- lists. A path has a / in it.`;
}

function kernelFile(file: string): KernelSource {
  if (!existsSync(file)) throw new InputError(`kernel: no file ${file}`);
  const data = readFileSync(file);
  if (data.subarray(0, 8).toString("latin1") === "!<arch>\n")
    return { kind: "file", file, hash: hashOf(data) };
  const version = imageVersion(data);
  if (version === undefined)
    throw new InputError(`kernel: ${file} is neither a Debian package nor an x86-64 kernel image (bzImage)`);
  const folder = dirname(file);
  const places = [folder, dirname(folder)].flatMap((root) =>
    ["lib/modules", "usr/lib/modules"].map((path) => join(root, path, version)),
  );
  const modules = places.find((place) => existsSync(place));
  if (modules === undefined)
    throw new InputError(`kernel: ${file} is ${version}; its modules are in none of ${places.join(", ")}`);
  const needed = findModules(modules, MODULES).map((module) => hashOf(readFileSync(module)));
  return { kind: "image", image: file, version, modules, hash: hashOf([hashOf(data), ...needed].join()) };
}

/** The version that a kernel image says it is; undefined where it is none. */
export function imageVersion(image: Buffer): string | undefined {
  // Linux x86 boot protocol: "HdrS" at 0x202, and at 0x20e where the version's text is, less 0x200.
  if (image.length < 0x400 || image.toString("latin1", 0x202, 0x206) !== "HdrS") return undefined;
  const at = image.readUInt16LE(0x20e) + 0x200;
  return /^[\w.+~-]+/.exec(image.toString("latin1", at, at + 200))?.[0];
}

export async function buildKernel(
  source: KernelSource,
  base: Base,
  cache: Cache,
  signal?: AbortSignal,
): Promise<Kernel> {
  const init = join(CAPTURE_FOLDER, "guest", "initrd-init");
  const inputs = {
    kernel: source.kind === "package" ? source.package : source.hash,
    init: hashTree(init),
    modules: MODULES,
    busybox: versionOf(base, "busybox-static"),
  };
  const folder = await cache.get("kernel", inputs, async (into) => {
    const unpacked = join(into, "unpacked");
    const { image, modules } = await filesOf(source, unpacked, cache, signal);
    cpSync(image, join(into, "vmlinuz"));
    writeFileSync(join(into, "version"), basename(modules));
    await makeInitrd(modules, join(base.folder, "root"), init, into, signal);
    rmSync(unpacked, { recursive: true, force: true });
  });
  const version = readFileSync(join(folder, "version"), "utf8");
  const made = source.kind === "package" ? source.package.version : `sha256 ${source.hash}`;
  return { folder, version: `${version} (${made})` };
}

/** The kernel's image, and the folder of its modules, whose name is its version. */
async function filesOf(
  source: KernelSource,
  unpacked: string,
  cache: Cache,
  signal?: AbortSignal,
): Promise<{ image: string; modules: string }> {
  if (source.kind === "image") return source;
  const files =
    source.kind === "file"
      ? [source.file]
      : await fetchPackages([source.package], join(cache.folder, "packages"), signal);
  await unpack(files, unpacked, signal);
  const boot = join(unpacked, "boot");
  const modules = join(unpacked, "usr/lib/modules");
  const image = (existsSync(boot) ? readdirSync(boot) : []).find((file) => file.startsWith("vmlinuz-"));
  const version = image?.slice("vmlinuz-".length) ?? "";
  if (image === undefined || !existsSync(join(modules, version)))
    throw new InputError(`kernel: ${basename(files[0])} has no /boot/vmlinuz-* with its modules`);
  return { image: join(boot, image), modules: join(modules, version) };
}

async function makeInitrd(
  modules: string,
  root: string,
  init: string,
  into: string,
  signal?: AbortSignal,
): Promise<void> {
  const tree = join(into, "initrd");
  for (const name of ["modules", "dev", "proc", "root"]) mkdirSync(join(tree, name), { recursive: true });
  cpSync(init, join(tree, "init"));
  chmodSync(join(tree, "init"), 0o755);
  cpSync(join(root, "usr/bin/busybox"), join(tree, "busybox"));
  const order = findModules(modules, MODULES).map((file) => {
    const name = basename(file).replace(/\.ko.*$/, ".ko");
    writeFileSync(join(tree, "modules", name), unpackModule(file));
    return name;
  });
  writeFileSync(join(tree, "modules/order"), order.map((name) => `${name}\n`).join(""));
  const script = 'cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 >"$2"';
  await run(
    "make the initrd",
    "bash",
    ["-o", "pipefail", "-c", script, "initrd", tree, join(into, "initrd.img")],
    { signal },
  );
  rmSync(tree, { recursive: true });
}
