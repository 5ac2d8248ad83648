import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { imageName, openImage } from "../../../src/capture/image/open.js";
import { processOf, userOf, writeRootfs } from "../../../src/capture/image/rootfs.js";
import { InputError } from "../../../src/errors.js";
import { dockerSave, imageConfig, Layout, sha256, type TarEntry, tar } from "./image-builder.js";

const root = mkdtempSync(join(tmpdir(), "muswarm-image-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "t-"));
});

const PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:100:app:/home/app:/bin/sh\n";
const GROUP = "root:x:0:\nusers:x:100:\naudio:x:29:app\n";

/** Lowest first: one with accounts and a file to hide, one that hides it and has the program twice. */
async function layers(): Promise<Buffer[]> {
  return [
    await tar([
      { name: "etc/passwd", text: PASSWD },
      { name: "etc/group", text: GROUP },
      { name: "old", text: "gone" },
      { name: "bin", type: "symlink", linkname: "usr/bin" },
    ]),
    await tar([
      { name: ".wh.old" },
      { name: "usr/bin/", type: "directory", mode: 0o750, uid: 1000, gid: 100 },
      { name: "bin/app", text: "program", mode: 0o755, uid: 1000 },
      { name: "usr/bin/same", type: "link", linkname: "usr/bin/app" },
      { name: "empty", text: "" },
    ]),
  ];
}

async function archive(entries: readonly TarEntry[], compress = (bytes: Buffer) => bytes): Promise<string> {
  const file = join(folder, "image.tar");
  writeFileSync(file, compress(await tar(entries)));
  return file;
}

const open = (path: string) => openImage(path, join(folder, "scratch"));

/** The files that an image is flattened to: `tar -tv` lines without date. */
async function flattened(path: string): Promise<string[]> {
  const out = join(folder, "rootfs.tar");
  await writeRootfs(await open(path), out);
  const text = execFileSync("tar", ["-tv", "--numeric-owner", "-f", out], { encoding: "utf8" });
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => line.replace(/ +\d+ \S+ \S+ /, " "))
    .sort();
}

const FLAT = [
  "-rw-r--r-- 0/0 empty",
  "-rw-r--r-- 0/0 etc/group",
  "-rw-r--r-- 0/0 etc/hostname",
  "-rw-r--r-- 0/0 etc/hosts",
  "-rw-r--r-- 0/0 etc/passwd",
  "-rw-r--r-- 0/0 etc/resolv.conf",
  "-rwxr-xr-x 1000/0 usr/bin/app",
  "drwxr-x--- 1000/100 usr/bin/",
  "drwxr-xr-x 0/0 ./",
  "drwxr-xr-x 0/0 etc/",
  "drwxr-xr-x 0/0 usr/",
  "hrwxr-xr-x 1000/0 usr/bin/same link to usr/bin/app",
  "lrw-r--r-- 0/0 bin -> usr/bin",
].sort();

const gzip = (bytes: Buffer) => gzipSync(bytes);
const hasZstd = spawnSync("zstd", ["--version"]).status === 0;

