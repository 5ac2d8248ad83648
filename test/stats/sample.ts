import { loadMachine } from "../../src/machine/load.js";
import { coreValues, syntheticRun, type Values } from "./synthetic.js";

/** Invocations under one protocol: active cycles, instruction misses at the Jukebox level, prefetches useful and issued. */
function invocations(
  level: string,
  cycles: readonly number[],
  misses: number,
  useful = 0,
  issued = 0,
): Values[] {
  const jukebox: Values =
    issued === 0
      ? {}
      : {
          [`${level}.pfIssued.cpu1`]: issued,
          [`${level}.pfUseful.cpu1`]: useful,
          "cpu1.jukebox.pfInsertedInQueue": issued + 10,
          "cpu1.jukebox.bytesRead": 10_240,
          "cpu1.jukebox.bytesWritten": 11_264,
          "cpu1.jukebox.totalNumPrefetches": 5000,
          "cpu1.jukebox.linesOverflowed": 250,
          "memory.bytesRead.prefetch": 64 * issued,
          "memory.bytesRead.metadata": 10_240,
          "memory.bytesWritten.metadata": 11_264,
        };
  return cycles.map((n) => ({
    ...coreValues(1, {
      instructions: 1_000_000,
      kernel: 600_000,
      cycles: {
        base: 500_000,
        "fetch.memory": n - 1_200_000,
        "load.llc": 300_000,
        mispredict: 150_000,
        execute: 250_000,
      },
      idle: 40_000,
    }),
    "cpu1.l1i.misses.cpu1.inst": 31_000,
    "cpu1.l1i.mshrMerges.cpu1.inst": 1000,
    "cpu1.l1d.misses.cpu1.load": 9000,
    "cpu1.l1d.misses.cpu1.store": 6000,
    [`${level}.misses.cpu1.inst`]: misses,
    [`${level}.misses.cpu1.load`]: 2500,
    "memory.bytesRead.fetch": 64 * misses,
    "memory.bytesRead.data": 160_000,
    ...jukebox,
  }));
}

/** The runs of one trace on one machine under all protocols, with round numbers. */
export function sampleRuns(machineName = "simple") {
  const machine = loadMachine(machineName);
  const level = machine.jukebox!.level;
  const path = machine.levels.find((l) => l.name === level)!.shared ? level : `cpu1.${level}`;
  const run = (protocol: string, measured: Values[]) =>
    syntheticRun({ protocol, machine, warm: 2, invocations: measured });
  return [
    run("reference", invocations(path, [1_900_000, 2_000_000, 2_100_000], 8000)),
    run("lukewarm", invocations(path, [3_000_000, 3_000_000, 3_000_000], 20_000)),
    run("jukebox", invocations(path, [2_800_000, 2_900_000, 3_000_000], 15_000, 5000, 9000)),
    run("jukebox-paced", invocations(path, [2_500_000, 2_500_000, 2_500_000], 8000, 12_000, 13_000)),
    run("perfect", invocations(path, [1_800_000, 1_800_000, 1_800_000], 300)),
  ];
}
