#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/conflict.h"
#include "logging/log_settings.h"
#include "supervisor/endpoints.h"
#include "supervisor/routing.h"
#include "base/poison.h"

static const char two_sites[] =
    "<configuration><configSections><sectionGroup name='system.applicationHost'>"
    "<section name='applicationPools'/><section name='sites'/><section name='webLimits'/>"
    "<section name='log'/></sectionGroup></configSections>"
    "<system.applicationHost><applicationPools>"
    "<add name='One' queueLength='42'><failure loadBalancerCapabilities='TcpLevel'/></add>"
    "<add name='Two' autoStart='false'/></applicationPools>"
    "<sites><site name='first' id='7'>"
    "<application path='/' applicationPool='One'><virtualDirectory path='/' physicalPath='/srv'/>"
    "</application>"
    "<application path='/shop' applicationPool='Two'><virtualDirectory path='/' "
    "physicalPath='/srv/shop'/></application>"
    "<bindings><binding protocol='http' bindingInformation='*:8080:www.example.com' "
    "proxyProtocol='v1v2' proxyTrusted='10.0.0.0/8,127.0.0.1'/>"
    "<binding protocol='net.tcp' bindingInformation='808:*'/></bindings>"
    "<limits maxConnections='10' connectionTimeout='00:00:05'/>"
    "<logFile directory='%SystemDrive%\\logs' period='Hourly' logExtFileFlags='Date, Time'/></site>"
    "<site name='second' id='8' serverAutoStart='false'>"
    "<application path='/' applicationPool='One'><virtualDirectory path='/' physicalPath='/srv'/>"
    "</application><bindings>"
    "<binding protocol='http' bindingInformation='*:8080:WWW.example.com'/></bindings></site>"
    "</sites><webLimits connectionTimeout='00:01:00' minBytesPerSecond='300'/>"
    "</system.applicationHost></configuration>";

static struct config *load(const char *text)
{
    struct config_error *err = NULL;
    struct config *c =
        config_load(&(struct config_options){.bytes = str_z(text), .system_drive = "/drive"}, &err);

    if (!c) {
        struct buf b;
        buf_init(&b, 4096);
        config_error_format(err, &b);
        print_error("%.*s\n", (int)b.n, b.p);
        buf_fini(&b);
        config_error_free(err);
    }
    assert_non_null(c);
    return c;
}

static bool as_configured(void *arg, const struct config_site *site)
{
    return site->server_auto_start;
}

static bool every_site(void *arg, const struct config_site *site)
{
    return true;
}

static bool pool_as_configured(void *arg, const struct config_pool *pool, const char **ret_reason)
{
    *ret_reason = "Disabled";
    return pool->auto_start;
}

static json_t *generation(const struct config *c)
{
    struct http_parameters parameters;

    static char prefix[] = "http://+:80/kept/";
    struct url_reservation reserved = {
        .prefix = prefix, .port = 80, .host = "+", .path = STR("/kept/")};
    const struct http_bindings bindings = {.reservations = &reserved, .n_reservations = 1};

    http_parameters_default(&parameters);
    parameters.error_logging_columns = HTTP_ERROR_COLUMNS_2008;
    return routing_to_json(c, &(struct routing_options){.id = 3,
                                                        .parameters = &parameters,
                                                        .bindings = &bindings,
                                                        .computer_name = "HOST",
                                                        .site_started = as_configured,
                                                        .pool_started = pool_as_configured});
}

/* "sites/0/limits/maxConnections" */
static const json_t *at(const json_t *j, const char *path)
{
    struct str rest = str_z(path), part;

    while (j && str_split(&rest, '/', &part)) {
        uint64_t index;
        if (json_is_array(j) && str_u64(part, 1000, &index))
            j = json_array_get(j, (size_t)index);
        else
            j = json_object_getn(j, part.p, part.n);
    }
    return j;
}

