import { type ProgressSink, run } from "./host.js";

/** What one step of a capture took. */
export interface Step {
  name: string;
  seconds: number;
  /** Bytes that it left in the cache folder; negative where it removed more. */
  bytes: number;
}

const MB = 1e6;

/** Hands steps on and says of each, when it is over, how long it took and what it left on disk. */
export class Steps {
  readonly done: Step[] = [];
  private name = "";
  private started = 0;
  private bytes = 0;

  constructor(
    private readonly progress: ProgressSink,
    private readonly folder: string,
  ) {}

  async begin(name: string): Promise<void> {
    await this.end();
    this.bytes = await this.measure();
    this.name = name;
    this.started = Date.now();
    this.progress.step(name);
  }

  async end(): Promise<void> {
    if (this.name === "") return;
    const seconds = (Date.now() - this.started) / 1000;
    const bytes = (await this.measure()) - this.bytes;
    this.done.push({ name: this.name, seconds, bytes });
    this.name = "";
    const disk = Math.abs(bytes) < MB / 2 ? "" : `, ${(bytes / MB).toFixed(0)} MB on disk`;
    if (seconds >= 0.1) this.progress.step(`  ${seconds.toFixed(1)} s${disk}`);
  }

  private async measure(): Promise<number> {
    try {
      return Number((await run("measure", "du", ["-s", "-B1", this.folder])).split("\t")[0]);
    } catch {
      return this.bytes; // another capture removed a file just now
    }
  }
}
