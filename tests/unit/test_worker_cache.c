/* The worker's side of the response cache: what is offered to the listener, what never is, and that
 * an offer is taken back when it no longer holds. */
#include "worker_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "worker/cache_offers.h"
#include "worker/cache_policy.h"
#include "worker/modules/modules.h"
#include "worker/modules/registry.h"
#include "worker/plan.h"

#include "base/poison.h"

/* ---- the pipeline: real modules, and one whose nature a test may change --------------------- */

static struct module other = {.name = "StaticCompressionModule", .same_for_all = true};

static const struct module *const modules[] = {
    &mod_http_logging,       &mod_http_cache,         &mod_default_document,
    &mod_directory_listing,  &mod_protocol_support,   &mod_http_redirection,
    &mod_static_file,        &mod_anonymous_authentication,
    &mod_request_filtering,  &mod_custom_error,       &other,
};

unsigned registry_count(void)
{
    return ARRAY_LEN(modules);
}

const struct module *registry_at(unsigned index)
{
    return modules[index];
}

int registry_find(struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(modules); i++)
        if (str_ieq(str_z(modules[i]->name), name))
            return (int)i;
    return -1;
}

#define AT_SITE(xml)                                                                               \
    "<location path='Default Web Site'><system.webServer>" xml "</system.webServer></location>"
#define SECURITY(xml) AT_SITE("<security>" xml "</security>")

/* ---- time, files, requests ------------------------------------------------------------------ */

static uint64_t mono_ns;
static int64_t wall_us;
static uint64_t next_id;

/* The files are some seconds old from the start: young ones are distrusted. */
static void start_clock(void)
{
    mono_ns = clock_mono_ns();
    wall_us = clock_wall_us() + 5000000;
    clock_set_for_test(mono_ns, wall_us);
}

static void pass(struct fx *f, unsigned ms)
{
    mono_ns += UINT64_C(1000000) * ms;
    wall_us += INT64_C(1000) * ms;
    clock_set_for_test(mono_ns, wall_us);
    loop_turn(f->t.loop, 0); /* a loop knows the time after its first wait */
    fx_turn(f);
    fx_turn(f);
}

static struct fx *start_site(const char *site, const char *app_host, const char *web_config)
{
    struct fx *f = fx_new_site(site, app_host, web_config);

    next_id = 0;
    fx_file(f, "a.txt", "one");
    start_clock();
    fx_turn(f);
    return f;
}

static struct fx *start(const char *app_host)
{
    return start_site(NULL, app_host, NULL);
}

static void end(struct fx *f)
{
    fx_assert_idle(f);
    fx_free(f);
    clock_set_for_test(0, 0);
}

/* The head's offer in seconds, 0: none. */
static uint32_t get(struct fx *f, const char *target, const char *const *headers)
{
    struct fx_answer *a = fx_get(f, ++next_id, "GET", target, headers);

    if (!(a->head.flags & MSGR_CACHE)) {
        assert_int_equal(a->head.cache_seconds, 0);
        return 0;
    }
    assert_int_equal(a->head.status, 200);
    return a->head.cache_seconds;
}

/* Asks until it is offered. */
static uint32_t offer(struct fx *f, const char *target)
{
    uint32_t seconds = 0;

    for (unsigned i = 0; i < 6 && seconds == 0; i++)
        seconds = get(f, target, NULL);
    return seconds;
}

static void assert_flushed(struct fx *f, const char *path)
{
    assert_int_equal(f->n_flushes, 1);
    assert_string_equal(f->flushes[0].path, path);
    assert_int_equal(f->flushes[0].site_id, *path ? FX_SITE : 0);
    f->n_flushes = 0;
}

/* ---- offers --------------------------------------------------------------------------------- */