static void generation_says_what_the_file_says(void **state)
{
    static const struct {
        const char *path, *text;
        json_int_t number;
    } rows[] = {
        {"type", "generation", 0},
        {"id", NULL, 3},
        {"computerName", "HOST", 0},
        {"parameters/MaxFieldLength", NULL, 16384},
        {"web_limits/connectionTimeout_ms", NULL, 60000},
        {"web_limits/minBytesPerSecond", NULL, 300},
        {"pools/0/name", "One", 0},
        {"pools/0/queueLength", NULL, 42},
        {"pools/0/loadBalancerCapabilities", "TcpLevel", 0},
        {"pools/0/state", "Started", 0},
        {"pools/1/queueLength", NULL, 1000},
        {"pools/1/state", "Stopped", 0},
        {"pools/1/reason", "Disabled", 0},
        {"sites/0/id", NULL, 7},
        {"sites/0/name", "first", 0},
        {"sites/0/state", "Started", 0},
        {"sites/0/limits/maxConnections", NULL, 10},
        {"sites/0/limits/maxBandwidth", NULL, 4294967295},
        {"sites/0/limits/connectionTimeout_ms", NULL, 5000},
        {"sites/0/bindings/0/protocol", "http", 0},
        {"sites/0/bindings/0/address", "*", 0},
        {"sites/0/bindings/0/port", NULL, 8080},
        {"sites/0/bindings/0/host", "www.example.com", 0},
        {"sites/0/bindings/0/proxyProtocol", "v1v2", 0},
        {"sites/0/bindings/0/proxyTrusted", "10.0.0.0/8,127.0.0.1", 0},
        {"httperr/columns", "2008", 0},
        {"reservations/0/scheme", "http", 0},
        {"reservations/0/host", "+", 0},
        {"reservations/0/port", NULL, 80},
        {"reservations/0/path", "/kept/", 0},
        {"sites/0/applications/0/path", "/", 0},
        {"sites/0/applications/0/pool", "One", 0},
        {"sites/0/applications/1/path", "/shop", 0},
        {"sites/0/applications/1/pool", "Two", 0},
        {"sites/0/logFile/directory", "/drive/logs", 0},
        {"sites/0/logFile/period", NULL, 4},
        {"sites/0/logFile/logExtFileFlags", NULL, 3},
        {"sites/1/state", "Stopped", 0},
    };
    struct config *c = load(two_sites);
    json_t *j = generation(c);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const json_t *v = at(j, rows[i].path);
        if (rows[i].text ? !json_is_string(v) || strcmp(json_string_value(v), rows[i].text) != 0
                         : !json_is_integer(v) || json_integer_value(v) != rows[i].number)
            fail_msg("%s: %s", rows[i].path, v ? json_dumps(v, JSON_ENCODE_ANY) : "absent");
    }
    assert_int_equal(json_array_size(at(j, "sites/0/bindings")), 1); /* net.tcp is not ours */
    json_decref(j);
    config_unref(c);
}

static void logs_understand_their_part(void **state)
{
    struct config *c = load(two_sites);
    json_t *j = generation(c);
    struct log_settings settings;
    struct str why;

    if (log_settings_from_json(j, &settings, &why) != RC_OK)
        fail_msg("%.*s", STR_ARG(why));
    assert_int_equal(settings.n_sites, 2);
    assert_string_equal(settings.sites[0].files.directory, "/drive/logs");
    assert_int_equal(settings.sites[0].files.period, LOG_PERIOD_HOURLY);
    assert_true(settings.httperr.enabled);
    assert_string_equal(settings.httperr.files.directory, "/drive/Windows/System32/LogFiles");
    log_settings_fini(&settings);
    json_decref(j);
    config_unref(c);
}

