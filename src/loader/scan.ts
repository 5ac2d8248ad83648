import type { Trace } from "./contract.js";

/** What `scan` saw: a measure of the work, and of whether two readings saw the same. */
export interface ScanResult {
  instructions: number;
  /** Block executions. */
  blocks: number;
  addresses: number;
  /** Sum over all block ids and addresses, modulo 2^32: keeps the reading from being optimised away. */
  sum: number;
}

/** Reads one core's whole stream and does next to nothing with it: the speed of reading. */
export function scan(trace: Trace, core: number): ScanResult {
  const stream = trace.stream(core);
  let blocks = 0;
  let addressCount = 0;
  let sum = 0;
  while (stream.next()) {
    const { blocks: ids, blockCount, addresses } = stream;
    const count = stream.addressCount;
    for (let i = 0; i < blockCount; i++) sum = (sum + ids[i]) | 0;
    for (let i = 0; i < count; i++) sum = (sum + addresses[i]) | 0;
    blocks += blockCount;
    addressCount += count;
  }
  // The reader has compared the chunks' blocks with the index.
  return { instructions: trace.cores[core].instructions, blocks, addresses: addressCount, sum };
}
