/* Failed Request Tracing files: what one request did inside a server, event by event. Reads those
 * of any IIS version and of this server, and works out what failed and where the time went.
 *
 * Everything a trace holds lives in its arena, and texts are views of it. Secrets (passwords,
 * tokens, cookie values) are hidden while reading unless asked for, so nothing that prints a trace
 * can give them away. No function keeps state: traces may be read by several threads at once. */
#ifndef CANDOR_TRACE_FREB_H
#define CANDOR_TRACE_FREB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "trace/catalogue.h"

/* Bounds of one file. What lies beyond is left out, and the trace says that it was cut. */
enum {
    FREB_BYTES_MAX = 256 << 20, /* of a file */
    FREB_EVENTS_MAX = 500000,
    FREB_DATA_MAX = 256,     /* fields of one event */
    FREB_TEXT_MAX = 1 << 20, /* bytes of one field */
    FREB_DEPTH_MAX = 48,     /* of events within events */
};

#define FREB_NONE SIZE_MAX
#define FREB_NO_TIME INT64_MIN

enum freb_level { /* as in the file: the smaller, the graver */
                  FREB_GENERAL = 0,
                  FREB_CRITICAL = 1,
                  FREB_ERROR = 2,
                  FREB_WARNING = 3,
                  FREB_INFORMATION = 4,
                  FREB_VERBOSE = 5,
};

struct freb_field {
    struct str name;
    struct str value;
    struct str text; /* the value in words, as the file gives it: freb:Description; may be empty */
};

struct freb_event {
    struct str name; /* "NOTIFY_MODULE_START"; "Opcode 7" where the file does not say */
    struct str provider;
    struct str area;                 /* "RequestNotifications"; "General" where there is none */
    const struct freb_kind *kind;    /* NULL: not in the catalogue */
    const struct freb_field *fields; /* in the order of the file */
    size_t n_fields;
    int64_t time_us; /* since 1970 UTC; FREB_NO_TIME */
    int64_t at_us;   /* since the first event; 0 if the time is not known */
    int64_t gap_us;  /* since the event before; never negative */
    unsigned level;
    unsigned opcode;
    /* Filled by freb_spans_build: */
    size_t parent;   /* the event that opened what this one happened in; FREB_NONE */
    size_t end;      /* of an opening event: the one that closed it; FREB_NONE */
    size_t start;    /* of a closing event: the one that opened it; FREB_NONE */
    unsigned depth;  /* how many are open around it */
    int64_t took_us; /* from start to end; -1 where there is no end */
    int64_t own_us;  /* the same without what was opened within; -1 likewise */
};

/* Attributes of the root element; empty where the file has none. */
struct freb_request {
    struct str url, verb, site_id, app_pool, process_id;
    struct str remote_user, user, token_user, authentication, activity_id;
    struct str reason;         /* "STATUS_CODE", "TIME_TAKEN" */
    struct str status;         /* "404.2": the final one, with its sub-status where it is known */
    struct str trigger_status; /* the one that made the trace; "0" for none */
    struct str time_taken;     /* milliseconds */
};

/* What made the request fail. */
struct freb_failure {
    size_t event;               /* index of the event that says it; FREB_NONE: nothing does */
    struct str module;          /* "IIS Web Core"; may be empty */
    struct str notification;    /* "EXECUTE_REQUEST_HANDLER"; may be empty */
    bool is_post;               /* after the notification itself */
    struct str phrase;          /* "Not Found" */
    unsigned status, substatus; /* 0: not an event that sets a status */
    bool has_hresult;
    uint32_t hresult;
    struct str text;        /* what the error code means; never empty when has_hresult */
    struct str config_info; /* ConfigExceptionInfo: file, line and reason of a 500.19 */
    struct str description; /* SET_RESPONSE_ERROR_DESCRIPTION, or an engine's own message */
    struct str page_title;  /* of the answer's HTML: managed code puts its exception there */
};

