/* HttpRedirectionModule: variables, wildcards, levels, statuses. */
#include "modules_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/poison.h"

#define REDIRECT(attributes, inner)                                                       \
    "<configuration><system.webServer><httpRedirect enabled='true' " attributes ">" inner \
    "</httpRedirect></system.webServer></configuration>"
#define EXACT "exactDestination='true' "

struct redirect_case {
    const char *name;
    const char *file, *config; /* which web.config has it; NULL: the root's */
    const char *target;
    const char *want; /* Location; NULL: no redirection */
};

static const struct redirect_case cases[] = {
    {"suffix and query go along", NULL, REDIRECT("destination='http://new.test'", ""),
     "/a/b.htm?x=1&y=2", "http://new.test/a/b.htm?x=1&y=2"},
    {"no double slash", NULL, REDIRECT("destination='http://new.test/'", ""), "/a",
     "http://new.test/a"},
    {"into a folder", NULL, REDIRECT("destination='http://new.test/old'", ""), "/a/b",
     "http://new.test/old/a/b"},
    {"exact", NULL, REDIRECT(EXACT "destination='http://new.test/x'", ""), "/a?b=c",
     "http://new.test/x"},
    {"exact, $V$Q", NULL, REDIRECT(EXACT "destination='http://new.test$V$Q'", ""), "/a?b=c",
     "http://new.test/a?b=c"},
    {"exact, $V without query", NULL, REDIRECT(EXACT "destination='http://new.test$V$Q'", ""), "/a",
     "http://new.test/a"},
    {"$P", NULL, REDIRECT(EXACT "destination='http://new.test/?u=$V&amp;$P'", ""), "/a?b=c",
     "http://new.test/?u=/a&b=c"},
    {"lower case variables", NULL, REDIRECT(EXACT "destination='http://new.test$s$q'", ""), "/a?b",
     "http://new.test/a?b"},
    {"dollar alone", NULL, REDIRECT(EXACT "destination='http://new.test/$x$'", ""), "/a",
     "http://new.test/$x$"},
    {"own query keeps the client's out", NULL, REDIRECT("destination='http://new.test/?a=b'", ""),
     "/?c", "http://new.test/?a=b/"},
    {"relative destination", NULL, REDIRECT(EXACT "destination='/new.htm'", ""), "/a",
     "http://site.test:8080/new.htm"},
    {"destination without slash", NULL, REDIRECT(EXACT "destination='new.htm'", ""), "/a",
     "http://site.test:8080/new.htm"},
    {"relative, variable first", NULL, REDIRECT(EXACT "destination='$V'", ""), "/a",
     "http://site.test:8080/a"},
    {"escaped again", NULL, REDIRECT("destination='http://new.test'", ""),
     "/a%20b%C3%A9%25?c\"d\xe9", "http://new.test/a%20b%C3%A9%25?c%22d%E9"},
    {"no header injection", NULL, REDIRECT(EXACT "destination='http://new.test$V'", ""), "/a%20X:1",
     "http://new.test/a%20X:1"},
    {"$0 without a wildcard is empty", NULL, REDIRECT(EXACT "destination='http://new.test/$0.$9'", ""),
     "/a", "http://new.test/."},
    {"$0 of a wildcard that does not fit is empty", NULL,
     REDIRECT(EXACT "destination='http://new.test/$0.'", "<add wildcard='*z' destination='/z'/>"),
     "/abc", "http://new.test/."},
    {"do not redirect", NULL, REDIRECT("destination='!'", ""), "/a", NULL},
    {"nothing to go to", NULL, REDIRECT("", ""), "/a", NULL},

    {"suffix below the level", "old", REDIRECT("destination='http://new.test'", ""), "/old/a/b.htm",
     "http://new.test/a/b.htm"},
    {"the level itself", "old", REDIRECT("destination='http://new.test/x'", ""), "/old/",
     "http://new.test/x/"},
    {"$S and $V below the level", "old",
     REDIRECT(EXACT "destination='http://new.test$S?from=$V'", ""), "/old/a",
     "http://new.test/a?from=/old/a"},
    {"other folders are left alone", "old", REDIRECT("destination='http://new.test'", ""), "/a",
     NULL},

    {"child only, file", "old", REDIRECT("childOnly='true' destination='http://new.test'", ""),
     "/old/a.htm", "http://new.test/a.htm"},
    {"child only, deeper", "old", REDIRECT("childOnly='true' destination='http://new.test'", ""),
     "/old/a/b.htm", NULL},

    {"wildcard", NULL, REDIRECT(EXACT, "<add wildcard='*.php' destination='/gone.htm'/>"),
     "/x/a.PHP", "http://site.test:8080/gone.htm"},
    {"wildcard, no match", NULL, REDIRECT(EXACT, "<add wildcard='*.php' destination='/gone.htm'/>"),
     "/x/a.htm", NULL},
    {"wildcard, else destination", NULL,
     REDIRECT(EXACT "destination='/other'", "<add wildcard='*.php' destination='/gone.htm'/>"),
     "/x/a.htm", "http://site.test:8080/other"},
    {"captures", NULL,
     REDIRECT(EXACT, "<add wildcard='/shop/*/item-*.asp' destination='/p/$1/in/$0$Q'/>"),
     "/shop/shoes/item-42.asp?c=1", "http://site.test:8080/p/42/in/shoes?c=1"},
    {"captures of a run", NULL, REDIRECT(EXACT, "<add wildcard='/a*b*' destination='/[$0][$1]'/>"),
     "/aXbYbZ", "http://site.test:8080/[X][YbZ]"},
    {"first wildcard wins", NULL,
     REDIRECT(EXACT,
              "<add wildcard='*.htm' destination='/1'/><add wildcard='/a*' destination='/2'/>"),
     "/a.htm", "http://site.test:8080/1"},
    {"wildcard that stops", NULL,
     REDIRECT(EXACT "destination='/other'", "<add wildcard='/keep/*' destination='!'/>"), "/keep/a",
     NULL},
    {"root only", NULL, REDIRECT(EXACT, "<add wildcard='/' destination='/app/'/>"), "/",
     "http://site.test:8080/app/"},
    {"root only, elsewhere", NULL, REDIRECT(EXACT, "<add wildcard='/' destination='/app/'/>"), "/x",
     NULL},
    {"wildcard below the level", "old",
     REDIRECT(EXACT, "<add wildcard='/*.htm' destination='/new/$0.html'/>"), "/old/a.htm",
     "http://site.test:8080/new/old/a.html"},
};

