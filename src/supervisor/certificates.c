#include "supervisor/certificates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/ipc.h"
#include "supervisor/certificate_dev.h"
#include "supervisor/certificate_source.h"
#include "supervisor/certificate_staples.h"
#include "supervisor/certificate_store.h"
#include "supervisor/certificate_watch.h"
#include "supervisor/folders.h"
#include "supervisor/internal.h"
#include "supervisor/sites.h"
#include "base/poison.h"

enum { LOOK_AGAIN_MS = 6 * 3600 * 1000, CENTRAL_LOADED_MAX = 4096 };
struct certificates {
    struct supervisor *s;
    char *stores; /* the folder that holds MY, ROOT, CA and central */
    struct folder_watch *watch;
    struct loop_timer again;
    struct certificate_entry *entries; /* of bindings */
    struct certificate_entry *central; /* of names that the listener wanted */
    size_t n_central;
    struct central_files files;
    char *central_password;
    bool uses_central, central_staples, has_tls, ktls;
    STACK_OF(X509) * intermediates;
    struct certificate_staples *staples;
    json_t *sent; /* the last tls message; NULL: none yet */
};

/* ---- folders and their watch ----------------------------------------------------------------- */

static char *store_folder(const struct certificates *c, const char *name)
{
    return xasprintf("%s/%s", c->stores, name);
}

/* They exist from the first https binding on: where certificates belong is then plain to see. */
static void make_stores(struct certificates *c)
{
    static const char *const names[] = {"MY", "ROOT", "CA", "central"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_free_ char *path = store_folder(c, names[i]);
        if (!folders_make(path, 0750, NULL))
            SUP_EVENT(c->s, EV_CND_STATE_FOLDER, NULL, path, strerror(errno));
        folder_watch_add(c->watch, path);
    }
}

/* ---- where a binding's certificate comes from -------------------------------------------------
 */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static struct certificate_entry *get_entry(struct certificate_entry **list, const char *label,
                                           const char *key_path, const char *password)
{
    struct certificate_entry *e = *list;

    while (e && !(strcmp(e->label, label) == 0 && same_text(e->key_path, key_path) &&
                  same_text(e->password, password)))
        e = e->next;
    if (e)
        return e;
    e = xcalloc(1, sizeof(*e));
    e->label = xstrdup(label);
    e->key_path = key_path ? xstrdup(key_path) : NULL;
    e->password = password ? xstrdup(password) : NULL;
    e->next = *list;
    *list = e;
    return e;
}

static char *text_or_null(struct str s)
{
    return s.n ? str_dup_z(s) : NULL;
}

static struct certificate_entry *entry_of_file(struct certificates *c,
                                               const struct config_binding *b)
{
    _cleanup_free_ char *path = str_dup_z(b->certificate_file);
    _cleanup_free_ char *key = text_or_null(b->certificate_key_file);
    _cleanup_free_ char *password = text_or_null(b->certificate_password);
    struct certificate_entry *e = get_entry(&c->entries, path, key, password);

    if (!e->path)
        e->path = xstrdup(path);
    folder_watch_add_for(c->watch, path);
    folder_watch_add_for(c->watch, key);
    return e;
}

/* NULL: the registry names none. */
static struct certificate_entry *entry_of_store(struct certificates *c, const struct ssl_binding *r,
                                                const struct config_binding *b)
{
    _cleanup_free_ char *folder = NULL, *thumbprint = NULL;
    _cleanup_free_ char *password = text_or_null(b->certificate_password);

    if (!certificate_registry_source(r, c->stores, &folder, &thumbprint))
        return NULL;
    _cleanup_free_ char *label = xasprintf("%s %s", r->store, thumbprint);
    struct certificate_entry *e = get_entry(&c->entries, label, NULL, password);

    if (!e->folder) {
        e->folder = xstrdup(folder);
        e->thumbprint = xstrdup(thumbprint);
    }
    folder_watch_add(c->watch, folder);
    return e;
}

static struct certificate_entry *entry_of_development(struct certificates *c, bool looks)
{
    _cleanup_free_ char *path = certificate_dev_path(c->stores);
    _cleanup_free_ char *key = certificate_dev_key_path(c->stores);
    char why[CERTIFICATE_WHY_MAX];
    bool made = false;

    if (looks && !certificate_dev_ensure(c->stores, &made, why))
        sup_say("%s", why);
    struct certificate_entry *e = get_entry(&c->entries, path, key, NULL);

    if (!e->path)
        e->path = xstrdup(path);
    folder_watch_add(c->watch, c->stores);
    return e;
}

/* True: it has changed. */
static bool look(struct certificates *c, struct certificate_entry *e)
{
    if (!certificate_entry_look(c->s, e, c->intermediates))
        return false;
    certificate_staples_forget(c->staples, e); /* the answer to come is about the one before */
    return true;
}

