import { InputError } from "../errors.js";
import type { CacheSpec } from "../machine/spec.js";

export const LINE_BYTES = 64;

/** Sets and ways of a cache. Sets are a power of two. */
export interface Geometry {
  readonly sets: number;
  readonly ways: number;
}

/** @param path key path of the cache in the machine description, for the message: `levels[0].cache`. */
export function geometryOf(spec: CacheSpec, path: string): Geometry {
  const sets = (spec.sizeKiB * 1024) / LINE_BYTES / spec.ways;
  if (!Number.isInteger(sets) || sets < 1 || 2 ** Math.round(Math.log2(sets)) !== sets) {
    const unit = (LINE_BYTES * spec.ways) / 1024;
    const power = Math.max(0, Math.round(Math.log2(spec.sizeKiB / unit)));
    throw new InputError(
      `${path}.sizeKiB: expected a power of two times ways * 64 bytes (${spec.ways} ways: ${unit} KiB), ` +
        `for example ${unit * 2 ** power}; got ${spec.sizeKiB}`,
    );
  }
  return { sets: sets | 0, ways: spec.ways };
}
