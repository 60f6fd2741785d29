#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/str.h"
#include "http/response1.h"

static void chunk_heads(void **state)
{
    static const struct {
        uint64_t n;
        const char *want;
    } rows[] = {
        {1, "1\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {0xABCDE, "abcde\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"}, {0x1000000000000000, "1000000000000000\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[RESPONSE1_CHUNK_HEAD_MAX];
        size_t n = response1_chunk_head(out, rows[i].n);

        assert_true(str_eq(str_n(out, n), str_z(rows[i].want)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chunk_heads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
