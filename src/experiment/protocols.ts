import { InputError, suggestion } from "../errors.js";
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

/** Throws InputError with the nearest name. */
export function protocol(name: string): ProtocolSpec {
  const found = PROTOCOLS.find((p) => p.name === name);
  if (found === undefined) {
    const names = PROTOCOLS.map((p) => p.name);
    throw new InputError(`unknown protocol "${name}".${suggestion(name, names)}`);
  }
  return found;
}
