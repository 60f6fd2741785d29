/* Which records count: --since, --until, --site, --status, --url, --client. */
#ifndef CANDOR_DIAGNOSE_FILTER_H
#define CANDOR_DIAGNOSE_FILTER_H

#include "diagnose/record.h"

/* Views belong to the caller (the command line). All zero but for the times: everything counts. */
struct filter {
    int64_t since_s, until_s;     /* both inclusive; RECORD_NO_TIME: no bound */
    struct str site, url, client; /* letter case aside; url: a part of it */
    bool has_status;
    uint32_t status_from, status_to; /* inclusive */
    int32_t substatus;               /* -1: any */
    bool is_active;                  /* set by filter_finish */
    bool lists;                      /* matching requests are listed too */
};

void filter_init(struct filter *f);
/* "404.8", "404", "4xx". False if it is none of them. */
MUST_CHECK bool filter_status(struct filter *f, struct str text);
/* "2026-03-14", "2026-03-14 08:00:01", with T, with offset. */
MUST_CHECK bool filter_time(struct str text, bool is_end, int64_t *ret_s);
void filter_finish(struct filter *f);
bool filter_matches(const struct filter *f, const struct record *r);

#endif
