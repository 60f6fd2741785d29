/* An event thread: its loop, mailbox and the objects it uses again and again. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "listener/accept.h"
#include "listener/batch.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/letters.h"
#include "listener/link.h"
#include "listener/metrics.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/tls.h"
#include "base/poison.h"

enum { FREE_INPUTS_MAX = 256 };

static void post(pthread_mutex_t *lock, struct letter ***end, const struct letter *letter,
                 struct loop *loop)
{
    struct letter *copy = xmalloc(sizeof(*copy));

    *copy = *letter;
    copy->next = NULL;
    pthread_mutex_lock(lock);
    __atomic_store_n(*end, copy, __ATOMIC_RELAXED); /* the event thread looks before it locks */
    *end = &copy->next;
    pthread_mutex_unlock(lock);
    loop_wake(loop);
}

void thread_post(struct thread *t, const struct letter *letter)
{
    post(&t->lock, &t->mail_end, letter, t->loop);
}

void listener_post(struct listener *l, const struct letter *letter)
{
    post(&l->inbox_lock, &l->inbox_end, letter, l->loop);
}

struct thread_pool *thread_pool_of(struct thread *t, struct pool *p)
{
    if (p->index >= t->n_pools) {
        unsigned n = p->index + 8;
        t->pools = xrealloc(t->pools, n * sizeof(struct thread_pool *));
        memset(t->pools + t->n_pools, 0, (n - t->n_pools) * sizeof(struct thread_pool *));
        t->n_pools = n;
    }
    struct thread_pool *tp = t->pools[p->index];

    if (!tp) {
        tp = t->pools[p->index] = xcalloc(1, sizeof(*tp));
        tp->pool = p;
        tp->last = &tp->first;
    }
    return tp;
}

struct held_generation *thread_hold_generation(struct thread *t)
{
    t->current->refs++;
    return t->current;
}

static void release_generation(struct thread *t, struct held_generation *h)
{
    if (!h || --h->refs)
        return;
    generation_unref(h->generation);
    free(h);
}

static void take_generation(struct thread *t, struct generation *g)
{
    struct held_generation *old = t->current;
    size_t cap = URL_COOK_CAP(g->http1.max_request_bytes);

    t->current = xcalloc(1, sizeof(*t->current));
    *t->current = (struct held_generation){.generation = g, .refs = 1};
    release_generation(t, old);
    if (cap > t->cook_cap) {
        t->cook = xrealloc(t->cook, cap);
        t->cook_cap = cap;
    }
}

void exchange_reset(struct exchange *x)
{
    uint32_t slot = x->slot, serial = x->serial + 1;

    memset(x, 0, offsetof(struct exchange, head));
    x->slot = slot;
    x->serial = serial;
    http1_head_reset(&x->head);
}

struct exchange *exchange_new(struct thread *t)
{
    struct exchange *x = t->free_exchanges;

    if (x) {
        t->free_exchanges = x->next;
        exchange_reset(x);
        return x;
    }
    x = xcalloc(1, sizeof(*x));
    http1_head_init(&x->head);
    t->slots = xgrow(t->slots, t->n_slots, &t->slots_cap, sizeof(struct exchange *));
    x->slot = t->n_slots++;
    x->serial = 1;
    t->slots[x->slot] = x;
    return x;
}

void exchange_free(struct thread *t, struct exchange *x)
{
    release_generation(t, x->gen);
    free(x->path_copy);
    free(x->log_text);
    free(x->headers_copy);
    free(x->offer);
    x->gen = NULL;
    x->path_copy = x->log_text = x->headers_copy = NULL;
    x->offer = NULL;
    x->conn = NULL;
    x->link = NULL;
    if (UNLIKELY(x->head.more != NULL))
        http1_head_reset(&x->head); /* memory of the size of the largest head is not kept */
    x->next = t->free_exchanges;
    t->free_exchanges = x;
}

