/* What the runner and the channel keep beside a request. Modules never see it. */
#ifndef CANDOR_WORKER_REQUEST_CORE_H
#define CANDOR_WORKER_REQUEST_CORE_H

#include <stddef.h>

#include "base/buf.h"
#include "worker/request.h"

struct app_counter;
struct channel;
struct plan;

/* Where the runner stands in one notification. */
enum run_step { RUN_ENTER, RUN_HOOKS, RUN_CORE };

/* A URL being run. The outermost one is in the core; child requests stack theirs on the arena. */
struct run_frame {
    struct run_frame *parent;
    struct plan *plan;
    struct app_counter *app;
    enum notification at;
    enum run_step step;
    unsigned next;         /* hook or handler module to call next */
    bool is_child;
    bool had_child;        /* a child request has answered for it */
    bool failed;           /* request_fail was called while it ran */
    bool without_body;     /* what the client sent is not for it */
    /* The parent's view of the request, restored when the child is done. */
    struct {
        struct str path, query, method, path_info;
        uint8_t method_id;
        bool is_head, dynamic_content;
        struct url_entry *url;
        const struct handler_mapping *handler;
        const struct module *in_module;
        unsigned in_module_index;
        enum notification at;
        uint64_t known_headers;
    } saved;
};

/* A URL entry or open file that a request holds. */
struct request_hold {
    struct request_hold *next;
    struct url_entry *url;
    struct open_file *file;
};

struct request_core {
    struct request_core *next;       /* in the free list or in a bucket of the held ones */
    struct request_core *wait_next;  /* in the queue for room on the ring */
    struct request_core *later_next; /* in the list of postponed callbacks */
    struct channel *channel;
    uint64_t ring_id;

    /* Response under way. */
    struct body_part *part;
    uint64_t part_at;                /* bytes of *part that have been sent */
    uint64_t sent;                   /* body bytes sent */
    uint64_t credit;                 /* memory bytes that may still be sent */
    bool responding, head_sent, waiting, held, closed, aborted;
    uint32_t abort_win32;

    /* Request body. */
    struct buf body;                 /* arrived, not yet handed over */
    uint64_t body_granted;           /* asked for and not yet arrived */
    request_body_fn body_cb;
    void *body_arg;
    bool body_end, body_failed, body_told_end, later;
    uint32_t body_want;              /* MSG_BODY_WANTED that found the ring full */

    /* The client's certificate. */
    request_certificate_fn cert_cb;
    void *cert_arg;
    bool cert_asked, cert_come;
    bool cert_after_body; /* the question waits for the body */
    bool cert_want;       /* it is not on the ring yet */

    /* Runner. */
    struct run_frame *frame;
    struct run_frame root;
    bool running;                    /* inside pipeline_run, which must not be entered twice */
    bool resumed;                    /* request_resume came while running */
    enum pipe_rc resume_rc;
    struct request_hold *holds;
    uint64_t known_headers;          /* bit n: the request has header id n */

    struct request r;                /* last: ends in an array */
};

static inline struct request_core *request_core(struct request *r)
{
    return CONTAINER_OF(r, struct request_core, r);
}

static inline const struct request_core *request_core_const(const struct request *r)
{
    return (const void *)((const char *)r - offsetof(struct request_core, r));
}

/* Holds a URL entry until the request ends, taking over the caller's reference. False: the
 * request's memory is used up. */
bool request_hold_url(struct request *r, struct url_entry *url);

/* Bytes of a core with its module states. */
size_t request_core_bytes(void);
/* Fills in what follows from the decoded message: path, flags, known headers. */
void request_begin(struct request_core *c);
/* Lets go of what the request holds; the core may be used again. */
void request_end(struct request_core *c);

#endif
