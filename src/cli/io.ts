/** Where a command writes and what it may ask of the process. Tests pass their own. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the user interrupts (SIGINT, SIGTERM). */
  readonly signal: AbortSignal;
}

export interface Output {
  write(text: string): void;
  /** A terminal, on which a line can be overwritten. */
  readonly isTTY: boolean;
  /** Width in characters, as it is now. */
  readonly columns: number;
}

/** One JSON document, indented, with a line end. */
export function writeJson(io: Io, document: unknown): void {
  io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