static struct free_inputs *inputs_of(struct thread *t, uint32_t cap)
{
    return cap == INPUT_BYTES ? &t->inputs : cap == INPUT_SMALL_BYTES ? &t->small_inputs : NULL;
}

struct input *input_new(struct thread *t, uint32_t cap)
{
    struct free_inputs *list = inputs_of(t, cap);
    struct input *in = list ? list->first : NULL;

    if (in) {
        list->first = in->next;
        list->n--;
    } else {
        in = malloc(sizeof(*in) + cap);
        if (!in)
            return NULL;
        in->cap = cap;
    }
    in->next = NULL;
    in->start = in->end = 0;
    return in;
}

void input_free(struct thread *t, struct input *in)
{
    if (!in)
        return;
    struct free_inputs *list = inputs_of(t, in->cap);

    if (!list || list->n >= FREE_INPUTS_MAX) {
        free(in);
        return;
    }
    in->next = list->first;
    list->first = in;
    list->n++;
}

static void free_inputs_fini(struct free_inputs *list)
{
    while (list->first) {
        struct input *in = list->first;
        list->first = in->next;
        free(in);
    }
}

/* The address that every connection of this socket has on our side; false for a wildcard. */
static bool bound_address(int fd, struct sockaddr_storage *ret)
{
    socklen_t n = sizeof(*ret);

    if (getsockname(fd, (struct sockaddr *)ret, &n) < 0)
        return false;
    if (ret->ss_family == AF_INET)
        return ((struct sockaddr_in *)ret)->sin_addr.s_addr != htonl(INADDR_ANY);
    return ret->ss_family == AF_INET6 &&
           !IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)ret)->sin6_addr);
}

static void add_endpoint(struct thread *t, const struct letter *m)
{
    if (t->stopping) {
        close(m->fd);
        return;
    }
    struct acceptor *a = xcalloc(1, sizeof(*a));

    a->io = (struct loop_io){.on_event = acceptor_on_event, .fd = m->fd};
    a->thread = t;
    a->id = m->id;
    a->port = m->port;
    a->https = m->https;
    a->any_address = !bound_address(m->fd, &a->address);
    /* A connection is reported together with its first bytes, or after a second without any: one
     * event instead of two, and no descriptor for those who only connect. */
    int defer_s = 1;

    setsockopt(m->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s));
    a->next = t->acceptors;
    t->acceptors = a;
    loop_io_set(t->loop, &a->io, EPOLLIN);
}

static void remove_endpoints(struct thread *t, uint64_t id, bool all)
{
    for (struct acceptor **p = &t->acceptors; *p;) {
        struct acceptor *a = *p;
        if (!all && a->id != id) {
            p = &a->next;
            continue;
        }
        *p = a->next;
        loop_io_set(t->loop, &a->io, 0);
        close(a->io.fd);
        free(a);
    }
}

static void stop(struct thread *t, uint64_t timeout_ms)
{
    t->stopping = true;
    t->stop_at_ms = thread_now_ms(t) + timeout_ms;
    remove_endpoints(t, 0, true);
    conn_drop_idle(t);
}

static void read_letter(struct thread *t, struct letter *m)
{
    switch (m->kind) {
    case LETTER_GENERATION:
        take_generation(t, m->generation);
        conn_drop_homeless(t);
        break;
    case LETTER_ENDPOINT_ADD:
        add_endpoint(t, m);
        break;
    case LETTER_ENDPOINT_REMOVE:
        remove_endpoints(t, m->id, false);
        conn_drop_homeless(t);
        break;
    case LETTER_POOL_CLOSED:
        pool_closed(thread_pool_of(t, m->pool), atomic_load(&m->pool->closed));
        break;
    case LETTER_WORKER_ATTACH:
        link_attach(t, m->worker);
        break;
    case LETTER_WORKER_DRAIN:
        link_drain(t, m->worker);
        break;
    case LETTER_WORKER_GONE:
        link_gone(t, m->worker);
        break;
    case LETTER_TLS:
        tls_table_unref(t->tls);
        t->tls = m->tls;
        break;
    case LETTER_CERTIFICATE:
        opening_retry(t);
        break;
    case LETTER_STOP:
        stop(t, m->id);
        break;
    case LETTER_SYNC:
        if (t->index + 1 < t->listener->n_threads)
            thread_post(t + 1, m);
        else
            listener_post(t->listener, &(struct letter){.kind = LETTER_SYNCED, .id = m->id});
        break;
    default:
        break;
    }
}

