#include "trace/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"

/* json_stringn refuses what is not UTF-8; then bytes outside ASCII are replaced. */
static json_t *text(struct str s)
{
    json_t *j = json_stringn(s.p ? s.p : "", s.n);

    if (j)
        return j;
    char *z = str_dup_z(s);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)z[i] >= 0x80)
            z[i] = '?';
    j = json_stringn(z, s.n);
    free(z);
    return j;
}

static json_t *text_or_null(struct str s)
{
    return s.n ? text(s) : json_null();
}

static json_t *number_or_null(struct str s)
{
    uint64_t v;

    return str_u64(s, INT64_MAX, &v) ? json_integer((json_int_t)v) : json_null();
}

static json_t *time_or_null(int64_t us)
{
    char when[FREB_TIME_LEN];

    if (us == FREB_NO_TIME)
        return json_null();
    freb_time_format(us, when);
    return json_string(when);
}

static json_t *ms(int64_t us)
{
    return us % 1000 == 0 ? json_integer(us / 1000) : json_real((double)us / 1000.0);
}

static json_t *failed_by(const struct freb_trace *t)
{
    const struct freb_failure *f = &t->failure;
    char code[16];

    if (f->event == FREB_NONE)
        return json_null();
    json_t *j = json_object();
    json_object_set_new(j, "module", text_or_null(f->module));
    json_object_set_new(j, "notification", text_or_null(f->notification));
    snprintf(code, sizeof(code), "0x%08" PRIx32, f->hresult);
    json_object_set_new(j, "hresult", f->has_hresult ? json_string(code) : json_null());
    json_object_set_new(j, "text", text(f->text.n ? f->text : f->phrase));
    json_object_set_new(j, "is_post", json_boolean(f->is_post));
    json_object_set_new(j, "event", json_integer((json_int_t)f->event));
    json_object_set_new(j, "description", text_or_null(f->description));
    json_object_set_new(j, "page_title", text_or_null(f->page_title));
    json_object_set_new(j, "config", text_or_null(f->config_info));
    return j;
}

static json_t *event_json(const struct freb_event *e)
{
    json_t *j = json_object(), *data = json_object(), *words = NULL;

    json_object_set_new(j, "time", time_or_null(e->time_us));
    json_object_set_new(j, "name", text(e->name));
    json_object_set_new(j, "area", text(e->area));
    json_object_set_new(j, "level", json_integer(e->level));
    for (size_t i = 0; i < e->n_fields; i++) {
        const struct freb_field *f = &e->fields[i];
        json_object_setn_new(data, f->name.p ? f->name.p : "", f->name.n, text(f->value));
        if (f->text.n == 0)
            continue;
        if (!words)
            words = json_object();
        json_object_setn_new(words, f->name.p, f->name.n, text(f->text));
    }
    json_object_set_new(j, "data", data);
    if (words)
        json_object_set_new(j, "words", words);
    json_object_set_new(j, "provider", text(e->provider));
    json_object_set_new(j, "opcode", json_integer(e->opcode));
    json_object_set_new(j, "at_ms", ms(e->at_us));
    if (e->took_us >= 0)
        json_object_set_new(j, "took_ms", ms(e->took_us));
    json_object_set_new(j, "depth", json_integer(e->depth));
    return j;
}

/* Takes j; without the last `cut` bytes of its text. Events are dumped one by one: a large trace as
 * one object would take many times its size. */
static void dump(struct buf *out, json_t *j, size_t flags, size_t cut)
{
    char *z = json_dumps(j, flags | JSON_REAL_PRECISION(9));
    struct str s = str_z(z);

    if (z)
        buf_str(out, str_sub(s, 0, s.n - cut));
    else
        out->overflow = true;
    free(z);
    json_decref(j);
}

void trace_json(struct buf *out, const struct freb_trace *t, struct str file)
{
    const struct freb_request *q = &t->request;
    json_t *j = json_object();
    bool has_trigger = q->trigger_status.n && !str_eq(q->trigger_status, STR("0"));

    json_object_set_new(j, "file", text(file));
    json_object_set_new(j, "url", text(q->url));
    json_object_set_new(j, "verb", text(q->verb));
    json_object_set_new(j, "status", text_or_null(q->status));
    json_object_set_new(j, "trigger_status", has_trigger ? text(q->trigger_status) : json_null());
    json_object_set_new(j, "reason", text_or_null(q->reason));
    json_object_set_new(j, "time_taken_ms", json_integer((json_int_t)t->time_taken_ms));
    json_object_set_new(j, "site_id", number_or_null(q->site_id));
    json_object_set_new(j, "app_pool", text(q->app_pool));
    json_object_set_new(j, "process_id", number_or_null(q->process_id));
    json_object_set_new(j, "started", time_or_null(t->started_us));
    json_object_set_new(j, "failed_by", failed_by(t));
    json_object_set_new(j, "authentication", text_or_null(q->authentication));
    json_object_set_new(j, "user", text_or_null(q->user.n ? q->user : q->remote_user));
    json_object_set_new(j, "runs_as", text_or_null(q->token_user));
    json_object_set_new(j, "activity_id", text_or_null(q->activity_id));
    json_object_set_new(j, "complete", json_boolean(!t->is_cut && !t->is_full));
    json_object_set_new(j, "why_not_complete", t->is_cut ? text(str_z(t->why_cut)) : json_null());
    dump(out, j, JSON_INDENT(1), 2);
    buf_str(out, STR(",\n \"events\": ["));
    for (size_t i = 0; i < t->n_events; i++) {
        buf_str(out, i ? STR(",\n  ") : STR("\n  "));
        dump(out, event_json(&t->events[i]), 0, 0);
    }
    buf_str(out, STR("\n ]\n}"));
}
