#include "tables/win32.h"

#include "tables/text_data.h"

#include "base/poison.h"

size_t win32_count(void)
{
    return win32_rows_count;
}

const struct win32_row *win32_at(size_t i)
{
    return i < win32_rows_count ? &win32_rows[i] : NULL;
}

const struct win32_row *win32_find(uint32_t code)
{
    uint32_t wanted = win32_from_hresult(code);
    size_t low = 0;
    size_t high = win32_rows_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (win32_rows[mid].code == wanted)
            return &win32_rows[mid];
        if (win32_rows[mid].code < wanted)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const char *win32_text(uint32_t code)
{
    const struct win32_row *row = win32_find(code);

    return row ? row->text : "";
}
