#include "toolkit/appcmd.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "toolkit/appcmd_control.h"
#include "toolkit/command.h"
#include "base/poison.h"

enum { INPUT_MAX = 16 << 20, IDENTIFIERS_MAX = 65536 };

static const char help[] =
    "Objects and verbs:\n"
    "  list|start|stop site           sites; identifier: the name\n"
    "  list|start|stop|recycle apppool  application pools; identifier: the name\n"
    "  list wp                        worker processes; identifier: the process number\n"
    "  list|clear cache               what the response cache holds; identifier: the URL\n"
    "\n"
    "Parameters (\"-\" may stand for \"/\"):\n"
    "  /NAME:VALUE     only objects with this value: /site.name: /id: /state: /bindings:\n"
    "                  /apppool.name: /pipelinemode: /runtimeversion: /wp.name: /status:\n"
    "  /text:NAME      prints that value only, one a line; /text:* all values\n"
    "  /xml            prints XML\n"
    "  /in             takes the identifiers from XML on standard input\n"
    "  /url:URL        clear cache: http://HOST/PATH; without it everything goes\n"
    "  /subtree        clear cache: also what is below the URL\n"
    "  --control PATH  the server's control socket\n";

/* ---- the command line ----------------------------------------------------------------------- */

/* "sites" is as good as "site". */
static bool is_name(const char *name, struct str word)
{
    struct str s = str_z(name);

    return str_ieq(s, word) || (word.n == s.n + 1 && ascii_lower(word.p[s.n]) == 's' &&
                                str_ieq(s, str_sub(word, 0, s.n)));
}

static const struct appcmd_object *find_object(struct str word)
{
    for (size_t i = 0; i < appcmd_n_objects(); i++)
        if (is_name(appcmd_objects[i]->name, word))
            return appcmd_objects[i];
    return NULL;
}

static const struct appcmd_verb *find_verb(const struct appcmd_object *o, struct str word)
{
    for (size_t i = 0; i < APPCMD_VERBS_MAX && o->verbs[i].name; i++)
        if (str_ieq(str_z(o->verbs[i].name), word))
            return &o->verbs[i];
    return NULL;
}

static int add_filter(struct appcmd_run *run, size_t field, struct str value)
{
    if (run->n_filters == APPCMD_FILTERS_MAX)
        return command_wrong(&command_appcmd, "more than %d conditions", APPCMD_FILTERS_MAX);
    run->filters[run->n_filters++] = (struct appcmd_filter){field, value};
    return 0;
}

static int read_text(struct appcmd_run *run, struct str name)
{
    if (str_eq(name, STR("*"))) {
        run->form = APPCMD_TEXT_ALL;
        return 0;
    }
    run->form = APPCMD_TEXT;
    run->text_field = appcmd_field_find(run->object, name);
    if (run->text_field == SIZE_MAX)
        return command_wrong(&command_appcmd, "%s has no value %.*s", run->object->name,
                             STR_ARG(name));
    return 0;
}

/* One parameter, without the character it began with. */
static int read_parameter(struct appcmd_run *run, struct str text)
{
    size_t colon = str_find_char(text, ':');
    struct str name = str_sub(text, 0, colon);
    bool has_value = colon != SIZE_MAX, clears = run->verb->act && !run->verb->needs_target;
    struct str value = has_value ? str_sub(text, colon + 1, text.n) : STR_NULL;
    size_t field = appcmd_field_find(run->object, name);

    if (!has_value && str_ieq(name, STR("xml")))
        run->form = APPCMD_XML;
    else if (!has_value && str_ieq(name, STR("in")) && !clears)
        run->from_input = true;
    else if (has_value && str_ieq(name, STR("text")))
        return read_text(run, value);
    else if (has_value && str_ieq(name, STR("url")) && clears)
        run->url = value;
    else if (!has_value && str_ieq(name, STR("subtree")) && clears)
        run->subtree = true;
    else if (has_value && field != SIZE_MAX && !clears)
        return add_filter(run, field, value);
    else
        return command_wrong(&command_appcmd, "unknown parameter %.*s for %s %s", STR_ARG(text),
                             run->verb->name, run->object->name);
    return 0;
}

