/* The ring and its messages: order, wrap-around, sleep and wake, and a peer that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "queue/message.h"
#include "queue/region.h"

enum { SIZE = 8192 };

struct pair {
    void *mem;
    struct ring in, out; /* producer, consumer */
    int fd;
};

static void pair_init(struct pair *p)
{
    p->mem = aligned_alloc(64, ring_bytes(SIZE));
    assert_non_null(p->mem);
    memset(p->mem, 0, ring_bytes(SIZE));
    p->fd = eventfd(0, EFD_NONBLOCK);
    ring_attach(&p->in, p->mem, SIZE, p->fd, p->fd);
    ring_attach(&p->out, p->mem, SIZE, p->fd, p->fd);
}

static void pair_fini(struct pair *p)
{
    close(p->fd);
    free(p->mem);
}

static void records_keep_their_order_and_bytes_across_many_turns(void **state)
{
    struct pair p;
    unsigned sent = 0, got = 0;

    pair_init(&p);
    while (got < 20000) {
        unsigned char bytes[600];
        unsigned n = (sent * 37) % sizeof(bytes);
        memset(bytes, (int)(sent & 0xff), sizeof(bytes));
        if (sent < 20000 && ring_push(&p.in, (uint16_t)(1 + sent % 7), 0, sent, bytes, n)) {
            sent++;
            continue;
        }
        struct ring_record r;
        assert_int_equal(ring_peek(&p.out, &r), RC_OK);
        assert_int_equal(r.id, got);
        assert_int_equal(r.type, 1 + got % 7);
        assert_int_equal(r.len, (got * 37) % sizeof(bytes));
        for (unsigned i = 0; i < r.len; i++)
            assert_int_equal(r.payload[i], got & 0xff);
        ring_pop(&p.out, &r);
        got++;
    }
    struct ring_record r;
    assert_int_equal(ring_peek(&p.out, &r), RC_AGAIN);
    assert_int_equal(ring_consumed(&p.in), ring_tail(&p.in));
    pair_fini(&p);
}

static void a_full_ring_refuses_and_marks_the_producer_starved(void **state)
{
    struct pair p;
    unsigned n = 0;
    static const char block[1024];

    pair_init(&p);
    while (ring_push(&p.in, 1, 0, n, block, sizeof(block)))
        n++;
    assert_in_range(n, 6, 7);
    assert_int_equal(atomic_load(&p.in.shared->starved), 1);
    struct ring_record r;

    assert_int_equal(ring_peek(&p.out, &r), RC_OK);
    ring_pop(&p.out, &r);
    ring_wake_producer(&p.out);
    uint64_t woken = 0;

    assert_int_equal(read(p.fd, &woken, sizeof(woken)), sizeof(woken));
    assert_true(ring_push(&p.in, 1, 0, n, block, sizeof(block)));
    pair_fini(&p);
}

static void only_a_sleeper_is_woken_and_only_once(void **state)
{
    struct pair p;

    pair_init(&p);
    assert_true(ring_push(&p.in, 1, 0, 1, "x", 1));
    assert_false(ring_wake_consumer(&p.in));
    assert_false(ring_sleep_begin(&p.out)); /* a record is there */
    struct ring_record r;

    assert_int_equal(ring_peek(&p.out, &r), RC_OK);
    ring_pop(&p.out, &r);
    assert_true(ring_sleep_begin(&p.out));
    assert_true(ring_push(&p.in, 1, 0, 2, "x", 1));
    assert_true(ring_wake_consumer(&p.in));
    assert_true(ring_push(&p.in, 1, 0, 3, "x", 1));
    assert_false(ring_wake_consumer(&p.in));
    pair_fini(&p);
}

