/* A stretch without any request in the site log, while there were plenty before and after: the site
 * did not serve, or logging was interrupted. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum { EMPTY_MIN = 2, MEAN_MIN = 20 };

static void run(const struct model *m, struct findings *fs)
{
    size_t from = 0, n = 0, best_from = 0, best_n = 0, empty = 0;

    if (m->timeline_is_sparse || m->is_filtered || m->is_sampled || m->bucket_n < 5)
        return;
    double mean = ratio(m->requests, m->bucket_n);

    for (size_t i = 0; i < m->bucket_n; i++) {
        if (m->timeline[i].requests) {
            n = 0;
            continue;
        }
        empty++;
        if (n++ == 0)
            from = i;
        if (n > best_n) {
            best_n = n;
            best_from = from;
        }
    }
    /* At either end it is only that HTTPERR covers more time than the site log. */
    if (best_n < EMPTY_MIN || mean < MEAN_MIN || best_from == 0 ||
        best_from + best_n == m->bucket_n)
        return;
    /* Where much is empty, as at night on small sites, nothing is remarkable about one more hole.
     */
    if (best_n * 2 > m->bucket_n || empty > best_n + best_n / 2)
        return;
    int64_t first_s = m->timeline[best_from].start_s;
    int64_t last_s = first_s + (int64_t)best_n * (int64_t)m->bucket_seconds - 1;
    struct model_bucket during = timeline_between(m, first_s, last_s);
    struct finding *f =
        findings_add(fs, "silence", during.httperr ? SEVERITY_ERROR : SEVERITY_WARNING);

    f->first_s = first_s;
    f->last_s = last_s;
    f->count = best_n;
    f->title = findings_text(fs, "The site log is silent from %.*s to %.*s",
                             STR_ARG(time_text(fs, first_s)), STR_ARG(time_text(fs, last_s)));
    f->why =
        findings_text(fs,
                      "Otherwise it has %.0f requests in each %u seconds. A worker writes a line "
                      "when a request ends: either none ended, or a log file is missing here.",
                      mean, m->bucket_seconds);
    if (during.httperr)
        say(fs, f, "HTTPERR has %llu record%s of that time: clients did ask.",
            (unsigned long long)during.httperr, plural(during.httperr));
    finding_step(
        f, STR("Check that the log files of all servers and of that time are part of the input."));
    finding_step(f, STR("Look at the events of that time: recycles, a reboot, a hung worker."));
    f->command = again(m, fs, "--since '%.*s' --until '%.*s'", STR_ARG(time_text(fs, first_s)),
                       STR_ARG(time_text(fs, last_s)));
}

const struct detector detector_silence = {
    .id = "silence",
    .title = "stretches without any request in the site log",
    .run = run,
};