static int read_word(struct appcmd_run *run, struct str word)
{
    if (run->verb->act && !run->verb->needs_target)
        run->url = word;
    else
        return add_filter(run, 0, word);
    return 0;
}

/* 0, or EXIT_USAGE with the reason said. */
static int read_arguments(int argc, char **argv, struct appcmd_run *run)
{
    const char *control = NULL, *words[2] = {NULL};
    size_t n = 0;
    int rc = 0;

    for (int i = 1; i < argc && rc == 0; i++) {
        struct str arg = str_z(argv[i]);
        if (command_option(argc, argv, &i, "--control", &control)) {
            if (!control)
                return command_wrong(&command_appcmd, "--control needs a value");
            free(run->control);
            run->control = xstrdup(control);
        } else if (n < 2) {
            words[n++] = argv[i];
            if (n < 2)
                continue;
            run->object = find_object(str_z(words[1]));
            if (!run->object)
                return command_wrong(&command_appcmd, "unknown object %s", words[1]);
            run->verb = find_verb(run->object, str_z(words[0]));
            if (!run->verb)
                return command_wrong(&command_appcmd, "unknown verb %s for %s", words[0],
                                     run->object->name);
        } else if (arg.n > 1 && (arg.p[0] == '/' || arg.p[0] == '-')) {
            rc = read_parameter(run, str_sub(arg, 1, arg.n));
        } else {
            rc = read_word(run, arg);
        }
    }
    if (rc == 0 && n < 2)
        return command_wrong(&command_appcmd, "a verb and an object are missing");
    if (rc == 0 && run->verb->needs_target && run->n_filters == 0 && !run->from_input)
        return command_wrong(&command_appcmd, "%s %s needs an identifier", run->verb->name,
                             run->object->name);
    return rc;
}

/* ---- /in ------------------------------------------------------------------------------------ */

static xmlDoc *read_input(void)
{
    struct buf b;
    ssize_t n = 1;

    buf_init(&b, INPUT_MAX);
    while (n > 0) {
        char *room = buf_reserve(&b, 65536);
        n = room ? read(STDIN_FILENO, room, 65536) : -1;
        if (n > 0)
            b.n += (size_t)n;
    }
    xmlDoc *doc = n < 0 || b.n == 0
                      ? NULL
                      : xmlReadMemory(b.p, (int)b.n, NULL, NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);

    buf_fini(&b);
    return doc;
}

/* The values of the object's identifier in what another call has printed with /xml; the caller
 * frees them and the list. NULL: it is no XML. */
static char **read_identifiers(const struct appcmd_object *o, size_t *ret_n)
{
    xmlDoc *doc = read_input();
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    char **list = root ? xcalloc(1, sizeof(*list)) : NULL;
    size_t n = 0, cap = root ? 1 : 0;

    for (xmlNode *e = root ? root->children : NULL; e && n < IDENTIFIERS_MAX; e = e->next) {
        xmlChar *value = e->type == XML_ELEMENT_NODE
                             ? xmlGetNoNsProp(e, (const xmlChar *)o->fields[0].name)
                             : NULL;
        if (!value)
            continue;
        list = xgrow(list, n, &cap, sizeof(*list));
        list[n++] = xstrdup((const char *)value);
        xmlFree(value);
    }
    if (doc)
        xmlFreeDoc(doc);
    *ret_n = n;
    return list;
}

/* ---- doing it ------------------------------------------------------------------------------- */

static int fail(const char *hresult, const char *text)
{
    if (hresult)
        fprintf(stderr, "ERROR ( hresult:%s, message:%s )\n", hresult, text);
    else
        fprintf(stderr, "ERROR ( message:%s )\n", text);
    return 1;
}

static bool matches(const struct appcmd_run *run, const struct appcmd_item *item)
{
    for (size_t i = 0; i < run->n_filters; i++)
        if (!str_ieq(str_z(item->value[run->filters[i].field]), run->filters[i].value))
            return false;
    return true;
}

static bool is_one_of(const struct appcmd_item *item, char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_ieq(str_z(item->value[0]), str_z(list[i])))
            return true;
    return false;
}