describe("an image", () => {
  test("of docker save, older form", async () => {
    expect(await flattened(await archive(dockerSave(await layers())))).toEqual(FLAT);
  });

  test("of docker save, compressed, whose equal layers are links", async () => {
    const [lower, upper] = await layers();
    const entries = dockerSave([lower, upper, upper]).map((each) =>
      each.name === "2/layer.tar"
        ? { name: each.name, type: "symlink" as const, linkname: "../1/layer.tar" }
        : each,
    );
    expect(await flattened(await archive(entries, gzip))).toEqual(FLAT);
  });

  test("of docker save, newer form: also an OCI layout", async () => {
    const layout = new Layout(join(folder, "layout"));
    layout.index([layout.manifest(await layers())]);
    writeFileSync(join(layout.folder, "manifest.json"), "[]");
    const file = join(folder, "new.tar");
    execFileSync("tar", ["-C", layout.folder, "-cf", file, "."]);
    expect(await flattened(file)).toEqual(FLAT);
  });

  test("that is an OCI layout in a folder, with gzip layers", async () => {
    const layout = new Layout(join(folder, "layout"));
    const plain = await layers();
    layout.index([layout.manifest(plain, plain.map(gzip))]);
    expect(await flattened(layout.folder)).toEqual(FLAT);
  });

  test.skipIf(!hasZstd)("with zstd layers", async () => {
    const layout = new Layout(join(folder, "layout"));
    const plain = await layers();
    const zstd = (input: Buffer) => execFileSync("zstd", ["-qc"], { input });
    layout.index([layout.manifest(plain, plain.map(zstd))]);
    expect(await flattened(layout.folder)).toEqual(FLAT);
  });

  test("for several platforms: the one for this machine, attestations aside", async () => {
    const layout = new Layout(join(folder, "layout"));
    const [lower] = await layers();
    const arm = imageConfig([lower], {}, { architecture: "arm64" });
    const inner = layout.blob(
      {
        manifests: [
          { ...layout.manifest([lower], [lower], arm), platform: { os: "linux", architecture: "arm64" } },
          { ...layout.manifest(await layers()), platform: { os: "linux", architecture: "amd64" } },
          {
            ...layout.manifest([lower]),
            platform: { os: "unknown", architecture: "unknown" },
          },
        ],
      },
      "application/vnd.oci.image.index.v1+json",
    );
    layout.index([{ ...inner, annotations: { "io.containerd.image.name": "lab/app:2" } }]);
    expect((await open(layout.folder)).reference).toBe("lab/app:2");
    expect(await flattened(layout.folder)).toEqual(FLAT);
  });

  test("that is a bundle, owned by whoever runs this: root's", async () => {
    const bundle = join(folder, "bundle");
    mkdirSync(join(bundle, "rootfs/bin"), { recursive: true });
    writeFileSync(join(bundle, "rootfs/bin/app"), "program", { mode: 0o755 });
    symlinkSync("/bin/app", join(bundle, "rootfs/run"));
    const process = { args: ["/run", "x"], cwd: "/bin", env: ["A=1"], user: { uid: 5, gid: 6 } };
    writeFileSync(join(bundle, "config.json"), JSON.stringify({ process }));
    const files = await flattened(bundle);
    expect(files).toEqual(
      expect.arrayContaining(["-rwxr-xr-x 0/0 bin/app", "lrwxrwxrwx 0/0 run -> /bin/app"]),
    );
    const { config } = await open(bundle);
    const own = { args: [], env: ["B=2"] };
    expect(processOf(config, { passwd: "", group: "" }, own)).toMatchObject({
      args: ["/run", "x"],
      cwd: "/bin",
      uid: 5,
      gid: 6,
      env: expect.arrayContaining(["A=1", "B=2", "HOME=/"]),
    });
  });

  test("is unpacked by others to the same files", async () => {
    await flattened(await archive(dockerSave(await layers())));
    const to = join(folder, "unpacked");
    mkdirSync(to);
    execFileSync("tar", ["-C", to, "--no-same-owner", "-xf", join(folder, "rootfs.tar")]);
    expect(readFileSync(join(to, "bin/same"), "utf8")).toBe("program");
    expect(readFileSync(join(to, "etc/passwd"), "utf8")).toBe(PASSWD);
  });
});

