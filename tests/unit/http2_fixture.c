#include "http2_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_stopping;

int http2_set_up(void **state)
{
    is_stopping = false;
    return faults_set_up_with(state, &(struct fixture_options){.http2_cleartext = 1});
}

int http2_tear_down(void **state)
{
    if (!is_stopping)
        fixture_begin_stop(2000);
    fixture_end_stop();
    return fixture_remove_logs();
}

void http2_begin_stop(int timeout_ms)
{
    is_stopping = true;
    fixture_begin_stop(timeout_ms);
}

uint64_t http2_take(struct h2_client *c, struct fake_worker *w, struct request_message *m)
{
    uint64_t id = 0;

    h2_turn(c, 0);
    assert_true(worker_take(w, faults.data, sizeof(faults.data), m, &id));
    return id;
}

uint64_t http2_take_path(struct h2_client *c, struct fake_worker *w, const char *path)
{
    h2_turn(c, 0);
    return faults_take(w, path);
}

void http2_expect_closed(struct h2_client *c, int32_t id, uint32_t error)
{
    assert_true(h2_until(c, h2_is_closed, id));
    assert_int_equal(h2_answer(c, id)->error, error);
}

void http2_expect_abort(struct fake_worker *w, uint64_t id)
{
    struct ring_record rec;

    do
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
    while (rec.type == MSG_REQUEST_BODY || rec.type == MSG_CREDIT);
    assert_int_equal(rec.type, MSG_REQUEST_ABORT);
    assert_true(rec.id == id);
    faults_reset_answer(w, id);
}
