/* The parameters of the listener that Windows keeps in the registry, below
 * HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\HTTP\Parameters, and that we read from an
 * export of that key (.reg). Facts: KB 820129, KB 820729, HTTP Server API documentation. */
#ifndef CANDOR_TABLES_HTTP_PARAMETERS_H
#define CANDOR_TABLES_HTTP_PARAMETERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "tables/http_bindings.h"

enum { HTTP_PARAMETERS_DIR_MAX = 1024, HTTP_PARAMETERS_BYTES_PER_SEND = 65536 };

/* ErrorLoggingColumns: which Windows's form HTTPERR has. */
enum http_error_columns {
    HTTP_ERROR_COLUMNS_2016,
    HTTP_ERROR_COLUMNS_2003,
    HTTP_ERROR_COLUMNS_2008,
    HTTP_ERROR_COLUMNS_CURRENT,
};

/* A plain value: copy it freely. Names are the registry's. */
struct http_parameters {
    /* what the parser accepts */
    bool allow_restricted_chars;
    bool allow_unescaped_restricted_chars;
    bool allow_weak_header_name_syntax;
    bool allow_weak_header_value_syntax;
    bool allow_case_insensitive_verbs;
    bool enable_non_utf8;
    bool favor_utf8;
    bool percent_u_allowed;
    uint32_t max_field_length;       /* bytes; never above max_request_bytes */
    uint32_t max_request_bytes;      /* bytes, request line and headers */
    uint32_t url_segment_max_count;  /* 0: no limit */
    uint32_t url_segment_max_length; /* characters after decoding; 0: no limit */

    /* connections */
    uint32_t max_connections; /* UINT32_MAX: as many as the system allows */
    uint32_t max_endpoints;   /* 0: as many as the system allows */
    uint32_t max_bytes_per_send; /* HTTP_PARAMETERS_BYTES_PER_SEND: the kernel decides */
    uint32_t max_buffered_send_bytes; /* 0: chosen by the server */
    bool enable_aggressive_memory_usage;
    uint32_t idle_connection_timeout_s; /* before a connection's first request is routed */
    uint32_t header_wait_timeout_s;     /* first byte to end of headers */
    bool enable_ssl_close_notify;
    bool disable_ssl_cert_chain_cache_only_url_retrieval;
    bool cert_chain_cache_only_url_retrieval; /* of HTTPFilter\Parameters */

    /* response cache */
    bool uri_enable_cache;
    uint32_t uri_max_uri_bytes;
    uint32_t uri_scavenger_period_s;
    uint32_t uri_max_cache_megabyte_count; /* 0: from the memory of the machine */

    /* answers */
    uint32_t disable_server_header; /* 0 no, 1 on the listener's own answers, 2 never add it */
    bool enable_trace_method;       /* of W3SVC\Parameters: TRACE is answered with an echo */

    /* HTTP/2 and HTTP/3 */
    bool enable_http2_tls;
    bool enable_http2_cleartext;
    bool enable_http3;
    bool enable_alt_svc;
    uint32_t http2_max_client_resets_per_minute;
    bool http2_max_client_resets_goaway;

    /* HTTPERR */
    bool enable_error_logging;
    uint32_t error_log_file_truncate_size;
    uint32_t error_logging_fields;        /* bit mask */
    uint32_t error_logging_rollover_type; /* 0 size, 1 daily, 2 weekly, 3 monthly, 4 hourly */
    uint32_t error_logging_columns;       /* enum http_error_columns; ours */
    bool error_logging_localtime_rollover;
    char error_logging_dir[HTTP_PARAMETERS_DIR_MAX]; /* as written: may begin with %SystemRoot% */
};

enum http_parameter_kind {
    HTTP_PARAMETER_BOOL, /* 0 or anything else */
    HTTP_PARAMETER_COUNT,
    HTTP_PARAMETER_BYTES,
    HTTP_PARAMETER_CHARS,
    HTTP_PARAMETER_SECONDS,
    HTTP_PARAMETER_CHOICE, /* one of min..max, each with a meaning of its own */
    HTTP_PARAMETER_MASK,   /* any bits of max */
    HTTP_PARAMETER_TEXT,
};

enum http_parameter_key {
    HTTP_PARAMETER_KEY_HTTP,       /* Services\HTTP\Parameters */
    HTTP_PARAMETER_KEY_W3SVC,      /* Services\W3SVC\Parameters */
    HTTP_PARAMETER_KEY_HTTPFILTER, /* Services\HTTPFilter\Parameters */
};

/* One row per parameter; constant. Strings are never NULL unless the comment says so. */
struct http_parameter {
    const char *name; /* as in the registry */
    enum http_parameter_kind kind;
    enum http_parameter_key key;
    uint32_t def, min, max; /* unused for text */
    const char *def_text;   /* default of a text; NULL for numbers */
    size_t offset;          /* of the field in struct http_parameters */
    const char *text;       /* what it does */
    const char *warning;    /* what to mind before changing it; NULL if nothing */
    const char *violated;   /* what a client sees that exceeds it; NULL if nothing */
    const char *command;    /* a command line that shows its effect; NULL if there is none */
    const char *change;     /* what makes people change it */
    const char *versions;   /* of HTTP.sys that have it */
    const char *source;     /* the document it is in */
    const char *no_effect;  /* why it is read and nothing follows from it; NULL: it counts */
};

size_t http_parameter_count(void);
const struct http_parameter *http_parameter_at(size_t i);
/* By name, letter case aside; NULL if there is none. */
const struct http_parameter *http_parameter_find(struct str name);
/* The number that a parameter has (0 or 1 for a BOOL). Not for a TEXT. */
uint32_t http_parameter_value(const struct http_parameter *row, const struct http_parameters *p);

enum http_parameters_severity {
    HTTP_PARAMETERS_NOTE,
    HTTP_PARAMETERS_WARNING,
    HTTP_PARAMETERS_ERROR,
};

/* Something to tell about a file; in the order of lines. */
struct http_parameters_finding {
    struct http_parameters_finding *next;
    enum http_parameters_severity severity;
    uint32_t line, column; /* from 1; 0 for the file as a whole */
    char *text;            /* may hold pieces of the file: escape it for where it goes */
};

void http_parameters_findings_free(struct http_parameters_finding *first);

/* The documented defaults. */
void http_parameters_default(struct http_parameters *ret);

/* Reads the registry export path. RC_OK: *ret is filled; RC_DECLINED: there is no such file, *ret
 * is the defaults; RC_FAIL: the file cannot be read or is no export, *ret is the defaults and a
 * finding says why. A value out of its range or of the wrong type becomes the default and a
 * warning. *ret_bindings (initialised here, also on failure) is the caller's to fini, *ret_findings
 * (never dangling, NULL if there are none) to free. */
MUST_CHECK enum rc http_parameters_load(const char *path, struct http_parameters *ret,
                                        struct http_bindings *ret_bindings,
                                        struct http_parameters_finding **ret_findings);

/* The same from memory: UTF-16 with a byte order mark, UTF-8 with or without one. */
MUST_CHECK enum rc http_parameters_parse(struct str bytes, struct http_parameters *ret,
                                         struct http_bindings *ret_bindings,
                                         struct http_parameters_finding **ret_findings);

/* As one object, registry names as keys. The caller owns the reference. */
json_t *http_parameters_to_json(const struct http_parameters *p);
/* Back again. What is missing, of another type or out of its range gets the default; the result is
 * false in the two latter cases. NULL gives the defaults. Unknown keys are ignored. */
bool http_parameters_from_json(const json_t *j, struct http_parameters *ret);

#endif
