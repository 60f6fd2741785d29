/* The HTTP parameters and the reader of registry exports. */
#include "tables/http_parameters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tables/registry_text.h"

#define _cleanup_bindings_ __attribute__((cleanup(http_bindings_fini)))

#define HEAD "Windows Registry Editor Version 5.00\r\n\r\n"
#define KEY "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters]\r\n"
#define W3SVC_KEY "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W3SVC\\Parameters]\r\n"

/* Each file is read and one parameter compared; want_findings counts all of them, want_line and
 * want_column are the first one's place. */
static const struct {
    const char *name;
    struct str file;
    const char *parameter;
    uint32_t want;
    size_t want_findings;
    uint32_t want_line, want_column;
} files[] = {
#define FILE_ROW(n, text, ...)                             \
    {                                                      \
        n, {HEAD text, sizeof(HEAD text) - 1}, __VA_ARGS__ \
    }
    FILE_ROW("no value: default", KEY, "MaxRequestBytes", 16384, 0, 0, 0),
    FILE_ROW("dword", KEY "\"MaxRequestBytes\"=dword:00008000\r\n", "MaxRequestBytes", 32768, 0, 0,
             0),
    FILE_ROW("short dword, upper case", KEY "\"MaxRequestBytes\"=DWORD:8A00\r\n", "MaxRequestBytes",
             0x8a00, 0, 0, 0),
    FILE_ROW("name and key in other case",
             "[hkey_local_machine\\system\\currentcontrolset\\services\\http\\PARAMETERS]\r\n"
             "\"maxrequestbytes\"=dword:00008000\r\n",
             "MaxRequestBytes", 32768, 0, 0, 0),
    FILE_ROW("line feeds only",
             "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters]\n"
             "\"MaxRequestBytes\"=dword:00008000\n",
             "MaxRequestBytes", 32768, 0, 0, 0),
    FILE_ROW("no line end at the end", KEY "\"MaxRequestBytes\"=dword:00008000", "MaxRequestBytes",
             32768, 0, 0, 0),
    FILE_ROW("blanks and a comment",
             "; one\r\n" KEY "  ; two\r\n \"MaxRequestBytes\" = dword:00008000 ; x\r\n",
             "MaxRequestBytes", 32768, 0, 0, 0),
    FILE_ROW("hex(4), little endian", KEY "\"MaxRequestBytes\"=hex(4):00,80,00,00\r\n",
             "MaxRequestBytes", 32768, 0, 0, 0),
    FILE_ROW("hex(5), big endian", KEY "\"MaxRequestBytes\"=hex(5):00,00,80,00\r\n",
             "MaxRequestBytes", 32768, 0, 0, 0),
    FILE_ROW("hex(b)", KEY "\"MaxRequestBytes\"=hex(b):00,80,00,00,00,00,00,00\r\n",
             "MaxRequestBytes", 32768, 0, 0, 0),
    FILE_ROW("hex over lines", KEY "\"MaxRequestBytes\"=hex(4):00,\\\r\n  80,00,\\\r\n  00\r\n",
             "MaxRequestBytes", 32768, 0, 0, 0),
    FILE_ROW("too large: default", KEY "\"MaxRequestBytes\"=dword:01000001\r\n", "MaxRequestBytes",
             16384, 1, 4, 19),
    FILE_ROW("largest", KEY "\"MaxRequestBytes\"=dword:01000000\r\n", "MaxRequestBytes", 16777216,
             0, 0, 0),
    FILE_ROW("too small: default", KEY "\"MaxRequestBytes\"=dword:000000ff\r\n", "MaxRequestBytes",
             16384, 1, 4, 19),
    FILE_ROW("wrong after right: default",
             KEY "\"MaxRequestBytes\"=dword:00008000\r\n"
                 "\"MaxRequestBytes\"=dword:00000000\r\n",
             "MaxRequestBytes", 16384, 1, 5, 19),
    FILE_ROW("the last one counts",
             KEY "\"MaxRequestBytes\"=dword:00008000\r\n"
                 "\"MaxRequestBytes\"=dword:00009000\r\n",
             "MaxRequestBytes", 0x9000, 0, 0, 0),
    FILE_ROW("deleted", KEY "\"MaxRequestBytes\"=dword:00008000\r\n\"MaxRequestBytes\"=-\r\n",
             "MaxRequestBytes", 16384, 0, 0, 0),
    FILE_ROW("key deleted",
             KEY "\"MaxRequestBytes\"=dword:00008000\r\n"
                 "[-HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters]\r\n",
             "MaxRequestBytes", 16384, 0, 0, 0),
    FILE_ROW("a string for a number", KEY "\"MaxRequestBytes\"=\"32768\"\r\n", "MaxRequestBytes",
             16384, 1, 4, 19),
    FILE_ROW("binary for a number", KEY "\"MaxRequestBytes\"=hex:00,80,00,00\r\n",
             "MaxRequestBytes", 16384, 1, 4, 19),
    FILE_ROW("nine digits", KEY "\"MaxRequestBytes\"=dword:000008000\r\n", "MaxRequestBytes", 16384,
             1, 4, 19),
    FILE_ROW("no digits", KEY "\"MaxRequestBytes\"=dword:\r\n\"UrlSegmentMaxCount\"=dword:9\r\n",
             "UrlSegmentMaxCount", 9, 1, 4, 19),
    FILE_ROW("no data", KEY "\"MaxRequestBytes\"=\r\n\"UrlSegmentMaxCount\"=dword:9\r\n",
             "UrlSegmentMaxCount", 9, 1, 4, 19),
    FILE_ROW("no equals sign", KEY "\"MaxRequestBytes\"\r\n\"UrlSegmentMaxCount\"=dword:9\r\n",
             "UrlSegmentMaxCount", 9, 1, 4, 18),
    FILE_ROW("something else", KEY "MaxRequestBytes=dword:9\r\n\"UrlSegmentMaxCount\"=dword:9\r\n",
             "UrlSegmentMaxCount", 9, 1, 4, 1),
    FILE_ROW("key without end", "[HKEY_LOCAL_MACHINE\r\n" KEY "\"UrlSegmentMaxCount\"=dword:9\r\n",
             "UrlSegmentMaxCount", 9, 1, 3, 1),
    FILE_ROW("a name without its quote costs its own line only",
             KEY "\"MaxEndpoints=dword:1\r\n\"MaxRequestBytes\"=dword:8000\r\n",
             "MaxRequestBytes", 32768, 1, 4, 1),
    FILE_ROW("string without end", KEY "\"ErrorLoggingDir\"=\"C:\\\\a\r\n\"X\r\n",
             "MaxRequestBytes", 16384, 1, 4, 19),
    FILE_ROW("unknown name", KEY "\"MaxRequestByte\"=dword:00008000\r\n", "MaxRequestBytes", 16384,
             1, 4, 1),
    FILE_ROW("value without name", KEY "@=\"x\"\r\n\"UrlSegmentMaxCount\"=dword:9\r\n",
             "UrlSegmentMaxCount", 9, 0, 0, 0),
    FILE_ROW("other keys",
             "[HKEY_CURRENT_USER\\A]\r\n\"MaxRequestBytes\"=dword:00000001\r\n"
             "\"a\"=\"x\r\n[y\"\r\n\"b\"=hex(7):61,00,\\\r\n  00,00\r\n" KEY
             "\"UrlSegmentMaxCount\"=dword:9\r\n[HKEY_LOCAL_"
             "MACHINE\\SYSTEM\\CurrentControlSet\\Services\\"
             "HTTP\\Parameters\\Synchronize]\r\n\"UrlSegmentMaxCount\"=dword:8\r\n",
             "UrlSegmentMaxCount", 9, 0, 0, 0),
    FILE_ROW("no key of ours", "[HKEY_CURRENT_USER\\A]\r\n", "MaxRequestBytes", 16384, 1, 0, 0),
    FILE_ROW("field length above request length", KEY "\"MaxFieldLength\"=dword:00008000\r\n",
             "MaxFieldLength", 16384, 1, 4, 18),
    FILE_ROW("both raised",
             KEY "\"MaxFieldLength\"=dword:00008000\r\n"
                 "\"MaxRequestBytes\"=dword:00008000\r\n",
             "MaxFieldLength", 32768, 0, 0, 0),
    FILE_ROW("zero segments mean no limit", KEY "\"UrlSegmentMaxLength\"=dword:0\r\n",
             "UrlSegmentMaxLength", 0, 0, 0, 0),
    FILE_ROW("any number is true", KEY "\"AllowRestrictedChars\"=dword:00000007\r\n",
             "AllowRestrictedChars", 1, 0, 0, 0),
    FILE_ROW("but not for a switch", KEY "\"EnableAggressiveMemoryUsage\"=dword:00000007\r\n",
             "EnableAggressiveMemoryUsage", 0, 1, 4, 31),
    FILE_ROW("false", KEY "\"EnableErrorLogging\"=dword:00000000\r\n", "EnableErrorLogging", 0, 0,
             0, 0),
    FILE_ROW("mask with unknown bit", KEY "\"ErrorLoggingFields\"=dword:80000000\r\n",
             "ErrorLoggingFields", 0x7c884c7, 1, 4, 22),
    FILE_ROW("mask", KEY "\"ErrorLoggingFields\"=dword:00000003\r\n", "ErrorLoggingFields", 3, 0, 0,
             0),
    FILE_ROW("TRACE in its key", W3SVC_KEY "\"EnableTraceMethod\"=dword:1\r\n" KEY,
             "EnableTraceMethod", 1, 0, 0, 0),
    FILE_ROW("TRACE in the other key", KEY "\"EnableTraceMethod\"=dword:1\r\n", "EnableTraceMethod",
             0, 1, 4, 1),
    FILE_ROW("other values of W3SVC", W3SVC_KEY "\"MaxRequestBytes\"=dword:9000\r\n" KEY,
             "MaxRequestBytes", 16384, 0, 0, 0),
#undef FILE_ROW
};

