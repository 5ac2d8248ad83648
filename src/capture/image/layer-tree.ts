import { InputError } from "../../errors.js";

/** What stands at a path of an image. Two paths with the same object are hard links of one file. */
export interface ImageNode {
  type: "file" | "directory" | "symlink" | "character-device" | "block-device" | "fifo";
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970. */
  mtime: number;
  size: number;
  /** Of a symbolic link. */
  target: string;
  devmajor: number;
  devminor: number;
  /** Layer that it comes from (or that changed it last), and for a file which entry of it holds its bytes. */
  layer: number;
  entry: number;
  /** Of a directory. */
  children: Map<string, ImageNode>;
}

/** One entry of a layer's archive. */
export interface LayerEntry {
  name: string;
  type: ImageNode["type"] | "link";
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  size: number;
  linkname: string;
  devmajor: number;
  devminor: number;
}

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Other names with this prefix are a file system's own notes and no part of an image. */
const NOTE = ".wh..wh.";
const MAX_SYMLINKS = 40;

/**
 * The files of an image: layers applied one over the other, as the OCI image specification says (layer
 * changesets: whiteouts hide what lower layers have, never what the same layer adds, in whatever order).
 */
export class LayerTree {
  readonly root: ImageNode = directory(0);

  /** Applies entry number `entry` of a layer. Throws InputError for a path that leaves the image or lies below a file. */
  apply(layer: number, entry: number, header: LayerEntry): void {
    const parts = this.split(header.name);
    const name = parts.pop();
    if (name === undefined) {
      Object.assign(this.root, { ...attributes(header), layer });
      return;
    }
    if (name.startsWith(WHITEOUT)) {
      this.whiteout(layer, parts, name);
      return;
    }
    const parent = this.folder(parts, layer, header.name);
    const known = parent.children.get(name);
    if (header.type === "directory" && known?.type === "directory") {
      Object.assign(known, { ...attributes(header), layer });
      return;
    }
    parent.children.set(name, header.type === "link" ? this.linked(header) : made(header, layer, entry));
  }

  /** What a path leads to, through symbolic links, or undefined. */
  find(path: string): ImageNode | undefined {
    return this.walk(this.split(path), true);
  }

  /** All paths and what stands there: a folder before its content, by name. The root itself is left out. */
  *paths(from: ImageNode = this.root, prefix = ""): Iterable<[string, ImageNode]> {
    const names = [...from.children.keys()].sort();
    for (const name of names) {
      const node = from.children.get(name) as ImageNode;
      yield [prefix + name, node];
      if (node.type === "directory") yield* this.paths(node, `${prefix}${name}/`);
    }
  }

  private whiteout(layer: number, parts: string[], name: string): void {
    const parent = this.walk(parts, true);
    if (parent?.type !== "directory") return;
    if (name === OPAQUE) removeLower(parent, layer);
    else if (!name.startsWith(NOTE)) {
      const hidden = name.slice(WHITEOUT.length);
      const node = parent.children.get(hidden);
      if (node !== undefined && !keptOf(node, layer)) parent.children.delete(hidden);
    }
  }

  private linked(header: LayerEntry): ImageNode {
    const target = this.walk(this.split(header.linkname), false);
    if (target === undefined || target.type === "directory")
      throw new InputError(
        `${header.name} is a hard link to ${header.linkname}, which is no file of the image`,
      );
    return target;
  }

  /** The folder at a path, made where it is missing. */
  private folder(parts: readonly string[], layer: number, name: string): ImageNode {
    const found = this.walk(parts, true, layer);
    if (found?.type !== "directory") throw new InputError(`${name} lies below what is no folder`);
    return found;
  }

  /** @param make layer that a missing folder on the way is made for */
  private walk(parts: readonly string[], follow: boolean, make?: number): ImageNode | undefined {
    let links = 0;
    const rest = [...parts];
    const way = [this.root];
    while (rest.length > 0) {
      const part = rest.shift() as string;
      const here = way[way.length - 1];
      if (part === "" || part === ".") continue;
      if (part === "..") {
        // As in a changed root: above it is the root itself.
        if (way.length > 1) way.pop();
        continue;
      }
      if (here.type !== "directory") return undefined;
      let next = here.children.get(part);
      // A lower layer's file gives way to a folder.
      const isInTheWay = next !== undefined && next.type !== "directory" && next.type !== "symlink";
      if (make !== undefined && (next === undefined || (isInTheWay && next.layer < make))) {
        next = directory(make);
        here.children.set(part, next);
      }
      if (next === undefined) return undefined;
      if (next.type === "symlink" && (follow || rest.length > 0)) {
        if (++links > MAX_SYMLINKS) return undefined;
        if (next.target.startsWith("/")) way.length = 1;
        rest.unshift(...next.target.split("/"));
        continue;
      }
      way.push(next);
    }
    return way[way.length - 1];
  }

  private split(name: string): string[] {
    const parts = name.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) throw new InputError(`${name} leaves the image`);
    return parts;
  }
}

/** Takes away what lower layers have. @returns whether anything of this layer is left */
function keptOf(node: ImageNode, layer: number): boolean {
  if (node.type === "directory") return removeLower(node, layer) || node.layer === layer;
  return node.layer === layer;
}

function removeLower(folder: ImageNode, layer: number): boolean {
  for (const [name, node] of folder.children) if (!keptOf(node, layer)) folder.children.delete(name);
  return folder.children.size > 0;
}

function directory(layer: number): ImageNode {
  const header = { mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0, linkname: "", devmajor: 0, devminor: 0 };
  return made({ ...header, name: "", type: "directory" }, layer, -1);
}

function attributes({ mode, uid, gid, mtime }: LayerEntry) {
  return { mode: mode & 0o7777, uid, gid, mtime };
}

function made(header: LayerEntry, layer: number, entry: number): ImageNode {
  const { type, size, linkname, devmajor, devminor } = header;
  if (type === "link") throw new Error("a hard link is no node of its own");
  const rest = { size, target: linkname, devmajor, devminor, layer, entry };
  return { type, ...attributes(header), ...rest, children: new Map() };
}
