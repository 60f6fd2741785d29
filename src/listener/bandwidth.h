/* Throttling: sites/site/limits/@maxBandwidth and webLimits/@maxGlobalBandwidth. Connections of all
 * threads reserve their turns on one time line per limit, which is a single atomic word; so the
 * rate is kept, turns go round between connections whatever thread they are on, and none can
 * starve.
 *
 * A connection asks for bytes before it sends. It gets some at once, or a turn: then it is parked
 * until share->at_ms and asks again. It never has to poll. What it could not send it gives back. */
#ifndef CANDOR_LISTENER_BANDWIDTH_H
#define CANDOR_LISTENER_BANDWIDTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BANDWIDTH_UNLIMITED = UINT32_MAX, /* as the attributes say it: make no struct for it */
    BANDWIDTH_QUANTUM_MIN = 1024,     /* bytes of one turn */
    BANDWIDTH_QUANTUM_MAX = 1024 * 1024,
    BANDWIDTH_SMALL_MIN = 4096,
    BANDWIDTH_SMALL_MAX = 64 * 1024,
};

/* A limit. Immutable but for spent; lives in the generation that says it. */
struct bandwidth {
    _Alignas(64) _Atomic uint64_t spent; /* end of what is reserved on the time line, in bytes */
    _Alignas(64) uint64_t start_ms;
    uint32_t rate;    /* bytes a second, below BANDWIDTH_UNLIMITED */
    uint32_t quantum; /* a turn: 20 ms, within bounds */
    uint32_t small;   /* an answer up to this takes no turn while there is little backlog */
    uint32_t slack;   /* bytes that an idle line may save up, or small answers may go ahead: 250 ms */
};

/* rate 1 .. UINT32_MAX - 1. */
void bandwidth_init(struct bandwidth *b, uint32_t rate, uint64_t now_ms);

/* A connection's side; zeroed, then site and global set with each response (either may be NULL). */
struct bandwidth_share {
    struct bandwidth *site, *global;
    uint64_t given;    /* of this response so far */
    uint64_t reserved; /* bytes of the turn it waits for */
    uint64_t at_ms;    /* after bandwidth_take gave 0: when to ask again */
};

static inline bool bandwidth_limits(const struct bandwidth_share *s)
{
    return s->site || s->global;
}

/* How many of want bytes (> 0) may be sent now, under both limits. 0: not before s->at_ms, which is
 * later than now_ms; asking earlier is harmless. Any thread, lock-free; now_ms is monotonic and may
 * differ by some milliseconds between threads. */
uint64_t bandwidth_take(struct bandwidth_share *s, uint64_t want, uint64_t now_ms);
/* Of what bandwidth_take gave, unsent bytes did not leave. */
void bandwidth_give_back(struct bandwidth_share *s, uint64_t unsent);
/* The response or the connection is over, or waits for its client instead: its turn goes back. */
void bandwidth_leave(struct bandwidth_share *s);

#endif
