#include "worker_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/method.h"
#include "worker/dir_watch.h"

#include "base/poison.h"

static struct fx *current;

/* ---- the site ------------------------------------------------------------------------------- */

void fx_file_bytes(struct fx *f, const char *name, const void *bytes, size_t n)
{
    char path[512];
    int len = snprintf(path, sizeof(path), "%s/%s", f->root, name);

    assert_true(len > 0 && (size_t)len < sizeof(path));
    for (char *p = path + strlen(f->root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0755);
        *p = '/';
    }
    if (path[len - 1] == '/')
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

void fx_file(struct fx *f, const char *name, const char *content)
{
    fx_file_bytes(f, name, content, content ? strlen(content) : 0);
}

static struct config *load_config(struct fx *f, const char *site, const char *app_host)
{
    _cleanup_buf_ struct buf text = {0};
    const char *const bindings[] = {"127.0.0.1:8080:"};
    struct config_error *error = NULL;

    buf_init(&text, 1 << 20);
    config_builtin_text(&text, f->root, bindings, 1);
    if (app_host) {
        size_t end = str_find(buf_view(&text), STR("</configuration>"));
        assert_true(end != SIZE_MAX);
        text.n = end;
        buf_printf(&text, "%s</configuration>", app_host);
    }
    if (site) {
        struct str at = STR("id=\"1\">");
        size_t begin = str_find(buf_view(&text), at);
        assert_true(begin != SIZE_MAX);
        _cleanup_free_ char *rest = str_dup_z(str_sub(buf_view(&text), begin + at.n, text.n));
        text.n = begin + at.n;
        buf_printf(&text, "%s%s", site, rest);
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

/* ---- the worker ----------------------------------------------------------------------------- */

static void on_broken(struct worker *w, const char *why)
{
    current->broken = why;
}

static void on_change(void *arg)
{
    worker_poke(arg);
}

static void attach(struct fx *f)
{
    int memfd = region_create(1, 16384);

    assert_true(memfd >= 0);
    assert_true(region_map(memfd, &f->w.region));
    close(memfd);
    f->worker_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->listener_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(f->worker_event >= 0 && f->listener_event >= 0);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, f->files), 0);
    ring_attach(&f->requests, region_request_ring(&f->w.region, 0), f->w.region.request_size,
                f->worker_event, f->listener_event);
    ring_attach(&f->responses, region_response_ring(&f->w.region, 0), f->w.region.response_size,
                f->worker_event, f->listener_event);
    f->t.channel = channel_new(&(struct channel_options){.thread = &f->t,
                                                         .region = &f->w.region,
                                                         .worker_event = f->worker_event,
                                                         .listener_event = f->listener_event,
                                                         .files = f->files[1]});
}

struct fx *fx_new(const char *app_host, const char *web_config)
{
    return fx_new_site(NULL, app_host, web_config);
}

struct fx *fx_new_site(const char *site, const char *app_host, const char *web_config)
{
    struct fx *f = xcalloc(1, sizeof(*f));

    current = f;
    snprintf(f->root, sizeof(f->root), "/tmp/candor-worker-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    memset(f->file_fds, -1, sizeof(f->file_fds));
    if (web_config)
        fx_file(f, "web.config", web_config);
    worker_init(&f->w, load_config(f, site, app_host), STR("DefaultAppPool"));
    f->w.on_broken = on_broken;
    f->w.n_threads = 1;
    f->main = loop_new();
    f->w.watcher = dir_watcher_new(f->main);
    dir_watcher_on_change(f->w.watcher, on_change, &f->w);
    f->w.watches_live = true;
    worker_thread_init(&f->t, &f->w, 0);
    attach(f);
    f->give_credit = true;
    return f;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void fx_free(struct fx *f)
{
    worker_thread_fini(&f->t);
    worker_fini(&f->w);
    region_unmap(&f->w.region);
    loop_free(f->main);
    close(f->worker_event);
    close(f->listener_event);
    close(f->files[0]);
    close(f->files[1]);
    for (unsigned i = 0; i < FX_FILES; i++)
        if (f->file_fds[i] >= 0)
            close(f->file_fds[i]);
    for (unsigned i = 0; i < FX_ANSWERS; i++)
        buf_fini(&f->answers[i].body);
    nftw(f->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    current = NULL;
}

/* ---- requests ------------------------------------------------------------------------------- */

static struct msg_span put(struct buf *b, struct str s)
{
    struct msg_span at = {(uint32_t)b->n, (uint32_t)s.n};

    buf_str(b, s);
    return at;
}

bool fx_push(struct fx *f, uint64_t id, const char *method, const char *target,
             const char *const *headers, uint32_t flags)
{
    _cleanup_buf_ struct buf blob = {0};
    struct msg_field fields[32] = {0};
    struct msg_request m = {.site_id = FX_SITE,
                            .flags = flags | f->tls_flags,
                            .request_id = id,
                            .major = 1,
                            .minor = 1,
                            .tls = f->tls};
    struct str path = str_z(target), query = STR_NULL;
    size_t mark = str_find_char(path, '?');

    if (mark != SIZE_MAX) {
        query = str_sub(path, mark + 1, path.n);
        path = str_sub(path, 0, mark);
    }
    buf_init(&blob, 1 << 20);
    m.method = put(&blob, str_z(method));
    m.method_id = (uint8_t)http_method_lookup(str_z(method));
    m.raw_target = put(&blob, str_z(target));
    m.path = put(&blob, path);
    m.query = put(&blob, query);
    m.content_length = flags & MSGF_HAS_BODY ? -1 : 0;
    m.remote.is_v4 = m.local.is_v4 = 1;
    memcpy(m.remote.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
    memcpy(m.local.ip, m.remote.ip, 16);
    if (f->over_v6) {
        m.local.is_v4 = 0;
        memcpy(m.local.ip, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    }
    if (f->from_elsewhere)
        m.remote.ip[12] = 10;
    m.local.port = 8080;
    for (; headers && headers[m.n_fields]; m.n_fields++) {
        struct str line = str_z(headers[m.n_fields]);
        size_t colon = str_find_char(line, ':');
        assert_true(colon != SIZE_MAX && m.n_fields < 32);
        struct str name = str_sub(line, 0, colon);
        struct str value = str_trim(str_sub(line, colon + 1, line.n));
        struct msg_span n = put(&blob, name), v = put(&blob, value);
        fields[m.n_fields] = (struct msg_field){.name_off = n.off,
                                                .value_off = v.off,
                                                .value_len = v.len,
                                                .name_len = (uint16_t)n.len,
                                                .id = (uint16_t)http_header_lookup(name)};
        uint64_t length;
        if (str_ieq(name, STR("Content-Length")) && str_u64(value, INT64_MAX, &length))
            m.content_length = (int64_t)length;
    }
    struct str host = STR("localhost");

    for (size_t i = 0; headers && headers[i]; i++)
        if (str_istarts(str_z(headers[i]), STR("Host: ")))
            host = str_z(headers[i] + 6);
    if (!f->over_v6)
        m.host = put(&blob, str_sub(host, 0, str_find_char(host, ':')));
    if (f->http2) {
        m.major = 2;
        m.minor = 0;
    }
    m.tls.cipher = put(&blob, str_z(f->cipher ? f->cipher : ""));
    m.tls.client_cert = put(&blob, f->client_cert);
    m.n_bytes = (uint32_t)blob.n;
    size_t table = m.n_fields * sizeof(fields[0]);
    char *at = ring_reserve(&f->requests, (uint32_t)(sizeof(m) + table + blob.n));

    if (!at)
        return false;
    memcpy(at, &m, sizeof(m));
    memcpy(at + sizeof(m), fields, table);
    memcpy(at + sizeof(m) + table, blob.p, blob.n);
    ring_commit(&f->requests, MSG_REQUEST, flags & MSGF_HAS_BODY ? 0 : MSG_END, id,
                (uint32_t)(sizeof(m) + table + blob.n));
    return true;
}

void fx_push_body(struct fx *f, uint64_t id, const void *bytes, size_t n, bool end)
{
    assert_true(ring_push(&f->requests, MSG_REQUEST_BODY, end ? MSG_END : 0, id, bytes,
                          (uint32_t)n));
}

void fx_push_certificate(struct fx *f, uint64_t id, enum client_cert_verdict verdict,
                         struct str der)
{
    struct msg_client_cert m = {.verdict = verdict, .der_len = (uint32_t)der.n};
    char *at = ring_reserve(&f->requests, (uint32_t)(sizeof(m) + der.n));

    assert_non_null(at);
    memcpy(at, &m, sizeof(m));
    if (der.n)
        memcpy(at + sizeof(m), der.p, der.n);
    ring_commit(&f->requests, MSG_CLIENT_CERT, 0, id, (uint32_t)(sizeof(m) + der.n));
}

void fx_push_abort(struct fx *f, uint64_t id)
{
    assert_true(ring_push(&f->requests, MSG_REQUEST_ABORT, 0, id, NULL, 0));
}

void fx_push_credit(struct fx *f, uint64_t id, uint64_t amount)
{
    struct msg_amount m = {amount};

    assert_true(ring_push(&f->requests, MSG_CREDIT, 0, id, &m, sizeof(m)));
}

/* ---- answers -------------------------------------------------------------------------------- */

static void take_head(struct fx_answer *a, const struct ring_record *rec)
{
    const char *p = (const char *)rec->payload + sizeof(a->head);

    assert_false(a->begun);
    assert_true(rec->len >= sizeof(a->head));
    memcpy(&a->head, rec->payload, sizeof(a->head));
    assert_true(message_response_ok(&a->head, rec->len));
    a->begun = true;
    p += a->head.reason_len;
    struct str headers = str_n(p, a->head.headers_len);

    assert_true(message_reason_ok(str_n(p - a->head.reason_len, a->head.reason_len)));
    assert_true(message_header_block_ok(headers));
    assert_true(headers.n < sizeof(a->headers));
    memcpy(a->headers, headers.p, headers.n);
    a->headers[headers.n] = '\0';
    p += headers.n;
    snprintf(a->user, sizeof(a->user), "%.*s", (int)a->head.user_len, p);
    p += a->head.user_len;
    snprintf(a->log, sizeof(a->log), "%.*s", (int)a->head.log_len, p);
    p += a->head.log_len;
    buf_init(&a->body, 1 << 30);
    buf_append(&a->body, p, a->head.body_len);
    a->uncredited += a->head.body_len;
}

static void take_file(struct fx *f, struct fx_answer *a, const struct ring_record *rec)
{
    struct msg_file m;

    assert_int_equal(rec->len, sizeof(m));
    memcpy(&m, rec->payload, sizeof(m));
    for (;;) {
        uint32_t handle;
        int fd, rc = region_recv_file(f->files[0], &handle, &fd);
        if (rc == 0)
            break;
        assert_int_equal(rc, 1);
        assert_true(handle < FX_FILES && f->file_fds[handle] < 0);
        f->file_fds[handle] = fd;
        f->handles++;
    }
    assert_true(m.handle < FX_FILES && f->file_fds[m.handle] >= 0);
    char *to = buf_reserve(&a->body, m.length);

    assert_non_null(to);
    assert_int_equal(pread(f->file_fds[m.handle], to, m.length, (off_t)m.offset), m.length);
    a->body.n += m.length;
    a->file_parts++;
}

static void take_flush(struct fx *f, const struct ring_record *rec)
{
    struct msg_flush m;

    assert_true(rec->len >= sizeof(m));
    assert_int_equal(rec->id, 0);
    memcpy(&m, rec->payload, sizeof(m));
    assert_int_equal(m.path_len, rec->len - sizeof(m));
    struct fx_flush *flush = &f->flushes[f->n_flushes++ % FX_FLUSHES];

    flush->site_id = m.site_id;
    snprintf(flush->path, sizeof(flush->path), "%.*s", (int)m.path_len,
             (const char *)rec->payload + sizeof(m));
}

static void take_record(struct fx *f, const struct ring_record *rec)
{
    struct msg_amount amount;

    if (rec->type == MSG_CACHE_FLUSH) {
        take_flush(f, rec);
        return;
    }
    if (rec->type == MSG_FILE_CLOSE) {
        memcpy(&amount, rec->payload, sizeof(amount));
        assert_true(amount.amount < FX_FILES && f->file_fds[amount.amount] >= 0);
        close(f->file_fds[amount.amount]);
        f->file_fds[amount.amount] = -1;
        f->file_closes++;
        return;
    }
    assert_true(rec->id < FX_ANSWERS);
    struct fx_answer *a = &f->answers[rec->id];

    assert_false(a->closed); /* nothing follows the closing record */
    switch (rec->type) {
    case MSG_RESPONSE:
        take_head(a, rec);
        break;
    case MSG_RESPONSE_BODY:
        assert_true(a->begun && rec->len <= MESSAGE_BODY_MAX);
        buf_append(&a->body, rec->payload, rec->len);
        a->uncredited += rec->len;
        break;
    case MSG_RESPONSE_FILE:
        assert_true(a->begun);
        take_file(f, a, rec);
        break;
    case MSG_RESPONSE_RESET:
        a->reset = a->closed = true;
        break;
    case MSG_CLIENT_CERT_WANTED:
        assert_int_equal(rec->len, 0);
        a->cert_wanted++;
        return;
    case MSG_BODY_WANTED:
        memcpy(&amount, rec->payload, sizeof(amount));
        a->body_wanted += amount.amount;
        return;
    default:
        fail_msg("record type %u", rec->type);
    }
    a->records++;
    if (a->uncredited > a->most_uncredited)
        a->most_uncredited = a->uncredited;
    if (rec->flags & MSG_END) {
        a->closed = true;
        if (a->head.flags & MSGR_NO_BODY)
            assert_int_equal(a->body.n, 0);
        else if (a->head.flags & MSGR_LENGTH)
            assert_int_equal(a->body.n, a->head.content_length);
    }
}

void fx_read(struct fx *f, unsigned max)
{
    struct ring_record rec;

    for (unsigned i = 0; i < max; i++) {
        enum rc rc = ring_peek(&f->responses, &rec);
        if (rc == RC_AGAIN)
            break;
        assert_int_equal(rc, RC_OK);
        take_record(f, &rec);
        ring_pop(&f->responses, &rec);
        struct fx_answer *a = rec.id < FX_ANSWERS ? &f->answers[rec.id] : NULL;
        if (a && f->give_credit && a->uncredited && !a->closed) {
            fx_push_credit(f, rec.id, a->uncredited);
            a->uncredited = 0;
        }
    }
    ring_wake_producer(&f->responses);
    ring_wake_consumer(&f->requests);
}

void fx_turn_without_reading(struct fx *f)
{
    ring_wake_consumer(&f->requests);
    loop_turn(f->main, 0);
    loop_turn(f->t.loop, 0);
}

void fx_turn(struct fx *f)
{
    fx_turn_without_reading(f);
    fx_read(f, UINT32_MAX);
}

struct fx_answer *fx_get(struct fx *f, uint64_t id, const char *method, const char *target,
                         const char *const *headers)
{
    struct fx_answer *a = &f->answers[id];

    assert_true(fx_push(f, id, method, target, headers, 0));
    for (unsigned i = 0; i < 1000 && !a->closed; i++)
        fx_turn(f);
    assert_true(a->closed);
    buf_append(&a->body, "", 1); /* so that it can be compared as a string */
    a->body.n--;
    return a;
}

const char *fx_header(const struct fx_answer *a, const char *name)
{
    static char value[1024];
    struct str rest = str_z(a->headers), line;

    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        if (colon == SIZE_MAX || !str_ieq(str_sub(line, 0, colon), str_z(name)))
            continue;
        struct str v = str_trim_all(str_sub(line, colon + 1, line.n));
        snprintf(value, sizeof(value), "%.*s", STR_ARG(v));
        return value;
    }
    return "";
}

void fx_assert_code(const struct fx_answer *a, unsigned status, unsigned substatus)
{
    if (a->head.status != status || a->head.substatus != substatus)
        fail_msg("%u.%u instead of %u.%u (win32 %u)\n%s\n%.*s", a->head.status, a->head.substatus,
                 status, substatus, a->head.win32, a->headers, (int)a->body.n,
                 a->body.p ? a->body.p : "");
}

void fx_assert_idle(struct fx *f)
{
    fx_turn(f);
    assert_int_equal(channel_held(f->t.channel), 0);
    assert_null(f->broken);
}
