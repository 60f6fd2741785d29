/* HTTP/1.x request heads. Pure and resumable at every byte: no input or output, no clock, nothing
 * scanned twice. Everything it finds is kept as offsets, so the buffer may move between calls.
 *
 * Checks run in the order of the bytes (method, target, version, headers), then on the whole head:
 * Host, Transfer-Encoding, Content-Length, missing length, "*". The first that fails decides the
 * reason. Cutting the input differently never changes the outcome. */
#ifndef CANDOR_HTTP_HTTP1_PARSER_H
#define CANDOR_HTTP_HTTP1_PARSER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/headers.h"
#include "http/httperr_reason.h"
#include "http/method.h"

/* Liberties, all off by default; names are those of the registry values. */
enum http1_flag {
    HTTP1_WEAK_HEADER_NAMES = 1,      /* AllowWeakHeaderNameSyntax: names with separators */
    HTTP1_WEAK_HEADER_VALUES = 2,     /* AllowWeakHeaderValueSyntax: controls but CR LF NUL */
    HTTP1_CASE_INSENSITIVE_VERBS = 4, /* AllowCaseInsensitiveVerbs: "get" is GET */
    HTTP1_RAW_RESTRICTED_CHARS = 8,   /* AllowUnEscapedRestrictedChars: in the target */
};

struct http1_limits {
    uint32_t max_field_length;  /* MaxFieldLength: one header line without its end; the target */
    uint32_t max_request_bytes; /* MaxRequestBytes: request line and headers with their ends */
    uint32_t flags;             /* of enum http1_flag */
};

/* The documented defaults: 16384, 16384, strict. A max_field_length above max_request_bytes has no
 * effect of its own. */
static inline struct http1_limits http1_limits_default(void)
{
    return (struct http1_limits){.max_field_length = 16384, .max_request_bytes = 16384};
}

/* One header line. Value without blanks around; a folded value has blanks where the breaks were. */
struct http1_header {
    uint32_t name_off;
    uint16_t name_len;
    uint16_t id; /* enum http_header_id */
    uint32_t value_off;
    uint32_t value_len;
};

enum { HTTP1_HEADERS_INLINE = 32 };

/* Offsets count from the buffer's start. After RC_FAIL, method, target and version are there as far
 * as they were read (lengths 0, version 0.0 if not): HTTPERR logs them. */
struct http1_head {
    uint32_t head_len; /* up to and including the empty line; body bytes follow. Set by RC_OK */

    uint32_t method_off, method_len;
    uint32_t target_off, target_len;
    uint16_t version_major, version_minor; /* as sent, at most 999; 0.9 for a simple request */
    uint8_t method;                        /* enum http_method */

    /* Framing, decided once here. A body follows if chunked, or has_content_length and > 0. */
    bool has_content_length;
    bool chunked;
    bool length_and_chunked; /* both were sent: chunked holds, the connection closes after it */
    uint64_t content_length; /* 0 unless has_content_length */

    /* Connection. keep_alive is the verdict from version, Connection and framing. */
    bool keep_alive;
    bool connection_close; /* the client asked for close */
    bool upgrade;          /* Connection: upgrade together with an Upgrade header */
    bool expect_100;       /* Expect: 100-continue on HTTP/1.1 */
    bool other_expect;     /* any other Expect value: goes to the application, bypasses the cache */

    /* The Host header's value, checked; length 0 if absent or empty (HTTP/1.0 only). Its name part
     * are the first host_name_len bytes (with brackets if IPv6). */
    uint32_t host_off;
    uint16_t host_len, host_name_len, host_port; /* port 0: none */
    uint8_t host_kind;                           /* enum http_host_kind */

    uint32_t n_headers;
    uint32_t cap_more;
    struct http1_header *more; /* all of them, once they outgrow first; heap */
    uint64_t seen;             /* bit per known id */
    uint64_t repeated;         /* bit per known id that has more than one line */
    uint32_t at[HDR_MAX];      /* index of the first line of a known id; valid only where seen */
    struct http1_header first[HTTP1_HEADERS_INLINE];
};

struct http1_parser {
    struct http1_limits limits;
    uint32_t pos;   /* first byte not yet looked at */
    uint32_t mark;  /* start of the element being read */
    uint32_t start; /* first byte of the method */
    uint32_t value_at;
    uint32_t error_offset;      /* after RC_FAIL: the byte that settled it */
    enum httperr_reason reason; /* after RC_FAIL */
    uint16_t name_id;           /* of the header line being read */
    uint8_t state;
};

/* Before each request. limits is copied. */
void http1_parser_init(struct http1_parser *p, const struct http1_limits *limits);

/* Once before first use of a head (then http1_head_reset is enough between requests), and at the
 * end of the connection. Only the array of more than 32 headers lives on the heap. */
void http1_head_init(struct http1_head *head);
void http1_head_reset(struct http1_head *head);
void http1_head_fini(struct http1_head *head);
/* A head of at most 32 headers; what to had is forgotten. */
void http1_head_copy(struct http1_head *to, const struct http1_head *from);

/* Goes on with buf[0, len), which starts with the connection's first byte not yet consumed and has
 * grown at its end since the last call (what was there may have moved, but not changed; line breaks
 * inside folded values are overwritten with blanks by this function).
 * RC_AGAIN: more is needed. RC_OK: head is complete, head->head_len bytes long.
 * RC_FAIL: p->reason and p->error_offset say why; call no more.
 * At most max_request_bytes + 1 bytes are ever needed to come to a verdict. */
MUST_CHECK enum rc http1_parse(struct http1_parser *p, char *buf, size_t len,
                               struct http1_head *head);

/* All header lines in order. */
static inline const struct http1_header *http1_headers(const struct http1_head *head)
{
    return head->more ? head->more : head->first;
}

static inline bool http1_has(const struct http1_head *head, enum http_header_id id)
{
    return head->seen >> id & 1;
}

/* First line of a known header, NULL if absent. */
static inline const struct http1_header *http1_find(const struct http1_head *head,
                                                    enum http_header_id id)
{
    return http1_has(head, id) ? &http1_headers(head)[head->at[id]] : NULL;
}

/* Value of the first line of a known header; STR_NULL if absent. */
static inline struct str http1_value(const struct http1_head *head, const char *buf,
                                     enum http_header_id id)
{
    const struct http1_header *h = http1_find(head, id);

    return h ? str_n(buf + h->value_off, h->value_len) : STR_NULL;
}

static inline struct str http1_method(const struct http1_head *head, const char *buf)
{
    return str_n(buf + head->method_off, head->method_len);
}

static inline struct str http1_target(const struct http1_head *head, const char *buf)
{
    return str_n(buf + head->target_off, head->target_len);
}

static inline struct str http1_host(const struct http1_head *head, const char *buf)
{
    return str_n(buf + head->host_off, head->host_len);
}

#endif
