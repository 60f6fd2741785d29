/* Sketches, tables with a limit, and small parsers. */
#include "diagnose/sketch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "diagnose/lines.h"
#include "diagnose/quick_hash.h"
#include "diagnose/table.h"
#include "diagnose/text.h"

static void test_histogram(void **state)
{
    static uint64_t cells[HIST_CELLS(5, 36)];

    for (uint64_t v = 0; v < 5000000; v = v * 17 / 16 + 1) {
        uint64_t error, middle = hist_value(hist_cell(v, 5, ARRAY_LEN(cells)), 5, &error);
        if (v + error < middle || v > middle + error || (v >= 64 && error * 32 > v))
            fail_msg("%llu lies in a cell of %llu +- %llu", (unsigned long long)v,
                     (unsigned long long)middle, (unsigned long long)error);
    }
    for (uint64_t v = 1; v <= 1000; v++)
        cells[hist_cell(v, 5, ARRAY_LEN(cells))]++;
    uint64_t error,
        p50 = hist_value(hist_quantile64(cells, ARRAY_LEN(cells), 1000, 0.5), 5, &error);

    assert_in_range(500, p50 - error, p50 + error);
    assert_int_equal(hist_cell(UINT64_MAX, 5, ARRAY_LEN(cells)), ARRAY_LEN(cells) - 1);
}

static void test_distinct(void **state)
{
    static const uint32_t sizes[] = {0, 1, 256, 257, 5000, 200000};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct distinct a, b;
        uint64_t error;
        distinct_init(&a, 256, 11);
        distinct_init(&b, 256, 11);
        for (uint32_t v = 0; v < sizes[i]; v++) {
            distinct_add(v % 2 ? &a : &b, hash_bytes(&v, sizeof(v)));
            distinct_add(&a, hash_bytes(&v, sizeof(v)));
        }
        distinct_merge(&b, &a);
        uint64_t n = distinct_count(&b, &error);
        if (sizes[i] <= 256) {
            assert_int_equal(n, sizes[i]);
            assert_int_equal(error, 0);
        } else {
            assert_true(error > 0 && n + error >= sizes[i] && n <= sizes[i] + error);
        }
        distinct_fini(&a);
        distinct_fini(&b);
    }
}

/* Sizes on both sides of those where a sketch fills, and of the widths that reports use. */
static const struct {
    unsigned bits;
    uint32_t n, keys;
} sketches[] = {
    {11, 300, 400},   {11, 2000, 400}, {11, 5200, 400},  {11, 9000, 400},  {11, 60000, 200},
    {16, 20000, 100}, {16, 66000, 60}, {16, 165000, 60}, {16, 260000, 60}, {16, 900000, 20},
};

static struct quick_key numbered_key(uint64_t seed)
{
    uint64_t part[4];

    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        uint64_t numbers[] = {seed, i};
        part[i] = hash_bytes(numbers, sizeof(numbers)) | 1;
    }
    return (struct quick_key){part[0], part[1], part[2], part[3]};
}

/* Whatever the key: no estimate misses by more than its bound, the bound is what it says (four
 * standard errors), and they lean to neither side. */
static void test_distinct_bound(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(sketches); i++) {
        double sum = 0, squares = 0, n = sketches[i].n, runs = sketches[i].keys, bound = 0;
        for (uint32_t key = 0; key < sketches[i].keys; key++) {
            struct quick_key quick = numbered_key(key + 1000 * i);
            struct distinct d;
            uint64_t error;
            char name[40] = "2001:db8:0:17:";
            distinct_init(&d, 128, sketches[i].bits);
            for (uint32_t v = 0; v < sketches[i].n; v++) {
                for (size_t c = 0; c < 6; c++)
                    name[14 + c] = "0123456789abcdef"[v >> 4 * c & 15];
                distinct_add(&d, quick_hash(quick, str_n(name, 20)));
            }
            double miss = (double)distinct_count(&d, &error) - n;
            if (fabs(miss) > (double)error)
                fail_msg("%u bits, key %u: %.0f misses by %.0f, bound %llu", sketches[i].bits, key,
                         n, miss, (unsigned long long)error);
            sum += miss;
            squares += miss * miss;
            bound += (double)error / runs;
            distinct_fini(&d);
        }
        double mean = sum / runs, deviation = sqrt(squares / runs);
        if (fabs(mean) > 4 * deviation / sqrt(runs) || deviation > bound / 4 * 1.25)
            fail_msg("%u bits, %.0f: leans by %.1f, deviates by %.1f, bound %.1f", sketches[i].bits,
                     n, mean, deviation, bound);
    }
}