static void check_file(size_t i, struct str bytes)
{
    struct http_parameters_finding *findings;
    _cleanup_bindings_ struct http_bindings bindings;
    struct http_parameters p;
    size_t n = 0;

    if (http_parameters_parse(bytes, &p, &bindings, &findings) != RC_OK)
        fail_msg("%s: refused: %s", files[i].name, findings->text);
    for (struct http_parameters_finding *f = findings; f; f = f->next)
        n++;
    if (n != files[i].want_findings)
        fail_msg("%s: %zu findings, first: %s", files[i].name, n, findings ? findings->text : "");
    if (findings &&
        (findings->line != files[i].want_line || findings->column != files[i].want_column))
        fail_msg("%s: at %u:%u: %s", files[i].name, findings->line, findings->column,
                 findings->text);
    uint32_t got = http_parameter_value(http_parameter_find(str_z(files[i].parameter)), &p);

    if (got != files[i].want)
        fail_msg("%s: %s is %u", files[i].name, files[i].parameter, got);
    http_parameters_findings_free(findings);
}

static void to_utf16(struct str s, bool big_endian, struct buf *out)
{
    buf_append(out, big_endian ? "\xFE\xFF" : "\xFF\xFE", 2);
    for (size_t i = 0; i < s.n; i++) {
        char unit[2] = {big_endian ? '\0' : s.p[i], big_endian ? s.p[i] : '\0'};

        buf_append(out, unit, sizeof(unit));
    }
}

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        check_file(i, files[i].file);
}

