/**
 * Makes a source checkout ready to run: installs the locked dependencies and compiles src/ to dist/, each only
 * when it is out of date. `npm start` and `npm test` call it first. In an installed package it does nothing.
 * All it says goes to stderr. Plain JavaScript, no dependencies: it runs before there are any.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** First version that everything here is tested with. */
const NODE = [20, 19];

class SetupError extends Error {}

const say = (text) => process.stderr.write(`muswarm: ${text}\n`);
const readJson = (file) => JSON.parse(readFileSync(file, "utf8"));

/** @throws SetupError on a Node.js that is too old */
export function checkNode(version = process.versions.node) {
  const [major, minor] = version.split(".").map(Number);
  if (major < NODE[0] || (major === NODE[0] && minor < NODE[1])) {
    throw new SetupError(`needs Node.js ${NODE.join(".")} or later, this is ${version}`);
  }
}

/** Installs and compiles what is out of date. @throws SetupError with one line that says what to do */
export function setup(root = ROOT) {
  checkNode();
  if (!existsSync(join(root, "src")) || !existsSync(join(root, "tsconfig.build.json"))) return;
  if (installed(root) && compiled(root)) return;
  withLock(join(root, ".setup.tmp"), () => {
    if (!installed(root)) install(root);
    if (!compiled(root)) compile(root);
  });
}

/** Does node_modules hold what package-lock.json asks for? npm writes the list of what it installed last of all. */
function installed(root) {
  let wanted;
  let present;
  try {
    wanted = readJson(join(root, "package-lock.json")).packages;
    present = readJson(join(root, "node_modules", ".package-lock.json")).packages;
  } catch {
    return false;
  }
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "") return true;
    if (present[path] === undefined)
      return entry.optional === true || entry.devOptional === true || entry.peer === true;
    return present[path].version === entry.version;
  });
}

function install(root) {
  say("installing the dependencies (npm ci) ...");
  const strict = npm(root, ["ci"], "pipe");
  if (strict.status === 0) return;
  // npm ci refuses a lock file that lacks packages for other platforms; npm install passes over them.
  say(`npm ci failed (${firstReason(strict.stderr)}); trying npm install ...`);
  if (npm(root, ["install", "--no-save"], 2).status !== 0) {
    throw new SetupError("npm install failed; its message stands above");
  }
}

function npm(root, command, stderr) {
  const args = [...command, "--no-audit", "--no-fund", "--loglevel=error"];
  const own = process.env.npm_execpath;
  // Under `npm start` the very npm that runs is asked. stdout stays free for the command's own output.
  const [program, all] =
    own !== undefined && /^npm(-cli)?\.[cm]?js$/.test(basename(own))
      ? [process.execPath, [own, ...args]]
      : ["npm", args];
  const shell = program === "npm" && process.platform === "win32";
  const result = spawnSync(program, all, {
    cwd: root,
    stdio: ["ignore", 2, stderr],
    shell,
    encoding: "utf8",
  });
  if (result.error === undefined) return result;
  throw new SetupError(`npm cannot be started (${result.error.code}); install npm, or run npm ci by hand`);
}

/** The first sentence of what npm complains about. */
function firstReason(stderr) {
  const lines = (stderr ?? "").split("\n").map((line) => line.replace(/^npm error\s*/, "").trim());
  const reason = lines.find((line) => line !== "" && !line.startsWith("npm ") && !line.startsWith("code "));
  return reason?.split(". ")[0] ?? "no reason given";
}

/** Everything that the compiled code depends on. */
function sourceStamp(root) {
  const hash = createHash("sha256");
  const add = (path) =>
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update("\0");
  for (const file of ["tsconfig.json", "tsconfig.build.json", "package-lock.json"]) add(file);
  const walk = (folder) => {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (entry.name.endsWith(".ts")) add(path);
    }
  };
  walk("src");
  return hash.digest("hex");
}

function compiled(root) {
  try {
    return readFileSync(join(root, "dist", ".stamp"), "utf8") === sourceStamp(root);
  } catch {
    return false;
  }
}

/** Compiles beside dist/ and swaps, so that nobody ever meets half of it. */
function compile(root) {
  say("compiling src/ to dist/ (tsc) ...");
  const stamp = sourceStamp(root);
  const partial = join(root, `dist.${process.pid}.partial`);
  const old = join(root, `dist.${process.pid}.tmp`);
  try {
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const args = [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", partial];
    if (spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2] }).status !== 0) {
      throw new SetupError("src/ does not compile; the messages of tsc stand above");
    }
    writeFileSync(join(partial, ".stamp"), stamp);
    if (existsSync(join(root, "dist"))) renameSync(join(root, "dist"), old);
    renameSync(partial, join(root, "dist"));
  } finally {
    rmSync(partial, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/** Runs `work` while no other set-up of the same checkout does. A lock whose owner is gone is taken over. */
function withLock(file, work) {
  const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  let told = false;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw new SetupError(`cannot write to ${file} (${error.code})`);
    }
    let owner = "";
    try {
      owner = readFileSync(file, "utf8");
    } catch {
      continue; // given back just now
    }
    if (owner !== "" && !alive(Number(owner))) {
      // Renaming tells which of several waiters takes the dead owner's lock away.
      const mine = `${file}.${process.pid}.tmp`;
      try {
        renameSync(file, mine);
        if (readFileSync(mine, "utf8") !== owner) renameSync(mine, file);
        else rmSync(mine);
      } catch {
        // another waiter was faster
      }
      continue;
    }
    if (!told)
      say(
        `waiting for another set-up of this folder (process ${owner || "unknown"}; if there is none, delete ${file})`,
      );
    told = true;
    sleep(200);
  }
  try {
    work();
  } finally {
    rmSync(file, { force: true });
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Runs the set-up; on failure says why and @returns false. */
export function setupOrSay() {
  try {
    setup();
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    return false;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  if (!setupOrSay()) process.exitCode = 1;
}
