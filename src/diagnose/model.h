/* Everything the logs said, added up: what detectors and reports read. Built once all input is
 * read, constant afterwards; strings and arrays live as long as the model.
 *
 * Counts are exact unless an `error` beside them is not 0: then the true count lies between count
 * and count + error (rows of lists that had to be cut while reading). */
#ifndef CANDOR_DIAGNOSE_MODEL_H
#define CANDOR_DIAGNOSE_MODEL_H

#include "diagnose/filter.h"
#include "diagnose/pace.h"
#include "diagnose/record.h"

struct model_sample {
    uint32_t file; /* index into model.files */
    uint64_t line; /* 1-based */
    int64_t time_s;
    struct str text; /* at most SAMPLE_TEXT_MAX bytes, as read: escape before printing */
};

/* A name and how often it came; lists of them are sorted by count, largest first. */
struct model_count {
    struct str name;
    uint64_t count, error;
};

struct model_counts {
    struct model_count *at;
    size_t n;
};

struct model_samples {
    struct model_sample *at; /* the first ones, in the order of the files */
    size_t n;
};

/* How a key's count spreads over time: one row per stretch of that many seconds that has any, in
 * order of time. Keys of many records have finer stretches than rare ones. */
struct model_slot {
    int64_t start_s;
    uint64_t count;
};

struct model_slots {
    struct model_slot *at;
    size_t n;
    uint32_t seconds;
};

/* Time-taken in milliseconds. Percentiles come from a log-linear histogram: the true value lies
 * within *_error of them. */
struct model_latency {
    uint64_t count; /* records that have a time-taken */
    uint64_t p50_ms, p90_ms, p95_ms, p99_ms, max_ms;
    uint64_t p50_ms_error, p90_ms_error, p95_ms_error, p99_ms_error;
};

/* Requests that ended with one (status, substatus, win32), of the site logs and the like (w3c, iis,
 * ncsa, har), or of FTP. */
struct model_status {
    bool is_ftp;
    uint32_t status, substatus;
    uint64_t win32;
    char code[24]; /* "404.8", "200", "500.19" */
    uint64_t count;
    int64_t first_s, last_s;         /* RECORD_NO_TIME without times */
    uint64_t clients, clients_error; /* distinct addresses; the estimate is off by at most error */
    uint64_t ms_sum, ms_max;         /* time-taken */
    struct model_counts urls;        /* folded: numbers and GUIDs in segments are {n} and {guid} */
    struct model_counts client_top, users, sites; /* filled for status >= 400 or win32 != 0 */
    struct model_slots slots;
    struct model_samples samples;
};

/* Records of HTTPERR with one reason and status. */
struct model_reason {
    struct str reason;
    uint32_t status; /* 0: "-" */
    uint64_t count;
    int64_t first_s, last_s;
    uint64_t clients, clients_error;
    struct model_counts queues, sites, client_top, urls;
    struct model_slots slots;
    struct model_samples samples;
};

struct model_url {
    struct str url; /* folded */
    uint64_t count, error, errors_4xx, errors_5xx;
    struct model_latency latency;
    enum pace_verdict pace;
};

/* A URL that became slower. */
struct model_slower {
    struct str url;
    struct pace_change change;
};

struct model_client {
    struct str client;
    uint64_t count, error, errors_4xx, errors_5xx, not_found; /* not_found: 404s */
};

struct model_site {
    struct str name; /* "" when no record and no folder said */
    uint64_t count, errors_4xx, errors_5xx, httperr;
};

struct model_bucket {
    int64_t start_s;
    uint64_t requests, errors_4xx, errors_5xx, httperr;
    uint64_t ms_sum, ms_count; /* time-taken: their quotient is the mean */
};

struct model_trace {
    uint32_t file;
    int64_t time_s;
    struct str url, verb, reason, pool, site;
    struct str module; /* the first one that set an error status; empty if none did */
    struct str event;  /* the one before it */
    uint32_t status, substatus;
    uint64_t time_taken_ms;
};

/* A line that was not understood. */
struct model_misfit {
    uint64_t line;
    struct str text;
};