/* Two sites of one binding each; whether the second may start, and beside what. */
static void bindings_that_collide(void **state)
{
    static const struct {
        const char *first, *second;
        int want; /* 0: no, 1: the same prefix, 2: http and https on one port */
    } rows[] = {
        {"http *:80:", "http *:80:", 1},
        {"http *:80:", "http :80:", 1},
        {"http *:80:", "http 0.0.0.0:80:", 0}, /* a family comes before all */
        {"http [::]:80:", "http 0.0.0.0:80:", 0},
        {"http 0.0.0.0:80:", "http 0.0.0.0:80:", 1},
        {"http *:80:", "http +:80:", 0},
        {"http +:80:", "http +:80:", 1},
        {"http *:80:a.test", "http *:80:A.test", 1},
        {"http *:80:a.test", "http *:80:b.test", 0},
        {"http *:80:a.test", "http *:80:", 0},
        {"http *:80:*.test", "http *:80:*.test", 1},
        {"http *:80:a.test", "http 10.0.0.1:80:a.test", 0},
        {"http 10.0.0.1:80:", "http 10.0.0.1:80:", 1},
        {"http 10.0.0.1:80:", "http 10.0.0.2:80:", 0},
        {"http 10.0.0.1:80:", "http 0.0.0.0:80:", 0},
        {"http [2001:db8::1]:80:", "http [2001:DB8:0::1]:80:", 1},
        {"http [fe80::1%1]:80:", "http [fe80::1%2]:80:", 0},
        {"http [fe80::1%1]:80:", "http [fe80::1%lo]:80:", 1},
        {"http *:80:", "http *:81:", 0},
        {"http *:443:", "https *:443:", 2},
        {"https *:443:a.test", "http 10.0.0.1:443:b.test", 2},
        {"https *:443:a.test", "https *:443:a.test", 1},
        {"https *:443:a.test", "https *:443:b.test", 0},
        {"net.tcp 80:*", "net.tcp 80:*", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const both[] = {rows[i].first, rows[i].second};
        struct config_conflict got = {0};
        struct buf b;

        buf_init(&b, 8192);
        buf_printf(&b, "<configuration><configSections><sectionGroup name='system.applicationHost'>"
                       "<section name='sites'/></sectionGroup></configSections>"
                       "<system.applicationHost><sites>");
        for (size_t k = 0; k < 2; k++) {
            struct str protocol, rest = str_z(both[k]);
            assert_true(str_split(&rest, ' ', &protocol));
            buf_printf(&b,
                       "<site name='s%zu' id='%zu'><bindings><binding protocol='%.*s' "
                       "bindingInformation='%.*s'/></bindings></site>",
                       k + 1, k + 1, STR_ARG(protocol), STR_ARG(rest));
        }
        buf_printf(&b, "</sites></system.applicationHost></configuration>");
        char *text = str_dup_z(buf_view(&b));
        struct config *c = load(text);
        const struct config_site *first = config_site_by_id(c, 1),
                                 *second = config_site_by_id(c, 2);
        bool found = config_find_conflict(c, second, every_site, NULL, &got);

        if (found != (rows[i].want != 0) || (found && got.is_scheme != (rows[i].want == 2)))
            fail_msg("%s, %s: %d %d", rows[i].first, rows[i].second, found, got.is_scheme);
        if (found) {
            assert_ptr_equal(got.other, first);
            assert_ptr_equal(got.binding, &second->bindings[0]);
        }
        config_unref(c);
        free(text);
        buf_fini(&b);
    }
}

static void only_started_sites_collide(void **state)
{
    struct config *c = load(two_sites);
    const struct config_site *first = config_site_by_id(c, 7), *second = config_site_by_id(c, 8);
    struct config_conflict got;

    assert_true(config_find_conflict(c, second, every_site, NULL, &got));
    assert_ptr_equal(got.other, first);
    assert_false(config_find_conflict(c, first, as_configured, NULL, &got)); /* second is stopped */
    config_unref(c);
}

static char *signature_with(const char *attributes, const char *inner)
{
    struct buf b;

    buf_init(&b, 8192);
    buf_printf(&b,
               "<configuration><configSections><sectionGroup name='system.applicationHost'>"
               "<section name='applicationPools'/></sectionGroup></configSections>"
               "<system.applicationHost><applicationPools><add name='P' %s>%s</add>"
               "</applicationPools></system.applicationHost></configuration>",
               attributes, inner);
    char *text = str_dup_z(buf_view(&b));
    struct config *c = load(text);
    char *s = routing_pool_signature(config_pool_by_name(c, STR("p")));

    config_unref(c);
    free(text);
    buf_fini(&b);
    return s;
}

static void only_some_attributes_recycle(void **state)
{
    static const struct {
        const char *attributes, *inner;
        bool recycles;
    } rows[] = {
        {"queueLength='2000'", "", false},
        {"autoStart='false'", "", false},
        {"startMode='AlwaysRunning'", "", false},
        {"", "<failure rapidFailProtectionMaxCrashes='9'/>", false},
        {"", "<failure loadBalancerCapabilities='TcpLevel'/>", false},
        {"enable32BitAppOnWin64='true'", "", true},
        {"managedPipelineMode='Classic'", "", true},
        {"managedRuntimeVersion='v2.0'", "", true},
        {"", "<processModel idleTimeout='00:05:00'/>", true},
        {"", "<processModel identityType='LocalService'/>", true},
        {"", "<processModel pingingEnabled='false'/>", true},
        {"", "<recycling><periodicRestart time='01:00:00'/></recycling>", true},
        {"",
         "<recycling><periodicRestart><schedule><add value='03:00:00'/></schedule>"
         "</periodicRestart></recycling>",
         true},
        {"", "<cpu limit='50000'/>", true},
        {"", "<environmentVariables><add name='A' value='B'/></environmentVariables>", true},
    };
    char *plain = signature_with("", "");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *s = signature_with(rows[i].attributes, rows[i].inner);
        if ((strcmp(s, plain) != 0) != rows[i].recycles)
            fail_msg("%s%s: %s", rows[i].attributes, rows[i].inner,
                     rows[i].recycles ? "does not recycle" : "recycles");
        free(s);
    }
    free(plain);
}

