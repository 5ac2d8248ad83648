import { AddressSpaces, pageKey } from "./pages.js";
import { Marker, RAW_UNKNOWN_PAGE, type RawHandler, type RawTask, readRaw } from "./raw.js";

/** What has to be known of a recording before its trace can be begun. */
export interface Prescan {
  tasks: Record<string, string>;
  begun: number;
  finished: number;
  /** Physical page of each page (see pageKey) that is on the same one throughout; -1 where it is not. */
  pages: Map<number, number>;
}

/** Reads a recording for the names of its tasks, the number of its invocations and the places of its pages. Throws Error at damage. */
export async function prescan(path: string, signal?: AbortSignal): Promise<Prescan> {
  const result: Prescan = { tasks: {}, begun: 0, finished: 0, pages: new Map() };
  let ended = false;
  const spaces = new AddressSpaces();
  /** Address space of each vcpu, and for each block the spaces in which it was placed. */
  const current: number[] = [];
  const blocks: { vpn: number; ppn: number; ppn2: number; placed: Set<number> }[] = [];
  const place = (asid: number, vpn: number, ppn: number): void => {
    if (ppn === RAW_UNKNOWN_PAGE) return;
    const key = pageKey(asid, vpn);
    const known = result.pages.get(key);
    if (known !== ppn) result.pages.set(key, known === undefined ? ppn : -1);
  };
  const handler: RawHandler = {
    block({ address, ppn, ppn2 }) {
      blocks.push({ vpn: Math.floor(address / 4096), ppn, ppn2, placed: new Set() });
    },
    exec(vcpu, block) {
      const asid = current[vcpu] ?? 0;
      // A block that was never described is an error, which the conversion reports.
      if (blocks[block] === undefined || blocks[block].placed.has(asid)) return;
      const { vpn, ppn, ppn2, placed } = blocks[block];
      placed.add(asid);
      place(asid, vpn, ppn);
      place(asid, vpn + 1, ppn2);
    },
    mem() {},
    map(vcpu, vpn, ppn) {
      place(current[vcpu] ?? 0, vpn, ppn);
    },
    core() {},
    switch(vcpu: number, task: RawTask) {
      result.tasks[task.pid] = task.pid === 0 ? "idle" : task.comm;
      if (task.mm !== 0) current[vcpu] = spaces.of(task.mm);
    },
    mark(_vcpu, operation) {
      if (operation === Marker.Begin) result.begun++;
      if (operation === Marker.End) result.finished++;
    },
    end() {
      ended = true;
    },
  };
  await readRaw(path, handler, undefined, signal);
  if (!ended)
    throw new Error("the recording has no end: the emulator was stopped before the client had finished");
  return result;
}
