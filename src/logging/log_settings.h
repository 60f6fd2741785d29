/* What is logged, in which form and where: the log part of one configuration generation, as the
 * supervisor hands it over. Immutable once filled; may be freed as soon as logging_new or
 * logging_apply has returned. */
#ifndef CANDOR_LOGGING_LOG_SETTINGS_H
#define CANDOR_LOGGING_LOG_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Values as in the schema (site/logFile logFormat). */
enum log_format {
    LOG_FORMAT_IIS = 0,
    LOG_FORMAT_NCSA = 1,
    LOG_FORMAT_W3C = 2,
    LOG_FORMAT_CUSTOM = 3, /* a COM plug-in on Windows: reported and handled as W3C */
};

/* Values as in the schema; ErrorLoggingRolloverType has the same. */
enum log_period {
    LOG_PERIOD_MAX_SIZE = 0,
    LOG_PERIOD_DAILY = 1,
    LOG_PERIOD_WEEKLY = 2,
    LOG_PERIOD_MONTHLY = 3,
    LOG_PERIOD_HOURLY = 4,
};

enum log_central_mode {
    LOG_CENTRAL_SITE = 0,
    LOG_CENTRAL_BINARY = 1, /* reported and handled as LOG_CENTRAL_SITE */
    LOG_CENTRAL_W3C = 2,
};

/* Bits of logExtFileFlags. */
enum log_w3c_flag {
    LOG_W3C_DATE = 1,
    LOG_W3C_TIME = 2,
    LOG_W3C_CLIENT_IP = 4,
    LOG_W3C_USER_NAME = 8,
    LOG_W3C_SITE_NAME = 16,
    LOG_W3C_COMPUTER_NAME = 32,
    LOG_W3C_SERVER_IP = 64,
    LOG_W3C_METHOD = 128,
    LOG_W3C_URI_STEM = 256,
    LOG_W3C_URI_QUERY = 512,
    LOG_W3C_HTTP_STATUS = 1024,
    LOG_W3C_WIN32_STATUS = 2048,
    LOG_W3C_BYTES_SENT = 4096,
    LOG_W3C_BYTES_RECV = 8192,
    LOG_W3C_TIME_TAKEN = 16384,
    LOG_W3C_SERVER_PORT = 32768,
    LOG_W3C_USER_AGENT = 65536,
    LOG_W3C_COOKIE = 131072,
    LOG_W3C_REFERER = 262144,
    LOG_W3C_PROTOCOL_VERSION = 524288,
    LOG_W3C_HOST = 1048576,
    LOG_W3C_HTTP_SUBSTATUS = 2097152,
    LOG_W3C_DEFAULT = 2478031,
    LOG_W3C_CENTRAL_DEFAULT = LOG_W3C_DEFAULT | LOG_W3C_SITE_NAME,
};

/* Bits of ErrorLoggingFields. */
enum log_httperr_flag {
    LOG_HTTPERR_DATE = 0x1,
    LOG_HTTPERR_TIME = 0x2,
    LOG_HTTPERR_CLIENT_IP = 0x4,
    LOG_HTTPERR_COMPUTER_NAME = 0x20,
    LOG_HTTPERR_SERVER_IP = 0x40,
    LOG_HTTPERR_METHOD = 0x80,
    LOG_HTTPERR_STATUS = 0x400,
    LOG_HTTPERR_BYTES_SENT = 0x1000,
    LOG_HTTPERR_BYTES_RECV = 0x2000,
    LOG_HTTPERR_TIME_TAKEN = 0x4000,
    LOG_HTTPERR_SERVER_PORT = 0x8000,
    LOG_HTTPERR_USER_AGENT = 0x10000,
    LOG_HTTPERR_COOKIE = 0x20000,
    LOG_HTTPERR_REFERER = 0x40000,
    LOG_HTTPERR_VERSION = 0x80000,
    LOG_HTTPERR_HOST = 0x100000,
    LOG_HTTPERR_CLIENT_PORT = 0x400000,
    LOG_HTTPERR_URI = 0x800000,
    LOG_HTTPERR_SITE_ID = 0x1000000,
    LOG_HTTPERR_REASON = 0x2000000,
    LOG_HTTPERR_QUEUE_NAME = 0x4000000,
    LOG_HTTPERR_DEFAULT = 0x7c884c7,
};

