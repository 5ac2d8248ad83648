/* The guest's memory, as the emulator's process sees it, and the kernel's tasks in it. */
#ifndef MUSWARM_GUEST_H
#define MUSWARM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets in task_struct, and of the context in mm_struct; the guest's type information (BTF) tells them. */
struct task_layout {
    uint32_t mm, pid, tgid, comm, context;
};

/* mm: the number that the kernel gives an address space (mm->context.ctx_id), which it never uses again as it
 * does the structure's address; 0: a kernel thread. */
struct task {
    uint64_t mm;
    uint32_t pid, tgid;
    uint64_t comm[2];
};

/* Guest-physical address of a host address, or UINT64_MAX where it is no guest memory. */
uint64_t guest_physical(const void *host);

/* Reads the task at a guest-physical address. False where that is no guest memory. */
bool guest_task(uint64_t physical, const struct task_layout *layout, struct task *task);

/* Whether the guest has this text, with the zero behind it, at a guest-physical address. */
bool guest_text_is(uint64_t physical, const char *text);

#endif
