/* A real listener in this process, with the test as its supervisor and as its worker: whatever a
 * worker may send, good or bad, can be put on the rings. One pool, one site. */
#ifndef CANDOR_TEST_LISTENER_FIXTURE_H
#define CANDOR_TEST_LISTENER_FIXTURE_H

#include <stdbool.h>

#include "queue/message.h"
#include "queue/region.h"

/* One pair of rings of a worker. With n threads a worker is an array of n of them. */
struct fake_worker {
    uint64_t id;
    struct region region;
    struct ring requests, responses;
    int wake, listener_wake, file_sock;
};

/* What a test may want otherwise; 0 (or NULL) stands for the value in brackets. */
struct fixture_options {
    int threads;             /* [1] */
    int connection_timeout;  /* [120000] ms */
    int header_wait;         /* [120000] ms */
    int min_bytes;           /* [none] bytes per second */
    int max_connections;     /* [no limit] */
    int max_request_bytes;   /* [16384] */
    int max_bandwidth;       /* of the site, bytes per second [no limit] */
    int max_global_bandwidth; /* [no limit] */
    int http2_cleartext;     /* [no] */
    int http2_resets;        /* [400] a minute */
    int elsewhere;           /* the site is bound to another port than the endpoint's [no] */
    int send_buffer;         /* of the sockets, as SO_SNDBUF takes it [the kernel's choice] */
    const char *proxy_trusted; /* balancers that send PROXY headers [none] */
    const char *chain, *key; /* of a certificate: the endpoint is one of https [http] */
};

enum { FIXTURE_THREADS_MAX = 4 };

/* Starts the listener (once per process); port of its endpoint. Logs go to dir. */
unsigned short fixture_start(const char *dir);
unsigned short fixture_start_with(const char *dir, const struct fixture_options *o);
/* Another generation. The number of threads stays. */
void fixture_generation(const struct fixture_options *o);
/* Its one endpoint goes; connections stay. */
void fixture_endpoint_remove(void);
/* Asks the listener to stop and waits until it has. */
void fixture_stop(void);
void fixture_stop_within(int timeout_ms);
/* The same in two steps, for tests of what happens between. */
void fixture_begin_stop(int timeout_ms);
void fixture_end_stop(void);
/* Removes the directory that the logs went to. 0, or what went wrong. */
int fixture_remove_logs(void);
/* Requests that the pool counts as waiting, and open connections. */
int fixture_queued(void);
int fixture_connections(void);
/* Wait until there are so many; fail if that never happens. */
void fixture_wait_queued(int n);
void fixture_wait_connections(int n);
/* Waits until what has been ordered so far is in force in every thread, and until each has worked
 * off what it had read before. */
void fixture_settle(void);

/* A worker for the pool "P"; w[0, threads) stay the caller's. */
void fixture_attach(struct fake_worker *w);
/* Its process has ended. */
void fixture_worker_gone(struct fake_worker *w);
/* Next message of that type from the listener's control socket. */
void fixture_expect(const char *type);
/* n orders that are answered, given without reading an answer; then reads the answers, which have
 * to come all, and in their order. */
void fixture_many_orders(int n);
void fixture_pool(const char *state, const char *reason, int queue_length);
/* The same with loadBalancerCapabilities TcpLevel. */
void fixture_pool_tcp_level(const char *state, const char *reason, int queue_length);
void fixture_drain(struct fake_worker *w);
/* cache_clear, and how many entries cache_list shows then. */
int fixture_cache_clear(const char *url, bool subtree);
int fixture_cache_entries(void);

/* The next request, copied to data (16-byte aligned), taken off the ring. */
bool worker_take(struct fake_worker *w, void *data, size_t cap, struct request_message *ret,
                 uint64_t *ret_id);
/* The same; fails unless it is for that path. Its id. */
uint64_t worker_take_path(struct fake_worker *w, void *data, size_t cap, const char *path);
/* The next record of any type. */
bool worker_take_record(struct fake_worker *w, void *data, size_t cap, struct ring_record *ret);
/* A whole answer. headers: complete lines. flags: MSGR_… ; MSG_END is set if end. */
void worker_answer(struct fake_worker *w, uint64_t id, unsigned status, const char *headers,
                   const char *body, unsigned flags, int64_t content_length, bool end);
void worker_send(struct fake_worker *w, uint16_t type, uint16_t flags, uint64_t id, const void *p,
                 uint32_t n);
/* A whole answer whose body is a file of n bytes, each an 'a'. */
void worker_answer_with_file(struct fake_worker *w, uint64_t id, size_t n);

/* A client. Reading waits at most PATIENCE_MS (stopwatch.h). */
int client_connect(unsigned short port);
void client_send(int fd, const char *text);
/* The listener's end of the connection, which is a descriptor of this process; -1 before it is
 * accepted. */
int client_other_end(int fd);
/* Waits until the listener has read what the client has sent, and has worked it off. */
void client_wait_read(int fd);
/* Waits until nothing has moved for a while, and some of the answer waits in the kernel. */
void client_wait_stuck(int fd);
/* Reads until the text is contained (or end of stream); NUL-terminated in buf. */
size_t client_read_until(int fd, char *buf, size_t cap, const char *text);
/* True if the peer closes or resets. */
bool client_closed(int fd);

#endif
