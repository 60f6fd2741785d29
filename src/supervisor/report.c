/* What the supervisor says: standard error for who started it, events for who looks later. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/ipc.h"
#include "supervisor/configuration.h"
#include "supervisor/internal.h"
#include "base/poison.h"

enum { FACTS_MAX = 9, TEXT_MAX = 8192 };

void sup_say(const char *fmt, ...)
{
    struct buf line;
    va_list ap;
    char text[4096];

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_init(&line, TEXT_MAX);
    buf_printf(&line, "candor: %s\n", text);
    (void)!fwrite(line.p, 1, line.n, stderr); /* unbuffered: one write, so that lines stay whole */
    buf_fini(&line);
}

struct sup_number sup_number(uint64_t n)
{
    struct sup_number r;

    r.z[fmt_u64(r.z, n)] = '\0';
    return r;
}

static void write_row(struct supervisor *s, const struct event_row *row, const char *text,
                      json_t *data)
{
    event_log_write(s->events, row->source, row->id, (enum event_level)row->severity, text, data);
}

static void write_facts(struct supervisor *s, const struct event_row *row, const struct str *facts,
                        size_t n, json_t *data)
{
    struct buf text;

    buf_init(&text, TEXT_MAX);
    event_format(row, facts, n, &text);
    buf_char(&text, '\0');
    write_row(s, row, text.overflow ? row->text : text.p, data);
    buf_fini(&text);
}

void sup_event(struct supervisor *s, enum event_id id, json_t *data, const char *const *facts)
{
    struct str views[FACTS_MAX];
    size_t n = 0;

    for (; n < FACTS_MAX && facts[n]; n++)
        views[n] = str_z(facts[n]);
    write_facts(s, event_row(id), views, n, data);
    json_decref(data);
}

/* The listener names what its logs meet by words; the facts stand in data. */
static bool log_event_of_listener(struct supervisor *s, const char *code, const json_t *msg)
{
    static const struct {
        const char *code;
        enum event_id id;
        enum { PATH_AND_ERROR, PATH_AND_COUNT, ONLY_TEXT } facts;
    } rows[] = {{"log_open_failed", EV_CND_LOG_OPEN_FAILED, PATH_AND_ERROR},
                {"log_write_failed", EV_CND_LOG_WRITE_FAILED, PATH_AND_ERROR},
                {"log_lines_lost", EV_CND_LOG_LINES_LOST, PATH_AND_COUNT},
                {"log_recovered", EV_CND_LOG_RECOVERED, PATH_AND_COUNT},
                {"log_bad_setting", EV_CND_CONFIG_SETTING, ONLY_TEXT},
                {"log_not_supported", EV_CND_CONFIG_DIFFERENT, ONLY_TEXT}};
    json_t *data = json_object_get(msg, "data");
    json_int_t err = ipc_get_int(data, "errno", 0), count = ipc_get_int(data, "count", 0);
    const char *path = ipc_get_str(data, "path", ""), *text = ipc_get_str(msg, "text", "");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(code, rows[i].code) != 0)
            continue;
        if (rows[i].facts == PATH_AND_ERROR)
            SUP_EVENT(s, rows[i].id, json_incref(data), path,
                      err > 0 && err < 4096 ? strerror((int)err) : text);
        else if (rows[i].facts == PATH_AND_COUNT)
            SUP_EVENT(s, rows[i].id, json_incref(data), path,
                      sup_number(count < 0 ? 0 : (uint64_t)count).z);
        else
            SUP_EVENT(s, rows[i].id, json_incref(data), text);
        if (rows[i].id == EV_CND_LOG_OPEN_FAILED && !s->stopping)
            configuration_restore_log_folders(s); /* it tries again by itself */
        return true;
    }
    return false;
}

/* A child that gives no text of its own gives the facts for the row's. */
static void write_row_of_child(struct supervisor *s, const struct event_row *row, const json_t *msg)
{
    const char *text = ipc_get_str(msg, "text", "");
    json_t *data = json_object_get(msg, "data");
    struct str facts[FACTS_MAX];
    size_t i;
    const json_t *one;

    if (text[0]) {
        write_row(s, row, text, data);
        return;
    }
    json_array_foreach(json_object_get(msg, "facts"), i, one)
    {
        if (i == FACTS_MAX)
            break;
        facts[i] = str_z(json_is_string(one) ? json_string_value(one) : "?");
    }
    write_facts(s, row, facts, i, data);
}

void sup_child_event(struct supervisor *s, const char *source, const json_t *msg)
{
    const char *code = ipc_get_str(msg, "code", ""), *text = ipc_get_str(msg, "text", "");
    json_int_t number = ipc_get_int(msg, "code", 0);
    uint32_t id = number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
    json_t *data = json_object_get(msg, "data");
    const struct event_row *row = id ? event_find(str_z(source), id) : event_find_code(str_z(code));

    if (row && strcmp(row->source, source) == 0) /* nobody speaks for another */
        write_row_of_child(s, row, msg);
    else
        event_log_write(s->events, source, id, EVENT_WARNING, text, data);
}

void sup_listener_event(struct supervisor *s, const json_t *msg)
{
    const char *code = ipc_get_str(msg, "code", "");
    const struct event_row *row = event_find_code(str_z(code));

    if (log_event_of_listener(s, code, msg))
        return;
    /* It speaks for what is Schannel's on Windows, too. */
    sup_child_event(s, row && strcmp(row->source, "Schannel") == 0 ? row->source : "Candor", msg);
}
