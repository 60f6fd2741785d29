/* Views, buffers, arenas, hashes, control messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/ipc.h"

static void numbers_are_whole_and_bounded(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t want;
    } rows[] = {
        {"0", UINT64_MAX, true, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"65535", 65535, true, 65535},
        {"65536", 65535, false, 0},
        {"", UINT64_MAX, false, 0},
        {"+1", UINT64_MAX, false, 0},
        {"-1", UINT64_MAX, false, 0},
        {" 1", UINT64_MAX, false, 0},
        {"1 ", UINT64_MAX, false, 0},
        {"1_0", UINT64_MAX, false, 0},
        {"0x10", UINT64_MAX, false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t v = 0;
        print_message("  \"%s\"\n", rows[i].text);
        assert_int_equal(str_u64(str_z(rows[i].text), rows[i].max, &v), rows[i].ok);
        assert_int_equal(v, rows[i].want);
    }
    uint64_t v;
    int64_t s;

    assert_true(str_u64_any(STR("0xfFfF"), UINT64_MAX, &v));
    assert_int_equal(v, 65535);
    assert_false(str_u64_any(STR("0x"), UINT64_MAX, &v));
    assert_false(str_u64_any(STR("0x11112222333344445"), UINT64_MAX, &v));
    assert_true(str_i64(STR("-9223372036854775808"), &s));
    assert_true(s == INT64_MIN);
    assert_false(str_i64(STR("9223372036854775808"), &s));
}

static void views_are_searched_cut_and_split(void **state)
{
    struct str rest = STR("a,,b"), part;

    assert_true(str_split(&rest, ',', &part) && str_eq(part, STR("a")));
    assert_true(str_split(&rest, ',', &part) && part.n == 0);
    assert_true(str_split(&rest, ',', &part) && str_eq(part, STR("b")));
    assert_false(str_split(&rest, ',', &part));
    assert_true(str_eq(str_sub(STR("hello"), 1, 99), STR("ello")));
    assert_int_equal(str_sub(STR("hello"), 9, 3).n, 0);
    assert_true(str_eq(str_trim(STR(" \ta b\t ")), STR("a b")));
    assert_true(str_eq(str_trim_all(STR("\r\n")), STR("")));
    assert_int_equal(str_find(STR("abcabc"), STR("ca")), 2);
    assert_int_equal(str_ifind(STR("abCAbc"), STR("ca")), 2);
    assert_int_equal(str_find(STR("abc"), STR("x")), SIZE_MAX);
    assert_int_equal(str_rfind_char(STR("a/b/c"), '/'), 3);
    assert_true(str_istarts(STR("Content-Type"), STR("content")));
    assert_false(str_istarts(STR("Con"), STR("content")));
    assert_true(str_iends(STR("a.HTM"), STR(".htm")));
    assert_true(str_icmp(STR("abc"), STR("ABD")) < 0);
    assert_true(str_ieq(STR_NULL, STR("")));
}

static void a_buffer_stops_at_its_ceiling(void **state)
{
    struct buf b;

    buf_init(&b, 1000);
    for (int i = 0; i < 200; i++)
        buf_str(&b, STR("0123456789"));
    assert_int_equal(b.n, 1000);
    assert_true(b.overflow);
    buf_consume(&b, 995);
    assert_true(str_eq(buf_view(&b), STR("56789")));
    buf_clear(&b);
    buf_html(&b, STR("<a href=\"x\">'&\x01"));
    assert_true(str_eq(buf_view(&b), STR("&lt;a href=&quot;x&quot;&gt;&#39;&amp;?")));
    buf_clear(&b);
    buf_printf(&b, "%d-%s", 7, "x");
    buf_u64(&b, UINT64_MAX);
    assert_true(str_eq(buf_view(&b), STR("7-x18446744073709551615")));
    buf_fini(&b);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void an_arena_keeps_alignment_limit_and_cleanups(void **state)
{
    struct arena a;
    int ended = 0;

    arena_init(&a, 100000);
    for (int i = 0; i < 500; i++)
        assert_int_equal((uintptr_t)arena_alloc(&a, (size_t)i % 37 + 1) % 16, 0);
    arena_on_end(&a, count, &ended);
    arena_on_end(&a, count, &ended);
    assert_null(arena_alloc(&a, 200000));
    assert_non_null(arena_alloc(&a, 50000));
    assert_null(arena_alloc(&a, 50000));
    arena_reset(&a);
    assert_int_equal(ended, 2);
    char *first = arena_alloc(&a, 10);
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 10), first); /* the first chunk stays */
    struct str s = arena_printf(&a, "%s:%d", "a", 5);

    assert_string_equal(s.p, "a:5");
    assert_string_equal(arena_dup_z(&a, STR("xy")), "xy");
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_fini(&a);
    assert_int_equal(ended, 2);
}

