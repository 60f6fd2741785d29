#include "supervisor/certificate_source.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/ip.h"
#include "supervisor/certificate_store.h"
#include "supervisor/internal.h"
#include "base/poison.h"

enum { SOON_S = 14 * 86400 };

void certificate_entry_drop_staple(struct certificate_entry *e)
{
    free(e->staple);
    e->staple = NULL;
    e->staple_n = 0;
    e->staple_due_ms = 0;
    e->staple_failures = 0;
}

void certificate_entry_free(struct certificate_entry *e)
{
    certificate_fini(&e->good);
    certificate_entry_drop_staple(e);
    if (e->password)
        OPENSSL_cleanse(e->password, strlen(e->password));
    free(e->password);
    free(e->label);
    free(e->path);
    free(e->key_path);
    free(e->folder);
    free(e->thumbprint);
    free(e->complaint);
    free(e);
}

/* ---- the registry --------------------------------------------------------------------------- */

const struct ssl_binding *certificate_registry_entry(const struct http_bindings *all,
                                                     const struct config_binding *b)
{
    struct ip_address address;
    bool has_address = b->ip.n && !str_eq(b->ip, STR("*")) && ip_parse(b->ip, &address);

    return ssl_binding_find(all, has_address, has_address ? &address : NULL, b->port,
                            b->ssl_flags & CERTIFICATE_FLAG_SNI ? b->host : STR(""),
                            (b->ssl_flags & CERTIFICATE_FLAG_CENTRAL) != 0);
}

/* A store's name is a folder's name: nothing else is let through. */
static bool is_store_name(const char *z)
{
    for (const char *p = z; *p; p++)
        if (!ascii_is_alpha(*p) && !ascii_is_digit(*p) && *p != '-' && *p != '_')
            return false;
    return z[0] != '\0';
}

bool certificate_registry_source(const struct ssl_binding *r, const char *stores, char **ret_folder,
                                 char **ret_thumbprint)
{
    char hex[2 * SSL_HASH_MAX + 1] = "";

    if (!r || r->hash_len == 0 || !is_store_name(r->store))
        return false;
    for (size_t i = 0; i < r->hash_len; i++)
        snprintf(hex + 2 * i, 3, "%02x", r->hash[i]);
    *ret_folder = xasprintf("%s/%s", stores, r->store);
    *ret_thumbprint = xstrdup(hex);
    return true;
}

/* ---- dates ---------------------------------------------------------------------------------- */

static enum certificate_state state_of(const struct certificate *c, int64_t now_s)
{
    if (now_s < c->from_s || now_s > c->to_s)
        return CERTIFICATE_OUT_OF_DATE;
    return c->to_s - now_s < SOON_S ? CERTIFICATE_ENDS_SOON : CERTIFICATE_VALID;
}

static struct certificate_date date_of(int64_t s)
{
    struct certificate_date d = {"?"};
    time_t t = (time_t)s;
    struct tm tm;

    if (gmtime_r(&t, &tm))
        strftime(d.z, sizeof(d.z), "%Y-%m-%d %H:%M UTC", &tm);
    return d;
}

const char *certificate_dates(const struct certificate *c, int64_t now_s,
                              struct certificate_date *ret_date, enum certificate_state *ret_state)
{
    bool early = now_s < c->from_s;

    *ret_state = state_of(c, now_s);
    *ret_date = date_of(early ? c->from_s : c->to_s);
    if (*ret_state == CERTIFICATE_VALID)
        return NULL;
    return early                                   ? "is not valid before"
           : *ret_state == CERTIFICATE_OUT_OF_DATE ? "is not valid since"
                                                   : "ends on";
}

static void judge_dates(struct supervisor *s, struct certificate_entry *e)
{
    enum certificate_state was = e->state;
    struct certificate_date when;
    const char *what = certificate_dates(&e->good, clock_wall_us() / 1000000, &when, &e->state);

    if (e->state == was || !what)
        return;

    SUP_EVENT(s, EV_CND_CERTIFICATE_DATES, NULL, e->label, what, when.z);
    sup_say("certificate %s %s %s", e->label, what, when.z);
}