/* The same files in every encoding. */
static void test_encodings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_buf_ struct buf le;
        _cleanup_buf_ struct buf be;
        _cleanup_buf_ struct buf bom;

        buf_init(&le, 1 << 20);
        buf_init(&be, 1 << 20);
        buf_init(&bom, 1 << 20);
        to_utf16(files[i].file, false, &le);
        to_utf16(files[i].file, true, &be);
        buf_append(&bom, "\xEF\xBB\xBF", 3);
        buf_str(&bom, files[i].file);
        check_file(i, buf_view(&le));
        check_file(i, buf_view(&be));
        check_file(i, buf_view(&bom));
    }
}

static void test_text_values(void **state)
{
    static const struct {
        const char *name;
        const char *file;
        const char *want;
        size_t want_findings;
    } rows[] = {
        {"default", HEAD KEY, "%SystemRoot%\\System32\\LogFiles", 0},
        {"string", HEAD KEY "\"ErrorLoggingDir\"=\"D:\\\\Logs\\\\x\"\r\n", "D:\\Logs\\x", 0},
        {"lone back-slash", HEAD KEY "\"ErrorLoggingDir\"=\"D:\\Logs\"\r\n", "D:\\Logs", 0},
        {"quote", HEAD KEY "\"ErrorLoggingDir\"=\"/a\\\"b\"\r\n", "/a\"b", 0},
        {"hex(2)", HEAD KEY "\"ErrorLoggingDir\"=hex(2):2f,00,61,00,\\\r\n  e9,00,00,00\r\n",
         "/a\xC3\xA9", 0},
        {"hex(1)", HEAD KEY "\"ErrorLoggingDir\"=hex(1):2f,00,61,00\r\n", "/a", 0},
        {"NUL inside", HEAD KEY "\"ErrorLoggingDir\"=hex(2):2f,00,00,00,61,00\r\n",
         "%SystemRoot%\\System32\\LogFiles", 1},
        {"relative", HEAD KEY "\"ErrorLoggingDir\"=\"Logs\"\r\n",
         "%SystemRoot%\\System32\\LogFiles", 1},
        {"share", HEAD KEY "\"ErrorLoggingDir\"=\"\\\\\\\\host\\\\x\"\r\n",
         "%SystemRoot%\\System32\\LogFiles", 1},
        {"number", HEAD KEY "\"ErrorLoggingDir\"=dword:1\r\n", "%SystemRoot%\\System32\\LogFiles",
         1},
        {"malformed UTF-8", HEAD KEY "\"ErrorLoggingDir\"=\"/a\xE9z\"\r\n", "/a\xEF\xBF\xBDz", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_parameters_finding *findings;
        _cleanup_bindings_ struct http_bindings bindings;
        struct http_parameters p;
        size_t n = 0;

        assert_int_equal(http_parameters_parse(str_z(rows[i].file), &p, &bindings, &findings),
                         RC_OK);
        for (struct http_parameters_finding *f = findings; f; f = f->next)
            n++;
        if (n != rows[i].want_findings || !str_eq(str_z(p.error_logging_dir), str_z(rows[i].want)))
            fail_msg("%s: %zu findings, %s", rows[i].name, n, p.error_logging_dir);
        http_parameters_findings_free(findings);
    }
}

static void test_refused_files(void **state)
{
    static const char *const rows[] = {
        "",
        KEY "\"MaxRequestBytes\"=dword:8000\r\n",
        "Windows Registry Editor Version 4.00\r\n",
        "<configuration/>",
    };
    struct http_parameters def;

    (void)state;
    http_parameters_default(&def);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_parameters_finding *findings;
        _cleanup_bindings_ struct http_bindings bindings;
        struct http_parameters p;

        assert_int_equal(http_parameters_parse(str_z(rows[i]), &p, &bindings, &findings), RC_FAIL);
        assert_non_null(findings);
        assert_int_equal(findings->severity, HTTP_PARAMETERS_ERROR);
        assert_int_equal(p.max_request_bytes, def.max_request_bytes);
        http_parameters_findings_free(findings);
    }
}

