/* Application pools and their workers: demand start, ping, idle, recycling, rapid-fail protection,
 * as WAS does it (reference: IIS documentation of applicationPools). */
#ifndef CANDOR_SUPERVISOR_POOL_H
#define CANDOR_SUPERVISOR_POOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "config/config.h"
#include "supervisor/cpu_limit.h"
#include "supervisor/identity.h"
#include "supervisor/rapid_fail.h"
#include "tables/events.h"

struct pool;
struct supervisor;
struct suspension;

enum worker_state {
    WORKER_STARTING, /* not ready yet */
    WORKER_RUNNING,  /* attached to the listener */
    WORKER_DRAINING, /* the listener gives it nothing more; not yet told to stop */
    WORKER_STOPPING, /* told to finish what it holds */
    WORKER_ORPHANED, /* failed its ping; left for a debugger (orphanWorkerProcess) */
};

struct worker {
    struct worker *next;
    struct pool *pool;
    uint32_t id;
    pid_t pid;
    enum worker_state state;
    struct loop_io control;
    struct loop_timer deadline;  /* of start-up, later of shut-down */
    struct loop_timer ping;      /* next ping, or the answer's limit while one is out */
    struct loop_timer recycle;   /* periodicRestart time or schedule */
    enum event_id recycle_event; /* of whichever of the two comes first */
    uint64_t ping_token;
    uint64_t ready_ms;        /* when it was ready to serve */
    uint64_t events_since_ms; /* how many events it has reported since then */
    unsigned events;
    uint64_t messages_since_ms; /* the same of all messages */
    unsigned messages;
    bool ping_out;
    bool ends_by_us;   /* its exit is no failure */
    bool failure_said; /* its exit is one, but the event has been written */
    bool attached;     /* the listener knows it */
    bool channel_broken;
    bool successor_started; /* a replacement is under way */
    uint32_t replaces;      /* worker that goes when this one is ready; 0: none */
    int *kit;               /* descriptors for the listener, until it is attached */
    size_t n_kit;
    int *sleeps; /* on which its threads sleep, for its suspension; as long as the kit */
    size_t n_sleeps;
    struct suspension *suspension; /* NULL: it ends when it is idle */
};

struct pool {
    struct supervisor *s;
    struct config *config; /* keeps conf alive */
    const struct config_pool *conf;
    char *name;
    char *signature; /* of the attributes whose change recycles */
    bool started;
    const char *reason; /* while stopped: Disabled, AppOffline, AppShutdown */
    struct identity identity;
    bool identity_is_bad, identity_told;
    struct rapid_fail rapid;
    struct cpu_limit cpu;
    uint64_t n_starts, n_failures, n_recycles; /* of workers, for the metrics */
    struct worker *workers;
    bool is_wanted; /* by the configuration being taken over */
};

/* A pool of the configuration c; told to nobody yet. */
struct pool *pool_new(struct supervisor *s, struct config *c, const struct config_pool *conf);
/* Takes over new attributes; recycles the workers if one of those that matter has changed. */
void pool_update(struct pool *p, struct config *c, const struct config_pool *conf);
/* All workers have ended. */
void pool_free(struct pool *p);

/* As at service start or by an administrator: the failure window is closed. */
void pool_start(struct pool *p);
/* Takes requests again after a stop that was not an administrator's. */
void pool_reopen(struct pool *p);
/* Requests are refused from now on with the reason; workers finish what they hold. */
void pool_stop(struct pool *p, const char *reason);
/* The listener has requests and no worker. */
void pool_demand(struct pool *p);
/* Replaces the workers, overlapped unless the configuration forbids it. event says why. */
void pool_recycle(struct pool *p, enum event_id event);
/* The same for one worker, which has reached a limit. */
void pool_recycle_worker(struct worker *w, enum event_id event);
/* Replaces all workers after the listener, and with it their rings, is gone. */
void pool_listener_gone(struct pool *p);
/* Now and then: watches memory limits, and that an AlwaysRunning pool runs. */
void pool_look_after(struct pool *p);
/* "Started", "Stopped", "Starting", "Stopping". */
const char *pool_state_name(const struct pool *p);
size_t pool_count_workers(const struct pool *p);

/* ---- worker.c */

/* A worker whose process has just been started: on the pool's list, with startupTimeLimit running.
 */
struct worker *worker_new(struct pool *p, pid_t pid, int control);
/* No new requests, then stop, then SIGKILL at the shut-down limit. */
void worker_end(struct worker *w);
void worker_kill(struct worker *w);
/* Its process has ended: tells the listener, frees it. */
void worker_exited(struct worker *w, int status);
void worker_drained(struct worker *w);
/* The listener is gone, and with it whoever waited for an answer: ends at once. */
void worker_abandon(struct worker *w);
/* It broke the protocol of the ring. */
void worker_malformed(struct worker *w, const char *text);
void worker_send(struct worker *w, json_t *msg, const int *fds, size_t n_fds);
bool worker_is_serving(const struct worker *w);
/* Sets the clock for the pool's time or schedule, from now on. */
void worker_plan_recycle(struct worker *w);
/* It runs again after it was suspended. */
void worker_woken(struct worker *w);

/* ---- worker_start.c */

/* Starts a worker that will take the place of worker `replaces` (0: none). NULL: not started; the
 * pool has been dealt with. */
struct worker *worker_start(struct pool *p, uint32_t replaces);
/* Tells it of the configuration in force. */
void worker_send_generation(struct worker *w);

/* ---- pool.c, for worker.c */

/* Counts a failure; disables the pool when it was one too many. True: the pool is disabled. */
bool pool_count_failure(struct pool *p);
/* Disables the pool until an administrator starts it. */
void pool_disable(struct pool *p, enum event_id event);
/* A worker is ready: whom it replaces may go. */
void pool_worker_ready(struct pool *p, struct worker *w);
/* A worker has ended and is off the list, or counts as ended. */
struct worker_end_info {
    uint32_t id, replaces; /* whom it was to replace and has not; 0: nobody */
    bool unexpected, was_starting;
};
void pool_worker_gone(struct pool *p, const struct worker_end_info *end);

#endif
