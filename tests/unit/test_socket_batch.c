/* Receives and sends in one system call: what they give, in which order, and that the ring is good
 * for nothing else. The source is included for a look at the ring itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/base/socket_batch.c"

enum { PAIRS = 6 };

static int near[PAIRS], far[PAIRS]; /* of socket pairs */

static int open_pairs(void **state)
{
    for (int i = 0; i < PAIRS; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
            return -1;
        near[i] = pair[0];
        far[i] = pair[1];
    }
    return 0;
}

static int close_pairs(void **state)
{
    for (int i = 0; i < PAIRS; i++) {
        close(near[i]);
        if (far[i] >= 0)
            close(far[i]);
    }
    return 0;
}

static struct socket_batch *one(void)
{
    unsetenv("CANDOR_NO_IO_URING");
    socket_batch_prepare(1);
    struct socket_batch *b = socket_batch_take();

    if (!b)
        skip(); /* this kernel has none, or does not let us */
    return b;
}

static void prepared_are_taken_once(void **state)
{
    struct socket_batch *a = one();

    socket_batch_prepare(3);
    struct socket_batch *b = socket_batch_take();
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    socket_batch_end_rest();
    assert_null(socket_batch_take());
    socket_batch_free(a);
    socket_batch_free(b);
}

static void none_if_not_wanted(void **state)
{
    setenv("CANDOR_NO_IO_URING", "1", 1);
    socket_batch_prepare(2);
    assert_null(socket_batch_take());
    setenv("CANDOR_NO_IO_URING", "", 1);
    socket_batch_prepare(1);
    struct socket_batch *b = socket_batch_take(), *other = one();
    assert_int_equal(b != NULL, other != NULL); /* empty is as good as unset */
    socket_batch_free(b);
    socket_batch_free(other);
    unsetenv("CANDOR_NO_IO_URING");
}

/* Few calls go without the ring, many through it: both give the same. */
static void receives_and_sends(struct socket_batch *b, int n)
{
    char text[PAIRS][16], got[16];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < n; i++) {
            assert_int_equal(write(far[i], "abcdefgh", (size_t)i + 1), i + 1);
            assert_true(socket_batch_recv(b, near[i], text[i], sizeof(text[i])));
        }
        const int *results = socket_batch_run(b);
        for (int i = 0; i < n; i++) {
            assert_int_equal(results[i], i + 1);
            assert_memory_equal(text[i], "abcdefgh", (size_t)i + 1);
        }
        for (int i = 0; i < n; i++)
            assert_true(socket_batch_send(b, near[i], "12345678" + i, 2));
        results = socket_batch_run(b);
        for (int i = 0; i < n; i++) {
            assert_int_equal(results[i], 2);
            assert_int_equal(read(far[i], got, sizeof(got)), 2);
            assert_memory_equal(got, "12345678" + i, 2);
        }
    }
}

static void one_call(void **state)
{
    struct socket_batch *b = one();

    receives_and_sends(b, 1);
    socket_batch_free(b);
}

static void many_calls(void **state)
{
    struct socket_batch *b = one();

    receives_and_sends(b, PAIRS);
    assert_false(b->broken);
    socket_batch_free(b);
}

static void what_fails(struct socket_batch *b, int copies)
{
    static char much[4 << 20], sink[16];
    int bad = dup(near[0]);

    close(bad); /* a number that is no descriptor any more */
    for (int k = 0; k < copies; k++) {
        assert_true(socket_batch_recv(b, near[1], sink, sizeof(sink))); /* nothing there */
        assert_true(socket_batch_recv(b, bad, sink, sizeof(sink)));
    }
    const int *results = socket_batch_run(b);
    for (int k = 0; k < copies; k++) {
        assert_int_equal(results[2 * k], -EAGAIN);
        assert_int_equal(results[2 * k + 1], -EBADF);
    }
    close(far[2]);
    far[2] = -1;
    for (int k = 0; k < copies; k++) {
        assert_true(socket_batch_recv(b, near[2], sink, sizeof(sink))); /* the end */
        assert_true(socket_batch_send(b, near[2], "x", 1));             /* and no SIGPIPE */
    }
    results = socket_batch_run(b);
    for (int k = 0; k < copies; k++) {
        assert_int_equal(results[2 * k], 0);
        assert_int_equal(results[2 * k + 1], -EPIPE);
    }
    /* A socket takes what it has room for, then nothing; the call does not wait. */
    for (int k = 0; k < copies; k++)
        assert_true(socket_batch_send(b, near[3], much, sizeof(much)));
    results = socket_batch_run(b);
    assert_in_range(results[0], 1, sizeof(much) - 1);
    if (copies > 1)
        assert_int_equal(results[copies - 1], -EAGAIN);
}

