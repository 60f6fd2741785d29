/* The HTML report: complete, closed to the outside, and safe whatever a log line holds. */
#include "detectors_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "diagnose/report_html.h"
#include "diagnose/report_html_assets.h"

static size_t count(struct str text, struct str part)
{
    size_t n = 0;

    for (size_t at; (at = str_find(text, part)) != SIZE_MAX; n++)
        text = str_sub(text, at + part.n, text.n);
    return n;
}

static void render(struct scene *s, struct buf *out)
{
    struct report_options options = {.top = 20};

    buf_init(out, 64 << 20);
    report_html(out, s->m, &s->fs, &options);
    assert_false(out->overflow);
}

/* Whether the bytes are UTF-8 by their shape. */
static bool is_utf8(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t more = c < 0x80                ? 0
                      : c >= 0xC2 && c < 0xE0 ? 1
                      : (c & 0xF0) == 0xE0    ? 2
                      : c >= 0xF0 && c < 0xF5 ? 3
                                              : 9;

        if (more == 9 || i + more >= s.n + (more == 0))
            return false;
        for (size_t k = 1; k <= more; k++)
            if (((unsigned char)s.p[i + k] & 0xC0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

static void test_hostile(void **state)
{
    struct scene s;
    struct buf out;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 10);
    SITE(&s, .at_s = 1, .client = "10.0.0.9", .user = "\"><img/src=x/onerror=alert(2)>",
         .url = "/<script>alert(1)</script>'\"&", .query = "</pre></details><iframe/src=//x>",
         .status = 500, .substatus = 19, .win32 = 13);
    SITE(&s, .at_s = 2,
         .url = "/caf\xE9/\x9B"
                "31m/\xE2\x80\xAE",
         .status = 401, .substatus = 3);
    ERR(&s, .at_s = 3, .method = "<b>", .url = "/--><script>alert(3)</script>", .status = 400,
        .reason = "<script>alert(4)</script>", .queue = "</style><script>alert(5)</script>");
    scene_file(&s, "b<i>d.log",
               STR("#Software: Microsoft Internet Information Services 10.0\r\n#Fields: date "
                   "time cs-uri-stem sc-status\r\n<script>alert(6)</script>\r\n"
                   "2026-03-10 08:00:00 / 200\r\n"));
    scene_run(&s);
    render(&s, &out);
    struct str page = buf_view(&out);

    assert_int_equal(count(page, STR("<script")), 1);
    assert_int_equal(count(page, STR("</script")), 1);
    assert_int_equal(count(page, STR("</style")), 1);
    assert_int_equal(count(page, STR("<img")), 0);
    assert_int_equal(count(page, STR("<iframe")), 0);
    assert_int_equal(count(page, STR("<i>")), 0);
    assert_int_equal(count(page, STR("<b>d")), 0);
    assert_true(count(page, STR("&lt;script&gt;alert(1)&lt;/script&gt;")) > 0);
    assert_int_equal(count(page, STR("\x1b")), 0);
    assert_int_equal(count(page, STR("\xE2\x80\xAE")), 0);
    assert_true(is_utf8(page));
    buf_fini(&out);
    scene_fini(&s);
}

static void test_nothing_from_outside(void **state)
{
    struct scene s;
    struct buf out;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 500, 10);
    SITE(&s, .at_s = 9, .status = 404, .substatus = 8);
    ERR(&s, .at_s = 9, .method = "GET", .url = "/", .status = 503, .reason = "AppOffline",
        .queue = "A");
    scene_run(&s);
    render(&s, &out);
    struct str page = buf_view(&out);

    assert_int_equal(count(page, STR("src=")), 0);
    assert_int_equal(count(page, STR("href=\"")), count(page, STR("href=\"#")));
    assert_int_equal(count(page, STR("url(")), 0);
    assert_int_equal(count(page, STR("@import")), 0);
    assert_int_equal(count(page, STR("style=\"")), 0); /* the policy forbids it */
    assert_int_equal(count(page, STR("onclick=")), 0);
    assert_int_equal(count(page, html_policy), 1);
    assert_int_equal(count(html_policy, STR("sha256-")), 2);
    assert_int_equal(count(page, html_js), 1);
    assert_int_equal(count(page, html_css), 1);
    buf_fini(&out);
    scene_fini(&s);
}

static void test_content(void **state)
{
    struct scene s;
    struct buf out;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 1500, 10);
    for (int i = 0; i < 5; i++)
        SITE(&s, .at_s = i, .url = "/bin/x", .status = 404, .substatus = 8);
    for (int i = 0; i < 3; i++)
        ERR(&s, .at_s = i, .method = "GET", .url = "/", .status = 503, .reason = "AppOffline",
            .queue = "A");
    scene_run(&s);
    render(&s, &out);
    struct str page = buf_view(&out);

    /* the code expands to its explanation */
    assert_int_equal(count(page, STR("<details id=\"code-404.8\">")), 1);
    assert_true(count(page, STR("<a href=\"#code-404.8\">404.8</a>")) >= 1);
    assert_int_equal(count(page, STR("<details id=\"reason-AppOffline\">")), 1);
    assert_int_equal(count(page, STR("<details id=\"finding-1\" class=\"f-critical\" open>")), 1);
    assert_true(count(page, STR("HTTPERR records</text>")) == 1);
    assert_true(count(page, STR("1\xE2\x80\xAF"
                                "505")) >= 1); /* requests, thousands apart */
    assert_int_equal(count(page, STR("<table id=\"statuses\"")), 1);
    assert_int_equal(count(page, STR("<section")), count(page, STR("</section>")));
    assert_int_equal(count(page, STR("<details")), count(page, STR("</details>")));
    assert_int_equal(count(page, STR("<svg")), count(page, STR("</svg>")));
    buf_fini(&out);
    scene_fini(&s);
}

static void test_empty(void **state)
{
    struct scene s;
    struct buf out;

    (void)state;
    scene_init(&s);
    scene_run(&s);
    render(&s, &out);
    assert_true(count(buf_view(&out), STR("Nothing that is worth a word")) == 1);
    assert_true(str_iends(str_trim_all(buf_view(&out)), STR("</html>")));
    buf_fini(&out);
    scene_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_nothing_from_outside),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