static void test_hot_files_are_offered(void **state)
{
    struct fx *f = start(NULL);

    assert_int_equal(get(f, "/a.txt", NULL), 0);
    assert_int_equal(get(f, "/a.txt", NULL), 0);
    assert_int_equal(get(f, "/a.txt", NULL), 900);
    struct fx_answer *a = &f->answers[next_id];

    assert_int_equal(a->records, 1);
    assert_string_equal(a->body.p, "one");
    assert_int_equal(cache_offers_count(f->t.offers), 1);
    /* At once again only if the listener goes on asking. */
    assert_int_equal(get(f, "/a.txt", NULL), 0);
    pass(f, 1000);
    assert_int_equal(get(f, "/a.txt", NULL), 900);
    assert_int_equal(cache_offers_count(f->t.offers), 1);
    /* Hits count for ten seconds. */
    fx_file(f, "b.txt", "b");
    pass(f, 5000);
    assert_int_equal(get(f, "/b.txt", NULL), 0);
    assert_int_equal(get(f, "/b.txt", NULL), 0);
    pass(f, 10000);
    assert_int_equal(get(f, "/b.txt", NULL), 0);
    assert_int_equal(get(f, "/b.txt", NULL), 0);
    assert_int_equal(get(f, "/b.txt", NULL), 900);
    end(f);
    f = start(AT_SITE("<serverRuntime frequentHitThreshold='1' "
                      "frequentHitTimePeriod='00:00:01'/>"));
    assert_int_equal(get(f, "/a.txt", NULL), 0);
    pass(f, 1000);
    assert_int_equal(get(f, "/a.txt", NULL), 0);
    assert_int_equal(get(f, "/a.txt", NULL), 900);
    end(f);
}

/* Large ones as a head and one file, the two records side by side. */
static void test_large_files(void **state)
{
    struct fx *f = start(NULL);
    size_t n = 300000;
    _cleanup_free_ char *bytes = malloc(n);

    assert_non_null(bytes);
    memset(bytes, 'x', n);
    fx_file_bytes(f, "big.txt", bytes, n);
    fx_file_bytes(f, "middle.txt", bytes, 20000);
    pass(f, 5000);
    assert_int_equal(offer(f, "/big.txt"), 900);
    struct fx_answer *a = &f->answers[next_id];

    assert_int_equal(a->records, 2);
    assert_int_equal(a->file_parts, 1);
    assert_int_equal(a->head.body_len, 0);
    assert_int_equal(offer(f, "/middle.txt"), 900);
    assert_int_equal(f->answers[next_id].records, 1);
    /* Copied through the ring in pieces because the listener took no descriptor: not whole. */
    fx_file_bytes(f, "other.txt", bytes, n);
    pass(f, 5000);
    while (region_send_file(f->files[1], 999, f->files[1]))
        continue;
    fx_push(f, 1000, "GET", "/other.txt", NULL, 0);
    for (unsigned i = 0; i < 4; i++)
        fx_push(f, 1001 + i, "GET", "/other.txt", NULL, 0);
    fx_turn(f);
    fx_turn(f);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(f->answers[1000 + i].head.flags & MSGR_CACHE, 0);
    uint32_t handle;
    int fd;

    while (region_recv_file(f->files[0], &handle, &fd) == 1)
        close(fd);
    for (unsigned i = 0; i < 50; i++)
        fx_turn(f);
    end(f);
}

static void test_profiles(void **state)
{
    struct fx *f = start(AT_SITE(
        "<caching><profiles>"
        "<add extension='.txt' kernelCachePolicy='CacheForTimePeriod' duration='00:00:07'/>"
        "<add extension='.css' kernelCachePolicy='CacheUntilChange'/>"
        "<add extension='.js' kernelCachePolicy='DontCache' varyByQueryString='*'/>"
        "</profiles></caching>"));

    fx_file(f, "a.css", "a");
    fx_file(f, "a.js", "a");
    pass(f, 5000);
    assert_int_equal(offer(f, "/a.txt"), 7);
    assert_int_equal(offer(f, "/a.css"), UINT32_MAX);
    assert_int_equal(offer(f, "/a.js"), 900);
    assert_int_equal(cache_offers_count(f->t.offers), 3);
    /* The listener forgets by itself what has expired. */
    pass(f, 9000);
    assert_int_equal(cache_offers_count(f->t.offers), 2);
    assert_int_equal(f->n_flushes, 0);
    end(f);
}

/* ---- exclusions ----------------------------------------------------------------------------- */

static const char *const authorization[] = {"Authorization: Basic YTpi", NULL};
static const char *const proxy_authorization[] = {"Proxy-Authorization: Basic YTpi", NULL};
static const char *const range[] = {"Range: bytes=0-0", NULL};
static const char *const if_range[] = {"If-Range: \"x\"", NULL};
static const char *const translate[] = {"Translate: t", NULL};

