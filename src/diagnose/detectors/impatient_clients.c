/* Success with a network error in sc-win32-status: the answer was made, and the client did not stay
 * for all of it. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

/* ERROR_NETNAME_DELETED, ERROR_SEM_TIMEOUT, ERROR_OPERATION_ABORTED, ERROR_CONNECTION_INVALID,
 * ERROR_CONNECTION_ABORTED. */
static const uint64_t gone[] = {64, 121, 995, 1229, 1236};
static const double notable = 0.02;
enum { SLOW_MS = 5000, COUNT_MIN = 5 };

static bool is_gone(const struct model_status *row)
{
    if (row->is_ftp || row->status < 200 || row->status > 399)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        if (row->win32 == gone[i])
            return true;
    return false;
}

static void run(const struct model *m, struct findings *fs)
{
    struct finding *f = NULL;
    uint64_t ms = 0;

    for (size_t i = 0; i < m->status_n; i++) {
        const struct model_status *row = &m->statuses[i];

        if (!is_gone(row))
            continue;
        if (!f)
            f = findings_add(fs, "impatient-clients", SEVERITY_NORMAL);
        finding_from_status(f, row);
        finding_relate(f, findings_text(fs, "win32 %llu", (unsigned long long)row->win32));
        ms += row->ms_sum;
    }
    if (!f)
        return;
    double mean = ratio(ms, f->count);

    f->share = ratio(f->count, m->requests);
    f->title = findings_text(fs, "%llu answer%s that the client did not wait for",
                             (unsigned long long)f->count, plural(f->count));
    f->why = STR(
        "The status says success, the win32 code that the connection was gone before all of the "
        "answer was out: somebody clicked on, closed the page, or a player jumped.");
    if (f->count >= COUNT_MIN && (mean >= SLOW_MS || f->share >= notable)) {
        f->severity = SEVERITY_INFO;
        say(fs, f, "They took %.1f s on average%s: people may have given up waiting.", mean / 1000,
            f->share >= notable ? ", and they are many" : "");
        finding_relate(f, STR("slow-requests"));
        f->command = again(m, fs, "--status 200");
    }
    finding_step(
        f, STR("Nothing by itself. Large downloads and slow pages have the most of them; compare "
               "the list of URLs with that of slow requests."));
}

const struct detector detector_impatient_clients = {
    .id = "impatient-clients",
    .title = "successful answers that the client did not wait for (win32 64, 1236)",
    .run = run,
};
