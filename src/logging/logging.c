/* The event threads' side: lines into buffers, buffers to the writer. */
#include "logging/logging.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "logging/log_apply.h"
#include "logging/log_escape.h"
#include "logging/log_writer.h"
#include "base/poison.h"

enum {
    DEFAULT_WAITING_BYTES = 64 << 20,
    DEFAULT_RETRY_MS = 3000,
    HAND_OVER_MS = 250, /* with a tick every 250 ms no buffer gets older than 500 */
};

struct logging *logging_new(const struct log_settings *settings,
                            const struct logging_options *options)
{
    struct logging *lg = xcalloc(1, sizeof *lg);
    pthread_condattr_t attr;

    INVARIANT(options->threads > 0 && options->threads <= 4096);
    lg->options = *options;
    if (!lg->options.max_waiting_bytes)
        lg->options.max_waiting_bytes = DEFAULT_WAITING_BYTES;
    if (!lg->options.retry_ms)
        lg->options.retry_ms = DEFAULT_RETRY_MS;
    lg->threads =
        aligned_alloc(_Alignof(struct log_thread), options->threads * sizeof *lg->threads);
    INVARIANT(lg->threads != NULL);
    memset(lg->threads, 0, options->threads * sizeof *lg->threads);
    for (size_t i = 0; i < options->threads; i++) {
        log_clock_init(&lg->threads[i].clock);
        lg->threads[i].listed_end = &lg->threads[i].listed;
    }
    log_chunks_init(&lg->queue);
    pthread_mutex_init(&lg->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lg->wake, &attr);
    pthread_cond_init(&lg->progress, &attr);
    pthread_condattr_destroy(&attr);
    if (options->to_stdout)
        lg->stdout_site = xcalloc(1, sizeof *lg->stdout_site);
    log_apply(lg, settings);
    log_writer_start(lg);
    return lg;
}

void logging_apply(struct logging *lg, const struct log_settings *settings)
{
    log_apply(lg, settings);
}

struct log_site *logging_site_find(struct logging *lg, uint32_t site_id)
{
    struct log_site *found = NULL;

    pthread_mutex_lock(&lg->lock);
    size_t low = 0, high = lg->n_sites;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (lg->sites[mid]->id < site_id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < lg->n_sites && lg->sites[low]->id == site_id)
        found = lg->sites[low];
    pthread_mutex_unlock(&lg->lock);
    return found;
}

bool logging_site_enabled(const struct log_site *site)
{
    return atomic_load_explicit(&site->program, memory_order_relaxed) != NULL;
}

/* Gives the slot's buffer to the writer. Its channel may end with it: the slot must not be touched
 * afterwards unless a program still refers to the channel. */
static void hand_over(struct logging *lg, struct log_slot *slot)
{
    struct log_chunk *c = slot->chunk;

    c->n = (size_t)(slot->at - c->data);
    c->lines = slot->lines;
    slot->is_large = c->n > LOG_CHUNK_SMALL / 2;
    slot->chunk = NULL;
    log_chunk_hand_over(lg, c);
}

/* A thread that meets new settings may have one buffer of the old and one of the new open for the
 * same file: the older goes first, whatever makes the newer go. */
static void hand_over_older(struct logging *lg, struct log_thread *t, const struct log_slot *slot)
{
    struct log_slot **at = &t->listed;

    for (struct log_slot *older; (older = *at) && older != slot;) {
        if (!older->chunk || older->channel->sink != slot->channel->sink) {
            at = &older->next_listed;
            continue;
        }
        *at = older->next_listed;
        older->is_listed = false;
        hand_over(lg, older);
    }
}

static bool has_older(const struct log_thread *t, const struct log_slot *slot)
{
    for (const struct log_slot *older = t->listed; older && older != slot;
         older = older->next_listed)
        if (older->chunk && older->channel->sink == slot->channel->sink)
            return true;
    return false;
}

/* Hands over the thread's buffers that are due, or all, in the order in which they were begun. */
static void hand_over_listed(struct logging *lg, struct log_thread *t, bool all)
{
    struct log_slot **at = &t->listed;

    for (struct log_slot *slot; (slot = *at);) {
        /* While the writer has not caught up with what it was given, a buffer may as well fill. */
        bool is_due = all || (t->now_ms - slot->born_ms >= HAND_OVER_MS &&
                              atomic_load_explicit(&slot->waiting, memory_order_acquire) == 0);

        if (slot->chunk && (!is_due || (!all && has_older(t, slot)))) {
            at = &slot->next_listed;
            continue;
        }
        *at = slot->next_listed;
        slot->is_listed = false;
        if (slot->chunk)
            hand_over(lg, slot);
    }
    t->listed_end = at;
}

