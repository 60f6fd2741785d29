/* The worker's end of the ring, with a scripted module in place of IIS's. */
#include "worker_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "stopwatch.h"
#include "worker/modules/registry.h"
#include "worker/open_file.h"

#include "base/poison.h"

/* ---- the scripted modules (this registry takes the place of the real one) ------------------- */

static struct request *pending; /* waits for request_resume */
static unsigned body_failures;
static struct buf echoed;
static char pattern[1 << 20];

static enum pipe_rc authenticate(struct request *r, const void *conf)
{
    r->authenticated = true;
    return PIPE_CONTINUE;
}

static void on_echo_body(struct request *r, void *arg, struct str bytes, bool end, bool failed)
{
    if (failed) {
        body_failures++;
        request_resume(r, PIPE_FINISH);
        return;
    }
    buf_str(&echoed, bytes);
    if (!end) {
        assert_true(request_read_body(r, on_echo_body, arg));
        return;
    }
    assert_false(request_read_body(r, on_echo_body, arg));
    response_body_memory(r, arena_dup(&r->arena, buf_view(&echoed)));
    request_resume(r, PIPE_FINISH);
}

static enum pipe_rc execute(struct request *r, const void *conf)
{
    uint64_t n = 0;

    (void)!str_u64(r->query, UINT32_MAX, &n);
    if (str_eq(r->path, STR("/memory"))) {
        for (uint64_t at = 0; at < n; at += sizeof(pattern))
            response_body_memory(r, str_n(pattern, n - at < sizeof(pattern) ? (size_t)(n - at)
                                                                           : sizeof(pattern)));
        return PIPE_FINISH;
    }
    if (str_eq(r->path, STR("/mixed"))) {
        struct open_file *file = url_entry_file(r->thread->urls, r->url);
        response_body_memory(r, STR("<"));
        response_body_file(r, file, 0, file->size);
        response_body_memory(r, STR("|"));
        response_body_file(r, file, 10, 5);
        response_body_memory(r, STR(">"));
        return PIPE_FINISH;
    }
    if (str_eq(r->path, STR("/echo"))) {
        if (!request_read_body(r, on_echo_body, NULL)) {
            response_body_memory(r, STR("nothing"));
            return PIPE_FINISH;
        }
        return PIPE_PENDING;
    }
    if (str_eq(r->path, STR("/pending"))) {
        pending = r;
        return PIPE_PENDING;
    }
    if (str_eq(r->path, STR("/at-once"))) {
        response_body_memory(r, STR("resumed"));
        request_resume(r, PIPE_FINISH);
        return PIPE_PENDING;
    }
    struct open_file *file = url_entry_file(r->thread->urls, r->url);

    response_body_file(r, file, 0, file->size);
    return PIPE_FINISH;
}

static const struct module auth = {.name = "AnonymousAuthenticationModule",
                                   .hooks = {[N_AUTHENTICATE_REQUEST] = {authenticate, PRI_LAST}}};
static const struct module handler = {.name = "StaticFileModule", .execute = execute};
static enum pipe_rc pass(struct request *r, const void *conf)
{
    return PIPE_CONTINUE;
}

static const struct module documents = {.name = "DefaultDocumentModule", .execute = pass};
static const struct module listing = {.name = "DirectoryListingModule", .execute = pass};
static const struct module *const all[] = {&auth, &handler, &documents, &listing};

unsigned registry_count(void)
{
    return ARRAY_LEN(all);
}

const struct module *registry_at(unsigned index)
{
    return all[index];
}

int registry_find(struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        if (str_ieq(name, str_z(all[i]->name)))
            return (int)i;
    return -1;
}

static struct fx *start(void)
{
    static const char *const names[] = {"memory", "echo", "pending", "at-once"};
    struct fx *f = fx_new(NULL, NULL);

    pending = NULL;
    body_failures = 0;
    buf_init(&echoed, 1 << 24);
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (char)('a' + i % 23);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        fx_file(f, names[i], "x");
    fx_file_bytes(f, "small", pattern, 1000);
    fx_file_bytes(f, "mixed", pattern, 40000);
    fx_file_bytes(f, "large", pattern, 500000);
    return f;
}

static void end(struct fx *f)
{
    fx_assert_idle(f);
    buf_fini(&echoed);
    fx_free(f);
}

static void assert_pattern(const struct fx_answer *a, size_t n)
{
    assert_int_equal(a->body.n, n);
    for (size_t at = 0; at < n; at += sizeof(pattern)) {
        size_t k = n - at < sizeof(pattern) ? n - at : sizeof(pattern);
        assert_memory_equal(a->body.p + at, pattern, k);
    }
}