static void a_lying_producer_is_found_out(void **state)
{
    static const struct {
        const char *name;
        uint64_t tail;
        uint32_t len;
    } rows[] = {
        {"tail beyond the ring", SIZE + 16, 16},
        {"tail not aligned", 24, 8},
        {"record longer than what was published", 32, 64},
        {"record longer than the ring", SIZE, 0xfffffff0u},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p;
        struct ring_record r;
        pair_init(&p);
        memcpy(p.out.data, &rows[i].len, 4);
        atomic_store(&p.out.shared->tail, rows[i].tail);
        print_message("  %s\n", rows[i].name);
        assert_int_equal(ring_peek(&p.out, &r), RC_FAIL);
        pair_fini(&p);
    }
}

static void a_lying_consumer_cannot_move_the_producer(void **state)
{
    struct pair p;

    pair_init(&p);
    assert_true(ring_push(&p.in, 1, 0, 1, "abc", 3));
    atomic_store(&p.in.shared->head, 1u << 20); /* more than was ever written */
    assert_int_equal(ring_consumed(&p.in), 0);
    atomic_store(&p.in.shared->head, ring_tail(&p.in));
    assert_int_equal(ring_consumed(&p.in), ring_tail(&p.in));
    atomic_store(&p.in.shared->head, 0); /* backwards */
    assert_int_equal(ring_consumed(&p.in), ring_tail(&p.in));
    pair_fini(&p);
}

struct run {
    struct pair p;
    unsigned count;
};

static void *produce(void *arg)
{
    struct run *run = arg;

    for (unsigned i = 0; i < run->count;)
        if (ring_push(&run->p.in, 1, 0, i, &i, sizeof(i)))
            i++;
    return NULL;
}

static void two_threads_agree(void **state)
{
    struct run run = {.count = 200000};
    pthread_t producer;

    pair_init(&run.p);
    assert_int_equal(pthread_create(&producer, NULL, produce, &run), 0);
    for (unsigned i = 0; i < run.count;) {
        struct ring_record r;
        enum rc rc = ring_peek(&run.p.out, &r);
        assert_int_not_equal(rc, RC_FAIL);
        if (rc != RC_OK)
            continue;
        unsigned v;
        memcpy(&v, r.payload, sizeof(v));
        assert_int_equal(v, i);
        ring_pop(&run.p.out, &r);
        i++;
    }
    pthread_join(producer, NULL);
    pair_fini(&run.p);
}

struct small_request {
    struct msg_request head;
    struct msg_field field;
    char bytes[32];
};

static struct small_request good_request(void)
{
    struct small_request r = {.head = {.method = {0, 3},
                                       .raw_target = {4, 2},
                                       .path = {4, 2},
                                       .n_fields = 1,
                                       .n_bytes = 32},
                              .field = {.name_off = 10, .name_len = 4, .value_off = 16,
                                        .value_len = 1, .id = HDR_HOST}};

    memcpy(r.bytes, "GET /x\r\n..Host: a", 17);
    return r;
}

static void request_offsets_are_checked(void **state)
{
    struct request_message m;
    struct small_request r = good_request();

    assert_true(message_decode_request(&r, sizeof(r), &m));
    assert_memory_equal(m.method.p, "GET", 3);
    assert_int_equal(m.path.n, 2);

#define BAD(change)                                                                                \
    do {                                                                                           \
        r = good_request();                                                                        \
        change;                                                                                    \
        assert_false(message_decode_request(&r, sizeof(r), &m));                                   \
    } while (0)
    BAD(r.head.method.len = 40);
    BAD(r.head.method.len = 0);
    BAD(r.head.path.off = 33);
    BAD((r.head.query = (struct msg_span){0xffffffff, 2}));
    BAD(r.head.host.len = 0xffffffff);
    BAD(r.head.n_fields = 2);
    BAD(r.head.n_fields = 65535);
    BAD(r.head.n_bytes = 33);
    BAD(r.head.content_length = -2);
    BAD(r.field.name_off = 31);
    BAD(r.field.name_len = 0);
    BAD(r.field.value_len = 0xfffffff0);
    BAD(r.field.id = HDR_MAX);
#undef BAD
    r = good_request();
    assert_false(message_decode_request(&r, sizeof(r.head) - 1, &m));
}

