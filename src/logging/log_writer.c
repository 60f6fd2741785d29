#include "logging/log_writer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "logging/log_escape.h"
#include "base/poison.h"

enum {
    SETTLE_MS = 1000,    /* no line lost for so long (or a retry's time): the loss is over */
    LOOK_MS = 500,       /* between looks at losses and retired programs, while there are any */
    IDLE_LOOK_MS = 5000, /* between looks for idle files */
    STOP_RETRY_MS = 100,
};

uint64_t log_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Channels */

struct log_channel *log_channel_new(struct log_sink *sink, size_t threads)
{
    struct log_channel *ch = xcalloc(1, sizeof *ch);
    size_t bytes;

    ch->sink = sink;
    atomic_init(&ch->refs, 1);
    arena_init(&ch->arena, 0);
    INVARIANT(!__builtin_mul_overflow(threads, sizeof *ch->slots, &bytes));
    ch->slots = aligned_alloc(_Alignof(struct log_slot), bytes);
    INVARIANT(ch->slots != NULL);
    memset(ch->slots, 0, bytes);
    for (size_t i = 0; i < threads; i++)
        ch->slots[i].channel = ch;
    return ch;
}

void log_channel_ref(struct log_channel *ch)
{
    atomic_fetch_add_explicit(&ch->refs, 1, memory_order_relaxed);
}

void log_channel_unref(struct logging *lg, struct log_channel *ch)
{
    if (atomic_fetch_sub_explicit(&ch->refs, 1, memory_order_acq_rel) > 1)
        return;
    log_sink_unref(lg, ch->sink);
    arena_fini(&ch->arena);
    free(ch->slots);
    free(ch);
}

/* Chunks */

static struct log_chunk *pop_free(struct log_chunk **list, size_t *n)
{
    struct log_chunk *c = *list;

    if (c) {
        *list = c->next;
        (*n)--;
    }
    return c;
}

struct log_chunk *log_chunk_take(struct logging *lg, struct log_channel *ch, size_t need,
                                 bool large)
{
    size_t cap = large || need > LOG_CHUNK_SMALL ? LOG_CHUNK_LARGE : LOG_CHUNK_SMALL;
    struct log_chunk *c = NULL;

    if (need > cap)
        cap = need;
    pthread_mutex_lock(&lg->lock);
    bool may = lg->bytes_in_use + ch->sink->bytes_in_use + cap <= lg->options.max_waiting_bytes;

    if (may) {
        lg->bytes_in_use += cap;
        ch->sink->bytes_in_use += cap;
        if (cap == LOG_CHUNK_SMALL)
            c = pop_free(&lg->free_small, &lg->n_free_small);
        else if (cap == LOG_CHUNK_LARGE)
            c = pop_free(&lg->free_large, &lg->n_free_large);
    }
    pthread_mutex_unlock(&lg->lock);
    if (!may)
        return NULL;
    if (!c && !(c = malloc(sizeof *c + cap + LOG_SLACK))) {
        pthread_mutex_lock(&lg->lock);
        lg->bytes_in_use -= cap;
        ch->sink->bytes_in_use -= cap;
        pthread_mutex_unlock(&lg->lock);
        return NULL;
    }
    *c = (struct log_chunk){.cap = cap, .channel = ch};
    log_channel_ref(ch);
    return c;
}

void log_chunk_hand_over(struct logging *lg, struct log_chunk *c)
{
    atomic_fetch_add_explicit(&c->slot->waiting, 1, memory_order_relaxed);
    pthread_mutex_lock(&lg->lock);
    log_chunks_push(&lg->queue, c);
    lg->handed++;
    pthread_mutex_unlock(&lg->lock);
    pthread_cond_signal(&lg->wake);
}

/* Takes a list of finished chunks back. Their slots and channels may go with them. */
static void give_back(struct logging *lg, struct log_chunks *done)
{
    struct log_chunk *surplus = NULL;
    uint64_t n = done->count;

    pthread_mutex_lock(&lg->lock);
    for (struct log_chunk *c = done->head; c; c = c->next)
        c->channel->sink->bytes_in_use -= c->cap;
    pthread_mutex_unlock(&lg->lock);
    for (struct log_chunk *c = done->head; c; c = c->next) {
        atomic_fetch_sub_explicit(&c->slot->waiting, 1, memory_order_release);
        log_channel_unref(lg, c->channel);
    }
    pthread_mutex_lock(&lg->lock);
    for (struct log_chunk *c; (c = log_chunks_pop(done));) {
        struct log_chunk **list = &surplus;
        size_t none = 0, *count = &none;

        lg->bytes_in_use -= c->cap;
        if (c->cap == LOG_CHUNK_SMALL && lg->n_free_small < LOG_FREE_CHUNKS_MAX) {
            list = &lg->free_small;
            count = &lg->n_free_small;
        } else if (c->cap == LOG_CHUNK_LARGE && lg->n_free_large < LOG_FREE_CHUNKS_MAX) {
            list = &lg->free_large;
            count = &lg->n_free_large;
        }
        c->next = *list;
        *list = c;
        (*count)++;
    }
    lg->processed += n;
    pthread_mutex_unlock(&lg->lock);
    while (surplus) {
        struct log_chunk *c = surplus;

        surplus = c->next;
        free(c);
    }
}

