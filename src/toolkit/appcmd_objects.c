/* What there is to list and to order, and how a running server is asked for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/ipc.h"
#include "toolkit/appcmd.h"
#include "toolkit/appcmd_control.h"
#include "base/poison.h"

enum { TEXT_MAX = 1 << 20 };

/* ---- items ---------------------------------------------------------------------------------- */

size_t appcmd_field_find(const struct appcmd_object *o, struct str name)
{
    for (size_t i = 0; i < APPCMD_FIELDS_MAX && o->fields[i].name; i++)
        if (str_ieq(str_z(o->fields[i].name), name) ||
            (o->fields[i].alias && str_ieq(str_z(o->fields[i].alias), name)))
            return i;
    return SIZE_MAX;
}

void appcmd_items_free(struct appcmd_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        for (size_t k = 0; k < APPCMD_FIELDS_MAX; k++)
            free(items->list[i].value[k]);
    free(items->list);
    *items = (struct appcmd_items){0};
}

/* Names and URLs end on a terminal: what would command it goes. That are the control characters of
 * ASCII and, as UTF-8 (0xc2 and one of 32 bytes), those of Latin-1. */
static char *clean(const char *text)
{
    char *copy = xstrdup(text);

    for (unsigned char *p = (unsigned char *)copy; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            *p = '?';
    return copy;
}

static struct appcmd_item *add_item(struct appcmd_items *items, json_t *source)
{
    items->list = xgrow(items->list, items->n, &items->cap, sizeof(*items->list));
    items->list[items->n] = (struct appcmd_item){.source = source};
    return &items->list[items->n++];
}

/* A member of the server's answer as text, in the item's next free field. */
static void add_value(struct appcmd_item *item, char *value)
{
    for (size_t i = 0; i < APPCMD_FIELDS_MAX; i++)
        if (!item->value[i]) {
            item->value[i] = value;
            return;
        }
    INVARIANT(false); /* no object has so many fields */
}

static void add_text(struct appcmd_item *item, const json_t *from, const char *key)
{
    add_value(item, clean(ipc_get_str(from, key, "")));
}

static void add_number(struct appcmd_item *item, const json_t *from, const char *key)
{
    const json_t *n = json_object_get(from, key);

    add_value(item, json_is_integer(n) ? xasprintf("%lld", (long long)json_integer_value(n))
                                       : xstrdup(""));
}

/* ---- lists ---------------------------------------------------------------------------------- */

static bool ask(struct appcmd_run *run, json_t *request, char **ret_why)
{
    json_decref(run->answer);
    run->answer = appcmd_ask(run->control, request, ret_why);
    return run->answer != NULL;
}

static bool ask_status(struct appcmd_run *run, char **ret_why)
{
    return ask(run, json_pack("{s:s}", "verb", "status"), ret_why);
}

/* Protocol, slash, binding information, with commas between them. */
static char *bindings_text(const json_t *bindings)
{
    struct buf b;
    size_t i;
    const json_t *one;

    buf_init(&b, TEXT_MAX);
    json_array_foreach(bindings, i, one)
    {
        buf_printf(&b, "%s%s/%s", i ? "," : "", ipc_get_str(one, "protocol", ""),
                   ipc_get_str(one, "bindingInformation", ""));
    }
    buf_char(&b, '\0');
    char *text = clean(b.overflow ? "" : b.p);

    buf_fini(&b);
    return text;
}

static bool list_sites(struct appcmd_run *run, struct appcmd_items *ret, char **ret_why)
{
    size_t i;
    json_t *site;

    if (!ask_status(run, ret_why))
        return false;
    json_array_foreach(json_object_get(run->answer, "sites"), i, site)
    {
        struct appcmd_item *item = add_item(ret, site);
        add_text(item, site, "name");
        add_number(item, site, "id");
        add_value(item, bindings_text(json_object_get(site, "bindings")));
        add_text(item, site, "state");
    }
    return true;
}

static bool list_pools(struct appcmd_run *run, struct appcmd_items *ret, char **ret_why)
{
    size_t i;
    json_t *pool;

    if (!ask_status(run, ret_why))
        return false;
    json_array_foreach(json_object_get(run->answer, "pools"), i, pool)
    {
        struct appcmd_item *item = add_item(ret, pool);
        add_text(item, pool, "name");
        add_text(item, pool, "pipelineMode");
        add_text(item, pool, "runtimeVersion");
        add_text(item, pool, "state");
    }
    return true;
}

static bool list_workers(struct appcmd_run *run, struct appcmd_items *ret, char **ret_why)
{
    size_t i, k;
    json_t *pool, *worker;

    if (!ask_status(run, ret_why))
        return false;
    json_array_foreach(json_object_get(run->answer, "pools"), i, pool)
    {
        json_array_foreach(json_object_get(pool, "workers"), k, worker)
        {
            struct appcmd_item *item = add_item(ret, worker);
            add_number(item, worker, "pid");
            add_text(item, pool, "name");
        }
    }
    return true;
}

static bool list_cache(struct appcmd_run *run, struct appcmd_items *ret, char **ret_why)
{
    size_t i;
    json_t *entry;

    if (!ask(run, json_pack("{s:s, s:s}", "verb", "cache", "action", "list"), ret_why))
        return false;
    json_array_foreach(json_object_get(run->answer, "entries"), i, entry)
    {
        struct appcmd_item *item = add_item(ret, entry);
        add_text(item, entry, "url");
        add_number(item, entry, "site");
        add_number(item, entry, "status");
        add_number(item, entry, "bytes");
        add_text(item, entry, "coding");
        add_number(item, entry, "idle_s");
    }
    json_int_t count = ipc_get_int(run->answer, "count", 0);

    if (count > (json_int_t)ret->n)
        fprintf(stderr, "candor: appcmd: the cache holds %lld entries; the server names %zu\n",
                (long long)count, ret->n);
    return true;
}

/* ---- orders --------------------------------------------------------------------------------- */

static bool order(struct appcmd_run *run, json_t *request, char **ret_why)
{
    json_t *answer = appcmd_ask(run->control, request, ret_why);

    json_decref(answer);
    return answer != NULL;
}

/* A verb of the control socket for one site or pool. */
static bool order_state(struct appcmd_run *run, const struct appcmd_item *item, char **ret_why)
{
    const struct appcmd_object *o = run->object;

    return order(run,
                 json_pack("{s:s, s:s, s:O}", "verb", o->asked, "action", run->verb->name, o->key,
                           json_object_get(item->source, o->key)),
                 ret_why);
}

static bool clear_cache(struct appcmd_run *run, const struct appcmd_item *item, char **ret_why)
{
    struct str url = run->url.n ? run->url : STR("*");

    return order(run,
                 json_pack("{s:s, s:s, s:s%, s:b}", "verb", "cache", "action", "clear", "url",
                           url.p, url.n, "subtree", run->subtree),
                 ret_why);
}

/* ---- the table ------------------------------------------------------------------------------ */

/* Win32 errors of Windows's service control, as HRESULT. */
#define RUNNING_ALREADY "80070420"
#define NOT_STARTED "80070426"

/* Verbs that the server obeys unless the item is in that state already. */
#define ORDER(verb, past, no_state, code)                                                     \
    {                                                                                         \
        .name = verb, .done = past, .state = no_state, .hresult = code, .needs_target = true, \
        .act = order_state                                                                    \
    }
#define START ORDER("start", "started", "Started", RUNNING_ALREADY)
#define STOP ORDER("stop", "stopped", "Stopped", NOT_STARTED)
#define RECYCLE ORDER("recycle", "recycled", "Stopped", NOT_STARTED)

static const struct appcmd_object sites = {
    .name = "site",
    .asked = "site",
    .key = "id",
    .tag = "SITE",
    .form = "id:{SITE.ID},bindings:{bindings},state:{state}",
    .fields = {{"SITE.NAME", "name"}, {"SITE.ID", "id"}, {"bindings", NULL}, {"state", NULL}},
    .verbs = {{.name = "list"}, START, STOP},
    .list = list_sites,
};

static const struct appcmd_object pools = {
    .name = "apppool",
    .asked = "pool",
    .key = "name",
    .tag = "APPPOOL",
    .form = "MgdVersion:{RuntimeVersion},MgdMode:{PipelineMode},state:{state}",
    .fields = {{"APPPOOL.NAME", "name"},
               {"PipelineMode", NULL},
               {"RuntimeVersion", NULL},
               {"state", NULL}},
    .verbs = {{.name = "list"}, START, STOP, RECYCLE},
    .list = list_pools,
};

static const struct appcmd_object workers = {
    .name = "wp",
    .tag = "WP",
    .form = "applicationPool:{APPPOOL.NAME}",
    .fields = {{"WP.NAME", "processId"}, {"APPPOOL.NAME", "applicationPool"}},
    .verbs = {{.name = "list"}},
    .list = list_workers,
};

static const struct appcmd_object cache = {
    .name = "cache",
    .tag = "CACHE",
    .form = "site:{SITE.ID},status:{status},bytes:{bytes},coding:{coding},idle:{idle}",
    .fields = {{"CACHE.URL", "url"},
               {"SITE.ID", "site"},
               {"status", NULL},
               {"bytes", NULL},
               {"coding", NULL},
               {"idle", NULL}},
    .verbs = {{.name = "list"}, {.name = "clear", .done = "cleared", .act = clear_cache}},
    .list = list_cache,
};

const struct appcmd_object *const appcmd_objects[] = {&sites, &pools, &workers, &cache};

size_t appcmd_n_objects(void)
{
    return ARRAY_LEN(appcmd_objects);
}
