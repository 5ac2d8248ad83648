#include "program.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t base;

void program_saw(const void *host, uint64_t vaddr)
{
    if (host != NULL) base = (uintptr_t)host - vaddr;
}

void program_write_maps(const char *raw, unsigned threads)
{
    char text[4096];
    snprintf(text, sizeof text, "%s.maps", raw);
    FILE *from = fopen("/proc/self/maps", "re"), *to = fopen(text, "we");
    if (to != NULL) {
        size_t n;
        fprintf(to, "base %" PRIx64 "\nthreads %u\n", base, threads);
        while (from != NULL && (n = fread(text, 1, sizeof text, from)) > 0) fwrite(text, 1, n, to);
        fclose(to);
    }
    if (from != NULL) fclose(from);
}
