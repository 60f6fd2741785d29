#include "listener/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/ipc.h"
#include "base/poison.h"

enum { LABELS_MAX = 4096, LABEL_VALUE_MAX = 256 };

/* A site's figures of all threads together. */
struct site_sum {
    uint32_t id;
    bool is_other;
    uint64_t received_bytes, sent_bytes, other_status;
    uint64_t buckets[METRICS_BUCKETS], sum_ms;
    struct status_sum {
        uint32_t key;
        uint64_t n;
    } * status;
    size_t n_status, status_cap;
};

struct writer {
    struct buf *out;
    const struct metrics_facts *f;
    const char *name; /* of the family being written */
    struct buf labels;
    struct site_sum *sites; /* sorted by id, "other" last */
    size_t n_sites;
};

/* ---- adding up ------------------------------------------------------------------------------ */

static uint64_t value_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_histogram(uint64_t buckets[METRICS_BUCKETS], uint64_t *sum_ms,
                          const struct metrics_histogram *h)
{
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        buckets[i] += value_of(&h->buckets[i]);
    *sum_ms += value_of(&h->sum_ms);
}

static void add_status(struct site_sum *sum, uint32_t key, uint64_t n)
{
    size_t i = 0;

    while (i < sum->n_status && sum->status[i].key != key)
        i++;
    if (i == sum->n_status) {
        sum->status = xgrow(sum->status, sum->n_status, &sum->status_cap, sizeof(*sum->status));
        sum->status[sum->n_status++] = (struct status_sum){.key = key};
    }
    sum->status[i].n += n;
}

static void add_site(struct site_sum *sum, const struct metrics_site *s)
{
    sum->received_bytes += value_of(&s->received_bytes);
    sum->sent_bytes += value_of(&s->sent_bytes);
    sum->other_status += value_of(&s->other_status);
    add_histogram(sum->buckets, &sum->sum_ms, &s->duration);
    for (size_t i = 0; i < METRICS_STATUS_SLOTS; i++) {
        uint32_t key = atomic_load_explicit(&s->status[i].key, memory_order_relaxed);
        if (key)
            add_status(sum, key, value_of(&s->status[i].n));
    }
}

static uint64_t requests_of(const struct metrics_site *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        n += value_of(&s->duration.buckets[i]);
    return n;
}

/* A site as one thread has counted it. */
struct site_part {
    uint32_t id;
    bool is_other;
    const struct metrics_site *site;
};

static int by_id(const void *a, const void *b)
{
    const struct site_part *x = a, *y = b;

    if (x->is_other != y->is_other)
        return x->is_other ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static struct site_part *collect_sites(const struct metrics_facts *f, size_t *ret_n)
{
    struct site_part *list = NULL;
    size_t n = 0, cap = 0;

    for (size_t t = 0; t < f->n_threads; t++) {
        const struct metrics *m = f->threads[t];
        for (size_t i = 0; i <= METRICS_SITE_SLOTS; i++) {
            bool is_other = i == METRICS_SITE_SLOTS;
            const struct metrics_site *s =
                is_other ? &m->other_site
                         : atomic_load_explicit(&m->sites[i], memory_order_acquire);
            if (!s || (is_other && requests_of(s) == 0))
                continue;
            list = xgrow(list, n, &cap, sizeof(*list));
            list[n++] = (struct site_part){.id = s->id, .is_other = is_other, .site = s};
        }
    }
    *ret_n = n;
    return list;
}

static void add_up_sites(struct writer *w)
{
    size_t n;
    struct site_part *parts = collect_sites(w->f, &n);

    if (n)
        qsort(parts, n, sizeof(*parts), by_id);
    w->sites = xcalloc(n, sizeof(*w->sites));
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_id(&parts[i - 1], &parts[i]) != 0)
            w->sites[w->n_sites++] =
                (struct site_sum){.id = parts[i].id, .is_other = parts[i].is_other};
        add_site(&w->sites[w->n_sites - 1], parts[i].site);
    }
    free(parts);
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* No longer than may be, and not cut within a character of UTF-8. */
static struct str clip(struct str value)
{
    size_t n = LABEL_VALUE_MAX;

    if (value.n <= n)
        return value;
    while (n > 0 && ((unsigned char)value.p[n] & 0xc0) == 0x80)
        n--;
    return str_sub(value, 0, n);
}

