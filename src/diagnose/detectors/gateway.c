/* 502.x: what stands behind this server. 502.3 carries the WinHTTP code of the failed step. */
#include "diagnose/detectors/tools.h"
#include "tables/win32.h"
#include "base/poison.h"

static const struct {
    uint64_t win32;
    const char *title;
    const char *why;
    const char *step;
} winhttp[] = {
    {12002, "The back end did not answer in time",
     "The proxy waited for its time-out and gave up; the back end may have finished later.",
     "Compare time-taken of these lines with the proxy's time-out (system.webServer/proxy timeout, "
     "or "
     "that of the farm): the same figure means a slow back end."},
    {12007, "The name of the back end was not found",
     "The name server does not know the host that a rewrite rule or the farm names.",
     "Resolve the name on this server; correct the rule or the farm's address."},
    {12029, "The back end refused the connection",
     "Nothing listens on the back end's port, or a firewall rejects it.",
     "Connect from this server to the back end's port by hand; start the back end."},
    {12030, "The back end dropped the connection",
     "The back end closed while it owed an answer: it crashed, was restarted, or its keep-alive "
     "time-out is shorter than the proxy's.",
     "Look at the back end's log for the same second; make its keep-alive time-out the longer "
     "one."},
    {12031, "The connection to the back end was reset",
     "The back end, or a device in between, reset the connection.",
     "Look at the back end's log for the same second."},
    {12152, "The back end's answer is not HTTP",
     "The reply could not be parsed: wrong port or scheme, or a header that is not allowed.",
     "Ask the back end directly and look at the raw answer; check http against https."},
    {12175, "The TLS connection to the back end failed",
     "The back end's certificate is not trusted here, has another name, or no common version of "
     "TLS "
     "exists.",
     "Check the certificate's name, dates and chain from this server."},
};

static const struct code_case others[] = {
    {502, 0, SEVERITY_ERROR, "A server behind this one failed", NULL},
    {502, 1, SEVERITY_ERROR, "A CGI program ran into its time-out", NULL},
    {502, 2, SEVERITY_ERROR, "A CGI program ended without a complete answer", NULL},
    {502, 4, SEVERITY_CRITICAL, "No server of the farm is available", NULL},
    {502, 5, SEVERITY_ERROR, "A forwarded upgrade, or the start of an ASP.NET Core process, failed",
     NULL},
    {502, 6, SEVERITY_ERROR, "A forwarded request could not be sent", NULL},
    {502, 7, SEVERITY_ERROR, "A forwarded request could not be started", NULL},
};

static void say_time(struct findings *fs, struct finding *f, const struct model_status *row)
{
    if (row->ms_sum == 0 || row->count == 0)
        return;
    say(fs, f, "The mean time-taken is %.1f s, the longest %.1f s.",
        ratio(row->ms_sum, row->count) / 1000, (double)row->ms_max / 1000);
}

static void run_row(const struct model *m, struct findings *fs, const struct model_status *row)
{
    static const struct code_case any = {502, 3, SEVERITY_ERROR,
                                         "Forwarding to the back end failed",
                                         "The request could not be forwarded."};
    struct finding *f = detect_row(m, fs, "gateway", row, &any);
    const struct win32_row *code =
        row->win32 > UINT32_MAX ? NULL : win32_find((uint32_t)row->win32);

    if (code)
        f->why = findings_text(fs, "The request could not be forwarded: %s.", code->text);
    for (size_t i = 0; i < ARRAY_LEN(winhttp); i++) {
        if (winhttp[i].win32 != row->win32)
            continue;
        f->title = findings_text(fs, "%s (502.3, win32 %llu)", winhttp[i].title,
                                 (unsigned long long)row->win32);
        f->why = str_z(winhttp[i].why);
        finding_step(f, str_z(winhttp[i].step));
    }
    say_time(fs, f, row);
    say_onset(m, fs, f);
    if (f->step_n == 0)
        advise_status(fs, f, 502, 3);
}

static void run(const struct model *m, struct findings *fs)
{
    const struct model_status *row;
    struct finding *more = NULL;
    size_t n = 0;

    for (size_t i = 0; (row = model_next_status(m, 502, 3, &i)) != NULL;)
        if (n++ < DETECT_ROWS_MAX)
            run_row(m, fs, row);
        else
            detect_more(m, fs, "gateway", row, &more);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct finding *f = detect_code(m, fs, "gateway", &others[i]);
        if (f)
            say_onset(m, fs, f);
    }
}

const struct detector detector_gateway = {
    .id = "gateway",
    .title = "failures of what stands behind this server (502.x), by the step that failed",
    .run = run,
};
