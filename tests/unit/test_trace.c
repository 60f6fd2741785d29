/* Traces: reading whole and damaged ones, nesting and times, what failed, secrets, the catalogue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/report.h"

/* ---- traces made here ---- */

static struct buf made;
static unsigned now_ms;

static void begin(const char *attributes)
{
    if (!made.p)
        buf_init(&made, 64u << 20);
    buf_clear(&made);
    now_ms = 0;
    buf_printf(&made,
               "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\r\n<failedRequest "
               "url=\"http://h:80/a\" verb=\"GET\" siteId=\"7\" processId=\"42\" %s "
               "xmlns:freb=\"http://schemas.microsoft.com/win/2006/06/iis/freb\">\r\n",
               attributes);
}

/* data: "<Data …>" elements as they are; words likewise. */
static void add(const char *name, unsigned level, const char *data, const char *words)
{
    buf_printf(&made,
               "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\">\r\n"
               " <System>\r\n  <Provider Name=\"WWW Server\"/>\r\n  <Level>%u</Level>\r\n"
               "  <Opcode>1</Opcode>\r\n  <Keywords>0x0</Keywords>\r\n"
               "  <TimeCreated SystemTime=\"2026-01-05T09:30:%02u.%03uZ\"/>\r\n </System>\r\n"
               " <EventData>\r\n  <Data Name=\"ContextId\">{0}</Data>\r\n%s </EventData>\r\n"
               " <RenderingInfo Culture=\"en-US\">\r\n  <Opcode>%s</Opcode>\r\n%s"
               " </RenderingInfo>\r\n</Event>\r\n",
               level, now_ms / 1000, now_ms % 1000, data, name, words);
}

static void call(const char *module, const char *number, bool is_end)
{
    char data[400];

    snprintf(data, sizeof(data),
             "<Data Name=\"ModuleName\">%s</Data><Data Name=\"Notification\">%s</Data>", module,
             number);
    add(is_end ? "NOTIFY_MODULE_END" : "NOTIFY_MODULE_START", 5, data, "");
}

static void fails(const char *module, unsigned status, unsigned sub, const char *code)
{
    char data[600];

    snprintf(data, sizeof(data),
             "<Data Name=\"ModuleName\">%s</Data><Data Name=\"Notification\">16</Data>"
             "<Data Name=\"HttpStatus\">%u</Data><Data Name=\"HttpReason\">Reason</Data>"
             "<Data Name=\"HttpSubStatus\">%u</Data><Data Name=\"ErrorCode\">%s</Data>",
             module, status, sub, code);
    add("MODULE_SET_RESPONSE_ERROR_STATUS", 3, data, "");
}

static struct freb_trace finish(bool hide_secrets)
{
    struct freb_trace t;

    buf_str(&made, STR("</failedRequest>"));
    assert_int_equal(freb_parse(&t, buf_view(&made), hide_secrets), RC_OK);
    return t;
}

#define assert_str(got, want)          \
    do {                               \
        struct str got_ = (got);       \
        char *z_ = str_dup_z(got_);    \
        assert_string_equal(z_, want); \
        free(z_);                      \
    } while (0)

/* ---- reading ---- */

static void reads_root_and_events(void **state)
{
    begin("statusCode=\"404.2\" triggerStatusCode=\"404.2\" failureReason=\"STATUS_CODE\" "
          "timeTaken=\"15\" appPoolId=\"a &amp; b\"");
    add("GENERAL_REQUEST_START", 0, "<Data Name=\"SiteId\">7</Data>", "");
    now_ms = 1015;
    add("NEVER_HEARD_OF", 2, "<Data Name=\"A\"></Data><Data Name=\"B\">x &lt; y</Data>",
        "<freb:Description Data=\"B\">two\r words \r\n (0x1)</freb:Description>");
    struct freb_trace t = finish(false);

    assert_str(t.request.app_pool, "a & b");
    assert_str(t.request.site_id, "7");
    assert_int_equal(t.status, 404);
    assert_int_equal(t.substatus, 2);
    assert_int_equal(t.time_taken_ms, 15);
    assert_int_equal(t.n_events, 2);
    assert_false(t.is_cut);
    assert_non_null(t.events[0].kind);
    assert_int_equal(t.events[0].n_fields, 1); /* ContextId is not kept */
    assert_null(t.events[1].kind);
    assert_str(t.events[1].name, "NEVER_HEARD_OF");
    assert_str(t.events[1].area, "General");
    assert_str(freb_value(&t.events[1], "B"), "x < y");
    assert_str(freb_words(&t.events[1], "B"), "two words (0x1)");
    assert_int_equal(t.events[1].at_us, 1015000);
    assert_int_equal(t.events[1].gap_us, 1015000);
    assert_int_equal(t.widest_gap, 1);
    freb_fini(&t);
}