/* ---- responses ------------------------------------------------------------------------------ */

static void test_small_is_one_record(void **state)
{
    struct fx *f = start();
    static const unsigned sizes[] = {0, 1, 1000, MESSAGE_BODY_MAX};

    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        char target[64];
        snprintf(target, sizeof(target), "/memory?%u", sizes[i]);
        struct fx_answer *a = fx_get(f, i, "GET", target, NULL);
        assert_pattern(a, sizes[i]);
        assert_int_equal(a->records, 1);
        assert_int_equal(a->head.content_length, sizes[i]);
    }
    struct fx_answer *a = fx_get(f, 9, "GET", "/memory?65537", NULL);

    assert_pattern(a, 65537);
    assert_int_equal(a->records, 2);
    a = fx_get(f, 10, "HEAD", "/memory?5000000", NULL);
    assert_int_equal(a->records, 1);
    assert_int_equal(a->head.content_length, 5000000);
    a = fx_get(f, 11, "GET", "/at-once", NULL);
    assert_string_equal(a->body.p, "resumed");
    end(f);
}

static void test_credit(void **state)
{
    struct fx *f = start();
    struct fx_answer *a = fx_get(f, 1, "GET", "/memory?5000000", NULL);

    assert_pattern(a, 5000000);
    assert_true(a->most_uncredited <= RESPONSE_CREDIT);

    /* Without credit it stops, and goes on by exactly what is granted. */
    f->give_credit = false;
    a = &f->answers[2];
    assert_true(fx_push(f, 2, "GET", "/memory?1000000", NULL, 0));
    fx_turn(f);
    fx_turn(f);
    assert_int_equal(a->body.n, RESPONSE_CREDIT);
    assert_false(a->closed);
    assert_int_equal(channel_held(f->t.channel), 1);
    fx_push_credit(f, 2, 1000);
    fx_turn(f);
    assert_int_equal(a->body.n, RESPONSE_CREDIT + 1000);
    /* More than there can be under way is not believed. */
    fx_push_credit(f, 2, UINT64_MAX);
    fx_turn(f);
    assert_int_equal(a->body.n, 2 * RESPONSE_CREDIT + 1000);
    fx_push_credit(f, 2, RESPONSE_CREDIT);
    fx_turn(f);
    fx_push_credit(f, 2, RESPONSE_CREDIT);
    fx_turn(f);
    assert_true(a->closed);
    assert_pattern(a, 1000000);
    fx_push_credit(f, 2, 1000); /* crossed the closing record */
    end(f);
}

static void test_files(void **state)
{
    struct fx *f = start();
    struct fx_answer *a;

    f->give_credit = false; /* files need none */
    for (unsigned i = 0; i < 5; i++) {
        a = fx_get(f, i, "GET", "/large", NULL);
        assert_pattern(a, 500000);
        assert_int_equal(a->file_parts, 1);
        assert_int_equal(a->records, 2);
    }
    assert_int_equal(f->handles, 1);
    a = fx_get(f, 5, "GET", "/small", NULL);
    assert_int_equal(a->file_parts, 0);
    assert_int_equal(a->records, 1);
    a = fx_get(f, 6, "GET", "/mixed", NULL);
    assert_int_equal(a->file_parts, 1);
    assert_int_equal(a->body.n, 40000 + 5 + 3);
    assert_int_equal(a->body.p[0], '<');
    assert_memory_equal(a->body.p + 1, pattern, 40000);
    assert_memory_equal(a->body.p + 40001, "|", 1);
    assert_memory_equal(a->body.p + 40002, pattern + 10, 5);
    assert_memory_equal(a->body.p + 40007, ">", 1);
    assert_int_equal(f->file_closes, 0);
    fx_file_bytes(f, "large", pattern + 1, 400000);
    a = fx_get(f, 7, "GET", "/large", NULL);
    assert_int_equal(a->body.n, 400000);
    assert_memory_equal(a->body.p, pattern + 1, 400000);
    fx_turn(f);
    assert_int_equal(f->file_closes, 1);
    end(f);
}

/* A socket that takes no descriptor costs a copy, not the answer. */
static void test_files_without_socket(void **state)
{
    struct fx *f = start();

    shutdown(f->files[1], SHUT_WR);
    struct fx_answer *a = fx_get(f, 1, "GET", "/large", NULL);

    assert_pattern(a, 500000);
    assert_int_equal(a->file_parts, 0);
    assert_true(a->most_uncredited <= RESPONSE_CREDIT);
    end(f);
}

