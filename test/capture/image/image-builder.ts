import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pack } from "tar-stream";

/** Images as other programs make them, for tests. */

export interface TarEntry {
  name: string;
  type?: "file" | "directory" | "symlink" | "link";
  text?: string | Buffer;
  linkname?: string;
  mode?: number;
  uid?: number;
  gid?: number;
}

export async function tar(entries: readonly TarEntry[]): Promise<Buffer> {
  const out = pack();
  for (const { text = "", ...header } of entries) out.entry({ ...header }, text);
  out.finalize();
  const parts: Buffer[] = [];
  for await (const part of out) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** An image's configuration. */
export function imageConfig(
  layers: readonly Buffer[],
  config: object = { Entrypoint: ["/app"] },
  rest: object = {},
): Buffer {
  const diffIds = layers.map((layer) => `sha256:${sha256(layer)}`);
  const document = { architecture: "amd64", os: "linux", config, rootfs: { diff_ids: diffIds }, ...rest };
  return Buffer.from(JSON.stringify(document));
}

/** Entries of an archive of `docker save`, as its older versions write it. */
export function dockerSave(layers: readonly Buffer[], config = imageConfig(layers)): TarEntry[] {
  const name = `${sha256(config)}.json`;
  const manifest = [{ Config: name, RepoTags: ["app:1"], Layers: layers.map((_, i) => `${i}/layer.tar`) }];
  return [
    { name, text: config },
    ...layers.map((text, i) => ({ name: `${i}/layer.tar`, text })),
    { name: "manifest.json", text: JSON.stringify(manifest) },
  ];
}

/** Writes an OCI image layout and gives the hand to add to it. */
export class Layout {
  constructor(readonly folder: string) {
    mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
    writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  }

  blob(bytes: Buffer | object, mediaType: string): { mediaType: string; digest: string; size: number } {
    const content = Buffer.isBuffer(bytes) ? bytes : Buffer.from(JSON.stringify(bytes));
    const file = join(this.folder, "blobs/sha256", sha256(content));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return { mediaType, digest: `sha256:${sha256(content)}`, size: content.length };
  }

  /** @param stored the layers as they are stored: perhaps compressed */
  manifest(layers: readonly Buffer[], stored: readonly Buffer[] = layers, config = imageConfig(layers)) {
    const document = {
      schemaVersion: 2,
      config: this.blob(config, "application/vnd.oci.image.config.v1+json"),
      layers: stored.map((layer) => this.blob(layer, "application/vnd.oci.image.layer.v1.tar")),
    };
    return this.blob(document, "application/vnd.oci.image.manifest.v1+json");
  }

  index(manifests: readonly object[]): void {
    writeFileSync(join(this.folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  }
}
