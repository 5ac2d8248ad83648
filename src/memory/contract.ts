/** What a transfer between the last cache and main memory is for; traffic is counted by it. */
export const Traffic = {
  Fetch: 0,
  Data: 1,
  Walk: 2,
  Prefetch: 3,
  Writeback: 4,
  MetadataRead: 5,
  MetadataWrite: 6,
  Uncached: 7,
} as const;
export type Traffic = (typeof Traffic)[keyof typeof Traffic];
export const TRAFFIC_KINDS = 8;

/**
 * Main memory as the last cache sees it. Called by src/cache only, in the order in which requests left their
 * L1s: `now` may run back by the difference between the paths to memory. All times are integer cycles of the
 * core clock.
 */
export interface MainMemory {
  /** Reads a line (64 bytes). @returns cycle at which its last byte leaves the controller, > now. */
  read(line: number, traffic: Traffic, now: number): number;
  /** Writes a line. Nobody waits for it, but it takes its share of the bandwidth. */
  write(line: number, traffic: Traffic, now: number): void;
  /** Forgets queues and open rows (time goes on). */
  flush(): void;
}
