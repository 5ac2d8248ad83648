import { Outcome } from "../cache/contract.js";
import { DEGREE, DemandPrefetcher } from "./base.js";
import type { PrefetcherDefinition } from "./contract.js";

/**
 * Tagged next-line: the lines behind one that misses or is used for the first time after it was prefetched (Smith,
 * _Cache Memories_, ACM Computing Surveys 1982, section 2.1; gem5: TaggedPrefetcher).
 */
class NextLine extends DemandPrefetcher {
  protected observe(line: number, virtualLine: number, outcome: Outcome, now: number): void {
    if (outcome === Outcome.Hit || outcome === Outcome.Merge) return;
    for (let i = 1; i <= this.degree; i++) if (!this.ask(line, virtualLine, i, now)) return;
  }

  flush(): void {}
}

export const nextLine: PrefetcherDefinition = {
  description: "tagged next-line (Smith 1982)",
  parameters: { degree: DEGREE },
  create: (host, parameters, on) => new NextLine(host, parameters, on),
};
