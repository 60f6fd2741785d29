/* The runner: order of hooks, what IIS Web Core answers by itself, waiting, child requests.
 * Scripted modules under IIS's names write down what is called. */
#include "worker_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "worker/modules/registry.h"

#include "base/poison.h"

/* ---- the scripted modules ------------------------------------------------------------------- */

static struct buf trace;          /* "B:Logging B:Filtering ..." */
static struct request *waiting;
static const char *wait_at;       /* "B:Logging": answers PIPE_PENDING there */
static const char *fail_at;       /* fails with 404.5 there */
static const char *child_at;      /* runs child_url there */
static const char *child_url;
static bool child_again;          /* children do the same */
static bool nobody_authenticates;
static struct failure failure;    /* as it stood at LogRequest */

static const char *const letters[N_COUNT] = {"B",  "Au", "Az", "RC", "M", "AS", "PX",
                                             "X", "RS", "UC", "L",  "E", "S"};

static enum pipe_rc step(struct request *r, const char *at)
{
    buf_printf(&trace, "%s%s%s ", r->child_depth ? "(" : "", at, r->child_depth ? ")" : "");
    if (wait_at && strcmp(wait_at, at) == 0) {
        waiting = r;
        wait_at = NULL;
        return PIPE_PENDING;
    }
    if (fail_at && strcmp(fail_at, at) == 0) {
        fail_at = NULL;
        return request_fail(r, &st_404_5_url_sequence_denied, 0, STR("why"));
    }
    if (child_at && strcmp(child_at, at) == 0) {
        if (!child_again)
            child_at = NULL;
        return request_execute_url(r, str_z(child_url), STR("q=child"));
    }
    return PIPE_CONTINUE;
}

#define HOOK(module, n)                                                                            \
    static enum pipe_rc module##_##n(struct request *r, const void *conf)                          \
    {                                                                                              \
        char at[32];                                                                               \
        snprintf(at, sizeof(at), "%s:" #module, letters[n]);                                       \
        assert_int_equal(r->at, n);                                                                \
        if (n == N_LOG_REQUEST)                                                                    \
            failure = r->failure;                                                                  \
        return step(r, at);                                                                        \
    }

HOOK(logging, N_BEGIN_REQUEST)
HOOK(logging, N_LOG_REQUEST)
HOOK(logging, N_END_REQUEST)
HOOK(logging, N_SEND_RESPONSE)
HOOK(filter, N_BEGIN_REQUEST)
HOOK(filter, N_SEND_RESPONSE)
HOOK(error, N_BEGIN_REQUEST)
HOOK(error, N_SEND_RESPONSE)
HOOK(support, N_BEGIN_REQUEST)
HOOK(support, N_AUTHORIZE_REQUEST)
HOOK(support, N_MAP_REQUEST_HANDLER)
HOOK(support, N_PRE_EXECUTE_REQUEST_HANDLER)
HOOK(support, N_RELEASE_REQUEST_STATE)
HOOK(support, N_UPDATE_REQUEST_CACHE)
HOOK(documents, N_EXECUTE_REQUEST_HANDLER)

static enum pipe_rc authenticate(struct request *r, const void *conf)
{
    r->authenticated = !nobody_authenticates;
    return PIPE_CONTINUE;
}

static enum pipe_rc execute(struct request *r, const void *conf)
{
    enum pipe_rc rc = step(r, "X:static");

    assert_int_equal(*(const int *)conf, 42);
    if (rc != PIPE_CONTINUE)
        return rc;
    if (r->url->kind == URL_KIND_DIRECTORY)
        return PIPE_CONTINUE;
    int *state = request_module_state(r, sizeof(*state));

    assert_non_null(state);
    ++*state;
    response_body_memory(r, arena_printf(&r->arena, "%.*s?%.*s %d", STR_ARG(r->path),
                                         STR_ARG(r->query), *state));
    return PIPE_FINISH;
}

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    int *p = ARENA_NEW(a, int);
    const struct config_elem *e = config_section(node, "system.webServer/staticContent", ret_error);

    *p = 42;
    return e ? p : NULL;
}

static enum pipe_rc pass(struct request *r, const void *conf)
{
    return PIPE_CONTINUE;
}

