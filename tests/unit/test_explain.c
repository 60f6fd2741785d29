/* candor explain: every documented code is found in the form in which it is met, every entry is
 * complete, and what is printed fits the width. */
#include "toolkit/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test_tables_documented.h"

static struct explain_catalogue c;

static int set_up(void **state)
{
    (void)state;
    explain_catalogue_init(&c);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    explain_catalogue_fini(&c);
    return 0;
}

/* Splits at blanks, as the command does. */
static size_t split(const char *line, struct str *ret_words)
{
    struct str rest = str_z(line);
    struct str word;
    size_t n = 0;

    while (str_split(&rest, ' ', &word)) {
        if (word.n)
            ret_words[n++] = word;
    }
    return n;
}

static size_t parse(const char *line, struct explain_term *ret_terms)
{
    struct str words[EXPLAIN_WORDS_MAX];
    size_t n = split(line, words);

    return explain_parse(&c, words, n, ret_terms);
}

/* The entry of a line that is one term. */
static const struct explain_entry *one(const char *line)
{
    struct explain_term terms[EXPLAIN_WORDS_MAX];

    if (parse(line, terms) != 1)
        fail_msg("%s: not one term", line);
    if (terms[0].n == 0)
        fail_msg("%s: not found", line);
    return terms[0].entries[0];
}

static void test_documented_http_codes(void **state)
{
    char line[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(documented); i++) {
        unsigned status = documented[i].status;
        unsigned substatus = documented[i].substatus;

        snprintf(line, sizeof(line), "%u.%u", status, substatus);
        const struct explain_entry *e = one(line);

        assert_int_equal(e->kind, EXPLAIN_HTTP);
        assert_int_equal(e->status, status);
        assert_int_equal(e->substatus, substatus);
        assert_string_equal(e->code, line);
        if (substatus == 0) {
            snprintf(line, sizeof(line), "%u", status);
            assert_int_equal(one(line)->status, status);
            assert_string_equal(one(line)->code, line);
        }
    }
    assert_int_equal(one("500-100.ASP")->substatus, 100);
}

static void test_documented_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(documented_reasons); i++) {
        const struct explain_entry *e = one(documented_reasons[i]);

        assert_int_equal(e->kind, EXPLAIN_HTTPERR);
        assert_string_equal(e->code, documented_reasons[i]);
    }
}

static void test_documented_ftp(void **state)
{
    char line[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(documented_ftp); i++) {
        snprintf(line, sizeof(line), "ftp %u", documented_ftp[i]);
        const struct explain_entry *e = one(line);

        assert_int_equal(e->kind, EXPLAIN_FTP);
        assert_int_equal(e->status, documented_ftp[i]);
        assert_string_equal(e->term, line);
    }
    for (unsigned i = 0; i <= DOCUMENTED_FTP_SUBSTATUS_MAX; i++) {
        snprintf(line, sizeof(line), "ftp substatus %u", i);
        assert_int_equal(one(line)->substatus, i);
        assert_string_equal(one(line)->term, line);
        snprintf(line, sizeof(line), "ftp 530.%u", i);
        assert_int_equal(one(line)->substatus, i);
        assert_int_equal(one(line)->status, 530);
    }
}

static void test_documented_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(documented_parameters); i++)
        assert_int_equal(one(documented_parameters[i])->kind, EXPLAIN_PARAMETER);
}

/* What an entry is asked for by leads back to it. */
static void test_terms_lead_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < c.n; i++) {
        if (one(c.entries[i].term) != &c.entries[i])
            fail_msg("%s leads to %s", c.entries[i].term, one(c.entries[i].term)->term);
    }
}

static void check_text(const struct explain_entry *e, const char *what, const char *text)
{
    if (!text || text[0] == '\0')
        fail_msg("%s: no %s", e->term, what);
}

static void test_entries_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < c.n; i++) {
        const struct explain_entry *e = &c.entries[i];

        check_text(e, "code", e->code);
        check_text(e, "title", e->title);
        check_text(e, "meaning", e->meaning);
        check_text(e, "remedy", e->remedies[0]);
        check_text(e, "source", e->sources[0]);
        if (e->kind != EXPLAIN_EVENT && e->kind != EXPLAIN_FIELD)
            check_text(e, "cause", e->causes[0]);
        if (e->kind != EXPLAIN_PARAMETER)
            check_text(e, "place in logs", e->logged);
        if (e->kind == EXPLAIN_HTTP || e->kind == EXPLAIN_HTTPERR || e->kind == EXPLAIN_FTP) {
            check_text(e, "component", e->component);
            check_text(e, "way to reproduce it", e->reproduce);
            check_text(e, "version", e->versions[0]);
        }
        assert_true(str_eq(str_z(e->logged_in), STR("iis")) ||
                    str_eq(str_z(e->logged_in), STR("httperr")) ||
                    str_eq(str_z(e->logged_in), STR("none")));
    }
}