/* ---- endpoints ------------------------------------------------------------------------------ */

/* Outside the kernel's usual range for clients, in a block of ports that is claimed by a name as
 * tests/e2e/harness/ports.py does: nobody else takes it between the asking and the binding. */
static uint16_t own_port(void)
{
    enum { BLOCK = 50, FIRST = 10000, LAST = 32000 };
    static int claim = -1;
    static unsigned next, end;

    while (next == end) {
        unsigned block = FIRST / BLOCK + (unsigned)random() % ((LAST - FIRST) / BLOCK);
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "candor-test-ports-%u",
                         block);
        claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(claim >= 0); /* and stays open until the process ends */
        if (bind(claim, (struct sockaddr *)&name,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0) {
            next = block * BLOCK;
            end = next + BLOCK;
        } else {
            close(claim);
        }
    }
    for (; next < end; next++) {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)next)};
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_free = bind(s, (struct sockaddr *)&any, sizeof(any)) == 0;
        close(s);
        if (is_free)
            return (uint16_t)next++;
    }
    return own_port();
}

static void endpoints_share_a_port_among_threads_only(void **state)
{
    struct endpoints ours, theirs;
    struct endpoint_failure f;
    uint16_t port = own_port();

    endpoints_init(&ours, 3);
    endpoints_init(&theirs, 2);
    assert_true(endpoints_want(&ours, STR("127.0.0.1"), port, false, &f));
    assert_true(endpoints_want(&ours, STR("127.0.0.1"), port, false, &f)); /* the same one */
    assert_int_equal(ours.n, 1);
    assert_true(ours.list[0]->fds[0] >= 0 && ours.list[0]->fds[2] >= 0);
    assert_int_equal(endpoint_port(ours.list[0]), port);

    /* Another server of the same user must not slip in. */
    assert_false(endpoints_want(&theirs, STR("127.0.0.1"), port, false, &f));
    assert_int_equal(f.err, EADDRINUSE);
    assert_non_null(strstr(f.why, "in use by test_supervisor"));
    assert_false(endpoints_want(&theirs, STR("*"), port, false, &f));
    assert_int_equal(theirs.n, 0);

    endpoints_fini(&ours);
    assert_true(endpoints_want(&theirs, STR("127.0.0.1"), port, false, &f));
    endpoints_fini(&theirs);
}

