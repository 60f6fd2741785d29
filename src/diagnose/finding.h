/* What the report says goes wrong (or is normal). Detectors add findings; reports print them. */
#ifndef CANDOR_DIAGNOSE_FINDING_H
#define CANDOR_DIAGNOSE_FINDING_H

#include "base/arena.h"
#include "diagnose/model.h"

enum severity {
    SEVERITY_CRITICAL,
    SEVERITY_ERROR,
    SEVERITY_WARNING,
    SEVERITY_INFO,
    SEVERITY_NORMAL
};

/* "critical" and so on. */
const char *severity_name(enum severity s);

enum { FINDING_LIST_MAX = 12, FINDING_EVIDENCE_MAX = 8 };

/* Strings belong to the findings' arena or are constant. Everything may stay empty but id, title
 * and why. Text may hold what clients sent: every sink escapes. */
struct finding {
    const char *id; /* "queue-full": stable, one per detector or one per kind it finds */
    enum severity severity;
    struct str title;
    uint64_t count;
    int64_t first_s, last_s; /* RECORD_NO_TIME if unknown; finding_add does not fill them */
    double share;            /* of all requests (or HTTPERR records); 0: says nothing */
    struct str why;
    struct str steps[FINDING_LIST_MAX]; /* what to do, in order */
    size_t step_n;
    const struct model_sample *evidence[FINDING_EVIDENCE_MAX]; /* of the model */
    size_t evidence_n;
    struct str related[FINDING_LIST_MAX]; /* terms for candor explain, ids of other findings */
    size_t related_n;
    struct model_counts sites, pools, urls, clients, users; /* views of the model's lists */
    struct str command; /* that answers the question left open; empty if none */
};

struct findings {
    struct arena arena;
    struct finding **at;
    size_t n, cap;
};

void findings_init(struct findings *fs);
void findings_fini(struct findings *fs);
/* A new finding, ordered by severity and count only at findings_sort. Never NULL. */
struct finding *findings_add(struct findings *fs, const char *id, enum severity severity);
/* Text in the findings' arena. */
struct str findings_text(struct findings *fs, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Most important first; of the same severity, the larger count; stable. */
void findings_sort(struct findings *fs);

/* These leave out what is past the lists' size. */
void finding_step(struct finding *f, struct str text);
void finding_relate(struct finding *f, struct str term);
void finding_samples(struct finding *f, const struct model_samples *samples);
/* Takes count, first, last, clients, users, sites, URLs and samples of a row. Called for several
 * rows, counts add up and lists stay those of the first. */
void finding_from_status(struct finding *f, const struct model_status *row);
void finding_from_reason(struct finding *f, const struct model_reason *row);

#endif
