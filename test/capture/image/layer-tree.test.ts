import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type LayerEntry, LayerTree } from "../../../src/capture/image/layer-tree.js";
import { InputError } from "../../../src/errors.js";

function entry(name: string, type: LayerEntry["type"] = "file", rest: Partial<LayerEntry> = {}): LayerEntry {
  const base = { mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 1, linkname: "", devmajor: 0, devminor: 0 };
  return { name, type, ...base, ...rest };
}

/** What is left of layers, each a list of entries: "path layer.entry" (a folder: "path/"). */
function merged(...layers: (string | LayerEntry)[][]): string[] {
  const tree = new LayerTree();
  for (const [layer, entries] of layers.entries()) {
    entries.forEach((each, i) => {
      tree.apply(
        layer,
        i,
        typeof each !== "string" ? each : each.endsWith("/") ? entry(each, "directory") : entry(each),
      );
    });
  }
  return [...tree.paths()].map(([path, node]) =>
    node.type === "directory" ? `${path}/` : `${path} ${node.layer}.${node.entry}`,
  );
}

describe("layers of an image", () => {
  test("a later layer's file replaces an earlier one's", () => {
    expect(merged(["a/", "a/x", "y"], ["a/x"])).toEqual(["a/", "a/x 1.0", "y 0.2"]);
  });

  test("names may begin with ./ or / and folders may be missing", () => {
    expect(merged(["./a/b/x", "/c"])).toEqual(["a/", "a/b/", "a/b/x 0.0", "c 0.1"]);
  });

  test("a whiteout hides a lower layer's file or folder", () => {
    expect(merged(["a/", "a/x", "a/y", "b/z"], ["a/.wh.x", ".wh.b"])).toEqual(["a/", "a/y 0.2"]);
  });

  test.each([
    ["before", [".wh.x", "x"]],
    ["after", ["x", ".wh.x"]],
  ])("a whiteout that stands %s a file of its own layer does not hide it", (_, second) => {
    expect(merged(["x"], second)).toEqual([`x 1.${second.indexOf("x")}`]);
  });

  test.each([
    ["before", ["a/", "a/.wh..wh..opq", "a/new", "a/sub/new"]],
    ["after", ["a/", "a/new", "a/sub/new", "a/.wh..wh..opq"]],
  ])("an opaque whiteout that stands %s the layer's own files leaves these alone", (_, second) => {
    const paths = merged(["a/", "a/old", "a/sub/old", "b"], second).map((line) => line.split(" ")[0]);
    expect(paths).toEqual(["a/", "a/new", "a/sub/", "a/sub/new", "b"]);
  });

  test("a whiteout of what is not there, and a file system's notes, change nothing", () => {
    expect(merged(["x"], [".wh.absent", "no/where/.wh.x", ".wh..wh.plnk"])).toEqual(["x 0.0"]);
  });

  test("a file below a link to a folder lands in that folder", () => {
    const layers = merged(["usr/lib/", entry("lib", "symlink", { linkname: "usr/lib" })], ["lib/libc.so"]);
    expect(layers).toEqual(["lib 0.1", "usr/", "usr/lib/", "usr/lib/libc.so 1.0"]);
  });

  test("links never lead out of the image", () => {
    const link = entry("out", "symlink", { linkname: "../../../../etc" });
    expect(merged([link], ["out/passwd"])).toEqual(["etc/", "etc/passwd 1.0", "out 0.0"].sort());
    expect(() => merged(["../x"])).toThrow(InputError);
    expect(() => merged(["a/../../x"])).toThrow("a/../../x leaves the image");
  });

  test("a link that leads to itself is no folder", () => {
    const loop = entry("a", "symlink", { linkname: "a" });
    expect(() => merged([loop], ["a/x"])).toThrow("a/x lies below what is no folder");
  });

  test("a folder in a link's place takes it", () => {
    expect(merged(["t/x", entry("l", "symlink", { linkname: "t" })], ["l/"])).toEqual([
      "l/",
      "t/",
      "t/x 0.0",
    ]);
  });

  test("hard links are one file, also when the first name is gone", () => {
    const tree = new LayerTree();
    tree.apply(0, 0, entry("a"));
    tree.apply(0, 1, entry("b", "link", { linkname: "a" }));
    expect(tree.find("b")).toBe(tree.find("a"));
    tree.apply(1, 0, entry(".wh.a"));
    expect([tree.find("a"), tree.find("b")?.entry]).toEqual([undefined, 0]);
    expect(() => tree.apply(1, 1, entry("c", "link", { linkname: "a" }))).toThrow("c is a hard link to a");
  });

  test("a folder that is listed again gets the new owner and keeps its content", () => {
    const tree = new LayerTree();
    tree.apply(0, 0, entry("a/x"));
    tree.apply(1, 0, entry("a/", "directory", { uid: 7, mode: 0o40700 }));
    expect(tree.find("a")).toMatchObject({ uid: 7, mode: 0o700 });
    expect(tree.find("a/x")).toBeDefined();
  });

  test("agree with a list of paths to which the rules are applied one by one", () => {
    const name = fc.constantFrom("a", "b", "a/a", "a/b", "b/a", "a/b/a", "a/b/b");
    const layerEntry = fc.oneof(
      name,
      name.map((n) => n.replace(/[^/]*$/, ".wh.$&")),
      name.map((n) => `${n}/.wh..wh..opq`),
    );
    fc.assert(
      fc.property(fc.array(fc.array(layerEntry, { maxLength: 5 }), { maxLength: 4 }), (layers) => {
        const usable = layers.map(withoutClashes);
        const files = merged(...usable).filter((line) => !line.endsWith("/"));
        expect(files.map((line) => line.split(".")[0])).toEqual(naive(usable));
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});

/** A layer in which no file is below another; of lower layers' files one may be. */
function withoutClashes(entries: readonly string[]): string[] {
  const kept: string[] = [];
  for (const each of entries) {
    const folder = each.replace(/\/?[^/]*$/, "");
    const clash = kept.some(
      (k) =>
        !k.includes(".wh.") &&
        (k === each || folder === k || folder.startsWith(`${k}/`) || k.startsWith(`${each}/`)),
    );
    if (!clash) kept.push(each);
  }
  return kept;
}

/** Files as "path layer": first a layer's whiteouts are applied to all that is below it, then its files are added. */
function naive(layers: readonly string[][]): string[] {
  let files = new Map<string, number>();
  layers.forEach((entries, layer) => {
    const hidden = (path: string) =>
      entries.some((each) => {
        if (!each.includes(".wh."))
          return each === path || path.startsWith(`${each}/`) || each.startsWith(`${path}/`);
        if (each.endsWith(".wh..wh..opq")) return path.startsWith(each.replace(".wh..wh..opq", ""));
        const target = each.replace(".wh.", "");
        return path === target || path.startsWith(`${target}/`);
      });
    files = new Map([...files].filter(([path]) => !hidden(path)));
    for (const each of entries) if (!each.includes(".wh.")) files.set(each, layer);
  });
  const order = (a: string, b: string) => {
    const [x, y] = [a.split("/"), b.split("/")];
    const at = x.findIndex((part, i) => part !== y[i]);
    return (x[at] ?? "") < (y[at] ?? "") ? -1 : 1;
  };
  return [...files].sort(([a], [b]) => order(a, b)).map(([path, layer]) => `${path} ${layer}`);
}
