/* candor explain: every code, reason and name of the tables as one kind of thing, the entry. The
 * command (explain.c) parses its terms (explain_lookup.c), searches (explain_search.c) and prints
 * (explain_text.c, explain_json.c). */
#ifndef CANDOR_TOOLKIT_EXPLAIN_H
#define CANDOR_TOOLKIT_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    EXPLAIN_WORDS_MAX = 64,   /* words of one command line */
    EXPLAIN_WORD_BYTES = 200, /* of one word */
    EXPLAIN_TERM_ENTRIES = 8, /* that one term may stand for */
    EXPLAIN_HITS_MAX = 30,    /* shown by a search */
    EXPLAIN_OUTPUT_MAX = 1 << 24,
};

/* The names are those of JSON's "kind". */
enum explain_kind {
    EXPLAIN_HTTP,
    EXPLAIN_HTTPERR,
    EXPLAIN_FTP,
    EXPLAIN_WIN32,
    EXPLAIN_HRESULT,
    EXPLAIN_PARAMETER,
    EXPLAIN_EVENT,
    EXPLAIN_FIELD,
    EXPLAIN_KIND_COUNT,
};

/* A code and its title, as a pointer to look further. */
struct explain_ref {
    const char *term; /* what to ask for: "404.8", "ftp 530" */
    const char *title;
};

/* Everything lives as long as the catalogue it belongs to. Strings are NULL where there is nothing
 * to say, lists end with NULL and are never NULL themselves. */
struct explain_entry {
    enum explain_kind kind;
    const char *term;      /* what to ask for it: "404.8", "win32 64", "ftp substatus 8" */
    const char *code;      /* "404.8", "QueueFull", "0x80070021"; never NULL */
    const char *name;      /* its second name: "ERROR_LOCK_VIOLATION"; NULL */
    const char *title;     /* never NULL */
    const char *phrase;    /* what the client sees beside the number: "Not Found" */
    int status;            /* -1: none */
    int substatus;         /* -1: none */
    const char *logged_in; /* "iis", "httperr" or "none" */
    const char *logged;    /* the same as a sentence or two */
    const char *meaning;   /* never NULL */
    const char *component; /* who raises it */
    const char *when;      /* under which condition, or where in the life of a request */
    const char *here;      /* the same for this server */
    const char *note;      /* where documents disagree, or a trap */
    const char *reproduce;
    const char *command; /* HOST stands for the server */
    const char *const *versions;
    const char *const *causes;   /* most likely first */
    const char *const *remedies; /* a line break may be followed by XML */
    const char *const *on_windows;
    const char *const *on_candor;
    const char *const *settings;
    const char *const *sources;
    const uint32_t *errors; /* HRESULTs or Win32 codes that come with it */
    size_t error_count;
    const struct explain_ref *parts; /* its sub-statuses; of an FTP pair nothing */
    size_t part_count;
};

/* All entries but those made on demand. */
struct explain_catalogue {
    struct arena arena;
    struct explain_entry *entries;
    size_t n;
};

/* Makes the entries of every table. Cheap: the texts stay where they are. */
void explain_catalogue_init(struct explain_catalogue *c);
void explain_catalogue_fini(struct explain_catalogue *c);

/* The entry of a code of this kind, or NULL. Sub-status 0 is the plain status. */
const struct explain_entry *explain_find_http(const struct explain_catalogue *c, uint32_t status,
                                              uint32_t substatus);
/* "404.0": the plain status without the list of its sub-statuses, made in the arena. */
const struct explain_entry *explain_make_http_zero(struct explain_catalogue *c, uint32_t status);
/* Of a Win32 code or an HRESULT; one that stands for a Win32 code is made in the arena. */
const struct explain_entry *explain_find_error(struct explain_catalogue *c, uint32_t code,
                                               bool as_hresult);
const struct explain_entry *explain_find_ftp(const struct explain_catalogue *c, uint32_t reply);
const struct explain_entry *explain_find_ftp_substatus(const struct explain_catalogue *c,
                                                       uint32_t substatus);
/* A reply together with a sub-status ("530.36"), made in the arena; NULL if one of them is none. */
const struct explain_entry *explain_make_ftp_pair(struct explain_catalogue *c, uint32_t reply,
                                                  uint32_t substatus);

const char *explain_kind_name(enum explain_kind kind);

/* What one or more words of the command line stand for. */
struct explain_term {
    struct str text; /* as given */
    const struct explain_entry *entries[EXPLAIN_TERM_ENTRIES];
    size_t n;         /* 0: it stands for nothing */
    const char *note; /* how an ambiguous term was taken; NULL */
};

/* Splits the words (views of the command line) into terms: ret_terms has room for n, which is at
 * least 1. A word that is no term gets one with no entries. Gives their number. */
size_t explain_parse(struct explain_catalogue *c, const struct str *words, size_t n,
                     struct explain_term *ret_terms);

/* A number in one of the forms in which codes are written: "404.99", "0x80070999", "-5". */
bool explain_is_number(struct str word);

/* What the number of an unknown error code tells about it, or NULL. */
const char *explain_decode(struct explain_catalogue *c, struct str word);

/* The entries that hold every word, best first, at most max of them; gives how many there are in
 * all. */
size_t explain_search(const struct explain_catalogue *c, const struct str *words, size_t n,
                      const struct explain_entry **ret_hits, size_t max);

/* Codes and names like the term, nearest first; gives how many, at most max. */
size_t explain_suggest(const struct explain_catalogue *c, struct str term,
                       const struct explain_entry **ret_near, size_t max);

/* What the texts of an entry mention, in the order in which they do; at most max. */
size_t explain_see_also(struct explain_catalogue *c, const struct explain_entry *e,
                        const struct explain_entry **ret_refs, size_t max);

/* How text goes out. */
struct explain_style {
    size_t width; /* columns */
    bool colour;
};

/* What stands above a list of hits or of kinds: text is wrapped to the width and printed as it
 * is, so it holds nothing from outside. */
void explain_print_entry(struct buf *out, const struct explain_style *style,
                         struct explain_catalogue *c, const struct explain_entry *e);
void explain_print_hits(struct buf *out, const struct explain_style *style,
                        const struct explain_entry *const *hits, size_t n, size_t total);
void explain_print_kinds(struct buf *out, const struct explain_style *style,
                         const struct explain_catalogue *c);
/* A paragraph, wrapped, from column indent on. */
void explain_print_paragraph(struct buf *out, const struct explain_style *style, size_t indent,
                             struct str text);

/* The entry as one object; keys as documented in docs/explain.md. The caller owns the reference. */
json_t *explain_to_json(struct explain_catalogue *c, const struct explain_entry *e);

#endif
