/* What the tests of misbehaving clients and workers share: a listener with one worker, and words
 * for what both do. One listener per process; every function fails the test that calls it. */
#ifndef CANDOR_TEST_FAULTS_FIXTURE_H
#define CANDOR_TEST_FAULTS_FIXTURE_H

#include "listener_fixture.h"

struct faults {
    unsigned short port;
    char dir[32];                    /* of the logs */
    _Alignas(16) char data[4 << 20]; /* the last record taken */
    char text[4 << 20];              /* what a client has read, or the last log looked at */
};

extern struct faults faults;

/* cmocka's set-up and tear-down; *state is the worker. */
int faults_set_up(void **state);
int faults_set_up_with(void **state, const struct fixture_options *o);
int faults_tear_down(void **state);

/* Lines that name what, in HTTPERR and in the site's log. */
size_t faults_lines_of(const char *what);
/* Waits for the first, or for n. */
void faults_expect_line(const char *what);
void faults_expect_lines(const char *what, size_t n);
/* The request has left this line and no other. */
void faults_expect_one_line(const char *path, const char *line);

/* The worker. */
/* The next request is for path; its id. */
uint64_t faults_take(struct fake_worker *w, const char *path);
void faults_expect_abort(struct fake_worker *w, uint64_t id);
void faults_reset_answer(struct fake_worker *w, uint64_t id);
void faults_want(struct fake_worker *w, uint64_t id, uint64_t amount);
/* Takes body records until the last one; gives the bytes. */
size_t faults_body_of(struct fake_worker *w, uint64_t id);

/* Clients. */
int faults_narrow_client(void); /* one that does not let much be on its way */
void faults_hard_close(int fd); /* with RST */
/* All of s, or as much as is taken before the listener refuses it. */
void faults_send_all(int fd, const char *s);
/* A head for /many with line n times; the caller's to free. */
char *faults_many_headers(size_t n, const char *line);

/* Some time passes, in which the listener may do what it should not; to wait for what it should do,
 * see fixture_settle and client_wait_read. */
void faults_pause(void);
/* Waits until no connection is open and no request queued. */
void faults_nothing_is_left(void);

#endif
