/* Client bytes on their way into a log line. Each writer returns where it stopped; the caller has
 * made room for the stated length and LOG_SLACK bytes more, which whole-vector stores may touch. */
#ifndef CANDOR_LOGGING_LOG_ESCAPE_H
#define CANDOR_LOGGING_LOG_ESCAPE_H

#include <stdbool.h>

#include "base/str.h"

enum { LOG_SLACK = 32 };

/* A field of a blank-separated log, at most max(1, s.n) bytes: blanks and unprintable characters
 * become '+', nothing becomes '-'. Without utf8 characters become
 * their Windows-1252 bytes, or '?'. */
char *log_put_field(char *at, struct str s, bool utf8);
/* The same, but blanks stay: user names in IIS's own format. */
char *log_put_field_blanks(char *at, struct str s, bool utf8);

/* A JSON string with its quotes, at most 6 * s.n + 2 bytes; bytes that are not UTF-8 become
 * U+FFFD. */
char *log_put_json(char *at, struct str s);

/* The longest beginning of s of at most max bytes that does not end inside a UTF-8 character. */
struct str log_clip(struct str s, size_t max);

#endif