static void test_many_faults_are_bounded(void **state)
{
    struct http_parameters_finding *findings;
    _cleanup_bindings_ struct http_bindings bindings;
    struct http_parameters p;
    _cleanup_buf_ struct buf file;
    size_t n = 0;

    (void)state;
    buf_init(&file, 1 << 20);
    buf_str(&file, STR(HEAD KEY));
    for (size_t i = 0; i < 1000; i++)
        buf_str(&file, STR("rubbish\r\n"));
    assert_int_equal(http_parameters_parse(buf_view(&file), &p, &bindings, &findings), RC_OK);
    for (struct http_parameters_finding *f = findings; f; f = f->next)
        n++;
    assert_int_equal(n, 101);
    http_parameters_findings_free(findings);
}

static void test_too_large(void **state)
{
    static char bytes[(16 << 20) + 1];
    struct http_parameters_finding *findings;
    _cleanup_bindings_ struct http_bindings bindings;
    struct http_parameters p;

    (void)state;
    memset(bytes, ';', sizeof(bytes));
    memcpy(bytes, HEAD, sizeof(HEAD) - 1);
    assert_int_equal(http_parameters_parse(str_n(bytes, sizeof(bytes)), &p, &bindings, &findings),
                     RC_FAIL);
    assert_non_null(findings);
    http_parameters_findings_free(findings);
    assert_int_equal(
        http_parameters_parse(str_n(bytes, sizeof(bytes) - 1), &p, &bindings, &findings), RC_OK);
    http_parameters_findings_free(findings);
}