struct model_file {
    struct str path; /* as given, or found; a zip's member is "a.zip!/member.log" */
    enum log_kind kind;
    uint64_t records, lines;
    uint64_t not_understood; /* lines that are not in records */
    uint64_t refitted;       /* of records: did not fit the header, understood by their shape */
    uint64_t odd_values;     /* values that are not of their column's type */
    uint64_t nul_bytes;      /* skipped padding */
    uint64_t bytes;          /* after decompression */
    int64_t first_s, last_s;
    bool is_archive;         /* its members are files of their own; nothing else is in it */
    uint64_t backward;       /* records older than the one before by more than a minute */
    int64_t backward_most_s; /* the most of these steps */
    uint32_t layout_changes; /* #Fields lines that differ from the one before */
    bool is_headerless;
    bool has_local_time;          /* times are of the machine that wrote it, without offset */
    struct str fields;            /* names of the last #Fields, separated by one blank */
    bool is_given, is_no_log;     /* as in struct scan_file */
    struct str problem;           /* why reading ended early or was refused; empty if nothing did */
    struct model_misfit *misfits; /* the first few */
    size_t misfit_n;
};

struct model {
    struct model_file *files;
    size_t file_n;

    uint64_t requests, status_2xx, status_3xx, status_4xx, status_5xx;
    uint64_t httperr_records, ftp_records, bytes_sent, bytes_received;
    uint64_t clients, clients_error;
    int64_t first_s, last_s;
    struct model_latency latency;

    struct model_status *statuses; /* by count, largest first */
    size_t status_n;
    struct model_reason *reasons; /* by count, largest first */
    size_t reason_n;
    struct model_url *urls; /* by count, largest first */
    size_t url_n;
    uint64_t urls_distinct, urls_distinct_error; /* folded */
    struct model_url *const *slowest;            /* pointers into urls, by p95, largest first */
    size_t slowest_n;
    struct model_slower *slower; /* by the time that it costs, largest first */
    size_t slower_n;
    uint64_t paces_judged; /* URLs with enough requests to tell whether they became slower */
    bool paces_forgotten;  /* too many URLs: some are judged by their later requests only */
    struct model_client *clients_top;
    size_t client_n;
    struct model_site *sites;
    size_t site_n;
    struct model_counts pools; /* queue names of HTTPERR */

    struct model_bucket *timeline; /* in order of time, no gaps unless model.timeline_is_sparse */
    size_t bucket_n;
    uint32_t bucket_seconds;
    bool timeline_is_sparse;

    struct model_trace *traces;
    size_t trace_n;
    struct model_samples slow_requests;   /* the longest time-taken, longest first */
    struct model_samples requests_listed; /* with a filter: the first ones that matched */
    struct model_samples ancm_failures;   /* lines of ANCM logs that report a failure */
    uint64_t ancm_failure_count;
    struct model_samples listener_answers; /* errors in HAR files that HTTP.sys answered itself */
    uint64_t listener_answer_count;
    bool files_were_cut; /* folders held more files, or went deeper, than is read */
    bool is_sampled;     /* only a part of the input was read: counts are of that part */
    bool is_filtered;    /* by --status and the like: shares are of what matched */

    const struct str *paths; /* what was read, as given */
    size_t path_n;
    struct filter filter; /* what was asked for; its views live as long as the caller's */
};

/* Rows of a status whatever their win32 code; substatus -1: whatever it is. Starts at *i (0 first)
 * and leaves the place to go on from; NULL at the end. HTTP only. */
const struct model_status *model_next_status(const struct model *m, uint32_t status,
                                             int32_t substatus, size_t *i);
/* The sum of their counts. */
uint64_t model_status_count(const struct model *m, uint32_t status, int32_t substatus);
/* The row of a reason with the largest count, NULL if it never came. */
const struct model_reason *model_find_reason(const struct model *m, struct str reason);
/* The bucket of the timeline that holds a time, or NULL. */
const struct model_bucket *model_bucket_at(const struct model *m, int64_t time_s);

#endif