/* Which Windows generation's columns HTTPERR has. */
enum log_httperr_columns {
    LOG_HTTPERR_2003 = 0,    /* as 2008, but HTTP API 1.0 */
    LOG_HTTPERR_2008 = 1,    /* also 2012 R2 */
    LOG_HTTPERR_2016 = 2,    /* streamid */
    LOG_HTTPERR_CURRENT = 3, /* streamid streamid_ex … transport fault-code extended-fault-code */
};

enum {
    LOG_FIELD_MAX = 4096,            /* a longer standard W3C field becomes "..." */
    LOG_CUSTOM_FIELDS_MAX = 64,      /* per site; more are left out with an event */
    LOG_CUSTOM_BYTES_MAX = 65536,    /* all custom fields of a line together */
    LOG_LINE_MAX = 65536,            /* ceiling and default of maxLogLineLength */
    LOG_TRUNCATE_SIZE_MIN = 1048576, /* smaller values of the two truncate sizes count as this */
    LOG_TRUNCATE_SIZE_DEFAULT = 20971520,
};
/* This truncateSize means one file without limit. */
#define LOG_TRUNCATE_SIZE_NONE UINT32_MAX

enum log_custom_type {
    LOG_CUSTOM_REQUEST_HEADER = 0,
    LOG_CUSTOM_RESPONSE_HEADER = 1,
    LOG_CUSTOM_SERVER_VARIABLE = 2,
};

struct log_custom_field {
    struct str name;   /* logFieldName, the column */
    struct str source; /* sourceName: header or server variable */
    enum log_custom_type type;
};

/* Where a log's files lie and when a new one begins. */
struct log_files {
    const char *directory; /* absolute Linux path, without the W3SVC<id> or HTTPERR below it */
    enum log_period period;
    uint32_t truncate_size;
    bool local_time_rollover;
};

struct log_site_settings {
    uint32_t id;
    struct str name;
    bool enabled;
    bool log_site_id; /* s-sitename shows W3SVC<id>, else the name */
    enum log_format format;
    struct log_files files;
    uint32_t fields; /* enum log_w3c_flag; 0 logs nothing */
    uint32_t flush_by_entry_count;
    uint32_t max_line_length;
    uint32_t max_custom_field_length;
    const struct log_custom_field *custom;
    size_t n_custom;
};

struct log_central_settings {
    bool log_in_utf8;
    enum log_central_mode mode;
    bool w3c_enabled; /* centralW3CLogFile */
    struct log_files w3c_files;
    uint32_t w3c_fields;
};

struct log_httperr_settings {
    bool enabled;           /* EnableErrorLogging */
    struct log_files files; /* ErrorLoggingDir, …RolloverType, …FileTruncateSize, … */
    uint32_t fields;        /* enum log_httperr_flag */
    enum log_httperr_columns columns;
};

/* All strings and arrays live in arena. */
struct log_settings {
    struct arena arena;
    const struct log_site_settings *sites;
    size_t n_sites;
    struct log_central_settings central;
    struct log_httperr_settings httperr;
    struct str computer_name; /* s-computername; empty gives "-" */
};

/* No sites, HTTPERR off, everything else at its documented default. */
void log_settings_init(struct log_settings *s);
void log_settings_fini(struct log_settings *s);

/* Fills *ret (initialised here; the caller's to fini, also on failure) from
 * {"sites": [{"id", "name", "logFile": {…}}], "log": {…}, "httperr": {…}, "computerName"} where
 * the keys of the inner objects are IIS's attribute names and the names of the registry values.
 * An absent key has its documented default; enumerations are accepted by name or number, flags as
 * a number or as comma-separated names; "httperr" absent means off, present means on unless
 * EnableErrorLogging is 0. Numbers outside a documented range are taken to its nearest end.
 * RC_FAIL for a value of the wrong type or an unknown name: *ret_why (in ret->arena) names it. */
MUST_CHECK enum rc log_settings_from_json(const json_t *json, struct log_settings *ret,
                                          struct str *ret_why);

#endif
