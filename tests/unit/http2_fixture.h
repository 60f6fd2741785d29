/* What the tests of HTTP/2 share: the listener and the worker of faults_fixture.h, in clear text,
 * and words for what a client of http2_client.h and that worker do. */
#ifndef CANDOR_TEST_HTTP2_FIXTURE_H
#define CANDOR_TEST_HTTP2_FIXTURE_H

#include "faults_fixture.h"
#include "http2_client.h"

#define AT(path) ":method: GET\n:scheme: http\n:authority: localhost\n:path: " path "\n"
#define POST_AT(path) ":method: POST\n:scheme: http\n:authority: localhost\n:path: " path "\n"

/* cmocka's set-up and tear-down; *state is the worker. */
int http2_set_up(void **state);
int http2_tear_down(void **state);
/* For the last test of a group: tells the listener to stop, and leaves it to the tear-down to wait
 * for that. */
void http2_begin_stop(int timeout_ms);

/* The next request's id; the client speaks meanwhile. m points into faults.data. */
uint64_t http2_take(struct h2_client *c, struct fake_worker *w, struct request_message *m);
/* The same; fails unless it is for that path. */
uint64_t http2_take_path(struct h2_client *c, struct fake_worker *w, const char *path);
/* The stream ends, with that error. */
void http2_expect_closed(struct h2_client *c, int32_t id, uint32_t error);
/* The worker is told that nobody waits for the request, behind what was on its way to it; and
 * closes it. */
void http2_expect_abort(struct fake_worker *w, uint64_t id);

#endif
