/** A note of the header: the instruction bytes are not those of the program that ran. */
export const SYNTHESISED = "instruction bytes are synthesised";