static void write_temporary(char *path, struct str bytes)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
    close(fd);
}

static void test_load(void **state)
{
    char path[] = "/tmp/test_http_parameters_XXXXXX";
    struct http_parameters_finding *findings;
    _cleanup_bindings_ struct http_bindings bindings;
    struct http_parameters p;

    (void)state;
    write_temporary(path, STR(HEAD KEY "\"DisableServerHeader\"=dword:2\r\n"));
    assert_int_equal(http_parameters_load(path, &p, &bindings, &findings), RC_OK);
    assert_null(findings);
    assert_int_equal(p.disable_server_header, 2);
    unlink(path);

    assert_int_equal(http_parameters_load(path, &p, &bindings, &findings), RC_DECLINED);
    assert_null(findings);
    assert_int_equal(p.disable_server_header, 0);

    assert_int_equal(http_parameters_load("/tmp", &p, &bindings, &findings), RC_FAIL);
    assert_non_null(findings);
    http_parameters_findings_free(findings);
}

/* Defaults and ranges as the documents have them, beside the table that the server uses. */
static const struct {
    const char *name;
    uint32_t def, min, max;
} documented[] = {
    /* KB 820129 */
    {"AllowRestrictedChars", 0, 0, UINT32_MAX},
    {"EnableAggressiveMemoryUsage", 0, 0, 1},
    {"EnableNonUTF8", 1, 0, UINT32_MAX},
    {"FavorUTF8", 1, 0, UINT32_MAX},
    {"MaxBytesPerSend", 65536, 1, 0xFFFFF},
    {"MaxConnections", UINT32_MAX, 1024, 2031616},
    {"MaxEndpoints", 0, 0, 1024},
    {"MaxFieldLength", 16384, 64, 65534},
    {"MaxRequestBytes", 16384, 256, 16777216},
    {"PercentUAllowed", 1, 0, UINT32_MAX},
    {"UrlSegmentMaxCount", 255, 0, 16383},
    {"UrlSegmentMaxLength", 260, 0, 32766},
    {"UriEnableCache", 1, 0, UINT32_MAX},
    {"UriMaxUriBytes", 262144, 4096, 16777216},
    {"UriScavengerPeriod", 120, 10, UINT32_MAX},
    {"DisableServerHeader", 0, 0, 2},
    {"CertChainCacheOnlyUrlRetrieval", 1, 0, UINT32_MAX},
    /* HTTP Server API */
    {"AllowWeakHeaderNameSyntax", 0, 0, UINT32_MAX},
    {"AllowWeakHeaderValueSyntax", 0, 0, UINT32_MAX},
    {"AllowCaseInsensitiveVerbs", 0, 0, UINT32_MAX},
    {"AllowUnEscapedRestrictedChars", 0, 0, UINT32_MAX},
    {"EnableSslCloseNotify", 0, 0, UINT32_MAX},
    {"DisableSslCertChainCacheOnlyUrlRetrieval", 0, 0, UINT32_MAX},
    {"IdleConnectionTimeout", 120, 1, 65535},
    {"HeaderWaitTimeout", 120, 1, 65535},
    /* KB 820729 */
    {"EnableErrorLogging", 1, 0, UINT32_MAX},
    {"ErrorLogFileTruncateSize", 0x100000, 0x100000, UINT32_MAX},
    {"ErrorLoggingFields", 0x7c884c7, 0, 0x7dff4e7},
    {"ErrorLoggingRolloverType", 0, 0, 4},
    {"ErrorLoggingLocaltimeRollover", 0, 0, UINT32_MAX},
    /* seen on Windows */
    {"MaxBufferedSendBytes", 0, 0, UINT32_MAX},
    {"UriMaxCacheMegabyteCount", 0, 0, UINT32_MAX},
    {"EnableHttp2Tls", 1, 0, UINT32_MAX},
    {"EnableHttp2Cleartext", 0, 0, UINT32_MAX},
    {"EnableHttp3", 0, 0, UINT32_MAX},
    {"EnableAltSvc", 0, 0, UINT32_MAX},
    {"Http2MaxClientResetsPerMinute", 400, 0, 65535},
    {"Http2MaxClientResetsGoaway", 1, 0, 1},
    {"EnableTraceMethod", 0, 0, UINT32_MAX},
    /* ours */
    {"ErrorLoggingColumns", 0, 0, 3},
};

