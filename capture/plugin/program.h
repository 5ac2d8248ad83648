/* What a user-mode emulator's process tells of the program in it. */
#ifndef MUSWARM_PROGRAM_H
#define MUSWARM_PROGRAM_H

#include <stdint.h>

/* Some code of the program: where it is in the emulator and in the program's own addresses. */
void program_saw(const void *host, uint64_t vaddr);

/*
 * Writes `raw`.maps: "base HEX" (emulator's address of the program's address 0), "threads N", then the
 * emulator's /proc/self/maps, in which the program's files are.
 */
void program_write_maps(const char *raw, unsigned threads);

#endif
