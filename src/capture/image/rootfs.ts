import { createReadStream, createWriteStream, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Pack, pack } from "tar-stream";
import { InputError } from "../../errors.js";
import { pour, readArchive } from "./blob.js";
import { type ImageNode, type LayerEntry, LayerTree } from "./layer-tree.js";
import type { Image, ImageConfig } from "./open.js";

/** How a container's first process is started. */
export interface ContainerProcess {
  args: string[];
  env: string[];
  cwd: string;
  uid: number;
  gid: number;
  additionalGids: number[];
}

/** Contents of /etc/passwd and /etc/group; "" where there is none. */
export interface Accounts {
  passwd: string;
  group: string;
}

/** Files that a container engine gives a container. */
const ENGINE_FILES: Record<string, string> = {
  "etc/hosts": "127.0.0.1 localhost\n10.0.0.2 function\n10.0.0.1 host\n",
  "etc/hostname": "function\n",
  "etc/resolv.conf": "",
};
const ACCOUNT_FILES = ["etc/passwd", "etc/group"];
const MAX_ACCOUNT_BYTES = 1 << 20;

/**
 * Writes the files of an image, all layers applied, as one tar archive: folders, files, hard links, last the
 * symbolic links, so that nothing is ever written through one.
 */
export async function writeRootfs(image: Image, archive: string, signal?: AbortSignal): Promise<Accounts> {
  const tree = new LayerTree();
  if (image.rootfs !== undefined) addFolder(tree, image.rootfs);
  for (const [i, layer] of image.layers.entries()) {
    const found = await readArchive(layer, (entry, index) => tree.apply(i, index, entry), signal);
    if (layer.diffId !== "" && found !== layer.diffId)
      throw new InputError(
        `${layer.what} is damaged: its uncompressed SHA-256 is ${found}, not ${layer.diffId}`,
      );
  }
  for (const name of Object.keys(ENGINE_FILES)) {
    if (tree.find(name) === undefined) tree.apply(image.layers.length, -1, engineFile(name));
  }
  const texts = new Map(ACCOUNT_FILES.map((name) => [tree.find(name), ""]));
  const out = pack();
  const written = pipeline(out, createWriteStream(archive), { signal });
  try {
    await fill(out, tree, image, texts, signal);
    out.finalize();
  } catch (error) {
    out.destroy();
    await written.catch(() => {});
    throw error;
  }
  await written;
  const [passwd, group] = ACCOUNT_FILES.map((name) => texts.get(tree.find(name)) ?? "");
  return { passwd, group };
}

async function fill(
  out: Pack,
  tree: LayerTree,
  image: Image,
  texts: Map<ImageNode | undefined, string>,
  signal?: AbortSignal,
): Promise<void> {
  const first = new Map<ImageNode, string>();
  const byLayer = new Map<number, Map<number, ImageNode>>();
  const late: [string, ImageNode][] = [];
  await put(out, headerOf("./", tree.root));
  for (const [path, node] of tree.paths()) {
    if (node.type === "directory") await put(out, headerOf(`${path}/`, node));
    else if (first.has(node) || node.type !== "file") late.push([path, node]);
    if (node.type === "file" && !first.has(node)) {
      const entries = byLayer.get(node.layer) ?? new Map<number, ImageNode>();
      byLayer.set(node.layer, entries.set(node.entry, node));
    }
    if (!first.has(node)) first.set(node, path);
  }
  const add = async (node: ImageNode, bytes: AsyncIterable<Uint8Array>) => {
    const header = headerOf(first.get(node) as string, node);
    if (texts.has(node) && node.size <= MAX_ACCOUNT_BYTES) {
      const parts: Uint8Array[] = [];
      for await (const part of bytes) parts.push(part);
      texts.set(node, Buffer.concat(parts).toString("utf8"));
      await put(out, header, Buffer.concat(parts));
    } else await putStream(out, header, bytes);
  };
  for (const [i, layer] of image.layers.entries()) {
    const wanted = byLayer.get(i);
    if (wanted === undefined) continue;
    await readArchive(
      layer,
      async (_, index, bytes) => {
        const node = wanted.get(index);
        if (node !== undefined) await add(node, bytes);
      },
      signal,
    );
  }
  for (const [path, node] of tree.paths()) {
    if (node.type !== "file" || first.get(node) !== path) continue;
    if (node.layer === image.layers.length && node.entry === -1) {
      await put(out, headerOf(path, node), Buffer.from(ENGINE_FILES[path] ?? ""));
    } else if (image.rootfs !== undefined) await add(node, createReadStream(node.target, { signal }));
  }
  late.sort((a, b) => Number(a[1].type === "symlink") - Number(b[1].type === "symlink"));
  for (const [path, node] of late) {
    const original = first.get(node) as string;
    if (original === path) await put(out, headerOf(path, node));
    else await put(out, { ...headerOf(path, node), type: "link", linkname: original, size: 0 });
  }
}

