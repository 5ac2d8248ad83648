/*
 * The raw file: 64-bit little-endian words, first RAW_MAGIC. Bits 63..62 of a record's first word are
 * its type. src/capture/raw.ts reads it; change both together.
 *
 *   EXEC   61..56 vcpu, 55..40 instructions that the execution before (of any vcpu) really did,
 *          31..0 block
 *   MEM    61..52 instruction's index in its block (1023: the last executed), 51 store,
 *          50..48 log2 of the bytes, 47..0 virtual address. Belongs to the EXEC or CORE before.
 *   CTRL   61..58 kind, 57..48 vcpu, 47..0 value, then words that depend on the kind:
 *          BLOCK  value = block;   virtual address; physical page of the first byte, 63..32 of the next
 *                 page (0xffffffff: unknown); instructions, 63..32 bytes; lengths and bytes, padded
 *          MAP    value = virtual page;       physical page, bit 63 = device
 *          SWITCH value = task's address;     mm; pid, 63..32 tgid; comm; comm
 *          MARK   value = operation
 *          CORE   the MEM records that follow belong to this vcpu
 *          END    value = 0;                  instructions of the last EXEC
 */
#ifndef MUSWARM_RAW_H
#define MUSWARM_RAW_H

#include <stdint.h>

#define RAW_MAGIC 0x3157415253554dull /* "MUSRAW1" */

enum { RAW_EXEC = 0, RAW_MEM = 1, RAW_CTRL = 2 };
enum { RAW_BLOCK = 1, RAW_MAP = 2, RAW_SWITCH = 3, RAW_MARK = 4, RAW_CORE = 5, RAW_END = 6 };

#define RAW_LAST_INSN 1023u
#define RAW_UNKNOWN_PAGE 0xffffffffu

void raw_open(const char *path);
void raw_word(uint64_t word);
void raw_close(void);
/* Forgets the file: it is another process's. */
void raw_abandon(void);

static inline void raw_control(unsigned kind, unsigned vcpu, uint64_t value)
{
    raw_word((uint64_t)RAW_CTRL << 62 | (uint64_t)kind << 58 | (uint64_t)vcpu << 48 |
             (value & 0xffffffffffffull));
}

#endif
