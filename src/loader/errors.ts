import { InputError } from "../errors.js";

/** A trace file that is missing, foreign, truncated or damaged. The message names the file and the offset. */
export class TraceError extends InputError {
  override name = "TraceError";

  /**
   * @param file path of the trace, as the user gave it
   * @param offset bytes from the start of the file at which the damage was noticed; -1: the file as a whole
   * @param problem what was found there and what was expected
   */
  constructor(
    readonly file: string,
    readonly offset: number,
    readonly problem: string,
  ) {
    super(offset < 0 ? `${file}: ${problem}` : `${file}: at byte ${offset}: ${problem}`);
  }
}

/** Damage inside a chunk, before the file and the offset are known; the reader turns it into a TraceError. */
export class ChunkError extends Error {
  override name = "ChunkError";
}
