/* Reader of W3C-like logs: layouts, records, what does not fit. */
#include "diagnose/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "diagnose/unit.h"

#define DEFAULT_FIELDS                                                                    \
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip " \
    "cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\r\n"
#define HTTPERR_FIELDS                                                                           \
    "#Fields: date time c-ip c-port s-ip s-port cs-version cs-method cs-uri streamid sc-status " \
    "s-siteid s-reason s-queuename\r\n"

static const struct tally_sizes sizes = {
    .urls = 64, .clients = 128, .pairs = 1024, .keys = 64, .paces = 16};

struct result {
    struct unit_stats stats;
    struct tally *tally;
};

static struct result read_text(unsigned width, const char *text)
{
    struct result r = {.tally = tally_new(&sizes)};
    struct sink sink = {.tally = r.tally, .stats = &r.stats};
    struct columns c;
    size_t n = strlen(text);
    char *p = calloc(1, n + 1 + BUFFER_SLACK);

    assert_non_null(p);
    memcpy(p, text, n);
    if (n == 0 || p[n - 1] != '\n')
        p[n++] = '\n';
    unit_stats_init(&r.stats);
    columns_init(&c, &sink);
    columns_lines_with(width, &c, p, p + n);
    tally_flush(r.tally);
    tally_settle(r.tally);
    columns_fini(&c);
    free(p);
    return r;
}

static void end(struct result *r)
{
    unit_stats_fini(&r->stats);
    tally_free(r->tally);
}

/* What a text must count; key is the first outcome's. */
static const struct {
    const char *name, *text;
    enum log_kind kind;
    uint64_t records, not_understood, refitted, odd;
    uint32_t status, substatus;
    uint64_t win32;
    int64_t first_s;
} rows[] = {
    {"default layout",
     DEFAULT_FIELDS "2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 404 8 0 15\r\n",
     LOG_W3C, 1, 0, 0, 0, 404, 8, 0, 1773475201},
    {"win32 above 2^31",
     DEFAULT_FIELDS
     "2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 401 1 2148074254 15\n",
     LOG_W3C, 1, 0, 0, 0, 401, 1, 2148074254, 1773475201},
    {"directives out of order, last line without end",
     "#Date: 2026-03-14 00:00:00\n" DEFAULT_FIELDS
     "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n"
     "2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 200 0 0 15",
     LOG_W3C, 1, 0, 0, 0, 200, 0, 0, 1773475201},
    {"short record", DEFAULT_FIELDS "2026-03-14 08:00:01 10.0.0.4 GET /a - 443\n", LOG_UNKNOWN, 0,
     1, 0, 0, 0, 0, 0, RECORD_NO_TIME},
    {"an empty value written as nothing",
     DEFAULT_FIELDS "2026-03-14 08:00:01 ::1 POST /ps a=b 444  dom\\u ::1 UA - 200 0 0 15\n",
     LOG_W3C, 1, 0, 1, 0, 200, 0, 0, 1773475201},
    {"a record of another layout under the header",
     DEFAULT_FIELDS
     "2026-03-14 08:00:01 W3SVC1 WEB 10.0.0.4 GET /a - 443 - 192.0.2.7 HTTP/1.1 UA - - "
     "example.com 500 19 50 10 20 30\n",
     LOG_W3C, 1, 0, 1, 0, 500, 19, 50, 1773475201},
    {"no header, 16 columns with X-Forwarded-For",
     "2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 200 0 0 15 198.51.100.1\n",
     LOG_W3C, 1, 0, 0, 0, 200, 0, 0, 1773475201},
    {"no date column: the header's day, and the next one after midnight",
     "#Date: 2026-03-14 08:00:01\n#Fields: time c-ip cs-method cs-uri-stem sc-status\n"
     "08:00:01 192.0.2.1 GET /a 200\n",
     LOG_W3C, 1, 0, 0, 0, 200, 0, 0, 1773475201},
    {"Advanced Logging: quotes, blanks and doubled quotes",
     "#Software: IIS Advanced Logging Module\n#Fields:   date time   s-ip cs-method cs-uri-stem "
     "cs(User-Agent) sc-status sc-substatus TimeTakenMS\n"
     "2026-03-14 08:00:01.363 10.0.0.4 GET /a \"an \"\"odd\"\" agent\" 404 7 109\n",
     LOG_W3C, 1, 0, 0, 0, 404, 7, 0, 1773475201},
    {"a quoted cookie in a plain log",
     "#Fields: date time cs-method cs-uri-stem cs(Cookie) sc-status sc-substatus\n"
     "2026-03-14 08:00:01 GET /a \"a=b; c=d\" 200 0\n",
     LOG_W3C, 1, 0, 0, 0, 200, 0, 0, 1773475201},
    {"FTP: win32 before the sub-status",
     "#Fields: date time c-ip cs-username s-ip s-port cs-method cs-uri-stem sc-status "
     "sc-win32-status "
     "sc-substatus x-session x-fullpath\n"
     "2026-03-14 08:00:01 192.0.2.1 - 10.0.0.4 21 USER joe 534 5 25 abc -\n",
     LOG_FTP, 1, 0, 0, 0, 534, 25, 5, 1773475201},
    {"IIS 4 FTP by its verb",
     "#Date: 2026-03-14 00:00:00\n#Fields: time c-ip cs-method cs-uri-stem sc-status\n"
     "08:00:01 192.0.2.1 [2]USER anonymous 331\n",
     LOG_FTP, 1, 0, 0, 0, 331, 0, 0, 1773475201},
    {"HTTPERR",
     HTTPERR_FIELDS
     "2026-03-14 08:00:01 192.0.2.9 51000 10.0.0.4 80 HTTP/1.1 GET /x?y - 503 1 QueueFull Shop\r\n",
     LOG_HTTPERR, 1, 0, 0, 0, 503, 0, 0, 1773475201},
    {"HTTPERR of 13 values under a header of 14",
     HTTPERR_FIELDS
     "2026-03-14 08:00:01 192.0.2.9 51000 10.0.0.4 80 HTTP/1.1 GET /x 503 1 QueueFull Shop\r\n",
     LOG_HTTPERR, 1, 0, 1, 0, 503, 0, 0, 1773475201},
    {"HTTPERR without header",
     "2026-03-14 08:00:01 192.0.2.9 51000 10.0.0.4 80 - 145.ll|'|Win 7 - 400 - BadRequest -\n",
     LOG_HTTPERR, 1, 0, 0, 0, 400, 0, 0, 1773475201},
    {"NULs before a block",
     "\x01" DEFAULT_FIELDS
     "2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 200 0 0 15\n",
     LOG_W3C, 1, 1, 0, 0, 200, 0, 0, 1773475201},
    {"a value that is no number",
     DEFAULT_FIELDS "2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 404 x 0 15\n",
     LOG_W3C, 1, 0, 0, 1, 404, 0, 0, 1773475201},
};

