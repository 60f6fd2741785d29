/* What the files of the supervisor share. One thread, one loop; everything belongs to it. */
#ifndef CANDOR_SUPERVISOR_INTERNAL_H
#define CANDOR_SUPERVISOR_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "config/config.h"
#include "config/watch.h"
#include "logging/event_log.h"
#include "supervisor/endpoints.h"
#include "supervisor/identity.h"
#include "supervisor/pool.h"
#include "supervisor/rapid_fail.h"
#include "supervisor/supervisor.h"
#include "tables/events.h"
#include "tables/http_parameters.h"

struct certificates;
struct control_server;

/* An administrator's word on a site, kept over reloads until the next start. */
struct site_override {
    uint32_t id;
    bool started;
};

/* What became of a configured site in the generation in force. */
struct site_plan {
    uint32_t id;
    bool started, has_no_socket;
    char *why; /* not started against the configuration's wish; NULL */
};

struct listener_process {
    pid_t pid; /* 0: none */
    struct loop_io control;
    bool is_open; /* the control channel */
    struct loop_timer restart, deadline;
    struct rapid_fail deaths;
};

struct supervisor {
    const struct supervisor_options *o;
    char *system_drive, *events_path, *parameters_path;
    struct loop *loop;
    struct loop_io signals;
    struct event_log *events;
    struct config *config; /* in force */
    struct http_parameters parameters;
    struct http_bindings bindings; /* of the same file */
    char *said_of_parameters;      /* the findings told last */
    struct config_watch *watch;
    struct loop_timer reload; /* a change has been seen; waits for it to settle */
    uint64_t folders_made_ms; /* when vanished log folders were last made */
    uint64_t reload_by_ms;    /* no longer than that; 0: none has been seen */
    struct loop_timer tick;   /* for what is looked at now and then */
    uint64_t generation;
    uint16_t port; /* of the folder, once it is chosen */
    unsigned threads;
    uint64_t descriptors; /* that are allowed */
    struct endpoints endpoints;
    struct identity listener_identity;
    struct listener_process listener;
    struct pool **pools;
    size_t n_pools, pools_cap;
    uint32_t last_worker;
    unsigned last_group; /* of the control groups made for pools */
    struct site_plan *plan;
    size_t n_plan;
    struct site_override *overrides;
    size_t n_overrides, overrides_cap;
    struct control_server *control;
    struct certificates *certificates;
    int metrics_fd; /* -1: nobody wants them */
    struct loop_timer metrics_timer;
    int64_t started_us; /* wall clock */
    bool is_ready, stopping, stopping_now;
    int exit_status;
};

/* ---- report.c, configuration.c, sites.c, supervisor.c */

/* "candor: ..." on standard error. */
void sup_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* An event with its facts, a list that ends with NULL; data is taken over, NULL for none. */
void sup_event(struct supervisor *s, enum event_id id, json_t *data, const char *const *facts);
/* The same with the facts as arguments, one at least. */
#define SUP_EVENT(s, id, data, ...) \
    sup_event((s), (id), (data), (const char *const[]){__VA_ARGS__, NULL})
/* A number as a fact: lives as long as the expression that holds the call. */
struct sup_number {
    char z[24];
};
struct sup_number sup_number(uint64_t n);
/* What a child reports with {code, text, data}: an event of its own source, whatever it says. */
void sup_child_event(struct supervisor *s, const char *source, const json_t *msg);
void sup_listener_event(struct supervisor *s, const json_t *msg);
struct pool *sup_pool(struct supervisor *s, struct str name);
/* NULL: the configuration in force has no such site. */
const struct site_plan *sup_site_plan(const struct supervisor *s, uint32_t id);
/* Sends the configuration in force, with the present states, as a new generation. */
void sup_send_generation(struct supervisor *s);
/* The listener has taken its first generation and all endpoints, at the start or a restart. */
void sup_listener_ready(struct supervisor *s);
/* Frees pools that the configuration has no more, once their workers have ended. */
void sup_forget_pools(struct supervisor *s);
/* Ends a start that has failed; the reason has been said. */
void sup_give_up(struct supervisor *s);
/* Starts or stops a site by an administrator's word; false: no such site, or out[] says why the
 * site cannot start. */
bool sup_site_set(struct supervisor *s, uint32_t id, bool started, char *out, size_t room);

/* ---- listener_process.c */

/* Starts the listener and tells it everything. False: said on standard error. */
bool listener_start(struct supervisor *s);
/* Sends, with descriptors. msg is taken over. False: there is no listener to take it. */
bool listener_send(struct supervisor *s, json_t *msg, const int *fds, size_t n_fds);
/* Sends endpoints that it does not have; takes away and closes those no longer wanted. */
void listener_sync_endpoints(struct supervisor *s);
void listener_exited(struct supervisor *s, int status);
/* Asks it to finish within timeout_ms; somewhat later it is killed. */
void listener_stop(struct supervisor *s, uint64_t timeout_ms);

#endif
