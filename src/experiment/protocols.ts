import { InputError, suggestion } from "../errors.js";
import { parseOverride } from "../machine/load.js";
import { prefetcherNames } from "../prefetch/index.js";
import type { ProtocolSpec } from "./contract.js";

const EVERYTHING = { caches: true, tlbs: true, predictors: true };
const NOTHING = { caches: false, tlbs: false, predictors: false };

/** The protocols that come with the package, in the order in which tables show them. */
export const PROTOCOLS: readonly ProtocolSpec[] = [
  {
    name: "reference",
    description: "invocations back to back, nothing flushed",
    flush: NOTHING,
    perfectICache: false,
  },
  {
    name: "lukewarm",
    description: "caches, TLBs and branch predictors flushed before each invocation",
    flush: EVERYTHING,
    perfectICache: false,
  },
  {
    name: "jukebox",
    description: "lukewarm, and Jukebox on the function's core, replay not paced (as in the paper)",
    flush: EVERYTHING,
    jukebox: { replayDistance: -1 },
    perfectICache: false,
  },
  {
    name: "jukebox-paced",
    description:
      "lukewarm, and Jukebox whose replay waits while jukebox.replayDistance prefetched lines are unused",
    flush: EVERYTHING,
    jukebox: {},
    perfectICache: false,
  },
  {
    name: "perfect",
    description: "lukewarm, and L1 instruction caches that keep every line they have held",
    flush: EVERYTHING,
    perfectICache: true,
  },
];

/**
 * A protocol by name; or lukewarm with a prefetcher on the function's core, which is named with its level and
 * parameters where they are not the default: `stride`, `stride@l1d`, `stream@l2,degree=4,distance=32`.
 * Throws InputError with the nearest name.
 */
export function protocol(text: string): ProtocolSpec {
  const found = PROTOCOLS.find((p) => p.name === text);
  if (found !== undefined) return found;
  const [place, ...parameters] = text.split(",");
  const [, name, level] = /^([^@]*)(?:@(.*))?$/.exec(place)!;
  if (!prefetcherNames().includes(name)) {
    const names = [...PROTOCOLS.map((p) => p.name), ...prefetcherNames()];
    throw new InputError(`unknown protocol "${text}".${suggestion(name, names)}`);
  }
  // It names a folder of results.
  if (!/^[\w@,=.+-]+$/.test(text))
    throw new InputError(`protocol "${text}": expected name[@level][,parameter=value]`);
  const given = parameters.map((parameter) => {
    if (!/^\w+=./.test(parameter))
      throw new InputError(`protocol "${text}": expected parameter=value, got "${parameter}"`);
    const { path, value } = parseOverride(parameter);
    return [path, value] as const;
  });
  return {
    name: text,
    description: `lukewarm, and the prefetcher ${name} on the function's core`,
    flush: EVERYTHING,
    prefetcher: { ...Object.fromEntries(given), name, ...(level === undefined ? {} : { level }) },
    perfectICache: false,
  };
}
