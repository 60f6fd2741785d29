#include "supervisor/certificate_staples.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "supervisor/certificate_ocsp.h"
#include "supervisor/internal.h"
#include "base/poison.h"

enum { TOLD_AGAIN = 12, RETRY_MS = 300000, LEAST_MS = 60000, MOST_MS = 43200000, GATHER_MS = 2000 };

struct certificate_staples {
    struct certificate_staples_options o;
    struct loop_timer timer;
    struct ocsp_fetch *fetch;
    struct certificate_entry *asked; /* whom the fetch is for; NULL: it is gone */
    uint64_t changed_ms;             /* since when the listener is behind; 0: it is not */
};

static struct loop *loop_of(const struct certificate_staples *t)
{
    return t->o.s->loop;
}

static bool is_askable(const struct certificate_entry *e)
{
    if (!e->wants_staple || !e->has_good || !e->good.issuer)
        return false;
    char *url = ocsp_url(e->good.x);
    bool has = url != NULL;

    OPENSSL_free(url);
    return has;
}

/* At half of what is left, so that an authority may be away for a while. */
static uint64_t next_ask_ms(const struct ocsp_answer *a, uint64_t now_ms)
{
    int64_t left_ms = a->until_s * 1000 - clock_wall_us() / 1000;
    uint64_t half = left_ms > 0 ? (uint64_t)left_ms / 2 : 0;

    return now_ms + (half < LEAST_MS ? LEAST_MS : half > MOST_MS ? MOST_MS : half);
}

static void take(struct certificate_staples *t, struct certificate_entry *e, struct ocsp_answer *a)
{
    uint64_t now = loop_now_ms(loop_of(t));

    if (!a->der) {
        if (e->staple_failures++ % TOLD_AGAIN == 0)
            SUP_EVENT(t->o.s, EV_CND_CERTIFICATE_STAPLE, NULL, e->label, a->why);
        e->staple_due_ms = now + RETRY_MS;
        return;
    }
    certificate_entry_drop_staple(e);
    e->staple = a->der;
    e->staple_n = a->n;
    a->der = NULL;
    e->staple_until_s = a->until_s;
    e->staple_due_ms = next_ask_ms(a, now);
    t->changed_ms = t->changed_ms ? t->changed_ms : now;
}

static void on_done(void *arg, struct ocsp_answer *answer)
{
    struct certificate_staples *t = arg;

    t->fetch = NULL;
    if (t->asked)
        take(t, t->asked, answer);
    t->asked = NULL;
    certificate_staples_look(t);
}

/* The listener rejects nothing by itself: what has ended must not be given out. */
static void drop_ended(struct certificate_staples *t, struct certificate_entry *e)
{
    if (!e->staple || e->staple_until_s > clock_wall_us() / 1000000)
        return;
    uint64_t due = e->staple_due_ms;

    certificate_entry_drop_staple(e);
    e->staple_due_ms = due;
    t->changed_ms = t->changed_ms ? t->changed_ms : loop_now_ms(loop_of(t));
}

static void begin(struct certificate_staples *t, struct certificate_entry *e)
{
    t->asked = e;
    e->staple_due_ms = loop_now_ms(loop_of(t)) + RETRY_MS;
    t->fetch = ocsp_fetch_begin(loop_of(t), e->good.x, e->good.issuer, on_done, t);
    if (!t->fetch)
        t->asked = NULL;
}

void certificate_staples_look(struct certificate_staples *t)
{
    uint64_t now = loop_now_ms(loop_of(t)), next = now + LEAST_MS;
    bool waits = false;

    for (struct certificate_entry *e = t->o.next(t->o.arg, NULL); e; e = t->o.next(t->o.arg, e)) {
        drop_ended(t, e);
        if (!is_askable(e))
            continue;
        if (e->staple_due_ms > now)
            next = e->staple_due_ms < next ? e->staple_due_ms : next;
        else if (!t->fetch)
            begin(t, e);
        else
            waits = waits || e != t->asked;
    }
    /* Several responses that come one after the other are one message. */
    if (t->changed_ms && (!waits || now - t->changed_ms >= GATHER_MS)) {
        t->changed_ms = 0;
        t->o.on_change(t->o.arg);
    }
    loop_timer_set(loop_of(t), &t->timer, next);
}

static void on_time(struct loop_timer *timer)
{
    certificate_staples_look(CONTAINER_OF(timer, struct certificate_staples, timer));
}

void certificate_staples_forget(struct certificate_staples *t, const struct certificate_entry *e)
{
    if (t && t->asked == e)
        t->asked = NULL;
}

struct certificate_staples *certificate_staples_new(const struct certificate_staples_options *o)
{
    struct certificate_staples *t = xcalloc(1, sizeof(*t));

    t->o = *o;
    t->timer.on_time = on_time;
    return t;
}

struct certificate_staples *certificate_staples_free(struct certificate_staples *t)
{
    if (!t)
        return NULL;
    ocsp_fetch_abandon(t->fetch);
    loop_timer_clear(loop_of(t), &t->timer);
    free(t);
    return NULL;
}
