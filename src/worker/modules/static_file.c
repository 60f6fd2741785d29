/* StaticFileModule: sends files. What does not change between two answers for one file is written
 * once, into a block of header lines that hangs on the URL's entry. */
#include "worker/modules/registry.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "config/config.h"
#include "http/accept.h"
#include "http/conditions.h"
#include "http/date.h"
#include "http/method.h"
#include "http/range.h"
#include "worker/modules/static_conf.h"
#include "worker/modules/text.h"
#include "worker/open_file.h"
#include "worker/thread.h"
#include "worker/url_cache.h"

#include "base/poison.h"

enum {
    RANGES_MAX = 64,
    ACCEPTED_MAX = 256,
    LOCATION_MAX = 64 * 1024,
};

static const int64_t filetime_1970 = 11644473600; /* seconds from 1601 to 1970 */

#define BOUNDARY "<q1w2e3r4t5y6u7i8o9p0zaxscdvfbgnhmjklkl>"

/* The block: header lines of a 200, cut so that parts of it serve other answers as well. */
struct file_block {
    const struct static_conf *conf;
    struct str mime;    /* empty: no type is configured, 404.3 */
    struct str full;    /* cache headers, Content-Type, Last-Modified, Accept-Ranges, ETag */
    struct str no_type; /* the same without Content-Type: 304, multipart */
    struct str etag;    /* value; empty: none is sent */
    struct str footer;  /* path of the footer file, or text; empty: none */
    /* The last Accept header that took this type: browsers send one and the same. */
    char accepted[ACCEPTED_MAX];
    size_t accepted_len;
    char bytes[];
};

/* ---- the block ------------------------------------------------------------------------------ */

/* The eight bytes of the last-write FILETIME, lowest first, as hexadecimal numbers without padding;
 * then the change number, which is always 0 here. */
static void put_etag(struct buf *b, const struct url_entry *url)
{
    uint64_t t = (uint64_t)(url->mtime_s + filetime_1970) * 10000000u + url->mtime_ns / 100u;

    buf_char(b, '"');
    for (unsigned i = 0; i < 8; i++)
        buf_printf(b, "%x", (unsigned)(t >> (8 * i) & 0xff));
    buf_str(b, STR(":0\""));
}

static void put_cache_headers(struct buf *b, const struct static_conf *c)
{
    if (c->cache_control.n) {
        buf_str(b, STR("Cache-Control: "));
        buf_str(b, c->cache_control);
        buf_str(b, STR("\r\n"));
    }
}

static void put_rest(struct buf *b, const struct static_conf *c, const struct url_entry *url,
                     bool footer)
{
    char date[HTTP_DATE_LEN];

    if (c->expires.n) {
        buf_str(b, STR("Expires: "));
        buf_str(b, c->expires);
        buf_str(b, STR("\r\n"));
    }
    http_date_format(url->mtime_s, date);
    buf_str(b, STR("Last-Modified: "));
    buf_append(b, date, sizeof(date));
    buf_str(b, STR("\r\n"));
    if (footer)
        return; /* the footer may change without the file: nothing to compare, nothing to cut */
    buf_str(b, STR("Accept-Ranges: bytes\r\n"));
    if (c->set_etag) {
        buf_str(b, STR("ETag: "));
        put_etag(b, url);
        buf_str(b, STR("\r\n"));
    }
}

static struct file_block *make_block(const struct static_conf *c, const struct url_entry *url)
{
    _cleanup_buf_ struct buf b;
    struct str mime = static_conf_mime(c, url->path), etag = STR_NULL;
    bool footer = c->footer.n && str_istarts(mime, STR("text/html"));

    buf_init(&b, 64 * 1024);
    put_cache_headers(&b, c);
    buf_str(&b, STR("Content-Type: "));
    buf_str(&b, mime);
    buf_str(&b, STR("\r\n"));
    put_rest(&b, c, url, footer);
    size_t full = b.n;

    put_cache_headers(&b, c);
    put_rest(&b, c, url, footer);
    size_t no_type = b.n - full, etag_at = b.n;

    if (c->set_etag && !footer)
        put_etag(&b, url);
    struct file_block *k = xmalloc(sizeof(*k) + b.n);

    memcpy(k->bytes, b.p, b.n);
    if (b.n > etag_at)
        etag = str_n(k->bytes + etag_at, b.n - etag_at);
    k->accepted_len = 0;
    k->conf = c;
    k->mime = mime;
    k->full = str_n(k->bytes, full);
    k->no_type = str_n(k->bytes + full, no_type);
    k->etag = etag;
    k->footer = footer ? c->footer : STR_NULL;
    return k;
}