static const struct module modules[] = {
    {.name = "CustomErrorModule",
     .hooks = {[N_BEGIN_REQUEST] = {error_N_BEGIN_REQUEST, PRI_FIRST},
               [N_SEND_RESPONSE] = {error_N_SEND_RESPONSE, PRI_FIRST}}},
    {.name = "RequestFilteringModule",
     .hooks = {[N_BEGIN_REQUEST] = {filter_N_BEGIN_REQUEST, PRI_HIGH},
               [N_SEND_RESPONSE] = {filter_N_SEND_RESPONSE, PRI_HIGH}}},
    {.name = "ProtocolSupportModule",
     .hooks = {[N_BEGIN_REQUEST] = {support_N_BEGIN_REQUEST, PRI_MEDIUM},
               [N_AUTHORIZE_REQUEST] = {support_N_AUTHORIZE_REQUEST, PRI_MEDIUM},
               [N_MAP_REQUEST_HANDLER] = {support_N_MAP_REQUEST_HANDLER, PRI_MEDIUM},
               [N_PRE_EXECUTE_REQUEST_HANDLER] = {support_N_PRE_EXECUTE_REQUEST_HANDLER,
                                                  PRI_MEDIUM},
               [N_RELEASE_REQUEST_STATE] = {support_N_RELEASE_REQUEST_STATE, PRI_MEDIUM},
               [N_UPDATE_REQUEST_CACHE] = {support_N_UPDATE_REQUEST_CACHE, PRI_MEDIUM}},
     .execute = pass},
    {.name = "HttpLoggingModule",
     .hooks = {[N_BEGIN_REQUEST] = {logging_N_BEGIN_REQUEST, PRI_MEDIUM},
               [N_LOG_REQUEST] = {logging_N_LOG_REQUEST, PRI_MEDIUM},
               [N_END_REQUEST] = {logging_N_END_REQUEST, PRI_MEDIUM},
               [N_SEND_RESPONSE] = {logging_N_SEND_RESPONSE, PRI_LAST}}},
    {.name = "AnonymousAuthenticationModule",
     .hooks = {[N_AUTHENTICATE_REQUEST] = {authenticate, PRI_LAST}}},
    {.name = "StaticFileModule", .load_conf = load_conf, .execute = execute},
    {.name = "DefaultDocumentModule", .execute = documents_N_EXECUTE_REQUEST_HANDLER},
    {.name = "DirectoryListingModule", .execute = pass},
};

unsigned registry_count(void)
{
    return ARRAY_LEN(modules);
}

const struct module *registry_at(unsigned index)
{
    return &modules[index];
}

int registry_find(struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(modules); i++)
        if (str_ieq(name, str_z(modules[i].name)))
            return (int)i;
    return -1;
}

#define AT_SITE(xml)                                                                               \
    "<location path='Default Web Site'><system.webServer>" xml "</system.webServer></location>"

static struct fx *start(const char *app_host, const char *web_config)
{
    struct fx *f = fx_new(app_host, web_config);

    buf_init(&trace, 65536);
    wait_at = fail_at = child_at = NULL;
    child_again = false;
    nobody_authenticates = false;
    waiting = NULL;
    fx_file(f, "a.txt", "x");
    fx_file(f, "b.txt", "x");
    fx_file(f, "dir/", NULL);
    return f;
}

static void end(struct fx *f)
{
    fx_assert_idle(f);
    buf_fini(&trace);
    fx_free(f);
}

static void assert_trace(const char *want)
{
    buf_char(&trace, '\0');
    assert_string_equal(trace.p, want);
    buf_clear(&trace);
}

/* Priorities first, then the order of <modules>, in which Logging stands first and Support before
 * Filtering; SendResponse runs the priorities backwards. */
#define BEGIN "B:error B:filter B:logging B:support "
#define LAST "L:logging E:logging S:logging S:filter S:error "
#define MIDDLE "Az:support M:support PX:support X:static RS:support UC:support "

/* ---- order ---------------------------------------------------------------------------------- */

static void test_order(void **state)
{
    struct fx *f = start(NULL, NULL);
    struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);

    fx_assert_code(a, 200, 0);
    assert_string_equal(a->body.p, "/a.txt? 1");
    assert_trace(BEGIN MIDDLE LAST);
    end(f);
}