/* ---- reading -------------------------------------------------------------------------------- */

bool certificate_entry_read(const struct certificate_entry *e, STACK_OF(X509) * intermediates,
                            struct certificate *ret, char why[CERTIFICATE_WHY_MAX])
{
    _cleanup_free_ char *found =
        e->folder ? certificate_store_find(e->folder, e->thumbprint, e->password) : NULL;
    struct certificate_source from = {.path = e->folder ? found : e->path,
                                      .key_path = e->key_path,
                                      .password = e->password,
                                      .intermediates = intermediates};

    if (from.path)
        return certificate_read(&from, ret, why);
    *ret = (struct certificate){0};
    char closed[CERTIFICATE_WHY_MAX];
    bool is_closed = certificate_store_closed(e->folder, e->password, closed);

    snprintf(why, CERTIFICATE_WHY_MAX,
             "%s: no file in this folder %s the certificate with the thumbprint %s; %.300s",
             e->folder, is_closed ? "shows" : "has", e->thumbprint,
             is_closed ? closed : "put its PEM or PFX there, with the key");
    return false;
}

static void complain(struct supervisor *s, struct certificate_entry *e, const char *why)
{
    if (e->complaint && strcmp(e->complaint, why) == 0)
        return;
    free(e->complaint);
    e->complaint = xstrdup(why);
    SUP_EVENT(s, e->has_good ? EV_CND_CERTIFICATE_KEPT : EV_CND_CERTIFICATE_BAD, NULL, why);
    sup_say("certificate %s: %s", e->has_good ? "not changed" : "not usable", why);
}

/* The worse of two: what ended must not replace what is valid. */
static bool is_step_back(const struct certificate_entry *e, const struct certificate *fresh)
{
    int64_t now_s = clock_wall_us() / 1000000;

    return e->has_good && state_of(fresh, now_s) == CERTIFICATE_OUT_OF_DATE &&
           state_of(&e->good, now_s) != CERTIFICATE_OUT_OF_DATE;
}

static bool same(const struct certificate *a, const struct certificate *b)
{
    return strcmp(a->chain, b->chain) == 0 && strcmp(a->key, b->key) == 0;
}

bool certificate_entry_look(struct supervisor *s, struct certificate_entry *e,
                            STACK_OF(X509) * intermediates)
{
    struct certificate fresh;
    char why[CERTIFICATE_WHY_MAX];
    bool ok = certificate_entry_read(e, intermediates, &fresh, why);

    if (ok && is_step_back(e, &fresh)) {
        snprintf(why, sizeof(why), "%s: the new certificate is not valid now; renew it", e->label);
        ok = false;
    }
    if (!ok) {
        certificate_fini(&fresh);
        complain(s, e, why);
        if (e->has_good)
            judge_dates(s, e);
        return false;
    }
    free(e->complaint);
    e->complaint = NULL;
    if (e->has_good && same(&e->good, &fresh)) {
        certificate_fini(&fresh);
        judge_dates(s, e);
        return false;
    }
    bool was_there = e->has_good;

    certificate_fini(&e->good);
    certificate_entry_drop_staple(e);
    e->good = fresh;
    e->has_good = true;
    e->state = CERTIFICATE_VALID;
    if (was_there)
        SUP_EVENT(s, EV_CND_CERTIFICATE_TAKEN, NULL, e->label, e->good.thumbprint,
                  date_of(e->good.to_s).z);
    judge_dates(s, e);
    return true;
}

json_t *certificate_entry_json(const struct certificate_entry *e)
{
    json_t *j = json_pack("{s:s, s:s, s:s}", "id", e->good.thumbprint, "chain", e->good.chain,
                          "key", e->good.key);

    INVARIANT(j);
    if (e->staple) {
        char *text = xmalloc(e->staple_n / 3 * 4 + 8);
        EVP_EncodeBlock((unsigned char *)text, e->staple, (int)e->staple_n);
        json_object_set_new(j, "staple", json_string(text));
        free(text);
    }
    return j;
}