/* name: of the row in cache_policy.c that has to be the reason. */
static const struct row {
    const char *name, *app_host, *site, *target, *method;
    const char *const *headers;
    uint32_t flags;
    bool tls, no_watch, watchful, future;
} rows[] = {
    {.name = "method", .method = "HEAD"},
    {.name = "whole file", .target = "/empty.txt"},
    {.name = "whole file", .target = "/missing.txt"},
    {.name = "whole file", .headers = range},
    {.name = "child request", .target = "/docs/"},
    {.name = "frequency",
     .app_host = AT_SITE("<serverRuntime frequentHitThreshold='100'/>")},
    {.name = "caching", .app_host = AT_SITE("<caching enabled='false'/>")},
    {.name = "caching", .app_host = AT_SITE("<caching enableKernelCache='false'/>")},
    {.name = "query", .target = "/a.txt?x"},
    {.name = "query", .target = "/a.txt?"},
    {.name = "request body", .flags = MSGF_HAS_BODY},
    {.name = "request headers", .headers = authorization},
    {.name = "request headers", .headers = proxy_authorization},
    {.name = "request headers", .headers = if_range},
    {.name = "request headers", .headers = translate},
    {.name = "connection", .app_host = AT_SITE("<httpProtocol allowKeepAlive='false'/>")},
    {.name = "last modified", .future = true},
    {.name = "not watched", .no_watch = true},
    {.name = "profile",
     .app_host = AT_SITE("<caching><profiles><add extension='.txt' "
                         "kernelCachePolicy='DisableCache'/></profiles></caching>")},
    {.name = "profile",
     .app_host = AT_SITE("<caching><profiles><add extension='*' kernelCachePolicy="
                         "'CacheUntilChange' varyByHeaders='Cookie'/></profiles></caching>")},
    {.name = "client certificate", .app_host = SECURITY("<access sslFlags='SslNegotiateCert'/>"),
     .tls = true},
    {.name = "client certificate", .app_host = SECURITY("<access sslFlags='SslMapCert'/>"),
     .tls = true},
    {.name = "cipher strength", .app_host = SECURITY("<access sslFlags='Ssl128'/>"), .tls = true},
    {.name = "authentication",
     .app_host = SECURITY("<authentication><anonymousAuthentication enabled='false'/>"
                          "</authentication>")},
    {.name = "authorization",
     .app_host = SECURITY("<authorization><add accessType='Deny' users='?' verbs='HEAD'/>"
                          "</authorization>")},
    {.name = "IP restrictions",
     .app_host = SECURITY("<ipSecurity><add ipAddress='10.0.0.1'/></ipSecurity>")},
    {.name = "IP restrictions", .app_host = SECURITY("<ipSecurity allowUnlisted='false'/>")},
    {.name = "dynamic IP restrictions",
     .app_host = SECURITY("<dynamicIpSecurity><denyByRequestRate enabled='true'/>"
                          "</dynamicIpSecurity>")},
    {.name = "dynamic IP restrictions",
     .app_host = SECURITY("<dynamicIpSecurity><denyByConcurrentRequests enabled='true'/>"
                          "</dynamicIpSecurity>")},
    {.name = "remote clients",
     .app_host = AT_SITE("<handlers accessPolicy='Read, Script, NoRemoteRead'/>")},
    {.name = "header limits",
     .app_host = SECURITY("<requestFiltering><requestLimits><headerLimits>"
                          "<add header='Cookie' sizeLimit='10'/></headerLimits></requestLimits>"
                          "</requestFiltering>")},
    {.name = "filtering rules",
     .app_host = SECURITY("<requestFiltering><filteringRules><filteringRule name='x'>"
                          "<scanHeaders><add requestHeader='Cookie'/></scanHeaders>"
                          "</filteringRule></filteringRules></requestFiltering>")},
    {.name = "filtering rules",
     .app_host = SECURITY("<requestFiltering><filteringRules><filteringRule name='x' "
                          "scanAllRaw='true'/></filteringRules></requestFiltering>")},
    {.name = "HEAD filtered",
     .app_host = SECURITY("<requestFiltering><verbs><add verb='HEAD' allowed='false'/></verbs>"
                          "</requestFiltering>")},
    {.name = "HEAD filtered",
     .app_host = SECURITY("<requestFiltering><verbs allowUnlisted='false'><add verb='GET' "
                          "allowed='true'/></verbs></requestFiltering>")},
    {.name = "tracing",
     .site = "<traceFailedRequestsLogging enabled='true'/>",
     .app_host = AT_SITE("<tracing><traceFailedRequests><add path='*'/></traceFailedRequests>"
                         "</tracing>")},
    {.name = "selective logging", .app_host = AT_SITE("<httpLogging dontLog='true'/>")},
    {.name = "selective logging",
     .app_host = AT_SITE("<httpLogging selectiveLogging='LogError'/>")},
    {.name = "log variables",
     .site = "<logFile><customFields><add logFieldName='x' sourceName='HTTPS' "
             "sourceType='ServerVariable'/></customFields></logFile>"},
    {.name = "custom log format",
     .site = "<logFile logFormat='Custom' customLogPluginClsid='{0}'/>"},
    {.name = "document footer",
     .app_host = AT_SITE("<staticContent enableDocFooter='true' defaultDocFooter='x'/>")},
    {.name = "modules", .watchful = true},
    {.name = "HEAD handler",
     .app_host = AT_SITE("<handlers><clear/><add name='h' path='*' verb='HEAD' "
                         "modules='ProtocolSupportModule'/><add name='s' path='*' verb='*' "
                         "modules='StaticFileModule'/></handlers>")},
};

