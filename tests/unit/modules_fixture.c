#include "modules_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/method.h"
#include "http/url.h"
#include "worker/open_file.h"

#include "base/poison.h"

enum { STATES = 4, FIELDS_MAX = 32 };

/* One fixture at a time: the doubles below find it here. */
static struct fixture *current;

/* ---- the site ------------------------------------------------------------------------------- */

void fixture_file(struct fixture *f, const char *name, const char *content)
{
    char path[512];
    int n = snprintf(path, sizeof(path), "%s/%s", f->root, name);

    assert_true(n > 0 && (size_t)n < sizeof(path));
    for (char *p = path + strlen(f->root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0755);
        *p = '/';
    }
    if (path[n - 1] == '/')
        return;
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(content, out);
    assert_int_equal(fclose(out), 0);
}

static struct config *load_config(struct fixture *f, const char *app_host)
{
    _cleanup_buf_ struct buf text = {0};
    const char *const bindings[] = {"127.0.0.1:8080:"};
    struct config_error *error = NULL;

    buf_init(&text, 1 << 20);
    config_builtin_text(&text, f->root, bindings, 1);
    if (app_host) {
        bool is_application = strncmp(app_host, "<application ", 13) == 0;
        size_t at =
            str_find(buf_view(&text), is_application ? STR("</site>") : STR("</configuration>"));

        assert_true(at != SIZE_MAX);
        char *tail = str_dup_z(str_sub(buf_view(&text), at, text.n));

        text.n = at;
        buf_printf(&text, "%s%s", app_host, tail);
        free(tail);
    }
    struct config_options options = {.bytes = buf_view(&text), .system_drive = f->root};
    struct config *c = config_load(&options, &error);

    if (!c) {
        _cleanup_buf_ struct buf why = {0};

        buf_init(&why, 4096);
        config_error_format(error, &why);
        fail_msg("%.*s", STR_ARG(buf_view(&why)));
    }
    return c;
}

struct fixture *fixture_new(const char *app_host, const char *web_config)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    snprintf(f->root, sizeof(f->root), "/tmp/candor-modules-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    arena_init(&f->memory, 0);
    if (web_config)
        fixture_file(f, "web.config", web_config);
    f->config = load_config(f, app_host);
    f->handler.name = STR("StaticFile");
    f->execute_rc = PIPE_FINISH;
    current = f;
    return f;
}