/* Adds one label to those of the next sample. */
static void label(struct writer *w, const char *name, struct str value)
{
    value = clip(value);
    buf_printf(&w->labels, "%s%s=\"", w->labels.n ? "," : "", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\n') {
            buf_str(&w->labels, STR("\\n"));
            continue;
        }
        if (value.p[i] == '"' || value.p[i] == '\\')
            buf_char(&w->labels, '\\');
        buf_char(&w->labels, value.p[i]);
    }
    buf_char(&w->labels, '"');
}

static void label_u64(struct writer *w, const char *name, uint64_t value)
{
    char text[20];

    label(w, name, str_n(text, fmt_u64(text, value)));
}

static void begin_sample(struct writer *w, const char *suffix)
{
    buf_printf(w->out, "%s%s", w->name, suffix);
    if (w->labels.n)
        buf_printf(w->out, "{%.*s}", STR_ARG(buf_view(&w->labels)));
    buf_char(w->out, ' ');
}

/* A sample with the labels given before, which it uses up. */
static void sample(struct writer *w, const char *suffix, uint64_t value)
{
    begin_sample(w, suffix);
    buf_u64(w->out, value);
    buf_char(w->out, '\n');
    buf_clear(&w->labels);
}

static void sample_us(struct writer *w, int64_t us)
{
    begin_sample(w, "");
    buf_printf(w->out, "%" PRId64 ".%06" PRId64 "\n", us / 1000000, us % 1000000);
    buf_clear(&w->labels);
}

static void histogram(struct writer *w, const char *key, struct str value,
                      const uint64_t buckets[METRICS_BUCKETS], uint64_t sum_ms)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        char le[24];
        uint64_t ms = UINT64_C(1) << i;
        n += buckets[i];
        snprintf(le, sizeof(le), "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000);
        label(w, key, value);
        label(w, "le", i + 1 < METRICS_BUCKETS ? str_z(le) : STR("+Inf"));
        sample(w, "_bucket", n);
    }
    label(w, key, value);
    sample(w, "_count", n);
    label(w, key, value);
    begin_sample(w, "_sum");
    buf_printf(w->out, "%" PRIu64 ".%03" PRIu64 "\n", sum_ms / 1000, sum_ms % 1000);
    buf_clear(&w->labels);
}

/* ---- families ------------------------------------------------------------------------------- */

static void write_build(struct writer *w)
{
    label(w, "version", STR(CANDOR_VERSION));
    sample(w, "_info", 1);
}

static void write_start_time(struct writer *w)
{
    if (w->f->supervisor)
        sample_us(w, ipc_get_int(w->f->supervisor, "started_us", 0));
}

static void write_listener_start_time(struct writer *w)
{
    sample_us(w, w->f->started_us);
}

static void write_threads(struct writer *w)
{
    sample(w, "", w->f->n_threads);
}

static void write_generation(struct writer *w)
{
    sample(w, "", w->f->generation);
}

static void write_connections(struct writer *w)
{
    sample(w, "", w->f->connections);
}

static void write_cache_entries(struct writer *w)
{
    sample(w, "", w->f->cache_entries);
}

static void write_cache_bytes(struct writer *w)
{
    sample(w, "", w->f->cache_bytes);
}

static void write_sites(struct writer *w)
{
    for (size_t i = 0; i < w->f->n_sites; i++) {
        label_u64(w, "site", w->f->sites[i].id);
        label(w, "name", w->f->sites[i].name);
        sample(w, "_info", 1);
    }
}

static void write_site_connections(struct writer *w)
{
    for (size_t i = 0; i < w->f->n_sites; i++) {
        label_u64(w, "site", w->f->sites[i].id);
        sample(w, "", w->f->sites[i].connections);
    }
}

static struct str site_label(const struct site_sum *s, char text[20])
{
    return s->is_other ? STR("other") : str_n(text, fmt_u64(text, s->id));
}

static void write_requests(struct writer *w)
{
    char text[20];

    for (size_t i = 0; i < w->n_sites; i++) {
        const struct site_sum *s = &w->sites[i];
        for (size_t k = 0; k < s->n_status; k++) {
            label(w, "site", site_label(s, text));
            label_u64(w, "status", s->status[k].key >> 16);
            label_u64(w, "substatus", s->status[k].key & 0xffff);
            sample(w, "_total", s->status[k].n);
        }
        if (s->other_status) {
            label(w, "site", site_label(s, text));
            label(w, "status", STR("other"));
            label(w, "substatus", STR("other"));
            sample(w, "_total", s->other_status);
        }
    }
}

