#include "supervisor/suspend.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "queue/region.h"
#include "supervisor/internal.h"
#include "base/poison.h"

enum {
    SETTLE_MS = 100,     /* from the signal until every thread has stopped */
    PAGE_OUT_MAX = 1024, /* mappings at a time: what the kernel takes in one call */
};

struct suspension {
    struct worker *worker;
    struct loop_timer settle;
    struct region region;
    struct wake {
        struct loop_io io; /* our copy of what a thread of the worker sleeps on */
        struct suspension *s;
    } * wakes;
    size_t n_wakes;
    bool is_on;
    uint64_t woken_ms;
};

static struct loop *loop_of(const struct suspension *s)
{
    return s->worker->pool->s->loop;
}

/* Every thread of the worker sleeps, and nothing has been put on its rings since. */
static bool is_quiet(const struct suspension *s)
{
    for (unsigned i = 0; i < s->region.threads; i++) {
        const struct ring_shared *in = region_request_ring(&s->region, i);
        const struct ring_shared *out = region_response_ring(&s->region, i);
        if (!atomic_load(&in->sleeping) || atomic_load(&in->tail) != atomic_load(&in->head) ||
            atomic_load(&out->tail) != atomic_load(&out->head))
            return false;
    }
    return true;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* "START-END PERMISSIONS ..." of a line of maps. */
static bool read_range(struct str line, struct iovec *ret)
{
    uint64_t start = 0, end = 0;
    size_t i = 0;

    for (; i < line.n && ascii_hex(line.p[i]) >= 0; i++)
        start = start << 4 | (uint64_t)ascii_hex(line.p[i]);
    if (i == line.n || line.p[i++] != '-')
        return false;
    for (; i < line.n && ascii_hex(line.p[i]) >= 0; i++)
        end = end << 4 | (uint64_t)ascii_hex(line.p[i]);
    *ret = (struct iovec){(void *)(uintptr_t)start, (size_t)(end - start)};
    return end > start && i < line.n && line.p[i] == ' ';
}

/* Needs CAP_SYS_NICE and the right to look into the process; where it fails the kernel takes the
 * pages when it needs them, as it does with every process that stands still. */
static void page_out(pid_t pid)
{
    char path[48], line[4400];
    struct iovec *list = xcalloc(PAGE_OUT_MAX, sizeof(*list));
    size_t n = 0;
    _cleanup_close_ int handle = (int)syscall(SYS_pidfd_open, pid, 0);

    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *f = handle < 0 ? NULL : fopen(path, "re");

    while (f && n < PAGE_OUT_MAX && fgets(line, sizeof(line), f))
        n += read_range(str_z(line), &list[n]);
    if (f)
        fclose(f);
    if (n)
        (void)syscall(SYS_process_madvise, handle, list, n, MADV_PAGEOUT, 0u);
    free(list);
}

/* ---- on and off ----------------------------------------------------------------------------- */

static void on_settled(struct loop_timer *t)
{
    struct suspension *s = CONTAINER_OF(t, struct suspension, settle);

    if (is_quiet(s))
        page_out(s->worker->pid);
    else
        suspension_end(s);
}

/* Nothing is read here, that is the worker's: what counts is what is on the rings.
 * Before all threads have stopped, on_settled looks. */
static void on_wake(struct loop_io *io, uint32_t events)
{
    struct suspension *s = CONTAINER_OF(io, struct wake, io)->s;

    if (!s->settle.heap_index && !is_quiet(s))
        suspension_end(s);
}

static void listen_to_wakes(struct suspension *s, bool on)
{
    for (size_t i = 0; i < s->n_wakes; i++)
        (void)loop_io_set(loop_of(s), &s->wakes[i].io, on ? EPOLLIN | EPOLLET : 0);
}

void suspension_begin(struct suspension *s)
{
    if (s->is_on || !is_quiet(s) || kill(s->worker->pid, SIGSTOP) < 0)
        return;
    s->is_on = true;
    listen_to_wakes(s, true);
    loop_timer_set(loop_of(s), &s->settle, loop_now_ms(loop_of(s)) + SETTLE_MS);
}

void suspension_end(struct suspension *s)
{
    if (!s->is_on)
        return;
    s->is_on = false;
    s->woken_ms = loop_now_ms(loop_of(s));
    loop_timer_clear(loop_of(s), &s->settle);
    listen_to_wakes(s, false);
    kill(s->worker->pid, SIGCONT);
    worker_woken(s->worker);
}

bool suspension_is_on(const struct suspension *s)
{
    return s->is_on;
}

uint64_t suspension_woken_ms(const struct suspension *s)
{
    return s->woken_ms;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct suspension *suspension_new(struct worker *w, int region, const int *sleeps, size_t n)
{
    struct suspension *s = xcalloc(1, sizeof(*s));

    s->worker = w;
    s->settle.on_time = on_settled;
    s->n_wakes = n;
    s->wakes = xcalloc(s->n_wakes, sizeof(*s->wakes));
    bool ok = region_map(region, &s->region) && s->region.threads <= s->n_wakes;

    for (size_t i = 0; i < s->n_wakes; i++) {
        int fd = fcntl(sleeps[i], F_DUPFD_CLOEXEC, 0);
        s->wakes[i] = (struct wake){.io = {.on_event = on_wake, .fd = fd}, .s = s};
        ok = ok && fd >= 0;
    }
    return ok ? s : suspension_free(s);
}

struct suspension *suspension_free(struct suspension *s)
{
    if (!s)
        return NULL;
    loop_timer_clear(loop_of(s), &s->settle);
    listen_to_wakes(s, false);
    for (size_t i = 0; i < s->n_wakes; i++)
        if (s->wakes[i].io.fd >= 0)
            close(s->wakes[i].io.fd);
    if (s->region.mem)
        region_unmap(&s->region);
    free(s->wakes);
    free(s);
    return NULL;
}