/* Reasons that stand in no configuration a request can be made for. */
static const char *const elsewhere[] = {
    "just offered", /* test_hot_files_are_offered */
    "user",         /* test_user */
};

static void try_row(const struct row *row)
{
    struct fx *f = start_site(row->site, row->app_host, NULL);
    const char *target = row->target ? row->target : "/a.txt";

    fx_file(f, "empty.txt", "");
    fx_file(f, "docs/index.html", "x");
    pass(f, row->future ? 0 : 5000);
    if (row->tls) {
        f->tls_flags = MSGF_TLS;
        f->tls = (struct msg_tls){.version = 0x0304,
                                  .cipher_bits = 256,
                                  .verdict = CLIENT_CERT_GOOD};
    }
    if (row->future) {
        wall_us -= 3600 * INT64_C(1000000);
        clock_set_for_test(mono_ns, wall_us);
    }
    other.same_for_all = !row->watchful;
    f->w.watches_live = !row->no_watch;
    for (unsigned i = 1; i <= 8; i++) {
        assert_true(fx_push(f, i, row->method ? row->method : "GET", target, row->headers,
                            row->flags));
        fx_turn(f);
        fx_turn(f);
        assert_true(f->answers[i].closed);
        if (f->answers[i].head.flags & MSGR_CACHE)
            fail_msg("%s: offered", row->name);
    }
    assert_int_equal(cache_offers_count(f->t.offers), 0);
    /* What follows from configuration has been found to be just that. */
    struct str path = str_sub(str_z(target), 0, str_find_char(str_z(target), '?'));
    struct url_entry *e = url_cache_get(f->t.urls, FX_SITE, path);
    size_t n;
    const struct cache_exclusion *all = cache_exclusions(&n);

    for (size_t i = 0; i < n; i++)
        if (all[i].of_plan && strcmp(all[i].name, row->name) == 0)
            assert_ptr_equal(e->plan->cache_exclusion, &all[i]);
    url_entry_unref(f->t.urls, e);
    other.same_for_all = true;
    end(f);
}

static void test_exclusions(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        try_row(&rows[i]);
}

static void test_each_exclusion_has_a_row(void **state)
{
    size_t n;
    const struct cache_exclusion *all = cache_exclusions(&n);

    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (unsigned k = 0; k < ARRAY_LEN(rows); k++)
            found |= strcmp(rows[k].name, all[i].name) == 0;
        for (unsigned k = 0; k < ARRAY_LEN(elsewhere); k++)
            found |= strcmp(elsewhere[k], all[i].name) == 0;
        if (!found)
            fail_msg("no test for \"%s\"", all[i].name);
        assert_true(!all[i].of_plan != !all[i].of_answer);
        assert_true(strlen(all[i].why) > 10);
    }
}

static enum pipe_rc log_on(struct request *r, const void *conf)
{
    r->authenticated = true;
    r->user = STR("somebody");
    return PIPE_CONTINUE;
}