static void free_block(void *data)
{
    free(data);
}

static struct file_block *block_of(struct url_entry *url, const struct static_conf *c)
{
    struct file_block *k = url->slot.data;

    if (LIKELY(k && k->conf == c))
        return k;
    free(k);
    url->slot = (struct url_slot){.data = make_block(c, url), .free = free_block};
    return url->slot.data;
}

/* ---- conditions (RFC 9110 section 13) ------------------------------------------------------- */

/* Its value; p is NULL only where the header is absent. */
static struct str condition(struct request *r, enum http_header_id id)
{
    if (LIKELY(!request_has_header(r, id)))
        return STR_NULL;
    struct str value = request_header(r, id);

    return value.p ? value : STR("");
}

static enum http_condition_verdict check_conditions(struct request *r, const struct file_block *k)
{
    struct http_conditions c = {.if_match = condition(r, HDR_IF_MATCH),
                                .if_none_match = condition(r, HDR_IF_NONE_MATCH),
                                .if_modified_since = condition(r, HDR_IF_MODIFIED_SINCE),
                                .if_unmodified_since = condition(r, HDR_IF_UNMODIFIED_SINCE)};
    struct http_validators v = {.etag = k->etag,
                                .last_modified = r->url->mtime_s,
                                .has_last_modified = true};

    if (LIKELY(!c.if_match.p && !c.if_none_match.p && !c.if_modified_since.p &&
               !c.if_unmodified_since.p))
        return HTTP_CONDITION_SEND;
    return http_conditions_check(&c, &v, clock_wall_us() / 1000000);
}

/* ---- ranges --------------------------------------------------------------------------------- */

static struct str content_range(struct request *r, const struct http_range *x, uint64_t size)
{
    return arena_printf(&r->arena, "bytes %llu-%llu/%llu", (unsigned long long)x->first,
                        (unsigned long long)x->last, (unsigned long long)size);
}

static void send_multipart(struct request *r, const struct file_block *k, struct open_file *f,
                           const struct http_range *ranges, size_t n)
{
    r->response.prebuilt = k->no_type;
    (void)response_header_set(r, HDR_CONTENT_TYPE,
                              STR("multipart/byteranges; boundary=" BOUNDARY));
    for (size_t i = 0; i < n; i++) {
        struct str at = content_range(r, &ranges[i], f->size);
        response_body_memory(r, arena_printf(&r->arena,
                                             "%s--" BOUNDARY "\r\nContent-Type: %.*s\r\n"
                                             "Content-Range: %.*s\r\n\r\n",
                                             i ? "\r\n" : "", STR_ARG(k->mime), STR_ARG(at)));
        response_body_file(r, f, ranges[i].first, ranges[i].last - ranges[i].first + 1);
    }
    response_body_memory(r, STR("\r\n--" BOUNDARY "--\r\n"));
}

/* RC_DECLINED: the whole file is to be sent. */
static enum rc send_ranges(struct request *r, const struct file_block *k, struct open_file *f)
{
    struct http_range ranges[RANGES_MAX];
    size_t n;

    if (request_has_header(r, HDR_IF_RANGE) &&
        !http_if_range_matches(request_header(r, HDR_IF_RANGE), k->etag, r->url->mtime_s))
        return RC_DECLINED;
    switch (http_range_parse(request_header(r, HDR_RANGE), f->size, ranges, RANGES_MAX, &n)) {
    case HTTP_RANGE_IGNORE:
        return RC_DECLINED;
    case HTTP_RANGE_UNSATISFIABLE:
        request_fail(r, &st_416_0_range_not_satisfiable, 0, STR_NULL);
        (void)response_header_set(r, HDR_CONTENT_RANGE,
                                  arena_printf(&r->arena, "bytes */%llu",
                                               (unsigned long long)f->size));
        return RC_OK;
    case HTTP_RANGE_PARTIAL:
        break;
    }
    response_status(r, &st_206_0_partial_content);
    if (n > 1) {
        send_multipart(r, k, f, ranges, n);
        return RC_OK;
    }
    r->response.prebuilt = k->full;
    (void)response_header_set(r, HDR_CONTENT_RANGE, content_range(r, &ranges[0], f->size));
    response_body_file(r, f, ranges[0].first, ranges[0].last - ranges[0].first + 1);
    return RC_OK;
}

/* ---- answers -------------------------------------------------------------------------------- */

static enum pipe_rc fail_open(struct request *r)
{
    switch (errno) {
    case EACCES:
    case EPERM:
        return request_fail(r, &st_401_3_acl, 0, STR_NULL);
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
        return request_fail(r, &st_404_0_not_found, 0, STR_NULL);
    case EMFILE:
    case ENFILE:
        return request_fail(r, &st_500_0_module_error, 0x80070004, STR_NULL);
    default:
        return request_fail(r, &st_500_0_module_error, 0x8007001e, STR_NULL);
    }
}