static const unsigned widths[] = {0, 16, 32, 64};

static void test_rows(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(widths); i++) {
        size_t at = i / ARRAY_LEN(widths);
        unsigned width = widths[i % ARRAY_LEN(widths)];
        if (!columns_has_width(width))
            continue;
        struct result r = read_text(width, rows[at].text);
        uint64_t win32 = r.tally->key_n ? r.tally->keys[0]->win32 : 0;
        uint32_t status = r.tally->key_n ? r.tally->keys[0]->status : 0;
        uint32_t substatus = r.tally->key_n ? r.tally->keys[0]->substatus : 0;

        if (r.stats.records != rows[at].records ||
            r.stats.not_understood != rows[at].not_understood ||
            r.stats.refitted != rows[at].refitted || r.stats.odd_values != rows[at].odd ||
            r.stats.first_s != rows[at].first_s || win32 != rows[at].win32 ||
            status != rows[at].status || substatus != rows[at].substatus ||
            r.stats.kind != rows[at].kind)
            fail_msg(
                "%s (width %u): records %llu, misfits %llu, refitted %llu, odd %llu, %u.%u.%llu, "
                "first %lld, kind %s",
                rows[at].name, width, (unsigned long long)r.stats.records,
                (unsigned long long)r.stats.not_understood, (unsigned long long)r.stats.refitted,
                (unsigned long long)r.stats.odd_values, status, substatus,
                (unsigned long long)win32, (long long)r.stats.first_s, log_kind_name(r.stats.kind));
        end(&r);
    }
}