static void test_user(void **state)
{
    other.hooks[N_AUTHENTICATE_REQUEST] = (struct module_hook){log_on, PRI_FIRST};
    struct fx *f = start(NULL);

    assert_int_equal(offer(f, "/a.txt"), 0);
    end(f);
    other.hooks[N_AUTHENTICATE_REQUEST] = (struct module_hook){NULL, 0};
}

/* Settings like those that exclude, but which change nothing for later requests. */
static void test_what_does_not_exclude(void **state)
{
    static const struct {
        const char *site, *app_host;
    } good[] = {
        {NULL, SECURITY("<access sslFlags='None'/>")},
        {NULL, SECURITY("<requestFiltering><denyUrlSequences><add sequence='zz'/>"
                        "</denyUrlSequences><filteringRules><filteringRule name='x' scanUrl='true' "
                        "scanQueryString='true'><denyStrings><add string='zz'/></denyStrings>"
                        "</filteringRule></filteringRules></requestFiltering>")},
        {NULL, AT_SITE("<httpProtocol><customHeaders><add name='X-A' value='b'/></customHeaders>"
                       "</httpProtocol>")},
        {NULL, AT_SITE("<httpRedirect enabled='true' destination='!'/>")},
        {NULL, AT_SITE("<tracing><traceFailedRequests><add path='*'/></traceFailedRequests>"
                       "</tracing>")},
        {"<logFile><customFields><add logFieldName='x' sourceName='Cookie' "
         "sourceType='RequestHeader'/></customFields></logFile>",
         NULL},
        {"<hsts enabled='true' max-age='10'/>", NULL},
        {NULL, SECURITY("<authorization><add accessType='Allow' users='*'/></authorization>")},
    };

    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        struct fx *f = start_site(good[i].site, good[i].app_host, NULL);
        if (offer(f, "/a.txt") != 900)
            fail_msg("row %u", i);
        end(f);
    }
}

static void test_broken_section(void **state)
{
    struct fx *f = start(NULL);

    fx_file(f, "web.config",
            "<configuration><system.webServer><caching enabled='maybe'/></system.webServer>"
            "</configuration>");
    struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);

    fx_assert_code(a, 500, 19);
    assert_non_null(strstr(a->body.p, "HttpCacheModule"));
    end(f);
}

/* ---- taking back ---------------------------------------------------------------------------- */

static void test_changed_file(void **state)
{
    struct fx *f = start(NULL);

    fx_file(f, "b.txt", "b");
    pass(f, 5000);
    assert_int_equal(offer(f, "/a.txt"), 900);
    assert_int_equal(offer(f, "/b.txt"), 900);
    pass(f, 100);
    assert_int_equal(f->n_flushes, 0);
    fx_file(f, "a.txt", "changed");
    pass(f, 30);
    assert_flushed(f, "/a.txt");
    assert_int_equal(cache_offers_count(f->t.offers), 1);
    assert_int_equal(get(f, "/a.txt", NULL), 0);
    assert_string_equal(f->answers[next_id].body.p, "changed");
    assert_int_equal(offer(f, "/a.txt"), 900);
    /* Removed, chmod, renamed over. */
    char path[256], from[256];

    snprintf(path, sizeof(path), "%s/b.txt", f->root);
    assert_int_equal(chmod(path, 0600), 0);
    pass(f, 30);
    assert_flushed(f, "/b.txt");
    pass(f, 10000);
    assert_int_equal(offer(f, "/b.txt"), 900);
    fx_file(f, "new.txt", "B");
    snprintf(from, sizeof(from), "%s/new.txt", f->root);
    assert_int_equal(rename(from, path), 0);
    pass(f, 30);
    assert_flushed(f, "/b.txt");
    assert_int_equal(offer(f, "/b.txt"), 900);
    assert_int_equal(unlink(path), 0);
    pass(f, 30);
    assert_flushed(f, "/b.txt");
    assert_int_equal(cache_offers_count(f->t.offers), 1);
    end(f);
}

