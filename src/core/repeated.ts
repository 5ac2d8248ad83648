import { SlotKind } from "../loader/contract.js";

/** Micro-ops of one iteration of a repeated string instruction in gem5's microcode, by SlotKind; rep lods, unheard of, has 4. */
export const REP_UOPS: Record<number, number> = {
  [SlotKind.RepLoad]: 5,
  [SlotKind.RepStore]: 4,
  [SlotKind.RepMove]: 6,
  [SlotKind.RepCompare]: 7,
};

/** Micro-ops before and behind the iterations, if there are any; their one row is counted by itself. */
export const repFrame = (segments: number): number => (segments > 0 ? 6 : 2);
