/* Types and validators: what each accepts, and the sentence it refuses with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/value.h"

static const struct schema_attr *find_attr(const char *section, const char *elem, const char *attr)
{
    const struct schema_section *s = schema_section_find(str_z(section));
    assert_non_null(s);
    const struct schema_elem *e = s->root;
    struct str rest = str_z(elem), step;

    while (str_split(&rest, '/', &step)) {
        const struct schema_elem *c = schema_child_find(e, step);
        e = c ? c : schema_add_find(e, step);
        assert_non_null(e);
    }
    int i = schema_attr_index(e, str_z(attr));
    assert_true(i >= 0);
    return &e->attrs[i];
}

#define POOLS "system.applicationHost/applicationPools"
#define SITES "system.applicationHost/sites"
#define WHY(x) 0, x
#define OK(x) x, NULL

static const struct {
    const char *section, *elem, *attr, *text;
    int64_t want;
    const char *why;
} rows[] = {
    {SITES, "site", "serverAutoStart", "true", OK(1)},
    {SITES, "site", "serverAutoStart", "FALSE", OK(0)},
    {SITES, "site", "serverAutoStart", "1", WHY("Not a valid boolean")},
    {SITES, "site", "id", "4294967295", OK(4294967295)},
    {SITES, "site", "id", "0x10", OK(16)},
    {SITES, "site", "id", "4294967296", WHY("Not a valid unsigned integer")},
    {SITES, "site", "id", "-1", WHY("Not a valid unsigned integer")},
    {SITES, "site", "id", "", WHY("Not a valid unsigned integer")},
    {"system.webServer/httpErrors", "error", "subStatusCode", "-1", OK(-1)},
    {"system.webServer/httpErrors", "error", "subStatusCode", "x", WHY("Not a valid integer")},
    {"system.webServer/httpErrors", "error", "subStatusCode", "1000",
     WHY("Integer value must be between -1 and 999 inclusive")},
    {POOLS, "add", "queueLength", "10", OK(10)},
    {POOLS, "add", "queueLength", "9", WHY("Integer value must be between 10 and 65535 inclusive")},
    {POOLS, "add", "queueLength", "65536",
     WHY("Integer value must be between 10 and 65535 inclusive")},
    {SITES, "site/limits", "maxBandwidth", "1024", OK(1024)},
    {SITES, "site/limits", "maxBandwidth", "1023",
     WHY("Integer value must not be between 0 and 1023 inclusive")},
    {SITES, "site/logFile", "truncateSize", "4294967295", OK(4294967295)},
    {SITES, "site/logFile", "truncateSize", "no", WHY("Not a valid 64-bit integer")},
    {SITES, "site/logFile", "directory", "", WHY("String must not be empty")},
    {SITES, "site/limits", "connectionTimeout", "00:02:00", OK(120000)},
    {SITES, "site/limits", "connectionTimeout", "120", WHY("Not a valid time span")},
    {SITES, "site/limits", "connectionTimeout", "00:60:00", WHY("Not a valid time span")},
    {SITES, "site/limits", "connectionTimeout", "18:12:16",
     WHY("Timespan value must be between 00:00:00 and 18:12:15 seconds inclusive, with a "
         "granularity of 1 seconds")},
    {SITES, "site/limits", "connectionTimeout", "00:00:00.5",
     WHY("Timespan value must be between 00:00:00 and 18:12:15 seconds inclusive, with a "
         "granularity of 1 seconds")},
    {POOLS, "add/recycling/periodicRestart", "time", "29:00:00", OK(104400000)},
    {POOLS, "add/recycling/periodicRestart", "time", "1.05:00:00", OK(104400000)},
    {POOLS, "add/processModel", "idleTimeout", "00:20:30",
     WHY("Timespan value must be between 00:00:00 and 30.00:00:00 seconds inclusive, with a "
         "granularity of 60 seconds")},
    {"system.webServer/proxy", "cache", "requestConsolidationTimeout", "00:00:00.1", OK(100)},
    {"system.web/sessionState", "", "timeout", "20", OK(1200000)},
    {"system.web/sessionState", "", "timeout", "infinite", OK(-1)},
    {POOLS, "add", "startMode", "AlwaysRunning", OK(1)},
    {POOLS, "add", "startMode", "alwaysRunning",
     WHY("Enum must be one of OnDemand, AlwaysRunning")},
    {"system.webServer/httpRedirect", "", "httpResponseStatus", "PermRedirect", OK(308)},
    {"system.webServer/handlers", "", "accessPolicy", "Read, Script", OK(513)},
    {"system.webServer/handlers", "", "accessPolicy", "Read,Script", OK(513)},
    {"system.webServer/handlers", "", "accessPolicy", "", OK(0)},
    {"system.webServer/handlers", "", "accessPolicy", "None", OK(0)},
    {"system.webServer/directoryBrowse", "", "showFlags", "Dates",
     WHY("Flags must be some combination of None, Date, Time, Size, Extension, LongDate")},
    {POOLS, "add", "name", "a,b", WHY("Invalid application pool name")},
    {POOLS, "add", "name", "", WHY("Invalid application pool name")},
    {POOLS, "add", "name", ".NET v4.5", OK(0)},
    {SITES, "site", "name", "a/b", WHY("Invalid site name")},
    {SITES, "site/application", "path", "/a/b", OK(0)},
    {SITES, "site/application", "path", "a", WHY("Invalid application path a")},
    {SITES, "site/application", "path", "/a/", WHY("Invalid application path /a/")},
    {SITES, "site/application", "path", "/a/../b", WHY("Invalid application path /a/../b")},
    {SITES, "site/application/virtualDirectory", "path", "x",
     WHY("Invalid virtual directory path")},
    {"system.webServer/rewrite/rewriteMaps", "rewriteMap", "name", " m",
     WHY("String must not have leading or trailing white space")},
};

static void test_values(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct schema_attr *a = find_attr(rows[i].section, rows[i].elem, rows[i].attr);
        struct buf why;
        int64_t got = 0;
        buf_init(&why, 10000);
        bool ok = value_parse(a, str_z(rows[i].text), &got, &why);
        if (ok != !rows[i].why || (ok && got != rows[i].want) ||
            (!ok && !str_eq(buf_view(&why), str_z(rows[i].why)))) {
            print_error("%s/@%s=\"%s\": %d %lld %.*s\n", rows[i].elem, rows[i].attr, rows[i].text,
                        ok, (long long)got, STR_ARG(buf_view(&why)));
            fail();
        }
        buf_fini(&why);
    }
}

/* Each default in the tables is a value of its type that its own validator takes (but for empty
 * strings, which stand for "not set"). */