/* Changes in a row are looked into at most every 20 ms, and none is missed. */
static void test_changes_in_a_row(void **state)
{
    struct fx *f = start(NULL);

    assert_int_equal(offer(f, "/a.txt"), 900);
    fx_file(f, "b.txt", "b");
    pass(f, 100);
    assert_int_equal(f->n_flushes, 0);
    fx_file(f, "a.txt", "new");
    pass(f, 1);
    assert_int_equal(f->n_flushes, 0);
    pass(f, 20);
    assert_flushed(f, "/a.txt");
    end(f);
}

/* No event tells of these: a link that leads elsewhere, a folder above that was exchanged. */
static void test_unseen_changes(void **state)
{
    struct fx *f = start(NULL);
    char link[256], next[256];

    fx_file(f, "v1/sub/x.txt", "v1");
    fx_file(f, "v2/sub/x.txt", "v2");
    snprintf(link, sizeof(link), "%s/current", f->root);
    snprintf(next, sizeof(next), "%s/next", f->root);
    assert_int_equal(symlink("v1", link), 0);
    pass(f, 5000);
    assert_int_equal(offer(f, "/current/sub/x.txt"), 900);
    assert_int_equal(symlink("v2", next), 0);
    assert_int_equal(rename(next, link), 0);
    pass(f, 1001);
    assert_flushed(f, "/current/sub/x.txt");
    assert_int_equal(get(f, "/current/sub/x.txt", NULL), 0);
    assert_string_equal(f->answers[next_id].body.p, "v2");
    /* A link to a file. */
    fx_file(f, "elsewhere/t.txt", "t");
    snprintf(link, sizeof(link), "%s/l.txt", f->root);
    assert_int_equal(symlink("elsewhere/t.txt", link), 0);
    pass(f, 5000);
    assert_int_equal(offer(f, "/l.txt"), 900);
    fx_file(f, "elsewhere/t.txt", "T");
    pass(f, 1001);
    assert_flushed(f, "/l.txt");
    end(f);
}

/* More offers than are looked at in one go: each still has its turn within the second. */
static void test_many_offers(void **state)
{
    struct fx *f = start(AT_SITE("<serverRuntime frequentHitThreshold='1'/>"));
    char link[256], name[32];
    enum { N = 300 };

    fx_file(f, "v1/x/", NULL);
    fx_file(f, "v2/", NULL);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "v1/x/%u.txt", i);
        fx_file(f, name, "x");
    }
    snprintf(link, sizeof(link), "%s/c", f->root);
    assert_int_equal(symlink("v1", link), 0);
    pass(f, 5000);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "/c/x/%u.txt", i);
        assert_int_equal(offer(f, name), 900);
    }
    for (unsigned i = 0; i < 24; i++)
        pass(f, 125);
    assert_int_equal(cache_offers_count(f->t.offers), N);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("v2", link), 0);
    for (unsigned i = 0; i < 8; i++)
        pass(f, 125);
    assert_int_equal(f->n_flushes, N);
    assert_int_equal(cache_offers_count(f->t.offers), 0);
    end(f);
}

/* A folder in which something changes all the time, and many files that do not. */
static void test_busy_folder(void **state)
{
    struct fx *f = start(AT_SITE("<serverRuntime frequentHitThreshold='1'/>"));
    char name[32];
    enum { N = 160 };

    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "%u.txt", i);
        fx_file(f, name, "x");
    }
    pass(f, 5000);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "/%u.txt", i);
        assert_int_equal(offer(f, name), 900);
    }
    /* Having looked at them all, it lets 20 + 160/8 ms pass. */
    fx_file(f, "busy.log", "1");
    pass(f, 100);
    fx_file(f, "7.txt", "new");
    pass(f, 30);
    assert_int_equal(f->n_flushes, 0);
    pass(f, 15);
    assert_flushed(f, "/7.txt");
    assert_int_equal(cache_offers_count(f->t.offers), N - 1);
    end(f);
}

static void test_configuration(void **state)
{
    struct fx *f = start(NULL);

    fx_file(f, "b.txt", "b");
    pass(f, 5000);
    assert_int_equal(offer(f, "/a.txt"), 900);
    assert_int_equal(offer(f, "/b.txt"), 900);
    worker_set_config(&f->w, NULL);
    fx_turn(f);
    assert_flushed(f, "");
    assert_int_equal(cache_offers_count(f->t.offers), 0);
    assert_int_equal(offer(f, "/a.txt"), 900);
    end(f);
}

