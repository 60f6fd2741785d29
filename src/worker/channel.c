#include "worker/channel.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "queue/message.h"
#include "worker/cache_offers.h"
#include "worker/dir_watch.h"
#include "worker/pipeline.h"
#include "worker/request_core.h"
#include "worker/response_send.h"
#include "worker/thread.h"

#include "base/poison.h"

enum {
    HELD_BUCKETS = 1024,
    FREE_CORES_MAX = 256,
    DRAIN_MAX = 256,             /* records per turn of the loop: timers must get their turn too */
    WAKE_EVERY = 32,             /* answers, so that the listener works beside us on a long batch */
    SLOW_HANDLER_NS = 50 * 1000, /* finished answers do not wait behind such a one */
    REQUEST_MEMORY_MAX = 16 * 1024 * 1024,
    BODY_WINDOW = 48 * 1024,     /* request body bytes asked for at a time (uploadReadAheadSize) */
};

struct channel {
    struct worker_thread *thread;
    struct loop_io wake_io;
    struct response_sink sink;   /* the response ring and the file socket */
    struct ring requests;
    struct request_core *held[HELD_BUCKETS];
    size_t n_held;
    struct request_core *wait_first, **wait_end;  /* found the response ring full */
    struct request_core *later_first, **later_end; /* callbacks due outside of modules' calls */
    struct request_core *free_cores;
    unsigned n_free;
    struct request_core *current; /* being dispatched; NULL again if it was closed meanwhile */
    uint32_t *closes;            /* MSG_FILE_CLOSE records that found the ring full */
    size_t n_closes, closes_cap;
    unsigned since_wake;         /* records published since the listener was last woken */
    bool broken;
};

/* The loop's hooks look at the ring on every turn. A pipe that is not empty may give no edge for
 * what is written next. */
static void on_wake(struct loop_io *io, uint32_t events)
{
    char drop[512];

    while (read(io->fd, drop, sizeof(drop)) == (ssize_t)sizeof(drop))
        ;
}

static bool before_wait(void *arg)
{
    struct channel *c = arg;

    if (channel_drain(c))
        return true;
    if (c->broken || c->wait_first)
        return false; /* room on the ring is announced by the same descriptor */
    return !ring_sleep_begin(&c->requests);
}

static void after_wait(void *arg)
{
    struct channel *c = arg;

    ring_sleep_end(&c->requests);
}

struct channel *channel_new(const struct channel_options *o)
{
    struct channel *c = xcalloc(1, sizeof(*c));

    c->thread = o->thread;
    c->wait_end = &c->wait_first;
    c->later_end = &c->later_first;
    ring_attach(&c->requests, region_request_ring(o->region, o->pair), o->region->request_size,
                o->listener_event, o->worker_event);
    ring_attach(&c->sink.ring, region_response_ring(o->region, o->pair), o->region->response_size,
                o->listener_event, o->worker_event);
    c->sink.files = o->files;
    c->sink.channel = c;
    c->wake_io = (struct loop_io){.on_event = on_wake, .fd = o->worker_event};
    INVARIANT(loop_io_set(o->thread->loop, &c->wake_io, EPOLLIN | (uint32_t)EPOLLET));
    loop_set_hooks(o->thread->loop, (struct loop_hooks){.before_wait = before_wait,
                                                        .after_wait = after_wait,
                                                        .arg = c});
    return c;
}

/* ---- requests under way --------------------------------------------------------------------- */

static struct request_core **held_slot(struct channel *c, uint64_t id)
{
    struct request_core **at = &c->held[(id ^ id >> 20) % HELD_BUCKETS];

    while (*at && (*at)->ring_id != id)
        at = &(*at)->next;
    return at;
}

static struct request_core *find_held(struct channel *c, uint64_t id)
{
    return c->n_held ? *held_slot(c, id) : NULL;
}

static void hold(struct channel *c, struct request_core *core)
{
    struct request_core **at = held_slot(c, core->ring_id);

    core->next = NULL;
    *at = core;
    core->held = true;
    c->n_held++;
    atomic_store_explicit(&c->thread->held, (uint32_t)c->n_held, memory_order_relaxed);
}

static void list_drop(struct request_core **at, struct request_core *core, bool is_wait,
                      struct request_core ***end)
{
    while (*at) {
        struct request_core **next = is_wait ? &(*at)->wait_next : &(*at)->later_next;
        if (*at == core) {
            *at = *next;
            if (*end == next)
                *end = at;
            return;
        }
        at = next;
    }
}

static struct request_core *take_core(struct channel *c)
{
    struct request_core *core = c->free_cores;

    if (core) {
        c->free_cores = core->next;
        c->n_free--;
    } else {
        core = xcalloc(1, request_core_bytes());
        arena_init(&core->r.arena, REQUEST_MEMORY_MAX);
    }
    struct arena arena = core->r.arena;

