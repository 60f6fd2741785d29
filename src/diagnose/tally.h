/* Counting records. One tally per thread; merged and made into the model when everything is read.
 * Memory is bounded whatever the records say: tables that are full forget their rarest rows and
 * remember how large a count they may have forgotten. */
#ifndef CANDOR_DIAGNOSE_TALLY_H
#define CANDOR_DIAGNOSE_TALLY_H

#include "base/arena.h"
#include "diagnose/model.h"
#include "diagnose/pace.h"
#include "diagnose/quick_hash.h"
#include "diagnose/sketch.h"
#include "diagnose/table.h"

enum {
    MS_BITS = 5,
    MS_TOP = 36, /* 2^36 ms: two years */
    URL_MS_BITS = 3,
    URL_MS_TOP = 22, /* 70 minutes */
    KEY_SAMPLES = 3,
    SLOW_SAMPLES = 10,
    FAILURE_SAMPLES = 8,
    SAMPLE_TEXT_MAX = 1000,
    LIST_MAX = 100000, /* ceiling of --top */
    TRACES_MAX = 10000,
};

/* A place in the input while it is read: lines are counted from the start of the unit, and become
 * lines of the file when all units are known. A unit is file << 32 | its number in the file. */
struct tally_sample {
    uint64_t unit;
    uint64_t line;
    int64_t time_s;
    uint64_t weight; /* slow requests: the time-taken */
    char *text;
    uint32_t n;
};

struct tally_samples {
    struct tally_sample *at;
    uint32_t n, cap, max;
};

struct tally_sizes {
    uint32_t urls, clients, pairs, keys, paces;
    uint32_t list_max; /* matching requests to keep */
};

enum key_kind { KEY_HTTP, KEY_FTP, KEY_HTTPERR };

/* Counts by key that wait in a row: first the keys, plus one (0: free), then as many counts. */
enum { RECENT_OF_URL = 3, RECENT_OF_CLIENT = 4 };

/* What ended in one way. */
struct key_row {
    uint64_t hash;
    uint32_t id;
    enum key_kind kind;
    uint32_t status, substatus;
    uint64_t win32;
    char *reason; /* HTTPERR, else NULL */
    uint32_t reason_n;
    uint64_t count;
    int64_t first_s, last_s;
    struct span *slot; /* the one met last, in slots */
    uint64_t ms_sum, ms_max;
    struct distinct clients;
    struct few *users, *sites, *queues;
    struct spans slots;
    struct tally_samples samples;
};

/* The first 64 bytes are what each record touches, and the line after them; then one of the cells.
 */
struct url_row {
    uint64_t weight;  /* records of any kind */
    uint64_t delta;   /* weight may have been more by this */
    uint32_t httperr; /* of weight; the others are requests */
    uint32_t errors_4xx, errors_5xx;
    uint32_t ms_max; /* no more than UINT32_MAX */
    struct pace_open pace;
    uint32_t recent[2 * RECENT_OF_URL]; /* not in key_urls yet */
    uint32_t pace_line[PACE_CELLS];
    uint32_t cells[HIST_CELLS(URL_MS_BITS, URL_MS_TOP)];
    uint32_t rest[8]; /* to a multiple of 64 bytes */
};
_Static_assert(offsetof(struct url_row, pace_line) == 64 && offsetof(struct url_row, cells) == 128,
               "cache lines");
_Static_assert(sizeof(struct url_row) % 64 == 0, "rows begin at cache lines");

struct client_row {
    uint64_t weight, delta;
    uint32_t errors_4xx, errors_5xx, not_found, requests;
    /* Of keys that are no plain success; not in key_clients yet. */
    uint32_t recent[2 * RECENT_OF_CLIENT];
};
_Static_assert(sizeof(struct client_row) == 64, "rows are cache lines");

/* A record on its way to being counted. */
struct pending {
    struct record r;
    uint64_t line, client_hash, url_hash;
    uint32_t client_row, url_row; /* INDEX_FREE: not known yet */
};

struct trace_row {
    uint64_t unit;
    struct model_trace t;
};

/* Of one site: rows stay where they are. */
struct site_row {
    uint64_t hash;
    char *name;
    uint64_t count, errors_4xx, errors_5xx, httperr;
};

/* What the end of an HTTPERR line stands for (record.h), so that it is looked at once. */
enum { OUTCOME_TEXT = 64, OUTCOMES = 512 };

