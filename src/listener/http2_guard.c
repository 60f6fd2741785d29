/* What a client may not do too often. HTTP/2 lets a few bytes cause work: streams that are opened
 * and reset, frames that only want an answer, fields that grow when they are decoded, windows of a
 * byte. Each has a bound per connection; whoever passes it gets a GOAWAY that names the reason. */
#include "listener/generation.h"
#include "listener/http2.h"
#include "listener/thread.h"
#include "tables/http_parameters.h"
#include "base/poison.h"

enum {
    A_MINUTE_MS = 60000,
    /* Frames that bring nothing: so many at once, and so many more a second. */
    NOISE_MAX = 3000,
    NOISE_FREE_PER_S = 100,
    REQUEST_PAYS_FOR = 8, /* such frames: priorities, pings and windows are part of using it */
    DATA_PAYS_FOR = 2,    /* the windows that the client opens for what it gets */
    DATA_WORTH = 1024,    /* of at least so many bytes; else it was a tiny window */
    /* Bytes that nghttp2 has passed over, for one frame of noise: most are of bodies that were
     * refused while they were on their way, a window each. */
    IGNORED_WORTH = 4096,
    IGNORED_UPDATE = HTTP2_FRAME_HEAD + 33, /* the shortest PRIORITY_UPDATE without room */
    FRAME_MAX = 16384,
    HEAD_FACTOR = 16,     /* decoded fields beyond the limit of a head that are still skipped */
};

bool http2_condemn(struct http2 *h, uint32_t code, const char *text)
{
    if (!h->verdict) {
        h->verdict = text;
        h->verdict_code = code;
    }
    http2_mark(h);
    return false;
}

static void quiet(struct http2 *h, uint32_t n)
{
    h->noise -= n < h->noise ? n : h->noise;
}

/* A head, or trailers, for a stream that its client has ended (RFC 9113 5.1). To a stream that we
 * have reset frames may still be on their way; once there was one (h->forgives), closed streams
 * cannot be told from it. */
static bool is_for_closed(struct http2 *h, const nghttp2_frame_hd *hd)
{
    if (hd->type != NGHTTP2_HEADERS || hd->stream_id % 2 == 0)
        return false;
    if (LIKELY(hd->stream_id > h->last_id)) {
        h->last_id = hd->stream_id;
        return false;
    }
    return !h->forgives && h->state == HTTP2_OPEN &&
           !nghttp2_session_find_stream(h->frames, hd->stream_id);
}

static bool is_noise(const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_DATA:
        return hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM);
    case NGHTTP2_HEADERS:
    case NGHTTP2_RST_STREAM:
        return false; /* have bounds of their own */
    default:
        return true;
    }
}

static bool add_noise(struct http2 *h, uint64_t n)
{
    uint64_t now = thread_now_ms(h->c->thread), passed = now - h->noise_ms;

    if (passed >= 10) {
        quiet(h, passed > A_MINUTE_MS ? NOISE_MAX : (uint32_t)(passed * NOISE_FREE_PER_S / 1000));
        h->noise_ms = now;
    }
    if (LIKELY(n <= NOISE_MAX - h->noise)) {
        h->noise += (uint32_t)n;
        return true;
    }
    return http2_condemn(h, NGHTTP2_ENHANCE_YOUR_CALM, "too many frames that bring nothing");
}

static const char on_closed[] = "a frame for a stream that has ended";

bool http2_guard_frame(struct http2 *h, const nghttp2_frame_hd *hd)
{
    h->told += HTTP2_FRAME_HEAD + hd->length;
    if (UNLIKELY(is_for_closed(h, hd)))
        return http2_condemn(h, NGHTTP2_STREAM_CLOSED, on_closed);
    return LIKELY(!is_noise(hd)) || add_noise(h, 1);
}

void http2_guard_fed(struct http2 *h, const uint8_t *p, size_t n)
{
    h->fed += n;
    if (LIKELY(h->fed < h->told + HTTP2_FRAME_HEAD))
        return;
    uint64_t over = h->fed - h->told;

    h->has_cut_head = over > n; /* what it is the next frame will tell */
    if (h->has_cut_head)
        return;
    const uint8_t *f = p + (n - over);
    uint32_t length = (uint32_t)f[0] << 16 | (uint32_t)f[1] << 8 | f[2];

    if (f[3] != NGHTTP2_PRIORITY_UPDATE || length > FRAME_MAX || HTTP2_FRAME_HEAD + length <= over)
        return;
    h->told += HTTP2_FRAME_HEAD + length; /* the beginning of a long one: the rest is to come */
    (void)add_noise(h, 1 + length / IGNORED_WORTH);
}

/* Of two things nghttp2 tells nothing: DATA of a stream it has forgotten, and a PRIORITY_UPDATE
 * longer than it has room for. So bytes that it was given and has not told of are one of these, or
 * the beginning of a frame's head. */
bool http2_guard_ignored(struct http2 *h)
{
    uint64_t n = h->fed - h->told;

    if (LIKELY(h->fed < h->told + HTTP2_FRAME_HEAD))
        return true;
    if (n < IGNORED_UPDATE && !h->forgives && h->state == HTTP2_OPEN)
        return h->has_cut_head || http2_condemn(h, NGHTTP2_STREAM_CLOSED, on_closed);
    h->told = h->fed;
    h->ignored += n;
    n = h->ignored / IGNORED_WORTH;
    h->ignored %= IGNORED_WORTH;
    return add_noise(h, n);
}

void http2_guard_request(struct http2 *h)
{
    h->in_use = true;
    quiet(h, REQUEST_PAYS_FOR);
}

void http2_guard_sent(struct http2 *h, size_t n)
{
    if (n < DATA_WORTH)
        return;
    h->in_use = true;
    quiet(h, DATA_PAYS_FOR);
}

bool http2_guard_reset(struct http2 *h)
{
    const struct http_parameters *p = &h->c->thread->current->generation->parameters;
    uint64_t now = thread_now_ms(h->c->thread);

    if (h->resets == 0 || now - h->resets_since_ms >= A_MINUTE_MS) {
        h->resets = 0;
        h->resets_since_ms = now;
    }
    if (LIKELY(++h->resets <= p->http2_max_client_resets_per_minute))
        return true;
    if (!p->http2_max_client_resets_goaway)
        h->without_goaway = true;
    return http2_condemn(h, NGHTTP2_ENHANCE_YOUR_CALM, "too many streams were reset");
}

bool http2_guard_head(struct http2 *h)
{
    uint64_t max = h->c->thread->current->generation->http1.max_request_bytes;

    if (LIKELY(h->head.decoded <= HEAD_FACTOR * max))
        return true;
    return http2_condemn(h, NGHTTP2_ENHANCE_YOUR_CALM, "header fields without end");
}