static void check_defaults(const struct schema_elem *e, const char *section, unsigned depth)
{
    assert_true(depth < 16);
    for (size_t i = 0; i < e->n_attrs; i++) {
        const struct schema_attr *a = &e->attrs[i];
        struct buf why;
        int64_t v;
        if (!a->otherwise || !*a->otherwise)
            continue;
        buf_init(&why, 10000);
        if (!value_parse(a, str_z(a->otherwise), &v, &why)) {
            print_error("%s: %s: %.*s\n", section, a->name, STR_ARG(buf_view(&why)));
            fail();
        }
        assert_true(v == value_default(a));
        buf_fini(&why);
    }
    for (size_t i = 0; i < e->n_children; i++)
        check_defaults(e->children[i], section, depth + 1);
    for (size_t i = 0; e->collection && i < e->collection->n_add; i++)
        check_defaults(e->collection->add[i], section, depth + 1);
}

static void test_schema(void **state)
{
    for (size_t i = 0; i < schema_n_sections; i++) {
        const struct schema_section *s = &schema_sections[i];
        assert_ptr_equal(schema_section_find(str_z(s->path)), s);
        if (i)
            assert_true(strcmp(schema_sections[i - 1].path, s->path) < 0);
        if (s->root)
            check_defaults(s->root, s->path, 0);
    }
    assert_true(schema_is_group(STR("system.webServer")));
    assert_true(schema_is_group(STR("system.webServer/security/authentication")));
    assert_false(schema_is_group(STR("system.webServer/handlers")));
    assert_false(schema_is_group(STR("system.webServe")));
}

static void test_secrets(void **state)
{
    static const struct {
        const char *text;
        bool is_secret, is_empty;
    } secrets[] = {
        {"[enc:AesProvider::enc]", true, true},
        {"[enc:AesProvider:57VKlxOZ68c=:enc]", true, false},
        {"[enc:AesProvider:enc]", false, false},
        {"[enc::enc]", false, false},
        {"[enc:enc]", false, false},
        {"[]", false, false},
        {"", false, false},
        {"secret", false, false},
        {"[enc:a:not base64!:enc]", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        bool is_empty = false;
        assert_int_equal(value_is_encrypted(str_z(secrets[i].text), &is_empty),
                         secrets[i].is_secret);
        assert_int_equal(is_empty, secrets[i].is_empty);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
