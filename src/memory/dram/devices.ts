import { InputError, suggestion } from "../../errors.js";
import type { DramMemorySpec } from "../../machine/spec.js";

/** Times in ns, by their names in gem5's DRAMInterface; tRCD_WR and tCWL default to tRCD and tCL. */
interface DeviceTiming {
  tCK: number;
  tBURST: number;
  tRCD: number;
  tRCD_WR?: number;
  tCL: number;
  tCWL?: number;
  tRP: number;
  tRAS: number;
  tRRD: number;
  tRRD_L: number;
  tXAW: number;
  tCCD_L: number;
  tWR: number;
  tWTR: number;
  tRTP: number;
  tRTW: number;
  tCS: number;
  tRFC: number;
  tREFI: number;
}

interface Device {
  ranks: number;
  /** Of a rank. */
  banks: number;
  /** 0: none. */
  bankGroups: number;
  rowBytes: number;
  readQueue: number;
  writeQueue: number;
  timing: DeviceTiming;
}

const DDR4_2400_16x4: Device = {
  ranks: 2,
  banks: 16,
  bankGroups: 4,
  rowBytes: 512 * 16,
  readQueue: 64,
  writeQueue: 128,
  timing: {
    tCK: 0.833,
    tBURST: 3.332,
    tRCD: 14.16,
    tCL: 14.16,
    tRP: 14.16,
    tRAS: 32,
    tRRD: 3.332,
    tRRD_L: 4.9,
    tXAW: 13.328,
    tCCD_L: 5,
    tWR: 15,
    tWTR: 5,
    tRTP: 7.5,
    tRTW: 1.666,
    tCS: 1.666,
    tRFC: 350,
    tREFI: 7800,
  },
};

/** Devices by name: channels of 64 bits, bursts of 8. Figures of gem5 v24's DRAMInterface classes of the same names. */
const DEVICES: Readonly<Record<string, Device>> = {
  DDR3_1600_8x8: {
    ranks: 2,
    banks: 8,
    bankGroups: 0,
    rowBytes: 1024 * 8,
    readQueue: 32,
    writeQueue: 64,
    timing: {
      tCK: 1.25,
      tBURST: 5,
      tRCD: 13.75,
      tCL: 13.75,
      tRP: 13.75,
      tRAS: 35,
      tRRD: 6,
      tRRD_L: 0,
      tXAW: 30,
      tCCD_L: 0,
      tWR: 15,
      tWTR: 7.5,
      tRTP: 7.5,
      tRTW: 2.5,
      tCS: 2.5,
      tRFC: 260,
      tREFI: 7800,
    },
  },
  DDR4_2400_8x8: {
    ...DDR4_2400_16x4,
    rowBytes: 1024 * 8,
    timing: { ...DDR4_2400_16x4.timing, tXAW: 21 },
  },
  DDR4_2400_16x4,
};

/** Activates that may lie within tXAW. */
export const ACTIVATION_LIMIT = 4;
const LINE_BYTES = 64;

/** A memory channel in numbers: geometry, sizes, and times in ps (gem5's ticks). */
export interface DramParameters {
  readonly ranks: number;
  readonly banks: number;
  readonly bankGroups: number;
  readonly linesPerRow: number;
  readonly readQueue: number;
  readonly writeQueue: number;
  readonly tBURST: number;
  readonly tRCD: number;
  readonly tRCD_WR: number;
  readonly tCL: number;
  readonly tCWL: number;
  readonly tRP: number;
  readonly tRAS: number;
  readonly tRRD: number;
  readonly tRRD_L: number;
  readonly tXAW: number;
  readonly tCCD_L: number;
  readonly tWR: number;
  readonly tWTR: number;
  readonly tRTP: number;
  readonly tRTW: number;
  readonly tCS: number;
  readonly tRFC: number;
  readonly tREFI: number;
  readonly pagePolicy: DramMemorySpec["pagePolicy"];
  readonly maxAccessesPerRow: number;
  readonly scheduling: DramMemorySpec["scheduling"];
  /** Lines in the write queue above which writes are forced, or go when no read waits. */
  readonly writeHigh: number;
  readonly writeLow: number;
  readonly minReadsPerSwitch: number;
  readonly minWritesPerSwitch: number;
}