static void test_failure_skips_to_log(void **state)
{
    static const struct {
        const char *at, *trace, *module;
        enum notification n;
    } rows[] = {
        {"B:filter", "B:error B:filter " LAST, "RequestFilteringModule", N_BEGIN_REQUEST},
        {"Az:support", BEGIN "Az:support " LAST, "ProtocolSupportModule", N_AUTHORIZE_REQUEST},
        {"X:static", BEGIN "Az:support M:support PX:support X:static " LAST, "StaticFileModule",
         N_EXECUTE_REQUEST_HANDLER},
        {"RS:support", BEGIN "Az:support M:support PX:support X:static RS:support " LAST,
         "ProtocolSupportModule", N_RELEASE_REQUEST_STATE},
    };
    struct fx *f = start(NULL, NULL);

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        fail_at = rows[i].at;
        struct fx_answer *a = fx_get(f, i, "GET", "/a.txt", NULL);
        fx_assert_code(a, 404, 5);
        assert_int_equal(a->body.n, 0);
        assert_trace(rows[i].trace);
        assert_string_equal(failure.module->name, rows[i].module);
        assert_int_equal(failure.notification, rows[i].n);
        assert_int_equal(strncmp(fx_header(a, "X-Candor-Error"), "404.5 ", 6), 0);
    }
    end(f);
}

static void test_waiting_anywhere(void **state)
{
    static const char *const places[] = {"B:filter",   "Az:support", "X:static",  "RS:support",
                                         "UC:support", "L:logging",  "E:logging", "S:filter"};
    struct fx *f = start(NULL, NULL);

    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        struct fx_answer *a = &f->answers[i];
        wait_at = places[i];
        assert_true(fx_push(f, i, "GET", "/a.txt", NULL, 0));
        fx_turn(f);
        assert_false(a->closed);
        assert_non_null(waiting);
        request_resume(waiting, PIPE_CONTINUE);
        fx_turn(f);
        assert_true(a->closed);
        buf_clear(&trace);
        if (strcmp(places[i], "X:static") != 0)
            fx_assert_code(a, 200, 0);
    }
    /* Resumed with FINISH: nothing of the event is run any more. */
    wait_at = "B:filter";
    assert_true(fx_push(f, 20, "GET", "/a.txt", NULL, 0));
    fx_turn(f);
    request_resume(waiting, PIPE_FINISH);
    fx_turn(f);
    assert_trace("B:error B:filter " LAST);
    end(f);
}

/* ---- children ------------------------------------------------------------------------------- */

#define CHILD                                                                                      \
    "(B:error) (B:filter) (B:logging) (B:support) (Az:support) (M:support) (PX:support) "          \
    "(X:static) (RS:support) (UC:support) "

static void test_child(void **state)
{
    struct fx *f = start(NULL, NULL);

    child_at = "X:documents";
    child_url = "/b.txt";
    struct fx_answer *a = fx_get(f, 1, "GET", "/dir/", NULL);

    fx_assert_code(a, 200, 0);
    assert_string_equal(a->body.p, "/b.txt?q=child 1");
    assert_trace(BEGIN "Az:support M:support PX:support X:static X:documents " CHILD LAST);
    /* The child's failure is the answer; nothing else of the parent runs. */
    child_at = "X:documents";
    child_url = "/nope.txt";
    fx_assert_code(fx_get(f, 2, "GET", "/dir/", NULL), 404, 0);
    buf_clear(&trace);
    /* A child may wait. */
    child_at = "X:documents";
    child_url = "/b.txt";
    wait_at = "RS:support";
    assert_true(fx_push(f, 3, "GET", "/dir/", NULL, 0));
    fx_turn(f);
    assert_false(f->answers[3].closed);
    request_resume(waiting, PIPE_CONTINUE);
    fx_turn(f);
    assert_true(f->answers[3].closed);
    assert_trace(BEGIN "Az:support M:support PX:support X:static X:documents " CHILD LAST);
    /* In SendResponse, as custom errors do it: the other modules still have their turn. */
    fail_at = "B:filter";
    child_at = "S:logging";
    a = fx_get(f, 4, "GET", "/a.txt", NULL);
    assert_string_equal(a->body.p, "/b.txt?q=child 1");
    assert_trace("B:error B:filter L:logging E:logging S:logging " CHILD "S:filter S:error ");
    /* A child that calls itself comes to an end. */
    child_again = true;
    child_at = "X:static";
    child_url = "/a.txt";
    fx_assert_code(fx_get(f, 5, "GET", "/a.txt", NULL), 500, 0);
    end(f);
}

