/* The formats without header: any line is a record or is not, its views lie in the line, and
 * reading loses none. */
#include <stdlib.h>

#include "diagnose/lines.h"
#include "base/poison.h"

static void check_view(struct str line, struct str v)
{
    INVARIANT(v.n == 0 || (v.p >= line.p && v.p + v.n <= line.p + line.n));
}

static void check_record(struct str line, const struct record *r)
{
    check_view(line, r->url);
    check_view(line, r->user);
    check_view(line, r->client);
    check_view(line, r->site);
    check_view(line, r->method);
    INVARIANT(r->status <= 999);
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
    static const enum log_kind kinds[] = {LOG_IIS, LOG_NCSA, LOG_ANCM};
    struct str text = {(const char *)d, n}, line;
    struct record r;

    while (str_split(&text, '\n', &line)) {
        if (native_parse(line, &r))
            check_record(line, &r);
        if (ncsa_parse(line, &r))
            check_record(line, &r);
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds) && n; i++) {
        struct unit_stats stats;
        struct sink sink = {.stats = &stats};
        uint64_t lines = 0;

        unit_stats_init(&stats);
        lines_read(&sink, kinds[i], (const char *)d, (const char *)d + n, &lines);
        INVARIANT(stats.lines == lines && stats.records + stats.not_understood <= lines);
        unit_stats_fini(&stats);
    }
    return 0;
}
