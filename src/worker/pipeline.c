#include "worker/pipeline.h"

#include <errno.h>

#include "config/config.h"
#include "http/method.h"
#include "worker/access.h"
#include "worker/cache_policy.h"
#include "worker/channel.h"
#include "worker/error_header.h"
#include "worker/handlers.h"
#include "worker/plan.h"
#include "worker/request_core.h"
#include "worker/thread.h"
#include "worker/url_cache.h"

#include "base/poison.h"

enum { CHILD_DEPTH_MAX = 8 };

enum { E_FILE_NOT_FOUND = 0x80070002, E_PATH_NOT_FOUND = 0x80070003, E_INVALID_NAME = 0x8007007b };

/* ---- what IIS Web Core does ----------------------------------------------------------------- */

static enum pipe_rc fail_core(struct request *r, const struct status_row *row, uint32_t hresult)
{
    r->in_module = NULL;
    return request_fail(r, row, hresult, STR_NULL);
}

/* The handler is looked up when the request begins, so that every error page can name it, and again
 * when modules have had their say. */
static void choose_handler(struct request *r)
{
    struct url_entry *url = r->url;
    struct url_handler *slot = NULL;

    for (unsigned i = 0; i < URL_HANDLERS_CACHED && r->method_id != HTTP_METHOD_OTHER; i++) {
        struct url_handler *h = &url->handlers[i];
        if (h->method_id != r->method_id && h->method_id != 0)
            continue;
        slot = h;
        break;
    }
    if (!slot || slot->method_id == 0) {
        struct handler_choice c = handler_choose(&url->plan->handlers, url, r->method);
        struct url_handler h = {.method_id = r->method_id,
                                .dynamic_content = c.dynamic_content,
                                .mapping = c.mapping,
                                .path_info_at = (uint32_t)c.path_len};
        if (slot)
            *slot = h;
        r->handler = h.mapping;
        r->dynamic_content = h.dynamic_content;
        r->path_info = str_sub(url->path, h.path_info_at, url->path.n);
        return;
    }
    r->handler = slot->mapping;
    r->dynamic_content = slot->dynamic_content;
    r->path_info = str_sub(url->path, slot->path_info_at, url->path.n);
}

static enum pipe_rc core_begin(struct request_core *c, struct run_frame *f)
{
    struct request *r = &c->r;
    struct plan *p = f->plan;

    if (UNLIKELY(r->url->config_error != NULL)) {
        r->in_module = NULL;
        return request_fail_config(r, r->url->config_error);
    }
    if (UNLIKELY(p->error != NULL)) {
        r->in_module = NULL;
        return request_fail_config(r, p->error);
    }
    choose_handler(r);
    if (UNLIKELY(p->unknown_module.n)) {
        r->in_module = NULL;
        return request_fail(r, &st_500_21_module_not_recognized, CONFIG_E_INVALID_DATA,
                            p->unknown_module);
    }
    if (UNLIKELY(!p->enabled))
        return fail_core(r, &st_503_0_service_unavailable, 0);
    if (!f->is_child && p->app) {
        f->app = p->app;
        uint32_t before = atomic_fetch_add_explicit(&p->app->running, 1, memory_order_relaxed);
        if (UNLIKELY(before >= p->app_limit))
            return fail_core(r, &st_503_2_concurrent_limit, 0);
    }
    if (UNLIKELY(p->redirect_to_https && !f->is_child && !(r->msg.head.flags & MSGF_TLS))) {
        r->in_module = NULL;
        return access_redirect(r);
    }
    /* Before a certificate is asked for, which may take long. */
    enum pipe_rc rc = LIKELY(p->ssl_flags == 0) ? PIPE_CONTINUE : access_check(r, p->ssl_flags);

    if (UNLIKELY(rc != PIPE_CONTINUE))
        return rc;
    if (UNLIKELY(r->msg.head.content_length > (int64_t)p->max_entity) && !f->without_body)
        return fail_core(r, &st_413_0_entity_too_large, 0);
    return UNLIKELY(access_wants_certificate(p->ssl_flags)) ? access_certificate(r, p)
                                                            : PIPE_CONTINUE;
}

static enum pipe_rc core_authenticated(struct request *r)
{
    if (UNLIKELY(!r->authenticated))
        return fail_core(r, &st_401_2_logon_config, 0);
    if (UNLIKELY(!r->url->readable))
        return fail_core(r, &st_401_3_acl, 0);
    return PIPE_CONTINUE;
}

static unsigned count_segments(struct str path)
{
    unsigned n = 0;

    for (size_t i = 0; i < path.n; i++)
        n += path.p[i] == '/' && i + 1 < path.n;
    return n;
}