static void test_forms(void **state)
{
    static const struct {
        const char *line;
        enum explain_kind kind;
        const char *code;
    } rows[] = {
        {"404.8", EXPLAIN_HTTP, "404.8"},
        {"http 404.8", EXPLAIN_HTTP, "404.8"},
        {"status 404", EXPLAIN_HTTP, "404"},
        {"404", EXPLAIN_HTTP, "404"},
        {"503", EXPLAIN_HTTP, "503"},
        {"ST_404_8_HIDDEN_SEGMENT", EXPLAIN_HTTP, "404.8"},
        {"queuefull", EXPLAIN_HTTPERR, "QueueFull"},
        {"reason url", EXPLAIN_HTTPERR, "URL"},
        {"n/a", EXPLAIN_HTTPERR, "N/A"},
        {"INVALID_CR/LF", EXPLAIN_HTTPERR, "Invalid_CR/LF"},
        {"64", EXPLAIN_WIN32, "64"},
        {"win32 64", EXPLAIN_WIN32, "64"},
        {"Win32 0x40", EXPLAIN_WIN32, "64"},
        {"error_netname_deleted", EXPLAIN_WIN32, "64"},
        {"win32 ERROR_NETNAME_DELETED", EXPLAIN_WIN32, "64"},
        {"hresult 64", EXPLAIN_HRESULT, "0x80070040"},
        {"0x80070021", EXPLAIN_HRESULT, "0x80070021"},
        {"0X80070021", EXPLAIN_HRESULT, "0x80070021"},
        {"2147942433", EXPLAIN_HRESULT, "0x80070021"},
        {"-2147024863", EXPLAIN_HRESULT, "0x80070021"},
        {"-2147024865", EXPLAIN_HRESULT, "0x8007001f"},
        {"win32 2147942433", EXPLAIN_HRESULT, "0x80070021"},
        {"2148074254", EXPLAIN_HRESULT, "0x8009030e"},
        {"0x8009030E", EXPLAIN_HRESULT, "0x8009030e"},
        {"SEC_E_NO_CREDENTIALS", EXPLAIN_HRESULT, "0x8009030e"},
        {"0xC00000FD", EXPLAIN_HRESULT, "0xc00000fd"},
        {"0x80072ee2", EXPLAIN_HRESULT, "0x80072ee2"},
        {"12002", EXPLAIN_WIN32, "12002"},
        {"ftp 530", EXPLAIN_FTP, "530"},
        {"530", EXPLAIN_FTP, "530"},
        {"ftp 503", EXPLAIN_FTP, "503"},
        {"ftp reply 530", EXPLAIN_FTP, "530"},
        {"FTP 530.36", EXPLAIN_FTP, "530.36"},
        {"550.8", EXPLAIN_FTP, "550.8"},
        {"ftp sub-status 8", EXPLAIN_FTP, "substatus 8"},
        {"maxfieldlength", EXPLAIN_PARAMETER, "MaxFieldLength"},
        {"parameter UrlSegmentMaxCount", EXPLAIN_PARAMETER, "UrlSegmentMaxCount"},
        {"was 5002", EXPLAIN_EVENT, "WAS-5002"},
        {"5002", EXPLAIN_EVENT, "WAS-5002"},
        {"event 5009", EXPLAIN_EVENT, "WAS-5009"},
        {"event WAS-5009", EXPLAIN_EVENT, "WAS-5009"},
        {"cnd-1012", EXPLAIN_EVENT, "CND-1012"},
        {"w3svc-wp 2307", EXPLAIN_EVENT, "W3SVC-WP-2307"},
        {"http 15005", EXPLAIN_EVENT, "HTTP-15005"},
        {"sc-win32-status", EXPLAIN_FIELD, "sc-win32-status"},
        {"CS(user-agent)", EXPLAIN_FIELD, "cs(User-Agent)"},
        {"field time", EXPLAIN_FIELD, "time"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct explain_entry *e = one(rows[i].line);

        if (e->kind != rows[i].kind || !str_eq(str_z(e->code), str_z(rows[i].code)))
            fail_msg("%s: %s %s", rows[i].line, explain_kind_name(e->kind), e->code);
    }
}

static void test_no_terms(void **state)
{
    static const char *const rows[] = {
        "404.99",      "999",          "ftp 999",    "ftp 530.99",   "ftp substatus 56",
        "0x80070999",  "-1",           "-",          "win32 999",    "event 1",
        "99999999999", "-99999999999", "0x",         "0x1234567890", "404.",
        ".8",          "404.8.1",      "4294967296", "was 404",      "nonsense",
        "hresult x1",
    };
    struct explain_term terms[EXPLAIN_WORDS_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = parse(rows[i], terms);

        for (size_t k = 0; k < n; k++) {
            /* "was 404": the prefix does not fit, but the number is a term. */
            if (terms[k].n && !str_starts(str_z(rows[i]), STR("was")))
                fail_msg("%s: %s", rows[i], terms[k].entries[0]->term);
        }
    }
}

static void test_several_terms(void **state)
{
    struct explain_term terms[EXPLAIN_WORDS_MAX];

    (void)state;
    assert_int_equal(parse("404.8 QueueFull win32 64 ftp substatus 8 ftp 530 503", terms), 6);
    assert_string_equal(terms[0].entries[0]->code, "404.8");
    assert_string_equal(terms[1].entries[0]->code, "QueueFull");
    assert_string_equal(terms[2].entries[0]->term, "win32 64");
    assert_string_equal(terms[3].entries[0]->term, "ftp substatus 8");
    assert_string_equal(terms[4].entries[0]->term, "ftp 530");
    assert_string_equal(terms[5].entries[0]->code, "503");
    /* A kind at the end is a word. */
    assert_int_equal(parse("404.8 win32", terms), 2);
    assert_int_equal(terms[1].n, 0);
    /* A line of a log. */
    assert_int_equal(parse("401 1 1326", terms), 1);
    assert_int_equal(terms[0].n, 2);
    assert_string_equal(terms[0].entries[0]->code, "401.1");
    assert_string_equal(terms[0].entries[1]->term, "win32 1326");
    assert_int_equal(parse("404 8 0", terms), 1);
    assert_int_equal(terms[0].n, 1);
    assert_int_equal(parse("401 1 2148074254", terms), 1);
    assert_string_equal(terms[0].entries[1]->code, "0x8009030e");
    assert_int_equal(parse("404 500 503", terms), 3);
}

static void test_ambiguous_numbers(void **state)
{
    struct explain_term terms[EXPLAIN_WORDS_MAX];

    (void)state;
    assert_int_equal(parse("64", terms), 1);
    assert_string_equal(terms[0].note, "HTTP has no status 64, so it was taken as win32 64.");
    assert_int_equal(parse("5", terms), 1);
    assert_string_equal(terms[0].note, "HTTP has no status 5, so it was taken as win32 5. See also "
                                       "candor explain ftp substatus 5.");
    assert_int_equal(parse("503", terms), 1);
    assert_null(terms[0].note);
    assert_int_equal(parse("404", terms), 1);
    assert_null(terms[0].note);
    assert_int_equal(parse("1026", terms), 1);
    assert_int_equal(terms[0].n, 2);
}

static size_t search(const char *line, const struct explain_entry **ret_hits)
{
    struct str words[EXPLAIN_WORDS_MAX];
    size_t n = split(line, words);

    return explain_search(&c, words, n, ret_hits, EXPLAIN_HITS_MAX);
}

static void test_search_ranks(void **state)
{
    static const struct {
        const char *line;
        const char *first;
    } rows[] = {
        {"hidden segment", "404.8"},
        {"directory listing", "403.14"},
        {"client certificate required", "403.7"},
        {"connection limit", "403.9"},
        {"queue full", "QueueFull"},
        {"timer header wait", "Timer_HeaderWait"},
        {"ftp hidden segment", "ftp substatus 8"},
        {"double escape", "404.11"},
        {"MIME type", "404.3"},
        {"upgrade websocket", "400.11"},
        {"home directory", "ftp substatus 33"},
        {"time taken", "time-taken"},
        {"section locked", "500.19"},
        {"cannot add duplicate collection entry", "500.19"},
        {"access denied", "win32 5"},
        {"app pool stopped", "Disabled"},
    };
    const struct explain_entry *hits[EXPLAIN_HITS_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = search(rows[i].line, hits);

        if (n == 0)
            fail_msg("%s: no hit", rows[i].line);
        if (!str_eq(str_z(hits[0]->term), str_z(rows[i].first)))
            fail_msg("%s: %s comes first", rows[i].line, hits[0]->term);
    }
}

static void test_search_finds(void **state)
{
    static const struct {
        const char *line;
        const char *among;
    } rows[] = {
        {"section locked", "500.19"},
        {"Kerberos", "FieldLength"},
        {"UPLOAD", "404.13"},
        {"uploads", "404.13"},
        {"rapid-fail", "AppOffline"},
        {"404 upload", "404.13"},
        {"client disconnected", "win32 64"},
        {"appcmd start apppool", "503"},
        {"maxAllowedContentLength", "413.1"},
    };
    const struct explain_entry *hits[EXPLAIN_HITS_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t total = search(rows[i].line, hits);
        bool found = false;

        for (size_t k = 0; k < total && k < EXPLAIN_HITS_MAX; k++)
            found = found || str_eq(str_z(hits[k]->term), str_z(rows[i].among));
        if (!found)
            fail_msg("%s: %s is not among %zu", rows[i].line, rows[i].among, total);
    }
    /* Every word must be somewhere. */
    assert_int_equal(search("section locked zeppelin", hits), 0);
    assert_int_equal(search("zeppelin", hits), 0);
    /* More words cannot find more. */
    assert_true(search("section", hits) > search("section locked", hits));
}

static void test_suggestions(void **state)
{
    static const struct {
        const char *term;
        const char *first;
    } rows[] = {
        {"QueFull", "QueueFull"},
        {"ConectionDropped", "Connection_Dropped"},
        {"404.99", "404"},
        {"MaxFeildLength", "MaxFieldLength"},
        {"ERROR_NETNAME_DELETD", "win32 64"},
        {"ftp 531", "ftp 331"},
        {"sc-substaus", "sc-substatus"},
    };
    const struct explain_entry *near[4];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = explain_suggest(&c, str_z(rows[i].term), near, ARRAY_LEN(near));

        if (n == 0 || !str_eq(str_z(near[0]->term), str_z(rows[i].first)))
            fail_msg("%s: %s", rows[i].term, n ? near[0]->term : "nothing");
    }
    assert_int_equal(explain_suggest(&c, STR("zeppelinzeppelin"), near, ARRAY_LEN(near)), 0);
    assert_int_equal(explain_suggest(&c, STR(""), near, ARRAY_LEN(near)), 0);
}