static void test_spans(void **state)
{
    struct spans s;
    uint64_t sum = 0;

    spans_init(&s, 16);
    for (int64_t t = -5000; t < 5000; t++)
        spans_at(&s, t)->v[0]++;
    spans_at(&s, (int64_t)253402300799)->v[0]++; /* the year 9999 */
    assert_true(s.n <= 16 && s.width_s > 1);
    struct span *sorted = spans_sorted(&s);
    for (uint32_t i = 0; i < s.n; i++) {
        sum += sorted[i].v[0];
        assert_true(i == 0 || sorted[i - 1].start_s < sorted[i].start_s);
    }
    assert_int_equal(sum, 10001);
    free(sorted);
    spans_fini(&s);
}

struct row {
    uint64_t weight, delta;
};

/* A frequent name survives a flood of others, with a bound that holds. */
static void test_table_forgets(void **state)
{
    struct table t;
    uint32_t n;

    table_init(&t, sizeof(struct row), 1000);
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t names[] = {i, UINT32_MAX - i % 3};
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            uint64_t hash = hash_bytes(&names[k], sizeof(names[k]));
            uint32_t row = table_find(&t, hash);
            if (row == INDEX_FREE) {
                if (table_is_full(&t))
                    free(table_purge(&t, &n));
                row = table_put(&t, hash, str_n((const char *)&names[k], sizeof(names[k])));
            }
            ((struct row *)table_row(&t, row))->weight++;
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t name = UINT32_MAX - i, row = table_find(&t, hash_bytes(&name, sizeof(name)));
        uint64_t want = 100000 / 3 + (i < 100000 % 3);
        assert_int_not_equal(row, INDEX_FREE);
        const struct row *r = table_row(&t, row);
        assert_true(r->weight <= want && r->weight + r->delta >= want);
        assert_memory_equal(table_name(&t, row).p, &name, sizeof(name));
    }
    table_fini(&t);
}

static void test_pairs(void **state)
{
    struct pairs p;
    uint32_t map[] = {INDEX_FREE, 0};

    pairs_init(&p, 4000);
    for (uint32_t i = 0; i < 50000; i++) {
        pairs_add(&p, pair_key(i, 7), 1);
        pairs_note(&p, pair_key(1, 1));
    }
    pairs_drain(&p);
    struct pair *at = pairs_at(&p, pair_key(1, 1));
    assert_true(at->count + at->delta >= 50000 && at->count <= 50000);
    pairs_renumber(&p, map, ARRAY_LEN(map));
    assert_int_equal(p.n, 1);
    assert_true(pairs_at(&p, pair_key(1, 0))->count > 40000);
    pairs_fini(&p);
}

static void test_few(void **state)
{
    struct few *f = NULL;

    for (uint64_t i = 1; i < 3000; i++) {
        few_add(&f, 1, STR("often"), 1, 0);
        few_add(&f, i + 10, STR("once"), 1, 0);
    }
    bool found = false;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->at[i].hash == 1) {
            found = true;
            assert_string_equal(f->at[i].name, "often");
            assert_true(f->at[i].count <= 2999 && f->at[i].count + f->at[i].error >= 2999);
        }
    assert_true(found && f->n == FEW_MAX);
    few_free(f);
}

