import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../cache.js";
import { ensureHostPackages, type ProgressSink } from "../host.js";
import { compressionOf, digestOf } from "./blob.js";
import { type Image, type ImageConfig, openImage } from "./open.js";
import { type Accounts, writeRootfs } from "./rootfs.js";

export { imageName } from "./open.js";
export { type ContainerProcess, processOf } from "./rootfs.js";

/** An image whose layers are one. */
export interface FlatImage {
  /** Archive of its files. */
  rootfs: string;
  /** Name and tag, or "". */
  reference: string;
  config: ImageConfig;
  /** SHA-256 of its configuration; of a bundle, of the archive. */
  digest: string;
  accounts: Accounts;
}

const ARCHIVE = "rootfs.tar";

/** Opens and checks an image and puts its layers together; the result is kept. Throws InputError in one line. */
export async function flattenImage(
  path: string,
  cache: Cache,
  progress: ProgressSink,
  signal?: AbortSignal,
): Promise<FlatImage> {
  const scratch = cache.temporary("image");
  mkdirSync(scratch);
  try {
    if (existsSync(path) && statSync(path).isFile() && compressionOf(path, `image: ${path}`) === "zstd")
      await ensureHostPackages(progress, ["zstd"], signal);
    const image = await openImage(path, scratch, signal);
    if (image.layers.some((layer) => layer.compression === "zstd"))
      await ensureHostPackages(progress, ["zstd"], signal);
    const { digest, config } = image;
    const folder =
      digest === ""
        ? await keepBundle(image, scratch, cache, signal)
        : await cache.get("image", { digest, layout: 1 }, async (into) => keep(image, digest, into, signal));
    const kept = JSON.parse(readFileSync(join(folder, "image.json"), "utf8"));
    return { ...kept, config, reference: image.reference, rootfs: join(folder, ARCHIVE) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function keep(image: Image, digest: string, into: string, signal?: AbortSignal): Promise<void> {
  const accounts = await writeRootfs(image, join(into, ARCHIVE), signal);
  writeFileSync(join(into, "image.json"), JSON.stringify({ digest, accounts }));
}

/** A bundle bears no digest: only its archive tells whether it has changed. */
async function keepBundle(
  image: Image,
  scratch: string,
  cache: Cache,
  signal?: AbortSignal,
): Promise<string> {
  const archive = join(scratch, ARCHIVE);
  const accounts = await writeRootfs(image, archive, signal);
  const digest = await digestOf(archive, signal);
  return cache.get("image", { archive: digest, layout: 1 }, (into) => {
    renameSync(archive, join(into, ARCHIVE));
    writeFileSync(join(into, "image.json"), JSON.stringify({ digest, accounts }));
  });
}
