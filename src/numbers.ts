/** Greatest common divisor of two integers that are not both 0. */
export function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

// `| 0` below: V8 keeps what `**` and Math.log2 give as doubles, also in the fields they are put into.

/** The least power of two that is `atLeast` or more. Range: 1 to 2^30. */
export function powerOfTwo(atLeast: number): number {
  return (2 ** Math.ceil(Math.log2(atLeast))) | 0;
}

/** Exponent of a power of two. */
export function exponent(power: number): number {
  return Math.log2(power) | 0;
}

/** Mask of the lowest `bits` bits. Range: 0 to 32. */
export function lowBits(bits: number): number {
  return (2 ** bits - 1) | 0;
}
