/**
 * The record of ChampSim's traces, one for each executed instruction, little-endian:
 *
 * ```
 *            plain, 64 bytes        cloudsuite, 96 bytes
 *  ip            u64 @ 0                u64 @ 0
 *  is_branch     u8  @ 8                u8  @ 8
 *  taken         u8  @ 9                u8  @ 9
 *  dst registers u8[2] @ 10             u8[4] @ 10
 *  src registers u8[4] @ 12             u8[4] @ 14
 *  dst memory    u64[2] @ 16            u64[4] @ 24
 *  src memory    u64[4] @ 32            u64[4] @ 56
 *  asid                                 u8[2] @ 88
 * ```
 *
 * 0 means that a place is empty. The kind of a branch follows from its registers.
 */
export interface ChampSimLayout {
  readonly bytes: number;
  readonly destinations: number;
  readonly destinationRegisters: number;
  readonly sourceRegisters: number;
  readonly destinationMemory: number;
  readonly sourceMemory: number;
}

export const PLAIN: ChampSimLayout = {
  bytes: 64,
  destinations: 2,
  destinationRegisters: 10,
  sourceRegisters: 12,
  destinationMemory: 16,
  sourceMemory: 32,
};

export const CLOUDSUITE: ChampSimLayout = {
  bytes: 96,
  destinations: 4,
  destinationRegisters: 10,
  sourceRegisters: 14,
  destinationMemory: 24,
  sourceMemory: 56,
};

export const SOURCES = 4;

export const REG_STACK_POINTER = 6;
export const REG_FLAGS = 25;
export const REG_INSTRUCTION_POINTER = 26;
