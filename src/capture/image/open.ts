import {
  createWriteStream,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { InputError } from "../../errors.js";
import { type Archive, compressionOf, digestOf, readArchive } from "./blob.js";

/** What an image says about how to run it. */
export interface ImageConfig {
  entrypoint: readonly string[];
  cmd: readonly string[];
  env: readonly string[];
  /** "" = the root. */
  workdir: string;
  /** "name", "uid", either with ":group"; "" = root. */
  user: string;
}

export interface Layer extends Archive {
  /** SHA-256 that the uncompressed layer must have, or "". */
  diffId: string;
}

/** An opened image: from lowest to highest either its layers or, of a bundle, the folder with its files. */
export interface Image {
  /** Name and tag as the image gives them, or "". */
  reference: string;
  config: ImageConfig;
  layers: Layer[];
  rootfs?: string;
  /** What identifies the content: digest of its configuration; "" of a bundle. */
  digest: string;
}

const strings = z.array(z.string()).nullish();
const configSchema = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z
    .object({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string()) }).optional(),
});
const dockerSchema = z
  .array(z.object({ Config: z.string(), RepoTags: strings, Layers: z.array(z.string()) }))
  .min(1);
const descriptor = z.object({
  mediaType: z.string().optional(),
  digest: z.string(),
  platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
type Descriptor = z.infer<typeof descriptor>;
const indexSchema = z.object({ manifests: z.array(descriptor) });
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor) });
const bundleSchema = z.object({
  root: z.object({ path: z.string() }).optional(),
  process: z.object({
    args: z.array(z.string()),
    env: z.array(z.string()).optional(),
    cwd: z.string().optional(),
    user: z.object({ uid: z.int(), gid: z.int() }).optional(),
  }),
});

const FORMS =
  "an OCI bundle (config.json and rootfs), an OCI image layout (folder or archive) or an archive of `docker save`";
const MAX_INDEXES = 8;

/**
 * Opens an image.
 * @param path folder or archive
 * @param scratch folder that an archive may be unpacked to; needed as long as the image is
 * @throws InputError, one line, naming the file and what is wrong with it
 */
export async function openImage(path: string, scratch: string, signal?: AbortSignal): Promise<Image> {
  if (!existsSync(path)) throw new InputError(`image: no file or folder ${path}`);
  if (statSync(path).isDirectory()) return openFolder(path, path, signal);
  if (!statSync(path).isFile()) throw new InputError(`image: ${path} is neither a file nor a folder`);
  const folder = join(scratch, "archive");
  mkdirSync(folder, { recursive: true });
  await unpackArchive(path, folder, signal);
  return openFolder(folder, path, signal);
}

/** Unpacks the files of an image's archive: not yet the image's own. Links among them are followed. */
async function unpackArchive(path: string, folder: string, signal?: AbortSignal): Promise<void> {
  const links: [string, string][] = [];
  const inside = (name: string): string => {
    const clean = normalize(name);
    if (clean.startsWith("..") || clean.startsWith("/")) throw new InputError(`${name} leaves the archive`);
    return join(folder, clean);
  };
  const archive = { file: path, compression: compressionOf(path, `image: ${path}`), what: `image: ${path}` };
  await readArchive(
    archive,
    async (entry, _, bytes) => {
      const to = inside(entry.name);
      if (entry.type === "symlink") links.push([to, inside(join(dirname(entry.name), entry.linkname))]);
      if (entry.type === "link") links.push([to, inside(entry.linkname)]);
      if (entry.type !== "file") return;
      mkdirSync(dirname(to), { recursive: true });
      await pipeline(bytes, createWriteStream(to), { signal });
    },
    signal,
  );
  for (const [to, target] of links) {
    mkdirSync(dirname(to), { recursive: true });
    if (existsSync(target) && !existsSync(to)) linkSync(target, to);
  }
}

/** @param name of the image, for messages */
async function openFolder(folder: string, name: string, signal?: AbortSignal): Promise<Image> {
  const has = (file: string) => existsSync(join(folder, file));
  if (has("index.json")) return openLayout(folder, name, signal);
  if (has("manifest.json")) return openDocker(folder, name, signal);
  if (has("config.json")) return openBundle(folder, name);
  throw new InputError(`image: ${name} is not ${FORMS}${foundIn(folder)}`);
}

function foundIn(folder: string): string {
  const names = readdirSync(folder).sort();
  if (names.length === 0) return "; nothing is in it";
  const rootfs = ["bin", "usr", "etc"].every((each) => names.includes(each));
  if (rootfs)
    return "; it has the files of a container, but not how to start it (`docker export`? use `docker save`)";
  return `; in it: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", ..." : ""}`;
}

function openBundle(folder: string, name: string): Image {
  const file = join(folder, "config.json");
  const { root, process } = read(bundleSchema, file, `image: ${name}/config.json`);
  const rootfs = join(folder, root?.path ?? "rootfs");
  if (!existsSync(rootfs))
    throw new InputError(`image: ${name}: config.json names ${rootfs}, which is not there`);
  const { args, env = [], cwd = "/", user } = process;
  const config = {
    entrypoint: args,
    cmd: [],
    env,
    workdir: cwd,
    user: user === undefined ? "" : `${user.uid}:${user.gid}`,
  };
  return { reference: "", config, layers: [], rootfs, digest: "" };
}

