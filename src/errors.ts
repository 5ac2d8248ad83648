/**
 * An error that is the user's to mend: wrong option, key, file or geometry. One line, no stack trace;
 * the command line ends with exit code 2. The message names the place (file and offset, key, option),
 * what was expected and, where there is one, the nearest right word.
 */
export class InputError extends Error {
  override name = "InputError";
}

/**
 * A plug-in failed while a simulation ran: its author's to mend. One line that names its file and what it was doing; the
 * command line ends with exit code 1. Its stack is that of the plug-in's own error.
 */
export class PluginError extends Error {
  override name = "PluginError";
  constructor(message: string, stack?: string) {
    super(message);
    if (stack !== undefined) this.stack = stack;
  }
}

/** The nearest of `words` to `word` by edit distance, or undefined when none is near. */
export function nearest(word: string, words: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of words) {
    const d = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** " Did you mean X?" or, with no near word, " Known: A, B, C." */
export function suggestion(word: string, words: readonly string[]): string {
  const near = nearest(word, words);
  return near === undefined ? ` Known: ${words.join(", ")}.` : ` Did you mean "${near}"?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