/** Files of a folder on this machine. What belongs to who runs this is root's, as `docker` would have it. */
function addFolder(tree: LayerTree, rootfs: string): void {
  const inodes = new Map<string, string>();
  const own = process.getuid?.() ?? 0;
  const walk = (folder: string, prefix: string) => {
    for (const name of readdirSync(folder).sort()) {
      const file = join(folder, name);
      const stat = lstatSync(file);
      const key = `${stat.dev},${stat.ino}`;
      const path = prefix + name;
      const earlier = stat.isFile() && stat.nlink > 1 ? inodes.get(key) : undefined;
      const entry: LayerEntry = {
        name: path,
        type: stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "symlink" : "file",
        mode: stat.mode & 0o7777,
        uid: stat.uid === own ? 0 : stat.uid,
        gid: stat.uid === own ? 0 : stat.gid,
        mtime: Math.floor(stat.mtimeMs / 1000),
        size: stat.isFile() ? stat.size : 0,
        linkname: stat.isSymbolicLink() ? readlinkSync(file) : stat.isFile() ? file : "",
        devmajor: 0,
        devminor: 0,
      };
      if (earlier !== undefined) tree.apply(0, 0, { ...entry, type: "link", linkname: earlier });
      else if (stat.isDirectory() || stat.isSymbolicLink() || stat.isFile()) tree.apply(0, 0, entry);
      inodes.set(key, path);
      if (stat.isDirectory()) walk(file, `${path}/`);
    }
  };
  walk(rootfs, "");
}

function engineFile(name: string): LayerEntry {
  const size = ENGINE_FILES[name].length;
  const rest = { mode: 0o644, uid: 0, gid: 0, mtime: 0, linkname: "", devmajor: 0, devminor: 0 };
  return { name, type: "file", size, ...rest };
}

interface TarHeader {
  name: string;
  mode: number;
  uid: number;
  gid: number;
  mtime: Date;
  size: number;
  type: ImageNode["type"] | "link";
  linkname?: string;
  devmajor?: number;
  devminor?: number;
}

function headerOf(name: string, node: ImageNode): TarHeader {
  const { mode, uid, gid, type, devmajor, devminor } = node;
  const size = type === "file" ? node.size : 0;
  const rest = type === "symlink" ? { linkname: node.target } : {};
  const device = type === "character-device" || type === "block-device" ? { devmajor, devminor } : {};
  return { name, mode, uid, gid, mtime: new Date(node.mtime * 1000), size, type, ...rest, ...device };
}

function put(out: Pack, header: TarHeader, bytes?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    if (header.size === 0 || bytes === undefined) out.entry(header, "", done);
    else out.entry(header, bytes, done);
  });
}

async function putStream(out: Pack, header: TarHeader, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (header.size === 0) return put(out, header);
  let finish: (error?: Error | null) => void = () => {};
  const finished = new Promise<void>((resolve, reject) => {
    finish = (error) => (error ? reject(error) : resolve());
  });
  const entry = out.entry(header, (error) => finish(error));
  for await (const data of bytes) await pour(data, entry);
  entry.end(undefined);
  await finished;
}

/** @param args in place of the image's arguments (its Cmd, not its Entrypoint) */
export function processOf(
  config: ImageConfig,
  { passwd, group }: Accounts,
  own: { args: readonly string[]; env: readonly string[] },
): ContainerProcess {
  const cmd = own.args.length > 0 ? own.args : config.cmd;
  const args = [...config.entrypoint, ...cmd];
  if (args.length === 0)
    throw new InputError(
      "image: it names no program to run (Entrypoint, Cmd); give one: capture --image ... -- program args",
    );
  const account = userOf(config.user, passwd, group);
  const env = new Map<string, string>([
    ["PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  ]);
  env.set("HOME", account.home);
  for (const variable of [...config.env, ...own.env]) {
    const at = variable.indexOf("=");
    if (at > 0) env.set(variable.slice(0, at), variable.slice(at + 1));
  }
  const { uid, gid, additionalGids } = account;
  const variables = [...env].map(([name, value]) => `${name}=${value}`);
  return { args, env: variables, cwd: config.workdir || "/", uid, gid, additionalGids };
}

/** Resolves an image's user as container engines do. Throws InputError for a name that the image does not know. */
export function userOf(
  user: string,
  passwd: string,
  group: string,
): { uid: number; gid: number; additionalGids: number[]; home: string } {
  const [name, groupName] = user === "" ? ["0"] : user.split(":");
  const accounts = passwd.split("\n").map((line) => line.split(":"));
  const groups = group.split("\n").map((line) => line.split(":"));
  const isNumber = /^\d+$/.test(name);
  const account = accounts.find(
    (fields) => fields.length >= 6 && (isNumber ? fields[2] === name : fields[0] === name),
  );
  if (account === undefined && !isNumber)
    throw new InputError(`image: its user "${name}" is not in its /etc/passwd`);
  const uid = Number(account?.[2] ?? name);
  let gid = Number(account?.[3] ?? 0);
  if (groupName !== undefined && groupName !== "") {
    const found = /^\d+$/.test(groupName) ? groupName : groups.find((fields) => fields[0] === groupName)?.[2];
    if (found === undefined) throw new InputError(`image: its group "${groupName}" is not in its /etc/group`);
    gid = Number(found);
  }
  const member = account?.[0];
  const additionalGids =
    member === undefined || groupName !== undefined
      ? []
      : groups.filter((fields) => fields[3]?.split(",").includes(member)).map((fields) => Number(fields[2]));
  return { uid, gid, additionalGids, home: account?.[5] || (uid === 0 ? "/root" : "/") };
}