static bool see_also_has(const char *line, const char *term)
{
    const struct explain_entry *refs[32];
    size_t n = explain_see_also(&c, one(line), refs, ARRAY_LEN(refs));

    for (size_t i = 0; i < n; i++) {
        if (str_eq(str_z(refs[i]->term), str_z(term)))
            return true;
    }
    return false;
}

static void test_see_also(void **state)
{
    (void)state;
    assert_true(see_also_has("503", "QueueFull"));
    assert_true(see_also_has("503", "Disabled"));
    assert_true(see_also_has("503", "ftp 503"));
    assert_true(see_also_has("503.2", "503"));
    assert_true(see_also_has("400", "Verb"));
    assert_true(see_also_has("QueueFull", "503"));
    assert_true(see_also_has("AppOffline", "WAS-5002"));
    assert_true(see_also_has("was 5002", "AppOffline"));
    assert_true(see_also_has("win32 1326", "401.1"));
    assert_true(see_also_has("0x80070021", "500.19"));
    assert_true(see_also_has("404.13", "413.1"));
    assert_true(see_also_has("MaxFieldLength", "FieldLength"));
    assert_true(see_also_has("ftp 530.36", "ftp 530"));
    assert_true(see_also_has("ftp substatus 8", "ftp 550"));
    assert_false(see_also_has("404.8", "404.8"));
}