    memset(core, 0, request_core_bytes());
    core->r.arena = arena;
    core->channel = c;
    core->r.thread = c->thread;
    core->credit = RESPONSE_CREDIT;
    return core;
}

static void free_core(struct request_core *core)
{
    arena_fini(&core->r.arena);
    free(core);
}

/* The closing record is on the ring (or nobody will see one): the request is over. */
static void release(struct channel *c, struct request_core *core)
{
    if (core->held) {
        *held_slot(c, core->ring_id) = core->next;
        c->n_held--;
        atomic_store_explicit(&c->thread->held, (uint32_t)c->n_held, memory_order_relaxed);
    }
    if (core->waiting)
        list_drop(&c->wait_first, core, /* is_wait = */ true, &c->wait_end);
    if (core->later)
        list_drop(&c->later_first, core, /* is_wait = */ false, &c->later_end);
    if (c->current == core)
        c->current = NULL;
    buf_fini(&core->body);
    request_end(core);
    arena_reset(&core->r.arena);
    if (c->n_free >= FREE_CORES_MAX) {
        free_core(core);
        return;
    }
    core->next = c->free_cores;
    c->free_cores = core;
    c->n_free++;
}

/* ---- responses ------------------------------------------------------------------------------ */

static void wait_for_room(struct channel *c, struct request_core *core)
{
    if (core->waiting)
        return;
    core->waiting = true;
    core->wait_next = NULL;
    *c->wait_end = core;
    c->wait_end = &core->wait_next;
}

static void wake_listener(struct channel *c)
{
    if (c->since_wake == 0)
        return;
    c->since_wake = 0;
    ring_wake_consumer(&c->sink.ring);
}

/* Sends what it can of a request's records. False: the ring is full. */
static bool send_records(struct channel *c, struct request_core *core)
{
    if (core->body_want) {
        struct msg_amount m = {core->body_want};
        if (!ring_push(&c->sink.ring, MSG_BODY_WANTED, 0, core->ring_id, &m, sizeof(m)))
            return false;
        core->body_want = 0;
        c->since_wake++;
    }
    if (core->cert_want) {
        if (!ring_push(&c->sink.ring, MSG_CLIENT_CERT_WANTED, 0, core->ring_id, NULL, 0))
            return false;
        core->cert_want = false;
        c->since_wake++;
    }
    if (!core->responding)
        return true;
    enum send_result result = response_send(&c->sink, core);

    c->since_wake++;
    if (result == SEND_FULL)
        return false;
    if (result == SEND_CLOSED)
        release(c, core);
    return true;
}

static void send_or_wait(struct channel *c, struct request_core *core)
{
    if (core->waiting)
        return;
    if (c->wait_first || !send_records(c, core))
        wait_for_room(c, core);
}

void channel_respond(struct request_core *core)
{
    core->responding = true;
    core->part = core->r.response.body;
    send_or_wait(core->channel, core);
}

/* Goes on with those that found the ring full, in their order. */
static void serve_waiting(struct channel *c)
{
    while (c->n_closes) {
        struct msg_amount m = {c->closes[c->n_closes - 1]};
        if (!ring_push(&c->sink.ring, MSG_FILE_CLOSE, 0, 0, &m, sizeof(m)))
            return;
        c->n_closes--;
        c->since_wake++;
    }
    while (c->wait_first) {
        struct request_core *core = c->wait_first, *next = core->wait_next;
        core->waiting = false;
        c->wait_first = next;
        if (!next)
            c->wait_end = &c->wait_first;
        if (send_records(c, core))
            continue;
        /* Still full: back to where it was. */
        core->waiting = true;
        core->wait_next = c->wait_first;
        c->wait_first = core;
        if (!core->wait_next)
            c->wait_end = &core->wait_next;
        return;
    }
}

void channel_file_gone(struct channel *c, uint32_t handle)
{
    c->closes = xgrow(c->closes, c->n_closes, &c->closes_cap, sizeof(*c->closes));
    c->closes[c->n_closes++] = handle;
}

/* ---- request bodies ------------------------------------------------------------------------- */

static void call_later(struct channel *c, struct request_core *core)
{
    if (core->later)
        return;
    core->later = true;
    core->later_next = NULL;
    *c->later_end = core;
    c->later_end = &core->later_next;
}

