#include "guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Where Linux maps all physical memory (without KASLR). */
#define DIRECT_MAP 0xffff888000000000ull

/* Guest memory is one memfd mapping (see src/capture/machine.ts), below the 32-bit device hole. */
static uintptr_t ram;
static uint64_t ram_bytes;

static void find_ram(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return;
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from, to;
        uint64_t offset;
        if (strstr(line, "memfd:memory-backend-memfd") == NULL) continue;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %" SCNx64, &from, &to, &offset) != 3) continue;
        if (ram == 0) ram = from - offset;
        if (to - ram > ram_bytes) ram_bytes = to - ram;
    }
    fclose(maps);
}

uint64_t guest_physical(const void *host)
{
    if (ram == 0) find_ram();
    uint64_t offset = (uintptr_t)host - ram;
    return host != NULL && offset < ram_bytes ? offset : UINT64_MAX;
}

bool guest_task(uint64_t physical, const struct task_layout *layout, struct task *task)
{
    if (ram == 0) find_ram();
    if (physical >= ram_bytes || ram_bytes - physical < 16384) return false;
    const char *base = (const char *)(ram + physical);
    memcpy(&task->mm, base + layout->mm, sizeof task->mm);
    uint64_t mm = task->mm - DIRECT_MAP;
    if (task->mm != 0 && layout->context != 0 && mm < ram_bytes - 4096)
        memcpy(&task->mm, (const char *)(ram + mm + layout->context), sizeof task->mm);
    memcpy(&task->pid, base + layout->pid, sizeof task->pid);
    memcpy(&task->tgid, base + layout->tgid, sizeof task->tgid);
    memcpy(task->comm, base + layout->comm, sizeof task->comm);
    return true;
}

bool guest_text_is(uint64_t physical, const char *text)
{
    size_t size = strlen(text) + 1, room = 4096 - physical % 4096;
    if (ram == 0) find_ram();
    if (physical >= ram_bytes) return false;
    /* Where the next page is nobody knows here: what is on this one has to do, if it is not too little. */
    if (room < size && room < 8) return false;
    return memcmp((const char *)(ram + physical), text, size < room ? size : room) == 0;
}