/* The listener does not read: nothing is lost, nothing is reordered, all goes on when it reads. */
static void test_full_ring(void **state)
{
    struct fx *f = start();
    unsigned n = 300, pushed = 0;

    for (unsigned i = 0; i < 20; i++) {
        while (pushed < n && fx_push(f, pushed, "GET", "/memory?19000", NULL, 0))
            pushed++;
        fx_turn_without_reading(f);
    }
    assert_int_equal(pushed, n);
    assert_false(f->answers[0].begun);
    /* The ring holds some 55 of these; the others wait where they are, one of them half-way. */
    assert_true(channel_held(f->t.channel) <= 2);
    fx_read(f, 3);
    fx_turn_without_reading(f);
    for (unsigned i = 0; i < 100; i++) {
        fx_turn_without_reading(f);
        fx_read(f, 7);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_true(f->answers[i].closed);
        assert_pattern(&f->answers[i], 19000);
    }
    end(f);
}

/* A failed read half-way is a reset, not a short body. */
static void test_truncated_file(void **state)
{
    struct fx *f = start();
    char path[256];

    snprintf(path, sizeof(path), "%s/large", f->root);
    shutdown(f->files[1], SHUT_WR);
    f->give_credit = false;
    assert_true(fx_push(f, 1, "GET", "/large", NULL, 0));
    fx_turn(f);
    assert_int_equal(f->answers[1].body.n, RESPONSE_CREDIT);
    assert_int_equal(truncate(path, 1000), 0);
    fx_push_credit(f, 1, RESPONSE_CREDIT);
    fx_turn(f);
    assert_true(f->answers[1].reset);
    end(f);
}

/* ---- aborts --------------------------------------------------------------------------------- */

static void test_abort(void **state)
{
    struct fx *f = start();

    /* While it waits for credit. */
    f->give_credit = false;
    assert_true(fx_push(f, 1, "GET", "/memory?1000000", NULL, 0));
    fx_turn(f);
    fx_push_abort(f, 1);
    fx_turn(f);
    assert_true(f->answers[1].reset);
    /* While a module is at work: the closing record follows when it is done. */
    assert_true(fx_push(f, 2, "GET", "/pending", NULL, 0));
    fx_turn(f);
    fx_push_abort(f, 2);
    fx_turn(f);
    assert_false(f->answers[2].closed);
    request_resume(pending, PIPE_FINISH);
    fx_turn(f);
    assert_true(f->answers[2].reset);
    assert_false(f->answers[2].begun);
    /* While it reads the body. */
    assert_true(fx_push(f, 3, "POST", "/echo", NULL, MSGF_HAS_BODY));
    fx_turn(f);
    fx_push_abort(f, 3);
    fx_turn(f);
    assert_int_equal(body_failures, 1);
    assert_true(f->answers[3].reset);
    /* After the closing record. */
    fx_get(f, 4, "GET", "/small", NULL);
    fx_push_abort(f, 4);
    fx_turn(f);
    end(f);
}

/* ---- request bodies ------------------------------------------------------------------------- */

static void test_body(void **state)
{
    struct fx *f = start();
    size_t n = 300000, sent = 0;
    struct fx_answer *a = &f->answers[1];

    assert_true(fx_push(f, 1, "POST", "/echo", NULL, MSGF_HAS_BODY));
    fx_turn(f);
    assert_true(a->body_wanted > 0);
    while (sent < n) {
        size_t k = a->body_wanted - sent < n - sent ? (size_t)(a->body_wanted - sent) : n - sent;
        assert_true(k > 0); /* it always asks for more in time */
        if (k > 10000)
            k = 10000;
        fx_push_body(f, 1, pattern + sent, k, sent + k == n);
        sent += k;
        fx_turn(f);
    }
    for (unsigned i = 0; i < 10; i++)
        fx_turn(f);
    assert_true(a->closed);
    assert_pattern(a, n);
    /* No body: nothing to read. An empty last piece ends one. */
    buf_clear(&echoed);
    assert_string_equal(fx_get(f, 2, "POST", "/echo", NULL)->body.p, "nothing");
    assert_true(fx_push(f, 3, "POST", "/echo", NULL, MSGF_HAS_BODY));
    fx_turn(f);
    fx_push_body(f, 3, "abc", 3, false);
    fx_push_body(f, 3, "def", 3, false);
    fx_push_body(f, 3, "", 0, true);
    fx_turn(f);
    fx_turn(f);
    assert_true(f->answers[3].closed);
    assert_int_equal(f->answers[3].body.n, 6);
    assert_memory_equal(f->answers[3].body.p, "abcdef", 6);
    end(f);
}

