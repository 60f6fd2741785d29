/* What several detectors do with the model. */
#ifndef CANDOR_DIAGNOSE_DETECTORS_TOOLS_H
#define CANDOR_DIAGNOSE_DETECTORS_TOOLS_H

#include "diagnose/detector.h"

/* A status and sub-status that has a meaning of its own, and what to say when it comes. */
struct code_case {
    uint16_t status;
    int16_t substatus; /* -1: whatever it is */
    enum severity severity;
    const char *title; /* without the code, which is added in parentheses */
    const char *why;   /* NULL: what the catalogue says */
};

/* The same for a reason of HTTPERR. */
struct reason_case {
    const char *reason;
    enum severity severity;
    const char *title;
    const char *why;
};

/* A finding "PREFIX-404.8" of all rows of the code, filled from rows and catalogue: count, times,
 * lists, evidence, share of all requests, title, why, steps, settings, related terms, and the
 * command that lists the requests. NULL if the code never came. */
struct finding *detect_code(const struct model *m, struct findings *fs, const char *prefix,
                            const struct code_case *c);
/* The same for one row, which has one win32 code: "PREFIX-12002". */
struct finding *detect_row(const struct model *m, struct findings *fs, const char *prefix,
                           const struct model_status *row, const struct code_case *c);
/* What has a finding for each of its codes gives this many; the rest goes into one, "PREFIX-more",
 * which is made when *more is NULL. Codes come from the log, so they may be any number. */
enum { DETECT_ROWS_MAX = 12 };
void detect_more(const struct model *m, struct findings *fs, const char *prefix, const struct model_status *row,
                 struct finding **more);
/* The same for a reason, with the id as given. */
struct finding *detect_reason(const struct model *m, struct findings *fs, const char *id,
                              const struct reason_case *c);

/* Steps and settings from the catalogue; nothing for what it does not know. */
void advise_status(struct findings *fs, struct finding *f, uint32_t status, uint32_t substatus);
void advise_reason(struct findings *fs, struct finding *f, struct str reason);
void advise_win32(struct findings *fs, struct finding *f, uint64_t code);

/* A phrase of the catalogue as the beginning of a sentence. */
struct str sentence_case(struct findings *fs, const char *text);
/* Adds a sentence to the finding's why. */
void say(struct findings *fs, struct finding *f, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Says who is behind it when one client, or a few, make up nearly all. */
void say_clients(struct findings *fs, struct finding *f);
/* Says when it began, if the input has earlier requests without it. */
void say_onset(const struct model *m, struct findings *fs, struct finding *f);

/* Records of a key in [from_s, to_s], by the stretches that touch it. */
uint64_t slots_between(const struct model_slots *slots, int64_t from_s, int64_t to_s);
/* What the timeline has in [from_s, to_s]: sums of the buckets that touch it. */
struct model_bucket timeline_between(const struct model *m, int64_t from_s, int64_t to_s);
/* Mean time-taken of a sum of buckets; 0 without any. */
double bucket_mean_ms(const struct model_bucket *b);
/* The median of the means of the buckets that begin in [from_s, to_s]: what was usual then,
 * whatever a few bad minutes took. 0 without any. */
double usual_ms(const struct model *m, struct findings *fs, int64_t from_s, int64_t to_s);

/* "2025-03-14 08:00:01". */
struct str time_text(struct findings *fs, int64_t time_s);
/* "a, b, c and more", at most max names. */
struct str names_text(struct findings *fs, const struct model_counts *list, size_t max);
/* Text of a log as one word of a command line that somebody may copy into a shell: quoted if it
 * holds anything that a shell could take for more. */
struct str shell_word(struct findings *fs, struct str s);
/* "candor diagnose PATH... OPTIONS": reads the same again, with what was given as filters and these
 * options, which win. Ready to be copied into a shell. */
struct str again(const struct model *m, struct findings *fs, const char *options, ...)
    PRINTF_LIKE(3, 4);
/* The same for what --url needs to find a folded URL: the part before what was folded. */
struct str url_word(struct findings *fs, struct str folded);
/* The folder that all names of a list lie in, with the slash at its end; "/" if there is none. */
struct str common_folder(const struct model_counts *urls);

/* n / of, 0 for nothing. */
static inline double ratio(uint64_t n, uint64_t of)
{
    return of ? (double)n / (double)of : 0;
}

/* "s" unless n is 1. */
static inline const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

#endif