static void end_request(struct fixture *f)
{
    if (f->r)
        arena_fini(&f->r->arena);
    free(f->r);
    f->r = NULL;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

void fixture_free(struct fixture *f)
{
    end_request(f);
    arena_fini(&f->memory);
    f->config = config_unref(f->config);
    nftw(f->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    current = NULL;
}

static void unref_node(void *node)
{
    (void)config_node_unref(node);
}

/* As the worker's cache makes it. */
static struct url_entry *make_entry(struct fixture *f, struct str path)
{
    struct url_entry *e = ARENA_NEW(&f->memory, struct url_entry);
    const struct config_error *error = NULL;
    struct stat st;
    union {
        const struct config_node *in;
        void *out;
    } node = {0};

    assert_int_not_equal(config_node_get(f->config, 1, path, &e->node, &error), RC_DECLINED);
    node.in = e->node;
    arena_on_end(&f->memory, unref_node, node.out);
    e->config_error = error;
    e->site_id = 1;
    e->path = arena_dup(&f->memory, path);
    if (!config_node_map(e->node, path, &f->memory, &e->physical))
        return NULL;
    if (stat(e->physical.p, &st) != 0)
        e->kind = URL_KIND_MISSING;
    else
        e->kind = S_ISDIR(st.st_mode) ? URL_KIND_DIRECTORY : URL_KIND_FILE;
    return e;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void add_fields(struct request *r, const char *const *headers, char *bytes)
{
    struct msg_field *fields = arena_zalloc(&r->arena, FIELDS_MAX * sizeof(*fields));
    size_t at = 0;

    for (; headers && *headers; headers++) {
        const char *colon = strchr(*headers, ':');
        struct msg_field *f = &fields[r->msg.head.n_fields++];
        size_t n = strlen(*headers);

        assert_true(colon != NULL && r->msg.head.n_fields <= FIELDS_MAX);
        memcpy(bytes + at, *headers, n);
        f->name_off = (uint32_t)at;
        f->name_len = (uint16_t)(colon - *headers);
        f->value_off = f->name_off + f->name_len + 2;
        f->value_len = (uint32_t)(n - f->name_len - 2);
        f->id = (uint16_t)http_header_lookup(str_n(bytes + at, f->name_len));
        if (f->id == HDR_HOST)
            r->msg.host = str_n(bytes + f->value_off, f->value_len);
        at += n;
    }
    r->msg.fields = fields;
    r->msg.bytes = bytes;
}

struct request *fixture_request(struct fixture *f, const char *method, const char *target,
                                const char *const *headers)
{
    struct url_limits limits = url_limits_default();
    struct url_cooked url;
    struct str raw = str_z(target);

    end_request(f);
    struct request *r = f->r = xcalloc(1, sizeof(*r) + STATES * sizeof(void *));

    arena_init(&r->arena, 1 << 20);
    r->msg.raw_target = arena_dup(&r->arena, raw);
    char *room = arena_alloc(&r->arena, URL_COOK_CAP(raw.n));

    limits.segment_max_length = 0;
    assert_int_equal(url_cook(r->msg.raw_target, &limits, room, URL_COOK_CAP(raw.n), &url), RC_OK);
    r->path = r->msg.path = url.path;
    r->query = r->msg.query = url.query;
    r->method = r->msg.method = arena_dup(&r->arena, str_z(method));
    r->method_id = r->msg.head.method_id = (uint8_t)http_method_lookup(r->method);
    r->is_head = r->method_id == HTTP_METHOD_HEAD;
    r->msg.head.site_id = 1;
    r->msg.head.minor = 1;
    r->msg.head.request_id = 0xabc;
    r->msg.head.remote =
        (struct msg_address){.ip = {[10] = 0xff, 0xff, 10, 1, 2, 3}, .port = 50000, .is_v4 = 1};
    r->msg.head.local =
        (struct msg_address){.ip = {[10] = 0xff, 0xff, 10, 1, 2, 9}, .port = 8080, .is_v4 = 1};
    add_fields(r, headers, arena_zalloc(&r->arena, 64 * 1024));
    r->response.row = &st_200_0_ok;
    r->response.headers_end = &r->response.headers;
    r->response.body_end = &r->response.body;
    r->url = make_entry(f, r->path);
    r->handler = &f->handler;
    f->executed = 0;
    return r;
}

const void *fixture_conf(struct fixture *f, const struct module *m)
{
    const struct config_error *error = NULL;
    const void *conf = m->load_conf(f->r->url->node, &f->memory, &error);

    if (!conf)
        fail_msg("%s: %.*s", m->name, STR_ARG(error->text));
    return conf;
}

enum pipe_rc fixture_run(struct fixture *f, const struct module *m, enum notification at)
{
    const void *conf = m->load_conf ? fixture_conf(f, m) : NULL;

    f->r->at = at;
    f->r->in_module = m;
    return at == N_EXECUTE_REQUEST_HANDLER ? m->execute(f->r, conf) : m->hooks[at].fn(f->r, conf);
}

const char *fixture_body(struct fixture *f)
{
    struct buf b;

    buf_init(&b, 1 << 24);
    for (struct body_part *p = f->r->response.body; p; p = p->next)
        buf_str(&b, p->kind == PART_FILE ? str_n(p->file->content + p->offset, (size_t)p->length)
                                         : p->memory);
    assert_int_equal(b.n, f->r->response.body_length);
    const char *text = arena_dup_z(&f->memory, buf_view(&b));

    buf_fini(&b);
    return text;
}

const char *fixture_header(struct fixture *f, const char *name)
{
    for (struct response_header *h = f->r->response.headers; h; h = h->next)
        if (str_ieq(h->name, str_z(name)))
            return arena_dup_z(&f->memory, h->value);
    return "";
}

/* ---- doubles of worker/request.h ------------------------------------------------------------ */

struct str request_header_named(struct request *r, struct str name)
{
    for (uint16_t i = 0; i < r->msg.head.n_fields; i++) {
        const struct msg_field *f = &r->msg.fields[i];

        if (str_ieq(str_n(r->msg.bytes + f->name_off, f->name_len), name))
            return str_n(r->msg.bytes + f->value_off, f->value_len);
    }
    return STR_NULL;
}

struct str request_header(struct request *r, enum http_header_id id)
{
    return request_header_named(r, http_header_name(id));
}

enum pipe_rc request_fail(struct request *r, const struct status_row *row, uint32_t hresult,
                          struct str detail)
{
    if (!r->failure.row) {
        r->failure.row = row;
        r->failure.hresult = hresult ? hresult : status_hresult(row);
        r->failure.detail = arena_dup(&r->arena, detail);
        r->failure.module = r->in_module;
        r->failure.notification = r->at;
    } else if (r->child_depth == 0) {
        return PIPE_FINISH;
    }
    r->response.row = row;
    r->response.win32 = r->failure.hresult & 0xffff;
    response_body_clear(r);
    return PIPE_FINISH;
}

enum pipe_rc request_fail_config(struct request *r, const struct config_error *error)
{
    bool first = !r->failure.row;

    request_fail(r, &st_500_19_config, error->hresult, STR_NULL);
    if (first)
        r->failure.config = error;
    return PIPE_FINISH;
}

void response_status(struct request *r, const struct status_row *row)
{
    r->response.row = row;
    r->response.win32 = 0;
}

bool response_header_add(struct request *r, struct str name, struct str value)
{
    if (!http_is_token(name) || !http_value_is_writable(value))
        return false;
    struct response_header *h = ARENA_NEW(&r->arena, struct response_header);

    *h = (struct response_header){
        .id = (uint16_t)http_header_lookup(name), .name = name, .value = value};
    *r->response.headers_end = h;
    r->response.headers_end = &h->next;
    return true;
}

void response_header_remove(struct request *r, struct str name)
{
    struct response_header **at = &r->response.headers;

    while (*at) {
        if (str_ieq((*at)->name, name))
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    r->response.headers_end = at;
}

bool response_header_set(struct request *r, enum http_header_id id, struct str value)
{
    response_header_remove(r, http_header_name(id));
    return response_header_add(r, http_header_name(id), value);
}

struct str response_header_get(const struct request *r, enum http_header_id id)
{
    for (const struct response_header *h = r->response.headers; h; h = h->next)
        if (h->id == id)
            return h->value;
    return STR_NULL;
}

void response_body_clear(struct request *r)
{
    r->response.body = NULL;
    r->response.body_end = &r->response.body;
    r->response.body_length = 0;
    r->response.has_body = false;
}

static struct body_part *add_part(struct request *r, uint64_t n)
{
    struct body_part *p = ARENA_NEW(&r->arena, struct body_part);

    *r->response.body_end = p;
    r->response.body_end = &p->next;
    r->response.body_length += n;
    r->response.has_body = true;
    return p;
}

void response_body_memory(struct request *r, struct str bytes)
{
    add_part(r, bytes.n)->memory = bytes;
}

void response_body_file(struct request *r, struct open_file *file, uint64_t offset, uint64_t length)
{
    struct body_part *p = add_part(r, length);

    p->kind = PART_FILE;
    p->file = file;
    p->offset = offset;
    p->length = length;
}

static enum pipe_rc execute(struct str path, struct str query, bool get)
{
    current->executed++;
    current->executed_get = get;
    snprintf(current->executed_path, sizeof(current->executed_path), "%.*s", STR_ARG(path));
    snprintf(current->executed_query, sizeof(current->executed_query), "%.*s", STR_ARG(query));
    if (current->execute_row)
        response_status(current->r, current->execute_row);
    return current->execute_rc;
}

enum pipe_rc request_execute_url(struct request *r, struct str path, struct str query)
{
    return execute(path, query, false);
}

enum pipe_rc request_execute_get(struct request *r, struct str path, struct str query)
{
    return execute(path, query, true);
}

const struct url_entry *request_lookup_url(struct request *r, struct str path)
{
    return make_entry(current, path);
}

struct open_file *request_open_file(struct request *r, const char *path, int *ret_errno)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0) {
        *ret_errno = errno;
        return NULL;
    }
    assert_int_equal(fstat(fd, &st), 0);
    struct open_file *f = ARENA_NEW(&r->arena, struct open_file);

    f->fd = -1;
    f->size = (uint64_t)st.st_size;
    f->content = arena_zalloc(&r->arena, f->size + 1);
    assert_int_equal(read(fd, f->content, f->size), st.st_size);
    close(fd);
    return f;
}

void *request_module_state(struct request *r, size_t size)
{
    void **slot = &r->module_state[0];

    if (!*slot)
        *slot = arena_zalloc(&r->arena, size);
    return *slot;
}

bool request_trace_enabled(const struct request *r)
{
    return false;
}

struct str request_base_url(struct request *r)
{
    return arena_printf(&r->arena, "%s://%.*s", r->msg.head.flags & MSGF_TLS ? "https" : "http",
                        STR_ARG(r->msg.host.n ? r->msg.host : STR("10.1.2.9:8080")));
}

struct str request_physical_path(const struct request *r)
{
    return r->url ? r->url->physical : STR_NULL;
}