static void hashes_fold_letter_case_only_where_asked(void **state)
{
    static const char *const pairs[][2] = {
        {"abc", "ABC"}, {"/Images/Product-One.JPG", "/images/product-one.jpg"}, {"[@`{", "[@`{"}};

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        assert_int_equal(hash_ibytes(pairs[i][0], strlen(pairs[i][0])),
                         hash_ibytes(pairs[i][1], strlen(pairs[i][1])));
    assert_int_not_equal(hash_bytes("abc", 3), hash_bytes("ABC", 3));
    /* '@' and '`', '[' and '{' differ by the bit that letter case flips, and must not fold. */
    assert_int_not_equal(hash_ibytes("@", 1), hash_ibytes("`", 1));
    assert_int_not_equal(hash_ibytes("[", 1), hash_ibytes("{", 1));
    assert_int_not_equal(hash_bytes("", 0), hash_bytes("\0", 1));
}

static void messages_of_any_size_cross_with_descriptors(void **state)
{
    static const size_t sizes[] = {1, 1000, IPC_INLINE_MAX - 100, IPC_INLINE_MAX + 100, 3000000};
    int sock[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sock), 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *text = xmalloc(sizes[i] + 1);
        int fds[IPC_MAX_FDS], pipe_fds[2];
        size_t n = 99;
        json_t *got = NULL;

        memset(text, 'x', sizes[i]);
        text[sizes[i]] = '\0';
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        json_t *msg = json_pack("{s:s, s:s}", "type", "t", "text", text);
        assert_true(ipc_send(sock[0], msg, pipe_fds, 2));
        json_decref(msg);
        assert_int_equal(ipc_recv(sock[1], &got, fds, &n), 1);
        assert_int_equal(n, 2);
        assert_string_equal(ipc_get_str(got, "text", ""), text);
        assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(write(fds[1], "y", 1), 1);
        json_decref(got);
        for (int k = 0; k < 2; k++) {
            close(fds[k]);
            close(pipe_fds[k]);
        }
        free(text);
    }
    json_t *none = NULL;
    int fds[IPC_MAX_FDS];
    size_t n;

    assert_int_equal(ipc_recv(sock[1], &none, fds, &n), 0);
    assert_int_equal(send(sock[0], "Jnot json", 9, 0), 9);
    assert_int_equal(ipc_recv(sock[1], &none, fds, &n), -1);
    assert_int_equal(send(sock[0], "J[1]", 4, 0), 4); /* an object is wanted */
    assert_int_equal(ipc_recv(sock[1], &none, fds, &n), -1);
    close(sock[0]);
    assert_int_equal(ipc_recv(sock[1], &none, fds, &n), -1);
    close(sock[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_and_bounded),
        cmocka_unit_test(views_are_searched_cut_and_split),
        cmocka_unit_test(a_buffer_stops_at_its_ceiling),
        cmocka_unit_test(an_arena_keeps_alignment_limit_and_cleanups),
        cmocka_unit_test(hashes_fold_letter_case_only_where_asked),
        cmocka_unit_test(messages_of_any_size_cross_with_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