/* A buffer with room for need bytes. NULL: too much is waiting. */
static __attribute__((noinline)) char *new_chunk(struct logging *lg, struct log_thread *t,
                                                 struct log_slot *slot, uint32_t key, size_t need,
                                                 int64_t wall_us)
{
    struct log_channel *ch = slot->channel;
    uint64_t epoch = atomic_load_explicit(&lg->epoch, memory_order_acquire);

    /* Lines written under earlier settings come first. */
    if (UNLIKELY(epoch != t->epoch_flushed)) {
        t->epoch_flushed = epoch;
        hand_over_listed(lg, t, true);
    }
    if (slot->chunk) {
        hand_over_older(lg, t, slot);
        hand_over(lg, slot);
    }
    struct log_chunk *c = log_chunk_take(lg, ch, need, slot->is_large);

    if (!c) {
        atomic_store_explicit(&t->lost, atomic_load_explicit(&t->lost, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        log_sink_lose(lg, ch->sink, 1);
        return NULL;
    }
    c->slot = slot;
    c->key = key;
    c->first_us = wall_us;
    slot->chunk = c;
    slot->key = key;
    slot->lines = 0;
    slot->born_ms = t->now_ms;
    slot->at = c->data;
    slot->end = c->data + c->cap;
    if (!slot->is_listed) {
        slot->is_listed = true;
        slot->next_listed = NULL;
        *t->listed_end = slot;
        t->listed_end = &slot->next_listed;
    }
    return slot->at;
}

static inline char *room(struct logging *lg, struct log_thread *t, struct log_slot *slot,
                         uint32_t key, size_t need, int64_t wall_us)
{
    if (LIKELY(slot->chunk && slot->key == key && (size_t)(slot->end - slot->at) >= need))
        return slot->at;
    return new_chunk(lg, t, slot, key, need, wall_us);
}

static inline void end_line(struct logging *lg, struct log_thread *t, struct log_slot *slot,
                            char *end)
{
    uint32_t flush_lines = slot->channel->flush_lines;

    slot->at = end;
    slot->lines++;
    if (UNLIKELY(flush_lines && slot->lines >= flush_lines)) {
        hand_over_older(lg, t, slot);
        hand_over(lg, slot);
    }
}

static inline void write_line(struct logging *lg, unsigned thread, const struct log_program *p,
                              int64_t wall_us, const void *record, struct str *custom)
{
    struct log_thread *t = &lg->threads[thread];
    struct log_channel *ch = p->channel;
    struct log_slot *slot = &ch->slots[thread];

    log_clock_set(&t->clock, wall_us);
    char *at = room(lg, t, slot, t->clock.keys[ch->is_local][ch->period],
                    log_program_room(p, record, custom), wall_us);

    if (LIKELY(at != NULL))
        end_line(lg, t, slot, log_program_run(p, &t->clock, record, custom, at));
}

static __attribute__((noinline)) void site_with_custom(struct logging *lg, unsigned thread,
                                                       const struct log_program *p,
                                                       const struct log_record *r)
{
    struct str custom[LOG_CUSTOM_FIELDS_MAX];

    for (size_t i = 0; i < p->n_custom; i++)
        custom[i] = r->custom_value ? r->custom_value(r->custom_arg, &p->custom[i]) : STR_NULL;
    write_line(lg, thread, p, r->wall_us, r, custom);
}

void logging_site(struct logging *lg, unsigned thread, struct log_site *site,
                  const struct log_record *r)
{
    const struct log_program *p = atomic_load_explicit(&site->program, memory_order_acquire);

    if (!p)
        return;
    if (UNLIKELY(p->n_custom))
        site_with_custom(lg, thread, p, r);
    else
        write_line(lg, thread, p, r->wall_us, r, NULL);
}

void logging_httperr(struct logging *lg, unsigned thread, const struct log_httperr_record *r)
{
    const struct log_program *p = atomic_load_explicit(&lg->httperr, memory_order_acquire);

    if (p)
        write_line(lg, thread, p, r->wall_us, r, NULL);
}

void logging_stdout_line(struct logging *lg, unsigned thread, struct str json)
{
    if (!lg->stdout_site)
        return;
    const struct log_program *p =
        atomic_load_explicit(&lg->stdout_site->program, memory_order_acquire);
    struct log_thread *t = &lg->threads[thread];
    struct log_slot *slot = &p->channel->slots[thread];
    char *at = room(lg, t, slot, 0, json.n + 1, 0);

    if (!at)
        return;
    memcpy(at, json.p, json.n);
    at[json.n] = '\n';
    end_line(lg, t, slot, at + json.n + 1);
}

void logging_tick(struct logging *lg, unsigned thread, uint64_t now_ms)
{
    struct log_thread *t = &lg->threads[thread];
    uint32_t flushes = atomic_load_explicit(&lg->flushes, memory_order_acquire);
    bool all = flushes != t->flushes_seen;

    t->flushes_seen = flushes;
    t->now_ms = now_ms;
    hand_over_listed(lg, t, all);
    atomic_store_explicit(&t->epoch_seen, atomic_load_explicit(&lg->epoch, memory_order_acquire),
                          memory_order_release);
    if (thread == 0)
        log_events_deliver(lg);
}

void logging_flush(struct logging *lg)
{
    atomic_fetch_add(&lg->flushes, 1);
}

void logging_reopen(struct logging *lg)
{
    pthread_mutex_lock(&lg->lock);
    lg->must_reopen = true;
    pthread_mutex_unlock(&lg->lock);
    pthread_cond_signal(&lg->wake);
}

/* Under the lock. False when the time is over. */
static bool wait_progress(struct logging *lg, uint64_t by_ms)
{
    struct timespec t = {.tv_sec = (time_t)(by_ms / 1000),
                         .tv_nsec = (long)(by_ms % 1000) * 1000000};

    return log_now_ms() < by_ms && pthread_cond_timedwait(&lg->progress, &lg->lock, &t) == 0;
}

bool logging_wait_written(struct logging *lg, uint32_t timeout_ms)
{
    uint64_t by_ms = log_now_ms() + timeout_ms;

    pthread_mutex_lock(&lg->lock);
    uint64_t target = lg->handed, pass = lg->passes;

    /* One whole pass after this one is enough to know that a file refuses. */
    while (lg->processed < target && !(lg->n_failing && lg->passes > pass + 1))
        if (!wait_progress(lg, by_ms))
            break;
    bool done = lg->processed >= target;
    pthread_mutex_unlock(&lg->lock);
    return done;
}

struct logging_counts logging_count(struct logging *lg)
{
    struct logging_counts c = {
        .lines_written = atomic_load_explicit(&lg->lines_written, memory_order_relaxed),
        .bytes_written = atomic_load_explicit(&lg->bytes_written, memory_order_relaxed),
        .lines_lost = atomic_load_explicit(&lg->lines_dropped, memory_order_relaxed),
    };

    for (size_t i = 0; i < lg->options.threads; i++)
        c.lines_lost += atomic_load_explicit(&lg->threads[i].lost, memory_order_relaxed);
    pthread_mutex_lock(&lg->lock);
    c.bytes_waiting = lg->bytes_in_use;
    pthread_mutex_unlock(&lg->lock);
    return c;
}

static void free_chunks(struct log_chunk *c)
{
    while (c) {
        struct log_chunk *next = c->next;

        free(c);
        c = next;
    }
}

/* After the writer's end: everything that is left goes. */
static void free_all(struct logging *lg)
{
    while (lg->retired) {
        struct log_retired *r = lg->retired;

        lg->retired = r->next;
        log_program_free(lg, r->program);
        free(r);
    }
    for (size_t i = 0; i < lg->n_sites; i++) {
        struct log_program *p = atomic_load(&lg->sites[i]->program);

        if (p)
            log_program_free(lg, p);
        free(lg->sites[i]);
    }
    free(lg->sites);
    if (lg->stdout_site) {
        log_program_free(lg, atomic_load(&lg->stdout_site->program));
        free(lg->stdout_site);
    }
    struct log_program *httperr = atomic_load(&lg->httperr);

    if (httperr)
        log_program_free(lg, httperr);
    while (lg->losing) {
        struct log_sink *s = lg->losing;
        struct log_event ev = {
            .code = LOG_EVENT_LINES_LOST,
            .text = "The server stopped before the log could be written again: lines are lost",
            .path = s->stdout_fd >= 0 ? "standard output" : s->directory,
            .count = atomic_load(&s->lost),
            .site_id = s->site_id,
        };

        lg->losing = s->next_losing;
        log_event_note(lg, &ev);
        log_sink_unref(lg, s);
    }
    log_events_deliver(lg);
    free_chunks(lg->free_small);
    free_chunks(lg->free_large);
    pthread_mutex_destroy(&lg->lock);
    pthread_cond_destroy(&lg->wake);
    pthread_cond_destroy(&lg->progress);
    free(lg->threads);
    free(lg);
}

void logging_stop(struct logging *lg, uint32_t timeout_ms)
{
    uint64_t by_ms = log_now_ms() + timeout_ms;

    for (size_t i = 0; i < lg->options.threads; i++)
        hand_over_listed(lg, &lg->threads[i], true);
    pthread_mutex_lock(&lg->lock);
    lg->must_stop = true;
    lg->stop_by_ms = by_ms;
    pthread_cond_signal(&lg->wake);
    /* Beyond its time the writer gets one second to give up what it has. */
    while (!lg->has_stopped && wait_progress(lg, by_ms + 1000))
        ;
    bool has_stopped = lg->has_stopped;
    pthread_mutex_unlock(&lg->lock);
    log_events_deliver(lg);
    if (!has_stopped) {
        /* It hangs in a system call. The process is about to end; lg stays for the writer. */
        log_event_report(lg, LOG_EVENT_LINES_LOST, 0, "",
                         "The disk does not answer: log lines that wait for it are lost");
        return;
    }
    pthread_join(lg->writer, NULL);
    free_all(lg);
}