/* A pool whose workers still finish what they have is stopped as far as orders are concerned. */
static bool is_in_state(const char *state, const char *asked)
{
    return strcmp(state, asked) == 0 ||
           (strcmp(asked, "Stopped") == 0 && strcmp(state, "Stopping") == 0);
}

static int act_on(struct appcmd_run *run, const struct appcmd_item *item)
{
    const struct appcmd_verb *v = run->verb;
    size_t state = v->state ? appcmd_field_find(run->object, STR("state")) : SIZE_MAX;
    _cleanup_free_ char *why = NULL;

    if (state != SIZE_MAX && is_in_state(item->value[state], v->state)) {
        why = xasprintf("%s \"%s\" is %s", run->object->tag, item->value[0], item->value[state]);
        return fail(v->hresult, why);
    }
    if (!v->act(run, item, &why))
        return fail(NULL, why);
    printf("\"%s\" successfully %s\n", item->value[0], v->done);
    return 0;
}

static int do_items(struct appcmd_run *run, const struct appcmd_items *items, char *const *input,
                    size_t n_input)
{
    size_t found = 0;
    int rc = 0;

    if (!run->verb->act)
        appcmd_print_begin(run);
    for (size_t i = 0; i < items->n; i++) {
        const struct appcmd_item *item = &items->list[i];
        if (!matches(run, item) || (run->from_input && !is_one_of(item, input, n_input)))
            continue;
        found++;
        if (!run->verb->act)
            appcmd_print(run, item);
        else if (act_on(run, item) != 0)
            rc = 1;
    }
    if (!run->verb->act)
        appcmd_print_end(run);
    if (found || (run->n_filters == 0 && !run->from_input))
        return rc;
    if (!run->verb->act)
        return 1;
    _cleanup_free_ char *text =
        run->n_filters ? xasprintf("there is no %s with %s \"%.*s\"", run->object->tag,
                                   run->object->fields[run->filters[0].field].name,
                                   STR_ARG(run->filters[0].value))
                       : xasprintf("there is no %s that the input names", run->object->tag);

    return fail(NULL, text);
}

static int run_on_items(struct appcmd_run *run)
{
    struct appcmd_items items = {0};
    char **input = NULL;
    size_t n_input = 0;
    _cleanup_free_ char *why = NULL;
    int rc;

    if (run->from_input && !(input = read_identifiers(run->object, &n_input)))
        return fail(NULL, "standard input is not XML");
    if (run->object->list(run, &items, &why))
        rc = do_items(run, &items, input, n_input);
    else
        rc = fail(NULL, why);
    appcmd_items_free(&items);
    for (size_t i = 0; i < n_input; i++)
        free(input[i]);
    free(input);
    return rc;
}

/* What is not done to one item after the other. */
static int run_once(struct appcmd_run *run)
{
    _cleanup_free_ char *why = NULL;

    if (!run->verb->act(run, NULL, &why))
        return fail(NULL, why);
    printf("\"%.*s\" successfully %s\n", STR_ARG(run->url.n ? run->url : STR("*")),
           run->verb->done);
    return 0;
}

static int run_command(int argc, char **argv)
{
    struct appcmd_run run = {0};
    int rc;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 ||
            strcmp(argv[i], "/?") == 0 || strcmp(argv[i], "-?") == 0)
            return command_help(&command_appcmd);
    rc = read_arguments(argc, argv, &run);
    if (rc == 0 && !run.control)
        run.control = appcmd_control_path();
    if (rc == 0)
        rc = run.verb->act && !run.verb->needs_target ? run_once(&run) : run_on_items(&run);
    if (fflush(stdout) != 0 && rc == 0) {
        fprintf(stderr, "candor: standard output: %s\n", strerror(errno));
        rc = 1;
    }
    json_decref(run.answer);
    free(run.control);
    return rc;
}

const struct command command_appcmd = {
    .name = "appcmd",
    .usage = "VERB OBJECT [IDENTIFIER] [/PARAMETER...]",
    .summary = "Shows and controls a running server, as appcmd.exe does.",
    .help = help,
    .run = run_command,
};
