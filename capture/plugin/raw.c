#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 1 << 17 };

static uint64_t buffer[WORDS];
static size_t used;
static int file = -1;

static void die(const char *what)
{
    fprintf(stderr, "recorder: cannot %s the raw file: %s\n", what, strerror(errno));
    _exit(1);
}

static void flush(void)
{
    const char *at = (const char *)buffer;
    size_t left = used * sizeof buffer[0];
    while (left > 0) {
        ssize_t n = write(file, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) die("write");
        at += n;
        left -= (size_t)n;
    }
    used = 0;
}

void raw_open(const char *path)
{
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) die("create");
    raw_word(RAW_MAGIC);
}

void raw_word(uint64_t word)
{
    if (file < 0) return;
    buffer[used++] = word;
    if (used == WORDS) flush();
}

void raw_close(void)
{
    if (file < 0) return;
    flush();
    if (close(file) < 0) die("close");
    file = -1;
}

void raw_abandon(void)
{
    if (file >= 0) close(file);
    file = -1;
}