/* ---- the message ------------------------------------------------------------------------------
 */

static json_t *text(struct str s)
{
    json_t *j = json_stringn(s.p ? s.p : "", s.n);

    return j ? j : json_string("");
}

/* The central store of a port and a certificate for all its addresses stand beside each other. */
static bool has_same(const json_t *list, const json_t *address, int port, const json_t *host,
                     bool central)
{
    size_t i;
    json_t *j;

    json_array_foreach(list, i, j)
    {
        if (ipc_get_int(j, "port", 0) == port && ipc_get_bool(j, "central", false) == central &&
            json_equal(json_object_get(j, "host"), host) &&
            (json_string_length(host) || json_equal(json_object_get(j, "address"), address)))
            return true;
    }
    return false;
}

static void add_certificate(json_t *msg, const struct certificate_entry *e)
{
    json_t *list = json_object_get(msg, "certificates"), *j;
    size_t i;

    json_array_foreach(list, i, j)
    {
        if (strcmp(ipc_get_str(j, "id", ""), e->good.thumbprint) == 0)
            return;
    }
    json_array_append_new(list, certificate_entry_json(e));
}

/* e NULL: the central store. r NULL: the registry says nothing. */
static void add_binding(struct certificates *c, json_t *msg, const struct config_binding *b,
                        const struct certificate_entry *e, const struct ssl_binding *r)
{
    json_t *list = json_object_get(msg, "bindings");
    bool by_name = e && (b->ssl_flags & CERTIFICATE_FLAG_SNI) && b->host.n;
    json_t *address = text(e && !by_name ? b->ip : STR("*")),
           *host = text(by_name ? b->host : STR(""));
    uint32_t flags = r ? r->flags : 0;

    if (has_same(list, address, b->port, host, !e)) {
        json_decref(address);
        json_decref(host);
        return;
    }
    json_t *j = json_pack("{s:o, s:i, s:o, s:i, s:b, s:b, s:I}", "address", address, "port",
                          (int)b->port, "host", host, "sslFlags", (int)b->ssl_flags, "http2",
                          c->s->parameters.enable_http2_tls && !(flags & SSL_BINDING_NO_HTTP2),
                          "ask", (flags & SSL_BINDING_NEGOTIATE_CLIENT_CERT) != 0, "check",
                          (json_int_t)(r ? r->check_mode : 0));
    int64_t own = ipc_get_int(j, "sslFlags", 0);

    if (flags & SSL_BINDING_NO_TLS13)
        own |= 32;
    if (flags & SSL_BINDING_NO_OCSP_STAPLING)
        own |= 8;
    json_object_set_new(j, "sslFlags", json_integer(own));
    if (e)
        json_object_set_new(j, "certificate", json_string(e->good.thumbprint));
    else
        json_object_set_new(j, "central", json_true());
    json_array_append_new(list, j);
}

static void say_without(struct certificates *c, const struct config_site *site,
                        const struct config_binding *b, const char *why, bool said)
{
    char *what = xasprintf("%.*s (site \"%.*s\")", STR_ARG(b->raw), STR_ARG(site->name));

    SUP_EVENT(c->s, EV_HTTP_TLS_ENDPOINT, json_pack("{s:s}", "error", why), what);
    if (c->s->is_ready || !c->sent)
        sup_say("https binding %s has no certificate: %s", what,
                said ? "its handshakes fail" : why);
    free(what);
}

static bool staples(const struct config_binding *b, const struct ssl_binding *r)
{
    return !(b->ssl_flags & CERTIFICATE_FLAG_NO_STAPLING) &&
           !(r && (r->flags & SSL_BINDING_NO_OCSP_STAPLING));
}

static void take_binding(struct certificates *c, json_t *msg, const struct config_site *site,
                         const struct config_binding *b, bool looks, struct str *password)
{
    const struct ssl_binding *r = certificate_registry_entry(&c->s->bindings, b);
    struct certificate_entry *e = NULL;

    if (b->certificate_file.n) {
        e = entry_of_file(c, b);
    } else if (b->ssl_flags & CERTIFICATE_FLAG_CENTRAL) {
        c->uses_central = true;
        if (!password->n)
            *password = b->certificate_password;
        c->central_staples = c->central_staples || staples(b, r);
        add_binding(c, msg, b, NULL, r);
        return;
    } else {
        e = entry_of_store(c, r, b);
        if (!e && c->s->o->https)
            e = entry_of_development(c, looks);
    }
    if (!e) {
        if (looks)
            say_without(c, site, b, "neither the binding nor SslBindingInfo names one", false);
        return;
    }
    bool knew = e->complaint != NULL;

    if (looks && !e->is_wanted)
        (void)look(c, e);
    e->is_wanted = true;
    e->wants_staple = e->wants_staple || staples(b, r);
    if (!e->has_good) {
        if (looks)
            say_without(c, site, b, e->complaint ? e->complaint : "it cannot be read",
                        e->complaint && !knew);
        return;
    }
    add_certificate(msg, e);
    add_binding(c, msg, b, e, r);
}