static uint64_t room(struct fx *f)
{
    const struct ring_shared *ring = region_response_ring(&f->w.region, 0);

    return f->w.region.response_size - (atomic_load(&ring->tail) - atomic_load(&ring->head));
}

/* Lets the worker answer without taking its answers off the ring, until less than `left` bytes are
 * left. */
static void fill_ring(struct fx *f, const char *target, uint64_t left)
{
    while (room(f) >= left) {
        assert_true(fx_push(f, ++next_id, "GET", target, NULL, 0));
        fx_turn_without_reading(f);
        assert_int_equal(channel_held(f->t.channel), 0);
    }
}

/* A flush that finds no room is owed; nothing is offered before it is out. */
static void test_full_ring(void **state)
{
    struct fx *f = start(NULL);
    static char bytes[19000], name[240];

    memset(bytes, 'x', sizeof(bytes));
    fx_file_bytes(f, "big.txt", bytes, sizeof(bytes));
    snprintf(name, sizeof(name), "/%0200d.txt", 0);
    fx_file(f, name + 1, "one");
    pass(f, 5000);
    assert_int_equal(offer(f, name), 900);
    fill_ring(f, "/big.txt?", 20000);
    fill_ring(f, "/a.txt?", 400);
    assert_true(fx_push(f, ++next_id, "GET", "/a.txt?", NULL, 0));
    assert_true(fx_push(f, ++next_id, "GET", "/a.txt?", NULL, 0));
    fx_turn_without_reading(f);
    assert_true(channel_held(f->t.channel) > 0);
    fx_file(f, name + 1, "changed");
    for (unsigned i = 0; i < 3; i++)
        fx_turn_without_reading(f);
    assert_int_equal(cache_offers_owed(f->t.offers), 1);
    assert_int_equal(f->n_flushes, 0);
    for (unsigned i = 0; i < 20; i++)
        fx_turn(f);
    assert_flushed(f, name);
    assert_int_equal(cache_offers_owed(f->t.offers), 0);
    end(f);
}

/* An answer that waits for room while its file changes goes out, but not as an offer. */
static void test_stale_answer_is_no_offer(void **state)
{
    struct fx *f = start(AT_SITE("<serverRuntime frequentHitThreshold='1'/>"));
    static char bytes[19000];

    memset(bytes, 'x', sizeof(bytes));
    fx_file_bytes(f, "big.txt", bytes, sizeof(bytes));
    fx_file_bytes(f, "hot.txt", bytes, sizeof(bytes));
    pass(f, 5000);
    /* As if it had been asked for before; an answer taken off the ring would make it wrap. */
    struct url_entry *e = url_cache_get(f->t.urls, FX_SITE, STR("/hot.txt"));

    e->hits = 1;
    e->hits_since_ms = loop_now_ms(f->t.loop);
    url_entry_unref(f->t.urls, e);
    fill_ring(f, "/big.txt?", 19700);
    assert_true(fx_push(f, ++next_id, "GET", "/hot.txt", NULL, 0));
    fx_turn_without_reading(f);
    assert_int_equal(channel_held(f->t.channel), 1);
    bytes[0] = 'y';
    fx_file_bytes(f, "hot.txt", bytes, sizeof(bytes));
    fx_turn_without_reading(f);
    for (unsigned i = 0; i < 20; i++)
        fx_turn(f);
    struct fx_answer *a = &f->answers[next_id];

    assert_true(a->closed);
    assert_int_equal(a->body.p[0], 'x');
    assert_int_equal(a->head.flags & MSGR_CACHE, 0);
    assert_int_equal(f->n_flushes, 0);
    assert_int_equal(get(f, "/hot.txt", NULL), 0);
    assert_int_equal(get(f, "/hot.txt", NULL), 900);
    assert_int_equal(f->answers[next_id].body.p[0], 'y');
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hot_files_are_offered),
        cmocka_unit_test(test_large_files),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_exclusions),
        cmocka_unit_test(test_each_exclusion_has_a_row),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_what_does_not_exclude),
        cmocka_unit_test(test_broken_section),
        cmocka_unit_test(test_changed_file),
        cmocka_unit_test(test_changes_in_a_row),
        cmocka_unit_test(test_unseen_changes),
        cmocka_unit_test(test_many_offers),
        cmocka_unit_test(test_busy_folder),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_stale_answer_is_no_offer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