static void test_documented_values(void **state)
{
    struct http_parameters p;

    (void)state;
    http_parameters_default(&p);
    for (size_t i = 0; i < ARRAY_LEN(documented); i++) {
        const struct http_parameter *row = http_parameter_find(str_z(documented[i].name));

        if (!row || row->def != documented[i].def || row->min != documented[i].min ||
            row->max != documented[i].max ||
            http_parameter_value(row, &p) !=
                (row->kind == HTTP_PARAMETER_BOOL ? row->def != 0 : row->def))
            fail_msg("%s", documented[i].name);
    }
    assert_string_equal(p.error_logging_dir, "%SystemRoot%\\System32\\LogFiles");
    /* None but the folder is missing above. */
    assert_int_equal(http_parameter_count(), ARRAY_LEN(documented) + 1);
}

/* One value of one parameter, written as data; returns what it became, and its first finding that
 * is no note in *ret_line and *ret_column (0: none). */
static uint32_t audit(const struct http_parameter *row, const char *data, uint32_t *ret_line,
                      uint32_t *ret_column, size_t *ret_notes)
{
    static const char *const services[] = {[HTTP_PARAMETER_KEY_HTTP] = "HTTP",
                                           [HTTP_PARAMETER_KEY_W3SVC] = "W3SVC",
                                           [HTTP_PARAMETER_KEY_HTTPFILTER] = "HTTPFilter"};
    _cleanup_bindings_ struct http_bindings bindings;
    struct http_parameters_finding *findings;
    struct http_parameters p;
    _cleanup_buf_ struct buf file;

    buf_init(&file, 4096);
    /* So that MaxFieldLength, which it bounds, can have its whole range. */
    buf_str(&file, STR(HEAD KEY));
    if (strcmp(row->name, "MaxFieldLength") == 0)
        buf_str(&file, STR("\"MaxRequestBytes\"=dword:01000000\r\n"));
    buf_printf(&file,
               "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\%s\\Parameters]\r\n"
               "\"%s\"=%s\r\n",
               services[row->key], row->name, data);
    assert_int_equal(http_parameters_parse(buf_view(&file), &p, &bindings, &findings), RC_OK);
    *ret_line = *ret_column = 0;
    *ret_notes = 0;
    for (struct http_parameters_finding *f = findings; f; f = f->next) {
        *ret_notes += f->severity == HTTP_PARAMETERS_NOTE;
        if (f->severity != HTTP_PARAMETERS_NOTE && *ret_line == 0) {
            *ret_line = f->line;
            *ret_column = f->column;
        }
    }
    http_parameters_findings_free(findings);
    return row->kind == HTTP_PARAMETER_TEXT ? 0 : http_parameter_value(row, &p);
}