static void a_wildcard_may_join_an_address_of_its_own_server(void **state)
{
    struct endpoints e;
    struct endpoint_failure f;
    uint16_t port = own_port();

    endpoints_init(&e, 2);
    assert_true(endpoints_want(&e, STR("127.0.0.1"), port, false, &f));
    assert_true(endpoints_want(&e, STR("*"), port, false, &f));
    assert_false(endpoints_want(&e, STR("127.0.0.1"), port, true, &f));
    assert_int_equal(f.err, EPROTO);
    assert_true(e.n >= 2);
    endpoints_begin(&e);
    for (size_t i = 0; i < e.n; i++)
        assert_false(e.list[i]->wanted);
    endpoints_fini(&e);
}

static struct ip_address ip(const char *text)
{
    struct ip_address a;

    assert_true(ip_parse(str_z(text), &a));
    return a;
}

static void the_listen_list_counts(void **state)
{
    struct ip_address list[] = {ip("127.0.0.1"), ip("127.0.0.2")};
    struct http_bindings b = {.listen = list, .n_listen = 2};
    uint16_t port = own_port();
    struct endpoint_failure f;
    struct endpoints e;
    char text[ENDPOINT_TEXT_MAX];

    endpoints_init(&e, 1);
    e.bindings = &b;
    assert_true(endpoints_may_want(&e, STR("127.0.0.2")));
    assert_true(endpoints_may_want(&e, STR("*")));
    assert_false(endpoints_may_want(&e, STR("127.0.0.3")));
    assert_false(endpoints_may_want(&e, STR("::1")));
    assert_true(endpoints_want(&e, STR("*"), port, false, &f));
    assert_int_equal(e.n, 2);
    endpoint_address_text(e.list[0], text);
    assert_string_equal(text, "127.0.0.1");
    endpoint_address_text(e.list[1], text);
    assert_string_equal(text, "127.0.0.2");

    /* Without the list all addresses come in; the others go when they are no longer wanted. */
    b.n_listen = 0;
    endpoints_begin(&e);
    assert_true(endpoints_may_want(&e, STR("::1")));
    assert_true(endpoints_want(&e, STR("+"), port, false, &f));
    endpoint_address_text(e.list[2], text);
    assert_string_equal(text, "0.0.0.0");
    assert_false(e.list[0]->wanted);
    endpoints_fini(&e);
}

static void no_more_than_max_endpoints(void **state)
{
    uint16_t port = own_port();
    struct endpoint_failure f;
    struct endpoints e;

    endpoints_init(&e, 1);
    e.max = 1;
    assert_true(endpoints_want(&e, STR("127.0.0.1"), port, false, &f));
    assert_true(endpoints_want(&e, STR("127.0.0.1"), port, false, &f));
    assert_false(endpoints_want(&e, STR("127.0.0.2"), port, false, &f));
    assert_int_equal(f.err, ENOSPC);
    assert_string_equal(f.why, "MaxEndpoints allows 1");
    /* What is no longer wanted does not count; all addresses count once. */
    endpoints_begin(&e);
    assert_true(endpoints_want(&e, STR("*"), port, false, &f));
    assert_false(endpoints_want(&e, STR("127.0.0.1"), port, false, &f));
    assert_int_equal(f.err, ENOSPC);
    endpoints_fini(&e);
}

/* A child plays the server: the variables name its process, and descriptors begin at 3. */
static unsigned refused;

static void count_refused(void *arg, const char *name, const char *why)
{
    refused += strcmp(name, "file") == 0;
}