static uint32_t missing_hresult(const struct url_entry *url)
{
    if (url->error == EINVAL || url->error == ENAMETOOLONG)
        return E_INVALID_NAME;
    return url->missing_folder ? E_PATH_NOT_FOUND : E_FILE_NOT_FOUND;
}

static enum pipe_rc core_map(struct request *r)
{
    const struct url_entry *url = r->url;

    if (UNLIKELY(r->path.n > url->plan->max_segments &&
                 count_segments(r->path) > url->plan->max_segments))
        return fail_core(r, &st_404_20_too_many_segments, 0);
    choose_handler(r);
    const struct handler_mapping *m = r->handler;

    if (UNLIKELY(!m))
        return fail_core(r, &st_404_4_no_handler,
                         url->kind == URL_KIND_MISSING ? E_FILE_NOT_FOUND : 0);
    if (m->resource == HANDLER_UNSPECIFIED)
        return PIPE_CONTINUE;
    if (UNLIKELY(url->kind == URL_KIND_MISSING || url->kind == URL_KIND_OTHER) &&
        (r->path_info.n == 0 || url->script_path_len != url->path.n - r->path_info.n))
        return fail_core(r, &st_404_0_not_found, missing_hresult(url));
    return PIPE_CONTINUE;
}

static enum pipe_rc check_access(struct request *r)
{
    uint32_t policy = r->url->plan->handlers.access_policy;

    if (!r->is_local) {
        policy &= policy & ACCESS_NO_REMOTE_READ ? ~(uint32_t)ACCESS_READ : ~0u;
        policy &= policy & ACCESS_NO_REMOTE_WRITE ? ~(uint32_t)ACCESS_WRITE : ~0u;
        policy &= policy & ACCESS_NO_REMOTE_SCRIPT ? ~(uint32_t)ACCESS_SCRIPT : ~0u;
        policy &= policy & ACCESS_NO_REMOTE_EXECUTE ? ~(uint32_t)ACCESS_EXECUTE : ~0u;
    }
    switch (r->handler->access) {
    case HANDLER_NONE:
        break;
    case HANDLER_READ:
        if (!(policy & ACCESS_READ))
            return fail_core(r, &st_403_2_read_denied, 0);
        break;
    case HANDLER_WRITE:
        if (!(policy & ACCESS_WRITE))
            return fail_core(r, &st_403_3_write_denied, 0);
        break;
    case HANDLER_SCRIPT:
        if (!(policy & (ACCESS_SCRIPT | ACCESS_EXECUTE)))
            return fail_core(r, &st_403_1_execute_denied, 0);
        break;
    case HANDLER_EXECUTE:
        if (!(policy & ACCESS_EXECUTE))
            return fail_core(r, &st_403_1_execute_denied, 0);
        break;
    }
    return PIPE_CONTINUE;
}

static enum pipe_rc fail_bad_module(struct request *r)
{
    const struct handler_mapping *m = r->handler;
    const char *why = m->fault == HANDLER_NOT_LISTED ? "is not in <modules>"
                                                     : "is not part of this build";

    r->in_module = NULL;
    return request_fail(r, &st_500_21_module_not_recognized, 0,
                        arena_printf(&r->arena,
                                     "handler \"%.*s\" needs module \"%.*s\", which %s",
                                     STR_ARG(m->name), STR_ARG(m->faulty), why));
}

static enum pipe_rc core_execute(struct request *r)
{
    if (UNLIKELY(check_access(r) == PIPE_FINISH))
        return PIPE_FINISH;
    if (UNLIKELY(r->handler->fault != HANDLER_SOUND))
        return fail_bad_module(r);
    return PIPE_CONTINUE;
}

/* Before the modules' hooks of a notification, and after them. */
static enum pipe_rc core_before(struct request_core *c, struct run_frame *f)
{
    switch (f->at) {
    case N_BEGIN_REQUEST:
        return core_begin(c, f);
    case N_EXECUTE_REQUEST_HANDLER:
        return core_execute(&c->r);
    default:
        return PIPE_CONTINUE;
    }
}

static enum pipe_rc core_after(struct request_core *c, struct run_frame *f)
{
    switch (f->at) {
    case N_AUTHENTICATE_REQUEST:
        return core_authenticated(&c->r);
    case N_MAP_REQUEST_HANDLER:
        return core_map(&c->r);
    case N_EXECUTE_REQUEST_HANDLER:
        /* None of the handler's modules has answered. */
        return fail_core(&c->r, &st_404_4_no_handler, 0);
    default:
        return PIPE_CONTINUE;
    }
}

/* ---- running -------------------------------------------------------------------------------- */