static void write_durations(struct writer *w)
{
    char text[20];

    for (size_t i = 0; i < w->n_sites; i++)
        histogram(w, "site", site_label(&w->sites[i], text), w->sites[i].buckets,
                  w->sites[i].sum_ms);
}

static void write_received(struct writer *w)
{
    char text[20];

    for (size_t i = 0; i < w->n_sites; i++) {
        label(w, "site", site_label(&w->sites[i], text));
        sample(w, "_total", w->sites[i].received_bytes);
    }
}

static void write_sent(struct writer *w)
{
    char text[20];

    for (size_t i = 0; i < w->n_sites; i++) {
        label(w, "site", site_label(&w->sites[i], text));
        sample(w, "_total", w->sites[i].sent_bytes);
    }
}

static void write_httperr(struct writer *w)
{
    for (int reason = HTTPERR_NONE + 1; reason < HTTPERR_MAX; reason++) {
        uint64_t n = 0;
        for (size_t t = 0; t < w->f->n_threads; t++)
            n += value_of(&w->f->threads[t]->httperr[reason]);
        if (n == 0)
            continue;
        label(w, "reason", httperr_reason_name((enum httperr_reason)reason));
        sample(w, "_total", n);
    }
}

static void write_queue_length(struct writer *w)
{
    for (size_t i = 0; i < w->f->n_pools; i++) {
        label(w, "pool", w->f->pools[i].name);
        sample(w, "", w->f->pools[i].queued);
    }
}

static void write_queue_limit(struct writer *w)
{
    for (size_t i = 0; i < w->f->n_pools; i++) {
        label(w, "pool", w->f->pools[i].name);
        sample(w, "", w->f->pools[i].limit);
    }
}

static void write_queue_wait(struct writer *w)
{
    uint64_t other[METRICS_BUCKETS] = {0}, other_ms = 0, n = 0;

    for (size_t i = 0; i < w->f->n_pools; i++) {
        uint64_t buckets[METRICS_BUCKETS] = {0}, sum_ms = 0;
        unsigned index = w->f->pools[i].index;
        for (size_t t = 0; t < w->f->n_threads && index < METRICS_POOLS; t++) {
            const struct metrics_histogram *h =
                atomic_load_explicit(&w->f->threads[t]->waits[index], memory_order_acquire);
            if (h)
                add_histogram(buckets, &sum_ms, h);
        }
        if (index < METRICS_POOLS)
            histogram(w, "pool", w->f->pools[i].name, buckets, sum_ms);
    }
    for (size_t t = 0; t < w->f->n_threads; t++)
        add_histogram(other, &other_ms, &w->f->threads[t]->other_wait);
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        n += other[i];
    if (n)
        histogram(w, "pool", STR("other"), other, other_ms);
}

static void write_pool_state(struct writer *w)
{
    static const char *const states[] = {"Started", "Stopping", "Stopped"};
    size_t i;
    const json_t *pool;

    json_array_foreach(json_object_get(w->f->supervisor, "pools"), i, pool)
    {
        struct str state = str_z(ipc_get_str(pool, "state", ""));
        for (size_t k = 0; k < ARRAY_LEN(states); k++) {
            label(w, "pool", str_z(ipc_get_str(pool, "name", "")));
            label(w, w->name, str_z(states[k]));
            sample(w, "", str_eq(state, str_z(states[k])));
        }
    }
}

/* What the supervisor counts: one number per pool. */
static void write_pool_member(struct writer *w, const char *suffix, const char *member)
{
    size_t i;
    const json_t *pool;

    json_array_foreach(json_object_get(w->f->supervisor, "pools"), i, pool)
    {
        json_int_t n = ipc_get_int(pool, member, 0);
        label(w, "pool", str_z(ipc_get_str(pool, "name", "")));
        sample(w, suffix, n < 0 ? 0 : (uint64_t)n);
    }
}

static void write_pool_workers(struct writer *w)
{
    write_pool_member(w, "", "workers");
}

static void write_pool_starts(struct writer *w)
{
    write_pool_member(w, "_total", "starts");
}

