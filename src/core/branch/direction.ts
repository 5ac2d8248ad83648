/** Says whether conditional branches are taken. The rest of a unit (targets, returns) is the same for all: see unit.ts. */
export interface DirectionPredictor {
  /** @returns the predicted direction of a conditional branch, having learnt the outcome. */
  predict(pc: number, taken: boolean): boolean;
  /** An unconditional branch passes: histories take it in. */
  always(pc: number): void;
  flush(): void;
}

/** Moves a two-bit counter up or down; it saturates. */
export function bump(counters: Uint8Array, i: number, up: boolean): void {
  const value = counters[i];
  if (up) {
    if (value < 3) counters[i] = value + 1;
  } else if (value > 0) counters[i] = value - 1;
}
