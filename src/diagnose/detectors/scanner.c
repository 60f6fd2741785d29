/* Clients that mostly get errors: scanners that try well-known addresses (normal on the internet),
 * and one client that makes up most of the traffic. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum { MISSES_MIN = 20, BUSY_MIN = 1000, SCANNERS_NAMED = 10 };
static const double miss_share = 0.6, busy_share = 0.5, notable = 0.05;

static bool is_scanner(const struct model_client *c)
{
    return c->errors_4xx >= MISSES_MIN && ratio(c->errors_4xx, c->count) >= miss_share &&
           ratio(c->not_found, c->errors_4xx) >= 0.5;
}

static void find_scanners(const struct model *m, struct findings *fs)
{
    struct model_count *at = arena_alloc(&fs->arena, SCANNERS_NAMED * sizeof(struct model_count));
    uint64_t errors = 0, clients = 0;
    size_t n = 0;

    for (size_t i = 0; i < m->client_n; i++) {
        const struct model_client *c = &m->clients_top[i];

        if (!is_scanner(c))
            continue;
        clients++;
        errors += c->errors_4xx;
        if (n < SCANNERS_NAMED)
            at[n++] =
                (struct model_count){.name = c->client, .count = c->errors_4xx, .error = c->error};
    }
    if (n == 0)
        return;
    double share = ratio(errors, m->requests);
    struct finding *f =
        findings_add(fs, "scanner", share >= notable ? SEVERITY_INFO : SEVERITY_NORMAL);
    size_t k = 0;
    const struct model_status *missing = model_next_status(m, 404, -1, &k);

    if (missing) {
        finding_samples(f, &missing->samples);
        f->urls = missing->urls;
    }
    f->count = errors;
    f->share = share;
    f->clients = (struct model_counts){.at = at, .n = n};
    f->title = findings_text(fs, "%llu client%s scan%s for pages that do not exist",
                             (unsigned long long)clients, plural(clients), clients == 1 ? "s" : "");
    f->why =
        findings_text(fs,
                      "%llu of their requests ended with 4xx, mostly 404: programs that try the "
                      "addresses of well-known holes. Every server on the internet gets them, and "
                      "these answers told them nothing.",
                      (unsigned long long)errors);
    finding_step(f,
                 STR("Nothing, as long as the answers stay 404. Look through their requests that "
                     "succeeded."));
    finding_step(f,
                 STR("If they are a load: dynamicIpSecurity denyByRequestRate, or the firewall."));
    finding_relate(f, STR("404"));
    f->command = again(m, fs, "--client %.*s --status 200", STR_ARG(shell_word(fs, at[0].name)));
}

static void find_busy(const struct model *m, struct findings *fs)
{
    if (m->client_n < 2 || m->clients_top[0].count < BUSY_MIN || m->is_filtered ||
        ratio(m->clients_top[0].count, m->requests) < busy_share)
        return;
    const struct model_client *c = &m->clients_top[0];
    struct finding *f = findings_add(fs, "busy-client", SEVERITY_INFO);
    struct model_count *at = ARENA_NEW(&fs->arena, struct model_count);

    *at = (struct model_count){.name = c->client, .count = c->count, .error = c->error};
    f->count = c->count;
    f->share = ratio(c->count, m->requests);
    f->clients = (struct model_counts){.at = at, .n = 1};
    f->title = findings_text(fs, "One client made %.0f %% of the requests", f->share * 100);
    f->why =
        findings_text(fs,
                      "%.*s sent %llu requests. A load balancer or proxy looks like that: the log "
                      "then says its address instead of the users'.",
                      STR_ARG(c->client), (unsigned long long)c->count);
    finding_step(f,
                 STR("Behind a proxy add X-Forwarded-For to the site's customFields (logFile), so "
                     "that users can be told apart."));
    f->command = again(m, fs, "--client %.*s", STR_ARG(shell_word(fs, c->client)));
}

static void run(const struct model *m, struct findings *fs)
{
    find_scanners(m, fs);
    find_busy(m, fs);
}

const struct detector detector_scanner = {
    .id = "scanner",
    .title = "clients that scan for pages, and one client that makes most requests",
    .run = run,
};