struct freb_trace {
    struct arena arena;
    struct freb_request request;
    struct freb_event *events; /* by malloc */
    size_t n_events, cap_events;
    struct freb_failure failure;
    int64_t started_us;         /* of the first event that has a time; FREB_NO_TIME */
    int64_t lasted_us;          /* from there to the last one */
    uint64_t time_taken_ms;     /* as the root says, else from the events */
    unsigned status, substatus; /* request.status as numbers; 0: not known */
    size_t slowest;             /* the opening event with the most time of its own; FREB_NONE */
    size_t widest_gap;          /* the event before which the most time passed; FREB_NONE */
    bool is_cut;                /* the file ends early, or passes a bound */
    bool is_full;               /* the server itself cut it: LOG_FILE_MAX_SIZE_TRUNCATE */
    char why_cut[200];          /* in words */
};

/* Reads a trace from the bytes of a file, however damaged. RC_DECLINED: this is no trace (nothing
 * of a failedRequest in it); then *t must not be used. hide_secrets: see above. Free with
 * freb_fini. */
MUST_CHECK enum rc freb_parse(struct freb_trace *t, struct str bytes, bool hide_secrets);
void freb_fini(struct freb_trace *t);

/* True if the beginning of a file (4 KiB do) looks like a trace. */
bool freb_sniff(struct str head);

/* A field's value or its words; the empty view if the event has no such field. */
struct str freb_value(const struct freb_event *e, const char *name);
struct str freb_words(const struct freb_event *e, const char *name);
/* A field as a number: decimal or 0x, negative 32-bit values as HRESULTs are. */
bool freb_number(const struct freb_event *e, const char *name, uint64_t *ret);

/* The notification in words ("BEGIN_REQUEST"), from the file or from its number. Empty: none. */
struct str freb_notification(const struct freb_event *e);
bool freb_is_post(const struct freb_event *e);
/* The module that was at work when event i was written: its own, else that of the span around it.
 * Empty: between modules. */
struct str freb_module_at(const struct freb_trace *t, size_t i);

/* A module is called. */
bool freb_is_call(const struct freb_event *e);
/* An event that carries more than "this module was called". */
bool freb_is_telling(const struct freb_event *e);
/* True if the event opens, or closes, a span by its name. */
bool freb_opens(struct str name, struct str *ret_stem);
bool freb_closes(struct str name, struct str *ret_stem);

/* The request's or the answer's headers, as GENERAL_REQUEST_HEADERS or _RESPONSE_HEADERS has them:
 * lines "Name: value". Empty: not in the trace. */
struct str freb_request_headers(const struct freb_trace *t);
struct str freb_response_headers(const struct freb_trace *t);

/* "2026-01-05T09:30:00.015Z" to microseconds since 1970; more digits are cut. */
bool freb_time_parse(struct str s, int64_t *ret_us);
/* And back; FREB_TIME_LEN bytes with the NUL, always milliseconds. */
enum { FREB_TIME_LEN = 32 };
void freb_time_format(int64_t us, char out[FREB_TIME_LEN]);

/* ---- used by the reader ---- */

/* The bytes of a file as UTF-8 that XML allows: UTF-16 is converted, what is not allowed becomes
 * '?'. Where something had to be changed the view is of *copy, else of the bytes. */
struct str freb_input_clean(struct buf *copy, struct str bytes);
/* Where the first element with too many attributes begins, for the parser takes quadratic time for
 * them; SIZE_MAX: there is none. */
size_t freb_input_crowded(struct str s);
/* Hides what must not be shown in one event's fields. */
void freb_secrets_hide(struct arena *a, struct str event_name, struct freb_field *fields, size_t n);
/* A URL without the values of parameters that carry secrets, and without a password. */
struct str freb_secrets_url(struct arena *a, struct str url);
/* Nesting, durations, the slowest parts. */
void freb_spans_build(struct freb_trace *t);
/* Fills t->failure; after freb_spans_build. */
void freb_failure_find(struct freb_trace *t);

#endif