static enum pipe_rc call(struct request_core *c, struct plan *p, const struct module *m,
                         unsigned index, pipe_fn fn)
{
    struct request *r = &c->r;
    struct plan_conf *conf = &p->confs[index];

    r->in_module = m;
    r->in_module_index = index;
    if (UNLIKELY(!conf->loaded || conf->error)) {
        const struct config_error *error = NULL;
        if (!plan_load_conf(p, m, index, &error))
            return request_fail_config(r, error);
    }
    c->resumed = false;
    enum pipe_rc rc = fn(r, conf->conf);

    if (UNLIKELY(rc == PIPE_PENDING && c->resumed)) {
        c->resumed = false;
        return c->resume_rc; /* it was done before it had said that it would wait */
    }
    return rc;
}

/* Hooks of a notification, or the modules of the handler. */
static enum pipe_rc run_modules(struct request_core *c, struct run_frame *f)
{
    struct plan *p = f->plan;
    enum pipe_rc rc;

    if (f->at == N_EXECUTE_REQUEST_HANDLER) {
        const struct handler_mapping *m = c->r.handler;
        while (f->next < m->n_run) {
            const struct handler_module *h = &m->run[f->next++];
            rc = call(c, p, h->module, h->index, h->module->execute);
            if (rc != PIPE_CONTINUE)
                return rc;
        }
        return PIPE_CONTINUE;
    }
    while (f->next < p->n_hooks[f->at]) {
        const struct plan_hook *h = &p->hooks[f->at][f->next++];
        if (UNLIKELY(h->managed_only) && !(c->r.handler && c->r.handler->managed))
            continue;
        rc = call(c, p, h->module, h->index, h->fn);
        /* From LogRequest on there is nothing left to skip to: every module has its turn. */
        if (rc == PIPE_PENDING || (rc == PIPE_FINISH && f->at < N_LOG_REQUEST))
            return rc;
    }
    return PIPE_CONTINUE;
}

static enum pipe_rc run_notification(struct request_core *c, struct run_frame *f)
{
    enum pipe_rc rc;

    c->r.at = f->at;
    if (f->step == RUN_ENTER) {
        f->next = 0;
        f->step = RUN_HOOKS;
        rc = core_before(c, f);
        if (UNLIKELY(rc != PIPE_CONTINUE))
            return rc;
    }
    if (f->step == RUN_HOOKS) {
        rc = run_modules(c, f);
        if (rc != PIPE_CONTINUE)
            return rc;
        f->step = RUN_CORE;
    }
    return core_after(c, f);
}

/* Where the frame stands after a notification has answered rc. False: the frame is done. */
static bool advance(struct run_frame *f, enum pipe_rc rc)
{
    enum notification last = f->is_child ? N_UPDATE_REQUEST_CACHE : N_SEND_RESPONSE;
    /* A handler that has produced the response does not keep it from the caches and compression;
     * what a child produced has been through all that. */
    bool handled = f->at == N_EXECUTE_REQUEST_HANDLER && !f->failed && !f->had_child;
    bool skip = rc == PIPE_FINISH && f->at < N_LOG_REQUEST && !handled;
    enum notification next = skip ? N_LOG_REQUEST : (enum notification)(f->at + 1);

    f->step = RUN_ENTER;
    f->at = next;
    return next <= last;
}

/* PIPE_PENDING, or PIPE_FINISH when the frame has come to its end. */
static enum pipe_rc run_frame(struct request_core *c, struct run_frame *f)
{
    for (;;) {
        enum pipe_rc rc = run_notification(c, f);
        if (rc == PIPE_PENDING)
            return PIPE_PENDING;
        if (!advance(f, rc))
            return PIPE_FINISH;
    }
}

static void finish(struct request_core *c)
{
    c->running = false;
    if (c->aborted)
        c->r.response.abort = true;
    response_finish_headers(&c->r, c->root.plan);
    if (c->r.response.cache)
        (void)cache_policy_apply(&c->r);
    channel_respond(c);
}

/* Back to the parent's view of the request. */
static void pop_child(struct request_core *c)
{
    struct run_frame *f = c->frame;
    struct request *r = &c->r;

    r->path = f->saved.path;
    r->query = f->saved.query;
    r->method = f->saved.method;
    r->method_id = f->saved.method_id;
    r->is_head = f->saved.is_head;
    r->url = f->saved.url;
    r->handler = f->saved.handler;
    r->path_info = f->saved.path_info;
    r->dynamic_content = f->saved.dynamic_content;
    r->in_module = f->saved.in_module;
    r->in_module_index = f->saved.in_module_index;
    r->at = f->saved.at;
    c->known_headers = f->saved.known_headers;
    r->child_depth--;
    c->frame = f->parent;
    c->frame->had_child = true;
}

