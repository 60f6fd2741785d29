#include "diagnose/model.h"

#include "base/poison.h"

const char *log_kind_name(enum log_kind kind)
{
    static const char *const names[LOG_KIND_MAX] = {"unknown", "w3c", "iis", "ncsa", "httperr",
                                                    "freb",    "har", "ftp", "ancm", "w3c"};

    return (unsigned)kind < LOG_KIND_MAX ? names[kind] : "unknown";
}

const struct model_status *model_next_status(const struct model *m, uint32_t status,
                                             int32_t substatus, size_t *i)
{
    while (*i < m->status_n) {
        const struct model_status *row = &m->statuses[(*i)++];

        if (!row->is_ftp && row->status == status &&
            (substatus < 0 || row->substatus == (uint32_t)substatus))
            return row;
    }
    return NULL;
}

uint64_t model_status_count(const struct model *m, uint32_t status, int32_t substatus)
{
    const struct model_status *row;
    uint64_t sum = 0;

    for (size_t i = 0; (row = model_next_status(m, status, substatus, &i)) != NULL;)
        sum += row->count;
    return sum;
}

const struct model_reason *model_find_reason(const struct model *m, struct str reason)
{
    for (size_t i = 0; i < m->reason_n; i++)
        if (str_ieq(m->reasons[i].reason, reason))
            return &m->reasons[i];
    return NULL;
}

const struct model_bucket *model_bucket_at(const struct model *m, int64_t time_s)
{
    size_t low = 0, high = m->bucket_n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->timeline[mid].start_s <= time_s)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0 || time_s - m->timeline[low - 1].start_s >= (int64_t)m->bucket_seconds)
        return NULL;
    return &m->timeline[low - 1];
}