static void header_lines_are_checked(void **state)
{
    static const struct {
        const char *block;
        bool ok;
    } rows[] = {
        {"", true},
        {"Content-Type: text/html\r\n", true},
        {"A: b\r\nX-Y: \x80\xff\r\n", true},
        {"A: b\n", false},
        {"A: b", false},
        {"A b\r\n", false},
        {": b\r\n", false},
        {"A : b\r\n", false},
        {"A: b\rc\r\n", false},
        {"\r\n", false},
        {"A: b\r\n\r\nHTTP/1.1 200 OK\r\n", false},
        {" A: folded\r\n", false},
        {"Content-Length: 5\r\n", false},
        {"transfer-encoding: chunked\r\n", false},
        {"Connection: close\r\n", false},
        {"Date: x\r\n", false},
        {"Keep-Alive: x\r\n", false},
        {"Trailer: x\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("  %zu\n", i);
        assert_int_equal(message_header_block_ok(str_z(rows[i].block)), rows[i].ok);
    }
    assert_false(message_header_block_ok(STR("A: b\0c\r\n")));
}

static void response_sizes_are_checked(void **state)
{
    struct msg_response good = {.status = 200, .headers_len = 10, .body_len = 5};
    uint32_t n = sizeof(good) + 15;

    assert_true(message_response_ok(&good, n));
#define BAD(change)                                                                                \
    do {                                                                                           \
        struct msg_response h = good;                                                              \
        change;                                                                                    \
        assert_false(message_response_ok(&h, n));                                                  \
    } while (0)
    BAD(h.status = 199);
    BAD(h.status = 1000);
    BAD(h.substatus = 10000);
    BAD(h.body_len = 6);
    BAD(h.headers_len = 0xffffffff);
    BAD((h.user_len = 0x80000000, h.log_len = 0x80000000));
    BAD((h.flags = MSGR_LENGTH, h.content_length = -1));
#undef BAD
}

static void region_refuses_what_is_no_region(void **state)
{
    struct region r;
    int fd = region_create(2, 16384);

    assert_true(fd >= 0);
    assert_true(region_map(fd, &r));
    assert_int_equal(r.threads, 2);
    assert_true(r.request_size / 4 >= 16384 * 8);
    assert_true((char *)region_response_ring(&r, 1) + ring_bytes(r.response_size) <=
                (char *)r.mem + r.bytes);
    region_unmap(&r);
    close(fd);
    FILE *plain = tmpfile();

    assert_non_null(plain);
    assert_false(region_map(fileno(plain), &r));
    fclose(plain);
}

static void files_cross_with_their_handles(void **state)
{
    int sock[2], fd = -1;
    uint32_t handle = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
    assert_int_equal(region_recv_file(sock[1], &handle, &fd), 0);
    assert_true(region_send_file(sock[0], 77, STDIN_FILENO));
    assert_int_equal(region_recv_file(sock[1], &handle, &fd), 1);
    assert_int_equal(handle, 77);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(write(sock[0], "junk", 4), 4);
    assert_int_equal(region_recv_file(sock[1], &handle, &fd), -1);
    close(sock[0]);
    close(sock[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_keep_their_order_and_bytes_across_many_turns),
        cmocka_unit_test(a_full_ring_refuses_and_marks_the_producer_starved),
        cmocka_unit_test(only_a_sleeper_is_woken_and_only_once),
        cmocka_unit_test(a_lying_producer_is_found_out),
        cmocka_unit_test(a_lying_consumer_cannot_move_the_producer),
        cmocka_unit_test(two_threads_agree),
        cmocka_unit_test(request_offsets_are_checked),
        cmocka_unit_test(header_lines_are_checked),
        cmocka_unit_test(response_sizes_are_checked),
        cmocka_unit_test(region_refuses_what_is_no_region),
        cmocka_unit_test(files_cross_with_their_handles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
