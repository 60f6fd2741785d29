/* Writes HTTP/1.1 response heads and chunk framing into the caller's memory. */
#ifndef CANDOR_HTTP_RESPONSE1_H
#define CANDOR_HTTP_RESPONSE1_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "http/headers.h"

struct response1_header {
    struct str name; /* as it shall appear; if empty, the canonical name of id */
    struct str value;
    enum http_header_id id; /* looked at only if name is empty */
};

enum { RESPONSE1_HEADERS_MAX = 512 };

enum response1_framing {
    RESPONSE1_NO_LENGTH = 0, /* 1xx, 204, 304, or a body that ends with the connection */
    RESPONSE1_LENGTH,        /* Content-Length: content_length */
    RESPONSE1_CHUNKED,       /* Transfer-Encoding: chunked */
};

enum response1_connection {
    RESPONSE1_SILENT = 0, /* HTTP/1.1 default: no Connection header */
    RESPONSE1_CLOSE,
    RESPONSE1_KEEP_ALIVE, /* to an HTTP/1.0 client that asked for it */
    RESPONSE1_UPGRADE,    /* 101 */
};

struct response1 {
    unsigned status;   /* 100..999 */
    struct str reason; /* reason phrase, may be empty */
    const struct response1_header *headers;
    size_t n_headers;
    struct str server; /* Server header if headers has none; empty: none */
    struct str date;   /* Date header's value if headers has none; empty: none */
    uint64_t content_length;
    enum response1_framing framing;
    enum response1_connection connection;
};

struct response1_written {
    size_t len;      /* bytes of the head, empty line included */
    size_t date_off; /* where the date's 29 characters stand; 0 if there are none */
    size_t bad;      /* after RC_FAIL: index of the bad header; n_headers: the status line */
};

/* Writes status line, headers and empty line. Headers the API knows come in its order (equal ones
 * as given), then the others as given, then Date, Connection, Content-Length if we made them.
 * Framing and connection are the listener's: Connection, Content-Length, Transfer-Encoding and
 * Keep-Alive among headers are left out.
 * RC_AGAIN: cap is too small (nothing usable was written). RC_FAIL: a name is no token, a value or
 * the reason phrase holds CR, LF or NUL (whoever made it tried to split the response), the status
 * has not three digits, or there are more than RESPONSE1_HEADERS_MAX headers; ret->bad tells. */
MUST_CHECK enum rc response1_write(const struct response1 *r, char *out, size_t cap,
                                   struct response1_written *ret);

enum { RESPONSE1_CHUNK_HEAD_MAX = 18 };
/* "<hex>\r\n" before n (> 0) bytes of data; gives its length. After the data comes "\r\n". */
size_t response1_chunk_head(char out[RESPONSE1_CHUNK_HEAD_MAX], uint64_t n);
#define RESPONSE1_CHUNK_TAIL STR("\r\n")
#define RESPONSE1_LAST_CHUNK STR("0\r\n\r\n")

#endif
