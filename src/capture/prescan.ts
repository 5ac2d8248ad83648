import { Marker, RAW_UNKNOWN_PAGE, type RawHandler, type RawTask, readRaw } from "./raw.js";

/** What has to be known of a recording before its trace can be begun. */
export interface Prescan {
  tasks: Record<string, string>;
  begun: number;
  finished: number;
  /** Physical page of each virtual page that is on the same one throughout; -1 where it is not. */
  pages: Map<number, number>;
}

/** Reads a recording for the names of its tasks, the number of its invocations and the places of its pages. Throws Error at damage. */
export function prescan(path: string): Prescan {
  const result: Prescan = { tasks: {}, begun: 0, finished: 0, pages: new Map() };
  let ended = false;
  const place = (vpn: number, ppn: number): void => {
    if (ppn === RAW_UNKNOWN_PAGE) return;
    const known = result.pages.get(vpn);
    if (known !== ppn) result.pages.set(vpn, known === undefined ? ppn : -1);
  };
  const handler: RawHandler = {
    block({ address, ppn, ppn2 }) {
      const vpn = Math.floor(address / 4096);
      place(vpn, ppn);
      place(vpn + 1, ppn2);
    },
    exec() {},
    mem() {},
    map(_vcpu, vpn, ppn) {
      place(vpn, ppn);
    },
    core() {},
    switch(_vcpu: number, task: RawTask) {
      result.tasks[task.pid] = task.pid === 0 ? "idle" : task.comm;
    },
    mark(_vcpu, operation) {
      if (operation === Marker.Begin) result.begun++;
      if (operation === Marker.End) result.finished++;
    },
    end() {
      ended = true;
    },
  };
  readRaw(path, handler);
  if (!ended)
    throw new Error("the recording has no end: the emulator was stopped before the client had finished");
  return result;
}
