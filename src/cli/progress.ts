import type { Io } from "./io.js";

/** What progress is told of: instructions done and to do, and runs. */
export interface Work {
  done: number;
  total: number;
  finishedRuns: number;
  runs: number;
}

const REDRAW_MS = 100;
const HEARTBEAT_MS = 10_000;

/** A line on stderr that is overwritten on a terminal; elsewhere a plain line every ten seconds. */
export class StatusLine {
  private drawn: number;
  private shown = false;

  /** @param now clock in milliseconds */
  constructor(
    private readonly io: Io,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.drawn = now();
  }

  /** Shows the text, unless something was shown just now. */
  update(text: () => string): void {
    const now = this.now();
    const { isTTY, columns } = this.io.stderr;
    if (now - this.drawn < (isTTY ? REDRAW_MS : HEARTBEAT_MS)) return;
    this.drawn = now;
    if (!isTTY) {
      this.io.stderr.write(`muswarm: ${text()}\n`);
      return;
    }
    this.shown = true;
    this.io.stderr.write(`\r\x1b[K${text().slice(0, Math.max(0, columns - 1))}`);
  }

  /** Writes a line that stays. */
  say(text: string): void {
    this.clear();
    this.io.stderr.write(`muswarm: ${text}\n`);
  }

  /** Takes the overwritten line away. */
  clear(): void {
    if (this.shown) this.io.stderr.write("\r\x1b[K");
    this.shown = false;
  }
}

/** Shows how far a simulation has come, and at its end how fast it was. */
export class Progress {
  private readonly started: number;
  private readonly line: StatusLine;

  /** @param now clock in milliseconds */
  constructor(
    io: Io,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.started = now();
    this.line = new StatusLine(io, now);
  }

  update(work: Work): void {
    this.line.update(() => progressText(work, this.seconds()));
  }

  clear(): void {
    this.line.clear();
  }

  /** Says how fast it was; a run of under a second is not worth a word. */
  finish(instructions: number): void {
    const seconds = this.seconds();
    this.line.clear();
    if (seconds < 1) return;
    const speed = (instructions / seconds / 1e6).toFixed(2);
    this.line.say(`${(instructions / 1e6).toFixed(1)} M instructions in ${duration(seconds)}, ${speed} MIPS`);
  }

  private seconds(): number {
    return (this.now() - this.started) / 1000;
  }
}

/** "42 %, 3.10 MIPS, 1:05 left, run 3 of 10". */
export function progressText(work: Work, seconds: number): string {
  const share = work.total > 0 ? work.done / work.total : 0;
  const parts = [`${Math.floor(share * 100)} %`];
  if (seconds > 0) parts.push(`${(work.done / seconds / 1e6).toFixed(2)} MIPS`);
  // Before that the guess is worth nothing: threads start, code is being optimised.
  if (share >= 0.02) parts.push(`${duration((seconds * (1 - share)) / share)} left`);
  parts.push(`${work.finishedRuns} of ${work.runs} runs done`);
  return parts.join(", ");
}

/** "0:07", "12:30", "1:02:03". */
export function duration(seconds: number): string {
  const s = Math.ceil(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  return minutes < 60
    ? `${minutes}:${two(s % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}