/** Names of the devices that a machine may ask for. */
export const DRAM_DEVICES: readonly string[] = Object.keys(DEVICES);

/**
 * The device that a machine asks for, with the machine's changes. Throws InputError that names the key and
 * what was expected: an unknown device, or figures that do not go together.
 */
export function dramParameters(spec: DramMemorySpec): DramParameters {
  const device = Object.hasOwn(DEVICES, spec.device) ? DEVICES[spec.device] : undefined;
  if (device === undefined)
    throw new InputError(
      `memory.device: no device "${spec.device}".${suggestion(spec.device, DRAM_DEVICES)}`,
    );
  const ns: DeviceTiming = { ...device.timing, ...spec.timing };
  const ps = (time: number) => Math.round(time * 1000);
  const writeQueue = spec.writeQueue ?? device.writeQueue;
  const p: DramParameters = {
    ranks: spec.ranks ?? device.ranks,
    banks: spec.banks ?? device.banks,
    bankGroups: spec.bankGroups ?? device.bankGroups,
    linesPerRow: (spec.rowBytes ?? device.rowBytes) / LINE_BYTES,
    readQueue: spec.readQueue ?? device.readQueue,
    writeQueue,
    tBURST: ps(ns.tBURST),
    tRCD: ps(ns.tRCD),
    tRCD_WR: ps(ns.tRCD_WR ?? ns.tRCD),
    tCL: ps(ns.tCL),
    tCWL: ps(ns.tCWL ?? ns.tCL),
    tRP: ps(ns.tRP),
    tRAS: ps(ns.tRAS),
    tRRD: ps(ns.tRRD),
    tRRD_L: ps(ns.tRRD_L),
    tXAW: ps(ns.tXAW),
    tCCD_L: ps(ns.tCCD_L),
    tWR: ps(ns.tWR),
    tWTR: ps(ns.tWTR),
    tRTP: ps(ns.tRTP),
    tRTW: ps(ns.tRTW),
    tCS: ps(ns.tCS),
    tRFC: ps(ns.tRFC),
    tREFI: ps(ns.tREFI),
    pagePolicy: spec.pagePolicy,
    maxAccessesPerRow: spec.maxAccessesPerRow,
    scheduling: spec.scheduling,
    writeHigh: Math.floor((writeQueue * spec.writeHighThreshold) / 100),
    writeLow: Math.floor((writeQueue * spec.writeLowThreshold) / 100),
    minReadsPerSwitch: spec.minReadsPerSwitch,
    minWritesPerSwitch: spec.minWritesPerSwitch,
  };
  check(spec, p);
  return p;
}

function check(spec: DramMemorySpec, p: DramParameters): void {
  const fail = (key: string, expected: string, got: number | string): never => {
    throw new InputError(`memory.${key}: expected ${expected}; got ${got}`);
  };
  if (p.bankGroups > 0 && p.banks % p.bankGroups !== 0)
    fail("bankGroups", `a divisor of banks (${p.banks}), or 0`, p.bankGroups);
  if (p.bankGroups > 0 && p.tCCD_L <= p.tBURST)
    fail("timing.tCCD_L", `more than tBURST (${p.tBURST / 1000} ns) with bank groups`, p.tCCD_L / 1000);
  if (p.bankGroups > 0 && p.tRRD_L < p.tRRD)
    fail("timing.tRRD_L", `at least tRRD (${p.tRRD / 1000} ns) with bank groups`, p.tRRD_L / 1000);
  if (p.tBURST <= 0) fail("timing.tBURST", "more than 0", p.tBURST / 1000);
  if (p.tREFI <= p.tRP + p.tRFC)
    fail("timing.tREFI", `more than tRP + tRFC (${(p.tRP + p.tRFC) / 1000} ns)`, p.tREFI / 1000);
  if (spec.writeLowThreshold >= spec.writeHighThreshold)
    fail(
      "writeLowThreshold",
      `less than writeHighThreshold (${spec.writeHighThreshold})`,
      spec.writeLowThreshold,
    );
}
