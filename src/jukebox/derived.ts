/** Ratios over Jukebox's counters, computed when reporting. NaN where the denominator is 0. */

/**
 * Share of the inserted prefetches that were demanded: pfUseful / pfInsertedInQueue. As the authors';
 * pfUseful counts late ones too.
 */
export function accuracy(pfUseful: number, pfInsertedInQueue: number): number {
  return pfUseful / pfInsertedInQueue;
}

/**
 * Share of the instruction misses that prefetching turned into hits (or shortened):
 * pfUseful / (pfUseful + demandMshrMisses), misses of the same run. As the authors'.
 */
export function coverage(pfUseful: number, demandMshrMisses: number): number {
  return pfUseful / (pfUseful + demandMshrMisses);
}

/**
 * Useless prefetches as a share of the instruction misses of the run without Jukebox:
 * (issued − useful) / baseline misses (ISCA 2022, section 5.2). `issued` leaves out what was squashed
 * or dropped at issue: it is what the cache sent to memory for Jukebox.
 */
export function overprediction(issued: number, pfUseful: number, baselineMisses: number): number {
  return (issued - pfUseful) / baselineMisses;
}

/** Lines an entry: totalNumPrefetches / (entryWrites + entryOverflows). The authors' entryWrites counts both. */
export function avgNumPrefetchesPerEntry(
  totalNumPrefetches: number,
  entryWrites: number,
  entryOverflows: number,
): number {
  return totalNumPrefetches / (entryWrites + entryOverflows);
}

/** Cycles a metadata read takes: totalReadLatency / reads. */
export function averageReadLatency(totalReadLatency: number, reads: number): number {
  return totalReadLatency / reads;
}
