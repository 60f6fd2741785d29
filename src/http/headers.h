/* Header names known by number, what is special about each, and the characters names and values may
 * have (RFC 9110 5.1, 5.5). All functions are pure and may be called from any thread. */
#ifndef CANDOR_HTTP_HEADERS_H
#define CANDOR_HTTP_HEADERS_H

#include <stdbool.h>

#include "base/str.h"

/* A request may carry the header once only; a second one is refused (HTTPERR BadRequest). */
enum { HDR_F_SINGLE = 1 };

/* X(id, canonical name, flags, first character, last four characters), the characters in lower case
 * and with blanks in front if there are fewer. They feed the hash of the lookup at compile time: a
 * colliding row warns, a wrong one fails its test.
 * Order: the 20 general and entity headers and the 10 of responses as the HTTP API numbers them,
 * also their order on the wire; then the 21 of requests; then what we need to know besides. */
#define HTTP_HEADERS(X)                                                                            \
    X(CACHE_CONTROL, "Cache-Control", 0, 'c', 't', 'r', 'o', 'l')                                  \
    X(CONNECTION, "Connection", 0, 'c', 't', 'i', 'o', 'n')                                        \
    X(DATE, "Date", HDR_F_SINGLE, 'd', 'd', 'a', 't', 'e')                                         \
    X(KEEP_ALIVE, "Keep-Alive", 0, 'k', 'l', 'i', 'v', 'e')                                        \
    X(PRAGMA, "Pragma", 0, 'p', 'a', 'g', 'm', 'a')                                                \
    X(TRAILER, "Trailer", 0, 't', 'i', 'l', 'e', 'r')                                              \
    X(TRANSFER_ENCODING, "Transfer-Encoding", 0, 't', 'd', 'i', 'n', 'g')                          \
    X(UPGRADE, "Upgrade", 0, 'u', 'r', 'a', 'd', 'e')                                              \
    X(VIA, "Via", 0, 'v', ' ', 'v', 'i', 'a')                                                      \
    X(WARNING, "Warning", 0, 'w', 'n', 'i', 'n', 'g')                                              \
    X(ALLOW, "Allow", 0, 'a', 'l', 'l', 'o', 'w')                                                  \
    X(CONTENT_LENGTH, "Content-Length", HDR_F_SINGLE, 'c', 'n', 'g', 't', 'h')                     \
    X(CONTENT_TYPE, "Content-Type", HDR_F_SINGLE, 'c', 't', 'y', 'p', 'e')                         \
    X(CONTENT_ENCODING, "Content-Encoding", 0, 'c', 'd', 'i', 'n', 'g')                            \
    X(CONTENT_LANGUAGE, "Content-Language", 0, 'c', 'u', 'a', 'g', 'e')                            \
    X(CONTENT_LOCATION, "Content-Location", HDR_F_SINGLE, 'c', 't', 'i', 'o', 'n')                 \
    X(CONTENT_MD5, "Content-MD5", HDR_F_SINGLE, 'c', '-', 'm', 'd', '5')                           \
    X(CONTENT_RANGE, "Content-Range", HDR_F_SINGLE, 'c', 'a', 'n', 'g', 'e')                       \
    X(EXPIRES, "Expires", HDR_F_SINGLE, 'e', 'i', 'r', 'e', 's')                                   \
    X(LAST_MODIFIED, "Last-Modified", HDR_F_SINGLE, 'l', 'f', 'i', 'e', 'd')                       \
    X(ACCEPT_RANGES, "Accept-Ranges", 0, 'a', 'n', 'g', 'e', 's')                                  \
    X(AGE, "Age", 0, 'a', ' ', 'a', 'g', 'e')                                                      \
    X(ETAG, "ETag", 0, 'e', 'e', 't', 'a', 'g')                                                    \
    X(LOCATION, "Location", 0, 'l', 't', 'i', 'o', 'n')                                            \
    X(PROXY_AUTHENTICATE, "Proxy-Authenticate", 0, 'p', 'c', 'a', 't', 'e')                        \
    X(RETRY_AFTER, "Retry-After", 0, 'r', 'f', 't', 'e', 'r')                                      \
    X(SERVER, "Server", 0, 's', 'r', 'v', 'e', 'r')                                                \
    X(SET_COOKIE, "Set-Cookie", 0, 's', 'o', 'k', 'i', 'e')                                        \
    X(VARY, "Vary", 0, 'v', 'v', 'a', 'r', 'y')                                                    \
    X(WWW_AUTHENTICATE, "WWW-Authenticate", 0, 'w', 'c', 'a', 't', 'e')                            \
    X(ACCEPT, "Accept", 0, 'a', 'c', 'e', 'p', 't')                                                \
    X(ACCEPT_CHARSET, "Accept-Charset", 0, 'a', 'r', 's', 'e', 't')                                \
    X(ACCEPT_ENCODING, "Accept-Encoding", 0, 'a', 'd', 'i', 'n', 'g')                              \
    X(ACCEPT_LANGUAGE, "Accept-Language", 0, 'a', 'u', 'a', 'g', 'e')                              \
    X(AUTHORIZATION, "Authorization", HDR_F_SINGLE, 'a', 't', 'i', 'o', 'n')                       \
    X(COOKIE, "Cookie", 0, 'c', 'o', 'k', 'i', 'e')                                                \
    X(EXPECT, "Expect", HDR_F_SINGLE, 'e', 'p', 'e', 'c', 't')                                     \
    X(FROM, "From", HDR_F_SINGLE, 'f', 'f', 'r', 'o', 'm')                                         \
    X(HOST, "Host", HDR_F_SINGLE, 'h', 'h', 'o', 's', 't')                                         \
    X(IF_MATCH, "If-Match", 0, 'i', 'a', 't', 'c', 'h')                                            \
    X(IF_MODIFIED_SINCE, "If-Modified-Since", HDR_F_SINGLE, 'i', 'i', 'n', 'c', 'e')               \
    X(IF_NONE_MATCH, "If-None-Match", 0, 'i', 'a', 't', 'c', 'h')                                  \
    X(IF_RANGE, "If-Range", HDR_F_SINGLE, 'i', 'a', 'n', 'g', 'e')                                 \
    X(IF_UNMODIFIED_SINCE, "If-Unmodified-Since", HDR_F_SINGLE, 'i', 'i', 'n', 'c', 'e')           \
    X(MAX_FORWARDS, "Max-Forwards", HDR_F_SINGLE, 'm', 'a', 'r', 'd', 's')                         \
    X(PROXY_AUTHORIZATION, "Proxy-Authorization", HDR_F_SINGLE, 'p', 't', 'i', 'o', 'n')           \
    X(REFERER, "Referer", HDR_F_SINGLE, 'r', 'e', 'r', 'e', 'r')                                   \
    X(RANGE, "Range", HDR_F_SINGLE, 'r', 'a', 'n', 'g', 'e')                                       \
    X(TE, "TE", 0, 't', ' ', ' ', 't', 'e')                                                        \
    X(TRANSLATE, "Translate", HDR_F_SINGLE, 't', 'l', 'a', 't', 'e')                               \
    X(USER_AGENT, "User-Agent", HDR_F_SINGLE, 'u', 'g', 'e', 'n', 't')                             \
    X(ORIGIN, "Origin", 0, 'o', 'i', 'g', 'i', 'n')                                                \
    X(X_FORWARDED_FOR, "X-Forwarded-For", 0, 'x', '-', 'f', 'o', 'r')                              \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto", 0, 'x', 'r', 'o', 't', 'o')                          \
    X(X_POWERED_BY, "X-Powered-By", 0, 'x', 'd', '-', 'b', 'y')                                    \
    X(SEC_WEBSOCKET_KEY, "Sec-WebSocket-Key", 0, 's', '-', 'k', 'e', 'y')                          \
    X(SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version", 0, 's', 's', 'i', 'o', 'n')                  \
    X(SEC_WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol", 0, 's', 'o', 'c', 'o', 'l')                \
    X(CONTENT_DISPOSITION, "Content-Disposition", 0, 'c', 't', 'i', 'o', 'n')

enum http_header_id {
    HDR_OTHER = 0, /* a name without a number */
#define X(id, name, flags, ...) HDR_##id,
    HTTP_HEADERS(X)
#undef X
    HDR_MAX,
    HDR_WIRE_LAST = HDR_WWW_AUTHENTICATE /* ids above it go out behind these, as they come */
};
_Static_assert(HDR_MAX <= 64, "the parser keeps one bit per known header");

/* The number of a name in any letter case, or HDR_OTHER. About 3 ns. */
enum http_header_id http_header_lookup(struct str name);
/* Canonical spelling; the empty view for HDR_OTHER. Static storage. */
struct str http_header_name(enum http_header_id id);
/* A request must not repeat it. */
bool http_header_is_single(enum http_header_id id);
/* What stands between the values of repeated lines when they become one: "; " for Cookie, ", " for
 * all others. */
struct str http_header_separator(enum http_header_id id);
/* Place on the wire among a response's headers: known ones in the API's order, then all others. */
static inline unsigned http_header_wire_rank(enum http_header_id id)
{
    return id != HDR_OTHER && id <= HDR_WIRE_LAST ? (unsigned)id : (unsigned)HDR_WIRE_LAST + 1;
}

/* One byte of a token (RFC 9110 5.6.2). */
bool http_is_token_char(char c);
/* Not empty and token characters only. */
bool http_is_token(struct str s);
/* Index of the first byte that is not one of a token, or s.n. */
size_t http_token_span(struct str s);
/* Index of the first control character but HT in s (00-1F, 7F), or s.n. 16 bytes at a time. */
size_t http_value_span(struct str s);
/* True if the value may be written into a head: no CR, LF, NUL. */
bool http_value_is_writable(struct str s);

/* Next element of a comma-separated list (quoted strings may hold commas), without blanks around;
 * empty elements are skipped. False at the end. *rest moves. */
bool http_list_next(struct str *rest, struct str *ret_element);
/* The list has that element, without regard to letter case. */
bool http_list_has(struct str list, struct str token);

#endif
