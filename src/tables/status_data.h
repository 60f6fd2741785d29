/* What gen_status.py writes into status_rows.c, for status.c alone. */
#ifndef CANDOR_TABLES_STATUS_DATA_H
#define CANDOR_TABLES_STATUS_DATA_H

#include "tables/status.h"

struct status_reason_row {
    uint16_t status;
    struct str reason;
};

/* Sorted by status and sub-status, each pair once. */
extern const struct status_row *const status_data[];
extern const size_t status_data_count;
/* Sorted by status, each once. */
extern const struct status_reason_row status_reasons[];
extern const size_t status_reason_count;

#endif