/* Events */

void log_event_note(struct logging *lg, const struct log_event *ev)
{
    struct log_noted n = {.event = *ev, .text = xstrdup(ev->text), .path = xstrdup(ev->path)};

    n.event.text = n.text;
    n.event.path = n.path;
    pthread_mutex_lock(&lg->lock);
    bool fits = lg->n_events < LOG_EVENTS_MAX;

    if (fits)
        lg->events[lg->n_events++] = n;
    pthread_mutex_unlock(&lg->lock);
    if (!fits) { /* the same trouble with many files; enough has been said */
        free(n.text);
        free(n.path);
        return;
    }
    atomic_store_explicit(&lg->has_events, true, memory_order_release);
}

void log_events_deliver(struct logging *lg)
{
    struct log_noted events[LOG_EVENTS_MAX];

    if (!atomic_exchange_explicit(&lg->has_events, false, memory_order_acq_rel))
        return;
    pthread_mutex_lock(&lg->lock);
    size_t n = lg->n_events;

    memcpy(events, lg->events, n * sizeof *events);
    lg->n_events = 0;
    pthread_mutex_unlock(&lg->lock);
    for (size_t i = 0; i < n; i++) {
        if (lg->options.on_event)
            lg->options.on_event(lg->options.event_arg, &events[i].event);
        free(events[i].text);
        free(events[i].path);
    }
}

void log_sink_lose(struct logging *lg, struct log_sink *s, uint64_t lines)
{
    atomic_fetch_add_explicit(&s->lost, lines, memory_order_relaxed);
    if (atomic_exchange_explicit(&s->is_losing, true, memory_order_acq_rel))
        return;

    struct log_event ev = {
        .code = LOG_EVENT_LINES_LOST,
        .text = "Too many log lines wait for this log's disk: lines are being dropped",
        .path = s->stdout_fd >= 0 ? "standard output" : s->directory,
        .site_id = s->site_id,
    };

    pthread_mutex_lock(&lg->lock);
    s->refs++;
    s->next_losing = lg->losing;
    lg->losing = s;
    pthread_mutex_unlock(&lg->lock);
    log_event_note(lg, &ev);
}

/* Ends losses that have ended, and says how much was lost. */
static void settle_losses(struct logging *lg, uint64_t now)
{
    struct log_sink *over = NULL;

    pthread_mutex_lock(&lg->lock);
    for (struct log_sink **at = &lg->losing, *s; (s = *at);) {
        uint64_t lost = atomic_load_explicit(&s->lost, memory_order_relaxed);

        if (lost != s->lost_seen || s->is_failing || s->pending.head) {
            s->lost_seen = lost;
            s->lost_seen_ms = now;
        }
        if (now - s->lost_seen_ms < SETTLE_MS || now - s->lost_seen_ms < lg->options.retry_ms) {
            at = &s->next_losing;
            continue;
        }
        *at = s->next_losing;
        s->next_losing = over;
        over = s;
    }
    pthread_mutex_unlock(&lg->lock);
    while (over) {
        struct log_sink *s = over;

        /* In this order: a line lost from here on begins a new loss. */
        over = s->next_losing;
        s->lost_seen = 0;
        atomic_store_explicit(&s->is_losing, false, memory_order_seq_cst);

        struct log_event ev = {
            .code = LOG_EVENT_RECOVERED,
            .text = "The log is written again; the lines that did not fit into memory are lost",
            .path = s->stdout_fd >= 0 ? "standard output" : s->directory,
            .count = atomic_exchange(&s->lost, 0),
            .site_id = s->site_id,
        };

        log_event_note(lg, &ev);
        log_sink_unref(lg, s);
    }
}

/* Frees the programs that no thread can see any more. */
static void reclaim(struct logging *lg)
{
    uint64_t seen = UINT64_MAX;
    struct log_retired *gone = NULL;

    for (size_t i = 0; i < lg->options.threads; i++) {
        uint64_t e = atomic_load_explicit(&lg->threads[i].epoch_seen, memory_order_acquire);
        seen = e < seen ? e : seen;
    }
    pthread_mutex_lock(&lg->lock);
    for (struct log_retired **at = &lg->retired, *r; (r = *at);) {
        if (r->epoch > seen) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        r->next = gone;
        gone = r;
    }
    pthread_mutex_unlock(&lg->lock);
    while (gone) {
        struct log_retired *r = gone;

        gone = r->next;
        log_program_free(lg, r->program);
        free(r);
    }
}

/* The writer */

static void sort_in(struct logging *lg, struct log_chunks *in)
{
    for (struct log_chunk *c; (c = log_chunks_pop(in));) {
        struct log_sink *s = c->channel->sink;

        log_chunks_push(&s->pending, c);
        if (!s->is_active) {
            s->is_active = true;
            s->next_active = lg->active;
            lg->active = s;
        }
    }
}

