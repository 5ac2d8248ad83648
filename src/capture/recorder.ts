import { join } from "node:path";
import { type Cache, hashTree } from "./cache.js";
import { CAPTURE_FOLDER } from "./functions.js";
import { packageVersion, run } from "./host.js";

/** The recorder: the emulator's plugin, compiled. */
export interface Recorder {
  plugin: string;
  /** Hash of its sources. */
  hash: string;
}

const SOURCES = ["recorder.c", "guest.c", "program.c", "raw.c"];

export async function buildRecorder(cache: Cache, signal?: AbortSignal): Promise<Recorder> {
  const source = join(CAPTURE_FOLDER, "plugin");
  const hash = hashTree(source);
  const folder = await cache.get("recorder", { hash, gcc: packageVersion("gcc") }, async (into) => {
    const flags = ["-O2", "-Wall", "-Wextra", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden"];
    const files = SOURCES.map((file) => join(source, file));
    await run("compile the recorder", "gcc", [...flags, "-o", join(into, "recorder.so"), ...files], {
      signal,
    });
  });
  return { plugin: join(folder, "recorder.so"), hash: hash.slice(0, 16) };
}
