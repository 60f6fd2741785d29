/* Orders of the control thread to an event thread and reports the other way: they arrive in the
 * receiver's mailbox and are worked off in its own turn. */
#ifndef CANDOR_LISTENER_LETTERS_H
#define CANDOR_LISTENER_LETTERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct generation;
struct listener;
struct pool;
struct thread;
struct tls_table;
struct worker_process;

enum letter_kind {
    /* control thread to event thread */
    LETTER_GENERATION,
    LETTER_ENDPOINT_ADD,
    LETTER_ENDPOINT_REMOVE,
    LETTER_POOL_CLOSED,
    LETTER_WORKER_ATTACH,
    LETTER_WORKER_DRAIN,
    LETTER_WORKER_GONE,
    LETTER_STOP,
    LETTER_TLS,
    LETTER_CERTIFICATE, /* handshakes that wait for one may go on */
    LETTER_SYNC, /* goes from thread to thread, then back as LETTER_SYNCED */
    /* event thread to control thread */
    LETTER_DEMAND,
    LETTER_LINK_EMPTY,
    LETTER_MALFORMED,
    LETTER_THREAD_STOPPED,
    LETTER_EVENT,
    LETTER_SYNCED,
};

struct letter {
    struct letter *next;
    enum letter_kind kind;
    struct generation *generation;
    struct worker_process *worker;
    struct pool *pool;
    struct tls_table *tls;
    uint64_t id; /* endpoint, or timeout in ms */
    bool https;
    int fd;
    uint16_t port;
    const char *text; /* static */
    json_t *json;     /* the receiver's to release */
};

void thread_post(struct thread *t, const struct letter *letter);   /* any thread */
void listener_post(struct listener *l, const struct letter *letter); /* any event thread */

#endif
