/* What gen_text.py writes into text_rows.c, for ftp.c, log_field_text.c and win32.c alone. Each
 * array is sorted by its code, or by its name in lower case. */
#ifndef CANDOR_TABLES_TEXT_DATA_H
#define CANDOR_TABLES_TEXT_DATA_H

#include "tables/ftp.h"
#include "tables/log_field_text.h"
#include "tables/win32.h"

extern const struct ftp_row ftp_replies[];
extern const size_t ftp_replies_count;
extern const struct ftp_row ftp_substatuses[];
extern const size_t ftp_substatuses_count;
extern const struct win32_row win32_rows[];
extern const size_t win32_rows_count;
extern const struct log_field_text log_field_texts[];
extern const size_t log_field_texts_count;

#endif
