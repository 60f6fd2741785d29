#include "diagnose/report_html.h"

#include "base/poison.h"

enum {
    WIDTH = 1100,
    LEFT = 10,
    STRIP_HEIGHT = 44,
    STRIP_GAP = 28, /* above each strip, for its name */
    BARS_MAX = 220,
    TICKS = 6,
    BAR_LABEL = 60,
};

/* ---- over time ---- */

struct bars {
    size_t n;
    int64_t start_s, seconds; /* of one bar */
    struct model_bucket at[BARS_MAX];
};

/* As many buckets to a bar as make them fit; times without buckets are empty bars. */
static void make_bars(struct bars *b, const struct model *m)
{
    int64_t first_s = m->timeline[0].start_s;
    int64_t end_s = m->timeline[m->bucket_n - 1].start_s + (int64_t)m->bucket_seconds;
    int64_t width = m->bucket_seconds ? (int64_t)m->bucket_seconds : 1;
    int64_t buckets = (end_s - first_s + width - 1) / width;
    int64_t per_bar = (buckets + BARS_MAX - 1) / BARS_MAX;

    *b = (struct bars){.start_s = first_s, .seconds = width * per_bar};
    b->n = (size_t)((end_s - first_s + b->seconds - 1) / b->seconds);
    for (size_t i = 0; i < m->bucket_n; i++) {
        const struct model_bucket *from = &m->timeline[i];
        struct model_bucket *to = &b->at[(from->start_s - first_s) / b->seconds];

        to->requests += from->requests;
        to->errors_4xx += from->errors_4xx;
        to->errors_5xx += from->errors_5xx;
        to->httperr += from->httperr;
        to->ms_sum += from->ms_sum;
        to->ms_count += from->ms_count;
    }
}

enum strip { STRIP_REQUESTS, STRIP_4XX, STRIP_5XX, STRIP_HTTPERR, STRIP_TIME, STRIP_MAX };

static const struct {
    const char *name, *css;
} strips[STRIP_MAX] = {
    [STRIP_REQUESTS] = {"Requests", "c-ok"},      [STRIP_4XX] = {"Answered 4xx", "c-warn"},
    [STRIP_5XX] = {"Answered 5xx", "c-bad"},      [STRIP_HTTPERR] = {"HTTPERR records", "c-err"},
    [STRIP_TIME] = {"Mean time-taken", "c-time"},
};

static uint64_t strip_value(const struct model_bucket *b, enum strip strip)
{
    switch (strip) {
    case STRIP_REQUESTS:
        return b->requests;
    case STRIP_4XX:
        return b->errors_4xx;
    case STRIP_5XX:
        return b->errors_5xx;
    case STRIP_HTTPERR:
        return b->httperr;
    case STRIP_TIME:
    case STRIP_MAX:
        break;
    }
    return b->ms_count ? b->ms_sum / b->ms_count : 0;
}

static void put_value(struct buf *out, uint64_t v, enum strip strip)
{
    if (strip == STRIP_TIME)
        report_html_ms(out, v);
    else
        report_html_count(out, v);
}

/* "5 min", "2 h", "3 days". */
static void put_span(struct buf *out, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(units) && seconds < 2 * units[i].seconds)
        i++;
    buf_printf(out, "%lld %s", (long long)(seconds / units[i].seconds), units[i].name);
}

static void put_strip(struct buf *out, const struct bars *b, enum strip strip, uint64_t max, int y)
{
    double step = (double)(WIDTH - 2 * LEFT) / (double)b->n;
    double width = step > 3 ? step - 1 : step;
    int base = y + STRIP_HEIGHT;
    char time[32];

    buf_printf(out,
               "<text class=\"name\" x=\"%d\" y=\"%d\">%s</text>"
               "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">at most ",
               LEFT, y - 8, strips[strip].name, WIDTH - LEFT, y - 8);
    put_value(out, max, strip);
    if (strip != STRIP_TIME) {
        buf_str(out, STR(" in "));
        put_span(out, b->seconds);
    }
    buf_str(out, STR("</text>"));
    for (size_t i = 0; i < b->n; i++) {
        uint64_t v = strip_value(&b->at[i], strip);
        double height = (double)v / (double)max * STRIP_HEIGHT;

        if (v == 0)
            continue;
        /* A single error among a million is still seen. */
        height = height < 1.5 ? 1.5 : height;
        buf_printf(
            out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
            strips[strip].css, LEFT + step * (double)i, base - height, width, height);
        buf_str(out, report_time_short(b->start_s + (int64_t)i * b->seconds, time));
        buf_str(out, STR(": "));
        put_value(out, v, strip);
        buf_str(out, STR("</title></rect>"));
    }
    buf_printf(out, "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>", LEFT, base,
               WIDTH - LEFT, base);
}

static void put_ticks(struct buf *out, const struct bars *b, int y)
{
    int64_t span = (int64_t)b->n * b->seconds;
    char time[32];

    for (int i = 0; i <= TICKS; i++) {
        struct str text = report_time_short(b->start_s + span * i / TICKS, time);

        /* Days only where there are several; seconds hardly ever matter. */
        if (span > 60 * 86400)
            text = str_sub(text, 0, 10);
        else if (span > 3 * 86400)
            text = str_sub(text, 5, 16);
        else
            text = str_sub(text, 11, span > 1200 ? 16 : 19);
        buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.*s</text>",
                   LEFT + (WIDTH - 2 * LEFT) * i / TICKS, y,
                   i == 0       ? "start"
                   : i == TICKS ? "end"
                                : "middle",
                   STR_ARG(text));
    }
}

