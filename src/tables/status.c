#include "tables/status.h"

#include "tables/status_data.h"

#include "base/poison.h"

static int compare(const struct status_row *row, uint16_t status, uint16_t substatus)
{
    if (row->status != status)
        return row->status < status ? -1 : 1;
    if (row->substatus != substatus)
        return row->substatus < substatus ? -1 : 1;
    return 0;
}

const struct status_row *status_find(uint16_t status, uint16_t substatus)
{
    size_t low = 0;
    size_t high = status_data_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare(status_data[mid], status, substatus);

        if (order == 0)
            return status_data[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct status_row *status_find_nearest(uint16_t status, uint16_t substatus)
{
    const struct status_row *row = status_find(status, substatus);

    return row || substatus == 0 ? row : status_find(status, 0);
}

size_t status_count(void)
{
    return status_data_count;
}

const struct status_row *status_at(size_t i)
{
    return i < status_data_count ? status_data[i] : NULL;
}

struct str status_reason(uint16_t status)
{
    size_t low = 0;
    size_t high = status_reason_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct status_reason_row *row = &status_reasons[mid];

        if (row->status == status)
            return row->reason;
        if (row->status < status)
            low = mid + 1;
        else
            high = mid;
    }
    return STR("");
}