/* Every line fits, but for what is to be copied as it is and single words that are longer. */
static void check_width(const struct explain_entry *e, struct str text, size_t width)
{
    struct str line;

    while (str_split(&text, '\n', &line)) {
        bool is_snippet = str_starts(line, STR("    "));

        if (line.n > width && !is_snippet && str_find_char(str_trim(line), ' ') != SIZE_MAX)
            fail_msg("%s at %zu columns: %.*s", e->term, width, STR_ARG(line));
    }
}

static void test_text_fits(void **state)
{
    static const size_t widths[] = {72, 80, 200};

    (void)state;
    for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
        struct explain_style style = {.width = widths[w]};

        for (size_t i = 0; i < c.n; i++) {
            struct buf out;

            buf_init(&out, EXPLAIN_OUTPUT_MAX);
            explain_print_entry(&out, &style, &c, &c.entries[i]);
            assert_false(out.overflow);
            assert_true(str_find_char(buf_view(&out), '\033') == SIZE_MAX);
            check_width(&c.entries[i], buf_view(&out), widths[w]);
            buf_fini(&out);
        }
    }
}

/* Without its escape sequences the coloured text is the plain one. */
static void test_colour(void **state)
{
    (void)state;
    for (size_t i = 0; i < c.n; i += 7) {
        struct explain_style style = {.width = 80};
        struct buf plain, coloured, stripped;

        buf_init(&plain, EXPLAIN_OUTPUT_MAX);
        buf_init(&coloured, EXPLAIN_OUTPUT_MAX);
        buf_init(&stripped, EXPLAIN_OUTPUT_MAX);
        explain_print_entry(&plain, &style, &c, &c.entries[i]);
        style.colour = true;
        explain_print_entry(&coloured, &style, &c, &c.entries[i]);
        for (size_t k = 0; k < coloured.n; k++) {
            if (coloured.p[k] == '\033') {
                while (coloured.p[k] != 'm')
                    k++;
                continue;
            }
            buf_char(&stripped, coloured.p[k]);
        }
        assert_true(coloured.n > plain.n);
        assert_true(str_eq(buf_view(&stripped), buf_view(&plain)));
        buf_fini(&plain);
        buf_fini(&coloured);
        buf_fini(&stripped);
    }
}

