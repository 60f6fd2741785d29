#include "http/response1.h"

#include "http/date.h"
#include "http/scan.h"
#include "base/poison.h"

/* One bounded writer: whatever does not fit is left out, and full is tested once at the end. */
struct out {
    char *p;
    size_t n, cap;
    bool full;
};

/* Names and values are short: two overlapping words beat a call. */
static inline char *copy(char *to, struct str s)
{
    if (s.n >= 8 && s.n <= 16) {
        memcpy(to, s.p, 8);
        memcpy(to + s.n - 8, s.p + s.n - 8, 8);
    } else if (s.n >= 4 && s.n < 8) {
        memcpy(to, s.p, 4);
        memcpy(to + s.n - 4, s.p + s.n - 4, 4);
    } else if (s.n) {
        memcpy(to, s.p, s.n);
    }
    return to + s.n;
}

static inline bool has_room(struct out *o, size_t n)
{
    if (LIKELY(n <= o->cap - o->n))
        return true;
    o->full = true;
    return false;
}

static inline void put(struct out *o, struct str s)
{
    if (has_room(o, s.n)) {
        copy(o->p + o->n, s);
        o->n += s.n;
    }
}

static void put_line(struct out *o, struct str name, struct str value)
{
    size_t n = name.n + value.n + 4; /* both lie in memory, their lengths cannot wrap */

    if (!has_room(o, n))
        return;

    char *at = copy(o->p + o->n, name);

    *at++ = ':';
    *at++ = ' ';
    at = copy(at, value);
    *at++ = '\r';
    *at = '\n';
    o->n += n;
}

static void put_u64(struct out *o, uint64_t v)
{
    char digits[20];

    put(o, str_n(digits, fmt_u64(digits, v)));
}

/* Headers that say how the message is framed come from struct response1 alone. */
static bool is_ours(enum http_header_id id)
{
    return id == HDR_CONNECTION || id == HDR_CONTENT_LENGTH || id == HDR_TRANSFER_ENCODING ||
           id == HDR_KEEP_ALIVE;
}

static struct str name_of(const struct response1_header *h)
{
    return h->name.n ? h->name : http_header_name(h->id);
}

/* Ranks of all headers; those that are ours get LEFT_OUT. Names decide, not the ids beside them: a
 * Content-Length that calls itself something else must not get through. *ret is a set of ranks. */
enum { LEFT_OUT = 255 };

static bool rank_headers(const struct response1 *r, uint8_t ranks[RESPONSE1_HEADERS_MAX],
                         uint64_t *ret, size_t *ret_bad)
{
    *ret = 0;
    for (size_t i = 0; i < r->n_headers; i++) {
        const struct response1_header *h = &r->headers[i];
        enum http_header_id id = h->name.n ? http_header_lookup(h->name) : h->id;
        bool is_name =
            h->name.n ? id != HDR_OTHER || http_is_token(h->name) : id > HDR_OTHER && id < HDR_MAX;

        if (i == RESPONSE1_HEADERS_MAX || !is_name || !http_value_is_writable(h->value)) {
            *ret_bad = i;
            return false;
        }
        ranks[i] = is_ours(id) ? LEFT_OUT : (uint8_t)http_header_wire_rank(id);
        if (ranks[i] != LEFT_OUT)
            *ret |= UINT64_C(1) << ranks[i];
    }
    return true;
}

/* Writes those of the headers that stand at one place of the order. */
static void put_rank(struct out *o, const struct response1 *r, unsigned rank,
                     const uint8_t ranks[RESPONSE1_HEADERS_MAX], struct response1_written *w)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        const struct response1_header *h = &r->headers[i];

        if (ranks[i] != rank)
            continue;
        if (rank == HDR_DATE && h->value.n == HTTP_DATE_LEN)
            w->date_off = o->n + name_of(h).n + 2;
        put_line(o, name_of(h), h->value);
    }
}

static void put_status_line(struct out *o, const struct response1 *r)
{
    put(o, STR("HTTP/1.1 "));
    put_u64(o, r->status);
    put(o, STR(" "));
    put(o, r->reason);
    put(o, STR("\r\n"));
}

/* What HTTP.sys itself adds, behind everything else. */
static void put_generated(struct out *o, const struct response1 *r, bool has_date,
                          struct response1_written *w)
{
    static const struct str options[] = {
        [RESPONSE1_CLOSE] = {"close", 5},
        [RESPONSE1_KEEP_ALIVE] = {"keep-alive", 10},
        [RESPONSE1_UPGRADE] = {"Upgrade", 7},
    };

    if (!has_date && r->date.n) {
        if (r->date.n == HTTP_DATE_LEN)
            w->date_off = o->n + 6;
        put_line(o, STR("Date"), r->date);
    }
    if (r->connection != RESPONSE1_SILENT)
        put_line(o, STR("Connection"), options[r->connection]);
    if (r->framing == RESPONSE1_LENGTH) {
        put(o, STR("Content-Length: "));
        put_u64(o, r->content_length);
        put(o, STR("\r\n"));
    }
}

enum rc response1_write(const struct response1 *r, char *out, size_t cap,
                        struct response1_written *ret)
{
    struct out o = {.p = out, .cap = cap};
    struct response1_written w = {0};
    uint8_t ranks[RESPONSE1_HEADERS_MAX];
    uint64_t set;

    if (!rank_headers(r, ranks, &set, &ret->bad))
        return RC_FAIL;
    if (r->status < 100 || r->status > 999 || !http_value_is_writable(r->reason) ||
        !http_value_is_writable(r->server) || !http_value_is_writable(r->date)) {
        ret->bad = r->n_headers;
        return RC_FAIL;
    }

    bool has_date = set >> HDR_DATE & 1;
    bool add_server = r->server.n && !(set >> HDR_SERVER & 1);

    if (add_server)
        set |= UINT64_C(1) << HDR_SERVER;
    if (r->framing == RESPONSE1_CHUNKED)
        set |= UINT64_C(1) << HDR_TRANSFER_ENCODING;

    put_status_line(&o, r);
    for (; set; set &= set - 1) {
        unsigned rank = (unsigned)__builtin_ctzll(set);

        if (rank == HDR_TRANSFER_ENCODING)
            put_line(&o, STR("Transfer-Encoding"), STR("chunked"));
        else if (rank == HDR_SERVER && add_server)
            put_line(&o, STR("Server"), r->server);
        else
            put_rank(&o, r, rank, ranks, &w);
    }
    put_generated(&o, r, has_date, &w);
    put(&o, STR("\r\n"));
    if (o.full)
        return RC_AGAIN;
    w.len = o.n;
    *ret = w;
    return RC_OK;
}

size_t response1_chunk_head(char out[RESPONSE1_CHUNK_HEAD_MAX], uint64_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    int shift = 60;

    while (shift > 0 && (n >> shift & 15) == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        out[len++] = hex[n >> shift & 15];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}
