/* Recognising a log and reading it from front to back, whatever it is: from a pipe-like source, in
 * whatever packing and encoding, as candor diagnose does it. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "diagnose/report.h"
#include "diagnose/detector.h"
#include "diagnose/scan.h"
#include "base/alloc.h"
#include "base/poison.h"

/* JSON may hold no bytes that are not UTF-8 and no control characters. */
static void check_json(const struct buf *b)
{
    INVARIANT(b->n > 0 && !b->overflow);
    for (size_t i = 0; i + 1 < b->n; i++)
        INVARIANT((unsigned char)b->p[i] >= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
    int fd = memfd_create("log", 0);
    struct scan_options options = {.top = 5, .list_max = 3, .threads = 1};
    struct report_options report = {.top = 5, .width = 80};
    struct findings findings;
    struct arena arena;
    struct buf out;

    if (fd < 0)
        return 0;
    INVARIANT(write(fd, d, n) == (ssize_t)n);
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);
    const char *paths[] = {path};

    filter_init(&options.filter);
    arena_init(&arena, 0);
    findings_init(&findings);
    buf_init(&out, 64 << 20);
    struct model *m = scan_paths(paths, 1, &options, &arena);

    for (size_t i = 0; i < m->file_n; i++)
        INVARIANT(m->files[i].kind != LOG_UNKNOWN || m->files[i].problem.n ||
                  m->files[i].is_archive);
    detectors_run(m, &findings);
    report_json(&out, m, &findings, &report);
    check_json(&out);
    buf_clear(&out);
    report_text(&out, m, &findings, &report);
    buf_fini(&out);
    findings_fini(&findings);
    arena_fini(&arena);
    close(fd);
    return 0;
}
