/* The central certificate store as the listener sees it: the list of names that it has, and those
 * certificates that clients wanted. Loading is the supervisor's affair; clients wait meanwhile.
 *
 * Since the names are known, no client can make the supervisor look for what is not there, and a
 * name that nobody has costs a search in memory. */
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/ipc.h"
#include "listener/tls_internal.h"
#include "base/poison.h"

enum { CACHE_MAX = 2048, CACHE_SLOTS = 2048, ASK_AGAIN_MS = 2000 };

struct tls_names {
    size_t n;
    char *list[]; /* sorted */
};

enum state { ASKED, LOADED, UNUSABLE };

struct central_cert {
    struct central_cert *next;
    enum state state;
    uint64_t asked_ms, used_ms;
    struct tls_cert *cert;
    char name[TLS_NAME_MAX + 1];
};

/* Outlives tables. The lock is taken once a handshake for a name of the store. */
static struct {
    pthread_mutex_t lock;
    struct central_cert *slots[CACHE_SLOTS];
    size_t n;
    void (*want)(void *arg, struct str name);
    void *arg;
} central = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- names ---------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct tls_names *tls_names_load(const json_t *list)
{
    struct tls_names *names = xcalloc(1, sizeof(*names) + json_array_size(list) * sizeof(char *));
    size_t i;
    json_t *j;

    json_array_foreach(list, i, j)
    {
        if (json_is_string(j) && json_string_length(j) <= TLS_NAME_MAX)
            names->list[names->n++] = xstrdup(json_string_value(j));
    }
    qsort(names->list, names->n, sizeof(char *), by_name);
    return names;
}

void tls_names_free(struct tls_names *names)
{
    for (size_t i = 0; names && i < names->n; i++)
        free(names->list[i]);
    free(names);
}

static bool has(const struct tls_names *names, const char *name)
{
    return bsearch(&name, names->list, names->n, sizeof(char *), by_name) != NULL;
}

/* The store's name for a host. False: it has none. */
static bool store_name(const struct tls_names *names, struct str host, char ret[TLS_NAME_MAX + 1])
{
    size_t dot = str_find_char(host, '.');

    if (host.n == 0 || host.n > TLS_NAME_MAX)
        return false;
    memcpy(ret, host.p, host.n);
    ret[host.n] = '\0';
    if (has(names, ret))
        return true;
    if (dot == SIZE_MAX || dot == 0)
        return false;
    ret[0] = '_';
    memcpy(ret + 1, host.p + dot, host.n - dot);
    ret[1 + host.n - dot] = '\0';
    return has(names, ret);
}

bool tls_names_have(const struct tls_names *names, struct str host)
{
    char name[TLS_NAME_MAX + 1];

    return names->n > 0 && store_name(names, host, name);
}

/* ---- certificates --------------------------------------------------------------------------- */

void tls_set_wanted(void (*want)(void *arg, struct str name), void *arg)
{
    central.want = want;
    central.arg = arg;
}

static struct central_cert **slot_of(struct str name)
{
    return &central.slots[hash_bytes(name.p, name.n) % CACHE_SLOTS];
}

static struct central_cert *find(struct str name)
{
    struct central_cert *x = *slot_of(name);

    while (x && !str_eq(str_z(x->name), name))
        x = x->next;
    return x;
}

static void drop(struct central_cert **at)
{
    struct central_cert *x = *at;

    *at = x->next;
    tls_cert_unref(x->cert);
    free(x);
    central.n--;
}

/* Room for one more: the one that nobody has used for the longest time goes. */
static void make_room(void)
{
    struct central_cert **oldest = NULL;

    if (central.n < CACHE_MAX)
        return;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        for (struct central_cert **at = &central.slots[i]; *at; at = &(*at)->next)
            if (!oldest || (*at)->used_ms < (*oldest)->used_ms)
                oldest = at;
    drop(oldest);
}

/* NULL: out of memory. */
static struct central_cert *get(struct str name)
{
    struct central_cert *x = find(name);

    if (x)
        return x;
    make_room();
    x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    memcpy(x->name, name.p, name.n);
    x->next = *slot_of(name);
    *slot_of(name) = x;
    central.n++;
    return x;
}

enum tls_rc tls_central_find(const struct tls_table *t, struct str host, struct tls_cert **ret)
{
    char name[TLS_NAME_MAX + 1];
    enum tls_rc rc = TLS_WAITS;
    bool ask = false;

    if (!store_name(t->names, host, name))
        return TLS_FAILED;
    uint64_t now = clock_mono_ms();

    pthread_mutex_lock(&central.lock);
    struct central_cert *x = get(str_z(name));
    if (x)
        x->used_ms = now;
    if (!x) {
        rc = TLS_FAILED;
    } else if (x->state == LOADED) {
        *ret = tls_cert_ref(x->cert);
        rc = TLS_DONE;
    } else if (x->state == UNUSABLE) {
        rc = TLS_FAILED;
    } else if (x->asked_ms == 0 || now - x->asked_ms >= ASK_AGAIN_MS) {
        x->asked_ms = now;
        ask = true;
    }
    pthread_mutex_unlock(&central.lock);
    if (ask && central.want)
        central.want(central.arg, str_z(name));
    return rc;
}

bool tls_take_certificate(const json_t *msg)
{
    struct str name = str_z(ipc_get_str(msg, "name", ""));
    const json_t *j = json_object_get(msg, "certificate");
    char why[TLS_WHY_MAX];

    if (name.n == 0 || name.n > TLS_NAME_MAX)
        return false;
    struct tls_cert *cert =
        json_is_object(j) ? tls_cert_load(j, ipc_get_bool(msg, "ktls", false), why) : NULL;
    struct tls_cert *old = NULL;

    pthread_mutex_lock(&central.lock);
    struct central_cert *x = get(name);
    if (x) {
        old = x->cert;
        x->cert = cert;
        x->state = cert ? LOADED : UNUSABLE;
        x->used_ms = clock_mono_ms();
    }
    pthread_mutex_unlock(&central.lock);
    tls_cert_unref(x ? old : cert);
    return true;
}