static bool is_https(const struct config_binding *b)
{
    return b->port && str_ieq(b->protocol, STR("https"));
}

static bool any_https(const struct certificates *c)
{
    size_t n;
    const struct config_site *sites = config_sites(c->s->config, &n);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sites[i].n_bindings; k++)
            if (is_https(&sites[i].bindings[k]))
                return true;
    return false;
}

static json_t *central_names(const struct certificates *c)
{
    json_t *names = json_array();

    for (size_t i = 0; c->uses_central && i < c->files.n; i++)
        if (i == 0 || strcmp(c->files.list[i].name, c->files.list[i - 1].name) != 0)
            json_array_append_new(names, json_string(c->files.list[i].name));
    return names;
}

static bool kernel_has_tls(void)
{
    char names[512] = "";
    FILE *f = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "re");
    struct str rest, name;

    if (!f)
        return false;
    if (!fgets(names, sizeof(names), f))
        names[0] = '\0';
    fclose(f);
    rest = str_trim_all(str_z(names));
    while (str_split(&rest, ' ', &name))
        if (str_eq(name, STR("tls")))
            return true;
    return false;
}

/* looks: files are read; else only what is known already is put together. */
static json_t *build(struct certificates *c, bool looks)
{
    size_t n;
    struct str central_password = STR("");
    const struct config_site *sites = config_sites(c->s->config, &n);
    json_t *msg = json_pack("{s:s, s:b, s:[], s:[]}", "type", "tls", "ktls", c->ktls,
                            "certificates", "bindings");
    _cleanup_free_ char *root = store_folder(c, "ROOT"), *ca = store_folder(c, "CA");

    c->uses_central = c->central_staples = false;
    for (struct certificate_entry *e = c->entries; e; e = e->next)
        e->is_wanted = e->wants_staple = false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; sites_started(c->s, &sites[i]) && k < sites[i].n_bindings; k++)
            if (is_https(&sites[i].bindings[k]))
                take_binding(c, msg, &sites[i], &sites[i].bindings[k], looks, &central_password);
    free(c->central_password);
    c->central_password = text_or_null(central_password);
    json_object_set_new(msg, "central", central_names(c));
    if (looks || !c->sent)
        json_object_set_new(msg, "trust", certificate_store_trust(root, ca));
    else
        json_object_set(msg, "trust", json_object_get(c->sent, "trust"));
    return msg;
}

/* ---- central store ----------------------------------------------------------------------------
 */

static void send_central(struct certificates *c, const struct certificate_entry *e)
{
    json_t *msg =
        json_pack("{s:s, s:s, s:b}", "type", "certificate", "name", e->label, "ktls", c->ktls);

    if (e->has_good)
        json_object_set_new(msg, "certificate", certificate_entry_json(e));
    listener_send(c->s, msg, NULL, 0);
}

static void set_path(struct certificates *c, struct certificate_entry *e)
{
    const struct central_file *f = central_files_find(&c->files, str_z(e->label));
    _cleanup_free_ char *folder = store_folder(c, "central");

    free(e->path);
    e->path = f ? xasprintf("%s/%s", folder, f->file) : NULL;
}

static void drop_entry(struct certificates *c, struct certificate_entry **at)
{
    struct certificate_entry *e = *at;

    certificate_staples_forget(c->staples, e);
    *at = e->next;
    certificate_entry_free(e);
}

/* The oldest goes; should it be wanted again, it is read again. */
static void make_central_room(struct certificates *c)
{
    struct certificate_entry **at = &c->central;

    if (c->n_central < CENTRAL_LOADED_MAX)
        return;
    while ((*at)->next)
        at = &(*at)->next;
    drop_entry(c, at);
    c->n_central--;
}

void certificates_wanted(struct certificates *c, const json_t *msg)
{
    struct str name = str_z(ipc_get_str(msg, "name", ""));
    const struct central_file *f = central_files_find(&c->files, name);

    if (!c->uses_central || !f)
        return; /* the listener knows better by the next tls message */
    struct certificate_entry *e = c->central;

    while (e && strcmp(e->label, f->name) != 0)
        e = e->next;
    if (!e) {
        make_central_room(c);
        e = get_entry(&c->central, f->name, NULL, c->central_password);
        c->n_central++;
        set_path(c, e);
        (void)look(c, e);
        e->wants_staple = c->central_staples;
        certificate_staples_look(c->staples);
    }
    send_central(c, e);
}

