import { lowBits } from "../../numbers.js";
import { INST_SHIFT } from "./btb.js";

/** Targets that make up the path history (gem5: indirectPathLength). */
const PATH_LENGTH = 3;

/**
 * Indirect target predictor (gem5 SimpleIndirectPredictor without direction history): set-associative,
 * indexed by the branch address hashed with the last indirect targets, least recently used replaced.
 */
export class IndirectPredictor {
  private readonly tags: Int32Array;
  private readonly targets: Int32Array;
  /** Time of last use; 0 = never. */
  private readonly used: Float64Array;
  private readonly path = new Int32Array(PATH_LENGTH);
  private readonly setMask: number;
  private readonly tagMask: number;
  private clock = 0;

  constructor(
    sets: number,
    private readonly ways: number,
    tagBits: number,
  ) {
    this.tags = new Int32Array(sets * ways).fill(-1);
    this.targets = new Int32Array(sets * ways);
    this.used = new Float64Array(sets * ways);
    this.setMask = sets - 1;
    this.tagMask = lowBits(tagBits);
  }

  private base(pc: number): number {
    let hash = pc >>> INST_SHIFT;
    for (let i = 0; i < PATH_LENGTH; i++) hash ^= this.path[i] >>> (INST_SHIFT + i * 2);
    return (hash & this.setMask) * this.ways;
  }

  /** @returns the predicted target, or -1. */
  lookup(pc: number): number {
    const base = this.base(pc);
    const tag = (pc >>> INST_SHIFT) & this.tagMask;
    for (let i = base; i < base + this.ways; i++) {
      if (this.tags[i] === tag) {
        this.used[i] = ++this.clock;
        return this.targets[i];
      }
    }
    return -1;
  }

  /** Learns where the branch went, then takes the target into the path. */
  update(pc: number, target: number): void {
    const base = this.base(pc);
    const tag = (pc >>> INST_SHIFT) & this.tagMask;
    let at = base;
    for (let i = base; i < base + this.ways; i++) {
      if (this.tags[i] === tag) {
        at = i;
        break;
      }
      if (this.used[i] < this.used[at]) at = i;
    }
    this.tags[at] = tag;
    this.targets[at] = target;
    this.used[at] = ++this.clock;
    for (let i = PATH_LENGTH - 1; i > 0; i--) this.path[i] = this.path[i - 1];
    this.path[0] = target;
  }

  flush(): void {
    this.tags.fill(-1);
    this.targets.fill(0);
    this.used.fill(0);
    this.path.fill(0);
    this.clock = 0;
  }
}
