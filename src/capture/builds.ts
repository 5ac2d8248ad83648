import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Cache, hashTree } from "./cache.js";
import { CAPTURE_FOLDER, type FunctionSpec, findFunction } from "./functions.js";
import { run } from "./host.js";
import { closure, fetchPackages, unpack } from "./packages.js";
import { loadProtos, type ProtoFile, parseProto } from "./proto.js";
import { goPackage, pythonModule } from "./stubs.js";

const RUNTIME_PACKAGES: Record<FunctionSpec["runtime"], string[]> = {
  go: [],
  nodejs: ["nodejs"],
  python: ["python3", "python3-grpcio", "python3-protobuf"],
  files: [],
  image: [],
};

const GO_PACKAGES = ["golang-go", "golang-google-grpc-dev"];

/** Debian packages that the guest needs for this function. */
export function guestPackages(spec: FunctionSpec): string[] {
  return [
    ...RUNTIME_PACKAGES[spec.runtime],
    ...spec.packages,
    ...spec.companions.flatMap((companion) => companion.packages),
  ];
}

/** Builds what the function needs at /app in the container. @returns folder that holds it */
export async function buildFunction(spec: FunctionSpec, cache: Cache, signal?: AbortSignal): Promise<string> {
  const protos = protosOf(spec);
  if (spec.runtime === "go") return buildGo(`function-${spec.name}`, spec, protos, cache, signal);
  const library = join(CAPTURE_FOLDER, "lib", spec.runtime);
  const inputs = {
    function: hashTree(spec.folder),
    protos: protos.map((proto) => proto.text),
    stubs: spec.runtime === "python" ? protos.map((proto) => pythonModule(proto)) : [],
    library: existsSync(library) ? hashTree(library) : "",
    runtime: spec.runtime,
  };
  return cache.get(`function-${spec.name}`, inputs, async (folder) => {
    const copy = { recursive: true, filter: (from: string) => basename(from) !== "node_modules" };
    // What functions of a runtime have in common; their own files win.
    if (existsSync(library)) cpSync(library, folder, copy);
    cpSync(spec.folder, folder, copy);
    if (spec.runtime === "python")
      for (const proto of protos) writeFileSync(join(folder, `${proto.package}.py`), pythonModule(proto));
    if (spec.runtime !== "nodejs") return;
    for (const proto of protos) writeFileSync(join(folder, `${proto.package}.proto`), proto.text);
    if (!existsSync(join(folder, "package.json"))) return;
    const install = existsSync(join(folder, "package-lock.json")) ? "ci" : "install";
    const args = [install, "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
    await run(`install the npm packages of ${spec.name}`, "npm", args, { cwd: folder, signal });
  });
}

/** The services that a function can serve and be asked for. */
export function protosOf(spec: FunctionSpec): ProtoFile[] {
  const common = join(CAPTURE_FOLDER, "proto");
  if (spec.protoFiles === undefined) return loadProtos(common, spec.folder);
  const own = spec.protoFiles.map((file) => parseProto(readFileSync(file, "utf8"), file));
  return [...loadProtos(common), ...own];
}

/** Builds the functions that run beside this one. @returns folders, by the functions' names */
export async function buildCompanions(
  spec: FunctionSpec,
  cache: Cache,
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const built: Record<string, string> = {};
  for (const { function: name } of spec.companions) {
    if (name !== undefined) built[name] = await buildFunction(findFunction(name), cache, signal);
  }
  return built;
}

export function buildClient(cache: Cache, signal?: AbortSignal): Promise<string> {
  const folder = join(CAPTURE_FOLDER, "guest", "client");
  return buildGo("client", { folder, goPackages: [], output: "client" }, [], cache, signal);
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
  {
    folder: source,
    goPackages,
    output = "server",
  }: { folder: string; goPackages: string[]; output?: string },
  protos: readonly ProtoFile[],
  cache: Cache,
  signal?: AbortSignal,
): Promise<string> {
  const toolchain = await goToolchain(cache, signal);
  const extra = goPackages.length === 0 ? undefined : await goLibraries(goPackages, cache, signal);
  const libraries = join(CAPTURE_FOLDER, "lib", "go");
  const inputs = {
    source: hashTree(source),
    protos: protos.map((proto) => goPackage(proto)),
    toolchain: basename(toolchain),
    libraries: hashTree(libraries),
    extra: extra === undefined ? "" : basename(extra),
  };
  return cache.get(name, inputs, async (folder) => {
    const gopath = cache.temporary("gopath");
    try {
      const own = join(gopath, "src", "muswarm");
      for (const proto of protos) {
        mkdirSync(join(own, proto.package), { recursive: true });
        writeFileSync(join(own, proto.package, `${proto.package}.go`), goPackage(proto));
      }
      cpSync(libraries, own, { recursive: true });
      // Not a name that a service may have.
      const program = join(own, "cmd", output);
      mkdirSync(program, { recursive: true });
      cpSync(source, program, { recursive: true });
      const root = goRoot(toolchain);
      const paths = [gopath, join(toolchain, "usr/share/gocode")];
      if (extra !== undefined) paths.push(join(extra, "usr/share/gocode"));
      const env = {
        GOROOT: root,
        GOPATH: paths.join(":"),
        GOCACHE: join(cache.folder, "go-build"),
        GO111MODULE: "off",
        GOTOOLCHAIN: "local",
        CGO_ENABLED: "0",
        GOFLAGS: "",
        GOENV: "off",
      };
      const args = ["build", "-trimpath", "-o", join(folder, output), `muswarm/cmd/${output}`];
      await run(`compile ${name}`, join(root, "bin", "go"), args, { env, cwd: gopath, signal });
    } finally {
      await run("remove", "rm", ["-rf", gopath]);
    }
  });
}

/** Debian's packages of Go libraries, unpacked in a folder of their own. */
async function goLibraries(names: readonly string[], cache: Cache, signal?: AbortSignal): Promise<string> {
  const packages = await closure(names, cache, signal);
  return cache.get("go-libraries", { packages }, async (folder) => {
    await unpack(await fetchPackages(packages, join(cache.folder, "packages"), signal), folder, signal);
  });
}

function goRoot(toolchain: string): string {
  const lib = join(toolchain, "usr/lib");
  const version = readdirSync(lib).find((entry) => /^go-[\d.]+$/.test(entry));
  if (version === undefined) throw new Error(`no Go toolchain in ${lib}`);
  return join(lib, version);
}
