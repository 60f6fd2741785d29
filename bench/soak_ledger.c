/* What is asked, and what became of each request. */
#include "soak.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tests/attack/loopback.h"

const struct kind kinds[KINDS] = {
    {"hit", "GET", "/hit.txt", "", "", FIXED, 200, 260, 1024},
    {"many", "GET", "/many/f%03u.txt", "", "", MANY, 200, 120, 300},
    {"not-cached", "GET", "/nc/a.txt", "", "", FIXED, 200, 120, 1024},
    {"not-modified", "GET", "/hit.txt", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n", "",
     FIXED, 304, 80, 0},
    {"head", "HEAD", "/hit.txt", "", "", FIXED, 200, 40, 0},
    {"query", "GET", "/hit.txt?n=%u", "", "", NUMBERED, 200, 60, 1024},
    {"range", "GET", "/large.bin", "Range: bytes=1000-1999\r\n", "", FIXED, 206, 50, 1000},
    {"large", "GET", "/large.bin", "", "", FIXED, 200, 15, 131072},
    {"default-document", "GET", "/", "", "", FIXED, 200, 40, 100},
    {"listing", "GET", "/list/", "", "", FIXED, 200, 10, -1},
    {"missing", "GET", "/none/%u.txt", "", "", NUMBERED, 404, 60, -1},
    {"hidden-segment", "GET", "/bin/a.txt", "", "", FIXED, 404, 30, -1},
    {"extension", "GET", "/source.cs", "", "", FIXED, 404, 30, -1},
    {"redirect", "GET", "/moved/x", "", "", FIXED, 302, 40, -1},
    {"slash", "GET", "/list", "", "", FIXED, 301, 20, -1},
    {"post", "POST", "/hit.txt", "Content-Length: 100\r\n",
     "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012"
     "3456789",
     FIXED, 405, 20, -1},
    /* What the listener refuses; ends the connection, so it is always the last of one. */
    {"bad-host", "GET", "/bad/%u", "Host: a b\r\n", "", NUMBERED, 400, 60, -1},
};

struct ledger *ledger;
struct tally tally;
uint64_t goal;
volatile sig_atomic_t stopping;

static uint64_t seed = 0x9e3779b97f4a7c15u;

uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

void ledger_map(const char *path, uint64_t capacity)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct stat s;
    size_t size = sizeof *ledger + capacity * sizeof(struct entry);

    if (fd < 0 || fstat(fd, &s) < 0)
        die(path);
    if (capacity == 0)
        size = (size_t)s.st_size;
    else if (ftruncate(fd, (off_t)size) < 0)
        die(path);
    ledger = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED)
        die(path);
    close(fd);
    if (capacity)
        ledger->capacity = capacity;
}

static uint8_t pick_kind(bool with_bad)
{
    static unsigned total;
    unsigned at;

    if (total == 0)
        for (size_t i = 0; i < KINDS; i++)
            total += kinds[i].weight;
    for (;;) {
        uint8_t kind = 0;

        at = (unsigned)(draw() % total);
        while (at >= kinds[kind].weight)
            at -= kinds[kind++].weight;
        if (kind != BAD_HOST || with_bad)
            return kind;
    }
}

bool ledger_begin(struct conn *c, struct exchange *x, bool with_bad)
{
    if (ledger->sent >= goal || stopping)
        return false;
    *x = (struct exchange){.serial = (uint32_t)ledger->sent++};
    ledger->entries[x->serial] =
        (struct entry){.kind = pick_kind(with_bad), .transport = c->transport, .port = c->port};
    return true;
}

void ledger_settle(const struct exchange *x, uint16_t result)
{
    struct entry *e = &ledger->entries[x->serial];
    const struct kind *k = &kinds[e->kind];

    e->result = result;
    if (result < 100) {
        if (result == ABORTED)
            tally.aborted++;
        else
            tally.lost++;
        return;
    }
    tally.answered++;
    if (result != k->status) {
        tally.odd++;
        tally.odd_by_status[result % 1000]++;
    } else if (k->size >= 0 && x->size != (size_t)k->size) {
        tally.wrong++;
        fprintf(stderr, "soak: request %u (%s): %zu bytes, %ld wanted\n", x->serial, k->name,
                x->size, k->size);
    }
}

bool ledger_path(char *into, size_t size, const struct kind *k, uint32_t serial)
{
    int n;

    switch (k->target) {
    case MANY:
        n = snprintf(into, size, k->path, serial % 1000);
        break;
    case NUMBERED:
        n = snprintf(into, size, k->path, serial);
        break;
    default:
        n = snprintf(into, size, "%s", k->path);
    }
    return n > 0 && (size_t)n < size;
}