static void run(struct request_core *c)
{
    c->running = true;
    while (run_frame(c, c->frame) == PIPE_FINISH) {
        if (c->frame == &c->root) {
            finish(c);
            return;
        }
        pop_child(c);
        /* The parent's hook answered with what its child came to: finished. From LogRequest on that
         * does not end the notification. */
        struct run_frame *f = c->frame;
        if (f->at < N_LOG_REQUEST && !advance(f, PIPE_FINISH)) {
            /* A child that was a parent itself and ends with its own child. */
            f->at = N_UPDATE_REQUEST_CACHE;
            f->step = RUN_CORE;
        }
    }
    c->running = false;
}

/* The URL entry of r->path, held until the request ends. False: the request has failed. */
static bool find_url(struct request *r)
{
    struct url_entry *e = url_cache_get(r->thread->urls, r->msg.head.site_id, r->path);

    if (!e)
        return false;
    if (!request_hold_url(r, e)) {
        url_entry_unref(r->thread->urls, e);
        return false;
    }
    r->url = e;
    return true;
}

void pipeline_start(struct request_core *c)
{
    struct request *r = &c->r;

    c->frame = &c->root;
    if (UNLIKELY(!find_url(r))) {
        /* No configuration to run under: the bare answer. */
        const struct config_site *site = config_site_by_id(r->thread->config, r->msg.head.site_id);
        request_fail(r, site ? &st_404_0_not_found : &st_404_1_site_not_found,
                     site ? E_INVALID_NAME : 0, STR_NULL);
        finish(c);
        return;
    }
    c->root.plan = r->url->plan; /* lives with the entry, which is held until the request ends */
    run(c);
}

void request_resume(struct request *r, enum pipe_rc rc)
{
    struct request_core *c = request_core(r);
    struct run_frame *f = c->frame;

    INVARIANT(rc != PIPE_PENDING);
    if (c->running) {
        c->resumed = true;
        c->resume_rc = rc;
        return;
    }
    if (rc == PIPE_FINISH && f->at < N_LOG_REQUEST && !advance(f, rc)) {
        f->at = N_UPDATE_REQUEST_CACHE;
        f->step = RUN_CORE;
    }
    run(c);
}

/* ---- child requests ------------------------------------------------------------------------- */

/* Headers that ask for one state or form of what the client named. They mean nothing to a page that
 * is sent in its place. */
static const uint64_t selecting_headers =
    UINT64_C(1) << HDR_ACCEPT | UINT64_C(1) << HDR_IF_MATCH | UINT64_C(1) << HDR_IF_NONE_MATCH |
    UINT64_C(1) << HDR_IF_MODIFIED_SINCE | UINT64_C(1) << HDR_IF_UNMODIFIED_SINCE |
    UINT64_C(1) << HDR_IF_RANGE | UINT64_C(1) << HDR_RANGE | UINT64_C(1) << HDR_TRANSLATE;

static enum pipe_rc execute(struct request *r, struct str path, struct str query, bool as_get)
{
    struct request_core *c = request_core(r);
    struct run_frame *f;

    if (r->child_depth >= CHILD_DEPTH_MAX || !(f = ARENA_NEW(&r->arena, struct run_frame)))
        return request_fail(r, &st_500_0_module_error, 0,
                            STR("child requests are nested too deep"));
    f->is_child = true;
    f->parent = c->frame;
    f->saved.path = r->path;
    f->saved.query = r->query;
    f->saved.method = r->method;
    f->saved.method_id = r->method_id;
    f->saved.is_head = r->is_head;
    f->saved.url = r->url;
    f->saved.handler = r->handler;
    f->saved.path_info = r->path_info;
    f->saved.dynamic_content = r->dynamic_content;
    f->saved.in_module = r->in_module;
    f->saved.in_module_index = r->in_module_index;
    f->saved.at = r->at;
    f->saved.known_headers = c->known_headers;
    r->path = path;
    r->query = query;
    if (!find_url(r)) {
        r->path = f->saved.path;
        r->query = f->saved.query;
        return request_fail(r, &st_404_0_not_found, E_INVALID_NAME, STR_NULL);
    }
    if (as_get && r->method_id != HTTP_METHOD_HEAD) {
        r->method_id = HTTP_METHOD_GET;
        r->method = STR("GET");
    }
    if (as_get)
        c->known_headers &= ~selecting_headers;
    f->without_body = as_get || f->parent->without_body;
    f->plan = r->url->plan;
    r->child_depth++;
    r->authenticated = false;
    c->frame = f;
    if (run_frame(c, f) == PIPE_PENDING)
        return PIPE_PENDING;
    pop_child(c);
    return PIPE_FINISH;
}

enum pipe_rc request_execute_url(struct request *r, struct str path, struct str query)
{
    return execute(r, path, query, /* as_get = */ false);
}

enum pipe_rc request_execute_get(struct request *r, struct str path, struct str query)
{
    return execute(r, path, query, /* as_get = */ true);
}
