/* maxBandwidth and maxGlobalBandwidth on a connection: what it may send now, and the pause until
 * its next turn. Streams of HTTP/2 are not throttled (nor does HTTP.sys). */
#include <stdlib.h>

#include "listener/bandwidth.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/output.h"
#include "listener/thread.h"
#include "base/poison.h"

struct throttle {
    struct bandwidth_share share;
    struct loop_timer turn;
    struct connection *conn;
    uint64_t pledged; /* TLS has encrypted it: the next call must offer as much */
};

static void on_turn(struct loop_timer *timer)
{
    struct throttle *th = CONTAINER_OF(timer, struct throttle, turn);
    struct connection *c = th->conn;

    c->parked = false;
    if (c->io.fd >= 0)
        out_flush(c);
}

bool throttle_begin(struct connection *c)
{
    const struct exchange *x = c->x;
    struct bandwidth *site = x->site->bandwidth, *global = x->gen->generation->bandwidth;

    if (LIKELY(!site && !global) || c->is_stream)
        return true;
    if (!c->throttle) {
        c->throttle = calloc(1, sizeof(*c->throttle));
        if (!c->throttle)
            return false;
        c->throttle->turn.on_time = on_turn;
        c->throttle->conn = c;
    }
    c->throttle->pledged = 0;
    c->throttle->share = (struct bandwidth_share){.site = site, .global = global};
    return true;
}

uint64_t throttle_take(struct connection *c, uint64_t want)
{
    struct throttle *th = c->throttle;

    if (th->pledged) {
        uint64_t pledged = th->pledged;
        th->pledged = 0;
        return pledged;
    }
    uint64_t n = bandwidth_limits(&th->share)
                     ? bandwidth_take(&th->share, want, thread_now_ms(c->thread))
                     : want;

    if (n == 0) {
        c->parked = true;
        loop_timer_set(c->thread->loop, &th->turn, th->share.at_ms);
    }
    return n;
}

void throttle_give_back(struct connection *c, uint64_t unsent, bool try_again)
{
    if (c->tls && try_again)
        c->throttle->pledged = unsent;
    else if (unsent && bandwidth_limits(&c->throttle->share))
        bandwidth_give_back(&c->throttle->share, unsent);
}

void throttle_end(struct connection *c)
{
    struct throttle *th = c->throttle;

    if (bandwidth_limits(&th->share))
        bandwidth_leave(&th->share);
    th->share = (struct bandwidth_share){.site = NULL};
    c->parked = false;
    loop_timer_clear(c->thread->loop, &th->turn);
}

void throttle_free(struct connection *c)
{
    throttle_end(c);
    free(c->throttle);
    c->throttle = NULL;
}
