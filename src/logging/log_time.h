/* A second's texts, made once and used for every line of that second; names of log files. */
#ifndef CANDOR_LOGGING_LOG_TIME_H
#define CANDOR_LOGGING_LOG_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logging/log_settings.h"

enum { LOG_STAMP_LEN = 19, LOG_NAME_MAX = 64 };

/* Belongs to one thread. */
struct log_clock {
    int64_t second_us;             /* the second the texts are for */
    char stamp[LOG_STAMP_LEN + 1]; /* 2026-10-07 12:24:54, UTC */
    char native[24];               /* 10/7/2026, 12:24:54, local */
    char ncsa[32];                 /* [07/Oct/2026:14:24:54 +0200] */
    uint8_t native_len, ncsa_len;
    /* What tells one file from the next: the digits of its name. [local?][period] */
    uint32_t keys[2][LOG_PERIOD_HOURLY + 1];
};

void log_clock_init(struct log_clock *c);
void log_clock_refresh(struct log_clock *c, int64_t wall_us);

static inline void log_clock_set(struct log_clock *c, int64_t wall_us)
{
    if (UNLIKELY((uint64_t)wall_us - (uint64_t)c->second_us >= 1000000u))
        log_clock_refresh(c, wall_us);
}

/* How a log's files are called: prefix, digits, suffix. */
struct log_naming {
    char prefix[12]; /* u_ex, u_extend, ht, httperr */
    char suffix[12]; /* .log, _x.log */
    enum log_period period;
};

/* For site logs (format W3C, IIS or NCSA) and, with httperr, for HTTPERR. */
struct log_naming log_naming_site(enum log_format format, enum log_period period, bool utf8,
                                  bool has_custom);
struct log_naming log_naming_httperr(enum log_period period);

/* digits is a key of struct log_clock or, for LOG_PERIOD_MAX_SIZE, the file's number. */
void log_file_name(const struct log_naming *n, uint32_t digits, char out[LOG_NAME_MAX]);

/* The number of a file of a LOG_PERIOD_MAX_SIZE log; false if name is none. */
bool log_file_number(const struct log_naming *n, struct str name, uint32_t *ret);

#endif
