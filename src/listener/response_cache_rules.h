/* Which requests may be answered from the response cache, and which answers may enter it
 * (HTTP.sys: KB 817445 "Instances in which HTTP.sys doesn't cache content"). Pure functions. */
#ifndef CANDOR_LISTENER_RESPONSE_CACHE_RULES_H
#define CANDOR_LISTENER_RESPONSE_CACHE_RULES_H

#include <stdint.h>

#include "base/str.h"
#include "http/http1_parser.h"
#include "http/url.h"

/* X(id, name for statistics and documentation, what it means). Those up to WHY_REQUEST_LAST are
 * about the request: it goes to the worker, and its answer is not kept. The others are about the
 * answer. */
#define RESPONSE_CACHE_WHYS(X)                                                                     \
    X(METHOD, "method", "not GET or HEAD; only the answer to a GET is kept")                       \
    X(VERSION, "version", "HTTP/0.9: no head, nothing to compare")                                 \
    X(BODY, "requestBody", "the request has a body")                                               \
    X(QUERY, "query", "the URL has a query, be it an empty one")                                   \
    X(FORM, "urlForm", "the request-target is not a plain path")                                   \
    X(AUTHORIZATION, "authorization", "Authorization or Proxy-Authorization: who asks matters")    \
    X(TRANSLATE, "translate", "Translate: f asks for the source")                                  \
    X(RANGE, "range", "Range or If-Range asks for a part")                                         \
    X(EXPECT, "expect", "Expect is something else than 100-continue")                              \
    X(PRECONDITION, "precondition", "If-Match or If-Unmodified-Since could end in a 412")          \
    X(REPEATED, "repeatedHeader", "a header that decides was sent more than once")                 \
    X(UPGRADE, "upgrade", "the client wants another protocol")                                     \
    X(NOT_OFFERED, "notOffered", "the worker did not allow it")                                    \
    X(GENERATION, "generation", "the answer belongs to an older configuration")                    \
    X(NOT_WHOLE, "notWhole", "the answer came in more than one piece")                             \
    X(CLOSES, "closes", "the worker wants the connection closed")                                  \
    X(USER, "user", "the request was that of a user, not anonymous")                               \
    X(LOG_FIELDS, "logFields", "custom log fields differ from request to request")                 \
    X(STATUS, "status", "206, 304, 401, 407, 412, 416: an answer to this request only")            \
    X(EMPTY, "empty", "no body")                                                                   \
    X(HEADERS_SIZE, "headersSize", "header lines above 1024 bytes")                                \
    X(COOKIE, "setCookie", "Set-Cookie")                                                           \
    X(VARY, "vary", "Vary names more than Accept-Encoding")                                        \
    X(PRAGMA, "pragma", "Pragma")                                                                  \
    X(AUTHENTICATE, "authenticate", "WWW-Authenticate or Proxy-Authenticate")                      \
    X(CONTENT_RANGE, "contentRange", "Content-Range: a part")                                      \
    X(ERROR_ID, "errorId", "X-Candor-Error names one request")                                     \
    X(CODING, "coding", "Content-Encoding without Vary: Accept-Encoding, or an unknown one")       \
    X(VALIDATOR, "validator", "Last-Modified is no date, or a validator stands there twice")       \
    X(PATH_SIZE, "pathSize", "host and path are longer than is kept")                              \
    X(SIZE, "size", "larger than UriMaxUriBytes")                                                  \
    X(VARIANTS, "variants", "too many variants of one URL")                                        \
    X(FILES, "files", "no descriptor to spare")                                                    \
    X(ROOM, "room", "the cache is full of entries in use")

enum response_cache_why {
    CACHE_OK = 0,
#define X(id, name, text) CACHE_##id,
    RESPONSE_CACHE_WHYS(X)
#undef X
    CACHE_WHY_MAX,
    CACHE_REQUEST_LAST = CACHE_UPGRADE,
};

/* Static storage; CACHE_OK gives "ok". */
const char *response_cache_why_name(enum response_cache_why why);
const char *response_cache_why_text(enum response_cache_why why);

/* Content codings that an Accept-Encoding value allows, as a set. Answers with Vary:
 * Accept-Encoding are kept one for each set. */
enum {
    CODING_IDENTITY = 1,
    CODING_GZIP = 2,
    CODING_DEFLATE = 4,
    CODING_BR = 8,
    CODING_ZSTD = 16,
    CODING_ODD = 0x40, /* allowed with different preferences, or others: for the worker to judge */
    CODING_ANY = 0x80, /* of an answer: it does not depend on Accept-Encoding */
};
uint8_t response_cache_codings(struct str accept_encoding); /* p NULL: absent */

/* Whether this request may be answered from the cache, and its answer be kept (CACHE_METHOD apart:
 * the answer to a HEAD is not kept). A few loads for most requests. */
enum response_cache_why response_cache_request(const struct http1_head *head, const char *buf,
                                               const struct url_cooked *url);

/* What the header lines of an answer say about keeping it. */
struct response_cache_facts {
    struct str media_type; /* of Content-Type, without parameters; empty: none */
    struct str etag;       /* value; empty: none */
    struct str last_modified_text;
    int64_t last_modified;
    bool has_last_modified;
    bool varies; /* Vary: Accept-Encoding */
};

/* Looks at the header lines ("Name: value\r\n", checked). Views look into them. */
enum response_cache_why response_cache_lines(struct str lines, struct response_cache_facts *ret);
/* An answer with this status may be kept. */
bool response_cache_status(uint16_t status);
/* A header line of the 200 that its 304 does not have. */
bool response_cache_left_out_of_304(struct str name);

#endif
