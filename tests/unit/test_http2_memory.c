/* The lists that nghttp2 allocates from. Builds that watch each allocation do without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "listener/http2.h"

static void pieces_keep_their_content(void **state)
{
    nghttp2_mem *m = *state;
    unsigned char *p[200];

    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(p); i++) {
            p[i] = m->malloc(i * 9, m->mem_user_data);
            assert_non_null(p[i]);
            assert_int_equal((uintptr_t)p[i] % 16, 0);
            memset(p[i], (int)i, i * 9);
        }
        for (size_t i = 0; i < ARRAY_LEN(p); i++) {
            p[i] = m->realloc(p[i], i * 9 + 500, m->mem_user_data);
            assert_non_null(p[i]);
            for (size_t k = 0; k < i * 9; k++)
                assert_int_equal(p[i][k], i);
            m->free(p[i], m->mem_user_data);
        }
    }
}

static void a_freed_piece_is_used_again(void **state)
{
    nghttp2_mem *m = *state;
    void *one = m->malloc(100, m->mem_user_data);

    m->free(one, m->mem_user_data);
    assert_ptr_equal(m->malloc(120, m->mem_user_data), one);
    memset(one, 0xff, 120);
    m->free(one, m->mem_user_data);
    unsigned char *zeroed = m->calloc(4, 30, m->mem_user_data);

    assert_ptr_equal(zeroed, one);
    for (int i = 0; i < 120; i++)
        assert_int_equal(zeroed[i], 0);
    m->free(zeroed, m->mem_user_data);
    m->free(NULL, m->mem_user_data);
}

static void sizes_that_overflow_are_refused(void **state)
{
    nghttp2_mem *m = *state;

    assert_null(m->calloc(SIZE_MAX / 2, 3, m->mem_user_data));
    assert_null(m->malloc(SIZE_MAX - 5, m->mem_user_data));
}

static int set_up(void **state)
{
    *state = http2_memory_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    http2_memory_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_keep_their_content),
        cmocka_unit_test(a_freed_piece_is_used_again),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    nghttp2_mem *m = http2_memory_new();

    if (!m)
        return 77; /* skipped: this build watches each allocation */
    http2_memory_free(m);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
