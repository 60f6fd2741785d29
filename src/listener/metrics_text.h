/* The text of GET /metrics: OpenMetrics 1.0, families in the order of metrics_table.h. */
#ifndef CANDOR_LISTENER_METRICS_TEXT_H
#define CANDOR_LISTENER_METRICS_TEXT_H

#include <jansson.h>

#include "base/buf.h"
#include "listener/metrics.h"

#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct metrics_pool_fact {
    struct str name;
    unsigned index; /* the one that metrics_queue_wait was called with */
    uint64_t queued, limit;
};

struct metrics_site_fact {
    uint32_t id;
    struct str name;
    uint64_t connections;
};

/* All that is exposed, as it is at one moment. */
struct metrics_facts {
    struct metrics *const *threads; /* may be written to meanwhile */
    size_t n_threads;
    const struct metrics_pool_fact *pools;
    size_t n_pools;
    const struct metrics_site_fact *sites;
    size_t n_sites;
    uint64_t connections, generation, cache_entries, cache_bytes;
    int64_t started_us; /* of the listener: wall clock */
    /* {version, started_us, pools:[{name, state, workers, starts, failures, recycles}]} as the
     * supervisor says it; NULL: it has said nothing yet */
    const json_t *supervisor;
};

/* Appends the exposition, ending with "# EOF". out->overflow tells whether it found room. */
void metrics_write(struct buf *out, const struct metrics_facts *f);

#endif