/* Hands over what has arrived. The callback may end the request. */
static void tell_body(struct channel *c, struct request_core *core)
{
    request_body_fn cb = core->body_cb;

    if (!cb || (core->body.n == 0 && !core->body_end && !core->body_failed))
        return;
    core->body_cb = NULL;
    if (core->body_failed) {
        core->body_told_end = true;
        cb(&core->r, core->body_arg, STR_NULL, /* end = */ true, /* failed = */ true);
        return;
    }
    /* The callback may ask for more or end the request: the bytes leave the core first. */
    struct buf got = core->body;
    bool end = core->body_end;

    buf_init(&core->body, BODY_WINDOW);
    core->body_told_end = end;
    cb(&core->r, core->body_arg, buf_view(&got), end, /* failed = */ false);
    buf_fini(&got);
}

void channel_read_body(struct request_core *core)
{
    struct channel *c = core->channel;

    if (core->body.n || core->body_end || core->body_failed) {
        call_later(c, core);
        return;
    }
    if (core->body_granted)
        return; /* on its way */
    core->body_granted = BODY_WINDOW;
    core->body_want = BODY_WINDOW;
    send_or_wait(c, core);
}

/* ---- client certificates -------------------------------------------------------------------- */

void channel_ask_certificate(struct request_core *core)
{
    uint64_t n = (uint64_t)core->r.msg.head.content_length;

    if (core->body_end) {
        core->cert_want = true;
    } else {
        /* On the wire the body would stand between question and answer: it is taken first and kept
         * for whoever reads it. */
        INVARIANT(n <= CHANNEL_READ_AHEAD_MAX && core->body_granted == 0 && core->body.n == 0);
        core->cert_after_body = true;
        buf_init(&core->body, (size_t)n);
        core->body_granted = core->body_want = (uint32_t)n;
    }
    send_or_wait(core->channel, core);
}

static void body_before_certificate(struct channel *c, struct request_core *core)
{
    if (!core->body_end)
        return;
    core->cert_after_body = false;
    core->cert_want = true;
    send_or_wait(c, core);
}

static void tell_certificate(struct request_core *core)
{
    request_certificate_fn cb = core->cert_cb;

    core->cert_cb = NULL;
    cb(&core->r, core->cert_arg);
}

/* Returns false if the record breaks the protocol. */
static bool take_certificate(struct channel *c, struct request_core *core,
                             const struct ring_record *rec)
{
    struct msg_client_cert m;

    if (rec->len < sizeof(m))
        return false;
    memcpy(&m, rec->payload, sizeof(m));
    if (m.verdict > CLIENT_CERT_TOO_MUCH || m.der_len != rec->len - sizeof(m))
        return false;
    if (!core)
        return true;
    if (!core->cert_asked || core->cert_after_body || core->cert_want || core->cert_come)
        return false;
    struct str der = str_n((const char *)rec->payload + sizeof(m), m.der_len);

    core->cert_come = true;
    core->r.msg.client_cert = der.n ? arena_dup(&core->r.arena, der) : STR_NULL;
    core->r.msg.head.tls.verdict = (uint16_t)m.verdict;
    if (der.n && core->r.msg.client_cert.n == 0)
        core->r.response.abort = true; /* no memory: nothing can be said about it */
    return true;
}

/* ---- callbacks that could not be made at once ----------------------------------------------- */

static void run_later(struct channel *c)
{
    /* One at a time: a callback may ask again or end its request. */
    for (unsigned n = 0; c->later_first && n < DRAIN_MAX; n++) {
        struct request_core *core = c->later_first;
        c->later_first = core->later_next;
        if (!c->later_first)
            c->later_end = &c->later_first;
        core->later = false;
        if (core->cert_cb)
            tell_certificate(core);
        else
            tell_body(c, core);
    }
}

/* ---- records from the listener -------------------------------------------------------------- */

static void set_broken(struct channel *c, const char *why)
{
    struct worker *w = c->thread->worker;

    if (c->broken)
        return;
    c->broken = true;
    if (w->on_broken)
        w->on_broken(w, why);
}

