#include "tables/log_field_text.h"

#include "tables/text_data.h"

#include "base/poison.h"

const struct log_field_text *log_field_text_find(struct str name)
{
    for (size_t i = 0; i < log_field_texts_count; i++) {
        if (str_ieq(str_z(log_field_texts[i].name), name))
            return &log_field_texts[i];
    }
    return NULL;
}

size_t log_field_text_count(void)
{
    return log_field_texts_count;
}

const struct log_field_text *log_field_text_at(size_t i)
{
    return i < log_field_texts_count ? &log_field_texts[i] : NULL;
}