static void test_day_change(void **state)
{
    struct result r =
        read_text(16, "#Date: 2026-03-14 23:59:00\n#Fields: time c-ip cs-uri-stem sc-status\n"
                      "23:59:59 192.0.2.1 /a 200\n00:00:01 192.0.2.1 /a 200\n");

    assert_int_equal(r.stats.first_s, 1773532799);
    assert_int_equal(r.stats.last_s, 1773532801);
    end(&r);
}

/* The layout changes within the file, and changes back. */
static void test_layout_change(void **state)
{
    struct result r = read_text(
        16, DEFAULT_FIELDS
        "2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 404 8 0 15\n"
        "#Fields: date time sc-status cs-uri-stem\n2026-03-14 08:00:02 500 /b\n" DEFAULT_FIELDS
        "2026-03-14 08:00:03 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - 404 8 0 15\n");

    assert_int_equal(r.stats.records, 3);
    assert_int_equal(r.stats.not_understood, 0);
    assert_int_equal(r.tally->key_n, 2);
    assert_int_equal(r.tally->keys[0]->count, 2);
    assert_int_equal(r.tally->by_class[5], 1);
    end(&r);
}

/* Positions around the 64 bytes that the splitter takes at once. */
static void test_every_length(void **state)
{
    for (unsigned n = 1; n < 200; n++) {
        char text[1000], url[201];
        memset(url, 'x', n);
        url[n] = '\0';
        int len = snprintf(text, sizeof(text),
                           "#Fields: date time cs-uri-stem sc-status\n2026-03-14 08:00:01 /%s 404\n"
                           "2026-03-14 08:00:01 /%s 200\n",
                           url, url);
        assert_true(len > 0 && (size_t)len < sizeof(text));
        unsigned width = widths[n % ARRAY_LEN(widths)];
        struct result r = read_text(columns_has_width(width) ? width : 16, text);
        assert_int_equal(r.stats.records, 2);
        assert_int_equal(r.tally->by_class[4], 1);
        assert_int_equal(r.tally->urls.n, 1);
        end(&r);
    }
}

/* As many values in the 64 bytes that the splitter takes at once as there can be. */
static void test_every_density(void **state)
{
    for (unsigned n = 1; n < 100; n++) {
        for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
            struct buf b;
            buf_init(&b, 1 << 16);
            buf_str(&b, STR("#Fields: date time cs-uri-stem"));
            for (unsigned i = 0; i < n; i++)
                buf_printf(&b, " x%u", i);
            buf_str(&b, STR(" sc-status"));
            for (unsigned line = 0; line < 3; line++) {
                buf_printf(&b, "\n2026-03-14 08:00:01 /%u", n);
                for (unsigned i = 0; i < n; i++)
                    buf_str(&b, STR(" -"));
                buf_printf(&b, " %u", 400 + line);
            }
            buf_char(&b, '\0');
            struct result r = read_text(columns_has_width(widths[w]) ? widths[w] : 16, b.p);
            assert_int_equal(r.stats.records, 3);
            assert_int_equal(r.stats.odd_values, 0);
            assert_int_equal(r.tally->key_n, 3);
            for (unsigned line = 0; line < 3; line++)
                assert_int_equal(r.tally->keys[line]->status, 400 + line);
            end(&r);
            buf_fini(&b);
        }
    }
}

/* The ends of HTTPERR lines: with the usual columns each is looked at once, with others each time.
 */
#define USUAL_COLUMNS                                                                            \
    "#Fields: date time c-ip c-port s-ip s-port cs-version cs-method cs-uri streamid sc-status " \
    "s-siteid s-reason s-queuename transport"
#define OTHER_COLUMNS                                                                        \
    "#Fields: date time s-reason sc-status s-siteid s-queuename transport c-ip c-port s-ip " \
    "s-port cs-version cs-method cs-uri streamid"

static struct result read_httperr(bool is_usual)
{
    static const char *const status[] = {"-", "503", "400", "503", "-", "503"},
                             *const reasons[] = {"Timer_ConnectionIdle",
                                                 "QueueFull",
                                                 "Hostname",
                                                 "AppOffline",
                                                 "Connection_Abandoned_By_ReqQueue",
                                                 "N/A"},
                             *const queues[] = {"-",
                                                "Shop",
                                                "-",
                                                "Api",
                                                "APoolWhoseNameIsLongerThanWhatIsKeptOfALine",
                                                "Shop"};
    struct buf b;

