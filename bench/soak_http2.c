/* HTTP/2: requests out, answers in. */
#include "soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct exchange *stream(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct exchange *x = stream(session, frame->hd.stream_id);

    (void)flags, (void)user;
    if (x && name_len == 7 && memcmp(name, ":status", 7) == 0 && value_len == 3)
        x->status = (uint16_t)((value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0');
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct exchange *x = stream(session, id);

    (void)flags, (void)data, (void)user;
    if (x)
        x->size += len;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct exchange *x = stream(session, id);
    struct conn *c = user;

    if (x) {
        ledger_settle(x, error == 0 && x->status ? x->status : LOST);
        *x = (struct exchange){0};
        c->waiting--;
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *into, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    size_t n = strlen(source->ptr);

    (void)session, (void)id, (void)user;
    *flags = NGHTTP2_DATA_FLAG_EOF;
    memcpy(into, source->ptr, n < len ? n : len);
    return (ssize_t)n;
}

static void ask2(struct conn *c)
{
    struct exchange *x = c->streams;
    const struct kind *k;
    nghttp2_data_provider body = {.read_callback = read_body};
    nghttp2_nv fields[8];
    size_t count = 0;
    char path[64], agent[16], name[64] = "", *colon;

    while (x->serial)
        x++;
    if (!ledger_begin(c, x, false)) {
        c->left = 0;
        return;
    }
    k = &kinds[ledger->entries[x->serial].kind];
    ledger_path(path, sizeof path, k, x->serial);
    snprintf(agent, sizeof agent, "s%u", x->serial);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(k->headers, "\r"), k->headers);
#define FIELD(n, v)   \
    fields[count++] = \
        (nghttp2_nv){(uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), NGHTTP2_NV_FLAG_NONE}
    FIELD(":method", k->method);
    FIELD(":scheme", "https");
    FIELD(":authority", "localhost");
    FIELD(":path", path);
    FIELD("user-agent", agent);
    colon = strchr(name, ':');
    if (colon) {
        *colon = '\0';
        for (char *p = name; *p; p++)
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        FIELD(name, colon + 2);
    }
#undef FIELD
    body.source.ptr = (void *)(uintptr_t)k->body;
    if (nghttp2_submit_request(c->session, NULL, fields, count, *k->body ? &body : NULL, x) < 0) {
        fprintf(stderr, "soak: no stream for request %u\n", x->serial);
        exit(1);
    }
    c->waiting++;
    c->left--;
}

void http2_refill(struct conn *c)
{
    while (c->waiting < STREAMS && c->left > 0 && nghttp2_session_check_request_allowed(c->session))
        ask2(c);
    if (c->out_pos == c->out_len)
        c->out_pos = c->out_len = 0;
    while (c->out_len == 0) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(c->session, &data);

        if (n <= 0)
            break;
        if ((size_t)n > OUT) {
            fprintf(stderr, "soak: a frame of %zd bytes\n", n);
            exit(1);
        }
        memcpy(c->out, data, (size_t)n);
        c->out_len = (size_t)n;
    }
}

void http2_begin(struct conn *c)
{
    static nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};

    if (!callbacks) {
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    }
    nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, 16 << 20);
}