static uint32_t as_value(const struct http_parameter *row, uint32_t number)
{
    return row->kind == HTTP_PARAMETER_BOOL ? number != 0 : number;
}

static void audit_number(const struct http_parameter *row, uint32_t number, bool fits)
{
    for (size_t i = 0; i < 2; i++) {
        uint32_t line, column;
        char data[64];
        size_t notes;

        if (i == 0)
            snprintf(data, sizeof(data), "dword:%08x", number);
        else
            snprintf(data, sizeof(data), "hex(4):%02x,%02x,%02x,%02x", number & 0xff,
                     number >> 8 & 0xff, number >> 16 & 0xff, number >> 24);
        uint32_t got = audit(row, data, &line, &column, &notes);
        uint32_t want_line = strcmp(row->name, "MaxFieldLength") == 0 ? 6 : 5;
        uint32_t want_column = (uint32_t)strlen(row->name) + 4;

        if (got != as_value(row, fits ? number : row->def) ||
            (fits ? line != 0 : line != want_line || column != want_column))
            fail_msg("%s=%s: %u, finding at %u:%u", row->name, data, got, line, column);
        if (row->no_effect && notes == 0)
            fail_msg("%s: nobody says that it has no effect", row->name);
    }
}

/* Every parameter at and beyond the ends of its range, with data of other types, and deleted. */
static void test_every_parameter(void **state)
{
    static const char *const wrong[] = {"\"1\"",
                                        "hex:01,00,00,00",
                                        "hex(7):31,00,00,00,00,00",
                                        "dword:",
                                        "dword:1g",
                                        "hex(4):01,00",
                                        "1",
                                        "hex(b):01,00,00,00,01,00,00,00"};
    uint32_t line, column;
    size_t notes;

    (void)state;
    for (size_t i = 0; i < http_parameter_count(); i++) {
        const struct http_parameter *row = http_parameter_at(i);

        if (row->kind == HTTP_PARAMETER_TEXT)
            continue;
        audit_number(row, row->min, true);
        audit_number(row, row->max, true);
        audit_number(row, row->def, true);
        if (row->min > 0)
            audit_number(row, row->min - 1, row->min - 1 == row->def);
        if (row->max < UINT32_MAX)
            audit_number(row, row->max + 1, row->max + 1 == row->def);
        for (size_t k = 0; k < ARRAY_LEN(wrong); k++) {
            uint32_t got = audit(row, wrong[k], &line, &column, &notes);

            if (got != as_value(row, row->def) || line == 0)
                fail_msg("%s=%s: %u, finding at line %u", row->name, wrong[k], got, line);
        }
        assert_int_equal(audit(row, "-", &line, &column, &notes), as_value(row, row->def));
        assert_int_equal(line, 0);
        assert_int_equal(notes, 0);
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < http_parameter_count(); i++) {
        const struct http_parameter *row = http_parameter_at(i);

        if (i > 0)
            assert_true(str_icmp(str_z(http_parameter_at(i - 1)->name), str_z(row->name)) < 0);
        assert_ptr_equal(http_parameter_find(str_z(row->name)), row);
        assert_true(row->text && row->text[0]);
        assert_true(row->offset < sizeof(struct http_parameters));
        /* Every number is a field of its own. */
        for (size_t k = 0; k < i; k++)
            assert_true(http_parameter_at(k)->offset != row->offset);
        assert_true((row->kind == HTTP_PARAMETER_TEXT) == (row->def_text != NULL));
        assert_true(row->min <= row->max);
    }
    assert_null(http_parameter_at(http_parameter_count()));
    assert_null(http_parameter_find(STR("NoSuchParameter")));
}

