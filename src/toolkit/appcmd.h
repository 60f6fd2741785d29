/* candor appcmd: the verbs and output forms of appcmd.exe, over the control socket. appcmd.c reads
 * the command line, appcmd_objects.c knows the objects, appcmd_output.c prints them. */
#ifndef CANDOR_TOOLKIT_APPCMD_H
#define CANDOR_TOOLKIT_APPCMD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

extern const struct command command_appcmd;

enum { APPCMD_FIELDS_MAX = 8, APPCMD_VERBS_MAX = 8, APPCMD_FILTERS_MAX = 16 };

/* One thing that is listed: a value per field of its object, each malloc. */
struct appcmd_item {
    char *value[APPCMD_FIELDS_MAX];
    json_t *source; /* what the server says of it; borrowed from the answer */
};

struct appcmd_items {
    struct appcmd_item *list;
    size_t n, cap;
};

struct appcmd_field {
    const char *name;  /* as attribute of /xml, and where all values are printed */
    const char *alias; /* another name for it in filters and /text; NULL: none */
};

struct appcmd_run;

struct appcmd_verb {
    const char *name; /* NULL ends the list */
    /* What is printed for each item that it was done to: "NAME" successfully DONE. NULL: it lists.
     */
    const char *done;
    /* The state in which it has nothing to do; NULL: it always has. With the error of that. */
    const char *state, *hresult;
    bool needs_target; /* an identifier or a filter */
    /* Does it to one item. False: *ret_why says why, for the caller to free. */
    bool (*act)(struct appcmd_run *run, const struct appcmd_item *item, char **ret_why);
};

struct appcmd_object {
    const char *name; /* on the command line; an "s" behind it is allowed */
    /* How the control socket knows it and which of them it is, for verbs that go there. */
    const char *asked, *key;
    const char *tag;  /* "APPPOOL" */
    const char *form; /* what stands in brackets, with {FIELD} for values */
    const struct appcmd_field fields[APPCMD_FIELDS_MAX]; /* the first is the identifier */
    const struct appcmd_verb verbs[APPCMD_VERBS_MAX];
    /* Fills the list. False: *ret_why says why, for the caller to free. */
    bool (*list)(struct appcmd_run *run, struct appcmd_items *ret, char **ret_why);
};

enum appcmd_form { APPCMD_LINES, APPCMD_TEXT, APPCMD_TEXT_ALL, APPCMD_XML };

/* One call of the command. */
struct appcmd_run {
    const struct appcmd_object *object;
    const struct appcmd_verb *verb;
    char *control;
    enum appcmd_form form;
    size_t text_field; /* of APPCMD_TEXT */
    bool from_input;   /* /in: identifiers come from standard input */
    struct appcmd_filter {
        size_t field;
        struct str value;
    } filters[APPCMD_FILTERS_MAX];
    size_t n_filters;
    struct str url; /* clear cache */
    bool subtree;
    json_t *answer; /* what list() has read; items point into it */
};

/* appcmd_objects.c */
extern const struct appcmd_object *const appcmd_objects[];
size_t appcmd_n_objects(void);
/* SIZE_MAX: the object has no such field. */
size_t appcmd_field_find(const struct appcmd_object *o, struct str name);
void appcmd_items_free(struct appcmd_items *items);

/* appcmd_output.c: begin, each item, end; to standard output. */
void appcmd_print_begin(const struct appcmd_run *run);
void appcmd_print(const struct appcmd_run *run, const struct appcmd_item *item);
void appcmd_print_end(const struct appcmd_run *run);

#endif
