// A prefetcher of one's own, to stand beside Jukebox: it writes down, in order, the instruction lines that miss while
// the function runs, and at the next invocation fetches them again, `ahead` lines ahead of where the function is.
//
//     muswarm sim traces/fibonacci-go.trace --plugin docs/examples/miss-list.js
//
// docs/plugins.md says what each method is told, and when.

/** Outcomes of a demand (docs/plugins.md): only these three tell of a line that was not here by itself. */
const PREFETCH_HIT = 1;
const PREFETCH_LATE = 2;
const MISS = 4;
/** Entries of 4 bytes in a line of metadata. */
const ENTRIES_A_LINE = 16;
const NONE = new Int32Array(0);

class MissList {
  /** Cycle at which `act` wants to be called; Infinity: not before something happens. */
  nextAction = Number.POSITIVE_INFINITY;
  /** Shown as cpu1.llc.miss-list.recorded and so on. */
  ownCounters = {
    defs: [
      { name: "recorded", unit: "Count", description: "lines written down" },
      { name: "overflowed", unit: "Count", description: "lines that found the list full" },
      { name: "resynced", unit: "Count", description: "times that the function was found again further on" },
    ],
    values: new Float64Array(3),
  };

  constructor(host, { entries, ahead }) {
    this.host = host;
    this.entries = entries;
    this.ahead = ahead;
    this.recording = new Int32Array(entries);
    this.recorded = 0;
    /** Of each function instance, what its last invocation wrote down. */
    this.lists = new Map();
    this.begin(NONE);
    this.running = false;
  }

  beginInvocation(instance, now) {
    this.begin(this.lists.get(instance) ?? NONE);
    this.running = true;
    this.goal = Math.min(this.ahead, this.list.length);
    this.replay(now);
  }

  endInvocation(instance, now) {
    if (this.recorded % ENTRIES_A_LINE > 0) this.writeLine(now);
    this.lists.set(instance, this.recording.slice(0, this.recorded));
    this.begin(NONE);
    this.running = false;
  }

  demand(_requester, _line, virtualLine, outcome, now) {
    if (!this.running) return;
    if (outcome !== MISS && outcome !== PREFETCH_HIT && outcome !== PREFETCH_LATE) return;
    this.record(virtualLine, now);
    if (!this.follow(virtualLine)) return;
    this.next = Math.max(this.next, this.here);
    this.goal = Math.min(this.here + this.ahead, this.list.length);
    this.replay(now);
  }

  /** The line of the list that was read from memory is there. */
  act(now) {
    this.replay(now);
  }

  evictedUnused() {}

  begin(list) {
    this.list = list;
    this.recorded = 0;
    /** Places in the list: where the function is, what is asked for next, and how far to go. */
    this.here = 0;
    this.next = 0;
    this.goal = 0;
    /** Demands since the last that was found near `here`. */
    this.lost = 0;
    this.lineRead = -1;
    this.lineReady = 0;
    this.nextAction = Number.POSITIVE_INFINITY;
  }

  /** Is the demand the function's next step through the list? Looked for nearby, or, when lost, in all that is left. */
  follow(virtualLine) {
    const { list, here } = this;
    const end = ++this.lost > this.ahead ? list.length : Math.min(here + 2 * this.ahead, list.length);
    for (let i = here; i < end; i++) {
      if (list[i] !== virtualLine) continue;
      if (this.lost > this.ahead) this.ownCounters.values[2]++;
      this.lost = 0;
      this.here = i + 1;
      return true;
    }
    return false;
  }

  record(virtualLine, now) {
    if (this.recorded === this.entries) {
      this.ownCounters.values[1]++;
      return;
    }
    this.recording[this.recorded++] = virtualLine;
    this.ownCounters.values[0]++;
    if (this.recorded % ENTRIES_A_LINE === 0) this.writeLine(now);
  }

  writeLine(now) {
    const line = Math.ceil(this.recorded / ENTRIES_A_LINE) - 1;
    this.host.writeMetadata(this.host.metadataLine + line, now);
  }

  /** Asks for lines up to the goal, as far as the list has been read and the queue has room. */
  replay(now) {
    this.nextAction = Number.POSITIVE_INFINITY;
    const { target, pages } = this.host;
    while (this.next < this.goal) {
      const line = Math.floor(this.next / ENTRIES_A_LINE);
      if (line !== this.lineRead) {
        this.lineRead = line;
        this.lineReady = this.host.readMetadata(this.host.metadataLine + line, now);
      }
      if (now < this.lineReady) {
        this.nextAction = Math.ceil(this.lineReady);
        return;
      }
      const virtualLine = this.list[this.next];
      // A line of a page: its page's number of the trace, and the physical page that this stands for.
      const physicalLine = pages.ppn[virtualLine >> 6] * 64 + (virtualLine & 63);
      if (!target.enqueue(physicalLine, virtualLine, now)) return; // full: again at the next demand
      this.next++;
    }
  }
}

export default {
  prefetchers: {
    "miss-list": {
      description: "the last invocation's instruction misses, in order",
      on: "instructions",
      parameters: {
        entries: { default: 4096, min: 0, max: 65536, describe: "lines that the list holds, 4 bytes each" },
        ahead: { default: 64, min: 1, max: 4096, describe: "lines fetched ahead of the function" },
      },
      create: (host, parameters) => new MissList(host, parameters),
    },
  },
};
