/* HAR files, failed request traces and exported events, by the first byte. */
#include <stdlib.h>

#include "diagnose/documents.h"
#include "base/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
    static const struct tally_sizes sizes = {
        .urls = 64, .clients = 64, .pairs = 128, .keys = 32, .paces = 8};
    struct unit_stats stats;
    struct sink sink = {.tally = tally_new(&sizes), .stats = &stats};
    struct str text = {(const char *)d + 1, n ? n - 1 : 0};

    unit_stats_init(&stats);
    if (n) {
        char *why = d[0] % 3 == 0   ? har_read(&sink, text)
                    : d[0] % 3 == 1 ? freb_read(&sink, text)
                                    : events_read(&sink, text);
        INVARIANT(d[0] % 3 != 0 || !why || stats.records == 0);
        free(why);
    }
    tally_flush(sink.tally);
    unit_stats_fini(&stats);
    tally_free(sink.tally);
    return 0;
}
