/* How long a log line takes on the event thread, in nanoseconds, with the writer at work beside it.
 * Not a test: numbers depend on the machine. Prints the best of several rounds.
 *
 *   micro_log [FOLDER]      (default: one below /dev/shm, removed afterwards) */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "logging/logging.h"
#include "base/poison.h"

enum { ROUNDS = 15, PER_ROUND = 100000 };

static struct logging *lg;
static struct log_site *site;

static const struct log_record browser = {
    .wall_us = 1791375894000000, /* 2026-10-07 12:24:54 */
    .time_taken_ms = 3,
    .bytes_sent = 1311,
    .bytes_received = 420,
    .status = 200,
    .server = {{"127.0.0.1", 9}, 8080},
    .client = {{"203.0.113.77", 12}, 51034},
    .method = {"GET", 3},
    .version = {"HTTP/1.1", 8},
    .stem = {"/images/products/large/item-4711.jpg", 36},
    .query = {"v=3", 3},
    .user_agent = {"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", 70},
    .referer = {"http://www.example.test/products?page=2", 39},
};

static const struct log_record bare = {
    .wall_us = 1791375894000000,
    .status = 200,
    .server = {{"127.0.0.1", 9}, 8080},
    .client = {{"127.0.0.1", 9}, 51034},
    .method = {"GET", 3},
    .stem = {"/1k.html", 8},
};

static const struct log_httperr_record refused = {
    .wall_us = 1791375894000000,
    .server = {{"127.0.0.1", 9}, 8080},
    .client = {{"203.0.113.77", 12}, 51034},
    .version = {"HTTP/1.1", 8},
    .method = {"GET", 3},
    .uri = {"/default.aspx", 13},
    .reason = {"QueueFull", 9},
    .queue_name = {"DefaultAppPool", 14},
    .site_id = 1,
    .status = 503,
};

static void log_browser(void)
{
    logging_site(lg, 0, site, &browser);
}

static void log_bare(void)
{
    logging_site(lg, 0, site, &bare);
}

static void log_refused(void)
{
    logging_httperr(lg, 0, &refused);
}

static void measure(const char *name, void (*fn)(void))
{
    uint64_t best = UINT64_MAX, now_ms = 0;

    for (int r = 0; r < ROUNDS; r++) {
        uint64_t start = clock_mono_ns();

        for (int i = 0; i < PER_ROUND; i++)
            fn();
        uint64_t took = clock_mono_ns() - start;

        best = took < best ? took : best;
        logging_tick(lg, 0, now_ms += 1000);
        INVARIANT(logging_wait_written(lg, 10000));
    }
    printf("%-28s %6.1f ns\n", name, (double)best / PER_ROUND);
}

static void start(const char *folder, const char *log_file)
{
    _cleanup_free_ char *text =
        xasprintf("{\"sites\": [{\"id\": 1, \"logFile\": {\"directory\": \"%s\", \"period\": "
                  "\"Monthly\"%s}}], \"httperr\": {\"ErrorLoggingDir\": \"%s\", "
                  "\"ErrorLoggingRolloverType\": 3}}",
                  folder, log_file, folder);
    json_t *j = json_loads(text, 0, NULL);
    struct log_settings s;
    struct str why;

    INVARIANT(j && log_settings_from_json(j, &s, &why) == RC_OK);
    lg = logging_new(&s, &(struct logging_options){.threads = 1});
    site = logging_site_find(lg, 1);
    log_settings_fini(&s);
    json_decref(j);
}

static void stop(void)
{
    struct logging_counts c = logging_count(lg);

    if (c.lines_lost)
        printf("(%llu lines were lost: the disk was too slow)\n", (unsigned long long)c.lines_lost);
    logging_stop(lg, 10000);
}

int main(int argc, char **argv)
{
    char own[] = "/dev/shm/candor-micro-log-XXXXXX";
    const char *folder = argc > 1 ? argv[1] : mkdtemp(own);
    static const char *const names[] = {"W3SVC1/u_ex2610.log",
                                        "W3SVC1/u_in2610.log",
                                        "W3SVC1/u_nc2610.log",
                                        "HTTPERR/ht2610.log",
                                        "W3SVC1",
                                        "HTTPERR",
                                        ""};

    if (!folder) {
        fprintf(stderr, "micro_log: %s: %m\n", own);
        return 1;
    }
    start(folder, "");
    measure("W3C, browser", log_browser);
    measure("W3C, bare", log_bare);
    measure("HTTPERR", log_refused);
    stop();
    start(folder, ", \"logExtFileFlags\": 4194303");
    measure("W3C, all columns", log_browser);
    stop();
    start(folder, ", \"logFormat\": \"IIS\"");
    measure("IIS, browser", log_browser);
    stop();
    start(folder, ", \"logFormat\": \"NCSA\"");
    measure("NCSA, browser", log_browser);
    stop();
    for (size_t i = 0; argc < 2 && i < ARRAY_LEN(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}