static const struct {
    const char *url, *folded;
} urls[] = {
    {"/", "/"},
    {"", ""},
    {"/orders/4711/lines", "/orders/{n}/lines"},
    {"/4711", "/{n}"},
    {"/a/0f8fad5b-d9cb-469f-a165-70867728950e", "/a/{guid}"},
    {"/a/{0f8fad5b-d9cb-469f-a165-70867728950e}/b", "/a/{guid}/b"},
    {"/a/d41d8cd98f00b204e9800998ecf8427e", "/a/{hex}"},
    {"/deadbeefdeadbee7", "/{hex}"},
    {"/deadbeefdeadbeef", "/deadbeefdeadbeef"},
    {"/page2.aspx", "/page2.aspx"},
    {"/a//b/", "/a//b/"},
    {"/abcdefabcdefabcdef", "/abcdefabcdefabcdef"},
};

static void test_fold(void **state)
{
    char out[400];

    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct str got = {out, text_fold_url(str_z(urls[i].url), out, sizeof(out))};
        if (!str_eq(got, str_z(urls[i].folded)))
            fail_msg("%s: got %.*s", urls[i].url, STR_ARG(got));
    }
    assert_int_equal(text_fold_url(STR("/a/1234"), out, 4), 4);
}

static void test_times(void **state)
{
    int64_t t;

    assert_true(text_date(STR("1970-01-02"), &t) && t == 86400);
    assert_true(text_date(STR("2000-02-29"), &t) && t == 951782400);
    assert_false(text_date(STR("2000-13-01"), &t));
    assert_false(text_date(STR("1900-02-29"), &t) || text_date(STR("2026-02-29"), &t) ||
                 text_date(STR("2026-04-31"), &t));
    assert_true(text_date(STR("2028-02-29"), &t) && text_date(STR("2026-12-31"), &t));
    assert_true(text_clock(STR("7:55:20"), &t) && t == 28520);
    assert_true(text_clock(STR("17:00:00.363"), &t) && t == 61200);
    assert_false(text_clock(STR("24:00:00"), &t));
    assert_true(text_us_date(STR("03/20/01"), &t) && t == 985046400);
    assert_true(text_us_date(STR("6/10/2009"), &t) && t == 1244592000);
    assert_true(text_ncsa_time(STR("08/Apr/2001:17:39:04 -0800"), &t) && t == 986780344);
    assert_true(text_iso_time(STR("2023-07-17T13:04:44.056651+00:00"), &t) && t == 1689599084);
    assert_true(text_iso_time(STR("2023-07-17T15:04:44+02:00"), &t) && t == 1689599084);
    assert_false(text_iso_time(STR("2023-07-17T15:04"), &t));
}

static void test_lines(void **state)
{
    struct record r;

    assert_true(native_parse(
        STR("192.0.2.7, NT AUTHORITY\\LOCAL SERVICE, 6/10/2009, 10:11:59, W3SVC1, WEB, "
            "10.0.0.4, 46, 379, 336, 401, 2148074254, GET, /a,b, c, d=e, "),
        &r));
    assert_int_equal(r.status, 401);
    assert_int_equal(r.win32, 2148074254);
    assert_true(str_eq(r.url, STR("/a,b, c")));
    assert_true(str_eq(r.user, STR("NT AUTHORITY\\LOCAL SERVICE")));
    assert_false(native_parse(STR("192.0.2.7, -, 6/10/2009, 10:11:59, W3SVC1"), &r));
    assert_true(
        ncsa_parse(STR("example.com 192.0.2.7 - CORP\\ada lovelace [08/Apr/2001:17:39:04 -0800] "
                       "\"GET /a \"b\" HTTP/1.0\" 404 - \"-\" \"UA\""),
                   &r));
    assert_int_equal(r.status, 404);
    assert_true(str_eq(r.client, STR("192.0.2.7")) && str_eq(r.user, STR("CORP\\ada lovelace")));
    assert_true(str_eq(r.url, STR("/a \"b\"")));
    assert_false(ncsa_parse(STR("192.0.2.7 - - [yesterday] \"GET / HTTP/1.0\" 200 1"), &r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_distinct),
        cmocka_unit_test(test_distinct_bound),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_table_forgets),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_few),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
