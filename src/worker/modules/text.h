/* Small text work that several modules share: escapes of URLs, search without regard to case. */
#ifndef CANDOR_WORKER_MODULES_TEXT_H
#define CANDOR_WORKER_MODULES_TEXT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "worker/request.h"

/* A copy of s with its %XX decoded once; s itself if there is nothing to decode. Other '%' stay. An
 * empty view if the arena's limit is passed. */
struct str text_unescape(struct arena *a, struct str s);
/* s has a '%' that two hexadecimal digits (or "u" and four) do not follow. */
bool text_has_bare_percent(struct str s);
/* s has a "%XX" or "%uXXXX". */
bool text_has_escape(struct str s);

/* A copy in lower case (ASCII). An empty view if the arena's limit is passed. */
struct str text_lower(struct arena *a, struct str s);
/* needle, which is in lower case and not empty, occurs in s in any letter case. */
bool text_contains(struct str s, struct str needle);

/* Appends a decoded path as a URL needs it: everything escaped that RFC 3986 section 3.3 does not
 * allow in a path. */
void text_url_path(struct buf *b, struct str path);
/* Appends text that already is a URL or a query as a client or administrator wrote it: only what
 * must never stand in a Location (controls, blanks, quotes, angle brackets, bytes above 7E) is
 * escaped. */
void text_url_clean(struct buf *b, struct str url);

/* The view that *b holds, moved to the request's arena. An empty view if it does not fit or *b has
 * overflowed. */
struct str text_keep(struct request *r, const struct buf *b);

/* Answers with a redirection: Location and the short page IIS sends with it. location must live as
 * long as the request. Gives PIPE_FINISH. */
enum pipe_rc text_document_moved(struct request *r, const struct status_row *row,
                                 struct str location);

#endif
