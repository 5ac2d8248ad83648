import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { InputError } from "../errors.js";
import type { Cache } from "./cache.js";
import { CaptureError, run } from "./host.js";

/** Debian packages for the guest: fetched and unpacked, never installed, so no root is needed. */

/** Resolves against nothing installed: the whole closure, whatever this machine has. */
const NOTHING_INSTALLED = [
  "-o",
  "Dir::State::status=/dev/null",
  "-o",
  "APT::Install-Recommends=false",
  "-o",
  "Debug::NoLocking=1",
];

export interface Package {
  name: string;
  version: string;
}

/** The packages and all that they depend on, in the order of their names. Remembered while apt's lists stay the same. */
export async function closure(
  names: readonly string[],
  cache: Cache,
  signal?: AbortSignal,
): Promise<Package[]> {
  const lists = await ensureLists(signal);
  const folder = await cache.get("closure", { names, lists }, async (into) => {
    const packages = await resolve(names, signal);
    writeFileSync(join(into, "packages.json"), JSON.stringify(packages));
  });
  return JSON.parse(readFileSync(join(folder, "packages.json"), "utf8"));
}

async function resolve(names: readonly string[], signal?: AbortSignal): Promise<Package[]> {
  let text: string;
  try {
    text = await run("resolve packages", "apt-get", ["-s", ...NOTHING_INSTALLED, "install", ...names], {
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    await updateLists(signal, (error as Error).message);
    text = await run("resolve packages", "apt-get", ["-s", ...NOTHING_INSTALLED, "install", ...names], {
      signal,
    });
  }
  const packages = [...text.matchAll(/^Inst (\S+) \((\S+)/gm)].map((m) => ({ name: m[1], version: m[2] }));
  if (packages.length === 0)
    throw new CaptureError(`resolve packages: apt-get lists nothing for ${names.join(" ")}`);
  return packages.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Fetches apt's package lists where there are none. @returns when they were last changed */
export async function ensureLists(signal?: AbortSignal): Promise<number> {
  return listsDate() || updateLists(signal);
}

/** When apt's package lists were last changed; 0 where there are none. */
function listsDate(): number {
  const folder = "/var/lib/apt/lists";
  if (!existsSync(folder) || !readdirSync(folder).some((file) => file.includes("_Packages"))) return 0;
  return statSync(folder).mtimeMs;
}

async function updateLists(signal?: AbortSignal, why = "capture: apt has no package lists"): Promise<number> {
  if (process.getuid?.() !== 0) throw new InputError(`${why}. Run: sudo apt-get update`);
  await run("update package lists", "apt-get", ["update"], { signal });
  return listsDate();
}

/** Fetches packages into a folder, those that are not in it yet. @returns their files */
export async function fetchPackages(
  packages: readonly Package[],
  pool: string,
  signal?: AbortSignal,
): Promise<string[]> {
  mkdirSync(pool, { recursive: true });
  const missing = packages.filter((p) => fileOf(p, pool) === undefined);
  if (missing.length > 0) {
    const wanted = missing.map((p) => `${p.name}=${p.version}`);
    const options = { cwd: pool, signal };
    const args = [...NOTHING_INSTALLED, "-o", "APT::Sandbox::User=root", "download", ...wanted];
    try {
      await run("fetch packages", "apt-get", args, options);
    } catch (error) {
      // A version that has left the archive since the lists were fetched.
      if (signal?.aborted || process.getuid?.() !== 0) throw error;
      throw new CaptureError(
        `${(error as Error).message}\nIf the package lists are old, run: apt-get update`,
      );
    }
  }
  return packages.map((p) => {
    const file = fileOf(p, pool);
    if (file === undefined)
      throw new CaptureError(`fetch packages: ${p.name} ${p.version} did not arrive in ${pool}`);
    return join(pool, file);
  });
}

function fileOf({ name, version }: Package, pool: string): string | undefined {
  const stem = `${name}_${version.replaceAll(":", "%3a")}_`;
  return ["amd64", "all"].map((arch) => `${stem}${arch}.deb`).find((file) => existsSync(join(pool, file)));
}

/** Unpacks packages into a root folder in which /bin, /sbin and /lib* are links into /usr. */
export async function unpack(files: readonly string[], root: string, signal?: AbortSignal): Promise<void> {
  for (const name of ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
  }
  const script =
    'root=$1; shift; for f; do dpkg-deb --fsys-tarfile "$f" | tar -x --keep-directory-symlink --no-same-owner -C "$root" || exit 1; done';
  await run("unpack packages", "bash", ["-o", "pipefail", "-c", script, "unpack", root, ...files], {
    signal,
  });
  if (readdirSync(join(root, "usr")).length === 0)
    throw new CaptureError(`unpack packages: nothing arrived in ${root}`);
}