/* Gives up what a broken sink still has: we are stopping. */
static void drop_pending(struct logging *lg, struct log_sink *s, struct log_chunks *done)
{
    uint64_t lines = 0;

    for (struct log_chunk *c; (c = log_chunks_pop(&s->pending));) {
        for (size_t i = c->off; i < c->n; i++)
            lines += c->data[i] == '\n';
        c->lines = 0;
        log_chunks_push(done, c);
    }
    atomic_fetch_add_explicit(&lg->lines_dropped, lines, memory_order_relaxed);
    log_sink_lose(lg, s, lines);
}

/* Writes what can be written and returns the number of sinks that still have lines. *ret_next_ms
 * is lowered to the earliest time at which one of them wants to try again. */
static size_t work(struct logging *lg, uint64_t now, bool stop, bool give_up, uint64_t *ret_next_ms)
{
    struct log_chunks done;
    size_t left = 0;
    uint64_t lines = 0, bytes = 0;

    log_chunks_init(&done);
    for (struct log_sink **at = &lg->active, *s; (s = *at);) {
        if (stop)
            s->next_try_ms = now;
        log_sink_work(lg, s, now, &done);
        for (struct log_chunk *c = done.head; c; c = c->next) {
            lines += c->lines;
            bytes += c->n;
        }
        if (s->pending.head && give_up)
            drop_pending(lg, s, &done);
        if (s->pending.head) {
            left++;
            *ret_next_ms = s->next_try_ms < *ret_next_ms ? s->next_try_ms : *ret_next_ms;
            at = &s->next_active;
        } else {
            *at = s->next_active;
            s->is_active = false;
        }
        /* Last, for the sink may end with its chunks. */
        give_back(lg, &done);
    }
    atomic_fetch_add_explicit(&lg->lines_written, lines, memory_order_relaxed);
    atomic_fetch_add_explicit(&lg->bytes_written, bytes, memory_order_relaxed);
    return left;
}

static void for_each_sink(struct logging *lg, uint64_t now, bool close_all)
{
    /* Only the writer takes sinks out of the list, so that it may walk it while others add. */
    pthread_mutex_lock(&lg->lock);
    struct log_sink *s = lg->sinks;
    pthread_mutex_unlock(&lg->lock);
    for (; s; s = s->next) {
        if (close_all)
            log_sink_close(s);
        else
            log_sink_close_idle(s, now);
    }
}

/* Under the lock: sleeps until there is something new to do, at most until by_ms. */
static void wait_until(struct logging *lg, uint64_t by_ms, bool knows_stop)
{
    struct timespec t = {.tv_sec = (time_t)(by_ms / 1000),
                         .tv_nsec = (long)(by_ms % 1000) * 1000000};

    while (!lg->queue.head && !lg->must_reopen && (!lg->must_stop || knows_stop) &&
           log_now_ms() < by_ms)
        if (pthread_cond_timedwait(&lg->wake, &lg->lock, &t))
            break;
}

static void *writer_main(void *arg)
{
    struct logging *lg = arg;
    uint64_t next_try = UINT64_MAX, next_idle = log_now_ms() + IDLE_LOOK_MS;
    size_t left = 0;
    bool stop = false;

    for (;;) {
        struct log_chunks in;
        uint64_t now = log_now_ms();

        pthread_mutex_lock(&lg->lock);
        uint64_t by = next_try < next_idle ? next_try : next_idle;

        if (lg->losing || lg->retired)
            by = now + LOOK_MS < by ? now + LOOK_MS : by;
        if (stop)
            by = now + STOP_RETRY_MS;
        wait_until(lg, by, stop);
        in = lg->queue;
        if (!in.head)
            in.tail = &in.head;
        log_chunks_init(&lg->queue);
        bool reopen = lg->must_reopen;
        uint64_t stop_by = lg->stop_by_ms;
        stop = lg->must_stop;
        lg->must_reopen = false;
        pthread_mutex_unlock(&lg->lock);

        now = log_now_ms();
        if (reopen)
            for_each_sink(lg, now, true);
        if (now >= next_idle) {
            for_each_sink(lg, now, false);
            next_idle = now + IDLE_LOOK_MS;
        }
        bool give_up = stop && now >= stop_by;
        next_try = UINT64_MAX;
        sort_in(lg, &in);
        left = work(lg, now, stop, give_up, &next_try);
        settle_losses(lg, now);
        reclaim(lg);

        pthread_mutex_lock(&lg->lock);
        lg->n_failing = left;
        lg->passes++;
        bool over = stop && !left && !lg->queue.head;
        if (over)
            lg->has_stopped = true;
        pthread_cond_broadcast(&lg->progress);
        pthread_mutex_unlock(&lg->lock);
        if (over)
            return NULL;
    }
}

void log_writer_start(struct logging *lg)
{
    sigset_t all, old;

    /* Signals are for the loops; SIGPIPE and SIGXFSZ come back as errors of write. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int err = pthread_create(&lg->writer, NULL, writer_main, lg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    INVARIANT(err == 0);
    pthread_setname_np(lg->writer, "log-writer");
}