static void names_events_by_their_numbers(void **state)
{
    static const struct str text =
        STR("<failedRequest statusCode='500'><Event><System><Provider Name='WWW Server'/><Level>2"
            "</Level><Opcode>9</Opcode><Keywords>0x1000</Keywords></System><EventData/></Event>"
            "<Event><System><Opcode>16</Opcode></System><EventData><Data>x</Data></EventData>"
            "<ExtendedTracingInfo><EventGuid>{002e91e3-E7AE-44AB-8E07-99230FFA6ADE}</EventGuid>"
            "</ExtendedTracingInfo></Event><Event><System><Opcode>77</Opcode></System></Event>"
            "</failedRequest>");
    struct freb_trace t;

    assert_int_equal(freb_parse(&t, text, false), RC_OK);
    assert_int_equal(t.n_events, 3);
    assert_str(t.events[0].name, "FASTCGI_QUEUE_FULL");
    assert_str(t.events[1].name, "MODULE_SET_RESPONSE_ERROR_STATUS");
    assert_str(t.events[1].fields[0].name, "Data1");
    assert_str(t.events[2].name, "Opcode 77");
    assert_int_equal(t.started_us, FREB_NO_TIME);
    freb_fini(&t);
}

static void is_no_trace(void **state)
{
    static const char *const rows[] = {
        "",
        "x",
        "<failedRequests",
        "<configuration><failedRequest/></configuration>",
        "<!DOCTYPE a [<!ENTITY e \"x\">]><failedRequest url=\"&e;\"></failedRequest>",
    };
    struct freb_trace t;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum rc rc = freb_parse(&t, str_z(rows[i]), true);
        if (i == 2) { /* torn inside the root's tag: it could be one */
            assert_int_equal(rc, RC_OK);
            assert_true(t.is_cut);
            freb_fini(&t);
            continue;
        }
        assert_int_equal(rc, RC_DECLINED);
    }
}

static void reads_what_is_left_of_a_torn_file(void **state)
{
    begin("statusCode=\"404\"");
    call("A", "1", false);
    fails("A", 404, 0, "2147942402");
    call("A", "1", true);
    struct freb_trace t = finish(true);
    assert_false(t.is_cut);
    freb_fini(&t);
    size_t whole = made.n, events_before = 0;

    for (size_t n = (size_t)(strstr(made.p, "<failedRequest") - made.p) + 14; n < whole - 16; n++) {
        assert_int_equal(freb_parse(&t, str_n(made.p, n), true), RC_OK);
        assert_true(t.is_cut);
        assert_true(t.n_events <= 3 && t.n_events >= events_before);
        events_before = t.n_events;
        freb_fini(&t);
    }
    assert_int_equal(events_before, 3);
}

static void bounds_are_kept(void **state)
{
    begin("statusCode=\"200\"");
    buf_str(&made, STR("<Event><EventData><Data Name=\"Buffer\">"));
    char *at = buf_reserve(&made, FREB_TEXT_MAX + 100);
    assert_non_null(at);
    memset(at, 'a', FREB_TEXT_MAX + 100);
    memcpy(at + FREB_TEXT_MAX - 1, "\xc3\xa4", 2); /* the bound falls into this character */
    made.n += FREB_TEXT_MAX + 100;
    buf_str(&made, STR("</Data>"));
    for (int i = 0; i < FREB_DATA_MAX + 5; i++)
        buf_str(&made, STR("<Data Name=\"n\">1</Data>"));
    buf_str(&made, STR("</EventData></Event>"));
    struct freb_trace t = finish(false);

    assert_true(t.is_cut);
    assert_int_equal(t.events[0].n_fields, FREB_DATA_MAX);
    assert_int_equal(t.events[0].fields[0].value.n, FREB_TEXT_MAX - 1);
    freb_fini(&t);

    begin("");
    for (int i = 0; i < 200; i++)
        buf_str(&made, STR("<Event><System>"));
    t = finish(false);
    assert_true(t.is_cut);
    freb_fini(&t);
}

