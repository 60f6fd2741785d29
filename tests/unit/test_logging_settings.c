/* Log settings from JSON, and the event log. */
#include "test_logging.h"

#include "base/clock.h"
#include "logging/event_log.h"

static void defaults(void **state)
{
    struct log_test t = {.dir = "/d"};
    struct log_settings s;

    log_test_settings(&t, "{'sites': [{'id': 5, 'name': 'N'}], 'httperr': {}}", &s);
    assert_int_equal(s.n_sites, 1);
    const struct log_site_settings *x = &s.sites[0];

    assert_int_equal(x->id, 5);
    assert_true(str_eq(x->name, STR("N")));
    assert_true(x->enabled && x->log_site_id && !x->files.local_time_rollover);
    assert_int_equal(x->format, LOG_FORMAT_W3C);
    assert_int_equal(x->fields, LOG_W3C_DEFAULT);
    assert_int_equal(x->files.period, LOG_PERIOD_DAILY);
    assert_int_equal(x->files.truncate_size, 20971520);
    assert_int_equal(x->flush_by_entry_count, 0);
    assert_int_equal(x->max_line_length, 65536);
    assert_int_equal(x->max_custom_field_length, 4096);
    assert_int_equal(x->n_custom, 0);
    assert_true(s.central.log_in_utf8 && s.central.w3c_enabled);
    assert_int_equal(s.central.mode, LOG_CENTRAL_SITE);
    assert_int_equal(s.central.w3c_fields, LOG_W3C_DEFAULT + LOG_W3C_SITE_NAME);
    assert_true(s.httperr.enabled);
    assert_int_equal(s.httperr.files.truncate_size, 0x100000);
    assert_int_equal(s.httperr.fields, 0x7c884c7);
    assert_int_equal(s.httperr.files.period, LOG_PERIOD_MAX_SIZE);
    assert_int_equal(s.httperr.columns, LOG_HTTPERR_2016);
    log_settings_fini(&s);

    log_test_settings(&t, "{}", &s);
    assert_false(s.httperr.enabled);
    assert_int_equal(s.n_sites, 0);
    log_settings_fini(&s);
}

static void every_member(void **state)
{
    struct log_test t = {.dir = "/d"};
    struct log_settings s;

    log_test_settings(
        &t,
        "{'sites': [{'id': 4294967295, 'name': 'N', 'logFile': {'enabled': false, "
        "'logFormat': 'ncsa', 'logExtFileFlags': 'Date, Time,ClientIP', 'directory': '$/x', "
        "'period': 'Hourly', 'truncateSize': 1, 'localTimeRollover': true, 'logSiteId': false, "
        "'flushByEntryCountW3CLog': 9, 'maxLogLineLength': 1, 'customFields': "
        "{'maxCustomFieldLength': 99999999, 'add': [{'logFieldName': 'a', 'sourceName': 'B', "
        "'sourceType': 2}]}}}], "
        "'log': {'logInUTF8': false, 'centralLogFileMode': 'CentralW3C', 'centralW3CLogFile': "
        "{'enabled': false, 'directory': '$/c', 'period': 3, 'truncateSize': 4294967295, "
        "'localTimeRollover': true, 'logExtFileFlags': 3}}, "
        "'httperr': {'EnableErrorLogging': 0, 'ErrorLogFileTruncateSize': 5, "
        "'ErrorLoggingDir': '$/e', 'ErrorLoggingFields': 7, 'ErrorLoggingRolloverType': 4, "
        "'ErrorLoggingLocaltimeRollover': 1, 'columns': 'current'}, 'computerName': 'C'}",
        &s);
    const struct log_site_settings *x = &s.sites[0];

    assert_int_equal(x->id, 4294967295u);
    assert_false(x->enabled || x->log_site_id);
    assert_int_equal(x->format, LOG_FORMAT_NCSA);
    assert_int_equal(x->fields, 7);
    assert_string_equal(x->files.directory, "/d/x");
    assert_int_equal(x->files.period, LOG_PERIOD_HOURLY);
    assert_int_equal(x->files.truncate_size, 1048576);
    assert_true(x->files.local_time_rollover);
    assert_int_equal(x->flush_by_entry_count, 9);
    assert_int_equal(x->max_line_length, 2);
    assert_int_equal(x->max_custom_field_length, 65536);
    assert_int_equal(x->n_custom, 1);
    assert_int_equal(x->custom[0].type, LOG_CUSTOM_SERVER_VARIABLE);
    assert_true(str_eq(x->custom[0].source, STR("B")));
    assert_false(s.central.log_in_utf8 || s.central.w3c_enabled);
    assert_int_equal(s.central.mode, LOG_CENTRAL_W3C);
    assert_int_equal(s.central.w3c_files.period, LOG_PERIOD_MONTHLY);
    assert_int_equal(s.central.w3c_files.truncate_size, UINT32_MAX);
    assert_int_equal(s.central.w3c_fields, 3);
    assert_string_equal(s.central.w3c_files.directory, "/d/c");
    assert_false(s.httperr.enabled);
    assert_int_equal(s.httperr.files.truncate_size, 5);
    assert_int_equal(s.httperr.fields, 7);
    assert_int_equal(s.httperr.files.period, LOG_PERIOD_HOURLY);
    assert_true(s.httperr.files.local_time_rollover);
    assert_int_equal(s.httperr.columns, LOG_HTTPERR_CURRENT);
    assert_true(str_eq(s.computer_name, STR("C")));
    log_settings_fini(&s);
}

