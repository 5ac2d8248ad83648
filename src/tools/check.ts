/** Examples that a check keeps. */
export const MAX_EXAMPLES = 5;

/** One property of a trace: how often it was tested, how often it did not hold, and the first cases. */
export class Check {
  tested = 0;
  wrong = 0;
  readonly examples: string[] = [];

  /** @param name the property, as a statement */
  constructor(readonly name: string) {}

  fail(example: () => string): void {
    this.wrong++;
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(example());
  }
}