static void test_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < c.n; i++) {
        static const char *const keys[] = {
            "kind",      "code",      "status",   "substatus", "title",
            "component", "logged_in", "meaning",  "causes",    "remedies",
            "settings",  "win32",     "versions", "reproduce", "sources",
        };
        json_t *j = explain_to_json(&c, &c.entries[i]);

        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            if (!json_object_get(j, keys[k]))
                fail_msg("%s: no %s", c.entries[i].term, keys[k]);
        }
        assert_true(json_is_array(json_object_get(j, "causes")));
        assert_true(json_is_array(json_object_get(j, "win32")));
        assert_true(json_is_string(json_object_get(j, "meaning")));
        json_decref(j);
    }
}

/* Whatever is typed: nothing is found or something is, and nothing breaks. */
static void test_any_bytes(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (size_t round = 0; round < 3000; round++) {
        char bytes[EXPLAIN_WORD_BYTES];
        struct str words[4];
        struct explain_term terms[4];
        const struct explain_entry *near[4];
        size_t n = round % 4 + 1;

        for (size_t i = 0; i < sizeof(bytes); i++) {
            static const char alphabet[] = "0123456789.-xft _/wE\xff";

            seed = seed * 1664525 + 1013904223;
            bytes[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        for (size_t i = 0; i < n; i++)
            words[i] = str_n(bytes + i * 17, 1 + (seed >> (8 + i)) % (i == 0 ? 150 : 12));

        size_t found = explain_parse(&c, words, n, terms);

        assert_true(found >= 1 && found <= n);
        for (size_t i = 0; i < found; i++) {
            assert_true(terms[i].n <= EXPLAIN_TERM_ENTRIES);
            if (terms[i].n == 0)
                (void)explain_decode(&c, terms[i].text);
        }
        if (round % 50 == 0) {
            const struct explain_entry *hits[2];

            explain_search(&c, words, n, hits, 2);
            assert_true(explain_suggest(&c, words[0], near, 4) <= 4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented_http_codes),
        cmocka_unit_test(test_documented_reasons),
        cmocka_unit_test(test_documented_ftp),
        cmocka_unit_test(test_documented_parameters),
        cmocka_unit_test(test_terms_lead_back),
        cmocka_unit_test(test_entries_are_complete),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_no_terms),
        cmocka_unit_test(test_several_terms),
        cmocka_unit_test(test_ambiguous_numbers),
        cmocka_unit_test(test_search_ranks),
        cmocka_unit_test(test_search_finds),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_see_also),
        cmocka_unit_test(test_text_fits),
        cmocka_unit_test(test_colour),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_any_bytes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
