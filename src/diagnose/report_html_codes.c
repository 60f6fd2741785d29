#include "diagnose/report_html.h"

#include "tables/ftp.h"
#include "tables/httperr.h"
#include "tables/status.h"
#include "tables/win32.h"
#include "base/poison.h"

enum { CODES_MAX = 400 };

static const struct status_row *status_row_of(uint32_t status, uint32_t substatus)
{
    return status > UINT16_MAX || substatus > UINT16_MAX
               ? NULL
               : status_find_nearest((uint16_t)status, (uint16_t)substatus);
}

static const struct win32_row *win32_row_of(uint64_t code)
{
    return code == 0 || code > UINT32_MAX ? NULL : win32_find((uint32_t)code);
}

/* "404.8" or "404"; sub-status 0 is left out, as in the model's codes. */
static bool parse_code(struct str code, uint32_t *ret_status, uint32_t *ret_substatus)
{
    struct str rest = code, part;
    uint64_t v;

    *ret_substatus = 0;
    if (!str_split(&rest, '.', &part) || !str_u64(part, UINT16_MAX, &v))
        return false;
    *ret_status = (uint32_t)v;
    if (rest.n == 0)
        return true;
    if (!str_u64(rest, UINT16_MAX, &v))
        return false;
    *ret_substatus = (uint32_t)v;
    return true;
}

void report_html_code_link(struct buf *out, const char *code)
{
    uint32_t status, substatus;

    if (parse_code(str_z(code), &status, &substatus) && status_row_of(status, substatus))
        buf_printf(out, "<a href=\"#code-%s\">%s</a>", code, code);
    else
        report_html_text(out, str_z(code));
}

void report_html_reason_link(struct buf *out, struct str reason)
{
    const struct httperr_row *row = httperr_find_name(reason);

    if (row)
        buf_printf(out, "<a href=\"#reason-%s\">%s</a>", row->name.p, row->name.p);
    else
        report_html_text(out, reason);
}

void report_html_win32_link(struct buf *out, uint64_t code)
{
    if (win32_row_of(code))
        buf_printf(out, "<a href=\"#win32-%llu\">%llu</a>", (unsigned long long)code,
                   (unsigned long long)code);
    else
        buf_u64(out, code);
}

/* ---- explanations ---- */

static void put_list(struct buf *out, const char *title, const char *const *list)
{
    if (!list[0])
        return;
    buf_printf(out, "<h3>%s</h3><ul>", title);
    for (; *list; list++) {
        struct str item = str_z(*list);
        size_t cut = str_find_char(item, '\n');

        buf_str(out, STR("<li>"));
        report_html_text(out, str_sub(item, 0, cut));
        if (cut != SIZE_MAX) {
            buf_str(out, STR("<pre>"));
            report_html_text(out, str_sub(item, cut + 1, item.n));
            buf_str(out, STR("</pre>"));
        }
        buf_str(out, STR("</li>"));
    }
    buf_str(out, STR("</ul>"));
}

static void put_paragraph(struct buf *out, const char *text)
{
    if (!text || !text[0])
        return;
    buf_str(out, STR("<p>"));
    report_html_text(out, str_z(text));
    buf_str(out, STR("</p>"));
}

static void begin(struct buf *out, const char *kind, struct str code, const char *title)
{
    buf_printf(out, "<details id=\"%s-", kind);
    report_html_text(out, code);
    buf_str(out, STR("\"><summary><b class=\"mono\">"));
    report_html_text(out, code);
    buf_str(out, STR("</b><span class=\"what\">"));
    report_html_text(out, str_z(title));
    buf_str(out, STR("</span></summary><div>"));
}

static void end(struct buf *out)
{
    buf_str(out, STR("</div></details>\n"));
}

static void put_status(struct buf *out, const struct model_status *s)
{
    const struct status_row *row = status_row_of(s->status, s->substatus);

    if (!row)
        return;
    begin(out, "code", str_z(s->code), row->title);
    if (row->substatus != s->substatus)
        put_paragraph(out, "This sub-status is not IIS's own; what follows is about the status.");
    put_paragraph(out, row->text);
    put_paragraph(out, row->note);
    if (row->component[0]) {
        buf_str(out, STR("<p class=\"facts\">Raised by "));
        report_html_text(out, str_z(row->component));
        buf_str(out, STR("</p>"));
    }
    put_list(out, "Likely causes", row->causes);
    put_list(out, "What to do", row->remedies);
    put_list(out, "Settings", row->settings);
    end(out);
}

static void put_reason(struct buf *out, const struct httperr_row *row)
{
    begin(out, "reason", row->name,
          row->status ? row->title.p : "the connection ends without an answer");
    put_paragraph(out, row->meaning);
    put_paragraph(out, row->note);
    put_list(out, "Likely causes", row->causes);
    put_list(out, "What to do", row->remedies);
    put_list(out, "Settings", row->settings);
    end(out);
}

static void put_win32(struct buf *out, uint64_t code)
{
    const struct win32_row *row = win32_row_of(code);
    char digits[20];

    if (!row)
        return;
    begin(out, "win32", str_n(digits, fmt_u64(digits, code)), row->name);
    put_paragraph(out, row->text);
    put_paragraph(out, row->where);
    put_list(out, "Likely causes", row->causes);
    put_list(out, "What to do", row->remedies);
    end(out);
}

/* Whether an earlier row has the same code (or win32 code). */
static bool is_first_code(const struct model *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!m->statuses[k].is_ftp && m->statuses[k].status == m->statuses[i].status &&
            m->statuses[k].substatus == m->statuses[i].substatus)
            return false;
    return true;
}

static bool is_first_win32(const struct model *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (m->statuses[k].win32 == m->statuses[i].win32)
            return false;
    return true;
}

static bool is_first_reason(const struct model *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_ieq(m->reasons[k].reason, m->reasons[i].reason))
            return false;
    return true;
}

void report_html_codes(struct buf *out, const struct model *m)
{
    size_t n = m->status_n < CODES_MAX ? m->status_n : CODES_MAX;

    if (m->status_n + m->reason_n == 0)
        return;
    buf_str(out, STR("<section id=\"codes\"><h2>What the codes mean</h2>\n"));
    for (size_t i = 0; i < n; i++)
        if (!m->statuses[i].is_ftp && is_first_code(m, i))
            put_status(out, &m->statuses[i]);
    for (size_t i = 0; i < m->reason_n && i < CODES_MAX; i++) {
        const struct httperr_row *row = httperr_find_name(m->reasons[i].reason);

        if (row && is_first_reason(m, i))
            put_reason(out, row);
    }
    for (size_t i = 0; i < n; i++)
        if (is_first_win32(m, i))
            put_win32(out, m->statuses[i].win32);
    for (size_t i = 0; i < n; i++) {
        const struct ftp_row *row =
            m->statuses[i].is_ftp ? ftp_reply_find(m->statuses[i].status) : NULL;

        if (!row)
            continue;
        begin(out, "ftp", str_z(m->statuses[i].code), row->title);
        put_paragraph(out, row->text);
        put_list(out, "Likely causes", row->causes);
        put_list(out, "What to do", row->remedies);
        end(out);
    }
    buf_str(out, STR("</section>\n"));
}
