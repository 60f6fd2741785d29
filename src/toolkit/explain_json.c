#include "toolkit/explain.h"

#include "tables/win32.h"

#include "base/poison.h"

enum { SEE_ALSO_MAX = 32 };

static json_t *json_list(const char *const *items)
{
    json_t *list = json_array();

    for (size_t i = 0; items[i]; i++)
        json_array_append_new(list, json_string(items[i]));
    return list;
}

static json_t *json_number(int value)
{
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *json_text(const char *text)
{
    return text ? json_string(text) : json_null();
}

static void add_errors(json_t *j, const struct explain_entry *e)
{
    json_t *numbers = json_array();
    json_t *errors = json_array();

    for (size_t i = 0; i < e->error_count; i++) {
        uint32_t code = win32_from_hresult(e->errors[i]);
        const struct win32_row *row = win32_find(code);
        char hresult[sizeof("0x80070000")];

        snprintf(hresult, sizeof(hresult), "0x%08x",
                 code <= 0xFFFF ? HRESULT_FROM_WIN32(code) : code);
        json_array_append_new(numbers, json_integer(code));
        json_array_append_new(errors, json_pack("{s:I, s:s, s:s, s:s}", "win32", (json_int_t)code,
                                                "hresult", hresult, "name", row ? row->name : "",
                                                "text", row ? row->text : ""));
    }
    json_object_set_new(j, "win32", numbers);
    json_object_set_new(j, "errors", errors);
}

json_t *explain_to_json(struct explain_catalogue *c, const struct explain_entry *e)
{
    const struct explain_entry *refs[SEE_ALSO_MAX];
    size_t n = explain_see_also(c, e, refs, SEE_ALSO_MAX);
    json_t *j = json_object();
    json_t *parts = json_array();
    json_t *see_also = json_array();

    for (size_t i = 0; i < e->part_count; i++)
        json_array_append_new(
            parts, json_pack("{s:s, s:s}", "code", e->parts[i].term, "title", e->parts[i].title));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(see_also, json_string(refs[i]->term));
    json_object_set_new(j, "kind", json_string(explain_kind_name(e->kind)));
    json_object_set_new(j, "code", json_string(e->code));
    json_object_set_new(j, "term", json_string(e->term));
    json_object_set_new(j, "name", json_text(e->name));
    json_object_set_new(j, "status", json_number(e->status));
    json_object_set_new(j, "substatus", json_number(e->substatus));
    json_object_set_new(j, "title", json_string(e->title));
    json_object_set_new(j, "reason_phrase", json_text(e->phrase));
    json_object_set_new(j, "component", json_text(e->component));
    json_object_set_new(j, "when", json_text(e->when));
    json_object_set_new(j, "on_candor", json_list(e->on_candor));
    json_object_set_new(j, "on_windows", json_list(e->on_windows));
    json_object_set_new(j, "raised_by_candor", json_text(e->here));
    json_object_set_new(j, "logged_in", json_string(e->logged_in));
    json_object_set_new(j, "logged", json_text(e->logged));
    json_object_set_new(j, "meaning", json_string(e->meaning));
    json_object_set_new(j, "note", json_text(e->note));
    json_object_set_new(j, "versions", json_list(e->versions));
    json_object_set_new(j, "causes", json_list(e->causes));
    json_object_set_new(j, "remedies", json_list(e->remedies));
    json_object_set_new(j, "settings", json_list(e->settings));
    json_object_set_new(j, "reproduce", json_text(e->reproduce));
    json_object_set_new(j, "command", json_text(e->command));
    json_object_set_new(j, "sources", json_list(e->sources));
    json_object_set_new(j, "substatuses", parts);
    json_object_set_new(j, "see_also", see_also);
    add_errors(j, e);
    return j;
}