static void read_mail(struct thread *t)
{
    pthread_mutex_lock(&t->lock);
    struct letter *m = t->mail;
    t->mail = NULL;
    t->mail_end = &t->mail;
    pthread_mutex_unlock(&t->lock);
    while (m) {
        struct letter *next = m->next;
        read_letter(t, m);
        free(m);
        m = next;
    }
}

static void refresh_clock(struct thread *t)
{
    t->wall_us = clock_wall_us();
    int64_t second = t->wall_us / 1000000;

    if (second != t->date_second) {
        t->date_second = second;
        http_date_format(second, t->date);
    }
}

static bool before_wait(void *arg)
{
    struct thread *t = arg;
    bool more = false;

    for (struct link *k = t->links, *next; k; k = next) {
        next = k->next_all;
        link_receive(k);
    }
    (void)conn_read_ready(t);
    http2_flush(t);
    batch_send(t);
    more = t->ready != NULL;
    link_wake_dirty(t);
    for (struct link *k = t->links; k; k = k->next_all)
        if (!k->gone && !ring_sleep_begin(&k->responses))
            more = true;
    if (more)
        for (struct link *k = t->links; k; k = k->next_all)
            ring_sleep_end(&k->responses);
    response_cache_offline(t->listener->cache, t->index);
    return more;
}

static void after_wait(void *arg)
{
    struct thread *t = arg;

    response_cache_online(t->listener->cache, t->index);
    for (struct link *k = t->links; k; k = k->next_all)
        ring_sleep_end(&k->responses);
    refresh_clock(t);
    if (__atomic_load_n(&t->mail, __ATOMIC_RELAXED))
        read_mail(t);
}

static void on_events(void *arg, const struct epoll_event *events, int n)
{
    batch_receive(arg, events, n);
}

static void after_events(void *arg)
{
    struct thread *t = arg;

    http2_flush(t);
    batch_send(t);
    link_wake_dirty(t);
    if (t->dead)
        conn_bury(t);
}

/* EnableAggressiveMemoryUsage. One thread looks for all. */
static void look_at_memory(struct thread *t, uint64_t now)
{
    struct listener *l = t->listener;
    bool aggressive =
        t->current && t->current->generation->parameters.enable_aggressive_memory_usage;

    if (t->index != 0 || !memory_guard_look(&l->memory, now, aggressive))
        return;
    json_t *msg = json_pack("{s:s, s:s, s:{}}", "type", "event", "code",
                            memory_guard_refuses(&l->memory) ? "CND-1032" : "CND-1033", "data");
    listener_post(l, &(struct letter){.kind = LETTER_EVENT, .json = msg});
}

static void on_tick(struct loop_timer *timer)
{
    struct thread *t = CONTAINER_OF(timer, struct thread, tick);
    uint64_t now = thread_now_ms(t);

    timer_wheel_run(&t->wheel, now, conn_timer_fired);
    http2_tick(t);
    conn_watch_young(t);
    t->last_tick_ms = now;
    for (struct link *k = t->links; k; k = k->next_all) {
        link_update_taken(k);
        link_push_unsent(k);
    }
    for (unsigned i = 0; i < t->n_pools; i++)
        if (t->pools[i])
            pool_tick(t->pools[i]);
    for (struct acceptor *a = t->acceptors; a; a = a->next)
        loop_io_set(t->loop, &a->io, EPOLLIN); /* it may have run out of descriptors */
    look_at_memory(t, now);
    logging_tick(t->listener->logging, t->index, now);
    response_cache_tick(t->listener->cache, now);
    if (t->stopping)
        conn_drop_idle(t); /* whose last request has been answered */
    if (t->stopping && (t->n_connections == 0 || now >= t->stop_at_ms)) {
        loop_stop(t->loop);
        return;
    }
    loop_timer_set(t->loop, timer, now + TIMER_TICK_MS);
}

