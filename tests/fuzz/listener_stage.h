/* One listener thread with a pool, a door and a worker's link, driven by hand: what the fuzz
 * targets of the listener have in common. One stage per process. */
#ifndef CANDOR_FUZZ_LISTENER_STAGE_H
#define CANDOR_FUZZ_LISTENER_STAGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "http/httperr_reason.h"
#include "listener/accept.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "queue/region.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The input, taken a byte at a time; it gives zeros when it is used up. */
struct script {
    const uint8_t *p, *end;
};

unsigned script_byte(struct script *s);

struct stage {
    struct listener l;
    struct pool pool; /* the one of site 1 */
    struct acceptor door;
    struct worker_process *worker; /* NULL: none */
    int worker_end;                /* of the socket that files come by */
    int some_file;                 /* of a megabyte, for the worker to hand over */
    uint64_t max_request_bytes;
};

extern struct stage stage;

/* Once. parameters: of HTTP.sys, as a generation has them; owned by the call. */
void stage_set_up(json_t *parameters, uint64_t max_request_bytes);

void stage_worker_arrive(void);
void stage_worker_leave(void);
/* The n-th exchange that the worker of the link could speak of; NULL: there are not so many. */
const struct exchange *stage_exchange(const struct link *k, unsigned n);
/* The worker writes a record, if there is room for it. */
void stage_put_record(struct link *k, unsigned type, unsigned flags, uint64_t id, const void *p,
                      uint32_t n);

/* The timer of the thread's n-th connection fires, if it is set. */
void stage_time_passes(unsigned n);
/* HTTPERR_NONE opens the pool again. */
void stage_close_pool(enum httperr_reason why);

/* A client of the door: its socket. It comes from one of many addresses, since the ports of ended
 * connections stay taken for a while. */
int stage_client(void);
/* The client ends with RST. */
void stage_reset(int client);

/* The pool's counters and the link's lists agree with the exchanges there are. */
void stage_check(void);
/* After an input: who knocks is let in, the worker leaves, the pool is open again, all connections
 * end, and nothing may be left of them. */
void stage_clear(void);

#endif
