#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "config/secrets.h"

static void identities_are_masked_and_nothing_else(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"<processModel identityType=\"SpecificUser\" userName=\"bob\" password=\"s3cret\" />",
         "<processModel identityType=\"SpecificUser\" userName=\"***\" password=\"******\" />"},
        {"<processModel\n  password = 'a\nb'\tuserName='x'>", "<processModel\n  password = '*\n*'\tuserName='*'>"},
        {"<processModel idleTimeout='password=\"x\"' />", "<processModel idleTimeout='password=\"x\"' />"},
        {"<processModel /><virtualDirectory password=\"x\" />",
         "<processModel /><virtualDirectory password=\"x\" />"},
        {"<processModel password=\"open", "<processModel password=\"****"},
        {"<processModel password", "<processModel password"},
        {"<processModel", "<processModel"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i].in);
        char *p = memcpy(xmalloc(n), rows[i].in, n); /* exact, for the sanitizer */
        config_mask_process_identities(p, n);
        assert_memory_equal(p, rows[i].want, n);
        free(p);
    }
}

static void sixteen_bits_too(void **state)
{
    static const char text[] = "<processModel password=\"pw\"/>";
    static const char want[] = "<processModel password=\"**\"/>";

    for (int big = 0; big < 2; big++) {
        char p[2 + 2 * (sizeof(text) - 1)], w[sizeof(p)];
        p[0] = w[0] = (char)(big ? 0xfe : 0xff);
        p[1] = w[1] = (char)(big ? 0xff : 0xfe);
        for (size_t i = 0; i + 1 < sizeof(text); i++) {
            p[2 + 2 * i + (size_t)big] = text[i];
            w[2 + 2 * i + (size_t)big] = want[i];
            p[3 + 2 * i - (size_t)big] = w[3 + 2 * i - (size_t)big] = 0;
        }
        config_mask_process_identities(p, sizeof(p));
        assert_memory_equal(p, w, sizeof(p));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_are_masked_and_nothing_else),
        cmocka_unit_test(sixteen_bits_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