/** The older form of `docker save`. */
async function openDocker(folder: string, name: string, signal?: AbortSignal): Promise<Image> {
  const images = read(dockerSchema, join(folder, "manifest.json"), `image: ${name}: manifest.json`);
  if (images.length > 1) {
    const tags = images.map((image) => image.RepoTags?.[0] ?? "(no name)");
    throw new InputError(`image: ${name} has ${images.length} images (${tags.join(", ")}); save one alone`);
  }
  const [{ Config, RepoTags, Layers }] = images;
  const config = fileIn(folder, Config, name);
  const digest = await digestOf(config, signal);
  // The configuration's name is its digest.
  const named = /([0-9a-f]{64})(\.json)?$/.exec(Config)?.[1];
  if (named !== undefined && named !== digest)
    throw new InputError(`image: ${name}: ${Config} is damaged: its SHA-256 is ${digest}`);
  const layers = Layers.map((layer) => fileIn(folder, layer, name));
  return described(name, RepoTags?.[0] ?? "", config, digest, layers);
}

async function openLayout(folder: string, name: string, signal?: AbortSignal): Promise<Image> {
  const { manifests } = read(indexSchema, join(folder, "index.json"), `image: ${name}: index.json`);
  const images = manifests.filter((each) => !isAttestation(each));
  const reference = (each: Descriptor) =>
    each.annotations?.["io.containerd.image.name"] ??
    each.annotations?.["org.opencontainers.image.ref.name"] ??
    "";
  let chosen = images.length === 1 ? images[0] : platformOf(images, name);
  const title = reference(chosen);
  for (let depth = 0; /index|manifest\.list/.test(chosen.mediaType ?? ""); depth++) {
    if (depth === MAX_INDEXES) throw new InputError(`image: ${name}: its indexes lead to no manifest`);
    const file = await blob(folder, chosen.digest, name, signal);
    const inner = read(indexSchema, file, `image: ${name}: index ${short(chosen.digest)}`);
    chosen = platformOf(
      inner.manifests.filter((each) => !isAttestation(each)),
      name,
    );
  }
  const manifest = read(
    manifestSchema,
    await blob(folder, chosen.digest, name, signal),
    `image: ${name}: manifest ${short(chosen.digest)}`,
  );
  const config = await blob(folder, manifest.config.digest, name, signal);
  const layers: string[] = [];
  for (const layer of manifest.layers) layers.push(await blob(folder, layer.digest, name, signal));
  return described(name, title, config, short(manifest.config.digest, 64), layers);
}

/** What build tools add to an index to say where an image is from. */
function isAttestation(each: Descriptor): boolean {
  return (
    each.annotations?.["vnd.docker.reference.type"] !== undefined || each.platform?.architecture === "unknown"
  );
}

/** The one of an index that is for this machine. */
function platformOf(manifests: readonly Descriptor[], name: string): Descriptor {
  const fitting = manifests.filter(
    ({ platform }) => platform?.architecture === "amd64" && platform.os === "linux",
  );
  if (fitting.length === 1) return fitting[0];
  if (manifests.length === 1 && manifests[0].platform === undefined) return manifests[0];
  if (fitting.length > 1 || manifests.every(({ platform }) => platform === undefined))
    throw new InputError(`image: ${name} has ${manifests.length} images; save one alone`);
  const known = manifests.map(({ platform }) =>
    platform === undefined ? "unnamed" : `${platform.os}/${platform.architecture}`,
  );
  throw new InputError(`image: ${name} has nothing for linux/amd64, only for ${known.join(", ")}`);
}

/** File of a blob, whose digest is checked. */
async function blob(folder: string, digest: string, name: string, signal?: AbortSignal): Promise<string> {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (hex === undefined) throw new InputError(`image: ${name}: digest "${digest}" is not one of SHA-256`);
  const file = fileIn(folder, `blobs/sha256/${hex}`, name);
  const found = await digestOf(file, signal);
  if (found !== hex)
    throw new InputError(`image: ${name}: blob ${short(digest)} is damaged: its SHA-256 is ${found}`);
  return file;
}

function fileIn(folder: string, file: string, name: string): string {
  const path = join(folder, normalize(`/${file}`));
  if (!existsSync(path)) throw new InputError(`image: ${name}: ${file} is missing`);
  return path;
}

function described(name: string, reference: string, file: string, digest: string, files: string[]): Image {
  const { architecture, os, config, rootfs } = read(configSchema, file, `image: ${name}: configuration`);
  if ((architecture ?? "amd64") !== "amd64" || (os ?? "linux") !== "linux")
    throw new InputError(`image: ${name} is for ${os}/${architecture}, not for linux/amd64`);
  const diffIds = rootfs?.diff_ids ?? [];
  if (diffIds.length !== files.length)
    throw new InputError(`image: ${name} has ${files.length} layers, its configuration ${diffIds.length}`);
  const layers = files.map((layer, i) => {
    const what = `image: ${name}: layer ${i + 1} of ${files.length}`;
    return {
      file: layer,
      compression: compressionOf(layer, what),
      what,
      diffId: diffIds[i].replace("sha256:", ""),
    };
  });
  const { Entrypoint, Cmd, Env, WorkingDir, User } = config ?? {};
  return {
    reference,
    config: {
      entrypoint: Entrypoint ?? [],
      cmd: Cmd ?? [],
      env: Env ?? [],
      workdir: WorkingDir ?? "",
      user: User ?? "",
    },
    layers,
    digest,
  };
}

function read<T>(schema: z.ZodType<T>, file: string, what: string): T {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new InputError(`${what}: ${(error as Error).message}`);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new InputError(`${what}: ${issue.path.join(".") || "the document"}: ${issue.message}`);
}

function short(digest: string, digits = 12): string {
  return digest.replace("sha256:", "").slice(0, digits);
}

/** A name for the function: of the image, else of its file. */
export function imageName(path: string, reference = ""): string {
  const last =
    (reference || basename(path).replace(/(\.tar)?(\.(gz|tgz|zst|tar))?$/, "")).split("/").at(-1) ?? "";
  return last.replace(/[:@].*$/, "").replaceAll(/[^\w-]+/g, "-") || "image";
}