static void send_footer(struct request *r, const struct static_conf *c)
{
    int error;

    if (!c->footer_is_file) {
        response_body_memory(r, c->footer);
        return;
    }
    struct open_file *f = request_open_file(r, c->footer.p, &error);

    /* A footer that is not there does not cost the page. */
    if (f)
        response_body_file(r, f, 0, f->size);
}

static bool accepts(struct str accept, struct file_block *k)
{
    if (str_eq(accept, str_n(k->accepted, k->accepted_len)))
        return true;
    if (http_accept_quality(accept, k->mime) == 0)
        return false;
    if (accept.n <= sizeof(k->accepted)) {
        memcpy(k->accepted, accept.p, accept.n);
        k->accepted_len = accept.n;
    }
    return true;
}

static enum pipe_rc send_file(struct request *r, const struct static_conf *c)
{
    struct open_file *f = url_entry_file(r->thread->urls, r->url);

    if (UNLIKELY(!f))
        return fail_open(r);
    struct file_block *k = block_of(r->url, c);

    if (UNLIKELY(k->mime.n == 0))
        return request_fail(r, &st_404_3_mime_restriction, 0, STR_NULL);
    if (request_has_header(r, HDR_ACCEPT) && !accepts(request_header(r, HDR_ACCEPT), k))
        return request_fail(r, &st_406_0_not_acceptable, 0, STR_NULL);
    enum http_condition_verdict v = check_conditions(r, k);

    if (v == HTTP_CONDITION_FAILED)
        return request_fail(r, &st_412_0_precondition_failed, 0, STR_NULL);
    if (v == HTTP_CONDITION_NOT_MODIFIED) {
        response_status(r, &st_304_0_not_modified);
        r->response.prebuilt = k->no_type;
        r->response.has_body = true;
        return PIPE_FINISH;
    }
    if (request_has_header(r, HDR_RANGE) && !r->is_head && !k->footer.n &&
        send_ranges(r, k, f) == RC_OK)
        return PIPE_FINISH;
    r->response.prebuilt = k->full;
    response_body_file(r, f, 0, f->size);
    r->response.file_of = r->url;
    if (UNLIKELY(k->footer.n))
        send_footer(r, c);
    return PIPE_FINISH;
}

/* "/folder" is sent to "/folder/", or its relative links would be wrong. */
static enum pipe_rc add_slash(struct request *r)
{
    _cleanup_buf_ struct buf b;

    buf_init(&b, LOCATION_MAX);
    buf_str(&b, request_base_url(r));
    text_url_path(&b, r->path);
    buf_char(&b, '/');
    if (r->query.n) {
        buf_char(&b, '?');
        text_url_clean(&b, r->query);
    }
    return text_document_moved(r, &st_301_0_moved_permanently, text_keep(r, &b));
}

static enum pipe_rc execute(struct request *r, const void *conf)
{
    const struct url_entry *url = r->url;

    if (url->kind == URL_KIND_DIRECTORY && r->path.p[r->path.n - 1] == '/')
        return PIPE_CONTINUE; /* the default document's, or the listing's */
    if (UNLIKELY(r->method_id != HTTP_METHOD_GET && r->method_id != HTTP_METHOD_HEAD)) {
        request_fail(r, &st_405_0_method_not_allowed, 0, STR_NULL);
        (void)response_header_set(r, HDR_ALLOW, STR("GET, HEAD, OPTIONS, TRACE"));
        return PIPE_FINISH;
    }
    if (url->kind == URL_KIND_DIRECTORY)
        return add_slash(r);
    if (UNLIKELY(url->kind != URL_KIND_FILE || r->path_info.n))
        return request_fail(r, &st_404_0_not_found, 0, STR_NULL);
    if (UNLIKELY(url->hidden))
        return request_fail(r, &st_404_9_hidden_file, 0, STR_NULL);
    if (UNLIKELY(request_has_header(r, HDR_TRANSLATE)) &&
        str_ieq(str_trim(request_header(r, HDR_TRANSLATE)), STR("f")))
        return request_fail(r, &st_404_16_dav_to_static, 0, STR_NULL);
    if (UNLIKELY(r->dynamic_content))
        return request_fail(r, &st_404_17_script_to_static, 0, STR_NULL);
    return send_file(r, conf);
}

const struct module mod_static_file = {
    .name = "StaticFileModule",
    .load_conf = static_conf_load,
    .execute = execute,
    .same_for_all = true,
};
