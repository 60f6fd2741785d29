/* What a hostile worker can write, and what clients can do meanwhile: a script of records on the
 * response ring of a real link, bytes that clients send, reads, half-closes, resets, timers,
 * workers that come and go; or raw bytes in the ring's memory. The listener must neither crash nor
 * leak, and the pool's counters must hold at every step. */
#include <sys/socket.h>
#include <unistd.h>

#include "listener/accept.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "listener_stage.h"
#include "queue/region.h"

enum { CLIENTS = 4 };

static int clients[CLIENTS];

static void client_reset(unsigned i)
{
    stage_reset(clients[i]);
    clients[i] = -1;
}

/* The n-th exchange that the worker could speak of, or an id that is none's. */
static uint64_t id_of(const struct link *k, unsigned n)
{
    const struct exchange *x = stage_exchange(k, n);

    return x ? exchange_id(x) : n;
}

/* A head that will be accepted more often than not. */
static void put_head(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    static const uint16_t status[] = {200, 204, 304, 404, 206, 500, 999, 200};
    static const char *const headers[] = {"", "A: b\r\n", "Content-Type: text/html\r\nX: y\r\n",
                                          "Date: now\r\n"};
    static char record[sizeof(struct msg_response) + MESSAGE_BODY_MAX + 128];
    unsigned how = script_byte(s), size = script_byte(s);
    const char *h = headers[how >> 3 & 3];
    struct msg_response m = {.status = status[how & 7],
                             .flags = (uint16_t)(script_byte(s) & 63),
                             .headers_len = (uint32_t)strlen(h),
                             .body_len = size & 128 ? 0 : size << (how >> 5 & 7),
                             .cache_seconds = 60,
                             .content_length = (int64_t)size << (how >> 5)};

    memcpy(record, &m, sizeof(m));
    memcpy(record + sizeof(m), h, m.headers_len);
    stage_put_record(k, MSG_RESPONSE, flags, id, record,
                     (uint32_t)sizeof(m) + m.headers_len + m.body_len);
}

static void put_body(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    static const char block[MESSAGE_BODY_MAX + 16];

    stage_put_record(k, MSG_RESPONSE_BODY, flags, id, block, script_byte(s) * 257u);
}

static void put_file(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    unsigned how = script_byte(s);
    struct msg_file m = {.offset = script_byte(s),
                         .length = (uint64_t)script_byte(s) << (how >> 4),
                         .handle = how & 3};

    if (how & 4)
        region_send_file(stage.worker_end, m.handle, how & 8 ? stage.door.io.fd : stage.some_file);
    stage_put_record(k, MSG_RESPONSE_FILE, flags, id, &m, sizeof(m));
}

static void put_amount(struct link *k, struct script *s, uint64_t id)
{
    unsigned how = script_byte(s);
    struct msg_amount m = {.amount = how & 128 ? UINT64_MAX : how};

    stage_put_record(k, how & 1 ? MSG_BODY_WANTED : MSG_FILE_CLOSE, 0, id, &m, sizeof(m));
}

static void put_raw(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    unsigned type = script_byte(s), n = script_byte(s);

    if (n > (size_t)(s->end - s->p))
        n = (unsigned)(s->end - s->p);
    stage_put_record(k, type, flags, id, s->p, n);
    s->p += n;
}

static void worker_speaks(struct link *k, struct script *s)
{
    unsigned what = script_byte(s), flags = what >> 4 & MSG_END;
    uint64_t id = id_of(k, what >> 5 & 3) + (what >> 7);
    struct msg_end end = {.win32 = what};

    switch (what & 7) {
    case 0:
    case 1:
        put_head(k, s, id, flags);
        return;
    case 2:
        put_body(k, s, id, flags);
        return;
    case 3:
        put_file(k, s, id, flags);
        return;
    case 4:
        stage_put_record(k, MSG_RESPONSE_END, flags, id, &end, sizeof(end));
        return;
    case 5:
        stage_put_record(k, MSG_RESPONSE_RESET, flags, id, &end, sizeof(end));
        return;
    case 6:
        put_amount(k, s, id);
        return;
    case 7:
        put_raw(k, s, id, flags);
        return;
    }
}