static void take_request(struct channel *c, const struct ring_record *rec)
{
    if (UNLIKELY(find_held(c, rec->id) != NULL)) {
        set_broken(c, "request id is in use");
        return;
    }
    struct request_core *core = take_core(c);
    struct request *r = &core->r;
    void *copy = arena_alloc(&r->arena, rec->len ? rec->len : 1);

    if (UNLIKELY(!copy)) {
        set_broken(c, "request record is too large");
        free_core(core);
        return;
    }
    memcpy(copy, rec->payload, rec->len);
    size_t len = rec->len;

    core->ring_id = r->ring_id = rec->id;
    ring_pop(&c->requests, rec);
    if (UNLIKELY(!message_decode_request(copy, len, &r->msg))) {
        set_broken(c, "request record is malformed");
        free_core(core);
        return;
    }
    _Atomic uint64_t *taken = &c->thread->taken; /* written by this thread only */

    atomic_store_explicit(taken, atomic_load_explicit(taken, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    core->body_end = !(r->msg.head.flags & MSGF_HAS_BODY);
    buf_init(&core->body, BODY_WINDOW);
    request_begin(core);
    c->current = core;
    pipeline_start(core);
    if (UNLIKELY(c->current == core))
        hold(c, core);
    c->current = NULL;
}

/* Returns false if the record breaks the protocol. */
static bool take_body(struct channel *c, struct request_core *core, const struct ring_record *rec)
{
    if (rec->len > core->body_granted || core->body_end || core->body_failed)
        return false;
    core->body_granted -= rec->len;
    buf_append(&core->body, rec->payload, rec->len);
    if (rec->flags & MSG_END)
        core->body_end = true;
    return !core->body.overflow;
}

static void abort_request(struct channel *c, struct request_core *core)
{
    core->aborted = true;
    core->body_failed = !core->body_end;
    core->r.response.abort = true;
    if (core->responding) {
        send_or_wait(c, core);
        return;
    }
    if (core->body_cb || core->cert_cb)
        call_later(c, core);
    /* Otherwise a module is at work; what it resumes with ends in the closing record. */
}

static void take_other(struct channel *c, const struct ring_record *rec)
{
    struct request_core *core = find_held(c, rec->id);
    struct msg_amount amount;
    bool ok = true;

    /* Without a core: the closing record crossed it on its way. */
    switch (rec->type) {
    case MSG_REQUEST_BODY:
        ok = !core || take_body(c, core, rec);
        ring_pop(&c->requests, rec);
        if (ok && core && core->cert_after_body)
            body_before_certificate(c, core);
        else if (ok && core)
            tell_body(c, core);
        break;
    case MSG_CLIENT_CERT:
        ok = take_certificate(c, core, rec);
        ring_pop(&c->requests, rec);
        if (ok && core && core->cert_cb)
            tell_certificate(core);
        break;
    case MSG_REQUEST_ABORT:
        ok = rec->len == 0;
        ring_pop(&c->requests, rec);
        if (ok && core)
            abort_request(c, core);
        break;
    case MSG_CREDIT:
        ok = rec->len == sizeof(amount);
        if (ok)
            memcpy(&amount, rec->payload, sizeof(amount));
        ring_pop(&c->requests, rec);
        if (!ok || !core)
            break;
        core->credit += amount.amount < RESPONSE_CREDIT ? amount.amount : RESPONSE_CREDIT;
        if (core->credit > RESPONSE_CREDIT)
            core->credit = RESPONSE_CREDIT;
        if (core->responding)
            send_or_wait(c, core);
        break;
    default:
        ok = false;
    }
    if (!ok)
        set_broken(c, "record is malformed or out of place");
}

bool channel_drain(struct channel *c)
{
    unsigned n = 0;
    uint64_t began = 0;

    if (c->wait_first || c->n_closes)
        serve_waiting(c);
    while (n < DRAIN_MAX && !c->broken && !c->wait_first) {
        struct ring_record rec;
        enum rc rc = ring_peek(&c->requests, &rec);
        if (rc == RC_AGAIN)
            break;
        if (rc == RC_FAIL) {
            set_broken(c, "request ring is corrupt");
            break;
        }
        if (n++ == 0) {
            began = clock_mono_ns();
            dir_watcher_poll(c->thread->worker->watcher);
        }
        if (LIKELY(rec.type == MSG_REQUEST))
            take_request(c, &rec);
        else
            take_other(c, &rec);
        uint64_t now = clock_mono_ns();
        if (c->since_wake >= WAKE_EVERY || (c->since_wake && now - began > SLOW_HANDLER_NS))
            wake_listener(c);
        began = now;
    }
    if (c->later_first)
        run_later(c);
    if (c->n_closes)
        serve_waiting(c);
    c->since_wake += cache_offers_turn(c->thread->offers, &c->sink.ring);
    if (n) {
        ring_wake_producer(&c->requests);
        atomic_store_explicit(&c->thread->last_ms, began / 1000000, memory_order_relaxed);
    }
    wake_listener(c);
    return n == DRAIN_MAX || c->later_first != NULL;
}

size_t channel_held(const struct channel *c)
{
    return c->n_held;
}

bool channel_is_broken(const struct channel *c)
{
    return c->broken;
}

void channel_drop_requests(struct channel *c)
{
    for (size_t i = 0; i < HELD_BUCKETS; i++)
        while (c->held[i]) {
            struct request_core *core = c->held[i];
            c->held[i] = core->next;
            core->held = false;
            c->n_held--;
            release(c, core);
        }
}

void channel_free(struct channel *c)
{
    channel_drop_requests(c);
    while (c->free_cores) {
        struct request_core *core = c->free_cores;
        c->free_cores = core->next;
        free_core(core);
    }
    free(c->closes);
    free(c);
}
