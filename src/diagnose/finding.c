#include "diagnose/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/poison.h"

enum { TEXT_MAX = 4096 };

const char *severity_name(enum severity s)
{
    static const char *const names[] = {"critical", "error", "warning", "info", "normal"};

    INVARIANT((size_t)s < ARRAY_LEN(names));
    return names[s];
}

void findings_init(struct findings *fs)
{
    *fs = (struct findings){0};
    arena_init(&fs->arena, 0);
}

void findings_fini(struct findings *fs)
{
    free(fs->at);
    arena_fini(&fs->arena);
    *fs = (struct findings){0};
}

struct finding *findings_add(struct findings *fs, const char *id, enum severity severity)
{
    struct finding *f = ARENA_NEW(&fs->arena, struct finding);

    f->id = id;
    f->severity = severity;
    f->first_s = f->last_s = RECORD_NO_TIME;
    fs->at = xgrow(fs->at, fs->n, &fs->cap, sizeof(struct finding *));
    fs->at[fs->n++] = f;
    return f;
}

struct str findings_text(struct findings *fs, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return STR("");
    return arena_dup(&fs->arena, str_n(text, (size_t)n < sizeof(text) ? (size_t)n : TEXT_MAX - 1));
}

/* Insertion: there are a few dozen, and equal ones keep the order of the detectors. */
void findings_sort(struct findings *fs)
{
    for (size_t i = 1; i < fs->n; i++) {
        struct finding *f = fs->at[i];
        size_t k = i;

        for (; k > 0; k--) {
            const struct finding *before = fs->at[k - 1];
            if (before->severity < f->severity ||
                (before->severity == f->severity && before->count >= f->count))
                break;
            fs->at[k] = fs->at[k - 1];
        }
        fs->at[k] = f;
    }
}

void finding_step(struct finding *f, struct str text)
{
    if (f->step_n < ARRAY_LEN(f->steps))
        f->steps[f->step_n++] = text;
}

void finding_relate(struct finding *f, struct str term)
{
    for (size_t i = 0; i < f->related_n; i++)
        if (str_eq(f->related[i], term))
            return;
    if (f->related_n < ARRAY_LEN(f->related))
        f->related[f->related_n++] = term;
}

void finding_samples(struct finding *f, const struct model_samples *samples)
{
    for (size_t i = 0; i < samples->n && f->evidence_n < ARRAY_LEN(f->evidence); i++)
        f->evidence[f->evidence_n++] = &samples->at[i];
}

static void take_times(struct finding *f, int64_t first_s, int64_t last_s)
{
    if (first_s != RECORD_NO_TIME && (f->first_s == RECORD_NO_TIME || first_s < f->first_s))
        f->first_s = first_s;
    if (last_s != RECORD_NO_TIME && (f->last_s == RECORD_NO_TIME || last_s > f->last_s))
        f->last_s = last_s;
}

static void take_list(struct model_counts *to, const struct model_counts *from)
{
    if (to->n == 0)
        *to = *from;
}

void finding_from_status(struct finding *f, const struct model_status *row)
{
    f->count += row->count;
    take_times(f, row->first_s, row->last_s);
    take_list(&f->urls, &row->urls);
    take_list(&f->clients, &row->client_top);
    take_list(&f->users, &row->users);
    take_list(&f->sites, &row->sites);
    finding_samples(f, &row->samples);
}

void finding_from_reason(struct finding *f, const struct model_reason *row)
{
    f->count += row->count;
    take_times(f, row->first_s, row->last_s);
    take_list(&f->pools, &row->queues);
    take_list(&f->clients, &row->client_top);
    take_list(&f->urls, &row->urls);
    take_list(&f->sites, &row->sites);
    finding_samples(f, &row->samples);
}