/* Called by the control thread once the event thread has ended: no leak may hide behind the
 * exit. */
void thread_fini(struct thread *t)
{
    for (uint32_t i = 0; i < t->n_slots; i++) {
        http1_head_fini(&t->slots[i]->head);
        free(t->slots[i]);
    }
    free_inputs_fini(&t->inputs);
    free_inputs_fini(&t->small_inputs);
    while (t->free_connections) {
        struct connection *c = t->free_connections;
        t->free_connections = c->next;
        free(c);
    }
    while (t->mail) {
        struct letter *m = t->mail;
        t->mail = m->next;
        if (m->kind == LETTER_ENDPOINT_ADD)
            close(m->fd);
        if (m->kind == LETTER_GENERATION)
            generation_unref(m->generation);
        if (m->kind == LETTER_TLS)
            tls_table_unref(m->tls);
        if (m->kind == LETTER_WORKER_ATTACH)
            link_close_fds(m->worker, t->index);
        free(m);
    }
    for (unsigned i = 0; i < t->n_pools; i++)
        free(t->pools[i]);
    release_generation(t, t->current);
    http2_thread_fini(t);
    tls_table_unref(t->tls);
    metrics_free(t->metrics);
    t->batch = batch_free(t->batch);
    free(t->slots);
    free(t->pools);
    free(t->scratch);
    free(t->cook);
    pthread_mutex_destroy(&t->lock);
    loop_free(t->loop);
}

/* What is still open has had its time. */
void thread_end_all(struct thread *t)
{
    while (t->links)
        link_gone(t, t->links->worker);
    while (t->connections) {
        struct connection *c = t->connections;
        if (c->x && c->x->state == X_QUEUED)
            own_log(c, HTTPERR_CONNECTION_ABANDONED_BY_REQ_QUEUE);
        conn_reset(c);
    }
    conn_bury(t);
}

static void *thread_main(void *arg)
{
    struct thread *t = arg;

    cpu_pin_thread(t->index);
    loop_run(t->loop);
    thread_end_all(t);
    listener_post(t->listener, &(struct letter){.kind = LETTER_THREAD_STOPPED});
    return NULL;
}

void thread_init(struct listener *l, unsigned index)
{
    struct thread *t = &l->threads[index];

    t->listener = l;
    t->index = index;
    t->loop = loop_new();
    t->mail_end = &t->mail;
    pthread_mutex_init(&t->lock, NULL);
    timer_wheel_init(&t->wheel, thread_now_ms(t));
    t->metrics = metrics_new();
    t->batch = batch_new();
    t->scratch = xmalloc(SCRATCH_BYTES);
    t->next_request = (uint64_t)index << 56;
    refresh_clock(t);
    take_generation(t, generation_ref(l->generation));
    loop_set_hooks(t->loop, (struct loop_hooks){.before_wait = before_wait,
                                                .after_wait = after_wait,
                                                .on_events = on_events,
                                                .after_events = after_events,
                                                .arg = t});
    t->tick.on_time = on_tick;
    loop_timer_set(t->loop, &t->tick, thread_now_ms(t) + TIMER_TICK_MS);
}

void thread_start(struct listener *l, unsigned index)
{
    thread_init(l, index);
    INVARIANT(pthread_create(&l->threads[index].id, NULL, thread_main, &l->threads[index]) == 0);
}