static void client_speaks(int fd, struct script *s)
{
    static const char *const texts[] = {
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /%41 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "5\r\nabcde\r\n",
        "0\r\n\r\n",
        "de",
        "nonsense\r\n",
        "\r\n",
        "GET /a HTTP/1.1\r\nHost: b c\r\n\r\n",
        "GET /",
        "z\r\n",
    };
    static const char block[20000];
    unsigned how = script_byte(s);

    if (how & 128)
        (void)!send(fd, block, 100u * (how & 127), MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        (void)!send(fd, texts[how & 15], strlen(texts[how & 15]), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void client_acts(struct script *s)
{
    static char sink[65536];
    unsigned what = script_byte(s), i = what >> 6 & 3;

    if (clients[i] < 0) {
        clients[i] = stage_client();
        client_speaks(clients[i], s); /* often in time for the accept */
        return;
    }
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        client_speaks(clients[i], s);
        return;
    case 3:
    case 4:
        (void)!recv(clients[i], sink, sizeof(sink), MSG_DONTWAIT);
        return;
    case 5:
        shutdown(clients[i], SHUT_WR);
        return;
    case 6:
        client_reset(i);
        return;
    case 7:
        close(clients[i]);
        clients[i] = -1;
        return;
    }
}

static void other_events(struct thread *t, struct script *s)
{
    unsigned what = script_byte(s);
    struct link *k = t->links;

    switch (what & 7) {
    case 0:
        stage_time_passes(what >> 4);
        return;
    case 1: /* the worker takes all, or a part */
        if (k)
            atomic_store(&k->requests.shared->head,
                         what & 8 ? k->requests.mine : k->untaken ? k->untaken->ring_end : 0);
        return;
    case 2:
        stage_worker_leave();
        return;
    case 3:
        if (!stage.worker)
            stage_worker_arrive();
        return;
    case 4:
        if (k)
            link_drain(t, stage.worker);
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

/* Waiting are those in the queue and those in the ring that nobody has given up. */
static void play(struct thread *t, struct script *s)
{
    for (int i = 0; s->p < s->end && i < 200; i++) {
        switch (*s->p++ & 7) {
        case 0:
        case 1:
        case 2:
            if (t->links)
                worker_speaks(t->links, s);
            break;
        case 3:
        case 4:
            client_acts(s);
            break;
        case 5:
            other_events(t, s);
            break;
        case 6:
            if (t->links)
                link_receive(t->links);
            break;
        case 7:
            acceptor_on_event(&stage.door.io, EPOLLIN);
            loop_turn(t->loop, 0);
            break;
        }
        stage_check();
    }
}

static void clean_up(struct thread *t)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i] >= 0)
            client_reset(i);
    stage_clear();
    stage_check();
    /* The next input finds no answers. */
    response_cache_flush_all(stage.l.cache, stage.l.generation->id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!stage.l.threads) {
        stage_set_up(json_object(), 1024);
        response_cache_online(stage.l.cache, 0); /* as a turn of the loop leaves it */
    }
    if (n < 2)
        return 0;
    struct thread *t = &stage.l.threads[0];
    struct script s = {data + 2, data + n};

    for (int i = 0; i < CLIENTS; i++)
        clients[i] = -1;
    stage_worker_arrive();
    clients[0] = stage_client();
    client_speaks(clients[0], &(struct script){data, data + 1});
    acceptor_on_event(&stage.door.io, EPOLLIN);
    if (data[1] % 4 == 3) {
        struct link *k = t->links;
        size_t len = n - 2 < 4096 ? n - 2 : 4096;
        memcpy(k->responses.data, data + 2, len);
        atomic_store(&k->responses.shared->tail, (uint64_t)data[1] * 16);
        link_receive(k);
    } else {
        play(t, &s);
    }
    clean_up(t);
    return 0;
}
