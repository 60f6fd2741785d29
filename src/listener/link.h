/* This thread's end of the rings to one worker, and the files that worker has handed over. */
#ifndef CANDOR_LISTENER_LINK_H
#define CANDOR_LISTENER_LINK_H

#include "base/loop.h"
#include "queue/ring.h"

struct exchange;
struct thread;
struct thread_pool;
struct worker_process;

/* A file of the worker's; its descriptor is closed with the last segment that sends from it. */
struct out_file {
    struct out_file *next;
    uint32_t handle, refs; /* refs: segments under way */
    int fd;
    bool closed; /* in no table any more: it goes with its last segment */
};

enum { LINK_FILE_SLOTS = 256, LINK_FILES_MAX = 16384 };

struct link {
    struct loop_io io; /* our eventfd */
    struct link *next; /* of the pool */
    struct link *next_all;
    struct link *next_dirty;
    struct thread *thread;
    struct thread_pool *pool;
    struct worker_process *worker;
    struct ring requests, responses;
    struct exchange *untaken, **untaken_end; /* pushed, in ring order */
    struct exchange *held;
    uint32_t n_untaken, n_held, n_unsent; /* unsent: exchanges with records that found no room */
    uint32_t n_files;
    bool draining, reported_empty, gone, dirty;
    int file_sock;
    struct out_file *files[LINK_FILE_SLOTS];
};

enum push_result { PUSH_DONE, PUSH_FULL, PUSH_TOO_LARGE };

/* link.c */
void link_attach(struct thread *t, struct worker_process *w);
void link_drain(struct thread *t, struct worker_process *w);
void link_gone(struct thread *t, struct worker_process *w);
enum push_result link_push_request(struct link *k, struct exchange *x);
void link_push_unsent(struct link *k);
void link_abort(struct exchange *x);
void link_owe(struct exchange *x, uint8_t what);
void link_update_taken(struct link *k);
void link_receive(struct link *k); /* works off what the worker has sent */
void link_release(struct exchange *x);
bool link_has_more(const struct link *k, const struct ring_record *rec); /* of the same exchange */
void link_wake_dirty(struct thread *t);
void link_mark_dirty(struct link *k);

/* link_request.c: the record of x, committed; x itself is as it was */
enum push_result link_put_request(struct ring *requests, const struct exchange *x);

/* link_files.c */
struct out_file *link_file(struct link *k, uint32_t handle); /* NULL: it was not handed over */
bool link_close_file(struct link *k, const struct ring_record *rec); /* false: malformed */
void link_close_files(struct link *k); /* segments under way may still send from them */
void out_file_unref(struct out_file *f);

#endif