    buf_init(&b, 1 << 22);
    buf_str(&b, is_usual ? STR(USUAL_COLUMNS) : STR(OTHER_COLUMNS));
    for (unsigned i = 0; i < 12000; i++) {
        char way[100], end[200];
        size_t kind = i % 7 % ARRAY_LEN(reasons);
        /* As many different ends as there is room for, and more. */
        unsigned ends = i < 6000 ? 5 : 3000;
        const char *site = i % 5 ? i % 2 ? "1" : "2" : "-";
        snprintf(way, sizeof(way), "%u.%u.0.1 51000 10.0.0.4 80 HTTP/1.1 GET /a%c?x=%u -",
                 i % 3 + 1, i / 7 % 30, (char)('a' + i % 13), i);
        snprintf(end, sizeof(end), "%s t%u", queues[kind], i % ends);
        if (is_usual)
            buf_printf(&b, "\n2026-03-14 08:00:01 %s %s %s %s %s", way, status[kind], site,
                       reasons[kind], end);
        else
            buf_printf(&b, "\n2026-03-14 08:00:01 %s %s %s %s %s", reasons[kind], status[kind],
                       site, end, way);
    }
    buf_char(&b, '\0');
    struct result r = read_text(16, b.p);

    buf_fini(&b);
    return r;
}

static void same_few(const struct few *a, const struct few *b)
{
    assert_int_equal(a ? a->n : 0, b ? b->n : 0);
    for (uint32_t i = 0; a && i < a->n; i++) {
        uint32_t k = 0;
        while (k < b->n && b->at[k].hash != a->at[i].hash)
            k++;
        assert_true(k < b->n && b->at[k].count == a->at[i].count);
        assert_string_equal(b->at[k].name, a->at[i].name);
        assert_int_equal(a->at[i].error, 0);
    }
}

static void test_httperr_outcomes(void **state)
{
    struct result a = read_httperr(true), b = read_httperr(false);

    assert_non_null(a.tally->outcomes);
    assert_null(b.tally->outcomes);
    assert_int_equal(a.stats.records, 12000);
    assert_int_equal(a.tally->httperr_records, 12000);
    assert_int_equal(b.tally->httperr_records, 12000);
    assert_int_equal(a.tally->key_n, b.tally->key_n);
    for (size_t i = 0; i < a.tally->key_n; i++) {
        const struct key_row *k = a.tally->keys[i];
        const struct key_row *other =
            tally_key(b.tally, k->kind, k->status, 0, 0, str_n(k->reason, k->reason_n));
        assert_int_equal(k->count, other->count);
        assert_int_equal(k->first_s, other->first_s);
        same_few(k->sites, other->sites);
        same_few(k->queues, other->queues);
    }
    assert_int_equal(a.tally->site_n, 3);
    for (size_t i = 0; i < a.tally->site_n; i++)
        assert_int_equal(a.tally->sites[i]->httperr,
                         tally_site(b.tally, str_z(a.tally->sites[i]->name))->httperr);
    /* Rows are made in the same order in both. */
    assert_int_equal(a.tally->clients.n, b.tally->clients.n);
    assert_int_equal(a.tally->key_clients.n, b.tally->key_clients.n);
    for (uint32_t i = 0; i < a.tally->key_clients.cap; i++) {
        const struct pair *p = &a.tally->key_clients.at[i];
        if (p->key != PAIR_FREE)
            assert_int_equal(p->count, pairs_at(&b.tally->key_clients, p->key)->count);
    }
    end(&a);
    end(&b);
}

/* More columns than a line of the fast way may have. */
static void test_many_columns(void **state)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_str(&b, STR("#Fields: date time sc-status"));
    for (int i = 0; i < 300; i++)
        buf_printf(&b, " x%d", i);
    buf_str(&b, STR("\n2026-03-14 08:00:01 404"));
    for (int i = 0; i < 300; i++)
        buf_str(&b, STR(" v"));
    buf_char(&b, '\0');
    struct result r = read_text(16, b.p);

    assert_int_equal(r.stats.records, 1);
    assert_int_equal(r.tally->by_class[4], 1);
    end(&r);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_day_change),
        cmocka_unit_test(test_layout_change), cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_every_density), cmocka_unit_test(test_httperr_outcomes),
        cmocka_unit_test(test_many_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
