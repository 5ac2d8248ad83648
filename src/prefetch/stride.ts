import type { Outcome, PrefetcherHost } from "../cache/contract.js";
import { DEGREE, DemandPrefetcher } from "./base.js";
import type { Parameters, PrefetcherDefinition, Sees } from "./contract.js";

const CONFIDENCE_MAX = 7;

/**
 * PC-indexed stride (Fu, Patel and Janssens, _Stride Directed Prefetching in Scalar Processors_, MICRO 1992; gem5:
 * StridePrefetcher): a direct-mapped table by instruction of the last line and the distance to it. The same
 * distance again raises the confidence, another lowers it and, at 0, takes its place. Distances are in lines: accesses to
 * the same line are not seen.
 */
class Stride extends DemandPrefetcher {
  private readonly pcs: Int32Array;
  private readonly last: Float64Array;
  private readonly stride: Float64Array;
  private readonly confidence: Uint8Array;
  private readonly mask: number;
  private readonly threshold: number;

  constructor(host: PrefetcherHost, parameters: Parameters, on: Sees) {
    super(host, parameters, on);
    const entries = parameters.entries as number;
    this.mask = entries - 1;
    this.threshold = parameters.confidence as number;
    this.pcs = new Int32Array(entries);
    this.last = new Float64Array(entries);
    this.stride = new Float64Array(entries);
    this.confidence = new Uint8Array(entries);
  }

  protected observe(
    line: number,
    virtualLine: number,
    _outcome: Outcome,
    now: number,
    _ready: number,
    pc: number,
  ): void {
    if (pc === 0) return;
    const { last, stride, confidence } = this;
    // Pages have numbers in order of appearance: distances need the address.
    const address = this.host.pages.vpn[virtualLine >> 6] * 64 + (virtualLine & 63);
    const i = (pc ^ (pc >>> 8)) & this.mask;
    if (this.pcs[i] !== pc) {
      this.pcs[i] = pc;
      last[i] = address;
      stride[i] = 0;
      confidence[i] = 0;
      return;
    }
    const distance = address - last[i];
    if (distance === 0) return;
    last[i] = address;
    if (distance === stride[i]) {
      if (confidence[i] < CONFIDENCE_MAX) confidence[i]++;
    } else if (confidence[i] > 0) confidence[i]--;
    else stride[i] = distance;
    if (confidence[i] < this.threshold || Math.abs(stride[i]) > 63) return;
    for (let k = 1; k <= this.degree; k++) if (!this.ask(line, virtualLine, stride[i] * k, now)) return;
  }

  flush(): void {
    this.pcs.fill(0);
  }
}

export const stride: PrefetcherDefinition = {
  description: "distance between an instruction's accesses (Fu, Patel and Janssens 1992)",
  on: "data",
  parameters: {
    degree: { ...DEGREE, default: 4 },
    entries: { default: 64, min: 1, max: 65536, powerOfTwo: true, describe: "instructions tracked" },
    confidence: {
      default: 2,
      min: 1,
      max: CONFIDENCE_MAX,
      describe: "repetitions of a distance before it is used",
    },
  },
  create: (host, parameters, on) => new Stride(host, parameters, on),
};