static void input_is_made_clean(void **state)
{
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {
        {STR("plain"), "plain"},
        {STR("\xEF\xBB\xBF<a/>"), "<a/>"},
        {STR("a\x01\x00z"), "a??z"},
        {STR("tail\0\0"), "tail"},
        {STR("\xC3\xA4 \xE4 \xE2\x82"), "\xC3\xA4 ? ??"},
        {STR("\xED\xA0\x80\xC0\x80\xF4\x90\x80\x80"), "?????????"},
        {STR("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80"},
        {STR("\xFF\xFE<\0\xE4\0>\0"), "<\xC3\xA4>"},
        {STR("\xFE\xFF\0<\xD8\x3D\xDE\x00\0>"), "<\xF0\x9F\x98\x80>"},
        {STR("<\0\x3D\xD8>\0a"), "<?>"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf copy;
        buf_init(&copy, 1000);
        assert_str(str_trim_all(freb_input_clean(&copy, rows[i].in)), rows[i].want);
        buf_fini(&copy);
    }
}

static void crowded_elements_are_not_parsed(void **state)
{
    begin("statusCode=\"404\"");
    add("A", 4, "", "<!-- ' <a b=' --><![CDATA[ <a b='']]><?x \" ?>");
    assert_int_equal(freb_input_crowded(buf_view(&made)), SIZE_MAX);
    size_t before = made.n;
    buf_str(&made, STR("<Event "));
    for (int i = 0; i < 200000; i++)
        buf_printf(&made, "a%d='>' ", i);
    buf_str(&made, STR("/>"));
    assert_int_equal(freb_input_crowded(buf_view(&made)), before);
    struct freb_trace t = finish(false);
    assert_int_equal(t.n_events, 1);
    assert_true(t.is_cut);
    assert_non_null(strstr(t.why_cut, "attributes"));
    freb_fini(&t);
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1000},
        {"2026-01-05T09:30:00.0151239Z", 1767605400015123},
        {"2026-01-05T09:30:59.999", 1767605459999000},
        {"2026-13-05T09:30:00Z", -1},
        {"2026-00-05T09:30:00Z", -1},
        {"2026-01-05 09:30:00Z", -1},
        {"2026-01-05T09:30:00.1x", -1},
        {"", -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = -1;
        assert_int_equal(freb_time_parse(str_z(rows[i].text), &us), rows[i].us != -1);
        assert_int_equal(us, rows[i].us);
    }
    char z[FREB_TIME_LEN];
    freb_time_format(1767605400015123, z);
    assert_string_equal(z, "2026-01-05T09:30:00.015Z");
}

/* ---- spans ---- */

static void spans_nest_and_tell_times(void **state)
{
    begin("statusCode=\"200\"");
    add("GENERAL_REQUEST_START", 0, "", ""); /* 0 */
    call("A", "1", false);                   /* 1 */
    now_ms += 10;
    add("AUTH_START", 4, "", ""); /* 2 */
    now_ms += 30;
    add("AUTH_END", 4, "", ""); /* 3 */
    now_ms += 5;
    call("A", "1", true);           /* 4 */
    call("A", "2", false);          /* 5 */
    add("FILTER_START", 4, "", ""); /* 6: never closed */
    add("URL_CHANGED", 4, "", "");  /* 7 */
    call("A", "2", true);           /* 8 */
    call("B", "4", true);           /* 9: never opened */
    call("C", "4", false);          /* 10: open at the end */
    add("URL_CHANGED", 4, "", "");  /* 11 */
    struct freb_trace t = finish(false);
    const struct freb_event *e = t.events;

    assert_int_equal(t.n_events, 12);
    assert_true(e[1].parent == FREB_NONE && e[1].end == 4 && e[4].start == 1);
    assert_int_equal(e[1].took_us, 45000);
    assert_int_equal(e[1].own_us, 15000);
    assert_int_equal(e[2].parent, 1);
    assert_int_equal(e[2].took_us, 30000);
    assert_int_equal(e[2].depth, 1);
    assert_int_equal(t.slowest, 2);
    assert_int_equal(t.widest_gap, 3);
    assert_true(e[6].end == FREB_NONE && e[6].took_us == -1);
    assert_int_equal(e[7].parent, 5); /* not what was never closed */
    assert_true(e[9].start == FREB_NONE && e[9].parent == FREB_NONE);
    assert_int_equal(e[11].parent, 10);
    assert_str(freb_module_at(&t, 2), "A");
    assert_str(freb_module_at(&t, 11), "C");
    assert_str(freb_notification(&e[5]), "AUTHENTICATE_REQUEST");
    freb_fini(&t);
}

static void clock_set_back_stands_still(void **state)
{
    begin("statusCode=\"200\"");
    now_ms = 2000;
    add("A", 4, "", "");
    now_ms = 1000;
    add("B", 4, "", "");
    now_ms = 2500;
    add("C", 4, "", "");
    struct freb_trace t = finish(false);

    assert_int_equal(t.events[1].gap_us, 0);
    assert_int_equal(t.events[2].gap_us, 500000);
    assert_int_equal(t.lasted_us, 500000);
    freb_fini(&t);
}

static void nesting_is_bounded(void **state)
{
    begin("statusCode=\"200\"");
    for (int i = 0; i < 500; i++)
        add("FILTER_START", 4, "", "");
    for (int i = 0; i < 500; i++)
        add("FILTER_END", 4, "", "");
    struct freb_trace t = finish(false);

    for (size_t i = 0; i < t.n_events; i++)
        assert_true(t.events[i].depth <= FREB_DEPTH_MAX);
    freb_fini(&t);
}

static void pairs_of_names(void **state)
{
    static const struct {
        const char *name, *opens, *closes;
    } rows[] = {
        {"NOTIFY_MODULE_START", "NOTIFY_MODULE", NULL},
        {"NOTIFY_MODULE_COMPLETION", NULL, NULL},
        {"GENERAL_REQUEST_START", NULL, NULL},
        {"GENERAL_REQUEST_END", NULL, NULL},
        {"GENERAL_CHILD_REQUEST_START", "GENERAL_CHILD_REQUEST", NULL},
        {"WEBSOCKET_READ_FRAGMENT_END_NOT_SUCCESS", NULL, "WEBSOCKET_READ_FRAGMENT"},
        {"ANCM_INPROC_EXECUTE_REQUEST_COMPLETION", NULL, "ANCM_INPROC_EXECUTE_REQUEST"},
        {"AspNetPipelineEnter", "AspNetPipeline", NULL},
        {"AspNetPipelineLeave", NULL, "AspNetPipeline"},
        {"AspNetSessionDataEnd", NULL, "AspNetSessionData"},
        {"AspNetStart", NULL, NULL},
        {"AspNetEnd", NULL, NULL},
        {"_START", NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str stem = STR_NULL;
        assert_int_equal(freb_opens(str_z(rows[i].name), &stem), rows[i].opens != NULL);
        if (rows[i].opens)
            assert_str(stem, rows[i].opens);
        assert_int_equal(freb_closes(str_z(rows[i].name), &stem), rows[i].closes != NULL);
        if (rows[i].closes)
            assert_str(stem, rows[i].closes);
    }
}

/* ---- what failed ---- */

static void the_status_that_made_the_trace_counts(void **state)
{
    begin("statusCode=\"500\" triggerStatusCode=\"404.7\" failureReason=\"STATUS_CODE\"");
    fails("First", 401, 2, "0");
    fails("Filtering", 404, 7, "0x80070002");
    fails("Late", 500, 0, "0");
    struct freb_trace t = finish(false);

    assert_str(t.failure.module, "Filtering");
    assert_str(t.failure.notification, "MAP_REQUEST_HANDLER");
    assert_int_equal(t.failure.status, 404);
    assert_int_equal(t.failure.substatus, 7);
    assert_true(t.failure.has_hresult);
    assert_int_equal(t.failure.hresult, 0x80070002u);
    assert_true(t.failure.text.n > 0); /* of our own table: the file has no words */
    assert_int_equal(t.status, 500);
    freb_fini(&t);
}

static void substatus_comes_from_where_it_is(void **state)
{
    begin("statusCode=\"404\" triggerStatusCode=\"404\"");
    fails("M", 404, 8, "0");
    struct freb_trace t = finish(false);
    assert_str(t.request.status, "404.8");
    freb_fini(&t);

    begin("");
    add("GENERAL_REQUEST_END", 0,
        "<Data Name=\"HttpStatus\">403</Data><Data Name=\"HttpSubStatus\">14</Data>", "");
    t = finish(false);
    assert_str(t.request.status, "403.14");
    assert_int_equal(t.failure.event, FREB_NONE);
    freb_fini(&t);
}

static void without_a_status_the_gravest_event(void **state)
{
    begin("statusCode=\"500\"");
    add("AUTH_BAD_BASIC_HEADER", 3, "", "");
    call("FastCgiModule", "128", false);
    add("FASTCGI_UNEXPECTED_EXIT", 2, "<Data Name=\"ErrorCode\">-2147024891</Data>", "");
    add("FASTCGI_STDERR_TRACE_ERROR", 2, "<Data Name=\"Message\"> Out of tea </Data>", "");
    add("FASTCGI_STDERR_TRACE_WARNING", 3, "<Data Name=\"Message\">low</Data>", "");
    call("FastCgiModule", "128", true);
    struct freb_trace t = finish(false);

    assert_int_equal(t.failure.event, 3);
    assert_str(t.failure.module, "FastCgiModule");
    assert_str(t.failure.notification, "EXECUTE_REQUEST_HANDLER");
    assert_str(t.failure.description, "Out of tea");
    uint64_t v;
    assert_true(freb_number(&t.events[2], "ErrorCode", &v) && v == 0x80070005u);
    freb_fini(&t);
}

static void slow_request_blames_the_gap(void **state)
{
    begin("statusCode=\"200\" triggerStatusCode=\"0\" failureReason=\"TIME_TAKEN\"");
    call("Slow", "128", false);
    now_ms += 7000;
    add("FASTCGI_RESPONSE_WRITTEN", 4, "", "");
    now_ms += 100;
    call("Slow", "128", true);
    struct freb_trace t = finish(false);

    assert_int_equal(t.failure.event, 1);
    assert_str(t.failure.module, "Slow");
    assert_str(t.failure.notification, "EXECUTE_REQUEST_HANDLER");
    assert_str(t.failure.text, "7000 ms of 7100 ms passed before FASTCGI_RESPONSE_WRITTEN");
    assert_int_equal(t.time_taken_ms, 7100);
    freb_fini(&t);
}

static void title_of_the_page(void **state)
{
    begin("statusCode=\"500\"");
    add("GENERAL_RESPONSE_ENTITY_BUFFER", 5,
        "<Data Name=\"Buffer\">&lt;TITLE&gt; It&amp;#39;s\r\n&amp;lt;gone&amp;gt; &lt;/title&gt;"
        "</Data>",
        "");
    struct freb_trace t = finish(false);
    assert_str(t.failure.page_title, "It's <gone>");
    freb_fini(&t);
}

/* ---- secrets ---- */

static void secrets_are_hidden(void **state)
{
    static const struct {
        const char *event, *field, *value, *want;
    } rows[] = {
        {"E", "Headers", "Host: h\nAuthorization: Bearer abc\n",
         "Host: h\nAuthorization: Bearer [hidden, 3 bytes]"},
        {"E", "Headers", "cookie: a=1; bb=22", "cookie: a=[hidden, 1 bytes]; bb=[hidden, 2 bytes]"},
        {"E", "Headers", "Set-Cookie: a=1; Path=/", "Set-Cookie: a=[hidden, 1 bytes]; Path=/"},
        {"E", "Headers", "Cookie: a=1;\n b=secret",
         "Cookie: a=[hidden, 1 bytes];\n b=[hidden, 6 bytes]"},
        {"E", "Headers", "WWW-Authenticate: Negotiate YIIabc",
         "WWW-Authenticate: Negotiate [hidden, 6 bytes]"},
        {"E", "Headers", "WWW-Authenticate: Basic realm=\"x\"",
         "WWW-Authenticate: Basic realm=\"x\""},
        {"E", "Headers", "X-Auth-Token: abcd", "X-Auth-Token: [hidden, 4 bytes]"},
        {"E", "Headers", "Referer: http://h/?password=pw&a=1",
         "Referer: http://h/?password=[hidden, 2 bytes]&a=1"},
        {"E", "RequestURL", "/a?TOKEN=xyz;b=2", "/a?TOKEN=[hidden, 3 bytes];b=2"},
        {"E", "RequestURL", "/a?code=404", "/a?code=404"},
        {"E", "RequestURL", "/a?code=01234567890123456789", "/a?code=[hidden, 20 bytes]"},
        {"E", "RequestURL", "/a?password=", "/a?password="},
        {"E", "Buffer", "{\"password\": \"x\"}", "{\"password\": \"x\"}"},
        {"GENERAL_REQUEST_ENTITY", "Buffer", "{\"password\" : \"x\\\"y\", \"a\":\"b\"}",
         "{\"password\" : \"[hidden, 4 bytes]\", \"a\":\"b\"}"},
        {"GENERAL_REQUEST_ENTITY", "Buffer", "user=u&pwd=p%20", "user=u&pwd=[hidden, 4 bytes]"},
        {"GENERAL_REQUEST_ENTITY", "Buffer", "{\"token\":null}", "{\"token\":null}"},
        {"E", "Buffer", "password", "password"},
    };
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct freb_field f = {str_z(rows[i].field), str_z(rows[i].value), STR_NULL};
        freb_secrets_hide(&a, str_z(rows[i].event), &f, 1);
        assert_str(str_trim_all(f.value), rows[i].want);
    }
    struct freb_field pair[] = {{STR("HeaderName"), STR("Authorization:"), STR_NULL},
                                {STR("HeaderValue"), STR("Basic eA=="), STR_NULL}};
    freb_secrets_hide(&a, STR("FILTER_SET_REQ_HEADER"), pair, 2);
    assert_str(pair[1].value, "Basic [hidden, 4 bytes]");
    assert_str(freb_secrets_url(&a, STR("http://me:pw@h:80/?sig=abc&x=1")),
               "http://me:[hidden, 2 bytes]@h:80/?sig=[hidden, 3 bytes]&x=1");
    assert_str(freb_secrets_url(&a, STR("http://h:80/a@b")), "http://h:80/a@b");
    arena_fini(&a);
}

/* ---- catalogue ---- */

static void catalogue_is_in_order_and_complete(void **state)
{
    for (size_t i = 0; i < freb_kind_count(); i++) {
        const struct freb_kind *k = freb_kind_at(i);
        assert_true(i == 0 || strcmp(freb_kind_at(i - 1)->name, k->name) < 0);
        assert_ptr_equal(freb_kind_find(str_z(k->name)), k);
        assert_true(k->meaning[strlen(k->meaning) - 1] == '.');
        assert_true(!k->todo || k->todo[strlen(k->todo) - 1] == '.');
        for (size_t j = 0; k->opcode && j < i; j++)
            assert_false(freb_kind_at(j)->opcode == k->opcode &&
                         strcmp(freb_kind_at(j)->area, k->area) == 0);
    }
    assert_null(freb_kind_find(STR("ZZZ")));
    assert_null(freb_kind_find(STR("")));
    assert_null(freb_kind_at(freb_kind_count()));
    assert_string_equal(freb_area_by_flag(0x1000), "FastCGI");
    assert_null(freb_area_by_flag(3));
    assert_string_equal(freb_notification_name(0x80000000u), "MAP_PATH");
    assert_null(freb_notification_name(3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_root_and_events),
        cmocka_unit_test(names_events_by_their_numbers),
        cmocka_unit_test(is_no_trace),
        cmocka_unit_test(reads_what_is_left_of_a_torn_file),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(input_is_made_clean),
        cmocka_unit_test(crowded_elements_are_not_parsed),
        cmocka_unit_test(times),
        cmocka_unit_test(spans_nest_and_tell_times),
        cmocka_unit_test(clock_set_back_stands_still),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(pairs_of_names),
        cmocka_unit_test(the_status_that_made_the_trace_counts),
        cmocka_unit_test(substatus_comes_from_where_it_is),
        cmocka_unit_test(without_a_status_the_gravest_event),
        cmocka_unit_test(slow_request_blames_the_gap),
        cmocka_unit_test(title_of_the_page),
        cmocka_unit_test(secrets_are_hidden),
        cmocka_unit_test(catalogue_is_in_order_and_complete),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    buf_fini(&made);
    return failed;
}