static const char *const host[] = {"Host: site.test:8080", NULL};

static void test_destinations(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct redirect_case *c = &cases[i];
        struct fixture *f = fixture_new(NULL, c->file ? NULL : c->config);

        if (c->file) {
            char name[64];

            snprintf(name, sizeof(name), "%s/web.config", c->file);
            fixture_file(f, name, c->config);
            snprintf(name, sizeof(name), "%s/a/", c->file);
            fixture_file(f, name, "");
        }
        fixture_request(f, "GET", c->target, host);
        enum pipe_rc rc = fixture_run(f, &mod_http_redirection, N_MAP_REQUEST_HANDLER);

        if (rc != (c->want ? PIPE_FINISH : PIPE_CONTINUE) ||
            strcmp(fixture_header(f, "Location"), c->want ? c->want : "") != 0)
            fail_msg("%s: got \"%s\"", c->name, fixture_header(f, "Location"));
        fixture_free(f);
    }
}

static void test_statuses(void **state)
{
    static const struct {
        const char *name;
        unsigned status;
    } rows[] = {{"Permanent", 301}, {"Found", 302}, {"Temporary", 307}, {"PermRedirect", 308}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char config[512];

        snprintf(config, sizeof(config),
                 REDIRECT("destination='http://new.test' httpResponseStatus='%s'", ""),
                 rows[i].name);
        struct fixture *f = fixture_new(NULL, config);

        fixture_request(f, "POST", "/a", host);
        assert_int_equal(fixture_run(f, &mod_http_redirection, N_MAP_REQUEST_HANDLER), PIPE_FINISH);
        assert_int_equal(f->r->response.row->status, rows[i].status);
        assert_null(f->r->failure.row);
        fixture_free(f);
    }
}

static void test_page(void **state)
{
    struct fixture *f =
        fixture_new(NULL, REDIRECT(EXACT "destination='http://new.test/?a&amp;b'", ""));

    fixture_request(f, "GET", "/a", host);
    fixture_run(f, &mod_http_redirection, N_MAP_REQUEST_HANDLER);
    assert_string_equal(fixture_header(f, "Content-Type"), "text/html; charset=UTF-8");
    assert_string_equal(
        fixture_body(f),
        "<head><title>Document Moved</title></head>\n<body><h1>Object Moved</h1>"
        "This document may be found <a HREF=\"http://new.test/?a&amp;b\">here</a></body>");
    fixture_free(f);
}

/* Far more stars than captures, and a path that nearly fits: neither crash nor exponential time. */
static void test_hostile_wildcard(void **state)
{
    struct fixture *f = fixture_new(
        NULL, REDIRECT(EXACT, "<add wildcard='/*a*a*a*a*a*a*a*a*a*a*a*a*a*b' destination='/$9'/>"));
    char target[4000];

    memset(target, 'a', sizeof(target));
    target[0] = '/';
    target[sizeof(target) - 1] = '\0';
    fixture_request(f, "GET", target, host);
    assert_int_equal(fixture_run(f, &mod_http_redirection, N_MAP_REQUEST_HANDLER), PIPE_CONTINUE);
    target[sizeof(target) - 2] = 'b';
    fixture_request(f, "GET", target, host);
    assert_int_equal(fixture_run(f, &mod_http_redirection, N_MAP_REQUEST_HANDLER), PIPE_FINISH);
    fixture_free(f);
}

static void test_disabled(void **state)
{
    struct fixture *f =
        fixture_new(NULL, "<configuration><system.webServer><httpRedirect enabled='false' "
                          "destination='http://new.test'/></system.webServer></configuration>");

    fixture_request(f, "GET", "/a", host);
    assert_int_equal(fixture_run(f, &mod_http_redirection, N_MAP_REQUEST_HANDLER), PIPE_CONTINUE);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destinations), cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_page),         cmocka_unit_test(test_hostile_wildcard),
        cmocka_unit_test(test_disabled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
