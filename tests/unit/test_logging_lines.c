/* What a line looks like: every format, every column, every escape. */
#include "test_logging.h"

#include <arpa/inet.h>

#include "logging/log_escape.h"
#include "logging/log_fields.h"

#define AGENT "Mozilla/5.0+(Windows+NT+10.0;+WOW64;+Trident/7.0;+Touch;+rv:11.0)+like+Gecko"

static void escapes_fields(void **state)
{
    static const struct {
        const char *name;
        struct str in;
        const char *want, *want_ansi, *want_blanks;
    } rows[] = {
        {"empty", STR(""), "-", "-", "-"},
        {"plain", STR("/a/b.txt"), "/a/b.txt", "/a/b.txt", "/a/b.txt"},
        {"blank", STR("a b"), "a+b", "a+b", "a b"},
        {"a plus stays", STR("a+b c"), "a+b+c", "a+b+c", "a+b c"},
        {"tab, CR, LF, NUL, DEL", STR("\t\r\n\0\x7f"), "+++++", "+++++", "+++++"},
        {"all controls", STR("\1\2\3\4\5\6\a\b\v\f\x0e\x0f\x10\x1b\x1f"), "+++++++++++++++",
         "+++++++++++++++", "+++++++++++++++"},
        {"ends of printable", STR("!~"), "!~", "!~", "!~"},
        {"quotes and brackets stay", STR("\"<'>`{|}^#*\\"), "\"<'>`{|}^#*\\", "\"<'>`{|}^#*\\",
         "\"<'>`{|}^#*\\"},
        {"two bytes", STR("/\xc3\xa9 x"), "/\xc3\xa9+x", "/\xe9+x", "/\xc3\xa9 x"},
        {"three and four bytes", STR("\xe2\x82\xac\xf0\x9f\x98\x80"),
         "\xe2\x82\xac\xf0\x9f\x98\x80", "\x80?", "\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"not UTF-8 stays", STR("\xff\xc3(\x80"), "\xff\xc3(\x80", "?\?(?", "\xff\xc3(\x80"},
        {"overlong stays", STR("\xc0\xaf"), "\xc0\xaf", "??", "\xc0\xaf"},
        {"surrogate stays", STR("\xed\xa0\x80"), "\xed\xa0\x80", "???", "\xed\xa0\x80"},
        {"C1 control",
         STR("a\xc2\x9b"
             "31m"),
         "a+31m", "a+31m", "a+31m"},
        {"no-break space stays", STR("\xc2\xa0"), "\xc2\xa0", "\xa0", "\xc2\xa0"},
        {"cut character", STR("a\xe2\x82"), "a\xe2\x82", "a??", "a\xe2\x82"},
        {"sixteen", STR("0123456789abcde "), "0123456789abcde+", "0123456789abcde+",
         "0123456789abcde "},
        {"seventeen", STR("0123456789abcde \n"), "0123456789abcde++", "0123456789abcde++",
         "0123456789abcde +"},
        {"long with a character late", STR("0123456789 0123456789 0123456789 \xc3\xa9"),
         "0123456789+0123456789+0123456789+\xc3\xa9", "0123456789+0123456789+0123456789+\xe9",
         "0123456789 0123456789 0123456789 \xc3\xa9"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        /* Exactly as large as promised, so that the sanitizer sees an overrun. */
        _cleanup_free_ char *in = xmalloc(rows[i].in.n);
        _cleanup_free_ char *out = xmalloc(rows[i].in.n + 1 + LOG_SLACK);
        struct str s = {in, rows[i].in.n};

        memcpy(in, rows[i].in.p, rows[i].in.n);
        *log_put_field(out, s, true) = 0;
        if (strcmp(out, rows[i].want))
            fail_msg("%s: %s", rows[i].name, out);
        *log_put_field(out, s, false) = 0;
        if (strcmp(out, rows[i].want_ansi))
            fail_msg("%s, ANSI: %s", rows[i].name, out);
        *log_put_field_blanks(out, s, true) = 0;
        if (strcmp(out, rows[i].want_blanks))
            fail_msg("%s, blanks: %s", rows[i].name, out);
    }
}

/* Each byte at each place of strings of each length, against the rule said plainly. */
static void escapes_every_byte_everywhere(void **state)
{
    for (size_t n = 1; n <= 40; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned c = 0; c < 128; c++) {
                char in[40], out[40 + LOG_SLACK], want[40];

                memset(in, 'x', n);
                in[at] = (char)c;
                memcpy(want, in, n);
                if (c <= ' ' || c == 0x7f)
                    want[at] = '+';
                char *end = log_put_field(out, str_n(in, n), true);

                assert_int_equal(end - out, n);
                assert_memory_equal(out, want, n);
            }
        }
    }
}

static void writes_json_strings(void **state)
{
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {
        {STR(""), "\"\""},
        {STR("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {STR("\0\x1f\n\x7f"), "\"\\u0000\\u001f\\u000a\\u007f\""},
        {STR("\xc3\xa9\xe2\x82\xac"), "\"\xc3\xa9\xe2\x82\xac\""},
        {STR("\xff\xc3("), "\"\\ufffd\\ufffd(\""},
        {STR("\xc2\x9b"), "\"\\u009b\""},
        {STR("0123456789abcdef\"0123456789abcdef\n"),
         "\"0123456789abcdef\\\"0123456789abcdef\\u000a\""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[256];

        *log_put_json(out, rows[i].in) = 0;
        assert_string_equal(out, rows[i].want);
    }
}

static void clips_between_characters(void **state)
{
    assert_int_equal(log_clip(STR("abc"), 3).n, 3);
    assert_int_equal(log_clip(STR("abc"), 2).n, 2);
    assert_int_equal(log_clip(STR("a\xc3\xa9z"), 2).n, 1);
    assert_int_equal(log_clip(STR("a\xf0\x9f\x98\x80"), 4).n, 1);
    assert_int_equal(log_clip(STR("\xc3\xa9"), 1).n, 0);
    assert_int_equal(log_clip(STR("\x80\x80\x80\x80\x80\x80"), 5).n, 5);
}

/* Puts one record through a site with the given logFile members and returns its file. */
static char *one_line(const char *log_file, const char *log, const struct log_record *r,
                      const char *name)
{
    struct log_test t;

    log_test_init(&t);
    _cleanup_free_ char *json =
        xasprintf("{'sites': [{'id': 1, 'name': 'Default Web Site', 'logFile': "
                  "{'directory': '$'%s}}], 'log': {%s}, 'computerName': 'SERVER'}",
                  log_file, log);
    log_test_start(&t, json);
    log_test_site(&t, r);
    log_test_stop(&t);
    char *got = log_test_read(&t, name);

    if (!got)
        fail_msg("no file %s", name);
    log_test_fini(&t);
    return got;
}

static void w3c_default_is_the_golden_line(void **state)
{
    struct log_record r = sample_record();
    _cleanup_free_ char *got = one_line("", "", &r, "W3SVC1/u_ex150813.log");

    assert_string_equal(got,
                        W3C_HEAD("2015-08-13 18:46:11",
                                 DEFAULT_FIELDS) "2015-08-13 18:46:11 ::1 GET / - 443 - ::1 " AGENT
                                                 " - 200 0 0 391\r\n");
    free(got);
    /* With cs-version it is the published sample to the letter. */
    got = one_line(", 'logExtFileFlags': 3002319", "", &r, "W3SVC1/u_ex150813.log");
    assert_string_equal(
        got,
        W3C_HEAD("2015-08-13 18:46:11",
                 "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip "
                 "cs-version cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status "
                 "time-taken") "2015-08-13 18:46:11 ::1 GET / - 443 - ::1 HTTP/2.0 " AGENT
                               " - 200 0 0 391\r\n");
}

static struct log_record full_record(void)
{
    struct log_record r = sample_record();

    r.win32 = 2148074254;
    r.status = 404;
    r.substatus = 8;
    r.stem = STR("/a b/\xc3\xa9");
    r.query = STR("x=%20&y=\"1\"");
    r.user = STR("DOM\\John Doe");
    r.cookie = STR("a=1; b=2");
    r.referer = STR("http://x/");
    r.host = STR("www.example.test");
    r.bytes_sent = UINT64_MAX;
    return r;
}

static void w3c_every_column_alone(void **state)
{
    static const struct {
        const char *column, *want;
    } rows[] = {
        {"date", "2015-08-13"},
        {"time", "18:46:11"},
        {"s-sitename", "W3SVC1"},
        {"s-computername", "SERVER"},
        {"s-ip", "::1"},
        {"cs-method", "GET"},
        {"cs-uri-stem", "/a+b/\xc3\xa9"},
        {"cs-uri-query", "x=%20&y=\"1\""},
        {"s-port", "443"},
        {"cs-username", "DOM\\John+Doe"},
        {"c-ip", "::1"},
        {"cs-version", "HTTP/2.0"},
        {"cs(User-Agent)", AGENT},
        {"cs(Cookie)", "a=1;+b=2"},
        {"cs(Referer)", "http://x/"},
        {"cs-host", "www.example.test"},
        {"sc-status", "404"},
        {"sc-substatus", "8"},
        {"sc-win32-status", "2148074254"},
        {"sc-bytes", "18446744073709551615"},
        {"cs-bytes", "163"},
        {"time-taken", "391"},
    };
    struct log_record r = full_record();
    _cleanup_buf_ struct buf fields, values;
    uint32_t all = 0;

    buf_init(&fields, 4096);
    buf_init(&values, 4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct log_column *c = &log_w3c_columns[i];
        _cleanup_free_ char *file = xasprintf(", 'logExtFileFlags': '%s'", c->flag_name);
        _cleanup_free_ char *want =
            xasprintf("#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n"
                      "#Date: 2015-08-13 18:46:11\r\n#Fields: %s\r\n%s\r\n",
                      rows[i].column, rows[i].want);

        assert_string_equal(c->name, rows[i].column);
        _cleanup_free_ char *got = one_line(file, "", &r, "W3SVC1/u_ex150813.log");

        assert_string_equal(got, want);
        all |= c->flag;
        buf_printf(&fields, " %s", rows[i].column);
        buf_printf(&values, " %s", rows[i].want);
    }
    assert_null(log_w3c_columns[ARRAY_LEN(rows)].name);

    /* And all of them, in this order. */
    _cleanup_free_ char *file = xasprintf(", 'logExtFileFlags': %u", all);
    _cleanup_free_ char *want =
        xasprintf("#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n"
                  "#Date: 2015-08-13 18:46:11\r\n#Fields: %.*s\r\n%.*s\r\n",
                  STR_ARG(str_sub(buf_view(&fields), 1, fields.n)),
                  STR_ARG(str_sub(buf_view(&values), 1, values.n)));
    _cleanup_free_ char *got = one_line(file, "", &r, "W3SVC1/u_ex150813.log");

    assert_string_equal(got, want);
}

static void w3c_empty_record_is_all_dashes(void **state)
{
    struct log_record r = {.wall_us = utc_us(2015, 8, 13, 18, 46, 11)};
    _cleanup_free_ char *got = one_line("", "", &r, "W3SVC1/u_ex150813.log");

    assert_string_equal(
        got, W3C_HEAD("2015-08-13 18:46:11",
                      DEFAULT_FIELDS) "2015-08-13 18:46:11 - - - - - - - - - 0 0 0 0\r\n");
}

static void w3c_site_name_and_ansi(void **state)
{
    struct log_record r = full_record();
    _cleanup_free_ char *got = one_line(", 'logExtFileFlags': 272, 'logSiteId': false",
                                        "'logInUTF8': false", &r, "W3SVC1/ex150813.log");

    assert_string_equal(got, W3C_HEAD("2015-08-13 18:46:11",
                                      "s-sitename cs-uri-stem") "Default+Web+Site /a+b/\xe9\r\n");
}

static void long_fields_and_lines(void **state)
{
    static char text[LOG_FIELD_MAX + 2];
    struct log_record r = sample_record();

    memset(text, 'a', sizeof text);
    r.stem = str_n(text, LOG_FIELD_MAX);
    r.query = str_n(text, LOG_FIELD_MAX + 1);

    _cleanup_free_ char *got =
        one_line(", 'logExtFileFlags': 768", "", &r, "W3SVC1/u_ex150813.log");
    _cleanup_free_ char *want =
        xasprintf(W3C_HEAD("2015-08-13 18:46:11", "cs-uri-stem cs-uri-query") "%.*s ...\r\n",
                  LOG_FIELD_MAX, text);

    assert_string_equal(got, want);
    free(got);
    got = one_line(", 'logExtFileFlags': 768, 'maxLogLineLength': 10", "", &r,
                   "W3SVC1/u_ex150813.log");
    assert_string_equal(
        got, W3C_HEAD("2015-08-13 18:46:11", "cs-uri-stem cs-uri-query") "aaaaaaaaaa\r\n");
}

static struct str custom_value(void *arg, const struct log_custom_field *f)
{
    const char *name = f->type == LOG_CUSTOM_REQUEST_HEADER    ? "X-Forwarded-For"
                       : f->type == LOG_CUSTOM_RESPONSE_HEADER ? "X-Powered-By"
                                                               : "CRYPT_PROTOCOL";

    (*(int *)arg)++;
    if (str_eq(f->source, STR("X-Empty")))
        return STR_NULL;
    assert_true(str_eq(f->source, str_z(name)));
    return f->type == LOG_CUSTOM_REQUEST_HEADER    ? STR("192.0.2.1, 192.0.2.2")
           : f->type == LOG_CUSTOM_RESPONSE_HEADER ? STR("ASP.NET \xc3\xa9")
                                                   : STR("400");
}

static void custom_fields(void **state)
{
    static const char settings[] =
        ", 'logExtFileFlags': 'HttpStatus', 'customFields': {%s'add': ["
        "{'logFieldName': 'x-forwarded-for', 'sourceName': 'X-Forwarded-For', "
        " 'sourceType': 'RequestHeader'},"
        "{'logFieldName': 'powered by', 'sourceName': 'X-Powered-By', "
        " 'sourceType': 'ResponseHeader'},"
        "{'logFieldName': 'empty', 'sourceName': 'X-Empty'},"
        "{'logFieldName': 'crypt', 'sourceName': 'CRYPT_PROTOCOL', "
        " 'sourceType': 'ServerVariable'}]}";
    int asked = 0;
    struct log_record r = sample_record();

    r.custom_value = custom_value;
    r.custom_arg = &asked;
    _cleanup_free_ char *file = xasprintf(settings, "");
    _cleanup_free_ char *got = one_line(file, "", &r, "W3SVC1/u_ex150813_x.log");

    assert_string_equal(
        got,
        W3C_HEAD("2015-08-13 18:46:11",
                 "sc-status x-forwarded-for powered+by empty crypt") "200 192.0.2.1,+192.0.2.2 "
                                                                     "ASP.NET+\xc3\xa9 - 400\r\n");
    assert_int_equal(asked, 4);

    /* Cut, not replaced, and between characters. */
    free(file);
    free(got);
    file = xasprintf(settings, "'maxCustomFieldLength': 9, ");
    got = one_line(file, "", &r, "W3SVC1/u_ex150813_x.log");
    assert_non_null(strstr(got, "\r\n200 192.0.2.1 ASP.NET+ - 400\r\n"));

    /* Nobody to ask. */
    free(got);
    r.custom_value = NULL;
    got = one_line(file, "", &r, "W3SVC1/u_ex150813_x.log");
    assert_non_null(strstr(got, "\r\n200 - - - -\r\n"));
}

static char huge[70000];

static struct str huge_value(void *arg, const struct log_custom_field *f)
{
    return str_n(huge, sizeof huge);
}

static void custom_fields_are_bounded_together(void **state)
{
    struct log_record r = sample_record();

    memset(huge, 'h', sizeof huge);
    r.custom_value = huge_value;
    _cleanup_free_ char *got = one_line(
        ", 'logExtFileFlags': 'HttpStatus', 'customFields': {'maxCustomFieldLength': 40000, 'add': "
        "["
        "{'logFieldName': 'a', 'sourceName': 'A'}, {'logFieldName': 'b', 'sourceName': 'B'},"
        "{'logFieldName': 'c', 'sourceName': 'C'}]}",
        "", &r, "W3SVC1/u_ex150813_x.log");
    const char *line = strstr(got, "\r\n200 ");

    assert_non_null(line);
    /* 40000 + 25536 bytes of values would be 65536; with the rest the line has its own limit. */
    assert_int_equal(strlen(line + 2), LOG_LINE_MAX + 2);
}

static void iis_format(void **state)
{
    struct log_record r = full_record();

    r.wall_us = utc_us(2021, 10, 1, 7, 9, 8);
    r.client.text = STR("192.168.114.201");
    r.server.text = STR("172.21.13.45");
    r.time_taken_ms = 4502;
    r.bytes_sent = 3223;
    _cleanup_free_ char *got = one_line(", 'logFormat': 'IIS'", "", &r, "W3SVC1/u_in211001.log");

    assert_string_equal(got, "192.168.114.201, DOM\\John Doe, 10/1/2021, 7:09:08, W3SVC1, SERVER, "
                             "172.21.13.45, 4502, 163, 3223, 404, 2148074254, GET, /a+b/\xc3\xa9, "
                             "x=%20&y=\"1\",\r\n");
    free(got);
    r.user = r.query = STR_NULL;
    r.stem = STR("/DeptLogo.gif");
    r.status = 200;
    r.win32 = 0;
    got = one_line(", 'logFormat': 'IIS'", "", &r, "W3SVC1/u_in211001.log");
    assert_string_equal(got, "192.168.114.201, -, 10/1/2021, 7:09:08, W3SVC1, SERVER, "
                             "172.21.13.45, 4502, 163, 3223, 200, 0, GET, /DeptLogo.gif, -,\r\n");
}

static void ncsa_format(void **state)
{
    struct log_record r = sample_record();

    r.wall_us = utc_us(2004, 4, 8, 1, 39, 4);
    r.client.text = STR("172.21.13.45");
    r.user = STR("Microsoft\\JohnDoe");
    r.stem = STR("/scripts/iisadmin/ism.dll");
    r.query = STR("http/serv");
    r.version = STR("HTTP/1.0");
    r.bytes_sent = 3401;
    setenv("TZ", "PST8", 1);
    _cleanup_free_ char *got = one_line(", 'logFormat': 'NCSA'", "", &r, "W3SVC1/u_nc040408.log");

    assert_string_equal(got, "172.21.13.45 - Microsoft\\JohnDoe [07/Apr/2004:17:39:04 -0800] "
                             "\"GET /scripts/iisadmin/ism.dll?http/serv HTTP/1.0\" 200 3401\r\n");
    free(got);
    setenv("TZ", "IST-5:30", 1);
    r.user = r.query = STR_NULL;
    got = one_line(", 'logFormat': 'NCSA'", "", &r, "W3SVC1/u_nc040408.log");
    assert_string_equal(got, "172.21.13.45 - - [08/Apr/2004:07:09:04 +0530] "
                             "\"GET /scripts/iisadmin/ism.dll HTTP/1.0\" 200 3401\r\n");
    setenv("TZ", "UTC0", 1);
}

static char *one_error(const char *httperr, const struct log_httperr_record *r, const char *name)
{
    struct log_test t;

    log_test_init(&t);
    _cleanup_free_ char *json = xasprintf("{'httperr': {'ErrorLoggingDir': '$'%s}, "
                                          "'computerName': 'SERVER'}",
                                          httperr);
    log_test_start(&t, json);
    logging_httperr(t.lg, 0, r);
    log_test_stop(&t);
    char *got = log_test_read(&t, name);

    if (!got)
        fail_msg("no file %s", name);
    log_test_fini(&t);
    return got;
}

#define ERR_HEAD(fields)                                                                   \
    "#Software: Microsoft HTTP API 2.0\r\n#Version: 1.0\r\n#Date: 2026-10-07 12:24:54\r\n" \
    "#Fields: " fields "\r\n"

static struct log_httperr_record sample_error(void)
{
    return (struct log_httperr_record){
        .wall_us = utc_us(2026, 10, 7, 12, 24, 54),
        .client = {STR("127.0.0.1"), 54517},
        .server = {STR("127.0.0.1"), 8123},
        .version = STR("HTTP/1.1"),
        .method = STR("GET"),
        .uri = STR("/test'XOR(1)*!"),
        .status = 400,
        .reason = STR("Hostname"),
        .transport = STR("TCP"),
    };
}

static void httperr_generations(void **state)
{
    struct log_httperr_record r = sample_error();
    _cleanup_free_ char *got = one_error(", 'columns': '2008'", &r, "HTTPERR/httperr1.log");

    assert_string_equal(
        got,
        ERR_HEAD("date time c-ip c-port s-ip s-port cs-version cs-method cs-uri "
                 "sc-status s-siteid s-reason s-queuename") "2026-10-07 12:24:54 127.0.0.1 54517 "
                                                            "127.0.0.1 8123 HTTP/1.1 GET "
                                                            "/test'XOR(1)*! 400 - Hostname -\r\n");
    free(got);
    got = one_error(", 'columns': '2003'", &r, "HTTPERR/httperr1.log");
    assert_string_equal(
        got, "#Software: Microsoft HTTP API 1.0\r\n#Version: 1.0\r\n"
             "#Date: 2026-10-07 12:24:54\r\n#Fields: "
             "date time c-ip c-port s-ip s-port cs-version cs-method cs-uri "
             "sc-status s-siteid s-reason s-queuename\r\n2026-10-07 12:24:54 127.0.0.1 54517 "
             "127.0.0.1 8123 HTTP/1.1 GET /test'XOR(1)*! 400 - Hostname -\r\n");
    free(got);
    got = one_error("", &r, "HTTPERR/httperr1.log");
    assert_string_equal(
        got,
        ERR_HEAD(
            "date time c-ip c-port s-ip s-port cs-version cs-method cs-uri "
            "streamid sc-status s-siteid s-reason s-queuename") "2026-10-07 12:24:54 127.0.0.1 "
                                                                "54517 127.0.0.1 8123 HTTP/1.1 GET "
                                                                "/test'XOR(1)*! - 400 - Hostname "
                                                                "-\r\n");
    free(got);
    got = one_error(", 'columns': 'current'", &r, "HTTPERR/httperr1.log");
    assert_string_equal(
        got,
        ERR_HEAD("date time c-ip c-port s-ip s-port cs-version cs-method cs-uri "
                 "streamid streamid_ex sc-status s-siteid s-reason s-queuename "
                 "transport fault-code extended-fault-code") "2026-10-07 12:24:54 127.0.0.1 54517 "
                                                             "127.0.0.1 8123 HTTP/1.1 GET "
                                                             "/test'XOR(1)*! - - 400 - Hostname - "
                                                             "TCP - -\r\n");
}

static void httperr_values(void **state)
{
    static char text[5000];
    struct log_httperr_record r = sample_error();

    memset(text, 'M', sizeof text);
    /* A connection that went without a request; IPv6 always shows a zone. */
    r.client.text = STR("::1");
    r.server.text = STR("fe80::1%12");
    r.version = r.method = r.uri = STR_NULL;
    r.status = 0;
    r.reason = STR("Timer_ConnectionIdle");
    _cleanup_free_ char *got = one_error("", &r, "HTTPERR/httperr1.log");

    assert_non_null(strstr(got, "\r\n2026-10-07 12:24:54 ::1%0 54517 fe80::1%12 8123 - - - - - - "
                                "Timer_ConnectionIdle -\r\n"));
    /* Everything known, and what must be escaped. */
    free(got);
    r = sample_error();
    r.uri = STR("/a\tb c\x01\xff");
    r.query = STR("q=1 2");
    r.stream_id = 7;
    r.site_id = 3;
    r.queue_name = STR("My Pool");
    r.status = 503;
    r.reason = STR("AppOffline");
    got = one_error("", &r, "HTTPERR/httperr1.log");
    assert_non_null(strstr(got, " GET /a+b+c+\xff?q=1+2 7 503 3 AppOffline My+Pool\r\n"));
    /* Method and target have their lengths. */
    free(got);
    r.method = str_n(text, 300);
    r.uri = str_n(text, 4000);
    r.query = str_n(text, 4000);
    got = one_error(", 'ErrorLoggingFields': 8388736", &r, "HTTPERR/httperr1.log");
    _cleanup_free_ char *want = xasprintf("\r\n%.255s %.4000s?%.95s 7\r\n", text, text, text);

    assert_non_null(strstr(got, want));
}

static void httperr_every_column(void **state)
{
    struct log_httperr_record r = sample_error();

    r.user_agent = STR("a b");
    r.cookie = STR("c=d");
    r.referer = STR("http://r/");
    r.host = STR("h");
    r.bytes_sent = 1;
    r.bytes_received = 2;
    r.time_taken_ms = 3;
    r.site_id = 4;
    r.queue_name = STR("P");
    _cleanup_free_ char *got = one_error(", 'ErrorLoggingFields': 132117735, 'columns': '2008'", &r,
                                         "HTTPERR/httperr1.log");

    assert_string_equal(
        got,
        ERR_HEAD("date time s-computername c-ip c-port s-ip s-port cs-version cs-method cs-uri "
                 "cs(User-Agent) cs(Cookie) cs(referrer) cs-host sc-status sc-bytes cs-bytes "
                 "time-taken s-siteid s-reason s-queuename") "2026-10-07 12:24:54 SERVER 127.0.0.1 "
                                                             "54517 127.0.0.1 8123 HTTP/1.1 GET "
                                                             "/test'XOR(1)*! a+b "
                                                             "c=d http://r/ h 400 1 2 3 4 Hostname "
                                                             "P\r\n");
}

static void addresses_become_text(void **state)
{
    struct sockaddr_storage ss;
    char out[LOG_ADDR_TEXT_MAX];
    struct log_addr a;
    static const struct {
        uint8_t ip[16];
        uint32_t scope;
        const char *want;
    } rows[] = {
        {{[15] = 1}, 0, "::1"},
        {{0xfe, 0x80, [15] = 1}, 12, "fe80::1%12"},
        {{[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 7}, 0, "192.0.2.7"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

        memset(&ss, 0, sizeof ss);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(443);
        memcpy(&in6->sin6_addr, rows[i].ip, 16);
        in6->sin6_scope_id = rows[i].scope;
        log_addr_set(&a, out, (struct sockaddr *)&ss);
        assert_string_equal(out, rows[i].want);
        assert_int_equal(a.text.n, strlen(out));
        assert_int_equal(a.port, 443);
    }
    struct sockaddr_in *in = (struct sockaddr_in *)&ss;

    memset(&ss, 0, sizeof ss);
    in->sin_family = AF_INET;
    in->sin_port = htons(80);
    in->sin_addr.s_addr = htonl(0x7f000001);
    log_addr_set(&a, out, (struct sockaddr *)&ss);
    assert_string_equal(out, "127.0.0.1");
    ss.ss_family = AF_UNIX;
    log_addr_set(&a, out, (struct sockaddr *)&ss);
    assert_int_equal(a.text.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_fields),
        cmocka_unit_test(escapes_every_byte_everywhere),
        cmocka_unit_test(writes_json_strings),
        cmocka_unit_test(clips_between_characters),
        cmocka_unit_test(w3c_default_is_the_golden_line),
        cmocka_unit_test(w3c_every_column_alone),
        cmocka_unit_test(w3c_empty_record_is_all_dashes),
        cmocka_unit_test(w3c_site_name_and_ansi),
        cmocka_unit_test(long_fields_and_lines),
        cmocka_unit_test(custom_fields),
        cmocka_unit_test(custom_fields_are_bounded_together),
        cmocka_unit_test(iis_format),
        cmocka_unit_test(ncsa_format),
        cmocka_unit_test(httperr_generations),
        cmocka_unit_test(httperr_values),
        cmocka_unit_test(httperr_every_column),
        cmocka_unit_test(addresses_become_text),
    };

    setenv("TZ", "UTC0", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