static void test_json_round_trip(void **state)
{
    struct http_parameters p;
    struct http_parameters back;
    json_t *j;

    (void)state;
    http_parameters_default(&p);
    p.max_request_bytes = 65536;
    p.max_field_length = 40000;
    p.allow_restricted_chars = true;
    p.enable_error_logging = false;
    p.disable_server_header = 1;
    p.error_logging_dir[0] = '/';
    j = http_parameters_to_json(&p);
    assert_true(http_parameters_from_json(j, &back));
    for (size_t i = 0; i < http_parameter_count(); i++) {
        const struct http_parameter *row = http_parameter_at(i);

        if (row->kind != HTTP_PARAMETER_TEXT)
            assert_int_equal(http_parameter_value(row, &p), http_parameter_value(row, &back));
    }
    assert_string_equal(p.error_logging_dir, back.error_logging_dir);
    json_decref(j);
}

static void test_json_faults(void **state)
{
    static const struct {
        const char *json;
        bool good;
        uint32_t max_request_bytes;
    } rows[] = {
        {"{}", true, 16384},
        {"{\"MaxRequestBytes\": 32768, \"Other\": 1}", true, 32768},
        {"{\"MaxRequestBytes\": -1}", false, 16384},
        {"{\"MaxRequestBytes\": 1}", false, 16384},
        {"{\"MaxRequestBytes\": 4294967296}", false, 16384},
        {"{\"MaxRequestBytes\": \"32768\"}", false, 16384},
        {"{\"MaxRequestBytes\": 1.5}", false, 16384},
        {"{\"AllowRestrictedChars\": 1}", false, 16384},
        {"{\"ErrorLoggingDir\": 1}", false, 16384},
        {"{\"ErrorLoggingDir\": \"relative\"}", false, 16384},
        {"{\"MaxRequestBytes\": 8192}", true, 8192},
        {"[]", true, 16384},
    };
    struct http_parameters p;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_t *j = json_loads(rows[i].json, 0, NULL);

        assert_non_null(j);
        if (http_parameters_from_json(j, &p) != rows[i].good ||
            p.max_request_bytes != rows[i].max_request_bytes ||
            p.max_field_length > p.max_request_bytes)
            fail_msg("%s", rows[i].json);
        json_decref(j);
    }
    assert_true(http_parameters_from_json(NULL, &p));
    assert_int_equal(p.max_request_bytes, 16384);
}

static void test_utf16(void **state)
{
    static const struct {
        struct str in;
        struct str want;
    } rows[] = {
        {{"\xFF\xFE"
          "a\0",
          4},
         {"a", 1}},
        {{"\xFF\xFE\x3D\xD8\x00\xDE", 6}, {"\xF0\x9F\x98\x80", 4}},
        {{"\xFE\xFF\xD8\x3D\xDE\x00", 6}, {"\xF0\x9F\x98\x80", 4}},
        {{"\xFF\xFE\x3D\xD8", 4}, {"\xEF\xBF\xBD", 3}},
        {{"\xFF\xFE\x3D\xD8z\0", 6}, {"\xEF\xBF\xBDz", 4}},
        {{"\xFF\xFE\x00\xDE", 4}, {"\xEF\xBF\xBD", 3}},
        {{"\xFF\xFE"
          "a",
          3},
         {"\xEF\xBF\xBD", 3}},
        {{"\xFF\xFE", 2}, {"", 0}},
        {{"\xFF", 1}, {"\xEF\xBF\xBD", 3}},
        {{"\xE2\x82\xAC", 3}, {"\xE2\x82\xAC", 3}},
        {{"\xC0\xAF", 2}, {"\xEF\xBF\xBD\xEF\xBF\xBD", 6}},
        {{"\xED\xA0\x80", 3}, {"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", 9}},
        {{"\xF4\x90\x80\x80", 4}, {"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", 12}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf out;

        buf_init(&out, 100);
        registry_text_decode(rows[i].in, &out);
        if (!str_eq(buf_view(&out), rows[i].want))
            fail_msg("row %zu: %.*s", i, STR_ARG(buf_view(&out)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_text_values),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_many_faults_are_bounded),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_documented_values),
        cmocka_unit_test(test_every_parameter),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_json_faults),
        cmocka_unit_test(test_utf16),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
