/* W3C, HTTPERR and FTP logs: every width of the splitter must count the same, and so must the input
 * cut in two at a line's end. */
#include <stdlib.h>

#include "diagnose/unit.h"
#include "base/poison.h"

static const struct tally_sizes sizes = {
    .urls = 64, .clients = 64, .pairs = 128, .keys = 32, .paces = 8, .list_max = 4};

struct totals {
    uint64_t records, lines, not_understood, refitted, odd, requests, httperr, keys, sent;
};

/* Lines of p, read in two parts when cut is not 0. p[n - 1] is a line's end. */
static struct totals read_all(unsigned width, const char *p, size_t n, size_t cut)
{
    struct unit_stats stats;
    struct sink sink = {.tally = tally_new(&sizes), .stats = &stats};
    struct columns c;

    unit_stats_init(&stats);
    columns_init(&c, &sink);
    columns_lines_with(width, &c, p, p + cut);
    columns_lines_with(width, &c, p + cut, p + n);
    tally_flush(sink.tally);
    tally_settle(sink.tally);
    INVARIANT(stats.records + stats.not_understood <= stats.lines);
    struct totals o = {
        stats.records,         stats.lines,          stats.not_understood,        stats.refitted,
        stats.odd_values,      sink.tally->requests, sink.tally->httperr_records, sink.tally->key_n,
        sink.tally->bytes_sent};

    columns_fini(&c);
    unit_stats_fini(&stats);
    tally_free(sink.tally);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
    char *p = malloc(n + 1 + BUFFER_SLACK);

    if (!p)
        return 0;
    if (n)
        memcpy(p, d, n);
    p[n++] = '\n';
    memset(p + n, ' ', BUFFER_SLACK);
    const char *half = memchr(p + n / 2, '\n', n - n / 2);
    size_t cut = half ? (size_t)(half + 1 - p) : n;
    struct totals first = read_all(0, p, n, n);
    static const unsigned widths[] = {16, 32, 64};

    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        if (!columns_has_width(widths[i]))
            continue;
        struct totals o = read_all(widths[i], p, n, i ? cut : n);
        INVARIANT(memcmp(&o, &first, sizeof(o)) == 0);
    }
    free(p);
    return 0;
}
