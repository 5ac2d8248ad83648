import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { Cache } from "../../src/capture/cache.js";
import { findKernel, imageVersion, nearestKernel } from "../../src/capture/kernel.js";
import { findModules, unpackModule } from "../../src/capture/modules.js";

const root = mkdtempSync(join(tmpdir(), "muswarm-kernel-"));
afterAll(() => rmSync(root, { recursive: true }));

/** An ELF file with the section that says what a module needs. */
function module(...info: string[]): Buffer {
  const text = Buffer.from(`\0${info.map((line) => `${line}\0`).join("")}`, "latin1");
  const names = Buffer.from("\0.modinfo\0.shstrtab\0", "latin1");
  const sections = 64 + text.length + names.length;
  const file = Buffer.alloc(sections + 3 * 64);
  file.write("\x7fELF\x02\x01\x01", "latin1");
  for (const [at, value] of [[16, 1], [18, 62], [52, 64], [58, 64], [60, 3], [62, 2]]) file.writeUInt16LE(value, at); // biome-ignore format: pairs
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(sections), 40);
  text.copy(file, 64);
  names.copy(file, 64 + text.length);
  for (const [i, name, type, from, size] of [
    [1, 1, 1, 64, text.length],
    [2, 10, 3, 64 + text.length, names.length],
  ]) {
    const at = sections + i * 64;
    file.writeUInt32LE(name, at);
    file.writeUInt32LE(type, at + 4);
    file.writeBigUInt64LE(BigInt(from), at + 24);
    file.writeBigUInt64LE(BigInt(size), at + 32);
  }
  return file;
}

/** A kernel image that says it is this version. */
function image(version: string): Buffer {
  const file = Buffer.alloc(0x4000);
  file.write("HdrS", 0x202, "latin1");
  file.writeUInt16LE(0x3000 - 0x200, 0x20e);
  file.write(`${version} (somebody@somewhere) #1 SMP`, 0x3000, "latin1");
  return file;
}

describe("a kernel's modules", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(root, "modules-"));
  });
  const put = (path: string, data: Buffer | string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), data);
  };
  const order = (...names: string[]) => findModules(folder, names).map((file) => basename(file));

  test("come after those that they need, each once", () => {
    put(
      "kernel/fs/ext4/ext4.ko",
      module("license=GPL", "depends=jbd2,mbcache", "softdep=pre: absent crypto-crc32c post: late"),
    );
    put("kernel/fs/jbd2/jbd2.ko", module("depends=crc16", "softdep=pre: crypto-crc32c"));
    put("kernel/lib/crc16.ko", module("depends="));
    put("kernel/fs/mbcache.ko", module());
    put("kernel/crypto/crc32c_generic.ko", module("depends=", "alias=crc32c"));
    put("kernel/late.ko", module());
    expect(order("jbd2", "ext4")).toEqual([
      "crc32c_generic.ko",
      "crc16.ko",
      "jbd2.ko",
      "mbcache.ko",
      "ext4.ko",
    ]);
  });

  test("have names in which a dash is an underscore", () => {
    put("kernel/virtio-blk.ko", module("depends=virtio-ring"));
    put("kernel/virtio_ring.ko", module());
    expect(order("virtio_blk")).toEqual(["virtio_ring.ko", "virtio-blk.ko"]);
  });

  test("that are built in need no file, others do", () => {
    put("modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/drivers/net/veth.ko\n");
    put("kernel/overlay.ko", module("depends=ext4"));
    expect(order("ext4", "overlay")).toEqual(["overlay.ko"]);
    expect(() => order("virtio_blk")).toThrow(/kernel: no module virtio_blk in .*, and it is not built in/);
  });

  test("may be packed", () => {
    const plain = module("depends=other");
    put("kernel/one.ko.gz", gzipSync(plain));
    put("kernel/other.ko", module());
    expect(order("one")).toEqual(["other.ko", "one.ko.gz"]);
    expect(unpackModule(join(folder, "kernel/one.ko.gz"))).toEqual(plain);
    put("kernel/odd.ko.lz", "?");
    expect(() => unpackModule(join(folder, "kernel/odd.ko.lz"))).toThrow(
      /kernel: cannot unpack .*odd\.ko\.lz/,
    );
  });
});

test.each([
  ["cloud-amd46", ' Did you mean "cloud-amd64"?'],
  ["6.1.0-47", ' Did you mean "6.1.0-47-amd64"?'],
  ["6.1.0-49-claud-amd64", ' Did you mean "6.1.0-49-cloud-amd64"?'],
  [
    "zfs",
    " Known: amd64, cloud-amd64, and what apt-cache pkgnames linux-image- lists. A path has a / in it.",
  ],
])("a kernel %s that the archive does not have is answered with the nearest that it has", (name, answer) => {
  const versions = ["6.1.0-47", "6.1.0-48", "6.1.0-49"];
  const known = [...versions.flatMap((v) => [`${v}-amd64`, `${v}-cloud-amd64`]), "amd64", "cloud-amd64"];
  expect(nearestKernel(name, known)).toBe(answer);
});

describe("a kernel given by its path", () => {
  const cache = new Cache(join(root, "cache"));
  const find = (path: string) => findKernel(path, cache);

  test("says its version", () => {
    expect(imageVersion(image("6.1.0-47-cloud-amd64"))).toBe("6.1.0-47-cloud-amd64");
    expect(imageVersion(Buffer.alloc(0x4000))).toBeUndefined();
    expect(imageVersion(Buffer.from("MZ"))).toBeUndefined();
  });

  test("has its modules beside it, or beside the folder that it is in", async () => {
    const modules = join(root, "lib/modules/6.1.99-own");
    mkdirSync(modules, { recursive: true });
    mkdirSync(join(root, "boot"), { recursive: true });
    const file = join(root, "boot/vmlinuz-own");
    writeFileSync(file, image("6.1.99-own"));
    await expect(find(file)).rejects.toThrow(/no module virtio_pci/);
    const names = ["virtio_pci", "virtio_blk", "ext4", "overlay", "veth"];
    writeFileSync(join(modules, "modules.builtin"), names.map((name) => `kernel/${name}.ko\n`).join(""));
    const source = await find(file);
    expect(source).toMatchObject({ kind: "image", image: file, version: "6.1.99-own", modules });

    writeFileSync(join(modules, "veth.ko"), module());
    const other = await find(file);
    expect(JSON.stringify(other)).not.toBe(JSON.stringify(source));
  });

  test.each([
    ["absent/vmlinuz", null, /kernel: no file .*absent\/vmlinuz/],
    [
      "no-kernel",
      Buffer.from("#!/bin/sh"),
      /no-kernel is neither a Debian package nor an x86-64 kernel image/,
    ],
    [
      "vmlinuz-lone",
      image("6.9.0"),
      /vmlinuz-lone is 6\.9\.0; its modules are in none of .*lib\/modules\/6\.9\.0/,
    ],
  ])("that is wrong (%s) is refused with the reason", async (name, data, message) => {
    if (data !== null) writeFileSync(join(root, name), data);
    await expect(find(join(root, name))).rejects.toThrow(message);
  });

  test("may be a Debian package, known by what is in it", async () => {
    const file = join(root, "own.deb");
    writeFileSync(file, "!<arch>\nfirst");
    const first = await find(file);
    writeFileSync(file, "!<arch>\nsecond");
    expect(first).toMatchObject({ kind: "file", file });
    expect(await find(file)).not.toEqual(first);
  });
});