struct outcome {
    char text[OUTCOME_TEXT]; /* ends as the line did, zeros before */
    uint64_t tag;            /* its length, and the file; 0: free */
    struct key_row *key;
    struct site_row *site;
    uint64_t pool_hash;
    uint32_t pool_at, pool_n; /* in text */
    uint64_t count;           /* that site and key have not got yet */
};

/* Records until one is counted, until its rows are looked up, and until these are looked at. */
enum { TALLY_AHEAD = 16, TALLY_LOOK = 5, TALLY_CLOSER = 11 };

struct tally {
    struct tally_sizes sizes;
    struct quick_key key;
    uint64_t pushed, counted; /* records */
    struct pending pending[TALLY_AHEAD];
    uint64_t unit;        /* being read */
    uint64_t by_class[8]; /* requests by status / 100 */
    uint64_t requests, httperr_records, ftp_records, bytes_sent, bytes_received;
    int64_t first_s, last_s;

    struct span *bucket;   /* the one met last, in timeline */
    struct spans timeline; /* columns: enum timeline_column */

    struct key_row *key_cache[1024];
    struct key_row **keys;
    size_t key_n, key_cap;
    struct index key_index;
    struct outcome *outcomes; /* OUTCOMES of them, by hash; NULL until one is met */

    struct table urls;    /* rows: struct url_row */
    struct table clients; /* rows: struct client_row */
    struct paces paces;   /* of URLs with a time-taken; owners are rows of urls */
    struct pairs key_urls, key_clients;
    struct url_cache *url_cache; /* in url_cache_memory */
    void *url_cache_memory;
    struct distinct clients_distinct, urls_distinct;

    struct site_row **sites;
    size_t site_n, site_cap;
    struct site_row *last_site;

    uint64_t ms_count, ms_max;
    uint64_t ms_cells[HIST_CELLS(MS_BITS, MS_TOP)];
    uint64_t slow_least; /* what a request must exceed to enter slow */
    struct tally_samples slow, listed, failures, listener;
    uint64_t failure_count, listener_count;

    struct trace_row *traces;
    size_t trace_n, trace_cap;
    struct arena arena; /* strings of traces */
};

enum timeline_column { COL_REQUESTS, COL_4XX, COL_5XX, COL_HTTPERR, COL_MS_SUM, COL_MS_COUNT };

struct tally *tally_new(const struct tally_sizes *sizes);
struct tally *tally_free(struct tally *t); /* NULL */

/* The record that is pushed next, to be filled. */
static inline struct record *tally_slot(struct tally *t)
{
    return &t->pending[t->pushed % TALLY_AHEAD].r;
}
/* Counts it; it begins in that line of the unit. Counting comes a few records late, so that what it
 * touches is in the cache by then: the record's views must live until tally_flush. */
void tally_push(struct tally *t, uint64_t line);
void tally_flush(struct tally *t);
/* Keeps its text in the list of matching requests. */
void tally_list(struct tally *t, const struct record *r, uint64_t line);
/* Brings everything that is counted into the tables: before they are merged or read. */
void tally_settle(struct tally *t);
/* A line of an ASP.NET Core Module log that reports a failure. */
void tally_failure(struct tally *t, struct str text, int64_t time_s, uint64_t line);
/* What the last trace that was counted says about its failure. */
void tally_trace_cause(struct tally *t, struct str module, struct str event);

/* Adds b to a, whose sizes must have room for both. */
void tally_merge(struct tally *a, const struct tally *b);

/* The row of a key or a site, made if need be. Never NULL. */
struct key_row *tally_key(struct tally *t, enum key_kind kind, uint32_t status, uint32_t substatus,
                          uint64_t win32, struct str reason);
struct site_row *tally_site(struct tally *t, struct str name);

/* Keeps a sample with a copy of the text if it is among the heaviest, of equal ones among the first
 * of the input. */
void samples_add(struct tally_samples *s, const struct tally_sample *sample, struct str text);
/* The same with a record's place and time in the tally's present unit. */
void samples_keep(struct tally *t, struct tally_samples *s, struct str text, int64_t time_s,
                  uint64_t line, uint64_t weight);
void samples_fini(struct tally_samples *s);
/* Counts a failed request trace. */
void tally_trace(struct tally *t, const struct record *r);

#endif
