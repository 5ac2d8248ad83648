import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { InputError, suggestion } from "../errors.js";
import { type Cache, hashTree } from "./cache.js";
import { run } from "./host.js";
import { closure, fetchPackages, unpack } from "./packages.js";

/** The folder capture/ of this package. */
export const CAPTURE_FOLDER = fileURLToPath(new URL("../../capture/", import.meta.url));

const schema = z.strictObject({
  description: z.string().default(""),
  /** How the folder becomes /app in the container. */
  runtime: z.enum(["go", "nodejs", "python", "files"]),
  /** What the container runs. */
  command: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()).default({}),
  /** Debian packages that the container needs beside the runtime's. */
  packages: z.array(z.string()).default([]),
  /** Argument of each call, and the reply that is right ("" = any). */
  input: z.string().default(""),
  expect: z.string().default(""),
});

/** A function that can be captured: function.json and where it was found. */
export type FunctionSpec = z.infer<typeof schema> & { name: string; folder: string };

const RUNTIME_PACKAGES: Record<FunctionSpec["runtime"], string[]> = {
  go: [],
  nodejs: ["nodejs"],
  python: ["python3", "python3-grpcio", "python3-protobuf"],
  files: [],
};

const GO_PACKAGES = ["golang-go", "golang-google-grpc-dev"];

export function listFunctions(): { name: string; description: string; runtime: string }[] {
  const folder = join(CAPTURE_FOLDER, "functions");
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, "function.json")))
    .map((entry) => readFunction(entry.name, join(folder, entry.name)))
    .map(({ name, description, runtime }) => ({ name, description, runtime }));
}

/** @param name of a function that comes with the package, or path of a folder */
export function findFunction(name: string): FunctionSpec {
  const own = join(CAPTURE_FOLDER, "functions", name);
  if (/^[\w-]+$/.test(name) && existsSync(join(own, "function.json"))) return readFunction(name, own);
  if (existsSync(join(name, "function.json"))) return readFunction(basename(join(name, ".")), name);
  const known = listFunctions().map((f) => f.name);
  throw new InputError(
    `capture: no function "${name}", and no folder of that name with a function.json.${suggestion(name, known)}`,
  );
}

function readFunction(name: string, folder: string): FunctionSpec {
  const path = join(folder, "function.json");
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InputError(`${path}: ${(error as Error).message}`);
  }
  const result = schema.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new InputError(`${path}: ${issue.path.join(".") || "the object"}: ${issue.message}`);
  }
  return { ...result.data, name, folder };
}

/** Debian packages that the guest needs for this function. */
export function guestPackages(spec: FunctionSpec): string[] {
  return [...RUNTIME_PACKAGES[spec.runtime], ...spec.packages];
}

/** Builds what the function needs at /app in the container. @returns folder that holds it */
export async function buildFunction(spec: FunctionSpec, cache: Cache, signal?: AbortSignal): Promise<string> {
  const inputs = {
    function: hashTree(spec.folder),
    proto: hashTree(join(CAPTURE_FOLDER, "proto")),
    runtime: spec.runtime,
  };
  if (spec.runtime === "go") return buildGo(`function-${spec.name}`, spec.folder, "server", cache, signal);
  return cache.get(`function-${spec.name}`, inputs, async (folder) => {
    cpSync(spec.folder, folder, { recursive: true, filter: (from) => basename(from) !== "node_modules" });
    if (spec.runtime === "files") return;
    for (const file of ["helloworld.proto", "helloworld.py"]) {
      if (file.endsWith(".py") !== (spec.runtime === "python")) continue;
      cpSync(join(CAPTURE_FOLDER, "proto", file), join(folder, file));
    }
    if (spec.runtime === "nodejs" && existsSync(join(folder, "package.json"))) {
      const install = existsSync(join(folder, "package-lock.json")) ? "ci" : "install";
      const args = [install, "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
      await run(`install the npm packages of ${spec.name}`, "npm", args, { cwd: folder, signal });
    }
  });
}

export function buildClient(cache: Cache, signal?: AbortSignal): Promise<string> {
  return buildGo("client", join(CAPTURE_FOLDER, "guest", "client"), "client", cache, signal);
}

/** The Go toolchain and the gRPC library of Debian, unpacked in a folder of their own. */
export async function goToolchain(cache: Cache, signal?: AbortSignal): Promise<string> {
  const packages = await closure(GO_PACKAGES, cache, signal);
  return cache.get("go", { packages }, async (folder) => {
    await unpack(await fetchPackages(packages, join(cache.folder, "packages"), signal), folder, signal);
  });
}

/** Versions of what a Go program is made with. */
export async function goVersions(cache: Cache, signal?: AbortSignal): Promise<Record<string, string>> {
  const wanted = (await closure(GO_PACKAGES, cache, signal)).filter((p) =>
    /^golang-[\d.]+-go$|^golang-google-grpc-dev$/.test(p.name),
  );
  return Object.fromEntries(wanted.map((p) => [p.name, p.version]));
}

/** Versions of the npm packages that a function's folder asks for. */
export function npmVersions(app: string): Record<string, string> {
  const lock = join(app, "package-lock.json");
  if (!existsSync(lock)) return {};
  const packages: Record<string, { version?: string }> =
    JSON.parse(readFileSync(lock, "utf8")).packages ?? {};
  return Object.fromEntries(
    ["@grpc/grpc-js", "@grpc/proto-loader"]
      .map((name) => [name, packages[`node_modules/${name}`]?.version ?? ""])
      .filter(([, version]) => version !== ""),
  );
}

async function buildGo(
  name: string,
  source: string,
  output: string,
  cache: Cache,
  signal?: AbortSignal,
): Promise<string> {
  const toolchain = await goToolchain(cache, signal);
  const proto = join(CAPTURE_FOLDER, "proto");
  const inputs = { source: hashTree(source), proto: hashTree(proto), toolchain: basename(toolchain) };
  return cache.get(name, inputs, async (folder) => {
    const gopath = cache.temporary("gopath");
    try {
      const packageFolder = join(gopath, "src", "muswarm", output);
      mkdirSync(packageFolder, { recursive: true });
      cpSync(source, packageFolder, { recursive: true });
      cpSync(proto, join(gopath, "src", "muswarm", "helloworld"), { recursive: true });
      const root = goRoot(toolchain);
      const env = {
        GOROOT: root,
        GOPATH: `${gopath}:${join(toolchain, "usr/share/gocode")}`,
        GOCACHE: join(cache.folder, "go-build"),
        GO111MODULE: "off",
        GOTOOLCHAIN: "local",
        CGO_ENABLED: "0",
        GOFLAGS: "",
        GOENV: "off",
      };
      const args = ["build", "-trimpath", "-o", join(folder, output), `muswarm/${output}`];
      await run(`compile ${name}`, join(root, "bin", "go"), args, { env, cwd: gopath, signal });
    } finally {
      await run("remove", "rm", ["-rf", gopath]);
    }
  });
}

function goRoot(toolchain: string): string {
  const lib = join(toolchain, "usr/lib");
  const version = readdirSync(lib).find((entry) => /^go-[\d.]+$/.test(entry));
  if (version === undefined) throw new Error(`no Go toolchain in ${lib}`);
  return join(lib, version);
}
