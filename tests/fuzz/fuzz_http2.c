/* HTTP/2 without TLS through the whole listener thread. The input is a script: frames that make
 * sense, frames that do not, raw bytes, what a worker answers, timers, reads and the client's end.
 * The listener must neither crash nor leak, and its lists and counts must agree at every step. */
#include <sys/socket.h>
#include <unistd.h>

#include "listener/accept.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/http2.h"
#include "listener/link.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "listener_stage.h"
#include "queue/region.h"

enum { STEPS_MAX = 200 };

static int client = -1;

static void client_leave(bool reset)
{
    if (client < 0)
        return;
    if (reset)
        stage_reset(client);
    else
        close(client);
    client = -1;
}

static void client_send(const void *p, size_t n)
{
    if (client >= 0)
        (void)!send(client, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- what the client says --- */

/* Header blocks, by the static table and literals without indexing. */
static const struct str blocks[] = {
    {"\x82\x86\x41\x01" "a\x84", 6},                                   /* GET / */
    {"\x83\x86\x41\x01" "a\x84", 6},                                   /* POST / */
    {"\x83\x86\x41\x01" "a\x84\x0f\x0d\x01" "5", 10},                   /* with a length */
    {"\x82\x86\x41\x01" "a\x04\x04/a?b\x60\x03" "c=1\x60\x03" "d=2", 21}, /* cookies */
    {"\x42\x04HEAD\x86\x41\x01" "a\x84", 11},
    {"\x82\x86\x84\x66\x01" "a", 6},                                   /* host as a field */
    {"\x82\x86\x41\x03" "a/b\x84", 8},                                 /* a host that is none */
    {"\x40\x01x\x01y", 5},                                            /* a trailer */
    {"\x82\x84", 2},                                                  /* something missing */
    {"\x83\x86\x41\x01" "a\x84\x0f\x14\x0c" "100-continue", 21},        /* Expect */
    {"\x82\x86\x41\x01" "a\x84\x40\x08priority\x03u=0", 20},
    {"\xbe", 1},
    {"\x3f\xe1\x1f\x82\x86\x41\x01" "a\x84", 9},                        /* a table size first */
    {"\x82\x86\x41\x01" "a\x84\x40\x0a" "connection\x05" "close", 24},
};

static void put_frame(unsigned type, unsigned flags, uint32_t stream, const void *p, size_t n)
{
    static char frame[9 + 65536];

    frame[0] = (char)(n >> 16);
    frame[1] = (char)(n >> 8);
    frame[2] = (char)n;
    frame[3] = (char)type;
    frame[4] = (char)flags;
    frame[5] = (char)(stream >> 24);
    frame[6] = (char)(stream >> 16);
    frame[7] = (char)(stream >> 8);
    frame[8] = (char)stream;
    if (n)
        memcpy(frame + 9, p, n);
    client_send(frame, 9 + n);
}

static uint32_t newest;

static void put_request(struct script *s)
{
    unsigned how = script_byte(s);
    struct str block = blocks[(how & 15) % ARRAY_LEN(blocks)];

    newest += 2;
    if (how & 64) { /* in two frames */
        put_frame(NGHTTP2_HEADERS, how & 16 ? 0 : 1, newest, block.p, block.n / 2);
        put_frame(NGHTTP2_CONTINUATION, 4, newest, block.p + block.n / 2, block.n - block.n / 2);
        return;
    }
    put_frame(NGHTTP2_HEADERS, how & 16 ? 4 : 5, newest, block.p, block.n);
    if (how & 32)
        put_frame(NGHTTP2_RST_STREAM, 0, newest, "\0\0\0\x08", 4);
}

/* Type, flags and stream as they come; a payload of its type or any other. */
static void put_some_frame(struct script *s)
{
    static const char zeros[16384];
    unsigned type = script_byte(s), flags = script_byte(s), which = script_byte(s),
             n = script_byte(s);
    uint32_t stream = which & 128 ? 0 : newest - 2 * (which & 7) + (which >> 6 & 1);

    if (type == NGHTTP2_DATA && n & 128) {
        put_frame(type, flags & 9, stream, zeros, 128u * (n & 127));
        return;
    }
    if (n > (size_t)(s->end - s->p))
        n = (unsigned)(s->end - s->p);
    put_frame(type % 12 == 11 ? NGHTTP2_PRIORITY_UPDATE : type % 12, flags, stream, s->p, n);
    s->p += n;
}

static void put_windows(struct script *s)
{
    unsigned how = script_byte(s);
    const char small[] = {0, 0, 0, (char)(how | 1)}, large[] = {0, (char)how, 0, 1};

    put_frame(NGHTTP2_WINDOW_UPDATE, 0, how & 1 ? newest : 0, how & 2 ? small : large, 4);
    if (how & 4)
        put_frame(NGHTTP2_SETTINGS, 0, 0, how & 8 ? "\0\4\0\0\0\1" : "\0\4\0\1\0\0", 6);
}

static void put_raw_bytes(struct script *s)
{
    size_t n = script_byte(s);

    if (n > (size_t)(s->end - s->p))
        n = (size_t)(s->end - s->p);
    client_send(s->p, n);
    s->p += n;
}

static void client_reads(struct script *s)
{
    static char sink[65536];

    if (client >= 0)
        (void)!recv(client, sink, script_byte(s) & 1 ? sizeof(sink) : 100, MSG_DONTWAIT);
}

static void client_acts(struct script *s)
{
    switch (script_byte(s) & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        put_request(s);
        return;
    case 4:
    case 5:
    case 6:
        put_some_frame(s);
        return;
    case 7:
    case 8:
        put_windows(s);
        return;
    case 9:
        put_raw_bytes(s);
        return;
    case 10:
        if (client >= 0)
            shutdown(client, SHUT_WR);
        return;
    case 11:
        client_leave(script_byte(s) & 1);
        return;
    default:
        client_reads(s);
        return;
    }
}

/* --- what the worker says --- */

static uint64_t id_of(const struct link *k, unsigned n)
{
    const struct exchange *x = stage_exchange(k, n);

    return x ? exchange_id(x) : UINT64_MAX;
}

static void put_record(struct link *k, unsigned type, unsigned flags, uint64_t id, const void *p,
                       uint32_t n)
{
    if (id != UINT64_MAX)
        stage_put_record(k, type, flags, id, p, n);
}

static void put_answer(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    static const uint16_t status[] = {200, 204, 304, 404, 206, 500, 401, 200};
    static const char *const headers[] = {
        "", "A: b\r\n", "Content-Type: text/html\r\nX: y\r\n",
        "Set-Cookie: a\r\nSet-Cookie: b\r\nProxy-Connection: x\r\n"};
    static char record[sizeof(struct msg_response) + MESSAGE_BODY_MAX + 128];
    unsigned how = script_byte(s), size = script_byte(s);
    const char *h = headers[how >> 3 & 3];
    struct msg_response m = {.status = status[how & 7],
                             .flags = (uint16_t)(script_byte(s) & 63),
                             .headers_len = (uint32_t)strlen(h),
                             .body_len = size & 128 ? 0 : size << (how >> 5 & 7),
                             .cache_seconds = 60,
                             .content_length = (int64_t)size << (how >> 5)};

    if (!(m.flags & MSGR_LENGTH))
        m.content_length = 0;
    memcpy(record, &m, sizeof(m));
    memcpy(record + sizeof(m), h, m.headers_len);
    put_record(k, MSG_RESPONSE, flags, id, record,
               (uint32_t)sizeof(m) + m.headers_len + m.body_len);
}

static void put_file(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    unsigned how = script_byte(s);
    struct msg_file m = {.offset = script_byte(s),
                         .length = (uint64_t)script_byte(s) << (how >> 4),
                         .handle = how & 3};

    if (how & 4)
        region_send_file(stage.worker_end, m.handle, stage.some_file);
    put_record(k, MSG_RESPONSE_FILE, flags, id, &m, sizeof(m));
}

static void worker_acts(struct link *k, struct script *s)
{
    static const char block[MESSAGE_BODY_MAX];
    unsigned what = script_byte(s), flags = what >> 4 & MSG_END;
    uint64_t id = id_of(k, what >> 5 & 7);
    struct msg_amount amount = {.amount = what & 128 ? 1 << 20 : 1000};
    struct msg_end end = {.win32 = what};

    if (what & 8) /* it takes what is there */
        atomic_store(&k->requests.shared->head, k->requests.mine);
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        put_answer(k, s, id, flags);
        return;
    case 3:
        put_record(k, MSG_RESPONSE_BODY, flags, id, block, script_byte(s) * 257u);
        return;
    case 4:
        put_file(k, s, id, flags);
        return;
    case 5:
        put_record(k, MSG_RESPONSE_END, 0, id, &end, sizeof(end));
        return;
    case 6:
        put_record(k, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
        return;
    case 7:
        put_record(k, MSG_BODY_WANTED, 0, id, &amount, sizeof(amount));
        return;
    }
}

/* --- everything else --- */

static void other_events(struct thread *t, struct script *s)
{
    unsigned what = script_byte(s);

    switch (what & 7) {
    case 0:
    case 1:
        stage_time_passes(what >> 3);
        return;
    case 2:
        stage_worker_leave();
        return;
    case 3:
        if (!stage.worker)
            stage_worker_arrive();
        return;
    case 4:
        conn_drop_idle(t);
        return;
    case 5:
        stage_close_pool(what & 8 ? HTTPERR_DISABLED : HTTPERR_NONE);
        return;
    case 6:
        atomic_store(&stage.pool.queue_length, what >> 3 & 3);
        return;
    case 7:
        atomic_store(&stage.pool.tcp_level, (what & 8) != 0);
        return;
    }
}

/* Streams and connections know each other, and the session counts them right. */
static void check_session(const struct connection *c)
{
    const struct http2 *h = c->carrier_data;
    uint32_t n = 0, attached = 0;

    for (const struct http2_stream *s = h->streams; s; s = s->next) {
        n++;
        attached += s->c != NULL;
        INVARIANT(s->session == h && *s->prev == s);
        INVARIANT(!s->c || (s->c->stream_data == s && s->c->parent == c && s->c->is_stream));
    }
    INVARIANT(n == h->n_streams && attached == h->n_attached);
}

static void check(struct thread *t)
{
    uint32_t users = 0, fields = 0;

    stage_check();
    for (const struct connection *c = t->connections; c; c = c->next) {
        if (!c->carrier)
            continue;
        check_session(c);
        for (const struct http2_stream *s = ((struct http2 *)c->carrier_data)->streams; s;
             s = s->next)
            fields += s->fields != NULL;
    }
    for (int i = 0; t->http2 && i < HTTP2_HEADS_KEPT; i++)
        users += t->http2->heads[i].users;
    INVARIANT(users == fields);
}

static void play(struct thread *t, struct script *s)
{
    for (int i = 0; s->p < s->end && i < STEPS_MAX; i++) {
        switch (*s->p++ & 7) {
        case 0:
        case 1:
        case 2:
            client_acts(s);
            break;
        case 3:
        case 4:
            if (t->links)
                worker_acts(t->links, s);
            break;
        case 5:
            other_events(t, s);
            break;
        default:
            loop_turn(t->loop, 0);
            break;
        }
        check(t);
    }
    loop_turn(t->loop, 0);
}

static void clean_up(struct thread *t)
{
    client_leave(/* reset = */ true);
    stage_clear();
    check(t);
    INVARIANT(!t->http2 || !t->http2->dirty);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

    if (!stage.l.threads) {
        stage_set_up(json_pack("{s:b, s:i}", "EnableHttp2Cleartext", 1, "MaxRequestBytes", 4096),
                     4096);
        stage.door.any_address = true;
    }
    if (n < 1)
        return 0;
    struct thread *t = &stage.l.threads[0];
    struct script s = {data + 1, data + n};

    newest = UINT32_MAX; /* the first is 1 */
    stage_worker_arrive();
    client = stage_client();
    client_send(preface, data[0] & 128 ? data[0] & 31 : sizeof(preface) - 1);
    acceptor_on_event(&stage.door.io, EPOLLIN);
    play(t, &s);
    clean_up(t);
    return 0;
}