void report_html_timeline(struct buf *out, const struct model *m)
{
    struct bars b;
    uint64_t max[STRIP_MAX] = {0};
    int shown = 0, y = STRIP_GAP;

    if (m->bucket_n == 0)
        return;
    make_bars(&b, m);
    for (int strip = 0; strip < STRIP_MAX; strip++) {
        for (size_t i = 0; i < b.n; i++) {
            uint64_t v = strip_value(&b.at[i], (enum strip)strip);
            max[strip] = v > max[strip] ? v : max[strip];
        }
        shown += max[strip] ? 1 : 0;
    }
    if (shown == 0)
        return;
    buf_printf(
        out,
        "<section id=\"time\"><h2>Over time (UTC)</h2><div class=\"charts\"><svg viewBox=\"0 0 %d "
        "%d\" role=\"img\" aria-label=\"Requests, errors and time-taken over time\">",
        WIDTH, shown * (STRIP_HEIGHT + STRIP_GAP) + 22);
    for (int strip = 0; strip < STRIP_MAX; strip++) {
        if (max[strip] == 0)
            continue;
        put_strip(out, &b, (enum strip)strip, max[strip], y);
        y += STRIP_HEIGHT + STRIP_GAP;
    }
    put_ticks(out, &b, y - STRIP_GAP + 16);
    buf_str(out, STR("</svg></div></section>\n"));
}

/* ---- time-taken ---- */

/* Where a value lies on a scale of powers of ten from 1 ms to the power of ten past scale_ms. */
static double log_position(uint64_t ms, uint64_t scale_ms)
{
    double decades = 0, at = 0;

    for (uint64_t ten = 1; ten < scale_ms && ten < UINT64_MAX / 10; ten *= 10)
        decades++;
    if (decades == 0 || ms <= 1)
        return 0;
    uint64_t ten = 1;

    while (ten <= ms / 10) {
        ten *= 10;
        at++;
    }
    /* Between two powers of ten straight lines are close enough to a logarithm. */
    static const double logs[] = {0, 0.301, 0.477, 0.602, 0.699, 0.778, 0.845, 0.903, 0.954, 1};
    double part = (double)ms / (double)ten - 1;
    size_t i = part < 8.999 ? (size_t)part : 8;

    at += logs[i] + (logs[i + 1] - logs[i]) * (part - (double)i);
    return at > decades ? 1 : at / decades;
}

void report_html_latency(struct buf *out, const struct model *m)
{
    const struct model_latency *l = &m->latency;
    const struct {
        const char *name;
        uint64_t ms, error;
    } rows[] = {{"half", l->p50_ms, l->p50_ms_error},
                {"90 %", l->p90_ms, l->p90_ms_error},
                {"95 %", l->p95_ms, l->p95_ms_error},
                {"99 %", l->p99_ms, l->p99_ms_error},
                {"longest", l->max_ms, 0}};
    int y = 0;

    if (l->count == 0)
        return;
    buf_str(out, STR("<section id=\"latency\"><h2>Time-taken</h2><p class=\"facts\">Of "));
    report_html_count(out, l->count);
    buf_printf(
        out,
        " requests that have it, half took no longer than the first bar says, and so on. The "
        "scale is logarithmic.</p><div class=\"charts\"><svg viewBox=\"0 0 %d %d\" role=\"img\" "
        "aria-label=\"Percentiles of time-taken\">",
        WIDTH, (int)ARRAY_LEN(rows) * 24 + 4);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++, y += 24) {
        double width = log_position(rows[i].ms, l->max_ms) * (WIDTH - BAR_LABEL - 130);

        buf_printf(
            out,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text><rect class=\"c-time\" x=\"%d\" "
            "y=\"%d\" width=\"%.1f\" height=\"16\"/><text class=\"name\" x=\"%.1f\" y=\"%d\">",
            BAR_LABEL - 8, y + 15, rows[i].name, BAR_LABEL, y + 3, width < 2 ? 2 : width,
            BAR_LABEL + width + 8, y + 15);
        report_html_ms(out, rows[i].ms);
        if (rows[i].error) {
            buf_str(out, STR(" \xC2\xB1 "));
            report_html_ms(out, rows[i].error);
        }
        buf_str(out, STR("</text>"));
    }
    buf_str(out, STR("</svg></div></section>\n"));
}

void report_html_latency_row(struct buf *out, const struct model_latency *l, uint64_t scale_ms)
{
    double from = 4 + log_position(l->p50_ms, scale_ms) * 152;
    double to = 4 + log_position(l->p95_ms, scale_ms) * 152;
    double max = 4 + log_position(l->max_ms, scale_ms) * 152;

    buf_printf(
        out,
        "<svg viewBox=\"0 0 160 16\" aria-hidden=\"true\"><rect class=\"c-none\" x=\"0\" y=\"7\" "
        "width=\"160\" height=\"2\"/><rect class=\"c-time\" x=\"%.1f\" y=\"4\" width=\"%.1f\" "
        "height=\"8\"/><circle class=\"c-bad\" cx=\"%.1f\" cy=\"8\" r=\"3\"/></svg>",
        from, to - from < 2 ? 2 : to - from, max);
}
