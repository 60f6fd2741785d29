#include "listener/response_cache_rules.h"

#include "http/accept.h"
#include "http/date.h"
#include "http/headers.h"
#include "http/method.h"
#include "base/poison.h"

const char *response_cache_why_name(enum response_cache_why why)
{
    static const char *const names[CACHE_WHY_MAX] = {
        [CACHE_OK] = "ok",
#define X(id, name, text) [CACHE_##id] = name,
        RESPONSE_CACHE_WHYS(X)
#undef X
    };

    return names[why];
}

const char *response_cache_why_text(enum response_cache_why why)
{
    static const char *const texts[CACHE_WHY_MAX] = {
        [CACHE_OK] = "kept",
#define X(id, name, text) [CACHE_##id] = text,
        RESPONSE_CACHE_WHYS(X)
#undef X
    };

    return texts[why];
}

/* ---- the request ---------------------------------------------------------------------------- */

#define BIT(id) (UINT64_C(1) << HDR_##id)

/* Headers that keep a request away from the cache, whatever they say. */
static const struct {
    uint64_t headers;
    enum response_cache_why why;
} refused_headers[] = {
    {BIT(AUTHORIZATION) | BIT(PROXY_AUTHORIZATION), CACHE_AUTHORIZATION},
    {BIT(RANGE) | BIT(IF_RANGE), CACHE_RANGE},
    {BIT(IF_MATCH) | BIT(IF_UNMODIFIED_SINCE), CACHE_PRECONDITION},
    {BIT(UPGRADE), CACHE_UPGRADE},
};

static const uint64_t looked_at = BIT(AUTHORIZATION) | BIT(PROXY_AUTHORIZATION) | BIT(RANGE) |
                                  BIT(IF_RANGE) | BIT(IF_MATCH) | BIT(IF_UNMODIFIED_SINCE) |
                                  BIT(UPGRADE) | BIT(TRANSLATE) | BIT(EXPECT);
static const uint64_t decide = BIT(ACCEPT) | BIT(ACCEPT_ENCODING) | BIT(IF_NONE_MATCH) |
                               BIT(IF_MODIFIED_SINCE);

static enum response_cache_why headers_why(const struct http1_head *head, const char *buf)
{
    for (size_t i = 0; i < ARRAY_LEN(refused_headers); i++)
        if (head->seen & refused_headers[i].headers)
            return refused_headers[i].why;
    if (head->other_expect)
        return CACHE_EXPECT;
    if (str_ieq(str_trim(http1_value(head, buf, HDR_TRANSLATE)), STR("f")))
        return CACHE_TRANSLATE;
    return CACHE_OK;
}

enum response_cache_why response_cache_request(const struct http1_head *head, const char *buf,
                                               const struct url_cooked *url)
{
    if (head->method != HTTP_METHOD_GET && head->method != HTTP_METHOD_HEAD)
        return CACHE_METHOD;
    if (url->has_query)
        return CACHE_QUERY;
    if (head->version_major == 0)
        return CACHE_VERSION;
    if (head->chunked || head->content_length)
        return CACHE_BODY;
    if (url->form != URL_ORIGIN)
        return CACHE_FORM;
    if (UNLIKELY(head->repeated & decide))
        return CACHE_REPEATED;
    return LIKELY(!(head->seen & looked_at)) ? CACHE_OK : headers_why(head, buf);
}

/* ---- content codings ------------------------------------------------------------------------ */

static const struct {
    struct str name;
    uint8_t bit;
} codings[] = {
    {{"gzip", 4}, CODING_GZIP},
    {{"deflate", 7}, CODING_DEFLATE},
    {{"br", 2}, CODING_BR},
    {{"zstd", 4}, CODING_ZSTD},
};

uint8_t response_cache_codings(struct str accept_encoding)
{
    unsigned all = 0, quality = 0;

    if (!accept_encoding.p)
        return CODING_IDENTITY;
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        unsigned q = http_accept_coding(accept_encoding, codings[i].name);
        if (q == 0)
            continue;
        if (all && q != quality)
            return CODING_ODD;
        quality = q;
        all |= codings[i].bit;
    }
    unsigned identity = http_accept_coding(accept_encoding, STR("identity"));

    /* That identity is acceptable goes without saying, so its quality only counts if it is the
     * better one. An order by preference is not kept in a set. */
    if (identity && str_ifind(accept_encoding, STR("identity")) != SIZE_MAX && all &&
        identity > quality)
        return CODING_ODD;
    return (uint8_t)(all | (identity ? CODING_IDENTITY : 0));
}

static bool known_coding(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(codings); i++)
        if (str_ieq(codings[i].name, name))
            return true;
    return str_ieq(name, STR("identity"));
}

/* ---- the answer ----------------------------------------------------------------------------- */

bool response_cache_status(uint16_t status)
{
    switch (status) {
    case 206: /* a part */
    case 304: /* for one client's copy */
    case 401: /* who asks matters */
    case 407:
    case 412: /* what was asked along with it matters */
    case 416:
        return false;
    default:
        return status >= 200;
    }
}

bool response_cache_left_out_of_304(struct str name)
{
    /* What describes a body that is not there. Others may be the site's custom headers, which a 304
     * of the worker has, too. */
    return str_ieq(name, STR("Content-Type")) || str_ieq(name, STR("Content-Encoding"));
}

static enum response_cache_why take_vary(struct str value, struct response_cache_facts *f)
{
    struct str name;

    while (http_list_next(&value, &name)) {
        if (!str_ieq(name, STR("Accept-Encoding")))
            return CACHE_VARY;
        f->varies = true;
    }
    return CACHE_OK;
}

static enum response_cache_why take_line(struct str name, struct str value,
                                         struct response_cache_facts *f)
{
    switch (http_header_lookup(name)) {
    case HDR_SET_COOKIE:
        return CACHE_COOKIE;
    case HDR_PRAGMA:
        return CACHE_PRAGMA;
    case HDR_WWW_AUTHENTICATE:
    case HDR_PROXY_AUTHENTICATE:
        return CACHE_AUTHENTICATE;
    case HDR_CONTENT_RANGE:
        return CACHE_CONTENT_RANGE;
    case HDR_VARY:
        return take_vary(value, f);
    case HDR_CONTENT_TYPE:
        f->media_type = str_trim(str_sub(value, 0, str_find_char(value, ';')));
        return CACHE_OK;
    case HDR_ETAG:
        if (f->etag.n)
            return CACHE_VALIDATOR;
        f->etag = value;
        return CACHE_OK;
    case HDR_LAST_MODIFIED:
        if (f->has_last_modified || !http_date_parse(value, &f->last_modified))
            return CACHE_VALIDATOR;
        f->has_last_modified = true;
        f->last_modified_text = value;
        return CACHE_OK;
    default:
        return str_ieq(name, STR("X-Candor-Error")) ? CACHE_ERROR_ID : CACHE_OK;
    }
}

enum response_cache_why response_cache_lines(struct str lines, struct response_cache_facts *ret)
{
    struct str line;
    bool coded = false;

    *ret = (struct response_cache_facts){0};
    while (str_split(&lines, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        struct str name = str_sub(line, 0, colon);
        struct str value = str_trim_all(str_sub(line, colon + 1, line.n));
        enum response_cache_why why = take_line(name, value, ret);

        if (why != CACHE_OK)
            return why;
        if (str_ieq(name, STR("Content-Encoding"))) {
            if (coded || !known_coding(value))
                return CACHE_CODING;
            coded = true;
        }
    }
    return coded && !ret->varies ? CACHE_CODING : CACHE_OK;
}