describe("a bad image is answered in one line:", () => {
  const refused = async (path: string, message: string | RegExp) => {
    const error: unknown = await flattened(path).then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain("\n");
  };

  test("nothing there", () => refused(join(folder, "absent"), "no file or folder"));

  test("no archive", async () => {
    const file = join(folder, "x");
    writeFileSync(file, "hello, this is a text".repeat(100));
    await refused(file, /x is damaged: /);
  });

  test("an archive of something else", async () => {
    await refused(await archive([{ name: "readme", text: "x" }]), /is not an OCI bundle.*; in it: readme/);
  });

  test("docker export", async () => {
    const names = ["bin/", "etc/", "usr/"].map((name) => ({ name: `${name}x`, text: "x" }));
    await refused(await archive(names), /use `docker save`/);
  });

  test("compressed otherwise", async () => {
    const file = join(folder, "x.tar.xz");
    writeFileSync(file, Buffer.from("fd377a585a000000", "hex"));
    await refused(file, /compressed with xz/);
  });

  test("an archive that is cut off", async () => {
    const file = await archive(dockerSave(await layers()), gzip);
    writeFileSync(file, readFileSync(file).subarray(0, 300));
    await refused(file, /is damaged/);
  });

  test("several images", async () => {
    const entries = dockerSave(await layers());
    const one = JSON.parse(String(entries[entries.length - 1].text))[0];
    entries[entries.length - 1].text = JSON.stringify([one, { ...one, RepoTags: ["b:2"] }]);
    await refused(await archive(entries), /has 2 images \(app:1, b:2\); save one alone/);
  });

  test("a missing layer", async () => {
    const entries = dockerSave(await layers()).filter((each) => each.name !== "1/layer.tar");
    await refused(await archive(entries), "1/layer.tar is missing");
  });

  test("another layer than its configuration says", async () => {
    const [lower, upper] = await layers();
    const entries = dockerSave([lower, upper], imageConfig([lower, lower]));
    await refused(await archive(entries), /layer 2 of 2 is damaged: its uncompressed SHA-256 is/);
  });

  test("a changed blob", async () => {
    const layout = new Layout(join(folder, "layout"));
    const plain = await layers();
    layout.index([layout.manifest(plain)]);
    writeFileSync(join(layout.folder, "blobs/sha256", sha256(plain[0])), "x");
    await refused(layout.folder, /blob [0-9a-f]{12} is damaged/);
  });

  test("another processor's", async () => {
    const [lower] = await layers();
    const entries = dockerSave([lower], imageConfig([lower], {}, { architecture: "arm64" }));
    await refused(await archive(entries), "is for linux/arm64, not for linux/amd64");
    const layout = new Layout(join(folder, "layout"));
    const manifest = layout.manifest([lower]);
    layout.index([
      { ...manifest, platform: { os: "linux", architecture: "arm64" } },
      { ...manifest, platform: { os: "windows", architecture: "amd64" } },
    ]);
    await refused(layout.folder, "nothing for linux/amd64, only for linux/arm64, windows/amd64");
  });

  test("a file that leaves the image", async () => {
    const layer = await tar([{ name: "../evil", text: "x" }]);
    await refused(await archive(dockerSave([layer])), "layer 1 of 1: ../evil leaves the image");
  });

  test("an archive whose files leave it", async () => {
    await refused(await archive([{ name: "../../evil", text: "x" }]), "leaves the archive");
  });
});

describe("the process of an image", () => {
  const accounts = { passwd: PASSWD, group: GROUP };
  const config = { entrypoint: ["/app"], cmd: ["a"], env: ["PATH=/x"], workdir: "", user: "app" };

  test("is entry point and arguments; given ones replace the latter", () => {
    const none = { args: [], env: [] };
    expect(processOf(config, accounts, none)).toMatchObject({
      args: ["/app", "a"],
      cwd: "/",
      uid: 1000,
      gid: 100,
    });
    expect(processOf(config, accounts, { args: ["b", "c"], env: [] }).args).toEqual(["/app", "b", "c"]);
    expect(processOf(config, accounts, none).env).toEqual(["PATH=/x", "HOME=/home/app"]);
    const empty = { ...config, entrypoint: [], cmd: [] };
    expect(() => processOf(empty, accounts, none)).toThrow("it names no program to run");
  });

  test.each([
    ["", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
    ["app", { uid: 1000, gid: 100, additionalGids: [29], home: "/home/app" }],
    ["1000", { uid: 1000, gid: 100, additionalGids: [29], home: "/home/app" }],
    ["app:audio", { uid: 1000, gid: 29, additionalGids: [], home: "/home/app" }],
    ["7:8", { uid: 7, gid: 8, additionalGids: [], home: "/" }],
  ])("user %j", (user, expected) => {
    expect(userOf(user, PASSWD, GROUP)).toEqual(expected);
  });

  test("users and groups that the image does not know are refused", () => {
    expect(() => userOf("nobody", PASSWD, GROUP)).toThrow('user "nobody" is not in its /etc/passwd');
    expect(() => userOf("app:x", PASSWD, GROUP)).toThrow('group "x" is not in its /etc/group');
  });
});

test("an image is named by its file", () => {
  expect(["x/app.tar.gz", "app.tar", "my app", "bundle/"].map((path) => imageName(path))).toEqual([
    "app",
    "app",
    "my-app",
    "bundle",
  ]);
});
