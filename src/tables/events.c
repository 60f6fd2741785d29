#include "tables/events.h"

#include "base/poison.h"

#define SOURCE_CND "Candor"
#define SOURCE_HTTP "Microsoft-Windows-HttpEvent"
#define SOURCE_SCHANNEL "Schannel"
#define SOURCE_W3SVC "Microsoft-Windows-IIS-W3SVC"
#define SOURCE_W3SVC_WP "Microsoft-Windows-IIS-W3SVC-WP"
#define SOURCE_WAS "Microsoft-Windows-WAS"

#define CODE_CND "CND-"
#define CODE_HTTP "HTTP-"
#define CODE_SCHANNEL "SCHANNEL-"
#define CODE_W3SVC "W3SVC-"
#define CODE_W3SVC_WP "W3SVC-WP-"
#define CODE_WAS "WAS-"

static const struct event_row rows[EV_COUNT] = {
#define EVENT(event_name, event_source, event_number, event_level, event_text, event_remedy) \
    [EV_##event_name] = {                                                                    \
        .source = SOURCE_##event_source,                                                     \
        .code = CODE_##event_source #event_number,                                           \
        .id = event_number,                                                                  \
        .severity = EVENT_SEVERITY_##event_level,                                            \
        .text = event_text,                                                                  \
        .remedy = event_remedy,                                                              \
    },
#include "tables/event_rows.h"
#undef EVENT
};

const struct event_row *event_row(enum event_id id)
{
    INVARIANT(id < EV_COUNT);
    return &rows[id];
}

const struct event_row *event_find_code(struct str code)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_ieq(str_z(rows[i].code), code))
            return &rows[i];
    }
    return NULL;
}

const struct event_row *event_find(struct str source, uint32_t id)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].id == id && str_ieq(str_z(rows[i].source), source))
            return &rows[i];
    }
    return NULL;
}

void event_format(const struct event_row *row, const struct str *args, size_t arg_count,
                  struct buf *out)
{
    for (const char *p = row->text; *p; p++) {
        if (p[0] != '%' || p[1] < '1' || p[1] > '9') {
            buf_char(out, *p);
            continue;
        }
        size_t i = (size_t)(p[1] - '1');

        buf_str(out, i < arg_count ? args[i] : STR("?"));
        p++;
    }
}
