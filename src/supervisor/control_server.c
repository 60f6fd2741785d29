#include "supervisor/control_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/ipc.h"
#include "supervisor/folders.h"
#include "supervisor/internal.h"
#include "supervisor/suspend.h"
#include "base/poison.h"

enum {
    CLIENTS_MAX = 32,
    REQUEST_MAX = 64 * 1024,
    REPLY_MAX = 64 * 1024 * 1024,
    STATUS_WAIT_MS = 2000, /* for the listener's part of a status */
};

struct client {
    struct client *next;
    struct control_server *server;
    struct loop_io io;
    struct loop_timer wait; /* armed: the listener has been asked */
    uint64_t token;
    json_t *done; /* the answer to an order, given once the listener follows it */
    enum { WAITS_FOR_STATUS, WAITS_FOR_ORDER, WAITS_FOR_CACHE } waits_for;
    struct buf in, out;
    bool ends; /* after what is in out */
};

struct control_server {
    struct supervisor *s;
    struct loop_io io;
    char *path;
    struct client *clients;
    size_t n_clients;
    uint64_t last_token;
};

static void free_client(struct client *c)
{
    struct loop *l = c->server->s->loop;

    for (struct client **at = &c->server->clients; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    c->server->n_clients--;
    loop_timer_clear(l, &c->wait);
    loop_io_set(l, &c->io, 0);
    close(c->io.fd);
    json_decref(c->done);
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c);
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static json_t *failure(const char *fmt, ...) PRINTF_LIKE(1, 2);
static json_t *failure(const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static json_t *success(void)
{
    return json_pack("{s:b}", "ok", 1);
}

static const char *worker_state_name(const struct worker *w)
{
    switch (w->state) {
    case WORKER_STARTING:
        return "Starting";
    case WORKER_RUNNING:
        return "Running";
    case WORKER_DRAINING:
    case WORKER_STOPPING:
        return "Stopping";
    case WORKER_ORPHANED:
        break;
    }
    return "Unknown";
}

static json_t *pool_json(const struct pool *p)
{
    json_t *workers = json_array();

    for (const struct worker *w = p->workers; w; w = w->next)
        json_array_append_new(workers,
                              json_pack("{s:i, s:i, s:s, s:b}", "id", (int)w->id, "pid",
                                        (int)w->pid, "state", worker_state_name(w), "suspended",
                                        w->suspension && suspension_is_on(w->suspension)));
    struct str version = p->conf->managed_runtime_version;

    return json_pack("{s:s, s:s, s:s, s:s%, s:s, s:s, s:i, s:o}", "name", p->name, "state",
                     pool_state_name(p), "reason", p->reason, "runtimeVersion",
                     version.n ? version.p : "", version.n, "pipelineMode",
                     p->conf->classic_pipeline ? "Classic" : "Integrated", "user", p->identity.user,
                     "failures", (int)p->rapid.count, "workers", workers);
}

static json_t *site_json(const struct config_site *site, const struct site_plan *plan)
{
    json_t *bindings = json_array();
    struct str name = site->name;

    for (size_t i = 0; i < site->n_bindings; i++) {
        const struct config_binding *b = &site->bindings[i];
        json_array_append_new(bindings,
                              json_pack("{s:s%, s:s%}", "protocol", b->protocol.p, b->protocol.n,
                                        "bindingInformation", b->raw.p, b->raw.n));
    }
    return json_pack("{s:I, s:s%, s:s, s:s*, s:o}", "id", (json_int_t)site->id, "name", name.p,
                     name.n, "state", plan && plan->started ? "Started" : "Stopped", "error",
                     plan ? plan->why : NULL, "bindings", bindings);
}

static json_t *status_json(struct supervisor *s)
{
    json_t *sites = json_array(), *pools = json_array();
    size_t n;
    const struct config_site *list = config_sites(s->config, &n);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(sites, site_json(&list[i], sup_site_plan(s, list[i].id)));
    for (size_t i = 0; i < s->n_pools; i++)
        json_array_append_new(pools, pool_json(s->pools[i]));
    return json_pack("{s:b, s:s, s:i, s:I, s:{s:i, s:i, s:s}, s:o, s:o}", "ok", 1, "version",
                     CANDOR_VERSION, "pid", (int)getpid(), "generation", (json_int_t)s->generation,
                     "listener", "pid", (int)s->listener.pid, "threads", (int)s->threads, "user",
                     s->listener_identity.user, "sites", sites, "pools", pools);
}

static json_t *do_pool(struct supervisor *s, const json_t *req)
{
    const char *action = ipc_get_str(req, "action", ""), *name = ipc_get_str(req, "name", "");
    struct pool *p = sup_pool(s, str_z(name));

    if (!p)
        return failure("there is no application pool \"%.200s\"", name);
    if (strcmp(action, "start") == 0)
        pool_start(p);
    else if (strcmp(action, "stop") == 0)
        pool_stop(p, "Disabled");
    else if (strcmp(action, "recycle") != 0)
        return failure("action must be start, stop or recycle");
    else if (!p->started)
        return failure("the application pool \"%s\" is not started", p->name);
    else
        pool_recycle(p, EV_WAS_RECYCLE_ADMIN);
    return success();
}

static json_t *do_site(struct supervisor *s, const json_t *req)
{
    const char *action = ipc_get_str(req, "action", "");
    json_int_t id = ipc_get_int(req, "id", 0);
    char why[512];
    bool start = strcmp(action, "start") == 0;

    if (!start && strcmp(action, "stop") != 0)
        return failure("action must be start or stop");
    if (id < 1 || id > UINT32_MAX || !config_site_by_id(s->config, (uint32_t)id))
        return failure("there is no site with this id");
    return sup_site_set(s, (uint32_t)id, start, why, sizeof(why)) ? success() : failure("%s", why);
}

/* "http://host/path", "*": what of it is wrong the listener could not tell. */
static json_t *do_cache_clear(struct supervisor *s, const json_t *req)
{
    const char *url = ipc_get_str(req, "url", "*");

    if (strcmp(url, "*") != 0 && !str_istarts(str_z(url), STR("http://")) &&
        !str_istarts(str_z(url), STR("https://")))
        return failure("url must be * or begin with http:// or https://");
    listener_send(s,
                  json_pack("{s:s, s:s, s:b}", "type", "cache_clear", "url", url, "subtree",
                            ipc_get_bool(req, "subtree", false)),
                  NULL, 0);
    return success();
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void flush(struct client *c);

static void reply(struct client *c, json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT);

    INVARIANT(text);
    buf_append(&c->out, text, strlen(text));
    buf_char(&c->out, '\n');
    free(text);
    json_decref(j);
}

/* What the client gets when the listener has nothing to say to it. */
static json_t *answer(struct client *c)
{
    json_t *j = c->done;

    c->done = NULL;
    if (c->waits_for == WAITS_FOR_CACHE)
        return failure("the listener does not answer");
    return c->waits_for == WAITS_FOR_ORDER ? j : status_json(c->server->s);
}

static void on_wait_over(struct loop_timer *t)
{
    struct client *c = CONTAINER_OF(t, struct client, wait);

    reply(c, answer(c));
    flush(c);
}

/* question: the listener answers it with our token. */
static void ask_listener(struct client *c, const char *question)
{
    struct supervisor *s = c->server->s;

    c->token = ++c->server->last_token;
    if (!listener_send(s, json_pack("{s:s, s:I}", "type", question, "token", (json_int_t)c->token),
                       NULL, 0)) {
        reply(c, answer(c));
        return;
    }
    c->wait.on_time = on_wait_over;
    loop_timer_set(s->loop, &c->wait, loop_now_ms(s->loop) + STATUS_WAIT_MS);
}

/* Who has asked; it waits no longer. NULL: nobody, or he has given up. */
static struct client *asked_by(struct control_server *server, const json_t *msg)
{
    json_int_t token = ipc_get_int(msg, "token", 0);
    struct client *c = server ? server->clients : NULL;

    while (c && !(c->wait.heap_index && (json_int_t)c->token == token))
        c = c->next;
    if (c)
        loop_timer_clear(server->s->loop, &c->wait);
    return c;
}

void control_server_cache(struct control_server *server, const json_t *msg)
{
    struct client *c = asked_by(server, msg);

    if (!c)
        return;
    json_t *j = json_deep_copy(msg);

    json_object_del(j, "type");
    json_object_del(j, "token");
    json_object_set_new(j, "ok", json_true());
    reply(c, j);
    flush(c);
}

void control_server_status(struct control_server *server, const json_t *msg)
{
    struct client *c = asked_by(server, msg);

    if (!c)
        return;
    if (c->waits_for == WAITS_FOR_ORDER) {
        reply(c, answer(c));
        flush(c);
        return;
    }
    json_t *j = status_json(server->s), *pools = json_object_get(j, "pools"), *counts, *pool;
    size_t i, k;

    json_object_set(j, "connections", json_object_get(msg, "connections"));
    json_array_foreach(json_object_get(msg, "pools"), i, counts)
    {
        json_array_foreach(pools, k, pool)
        {
            if (str_ieq(str_z(ipc_get_str(pool, "name", "")),
                        str_z(ipc_get_str(counts, "pool", "?"))))
                json_object_set(pool, "queued", json_object_get(counts, "queued"));
        }
    }
    reply(c, j);
    flush(c);
}

/* Whoever is told that it is done must find it done: the listener's next answer comes after all its
 * threads have the new state. */
static void order(struct client *c, json_t *result)
{
    if (!ipc_get_bool(result, "ok", false)) {
        reply(c, result);
        return;
    }
    c->done = result;
    c->waits_for = WAITS_FOR_ORDER;
    ask_listener(c, "status");
}

static void do_cache(struct client *c, const json_t *req)
{
    const char *action = ipc_get_str(req, "action", "");

    if (strcmp(action, "list") == 0) {
        c->waits_for = WAITS_FOR_CACHE;
        ask_listener(c, "cache_list");
    } else if (strcmp(action, "clear") == 0) {
        order(c, do_cache_clear(c->server->s, req));
    } else {
        reply(c, failure("action must be list or clear"));
    }
}

static void do_status(struct client *c)
{
    c->waits_for = WAITS_FOR_STATUS;
    ask_listener(c, "status");
}

static void do_line(struct client *c, struct str line)
{
    json_t *req = json_loadb(line.p, line.n, 0, NULL);
    const char *verb = ipc_get_str(req, "verb", "");
    struct supervisor *s = c->server->s;

    if (!json_is_object(req))
        reply(c, failure("not a JSON object"));
    else if (strcmp(verb, "status") == 0)
        do_status(c);
    else if (strcmp(verb, "pool") == 0)
        order(c, do_pool(s, req));
    else if (strcmp(verb, "site") == 0)
        order(c, do_site(s, req));
    else if (strcmp(verb, "cache") == 0)
        do_cache(c, req);
    else
        reply(c, failure("unknown verb \"%.100s\": status, pool, site or cache", verb));
    json_decref(req);
}

/* One request at a time: the next line waits until this one is answered. */
static void do_lines(struct client *c)
{
    while (!c->wait.heap_index && c->out.n == 0) {
        struct str line = buf_view(&c->in);
        size_t end = str_find_char(line, '\n');

        if (end == SIZE_MAX)
            return;
        do_line(c, str_trim_all(str_sub(line, 0, end)));
        buf_consume(&c->in, end + 1);
    }
}

static bool write_out(struct client *c)
{
    while (c->out.n) {
        ssize_t n = send(c->io.fd, c->out.p, c->out.n, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        buf_consume(&c->out, (size_t)n);
    }
    return true;
}

static void flush(struct client *c)
{
    uint32_t events;

    do {
        if (!write_out(c)) {
            free_client(c);
            return;
        }
        if (c->out.n)
            break;
        do_lines(c);
    } while (c->out.n);
    if (c->ends && c->out.n == 0 && !c->wait.heap_index) {
        free_client(c);
        return;
    }
    events = c->out.n ? EPOLLOUT : c->ends ? 0 : EPOLLIN;
    if (!loop_io_set(c->server->s->loop, &c->io, events))
        free_client(c);
}

static void on_client(struct loop_io *io, uint32_t events)
{
    struct client *c = CONTAINER_OF(io, struct client, io);

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !c->ends) {
        char *at = buf_reserve(&c->in, 4096);
        ssize_t n = at ? recv(io->fd, at, 4096, 0) : 0;
        if (n > 0)
            c->in.n += (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            c->ends = true;
    }
    flush(c);
}

static void on_accept(struct loop_io *io, uint32_t events)
{
    struct control_server *server = CONTAINER_OF(io, struct control_server, io);
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (server->n_clients >= CLIENTS_MAX) {
        close(fd);
        return;
    }
    struct client *c = xcalloc(1, sizeof(*c));

    c->server = server;
    c->io = (struct loop_io){.on_event = on_client, .fd = fd};
    buf_init(&c->in, REQUEST_MAX);
    buf_init(&c->out, REPLY_MAX);
    c->next = server->clients;
    server->clients = c;
    server->n_clients++;
    if (!loop_io_set(server->s->loop, &c->io, EPOLLIN))
        free_client(c);
}

/* ---- the socket ----------------------------------------------------------------------------- */

/* A socket file that refuses connections was left over by a server that is gone. */
static bool is_served(const struct sockaddr_un *at)
{
    _cleanup_close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return s >= 0 && (connect(s, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN);
}

static int listen_at(const char *path, char *out, size_t room)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;

    if (strlen(path) >= sizeof(at.sun_path)) {
        snprintf(out, room, "the path is longer than %zu bytes", sizeof(at.sun_path) - 1);
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path));
    if (!folders_make_above(path, 0755)) {
        snprintf(out, room, "%s", strerror(errno));
        return -1;
    }
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode) || is_served(&at)) {
            snprintf(out, room,
                     S_ISSOCK(st.st_mode) ? "another server uses it" : "the file is not a socket");
            return -1;
        }
        unlink(path);
    }
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0177);
    bool ok = s >= 0 && bind(s, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(s, 16) == 0;
    int e = errno;

    umask(before);
    if (ok)
        return s;
    snprintf(out, room, "%s", strerror(e));
    if (s >= 0)
        close(s);
    return -1;
}

struct control_server *control_server_new(struct supervisor *s, const char *path, char *out,
                                          size_t room)
{
    int fd = listen_at(path, out, room);

    if (fd < 0)
        return NULL;
    struct control_server *c = xcalloc(1, sizeof(*c));

    c->s = s;
    c->path = xstrdup(path);
    c->io = (struct loop_io){.on_event = on_accept, .fd = fd};
    INVARIANT(loop_io_set(s->loop, &c->io, EPOLLIN));
    return c;
}

struct control_server *control_server_free(struct control_server *c)
{
    if (!c)
        return NULL;
    for (struct client *i = c->clients, *next; i; i = next) {
        next = i->next;
        free_client(i);
    }
    loop_io_set(c->s->loop, &c->io, 0);
    close(c->io.fd);
    unlink(c->path);
    free(c->path);
    free(c);
    return NULL;
}
