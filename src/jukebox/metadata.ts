import type { JukeboxSpec } from "../machine/spec.js";
import { type Layout, LINE_BITS, layoutOf } from "./layout.js";

const FIRST_ALLOCATION = 1024;

/**
 * One physically contiguous buffer of packed entries (ISCA 2022, section 3.3). Entry i occupies bits
 * [i * entryBits, (i + 1) * entryBits) of the buffer, so entries straddle 64-byte lines. A full buffer
 * takes no more; it never wraps.
 */
export class MetadataBuffer {
  asid = new Int32Array(0);
  region = new Float64Array(0);
  /** `layout.words` words an entry, low lines first. */
  vector = new Int32Array(0);
  entries = 0;

  constructor(
    readonly layout: Layout,
    /** Physical line of the buffer's first 64 bytes. */
    readonly baseLine: number,
  ) {}

  clear(): void {
    this.entries = 0;
  }

  /** Copies entry `from` of a vector array in. @returns false when full: nothing happened. */
  append(asid: number, region: number, vector: Int32Array, from: number): boolean {
    const { layout, entries } = this;
    if (entries === layout.capacity) return false;
    if (entries === this.asid.length) this.grow();
    this.asid[entries] = asid;
    this.region[entries] = region;
    const words = layout.words;
    for (let w = 0; w < words; w++) this.vector[entries * words + w] = vector[from * words + w];
    this.entries = entries + 1;
    return true;
  }

  /** Bits in use. */
  get bits(): number {
    return this.entries * this.layout.entryBits;
  }

  /** 64-byte lines that are full. */
  get fullLines(): number {
    return Math.floor(this.bits / LINE_BITS);
  }

  /** 64-byte lines in use, the last maybe in part. */
  get lines(): number {
    return Math.ceil(this.bits / LINE_BITS);
  }

  /** Line of the buffer that holds the last bit of entry i: with it and those before, the entry is complete. */
  lastLineOf(entry: number): number {
    return Math.floor(((entry + 1) * this.layout.entryBits - 1) / LINE_BITS);
  }

  /** Doubles, up to the capacity: happens a few times in a buffer's life. */
  private grow(): void {
    const size = Math.min(this.layout.capacity, Math.max(FIRST_ALLOCATION, this.entries * 2));
    const asid = new Int32Array(size);
    asid.set(this.asid);
    this.asid = asid;
    const region = new Float64Array(size);
    region.set(this.region);
    this.region = region;
    const vector = new Int32Array(size * this.layout.words);
    vector.set(this.vector);
    this.vector = vector;
  }
}

/** A function instance's two buffers; they change places at each invocation (ISCA 2022, section 3.3). */
export class InstanceMetadata {
  record: MetadataBuffer;
  replay: MetadataBuffer;

  constructor(layout: Layout, baseLine: number) {
    this.record = new MetadataBuffer(layout, baseLine);
    this.replay = new MetadataBuffer(layout, baseLine + layout.linesPerBuffer);
  }

  /** What was recorded will be replayed; what was replayed is forgotten and recorded over. */
  swap(): void {
    const recorded = this.record;
    this.record = this.replay;
    this.replay = recorded;
    this.record.clear();
  }
}

/**
 * The metadata of all function instances, by id. The n-th instance that appears gets the n-th pair of
 * buffers from the base line on. Jukeboxes of several cores may share one store: an instance's
 * metadata then moves with it.
 */
export class MetadataStore {
  readonly layout: Layout;
  private readonly byId = new Map<number, InstanceMetadata>();

  constructor(
    spec: JukeboxSpec,
    readonly baseLine: number,
  ) {
    this.layout = layoutOf(spec);
  }

  /** Instances seen so far. */
  get size(): number {
    return this.byId.size;
  }

  /** Physical lines taken, from the base line on. */
  get lines(): number {
    return this.byId.size * 2 * this.layout.linesPerBuffer;
  }

  instance(id: number): InstanceMetadata {
    let metadata = this.byId.get(id);
    if (metadata === undefined) {
      metadata = new InstanceMetadata(this.layout, this.baseLine + this.lines);
      this.byId.set(id, metadata);
    }
    return metadata;
  }

  /** No side effect: the instance's metadata if it has appeared. */
  peek(id: number): InstanceMetadata | undefined {
    return this.byId.get(id);
  }
}
