import type { CounterDef, CounterGroup, Unit } from "../stats/counters.js";

const defs: CounterDef[] = [];
function counter(name: string, unit: Unit, description: string): number {
  return defs.push({ name, unit, description }) - 1;
}

/**
 * Slots of Jukebox's counters. Names are the authors' where they have the counter.
 *
 * Of each line that went into the queue exactly one fate is counted, or it is pending still:
 * pfInsertedInQueue = pfUseful + pfUnused + pfSquashed + pfLost + pending.
 * Of each line that was generated: pfGenerated = pfInsertedInQueue + pfHitInCache + pfAlreadyPending + pfTranslationFail.
 * Of each cycle of a replay: replayCycles = busyCycles + stallCycles.*
 */
export const C = {
  demandMshrMisses: counter(
    "demandMshrMisses",
    "Count",
    "Instruction misses of the core at Jukebox's level during invocations",
  ),
  crrbHits: counter("crrbHits", "Count", "Recorded misses whose region was in the CRRB"),
  crrbMisses: counter(
    "crrbMisses",
    "Count",
    "Recorded misses whose region was not in the CRRB: entries allocated",
  ),
  entryWrites: counter("entryWrites", "Count", "Entries put into a record buffer"),
  entryDrops: counter(
    "entryDrops",
    "Count",
    "Entries not worth a write; always 0, for each entry holds a line",
  ),
  entryOverflows: counter(
    "entryOverflows",
    "Count",
    "Entries that found the record buffer full and were dropped",
  ),
  totalNumPrefetches: counter(
    "totalNumPrefetches",
    "Count",
    "Lines in the entries that left the CRRB, dropped ones included",
  ),
  linesOverflowed: counter(
    "linesOverflowed",
    "Count",
    "Lines in the entries that found the record buffer full",
  ),
  recordings: counter("recordings", "Count", "Recordings that were closed"),
  metadataBytesUsed: counter(
    "metadataBytesUsed",
    "Byte",
    "Packed bytes of metadata at the close of recordings, summed over them",
  ),
  replays: counter("replays", "Count", "Replays begun with metadata to replay"),
  replaysFinished: counter("replaysFinished", "Count", "Replays that came to the end of their metadata"),
  entryReads: counter("entryReads", "Count", "Entries taken by the replay"),
  pfGenerated: counter("pfGenerated", "Count", "Lines that the replay came to"),
  pfInsertedInQueue: counter("pfInsertedInQueue", "Count", "Lines put into the prefetch queue"),
  pfHitInCache: counter("pfHitInCache", "Count", "Lines not put into the queue: present or in an MSHR"),
  pfAlreadyPending: counter(
    "pfAlreadyPending",
    "Count",
    "Lines asked for already in this replay and not used yet",
  ),
  pfTranslationFail: counter(
    "pfTranslationFail",
    "Count",
    "Lines dropped because their page could not be translated",
  ),
  pfUseful: counter("pfUseful", "Count", "Prefetched lines that were demanded, in time or late"),
  pfLate: counter(
    "pfLate",
    "Count",
    "Prefetched lines that were demanded before they arrived (part of pfUseful)",
  ),
  pfUnused: counter("pfUnused", "Count", "Prefetched lines that left the cache without having been demanded"),
  pfSquashed: counter("pfSquashed", "Count", "Queued prefetches that a demand of this core overtook"),
  pfLost: counter(
    "pfLost",
    "Count",
    "Prefetches that ended otherwise: dropped at issue, flushed, used first by another core",
  ),
  entriesLeft: counter("entriesLeft", "Count", "Entries that the end of the invocation left untaken"),
  linesLeft: counter("linesLeft", "Count", "Lines that the end of the invocation left unprefetched"),
  replayCycles: counter("replayCycles", "Cycle", "Cycles from the begin of replays to their end"),
  busyCycles: counter("busyCycles", "Cycle", "Replay cycles spent expanding entries"),
  stallMetadata: counter("stallCycles.metadata", "Cycle", "Replay cycles waiting for metadata"),
  stallTranslation: counter("stallCycles.translation", "Cycle", "Replay cycles waiting for a translation"),
  stallQueue: counter("stallCycles.queue", "Cycle", "Replay cycles waiting for room in the prefetch queue"),
  stallPacing: counter(
    "stallCycles.pacing",
    "Cycle",
    "Replay cycles waiting for prefetched lines to be used or evicted",
  ),
  bytesRead: counter("bytesRead", "Byte", "Metadata read from memory"),
  bytesWritten: counter("bytesWritten", "Byte", "Metadata written to memory"),
  reads: counter("reads", "Count", "Metadata lines read from memory"),
  writes: counter("writes", "Count", "Metadata lines written to memory"),
  totalReadLatency: counter("totalReadLatency", "Cycle", "Latency of all metadata reads"),
} as const;

export const JUKEBOX_COUNTERS: readonly CounterDef[] = defs;

/** Counters of the Jukebox of one core, all zero. */
export function jukeboxCounters(core: number): CounterGroup {
  return { path: `cpu${core}.jukebox`, defs: JUKEBOX_COUNTERS, values: new Float64Array(defs.length) };
}
