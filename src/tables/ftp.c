#include "tables/ftp.h"

#include "tables/text_data.h"

#include "base/poison.h"

static const struct ftp_row *find(const struct ftp_row *rows, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].code == code)
            return &rows[i];
    }
    return NULL;
}

const struct ftp_row *ftp_reply_find(uint32_t code)
{
    return find(ftp_replies, ftp_replies_count, code);
}

const struct ftp_row *ftp_substatus_find(uint32_t code)
{
    return find(ftp_substatuses, ftp_substatuses_count, code);
}

size_t ftp_reply_count(void)
{
    return ftp_replies_count;
}

const struct ftp_row *ftp_reply_at(size_t i)
{
    return i < ftp_replies_count ? &ftp_replies[i] : NULL;
}

size_t ftp_substatus_count(void)
{
    return ftp_substatuses_count;
}

const struct ftp_row *ftp_substatus_at(size_t i)
{
    return i < ftp_substatuses_count ? &ftp_substatuses[i] : NULL;
}