static void failures_alone(void **state)
{
    struct socket_batch *b = one();

    what_fails(b, 1);
    socket_batch_free(b);
}

static void failures_together(void **state)
{
    struct socket_batch *b = one();

    what_fails(b, 4);
    assert_false(b->broken);
    socket_batch_free(b);
}

static void holds_so_many(void **state)
{
    static char text[SOCKET_BATCH_MAX][4];
    struct socket_batch *b = one();

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < SOCKET_BATCH_MAX; i++)
            assert_true(socket_batch_recv(b, near[0], text[i], 1));
        assert_false(socket_batch_recv(b, near[0], text[0], 1));
        assert_false(socket_batch_send(b, near[0], text[0], 1));
        assert_int_equal(write(far[0], "0123456789", 10), 10);
        const int *results = socket_batch_run(b);
        for (int i = 0; i < SOCKET_BATCH_MAX; i++)
            assert_int_equal(results[i], i < 10 ? 1 : -EAGAIN);
        for (int i = 0; i < 10; i++)
            assert_int_equal(text[i][0], '0' + i); /* in their order */
    }
    assert_false(b->broken);
    socket_batch_free(b);
}

static void goes_on_without_the_ring(void **state)
{
    struct socket_batch *b = one();

    b->broken = true;
    receives_and_sends(b, PAIRS);
    socket_batch_free(b);
}

/* Whoever gets into the listener must not get further by its rings. */
static void ring_refuses_the_rest(void **state)
{
    struct socket_batch *b = one();
    static const uint8_t ops[] = {IORING_OP_NOP,    IORING_OP_OPENAT,  IORING_OP_READ,
                                  IORING_OP_SOCKET, IORING_OP_SENDMSG, IORING_OP_CONNECT};

    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        struct io_uring_sqe *e = io_uring_get_sqe(&b->ring);
        struct io_uring_cqe *cqe;
        INVARIANT(e != NULL);
        memset(e, 0, sizeof(*e));
        e->opcode = ops[i];
        assert_int_equal(io_uring_submit(&b->ring), 1);
        assert_int_equal(io_uring_peek_cqe(&b->ring, &cqe), 0);
        assert_int_equal(cqe->res, -EACCES);
        io_uring_cqe_seen(&b->ring, cqe);
    }
    struct io_uring_sqe *e = io_uring_get_sqe(&b->ring);
    struct io_uring_cqe *cqe;

    INVARIANT(e != NULL);
    io_uring_prep_recv(e, near[0], NULL, 0, MSG_DONTWAIT);
    e->flags = IOSQE_ASYNC; /* no flag may move a call to a thread of the kernel */
    assert_int_equal(io_uring_submit(&b->ring), 1);
    assert_int_equal(io_uring_peek_cqe(&b->ring, &cqe), 0);
    assert_int_equal(cqe->res, -EACCES);
    io_uring_cqe_seen(&b->ring, cqe);
    long rc = syscall(SYS_io_uring_register, b->ring.ring_fd, IORING_REGISTER_FILES, near, 1);
    assert_int_equal(rc, -1);
    assert_int_equal(errno, EACCES);
    socket_batch_free(b);
}

int main(void)
{
#define WITH_PAIRS(fn) cmocka_unit_test_setup_teardown(fn, open_pairs, close_pairs)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepared_are_taken_once),
        cmocka_unit_test(none_if_not_wanted),
        WITH_PAIRS(one_call),
        WITH_PAIRS(many_calls),
        WITH_PAIRS(failures_alone),
        WITH_PAIRS(failures_together),
        WITH_PAIRS(holds_so_many),
        WITH_PAIRS(goes_on_without_the_ring),
        WITH_PAIRS(ring_refuses_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