/* What was given out is given out anew if it has changed, and forgotten if it is gone. */
static void look_at_central(struct certificates *c)
{
    for (struct certificate_entry **at = &c->central, *e; (e = *at);) {
        set_path(c, e);
        bool could = e->has_good;
        e->wants_staple = c->central_staples;
        if (e->path && same_text(e->password, c->central_password)) {
            bool changed = look(c, e);
            if (changed || (!could && e->has_good))
                send_central(c, e);
            at = &e->next;
            continue;
        }
        drop_entry(c, at);
        c->n_central--;
    }
}

/* ---- into force -------------------------------------------------------------------------------
 */

static void send_table(struct certificates *c)
{
    if (c->sent)
        listener_send(c->s, json_incref(c->sent), NULL, 0);
}

static void take_message(struct certificates *c, json_t *msg)
{
    if (c->sent && json_equal(c->sent, msg)) {
        json_decref(msg);
        return;
    }
    json_decref(c->sent);
    c->sent = msg;
    send_table(c);
}

static void forget_unwanted(struct certificates *c)
{
    for (struct certificate_entry **at = &c->entries; *at;) {
        if ((*at)->is_wanted)
            at = &(*at)->next;
        else
            drop_entry(c, at);
    }
}

void certificates_apply(struct certificates *c)
{
    if (!any_https(c) && !c->has_tls)
        return;
    c->has_tls = true;
    make_stores(c);
    _cleanup_free_ char *ca = store_folder(c, "CA"), *central = store_folder(c, "central");

    sk_X509_pop_free(c->intermediates, X509_free);
    c->intermediates = certificate_store_all(ca);
    central_files_fini(&c->files);
    central_files_load(&c->files, central);
    json_t *msg = build(c, true);

    forget_unwanted(c);
    take_message(c, msg);
    look_at_central(c);
    certificate_staples_look(c->staples);
    loop_timer_set(c->s->loop, &c->again, loop_now_ms(c->s->loop) + LOOK_AGAIN_MS);
}

void certificates_say(const struct certificates *c)
{
    if (!c->s->o->https)
        return;
    _cleanup_free_ char *path = certificate_dev_path(c->stores);

    sup_say("its certificate was made here and nobody trusts it yet: curl --cacert %s, or as root",
            path);
    sup_say("cp %s /usr/local/share/ca-certificates/candor.crt && update-ca-certificates", path);
}

void certificates_send(struct certificates *c)
{
    send_table(c);
}

/* ---- OCSP responses ---------------------------------------------------------------------------
 */

static struct certificate_entry *next_entry(void *arg, struct certificate_entry *e)
{
    struct certificates *c = arg;

    if (!e)
        return c->entries ? c->entries : c->central;
    if (e->next)
        return e->next;
    for (const struct certificate_entry *i = c->central; i; i = i->next)
        if (i == e)
            return NULL;
    return c->central;
}

static void on_new_staples(void *arg)
{
    struct certificates *c = arg;

    take_message(c, build(c, false));
    for (struct certificate_entry *e = c->central; e; e = e->next)
        if (e->staple)
            send_central(c, e);
}

static void on_files(void *arg)
{
    struct certificates *c = arg;

    if (!c->s->stopping)
        certificates_apply(c);
}

static void on_again(struct loop_timer *t)
{
    struct certificates *c = CONTAINER_OF(t, struct certificates, again);

    if (!c->s->stopping)
        certificates_apply(c);
}

struct certificates *certificates_new(struct supervisor *s)
{
    struct certificates *c = xcalloc(1, sizeof(*c));

    c->s = s;
    c->stores = xasprintf("%s/certs", s->system_drive);
    c->ktls = kernel_has_tls();
    c->again.on_time = on_again;
    c->staples = certificate_staples_new(&(struct certificate_staples_options){
        .s = s, .arg = c, .next = next_entry, .on_change = on_new_staples});
    c->watch = folder_watch_new(s, on_files, c);
    return c;
}

struct certificates *certificates_free(struct certificates *c)
{
    if (!c)
        return NULL;
    loop_timer_clear(c->s->loop, &c->again);
    c->staples = certificate_staples_free(c->staples);
    c->watch = folder_watch_free(c->watch);
    while (c->entries)
        drop_entry(c, &c->entries);
    while (c->central)
        drop_entry(c, &c->central);
    central_files_fini(&c->files);
    sk_X509_pop_free(c->intermediates, X509_free);
    json_decref(c->sent);
    free(c->central_password);
    free(c->stores);
    free(c);
    return NULL;
}