static void write_pool_failures(struct writer *w)
{
    write_pool_member(w, "_total", "failures");
}

static void write_pool_recycles(struct writer *w)
{
    write_pool_member(w, "_total", "recycles");
}

#define INFO "info"
#define GAUGE "gauge"
#define COUNTER "counter"
#define HISTOGRAM "histogram"
#define STATESET "stateset"
static const struct {
    const char *name, *type, *unit, *help;
} families[METRIC_FAMILIES] = {
#define FAMILY(NAME, name, type, unit, labels, help) {name, type, unit, help},
#include "listener/metrics_table.h"
#undef FAMILY
};

/* Families without a function here consist of plain counters. */
static void (*const writers[METRIC_FAMILIES])(struct writer *) = {
    [METRIC_FAMILY_BUILD] = write_build,
    [METRIC_FAMILY_START_TIME] = write_start_time,
    [METRIC_FAMILY_LISTENER_START_TIME] = write_listener_start_time,
    [METRIC_FAMILY_LISTENER_THREADS] = write_threads,
    [METRIC_FAMILY_GENERATION] = write_generation,
    [METRIC_FAMILY_SITE] = write_sites,
    [METRIC_FAMILY_CONNECTIONS] = write_connections,
    [METRIC_FAMILY_SITE_CONNECTIONS] = write_site_connections,
    [METRIC_FAMILY_REQUESTS] = write_requests,
    [METRIC_FAMILY_REQUEST_DURATION] = write_durations,
    [METRIC_FAMILY_RECEIVED_BYTES] = write_received,
    [METRIC_FAMILY_SENT_BYTES] = write_sent,
    [METRIC_FAMILY_HTTPERR] = write_httperr,
    [METRIC_FAMILY_QUEUE_LENGTH] = write_queue_length,
    [METRIC_FAMILY_QUEUE_LIMIT] = write_queue_limit,
    [METRIC_FAMILY_QUEUE_WAIT] = write_queue_wait,
    [METRIC_FAMILY_CACHE_ENTRIES] = write_cache_entries,
    [METRIC_FAMILY_CACHE_BYTES] = write_cache_bytes,
    [METRIC_FAMILY_POOL_STATE] = write_pool_state,
    [METRIC_FAMILY_POOL_WORKERS] = write_pool_workers,
    [METRIC_FAMILY_POOL_WORKER_STARTS] = write_pool_starts,
    [METRIC_FAMILY_POOL_WORKER_FAILURES] = write_pool_failures,
    [METRIC_FAMILY_POOL_RECYCLES] = write_pool_recycles,
};

static const struct {
    enum metric_family family;
    const char *labels;
} counters[METRIC_COUNTER_COUNT] = {
#define X(NAME, family, labels) {METRIC_FAMILY_##family, labels},
    METRIC_COUNTERS(X)
#undef X
};

static void write_counters(struct writer *w, enum metric_family family)
{
    for (size_t i = 0; i < METRIC_COUNTER_COUNT; i++) {
        uint64_t n = 0;
        if (counters[i].family != family)
            continue;
        for (size_t t = 0; t < w->f->n_threads; t++)
            n += value_of(&w->f->threads[t]->counters[i]);
        buf_str(&w->labels, str_z(counters[i].labels));
        sample(w, "_total", n);
    }
}

static void write_family(struct writer *w, enum metric_family family)
{
    w->name = families[family].name;
    buf_printf(w->out, "# TYPE %s %s\n", w->name, families[family].type);
    if (families[family].unit[0])
        buf_printf(w->out, "# UNIT %s %s\n", w->name, families[family].unit);
    buf_printf(w->out, "# HELP %s %s\n", w->name, families[family].help);
    if (writers[family])
        writers[family](w);
    write_counters(w, family);
}

void metrics_write(struct buf *out, const struct metrics_facts *f)
{
    struct writer w = {.out = out, .f = f};

    buf_init(&w.labels, LABELS_MAX);
    add_up_sites(&w);
    for (int i = 0; i < METRIC_FAMILIES; i++)
        write_family(&w, (enum metric_family)i);
    buf_str(out, STR("# EOF\n"));
    for (size_t i = 0; i < w.n_sites; i++)
        free(w.sites[i].status);
    free(w.sites);
    buf_fini(&w.labels);
}
