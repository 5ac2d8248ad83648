import type { MemorySpec } from "../machine/spec.js";
import type { CounterGroup } from "../stats/counters.js";
import type { MainMemory } from "./contract.js";
import { DramMemory } from "./dram/dram.js";
import { SimpleMemory } from "./simple.js";

/** A main memory with its counters and their identities. */
export interface CountedMemory extends MainMemory {
  readonly counters: CounterGroup;
  /** @returns the identities between counters that do not hold, as sentences. */
  checkIdentities(): string[];
}

/** Builds the memory that a machine asks for. Throws InputError when its figures do not go together. */
export function createMemory(spec: MemorySpec, clockGHz: number): CountedMemory {
  switch (spec.model) {
    case "simple":
      return new SimpleMemory(spec, clockGHz);
    case "dram":
      return new DramMemory(spec, clockGHz);
  }
}