/* 0, or the step that went wrong. */
static int take_as_child(int v4, int v6, uint16_t port4, uint16_t port6)
{
    struct endpoint_failure f;
    struct endpoints e;
    char pid[24];
    int a = fcntl(v4, F_DUPFD, 50), b = fcntl(v6, F_DUPFD, 50), c = open("/dev/null", O_RDONLY);

    c = fcntl(c, F_DUPFD, 50);
    if (dup2(a, 3) != 3 || dup2(b, 4) != 4 || dup2(c, 5) != 5)
        return 1;
    close(a);
    close(b);
    if (v4 > 5)
        close(v4);
    if (v6 > 5)
        close(v6);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "3", 1);
    setenv("LISTEN_FDNAMES", "one:two:file", 1);
    endpoints_init(&e, 2);
    inherited_begin(&e.inherited, count_refused, NULL);
    if (refused != 1 || e.inherited.n != 2 || getenv("LISTEN_FDS"))
        return 2;
    if (strcmp(e.inherited.list[1].name, "two") != 0 || !e.inherited.list[1].is_dual ||
        e.inherited.list[0].is_dual || e.inherited.list[1].is_used)
        return 3;
    /* Without the inherited one the port would be in use. */
    if (!endpoints_want(&e, STR("127.0.0.1"), port4, false, &f) || e.n != 1)
        return 4;
    if (!endpoints_want(&e, STR("*"), port6, false, &f) || e.n != 2) /* one for both families */
        return 5;
    if (e.list[1]->fds[0] < 0 || e.list[1]->fds[1] < 0 || e.list[1]->fds[0] == e.list[1]->fds[1] ||
        !(fcntl(e.list[1]->fds[1], F_GETFL) & O_NONBLOCK) ||
        !(fcntl(e.list[1]->fds[1], F_GETFD) & FD_CLOEXEC))
        return 6;
    endpoints_fini(&e);

    /* Meant for another process. */
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "3", 1);
    inherited_begin(&e.inherited, count_refused, NULL);
    return e.inherited.n == 0 && !e.inherited.list && !getenv("LISTEN_PID") ? 0 : 7;
}

static void inherited_sockets_are_taken(void **state)
{
    int v4 = socket(AF_INET, SOCK_STREAM, 0), v6 = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
    socklen_t n4 = sizeof(a4), n6 = sizeof(a6);
    int off = 0, status = 0;

    assert_int_equal(bind(v4, (struct sockaddr *)&a4, n4), 0);
    assert_int_equal(listen(v4, 5), 0);
    assert_int_equal(setsockopt(v6, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
    assert_int_equal(bind(v6, (struct sockaddr *)&a6, n6), 0);
    assert_int_equal(listen(v6, 5), 0);
    assert_int_equal(getsockname(v4, (struct sockaddr *)&a4, &n4), 0);
    assert_int_equal(getsockname(v6, (struct sockaddr *)&a6, &n6), 0);
    pid_t child = fork();

    if (child == 0)
        _exit(take_as_child(v4, v6, ntohs(a4.sin_port), ntohs(a6.sin6_port)));
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("step %d", WEXITSTATUS(status));
    close(v4);
    close(v6);
}

static void bad_addresses_are_told_apart(void **state)
{
    static const struct {
        const char *address;
        int err;
    } rows[] = {{"localhost", EINVAL},    {"1.2.3", EINVAL}, {"1.2.3.4.5", EINVAL},
                {"::zz", EINVAL},         {"[::1]", EINVAL}, {"192.0.2.77", EADDRNOTAVAIL},
                {"fe80::1%nodev", EINVAL}};
    struct endpoints e;

    endpoints_init(&e, 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct endpoint_failure f = {0};
        if (endpoints_want(&e, str_z(rows[i].address), 8080, false, &f) || f.err != rows[i].err)
            fail_msg("%s: errno %d, %d wanted (%s)", rows[i].address, f.err, rows[i].err, f.why);
    }
    endpoints_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generation_says_what_the_file_says),
        cmocka_unit_test(logs_understand_their_part),
        cmocka_unit_test(bindings_that_collide),
        cmocka_unit_test(only_started_sites_collide),
        cmocka_unit_test(only_some_attributes_recycle),
        cmocka_unit_test(endpoints_share_a_port_among_threads_only),
        cmocka_unit_test(a_wildcard_may_join_an_address_of_its_own_server),
        cmocka_unit_test(the_listen_list_counts),
        cmocka_unit_test(no_more_than_max_endpoints),
        cmocka_unit_test(inherited_sockets_are_taken),
        cmocka_unit_test(bad_addresses_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