/* ---- IIS Web Core --------------------------------------------------------------------------- */

static void assert_core(struct fx *f, uint64_t id, const char *method, const char *url,
                        unsigned status, unsigned substatus, enum notification n)
{
    fx_assert_code(fx_get(f, id, method, url, NULL), status, substatus);
    assert_null(failure.module);
    assert_int_equal(failure.notification, n);
}

static void test_core(void **state)
{
    static const struct {
        const char *conf, *method, *url;
        unsigned status, substatus;
        enum notification n;
    } rows[] = {
        {"", "GET", "/nope.txt", 404, 0, N_MAP_REQUEST_HANDLER},
        {"", "GET", "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3", 404, 20,
         N_MAP_REQUEST_HANDLER},
        {"", "GET", "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2", 404, 0,
         N_MAP_REQUEST_HANDLER},
        {"<handlers><clear/></handlers>", "GET", "/a.txt", 404, 4, N_MAP_REQUEST_HANDLER},
        {"<handlers accessPolicy='Script'/>", "GET", "/a.txt", 403, 2, N_EXECUTE_REQUEST_HANDLER},
        {"<handlers accessPolicy='Read'><add name='s' path='*.txt' verb='*' "
         "modules='StaticFileModule'/></handlers>", "GET", "/a.txt", 403, 1,
         N_EXECUTE_REQUEST_HANDLER},
        {"<handlers accessPolicy='Read,Script'><add name='s' path='*.txt' verb='*' "
         "modules='StaticFileModule' requireAccess='Execute'/></handlers>", "GET", "/a.txt", 403, 1,
         N_EXECUTE_REQUEST_HANDLER},
        {"<handlers accessPolicy='Read'><add name='s' path='*.txt' verb='PUT' "
         "modules='StaticFileModule' requireAccess='Write'/></handlers>", "PUT", "/a.txt", 403, 3,
         N_EXECUTE_REQUEST_HANDLER},
        {"<handlers><add name='s' path='*.txt' verb='*' modules='NopeModule'/></handlers>", "GET",
         "/a.txt", 500, 21, N_EXECUTE_REQUEST_HANDLER},
        {"<handlers><add name='s' path='*.txt' verb='*' type='X.Y'/></handlers>", "GET", "/a.txt",
         500, 21, N_EXECUTE_REQUEST_HANDLER},
        {"<modules><add name='NopeModule'/></modules>", "GET", "/a.txt", 500, 21, N_BEGIN_REQUEST},
        {"<security><access sslFlags='Ssl'/></security>", "GET", "/a.txt", 403, 4, N_BEGIN_REQUEST},
        {"<serverRuntime enabled='false'/>", "GET", "/a.txt", 503, 0, N_BEGIN_REQUEST},
        {"<serverRuntime appConcurrentRequestLimit='0'/>", "GET", "/a.txt", 503, 2,
         N_BEGIN_REQUEST},
        {"<modules><remove name='StaticFileModule'/></modules>", "GET", "/a.txt", 500, 21,
         N_EXECUTE_REQUEST_HANDLER},
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char xml[2048];
        snprintf(xml, sizeof(xml), AT_SITE("%s"), rows[i].conf);
        struct fx *f = start(xml, NULL);
        assert_core(f, 1, rows[i].method, rows[i].url, rows[i].status, rows[i].substatus,
                    rows[i].n);
        end(f);
    }
}