static void refusals_name_the_member(void **state)
{
    static const struct {
        const char *json, *key;
    } rows[] = {
        {"[]", "log settings"},
        {"{\"sites\": {}}", "sites"},
        {"{\"sites\": [{}]}", "id"},
        {"{\"sites\": [3]}", "id"},
        {"{\"sites\": [{\"id\": -1}]}", "id"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": 1}]}", "logFile"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": {\"enabled\": \"x\"}}]}", "enabled"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": {\"period\": \"Yearly\"}}]}", "period"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": {\"period\": 9}}]}", "period"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": {\"logFormat\": true}}]}", "logFormat"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": {\"logExtFileFlags\": \"Date,X\"}}]}",
         "logExtFileFlags"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": {\"directory\": 1}}]}", "directory"},
        {"{\"sites\": [{\"id\": 1, \"logFile\": {\"customFields\": {\"add\": [{}]}}}]}",
         "customFields"},
        {"{\"httperr\": {\"columns\": \"1999\"}}", "columns"},
        {"{\"computerName\": 1}", "computerName"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_settings s;
        struct str why;
        json_t *j = json_loads(rows[i].json, 0, NULL);

        assert_non_null(j);
        assert_int_equal(log_settings_from_json(j, &s, &why), RC_FAIL);
        if (!str_starts(why, str_z(rows[i].key)))
            fail_msg("%s: %.*s", rows[i].json, STR_ARG(why));
        log_settings_fini(&s);
        json_decref(j);
    }
}

static void writes_events(void **state)
{
    struct log_test t;
    int p[2];
    char got[1024];

    log_test_init(&t);
    assert_int_equal(pipe(p), 0);
    _cleanup_free_ char *path = xasprintf("%s/inetpub/logs/events.log", t.dir);
    struct event_log *el = event_log_new(&(struct event_log_options){.path = path, .fd = p[1]});
    json_t *data = json_pack("{s:s}", "pool", "P");

    clock_set_for_test(1, utc_us(2026, 10, 7, 12, 24, 54) + 123456);
    event_log_write(el, "WAS", 5002, EVENT_ERROR, "stopped\n\"P\"", data);
    event_log_write(el, "HTTP", 1, EVENT_INFO, "not UTF-8: \xff", NULL);
    static const char want[] =
        "{\"log\":\"event\",\"time\":\"2026-10-07T12:24:54.123Z\",\"source\":\"WAS\",\"id\":5002,"
        "\"level\":\"error\",\"text\":\"stopped\\n\\\"P\\\"\",\"data\":{\"pool\":\"P\"}}\n"
        "{\"log\":\"event\",\"time\":\"2026-10-07T12:24:54.123Z\",\"source\":\"HTTP\",\"id\":1,"
        "\"level\":\"info\",\"text\":\"not UTF-8: ?\"}\n";

    log_test_expect(&t, "inetpub/logs/events.log", want);
    ssize_t n = read(p[0], got, sizeof got - 1);

    assert_true(n > 0);
    got[n] = 0;
    assert_string_equal(got, want);

    /* Moved away: the next event makes a new file. Removed with its folder: likewise. */
    _cleanup_free_ char *moved = xasprintf("%s/moved", t.dir);
    _cleanup_free_ char *folder = xasprintf("%s/inetpub", t.dir);

    assert_int_equal(rename(path, moved), 0);
    event_log_write(el, "WAS", 1, EVENT_WARNING, "x", NULL);
    assert_true(log_test_exists(&t, "inetpub/logs/events.log"));
    log_test_remove(folder);
    event_log_reopen(el);
    event_log_write(el, "WAS", 2, EVENT_WARNING, "y", NULL);
    _cleanup_free_ char *last = log_test_read(&t, "inetpub/logs/events.log");

    assert_non_null(strstr(last, "\"id\":2,\"level\":\"warning\""));
    event_log_free(el);
    json_decref(data);
    clock_set_for_test(0, 0);
    close(p[0]);
    close(p[1]);
    log_test_fini(&t);
}

static void a_reader_that_stopped_stops_nobody(void **state)
{
    int p[2];
    char part[4096] = {0};

    assert_int_equal(pipe2(p, O_NONBLOCK), 0);
    while (write(p[1], part, sizeof part) > 0)
        ;
    assert_int_equal(fcntl(p[1], F_SETFL, 0), 0);
    struct event_log *el = event_log_new(&(struct event_log_options){.fd = p[1]});

    alarm(20);
    event_log_write(el, "WAS", 1, EVENT_INFO, "dropped", NULL);
    alarm(0);
    while (read(p[0], part, sizeof part) == sizeof part)
        assert_null(memmem(part, sizeof part, "dropped", 7));
    event_log_write(el, "WAS", 2, EVENT_INFO, "kept", NULL);
    ssize_t n = read(p[0], part, sizeof part);

    assert_true(n > 0);
    assert_non_null(memmem(part, (size_t)n, "kept", 4));
    event_log_free(el);
    close(p[0]);
    close(p[1]);
}

static void events_do_not_grow_without_end(void **state)
{
    struct log_test t;

    log_test_init(&t);
    _cleanup_free_ char *path = xasprintf("%s/events.log", t.dir);
    struct event_log *el =
        event_log_new(&(struct event_log_options){.path = path, .fd = -1, .max_bytes = 500});

    for (int i = 0; i < 40; i++)
        event_log_write(el, "WAS", 1, EVENT_INFO, "text", NULL);
    event_log_free(el);
    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *name = xasprintf("events.log%s", i ? ".1" : "");
        _cleanup_free_ char *got = log_test_read(&t, name);

        assert_non_null(got);
        assert_true(strlen(got) < 700);
    }
    log_test_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_member),
        cmocka_unit_test(refusals_name_the_member),
        cmocka_unit_test(writes_events),
        cmocka_unit_test(a_reader_that_stopped_stops_nobody),
        cmocka_unit_test(events_do_not_grow_without_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
