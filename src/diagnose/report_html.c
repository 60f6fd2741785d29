#include "diagnose/report_html.h"

#include "diagnose/report_html_assets.h"
#include "base/poison.h"

enum { TEXT_MAX = 1 << 20 };

void report_html_text(struct buf *out, struct str s)
{
    _cleanup_buf_ struct buf plain;

    buf_init(&plain, TEXT_MAX);
    report_plain(&plain, s);
    buf_html(out, buf_view(&plain));
}

void report_html_count(struct buf *out, uint64_t n)
{
    char digits[20];
    size_t len = fmt_u64(digits, n);

    for (size_t i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            buf_str(out, STR("\xE2\x80\xAF")); /* a narrow blank that does not break */
        buf_char(out, digits[i]);
    }
}

void report_html_estimate(struct buf *out, uint64_t n, uint64_t error)
{
    if (error == 0) {
        report_html_count(out, n);
        return;
    }
    buf_str(out, STR("<span title=\"estimate, at most "));
    report_html_count(out, error);
    buf_str(out, STR(" off\">\xE2\x89\x88\xE2\x80\xAF"));
    report_html_count(out, n);
    buf_str(out, STR("</span>"));
}

void report_html_ms(struct buf *out, uint64_t ms)
{
    if (ms < 1000)
        buf_printf(out, "%llu ms", (unsigned long long)ms);
    else if (ms < 100000)
        buf_printf(out, "%.1f s", (double)ms / 1000);
    else
        buf_printf(out, "%.0f s", (double)ms / 1000);
}

/* ---- the top of the page ---- */

static void put_tile(struct buf *out, uint64_t n, const char *what, uint64_t of)
{
    buf_str(out, STR("<div class=\"tile\"><b>"));
    report_html_count(out, n);
    buf_printf(out, "</b><span>%s", what);
    if (of)
        buf_printf(out, ", %.*f\xC2\xA0%%", (double)n / (double)of < 0.01 ? 2 : 1,
                   (double)n * 100 / (double)of);
    buf_str(out, STR("</span></div>\n"));
}

static void put_tiles(struct buf *out, const struct model *m)
{
    buf_str(out, STR("<div class=\"tiles\">\n"));
    put_tile(out, m->requests, "requests", 0);
    if (m->requests) {
        put_tile(out, m->status_5xx, "answered 5xx", m->requests);
        put_tile(out, m->status_4xx, "answered 4xx", m->requests);
    }
    if (m->httperr_records)
        put_tile(out, m->httperr_records, "HTTPERR records", 0);
    if (m->ftp_records)
        put_tile(out, m->ftp_records, "FTP records", 0);
    if (m->clients) {
        buf_str(out, STR("<div class=\"tile\"><b>"));
        report_html_estimate(out, m->clients, m->clients_error);
        buf_str(out, STR("</b><span>clients</span></div>\n"));
    }
    if (m->latency.count) {
        buf_str(out, STR("<div class=\"tile\"><b>"));
        report_html_ms(out, m->latency.p95_ms);
        buf_str(out, STR("</b><span>time-taken, 95 %</span></div>\n"));
    }
    buf_str(out, STR("</div>\n"));
}

static void put_notes(struct buf *out, const struct model *m)
{
    if (m->is_sampled)
        buf_str(out,
                STR("<p class=\"note\">Only a part of the input was read: every count is of that "
                    "part.</p>\n"));
    if (m->is_filtered)
        buf_str(out, STR("<p class=\"note\">Filtered: counts and shares are of the records that "
                         "matched.</p>\n"));
    if (m->files_were_cut)
        buf_str(out, STR("<p class=\"note\">There are more files, or deeper folders, than are "
                         "read.</p>\n"));
}

static void put_head(struct buf *out, const struct model *m)
{
    char first[32], last[32];

    buf_str(out, STR("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\""));
    buf_str(out, html_policy);
    buf_str(out,
            STR("\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta name=\"referrer\" content=\"no-referrer\">\n"
                "<title>Diagnosis of "));
    report_html_count(out, m->requests + m->httperr_records + m->ftp_records);
    buf_str(out, STR(" records</title>\n<style>"));
    buf_str(out, html_css);
    buf_str(out, STR("</style></head>\n<body><header><h1>Diagnosis</h1><p>"));
    if (m->first_s != RECORD_NO_TIME) {
        buf_str(out, report_time_short(m->first_s, first));
        buf_str(out, STR(" to "));
        buf_str(out, report_time_short(m->last_s, last));
        buf_str(out, STR(" \xC2\xB7 "));
    }
    buf_printf(
        out, "%zu file%s</p><button type=\"button\" id=\"theme\">light or dark</button></header>\n",
        m->file_n, m->file_n == 1 ? "" : "s");
    put_notes(out, m);
    put_tiles(out, m);
    buf_str(out, STR("<nav><a href=\"#time\">Over time</a> <a href=\"#findings\">Findings</a> <a "
                     "href=\"#latency\">Time-taken</a> <a href=\"#statuses\">Status</a> <a "
                     "href=\"#urls\">URLs</a> <a href=\"#clients\">Clients</a> <a "
                     "href=\"#files\">Input</a> <a href=\"#codes\">Codes</a></nav>\n"));
}

void report_html(struct buf *out, const struct model *m, const struct findings *fs,
                 const struct report_options *options)
{
    put_head(out, m);
    report_html_timeline(out, m);
    report_html_findings(out, m, fs);
    report_html_latency(out, m);
    report_html_tables(out, m, options);
    report_html_codes(out, m);
    buf_str(
        out,
        STR("<footer>Made by Candor " CANDOR_VERSION
            ". Counts with \xE2\x89\x88 are estimates. URLs are folded: {n} stands for a number, "
            "{guid} for an identifier.</footer>\n<script>"));
    buf_str(out, html_js);
    buf_str(out, STR("</script></body></html>\n"));
}
