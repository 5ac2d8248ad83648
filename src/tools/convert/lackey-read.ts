import { Branch, FlatInstruction, type FlatSink, type FlatSource } from "./flat.js";
import { Input } from "./input.js";

const LOST = [
  "Valgrind's lackey has no instruction bytes: they are made up, of the length that it gives",
  "it does not say what is a branch: what does not go on with the next instruction is taken for one, its kind is guessed from targets and stack accesses",
  "register dependencies are not known",
  "addresses are virtual and of one process: physical pages are given out in order of first touch",
  "there is no kernel, and threads run one after the other",
];

const NEWLINE = 10;
/** No line of lackey's is longer; what is not its own is skipped. */
const MAX_LINE = 4096;
const MAX_LENGTH = 15;
const MAX_ACCESS = 4096;

/** The text that `valgrind --tool=lackey --trace-mem=yes` writes, plain or packed. */
export class LackeySource implements FlatSource {
  readonly format = "Valgrind lackey";
  readonly lost = LOST;
  private readonly input: Input;

  constructor(path: string) {
    this.input = new Input(path);
  }

  async read(sink: FlatSink, progress: (done: number, all: number) => void): Promise<void> {
    const { input } = this;
    const instruction = new FlatInstruction();
    instruction.branch = Branch.Unknown;
    let has = false;
    let goes = true;
    let rest = "";
    let offset = 0;
    const line = (text: string): void => {
      const problem = this.line(text, instruction, has);
      if (typeof problem === "string") throw input.damage(offset, problem);
      if (!problem) return;
      // An instruction line: the one before is complete.
      if (has) goes = sink(instruction);
      has = true;
      begin(text, instruction);
    };
    for await (const chunk of input.chunks((done) => progress(done, input.size))) {
      const text = rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
      let start = 0;
      for (;;) {
        const end = text.indexOf("\n", start);
        if (end < 0) break;
        line(text.slice(start, end));
        if (!goes) return;
        offset += end + 1 - start;
        start = end + 1;
      }
      rest = text.slice(start);
      if (rest.length > MAX_LINE) throw input.damage(offset, `a line of more than ${MAX_LINE} characters`);
    }
    if (rest !== "") throw input.damage(offset, "the last line is not complete");
    if (has) sink(instruction);
  }

  /** Takes a line of an access. @returns true for an instruction line, a text for damage */
  private line(text: string, out: FlatInstruction, has: boolean): boolean | string {
    if (text === "" || text.startsWith("==") || text.startsWith("--") || text.startsWith("**")) return false;
    const found = /^(I {2}| L | S | M )([0-9a-f]{1,16}),(\d{1,5})\r?$/i.exec(text);
    if (found === null) return `"${shown(text)}" is no line of lackey's`;
    const [, kind, , digits] = found;
    const size = Number(digits);
    if (kind === "I  ") {
      if (size < 1 || size > MAX_LENGTH) return `an instruction of ${size} bytes`;
      return true;
    }
    if (!has) return "an access before the first instruction";
    if (size < 1 || size > MAX_ACCESS) return `an access of ${size} bytes`;
    const address = low48(found[2]);
    const fits =
      (kind === " S " || out.access(false, address, size)) &&
      (kind === " L " || out.access(true, address, size));
    return fits ? false : "too many accesses of one instruction";
  }
}

function begin(text: string, out: FlatInstruction): void {
  const comma = text.indexOf(",");
  out.clear();
  out.pc = low48(text.slice(3, comma));
  out.length = Number.parseInt(text.slice(comma + 1), 10);
}

function low48(digits: string): number {
  return Number.parseInt(digits.slice(-12), 16);
}

function shown(text: string): string {
  const clean = text.replaceAll(/[^ -~]/g, "?");
  return clean.length > 40 ? `${clean.slice(0, 40)}...` : clean;
}

/** Whether the first bytes of a file look like lackey's output. */
export function looksLikeLackey(head: Uint8Array): boolean {
  if (head.includes(0)) return false;
  const text = Buffer.from(head).toString("latin1");
  const lines = text.slice(0, text.lastIndexOf(String.fromCharCode(NEWLINE))).split("\n");
  return lines.some((line) => /^(I {2}| [LSM] )[0-9a-f]+,\d+\r?$/i.test(line));
}