static void test_core_authentication(void **state)
{
    struct fx *f = start(NULL, NULL);
    char path[256];

    nobody_authenticates = true;
    assert_core(f, 1, "GET", "/a.txt", 401, 2, N_AUTHENTICATE_REQUEST);
    /* Before the file is known to be missing. */
    assert_core(f, 2, "GET", "/nope.txt", 401, 2, N_AUTHENTICATE_REQUEST);
    nobody_authenticates = false;
    /* An unreadable file, as the pool's identity sees it. */
    snprintf(path, sizeof(path), "%s/b.txt", f->root);
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(chmod(f->root, 0755), 0);
    bool was_root = geteuid() == 0;

    if (was_root)
        assert_int_equal(seteuid(65534), 0);
    assert_core(f, 3, "GET", "/b.txt", 401, 3, N_AUTHENTICATE_REQUEST);
    fx_assert_code(fx_get(f, 4, "GET", "/a.txt", NULL), 200, 0);
    if (was_root)
        assert_int_equal(seteuid(0), 0);
    end(f);
}

static void test_concurrent_limit(void **state)
{
    struct fx *f = start(AT_SITE("<serverRuntime appConcurrentRequestLimit='1'/>"), NULL);

    wait_at = "X:static";
    assert_true(fx_push(f, 1, "GET", "/a.txt", NULL, 0));
    fx_turn(f);
    struct request *first = waiting;

    assert_core(f, 2, "GET", "/a.txt", 503, 2, N_BEGIN_REQUEST);
    request_resume(first, PIPE_FINISH);
    fx_turn(f);
    assert_true(f->answers[1].closed);
    fx_assert_code(fx_get(f, 3, "GET", "/a.txt", NULL), 200, 0);
    end(f);
}

static void test_broken_web_config(void **state)
{
    struct fx *f = start(NULL, NULL);

    fx_file(f, "dir/web.config", "<configuration><system.webServer><nope");
    fx_assert_code(fx_get(f, 1, "GET", "/dir/", NULL), 500, 19);
    assert_null(failure.module);
    assert_non_null(failure.config);
    fx_assert_code(fx_get(f, 2, "GET", "/a.txt", NULL), 200, 0);
    /* A section that a module reads is wrong: the module's own 500.19, when it reads it. */
    fx_file(f, "dir/web.config", "<configuration><system.webServer><staticContent>"
                                 "<mimeMap fileExtension='.txt' mimeType='a/b'/></staticContent>"
                                 "</system.webServer></configuration>");
    fx_file(f, "dir/c.txt", "x");
    config_invalidate(f->w.config, STR(""));
    worker_set_config(&f->w, NULL);
    fx_assert_code(fx_get(f, 3, "GET", "/dir/c.txt", NULL), 500, 19);
    assert_non_null(failure.module);
    assert_string_equal(failure.module->name, "StaticFileModule");
    assert_int_equal(failure.notification, N_EXECUTE_REQUEST_HANDLER);
    end(f);
}

static void test_preconditions(void **state)
{
    struct fx *f = start(AT_SITE("<modules><remove name='ProtocolSupportModule'/>"
                                 "<add name='ProtocolSupportModule' preCondition='bitness32'/>"
                                 "<remove name='RequestFilteringModule'/>"
                                 "<add name='RequestFilteringModule' "
                                 "preCondition='integratedMode,bitness64'/></modules>"), NULL);

    fx_assert_code(fx_get(f, 1, "GET", "/a.txt", NULL), 200, 0);
    assert_trace("B:error B:filter B:logging X:static " LAST);
    end(f);
}

static void test_managed_handler(void **state)
{
    struct fx *f = start(AT_SITE("<modules><remove name='ProtocolSupportModule'/>"
                                 "<add name='ProtocolSupportModule' preCondition='managedHandler'/>"
                                 "</modules><handlers><add name='m' path='*.asmx' verb='*' "
                                 "type='X.Y'/></handlers>"), NULL);

    fx_get(f, 1, "GET", "/a.txt", NULL);
    assert_trace("B:error B:filter B:logging X:static " LAST);
    fx_assert_code(fx_get(f, 2, "GET", "/a.asmx", NULL), 500, 21);
    assert_trace("B:error B:filter B:logging B:support Az:support M:support PX:support " LAST);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failure_skips_to_log),
        cmocka_unit_test(test_waiting_anywhere),
        cmocka_unit_test(test_child),
        cmocka_unit_test(test_core),
        cmocka_unit_test(test_core_authentication),
        cmocka_unit_test(test_concurrent_limit),
        cmocka_unit_test(test_broken_web_config),
        cmocka_unit_test(test_preconditions),
        cmocka_unit_test(test_managed_handler),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
