/* Whose answers are whose in the response cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rc.h"
#include "response_cache_fixture.h"
#include "base/poison.h"

/* ---- keys ----------------------------------------------------------------------------------- */

static void each_part_of_the_key_counts(void **state)
{
    struct cache_fixture f = cache_start(NULL);
    struct response_cache_key stored = f.key;

    assert_int_equal(cache_store(&f), CACHE_OK);
#define MISS(change)                 \
    do {                             \
        f.key = stored;              \
        f.key.change;                \
        assert_null(cache_find(&f)); \
    } while (0)
    MISS(host = STR("www.example.tesx"));
    MISS(host = STR(""));
    MISS(path = STR("/A.html"));
    MISS(path = STR("/a.htm"));
    MISS(raw = STR("/a%2ehtml"));
    MISS(generation = 8);
    MISS(site = 2);
    MISS(port = 81);
    MISS(tls = true);
#undef MISS
    f.key = stored;
    f.key.host = STR("WWW.Example.TEST");
    assert_non_null(cache_find(&f));
    assert_int_equal(cache_stats_of(&f).hits, 1);
    assert_int_equal(cache_stats_of(&f).misses, 9);
    response_cache_free(f.cache);
}

static void a_spelling_has_an_entry_of_its_own(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    f.key.path = STR("/my file");
    f.key.raw = STR("/my%20file");
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_non_null(cache_find(&f));
    f.key.raw = STR("/my%20fil%65");
    assert_null(cache_find(&f));
    f.offer.body = STR("other");
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_int_equal(cache_stats_of(&f).entries, 2);
    assert_int_equal(response_cache_flush(f.cache, 1, STR("/my file"), false, 5), 2);
    response_cache_free(f.cache);
}

static void accept_must_cover_the_type(void **state)
{
    static const struct {
        const char *accept;
        bool want;
    } rows[] = {
        {NULL, true},       {"*/*", true},  {"text/html", true}, {"text/*, x/y", true},
        {"image/*", false}, {"a/b", false}, {"*/*;q=0", false},  {"image/*, */*;q=0.1", true},
    };
    struct cache_fixture f = cache_start(NULL);

    assert_int_equal(cache_store(&f), CACHE_OK);
    for (unsigned round = 0; round < 2; round++) /* the second time from memory */
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            f.key.accept = rows[i].accept ? str_z(rows[i].accept) : STR_NULL;
            if ((cache_find(&f) != NULL) != rows[i].want)
                fail_msg("%s", rows[i].accept);
        }
    f.head.status = 301; /* goes to everybody */
    assert_int_equal(cache_store(&f), CACHE_OK);
    f.key.accept = STR("image/*");
    assert_non_null(cache_find(&f));
    response_cache_free(f.cache);
}

static const char *body_for(struct cache_fixture *f, const char *accept_encoding)
{
    f->key.accept_encoding = accept_encoding ? str_z(accept_encoding) : STR_NULL;
    const struct cached_response *r = cache_find(f);

    return r ? cached_response_body(r).p : NULL;
}

static void variants_by_accept_encoding(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    f.offer.lines = STR("Vary: Accept-Encoding\r\nETag: \"a\"\r\n");
    f.offer.body = STR("plain");
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_non_null(body_for(&f, NULL));
    assert_non_null(body_for(&f, "identity"));
    assert_null(body_for(&f, "gzip")); /* the worker might compress for it */

    f.offer.lines = STR("Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\nETag: \"a\"\r\n");
    f.offer.body = STR("zzzzz");
    f.key.accept_encoding = STR("deflate, gzip");
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_int_equal(cache_stats_of(&f).entries, 2);
    assert_memory_equal(body_for(&f, "gzip, deflate"), "zzzzz", 5);
    assert_memory_equal(body_for(&f, NULL), "plain", 5);
    assert_null(body_for(&f, "gzip"));
    assert_null(body_for(&f, "gzip, deflate;q=0.5"));
    f.key.accept_encoding = STR("deflate, gzip");
    char out[CACHED_HEAD_MAX];
    size_t n =
        cached_response_write(cache_find(&f), CACHED_NOT_MODIFIED, CACHED_KEEP, CACHE_DATE, out);

    assert_int_equal(str_find(str_n(out, n), STR("Content-Encoding")), SIZE_MAX);

    f.offer.lines = STR("ETag: \"b\"\r\n"); /* it does not vary any more */
    f.offer.body = STR("again");
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_int_equal(cache_stats_of(&f).entries, 1);
    assert_memory_equal(body_for(&f, "gzip;q=0.5, br"), "again", 5);

    f.offer.lines = STR("Vary: Accept-Encoding\r\n");
    f.key.accept_encoding = STR_NULL;
    assert_int_equal(cache_store(&f), CACHE_OK); /* and now it does again */
    assert_int_equal(cache_stats_of(&f).entries, 1);
    response_cache_free(f.cache);
}

static void variants_are_bounded(void **state)
{
    static const char *const names[] = {"gzip", "deflate", "br", "zstd"};
    struct cache_fixture f = cache_start(NULL);
    unsigned kept = 0, refused = 0;

    f.offer.lines = STR("Vary: Accept-Encoding\r\n");
    for (unsigned set = 0; set < 32; set++) {
        char value[64];
        int n = snprintf(value, sizeof(value), "identity%s", set & 16 ? ";q=0" : "");
        for (unsigned i = 0; i < 4; i++)
            if (set >> i & 1)
                n += snprintf(value + n, sizeof(value) - (size_t)n, ",%s", names[i]);
        f.key.accept_encoding = str_n(value, (size_t)n);
        enum response_cache_why why = cache_store(&f);
        kept += why == CACHE_OK;
        refused += why == CACHE_VARIANTS;
    }
    assert_int_equal(kept, RESPONSE_CACHE_VARIANTS_MAX);
    assert_int_equal(refused, 32 - RESPONSE_CACHE_VARIANTS_MAX);
    response_cache_free(f.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_of_the_key_counts),
        cmocka_unit_test(a_spelling_has_an_entry_of_its_own),
        cmocka_unit_test(accept_must_cover_the_type),
        cmocka_unit_test(variants_by_accept_encoding),
        cmocka_unit_test(variants_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