/* ---- a listener that breaks the protocol ---------------------------------------------------- */

enum breakage {
    CUT_REQUEST,
    SPAN_OUTSIDE,
    ID_IN_USE,
    BODY_NOT_ASKED_FOR,
    UNKNOWN_TYPE,
    SHORT_CREDIT,
    BREAKAGES,
};

static void break_protocol(struct fx *f, enum breakage how)
{
    struct msg_request m = {.site_id = FX_SITE, .method = {0, 3}, .path = {0, 1}, .n_bytes = 4};
    char record[sizeof(m) + 4] = {0};

    memcpy(record + sizeof(m), "/GET", 4);
    switch (how) {
    case CUT_REQUEST:
        assert_true(ring_push(&f->requests, MSG_REQUEST, MSG_END, 5, &m, sizeof(m) - 1));
        break;
    case SPAN_OUTSIDE:
        m.query = (struct msg_span){2, 3};
        memcpy(record, &m, sizeof(m));
        assert_true(ring_push(&f->requests, MSG_REQUEST, MSG_END, 5, record, sizeof(record)));
        break;
    case ID_IN_USE:
        assert_true(fx_push(f, 1, "GET", "/pending", NULL, 0));
        assert_true(fx_push(f, 1, "GET", "/pending", NULL, 0));
        break;
    case BODY_NOT_ASKED_FOR:
        assert_true(fx_push(f, 1, "GET", "/pending", NULL, MSGF_HAS_BODY));
        fx_push_body(f, 1, "x", 1, true);
        break;
    case UNKNOWN_TYPE:
        assert_true(ring_push(&f->requests, MSG_RESPONSE, 0, 5, record, sizeof(record)));
        break;
    case SHORT_CREDIT:
        assert_true(ring_push(&f->requests, MSG_CREDIT, 0, 5, record, 4));
        break;
    case BREAKAGES:
        break;
    }
}

static void test_broken_listener(void **state)
{
    for (int how = 0; how < BREAKAGES; how++) {
        struct fx *f = start();
        break_protocol(f, (enum breakage)how);
        fx_turn(f);
        if (!f->broken)
            fail_msg("breakage %d went unnoticed", how);
        assert_true(channel_is_broken(f->t.channel));
        /* Nothing is taken from it any more. */
        assert_true(fx_push(f, 7, "GET", "/small", NULL, 0));
        fx_turn(f);
        assert_false(f->answers[7].begun);
        buf_fini(&echoed);
        fx_free(f);
    }
}

/* ---- two threads ---------------------------------------------------------------------------- */

static void *run_loop(void *arg)
{
    struct worker_thread *t = arg;

    loop_run(t->loop);
    return NULL;
}

/* Both sides sleep and wake each other: no request gets stuck. */
static void test_threads(void **state)
{
    struct fx *f = start();
    unsigned total = 20000, done = 0, pushed = 0;
    struct ring_record rec;

    assert_int_equal(pthread_create(&f->t.id, NULL, run_loop, &f->t), 0);
    while (done < total) {
        unsigned batch = pushed % 97;
        for (unsigned i = 0; i <= batch && pushed < total; i++, pushed++)
            if (!fx_push(f, pushed, "GET", pushed % 5 ? "/small" : "/memory?30000", NULL, 0))
                break;
        ring_wake_consumer(&f->requests);
        while (done < pushed) {
            enum rc rc = ring_peek(&f->responses, &rec);
            if (rc == RC_OK) {
                assert_true(rec.type == MSG_RESPONSE && (rec.flags & MSG_END));
                done++;
                ring_pop(&f->responses, &rec);
                continue;
            }
            assert_int_equal(rc, RC_AGAIN);
            ring_wake_producer(&f->responses);
            if (!ring_sleep_begin(&f->responses))
                continue;
            struct pollfd p = {.fd = f->listener_event, .events = POLLIN};
            uint64_t count;
            if (poll(&p, 1, PATIENCE_MS) != 1)
                fail_msg("asleep with %u of %u answers", done, pushed);
            (void)!read(f->listener_event, &count, sizeof(count));
            ring_sleep_end(&f->responses);
        }
        ring_wake_producer(&f->responses);
    }
    loop_stop(f->t.loop);
    pthread_join(f->t.id, NULL);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_is_one_record),  cmocka_unit_test(test_credit),
        cmocka_unit_test(test_files),                cmocka_unit_test(test_files_without_socket),
        cmocka_unit_test(test_full_ring),            cmocka_unit_test(test_truncated_file),
        cmocka_unit_test(test_abort),                cmocka_unit_test(test_body),
        cmocka_unit_test(test_broken_listener),      cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
